"""Skill of imputation: the share of the train mean's squared error that is gone."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import finite
from mosaicbench.metrics._correlation import BLOCK, matched_shapes

CARD = {
    "label": "Imputation skill",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "1 - SSE(imputed) / SSE(train mean), squared errors summed over query cells and features, each feature in units of its "
    "standard deviation over train cells (LSI components in one common unit); 0 is the train mean.",
    "doi": "",
}


def imputation_skill(truth: np.ndarray, imputed: np.ndarray, train_mean: np.ndarray, train_std: np.ndarray) -> float:
    """Return 1 less the ratio of squared errors; (cells, features) arrays and (features,) moments of the train cells."""
    matched_shapes(truth, imputed)
    errors = free = 0.0
    for start in range(0, truth.shape[0], BLOCK):
        x, y = (finite(name, array[start : start + BLOCK]) for name, array in (("truth", truth), ("imputed", imputed)))
        errors += float((((x - y) / train_std) ** 2).sum())
        free += float((((x - train_mean) / train_std) ** 2).sum())
    if free == 0:
        raise ValueError("the truth equals the train mean everywhere: there is nothing to gain")
    return 1 - errors / free
