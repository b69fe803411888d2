"""Pearson per feature: which cells have more of a feature."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._correlation import average_correlation, pearson_columns

CARD = {
    "label": "Imputation Pearson per feature",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [-1.0, 1.0],
    "definition": "The {average} over features of Pearson's r between imputed and true values across query cells, in the "
    "target's value space; a feature imputed as a constant counts 0, a feature whose truth is constant is left out and "
    "counted.",
    "doi": "",
    "variants": {
        "imputation_pearson_per_feature": {"keywords": {"average": "mean"}},
        "imputation_pearson_per_feature_median": {
            "keywords": {"average": "median"},
            "label": "Imputation Pearson per feature, median",
        },
    },
}


def imputation_pearson_per_feature(truth: np.ndarray, imputed: np.ndarray, *, average: str) -> float:
    """Return the mean or median Pearson correlation over features, from (cells, features) arrays, dense or sparse.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When no feature of the truth varies.
    """
    return average_correlation(pearson_columns(truth, imputed), of="feature", average=average)


def per_feature(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return r of each feature, (features,); NaN where the truth does not vary."""
    return pearson_columns(truth, imputed)
