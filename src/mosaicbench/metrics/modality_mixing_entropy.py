"""Entropy of the modalities among a cell's nearest."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from mosaicbench.metrics._mixing import shares_of_other

CARD = {
    "label": "Entropy of modality mixing",
    "group": "mixing",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over the query cells of both modalities of the binary entropy, in bits, of the share of the other "
    "modality among the 20 nearest of all other cells, the own partner not counted; 1 is perfect mixing "
    "(random mixing has about 0.96), 0 none. Says nothing about biology: a constant latent mixes best.",
    "doi": "",
}


def modality_mixing_entropy(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean entropy, from (cells, dims) latents whose rows match; the same in both directions."""
    share = shares_of_other(latent_a, latent_b)
    return float(np.mean((entr(share) + entr(1 - share)) / np.log(2)))
