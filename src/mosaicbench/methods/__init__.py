"""Methods: models, baselines, controls; a file has one, or a family of them."""
