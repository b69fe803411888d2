"""Correlation per feature: which cells have more of a feature; by ranks, whatever the scale."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._correlation import average_correlation, pearson_columns, spearman_columns

CARD = {
    "label": "Imputation {of} per feature",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [-1.0, 1.0],
    "definition": "The {average} over features of {of}'s r between imputed and true values across query cells, in the target's "
    "value space; a feature imputed as a constant counts 0, a feature whose truth is constant is left out and counted.",
    "doi": "",
    "variants": {
        "imputation_pearson_per_feature": {"keywords": {"of": "Pearson"}},
        "imputation_pearson_per_feature_median": {
            "keywords": {"of": "Pearson", "average": "median"},
            "label": "Imputation {of} per feature, median",
        },
        "imputation_spearman_per_feature": {"keywords": {"of": "Spearman"}},
        "imputation_spearman_per_feature_median": {
            "keywords": {"of": "Spearman", "average": "median"},
            "label": "Imputation {of} per feature, median",
        },
    },
}

COLUMNS = {"Pearson": pearson_columns, "Spearman": spearman_columns}


def imputation_correlation_per_feature(
    truth: np.ndarray, imputed: np.ndarray, *, of: str, average: str = "mean"
) -> float:
    """Return the mean or median correlation over features.

    Parameters
    ----------
    truth, imputed
        (cells, features), dense or sparse.
    of
        "Pearson" or "Spearman".
    average
        "mean" or "median".

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When no feature of the truth varies.
    """
    return average_correlation(COLUMNS[of](truth, imputed), of="feature", average=average)


def per_feature(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Pearson's r of each feature, (features,); NaN where the truth does not vary."""
    return pearson_columns(truth, imputed)
