"""Median rank of the true match among the cells of the other modality."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import twice_closer

CARD = {
    "label": "Median rank",
    "group": "alignment",
    "best": 1.0,
    "better": "lower",
    "chance": None,
    "bounds": [1.0, None],
    "definition": "Median over query cells of the rank of the true match in the second modality, by distance to the cell's "
    "latent in the first; 1 is the nearest, a tie counts half a rank. Chance is (n + 1) / 2. Of more than 100,000 query cells, "
    "the median over 20,000 drawn by seed.",
    "doi": "",
}


def median_rank(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the median rank of the true match, from a to b, (cells, dims) each; errors as for FOSCTTM."""
    return float(1 + np.median(twice_closer(latent_a, latent_b)) / 2)
