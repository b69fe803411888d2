"""R2 per feature: the share of a feature's variance over cells that is predicted, median over features."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import by_feature
from mosaicbench.metrics._correlation import average_correlation

CARD = {
    "label": "Imputation R² per feature, median",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "Median over features of 1 - SSE / SST across query cells, in the target's value space, SST about the "
    "query cells' own mean; a feature whose truth is constant is left out and counted. The median, for the "
    "mean is ruled by features that hardly vary. No predictor that does not look at the query cells exceeds 0.",
    "doi": "",
    "lacks": {
        "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
        "train_mean_is_chance": "chance is another predictor",
    },
}


def imputation_r2_per_feature(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return the median coefficient of determination over features, from (cells, features) arrays, dense or sparse.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When no feature of the truth varies.
    """
    found = [_r2(x, y) for _, (x, y) in by_feature(truth=truth, imputed=imputed)]
    return average_correlation(np.concatenate(found), of="feature", average="median")


def _r2(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return R2 of each row, (rows,); NaN where the truth does not vary."""
    varies = np.ptp(truth, axis=1) > 0
    largest = np.abs(truth).max(axis=1, keepdims=True)
    truth, imputed = (
        x / np.where(largest > 0, largest, 1) for x in (truth, imputed)
    )  # else squares over- or underflow
    errors = ((truth - imputed) ** 2).sum(axis=1)
    total = ((truth - truth.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return 1 - np.divide(errors, total, out=np.full(len(truth), np.nan), where=varies)
