"""kBET: how often a neighbourhood has the batches in the proportions of all cells."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._graph import codes_of, neighbors

CARD = {
    "label": "kBET",
    "group": "mixing",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Share of query cells whose 50 neighbours do not differ in batches from all query cells (chi-squared test "
    "at 0.05, scib-metrics). Says nothing about biology: a constant latent mixes best.",
    "doi": "10.1038/s41592-018-0254-1",
}


def kbet(latent: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) batches."""
    from scib_metrics import kbet as by_scib

    rate, _, _ = by_scib(neighbors(latent, 50), codes_of(batches))
    return float(rate)
