"""Recall: how often the true match is among the k nearest cells of the other modality."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import twice_closer

CARD = {
    "label": "Recall@{k}",
    "group": "alignment",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Fraction of query cells whose true match in the second modality is among the {k} cells nearest to their "
    "latent in the first; a tie counts half a rank. Chance is {k} / n.",
    "doi": "",
    "variants": {
        "recall_at_1": {
            "keywords": {"k": 1},
            "definition": "Fraction of query cells whose true match in the second modality is the cell nearest to their latent "
            "in the first; a tie counts half a rank. Chance is 1 / n.",
        },
        "recall_at_10": {"keywords": {"k": 10}},
        "recall_at_50": {"keywords": {"k": 50}},
    },
}


def recall(latent_a: np.ndarray, latent_b: np.ndarray, *, k: int) -> float:
    """Return the share of cells with fewer than k others closer than the true match, from a to b, (cells, dims) each."""
    return float((twice_closer(latent_a, latent_b) < 2 * k).mean())
