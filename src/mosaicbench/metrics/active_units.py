"""Active units: how many dimensions of the latent say anything about a cell."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import finite

CARD = {
    "label": "Active units",
    "group": "sanity",
    "best": None,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Number of latent dimensions whose value (the posterior mean, for a VAE) has a variance above 0.01 over the "
    "query cells; 0 is a collapsed latent.",
    "doi": "10.48550/arXiv.1509.00519",
}


def active_units(latent: np.ndarray) -> float:
    """Return the number of dimensions of latent, (cells, dims), with a variance above 0.01."""
    return float((finite("latent", latent).var(axis=0) > 0.01).sum())
