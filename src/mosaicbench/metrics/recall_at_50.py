"""Recall at 50: how often the true match is among the 50 nearest cells of the other modality."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import twice_closer

CARD = {
    "label": "Recall@50",
    "group": "alignment",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Fraction of query cells whose true match in the second modality is among the 50 cells nearest to their "
    "latent in the first; a tie counts half a rank. Chance is 50 / n.",
    "doi": "",
}


def recall_at_50(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the share of cells with fewer than fifty others closer than the true match, from a to b, (cells, dims) each."""
    return float((twice_closer(latent_a, latent_b) < 2 * 50).mean())
