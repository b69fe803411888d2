"""FOSCTTM as GLUE defines it."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import closer_and_tied

CARD = {
    "label": "FOSCTTM as in GLUE",
    "group": "published_variants",
    "best": 0.0,
    "better": "lower",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "Mean over both directions of the fraction of cells strictly closer (Euclidean) than the true match, "
    "divided by n. Ties do not count, so a latent without any information scores 0, as if perfect: compare it "
    "with published numbers only.",
    "doi": "10.1038/s41587-022-01284-4",
}


def foscttm_glue(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return it from (cells, dims) latents whose rows match; the same in both directions."""
    closer = [closer_and_tied(*pair)[:, 0].mean() for pair in ((latent_a, latent_b), (latent_b, latent_a))]
    return float(np.mean(closer) / len(latent_a))
