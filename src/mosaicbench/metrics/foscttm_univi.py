"""FOSCTTM as UniVI defines it."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import closer_and_tied

CARD = {
    "label": "FOSCTTM as in UniVI",
    "group": "published_variants",
    "best": 0.0,
    "better": "lower",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "Mean over cells of the fraction of cells of the second modality strictly closer (Euclidean) to the cell's "
    "latent in the first than the true match, divided by n - 1; one direction. Ties do not count, so a latent "
    "without any information scores 0, as if perfect: compare it with published numbers only.",
    "doi": "",
}


def foscttm_univi(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return it from a to b, (cells, dims) latents whose rows match."""
    return float(closer_and_tied(latent_a, latent_b)[:, 0].mean() / (len(latent_a) - 1))
