"""Silhouette of the cell types that are in fewest batches."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._graph import codes_of, labelled
from mosaicbench.metrics._labels import known

CARD = {
    "label": "Isolated labels",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "Mean silhouette width, (1 + width) / 2, of the cell types that occur in the fewest batches, over query "
    "cells with a label (scib-metrics).",
    "doi": "10.1038/s41592-021-01336-8",
}


def isolated_labels(latent: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels and batches."""
    from scib_metrics import isolated_labels as by_scib

    known_latent, codes = labelled(latent, labels)
    return float(by_scib(known_latent, codes, codes_of(batches[known(labels)])))
