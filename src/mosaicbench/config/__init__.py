"""From the config that a person wrote to the jobs of the benchmark."""
