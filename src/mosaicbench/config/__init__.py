"""From a user's config to the jobs of the benchmark."""
