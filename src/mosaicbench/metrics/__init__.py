"""One file per metric: arrays in, a float out."""
