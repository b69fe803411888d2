"""Local inverse Simpson index of the cell types: how pure neighbourhoods are."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._graph import labelled
from mosaicbench.metrics._lisi import median_lisi

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
    types = codes.max() + 1
    return float((types - median_lisi(known_latent, codes)) / (types - 1))
