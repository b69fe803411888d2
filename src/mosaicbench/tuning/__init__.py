"""The search for settings of a run, trial by trial, on an inner split."""
