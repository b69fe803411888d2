"""Connectivity of each cell type in the graph of nearest neighbours."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._graph import labelled, neighbors

CARD = {
    "label": "Graph connectivity",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over cell types of the share of their query cells in the largest strongly connected component of the "
    "type's own part of the graph of 15 nearest neighbours (scib-metrics).",
    "doi": "10.1038/s41592-021-01336-8",
}


def graph_connectivity(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels."""
    from scib_metrics import graph_connectivity as by_scib

    known_latent, codes = labelled(latent, labels)
    return float(by_scib(neighbors(known_latent, 15), codes))
