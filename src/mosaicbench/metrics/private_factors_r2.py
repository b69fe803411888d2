"""How much of a modality's true private factors its private block holds."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._factors import predicted_r2

CARD = {
    "label": "R² of private factors",
    "group": "disentanglement",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "Mean over the true private factors of the modality, in a simulation, of R² of their ridge regression on the "
    "modality's private latent, 5-fold over the query cells.",
    "doi": "10.48550/arXiv.2403.06338",
}


def private_factors_r2(private_latent: np.ndarray, private_factors: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells, factors); errors where a value is not finite or rows do not match."""
    return predicted_r2(private_latent, private_factors)
