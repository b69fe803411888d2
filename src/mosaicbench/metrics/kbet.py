"""kBET: how often a neighbourhood has the batches in the proportions of all cells."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mosaicbench.metrics._graph import batch_codes, neighbors, neighbors_in, of_batches
from mosaicbench.metrics._scib import handed_over, scib

CARD = {
    "label": "kBET",
    "group": "mixing",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Share of query cells with a batch whose 50 neighbours do not differ in batches from all of them "
    "(chi-squared test at 0.05, as in scib-metrics; cells that are equally far are drawn at random). Says nothing "
    "about biology: a constant latent mixes as well as random cells do.",
    "doi": "10.1038/s41592-018-0254-1",
    "lacks": {
        "perfect_is_best": "best is a limit",
        "noise_never_improves": "does not measure agreement",
        "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
    },
}


def kbet(latent: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) batches."""
    batched, codes = of_batches(latent, batches)
    return _accepted(*neighbors(batched, 50), codes)


def from_graph(graph: sparse.csr_matrix, batches: np.ndarray) -> float:
    """Return it from a (cells, cells) graph of distances and (cells,) batches, of as many neighbours as the graph has."""
    return _accepted(*neighbors_in(graph), batch_codes(batches))


def _accepted(distances: np.ndarray, nearest: np.ndarray, codes: np.ndarray) -> float:
    return float(scib("kbet", handed_over(distances, nearest), codes)[0])
