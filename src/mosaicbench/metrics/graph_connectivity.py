"""Connectivity of each cell type in the graph of nearest neighbours."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy import sparse

from mosaicbench.metrics._graph import labelled, loopless, neighbors
from mosaicbench.metrics._labels import known
from mosaicbench.metrics._scib import handed_over, scib

CARD = {
    "label": "Graph connectivity",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Mean over cell types of the share of their query cells in the largest strongly connected component of the "
    "type's own part of the graph of 15 nearest neighbours (as in scib-metrics; cells that are equally far are drawn at "
    "random). Neighbours drawn at random, as in a constant latent, also connect a type that is not rare: read it beside the "
    "other scores of biology.",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {"perfect_is_best": "best is a limit"},
}


def graph_connectivity(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels."""
    known_latent, codes = labelled(latent, labels)
    return float(scib("graph_connectivity", handed_over(*neighbors(known_latent, 15)), codes))


def from_graph(graph: sparse.csr_matrix, labels: np.ndarray) -> float:
    """Return it from a (cells, cells) graph of neighbours, whatever its entries, and (cells,) labels."""
    rows = known(np.asarray(labels, dtype=object))
    _, codes = labelled(np.zeros((len(rows), 1)), labels)
    of_any_number = SimpleNamespace(
        knn_graph_distances=loopless(graph)[rows][:, rows]
    )  # all that is asked of neighbours
    return float(scib("graph_connectivity", of_any_number, codes))
