"""Silhouette of the cell types: how far the types lie apart, for their width."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._graph import labelled
from mosaicbench.metrics._silhouette import widths

CARD = {
    "label": "Label silhouette",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "Mean silhouette width of the cell types over query cells with a label, (1 + width) / 2 (as in "
    "scib-metrics).",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {"perfect_is_best": "best is a limit"},
}


def label_silhouette(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels."""
    return float((1 + widths(*labelled(latent, labels)).mean()) / 2)
