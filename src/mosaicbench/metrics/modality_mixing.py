"""Modality mixing: the share of the other modality among a cell's nearest."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._mixing import shares_of_other

CARD = {
    "label": "Modality mixing",
    "group": "mixing",
    "best": 0.5,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over the query cells of both modalities of the share of the other modality among the 20 nearest of "
    "all other cells, the own partner not counted; 0.5 is perfect mixing, 0 none. Says nothing about biology: "
    "a constant latent mixes best.",
    "doi": "",
}


def modality_mixing(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean share, from (cells, dims) latents whose rows match; the same in both directions."""
    return float(shares_of_other(latent_a, latent_b).mean())
