"""How settings are searched for: on an inner split, trial by trial."""
