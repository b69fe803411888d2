"""Pearson per feature, mean over features: which cells have more of a feature."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._correlation import mean_correlation, pearson_columns

CARD = {
    "label": "Imputation Pearson per feature",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [-1.0, 1.0],
    "definition": "Mean over features of Pearson's r between imputed and true values across query cells, in the target's "
    "value space; a feature imputed as a constant counts 0, a feature whose truth is constant is left out and "
    "counted.",
    "doi": "",
}


def imputation_pearson_per_feature(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return the mean Pearson correlation over features, from (cells, features) arrays, dense or sparse.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When no feature of the truth varies.
    """
    return mean_correlation(pearson_columns(truth, imputed), "feature")
