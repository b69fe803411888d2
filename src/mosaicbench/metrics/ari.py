"""Adjusted Rand index between cell types and clusters of the latent."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._clusters import cluster_agreement

CARD = {
    "label": "ARI",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [-1.0, 1.0],
    "definition": "Adjusted Rand index between cell types and clusters: K-means with as many clusters as there are types, on "
    "the query cells with a label, the best of ten starts.",
    "doi": "10.1038/s41592-021-01336-8",
}


def ari(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels."""
    return cluster_agreement(latent, labels)["ari"]
