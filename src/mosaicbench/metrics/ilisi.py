"""Local inverse Simpson index of the batches: how mixed neighbourhoods are."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mosaicbench.metrics._graph import MOST, batch_codes, neighbors, neighbors_in, of_batches
from mosaicbench.metrics._lisi import beyond_nearest
from mosaicbench.metrics._scib import scib

CARD = {
    "label": "iLISI",
    "group": "mixing",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Median over query cells with a batch of the effective number of batches among 90 neighbours, scaled so that "
    "0 is one batch only and 1 all of them equally (as in scib-metrics; cells that are equally far are drawn at random). Says "
    "nothing about biology: a constant latent mixes as well as random cells do.",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {
        "perfect_is_best": "best is a limit",
        "noise_never_improves": "does not measure agreement",
        "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
    },
}


def ilisi(latent: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) batches."""
    batched, codes = of_batches(latent, batches)
    return _scaled(*neighbors(batched, MOST), codes)


def from_graph(graph: sparse.csr_matrix, batches: np.ndarray) -> float:
    """Return it from a (cells, cells) graph of distances and (cells,) batches, of as many neighbours as the graph has."""
    return _scaled(*neighbors_in(graph), batch_codes(batches))


def _scaled(distances: np.ndarray, nearest: np.ndarray, codes: np.ndarray) -> float:
    return float(scib("ilisi_knn", beyond_nearest(distances, nearest), codes))
