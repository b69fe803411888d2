"""Root mean squared error of imputation."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import by_cell

CARD = {
    "label": "Imputation RMSE",
    "group": "imputation",
    "best": 0.0,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Root of the mean over query cells and features of the squared difference between imputed and true values, "
    "in units of the target's value space.",
    "doi": "",
}


def imputation_rmse(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return the root mean squared error, from (cells, features) arrays, dense or sparse.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    """
    total = sum(((x - y) ** 2).sum() for _, (x, y) in by_cell(truth=truth, imputed=imputed))
    return float(np.sqrt(total / np.prod(np.shape(truth))))
