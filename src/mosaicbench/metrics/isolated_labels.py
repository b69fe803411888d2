"""Silhouette of the cell types that are in fewest batches."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined
from mosaicbench.metrics._graph import codes_of, labelled, with_batch
from mosaicbench.metrics._labels import known
from mosaicbench.metrics._silhouette import widths

CARD = {
    "label": "Isolated labels",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "Mean silhouette width, (1 + width) / 2, of the cell types that occur in the fewest batches, over query "
    "cells with a label (as in scib-metrics); cells without a batch do not count for those of their type.",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {"perfect_is_best": "best is a limit"},
}


def isolated_labels(latent: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels and batches."""
    known_latent, types = labelled(latent, labels)
    width = np.bincount(types, widths(known_latent, types)) / np.bincount(types)
    return float((1 + width[is_isolated(types, batches[known(labels)])].mean()) / 2)


def is_isolated(types: np.ndarray, batches: np.ndarray) -> np.ndarray:
    """Return which types occur in the fewest batches, (types,), from (cells,) codes of types and names of batches.

    A cell without a batch says nothing of where its type occurs, and a type of such cells alone is not isolated.

    Raises
    ------
    Undefined
        When no cell has a batch.
    """
    rows = with_batch(batches)
    if not rows.any():
        raise Undefined("no labelled query cell has a batch")
    pairs = np.unique(np.stack([types[rows], codes_of(batches[rows])]), axis=1)
    batches_of = np.bincount(pairs[0], minlength=types.max() + 1)  # (types,)
    return batches_of == batches_of[batches_of > 0].min()
