"""Types matched: whether alignment brings the right cell types together, or permutes them."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, matched
from mosaicbench.metrics._labels import known

CARD = {
    "label": "Cell types matched",
    "without_partners": True,
    "group": "label_transfer",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Centroids of the cell types in one modality are assigned to those in the other, one to one, at the least "
    "sum of Euclidean distances; the share of types assigned to themselves. Below 1 a permutation of the types beats the "
    "identity. Where no cell has both modalities, of as many cells of each type from either. Types with at least 5 query "
    "cells; ties count against; 1 / types is chance.",
    "doi": "",
    "lacks": {
        "noise_never_improves": "centroids average noise away",
    },
}

FEWEST = 5  # query cells of a type


def types_matched(latent_a: np.ndarray, latent_b: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents whose rows match, and (cells,) labels.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When fewer than two types have five cells.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    labels = np.asarray(labels, dtype=object)
    if len(labels) != len(a):
        raise ValueError(f"{len(labels)} labels do not match {len(a)} cells")
    names, cells = np.unique(labels[known(labels)].astype(str), return_counts=True)
    names = names[cells >= FEWEST]
    if len(names) < 2:
        raise Undefined(f"fewer than two cell types have {FEWEST} query cells")
    distance = cdist(
        *(np.array([z[labels == name].mean(axis=0) for name in names]) for z in (a, b))
    )
    against_ties = 1e-9 * (1 + max(np.abs(a).max(), np.abs(b).max())) * np.eye(len(names))
    rows, columns = linear_sum_assignment(distance + against_ties)
    return float(np.mean(rows == columns))
