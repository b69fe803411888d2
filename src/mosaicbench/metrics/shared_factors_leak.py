"""How much of the true shared factors a modality's private block holds, which should be private only."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._factors import predicted_r2

CARD = {
    "label": "Leak of shared factors",
    "group": "disentanglement",
    "best": 0.0,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over the true shared factors of a simulation of R² of their ridge regression on the private latent, "
    "5-fold over the query cells; 0 where it is negative. A block that holds nothing leaks nothing: read it beside the R² of "
    "the private factors.",
    "doi": "10.48550/arXiv.2403.06338",
}


def shared_factors_leak(private_latent: np.ndarray, shared_factors: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells, factors); errors where a value is not finite or rows do not match."""
    return max(0.0, predicted_r2(private_latent, shared_factors))
