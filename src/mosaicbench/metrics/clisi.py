"""Local inverse Simpson index of the cell types: how pure neighbourhoods are."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mosaicbench.metrics._checks import Undefined
from mosaicbench.metrics._graph import MOST, labelled, neighbors, neighbors_in
from mosaicbench.metrics._labels import known
from mosaicbench.metrics._lisi import beyond_nearest
from mosaicbench.metrics._scib import scib

CARD = {
    "label": "cLISI",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Median over query cells with a label of the effective number of types among 90 neighbours, scaled so that "
    "1 is one type only and 0 as many as there are (as in scib-metrics; cells that are equally far are drawn at random).",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {"perfect_is_best": "best is a limit"},
}


def clisi(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels."""
    known_latent, codes = labelled(latent, labels)
    return _scaled(*neighbors(known_latent, MOST), codes)


def from_graph(graph: sparse.csr_matrix, labels: np.ndarray) -> float:
    """Return it from a (cells, cells) graph of distances and (cells,) labels, of as many neighbours as the graph has."""
    if not known(np.asarray(labels, dtype=object)).all():
        raise Undefined("some cells of this graph have no label")
    _, codes = labelled(np.zeros((len(labels), 1)), labels)
    return _scaled(*neighbors_in(graph), codes)


def _scaled(distances: np.ndarray, nearest: np.ndarray, codes: np.ndarray) -> float:
    return float(scib("clisi_knn", beyond_nearest(distances, nearest), codes))
