"""Cosine per cell: how alike the directions of the imputed and the true profile of a cell are."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import by_cell
from mosaicbench.metrics._checks import Undefined

CARD = {
    "label": "Imputation cosine per cell",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [-1.0, 1.0],
    "definition": "Mean over query cells of the cosine between imputed and true profile, in the target's value space; a cell "
    "imputed as zeros counts 0, a cell whose truth is zeros has no cosine. Nearly blind where values are not "
    "centred: one profile for every cell scores high; it is here because publications give it.",
    "doi": "",
    "lacks": {
        "collapse_is_not_rewarded": "is nearly blind, as its definition warns",
    },
}


def imputation_cosine_per_cell(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return the mean cosine over cells, from (cells, features) arrays, dense or sparse.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When every cell's truth is zeros.
    """
    total, cells = 0.0, 0
    for _, (x, y) in by_cell(truth=truth, imputed=imputed):
        x, y = (
            rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(float).tiny)
            for rows in (x, y)
        )
        lengths = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
        both = (lengths[0] > 0) & (lengths[1] > 0)
        total += (
            np.einsum("ij,ij->i", x[both], y[both]) / lengths[0][both] / lengths[1][both]
        ).sum()
        cells += (lengths[0] > 0).sum()
    if cells == 0:
        raise Undefined("every cell's true profile is zeros, which have no direction")
    return float(np.clip(total / cells, -1, 1))
