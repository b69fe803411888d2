"""The best scores of an imputation that the sampling of molecules leaves to any method.

A method that knows the rates of all molecules predicts the mean of a value given its rate. What
remains is the noise of counting. The fraction of a variance that is not noise is the reliability,
the correlation of two measurements of the same cells. Its root is the largest Pearson's r.
"""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Matrix, Undefined, by_cell, by_feature, finite

CARDS = {
    "imputation_pearson_per_feature_ceiling": {
        "label": "Ceiling of Pearson per feature",
        "group": "reference",
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "The largest mean Pearson per feature of any method: the mean over features "
        "of the root of reliability, 1 - noise / variance across query cells, at its upper bound "
        "for the mean and variance of reliability over features. The noise is the variance that "
        "counting molecules gives to a value of known rate (Poisson), estimated from the counts. A "
        "property of the data, the same for every run; none for values that are no counts, or "
        "binary.",
    },
    "imputation_skill_ceiling": {
        "like": "imputation_pearson_per_feature_ceiling",
        "label": "Ceiling of imputation skill",
        "bounds": [None, 1.0],
        "definition": "1 - noise / SSE(train mean), both summed over query cells and features, "
        "each feature in units of its standard deviation over train cells: the largest skill of "
        "any method. The noise is that of the ceiling of Pearson per feature.",
    },
}


def imputation_pearson_per_feature_ceiling(truth: Matrix, noise: Matrix) -> float:
    """Return the mean root over features; undefined if no feature of the truth varies."""
    blocks = [_reliabilities(x, v) for x, v in by_feature(truth, noise)]
    return _largest_mean_root(*np.concatenate(blocks, axis=1))


def imputation_skill_ceiling(
    truth: Matrix, noise: Matrix, train_mean: np.ndarray, train_std: np.ndarray
) -> float:
    """Return 1 less the ratio of noise to the train mean's error; undefined if that is perfect."""
    mean, std = finite(train_mean), finite(train_std)
    used = std > 0
    of_noise = of_mean = 0.0
    for _, (x, v) in by_cell(truth, noise):
        of_noise += (v[:, used] / std[used] ** 2).sum()
        of_mean += (((x - mean)[:, used] / std[used]) ** 2).sum()
    if of_mean == 0:
        raise Undefined("the truth equals the train mean everywhere: there is nothing to gain")
    return float(min(1, 1 - of_noise / of_mean))


def _reliabilities(x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return each feature's reliability and the square of its standard error, (2, features that vary)."""
    varies = np.ptp(x, axis=1) > 0
    x, noise = x[varies], noise[varies]
    squares = (x - x.mean(axis=1, keepdims=True)) ** 2
    variance = squares.sum(axis=1, keepdims=True) / (x.shape[1] - 1)
    fraction = noise.mean(axis=1, keepdims=True) / variance
    influence = (noise - fraction * squares) / variance
    return np.array([1 - fraction[:, 0], influence.var(axis=1) / x.shape[1]])


def _largest_mean_root(reliability: np.ndarray, squared_error: np.ndarray) -> float:
    """Return the largest mean root of values in [0, 1] with the mean and variance of reliabilities.

    Some values are 1 then, the others equal.
    """
    if not len(reliability):
        raise Undefined("nothing of the truth varies, so there is nothing to predict")
    mean = float(np.clip(reliability.mean(), 0, 1))
    if mean == 1:
        return 1.0
    beyond_errors = reliability.var() - squared_error.mean()
    variance = float(np.clip(beyond_errors, 0, mean * (1 - mean)))
    ones = variance / (variance + (1 - mean) ** 2)
    others = max(0, mean - variance / (1 - mean))
    return ones + (1 - ones) * others**0.5
