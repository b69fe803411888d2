"""One file per method: models, baselines, controls."""
