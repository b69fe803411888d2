"""FOSCTTM as MIDAS turns it round."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics.foscttm_glue import foscttm_glue

CARD = {
    "label": "1 - FOSCTTM as in MIDAS",
    "group": "published_variants",
    "best": 1.0,
    "better": "higher",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "1 less the mean over both directions of the fraction of cells strictly closer (Euclidean) than the true "
    "match, divided by n: higher is better. Ties do not count, so a latent without any information scores 1, "
    "as if perfect: compare it with published numbers only.",
    "doi": "10.1038/s41587-023-02040-y",
}


def foscttm_midas(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return it from (cells, dims) latents whose rows match; the same in both directions."""
    return 1 - foscttm_glue(latent_a, latent_b)
