"""How settings are searched for: on an inner view, trial by trial."""
