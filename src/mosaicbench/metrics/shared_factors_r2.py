"""How much of the true shared factors the latent holds."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._factors import predicted_r2

CARD = {
    "label": "R² of shared factors",
    "group": "disentanglement",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "Mean over the true shared factors of a simulation of R² of their ridge regression on the latent, 5-fold "
    "over the query cells.",
    "doi": "10.48550/arXiv.2403.06338",
}


def shared_factors_r2(latent: np.ndarray, shared_factors: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells, factors); errors where a value is not finite or rows do not match."""
    return predicted_r2(latent, shared_factors)
