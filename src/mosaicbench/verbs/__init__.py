"""What the command line can do, one file per verb: read, compute, write."""
