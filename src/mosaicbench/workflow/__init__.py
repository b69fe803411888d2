"""What the workflow needs: paths, the code hash of a job, what jobs ask of a cluster."""
