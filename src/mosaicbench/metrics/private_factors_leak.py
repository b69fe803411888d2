"""How much of a modality's private factors its latent holds, which should be shared only."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._factors import predicted_r2

CARD = {
    "label": "Leak of private factors",
    "group": "disentanglement",
    "best": 0.0,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over the true private factors of the modality, in a simulation, of R² of their ridge regression on "
    "the modality's latent, 5-fold over the query cells; 0 where it is negative. A latent that holds nothing "
    "leaks nothing: read it beside the R² of the shared factors.",
    "doi": "10.48550/arXiv.2403.06338",
}


def private_factors_leak(latent: np.ndarray, private_factors: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells, factors); errors where a value is not finite or rows do not match."""
    return max(0.0, predicted_r2(latent, private_factors))
