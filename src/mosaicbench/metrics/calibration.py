"""Whether measured values are distributed as the draws of an imputation.

A truth that is one more draw is equally likely in each of the D + 1 places between and around D
draws. Its probability integral transform (PIT) is the interval [k, k + 1] / (D + 1) of its place k.
A truth that equals some draws has all the places around them, in equal parts.

Source: Czado, Gneiting and Held 2009 (the non-randomised PIT), doi 10.1111/j.1541-0420.2009.01191.x.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mosaicbench.metrics._checks import Undefined, at_least, finite

CARDS = {
    "coverage_50": {
        "label": "Coverage of 50 % intervals",
        "group": "calibration",
        "best": 0.5,
        "better": "nearer",
        "bounds": [0.0, 1.0],
        "definition": "Fraction of measured values that fall into the central 50 % of their draws, "
        "over a sample of query cells and features: 50 % of a calibrated prediction, less if it is "
        "overconfident, more if it is underconfident, 0 where all draws are one wrong value. A "
        "value that equals some draws has equal parts in all their places.",
        "doi": "10.1111/j.1467-9868.2007.00587.x",
        "exempt_from": {"best_is_a_bound": "neither more nor less is better"},
    },
    "coverage_90": {
        "like": "coverage_50",
        "label": "Coverage of 90 % intervals",
        "best": 0.9,
        "definition": "Fraction of measured values that fall into the central 90 % of their draws, "
        "over a sample of query cells and features: 90 % of a calibrated prediction, less if it is "
        "overconfident, more if it is underconfident, 0 where all draws are one wrong value. A "
        "value that equals some draws has equal parts in all their places.",
    },
    "pit_distance": {
        "label": "PIT distance from uniform",
        "group": "calibration",
        "best": 0.0,
        "better": "lower",
        "bounds": [0.0, 0.5],
        "definition": "Mean over features, and over the levels that D draws tell apart (1 / (D + "
        "1) to D / (D + 1)), of the difference between a level and the fraction of measured values "
        "below that quantile of their draws. 0 is calibrated, about 0.02 is what 200 cells leave "
        "of it by chance, 0.24 or more is a prediction of one value. It does not reward "
        "information: draws from all train cells are calibrated, too. The histogram of ten bins "
        "over all features is pit_histogram in features.tsv.",
        "doi": "10.1111/j.1541-0420.2009.01191.x",
        "by_bin": "pit_histogram",
    },
    "imputation_crps": {
        "label": "Imputation CRPS",
        "group": "calibration",
        "best": 0.0,
        "better": "lower",
        "bounds": [None, None],
        "definition": "Mean over a sample of query cells and features of the continuous ranked "
        "probability score: the mean distance of the draws from the measured value, less half the "
        "mean distance between two draws, in the feature's standard deviations over train cells. "
        "It rewards draws that are near and as wide as they have to be; a prediction of one value "
        "has its mean absolute error. The fair form, whose expectation does not depend on the "
        "number of draws.",
        "doi": "10.1002/qj.2270",
        "exempt_from": {
            "best_is_a_bound": "few draws may by chance be farther from each other than from the "
            "truth",
        },
    },
    "imputation_crps_skill": {
        "label": "Skill of imputation CRPS",
        "group": "calibration",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [None, None],
        "definition": "1 - CRPS / CRPS0, both summed over a sample of query cells and features, "
        "with CRPS0 that of draws from the measured values of the other query cells: half their "
        "mean distance. 0 predicts the distribution of each feature and nothing about the cell.",
        "doi": "10.1002/qj.2270",
        "exempt_from": {
            "best_is_a_bound": "few draws may by chance be farther from each other than from the "
            "truth",
            "shuffled_is_chance": "draws for another cell are certain of its values: chance are "
            "draws from all cells",
        },
    },
}

TIED = 1e-4  # standard deviations; nearer draws equal the truth, for single precision rounds
BINS = 10


def coverage_50(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> float:
    """Return the fraction of the truth inside the central half of the draws.

    Undefined without cells or features, or with fewer than two draws.
    """
    return float(_mass_between(0.25, 0.75, _transforms(draws, drawn_truth, drawn_std)).mean())


def coverage_90(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> float:
    """Return the fraction inside the central 90 %."""
    low = (1 - 90 / 100) / 2
    return float(_mass_between(low, 1 - low, _transforms(draws, drawn_truth, drawn_std)).mean())


def pit_distance(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> float:
    """Return the mean distance over features."""
    return float(pit_distance_by_feature(draws, drawn_truth, drawn_std).mean())


def pit_distance_by_feature(
    draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray
) -> np.ndarray:
    """Return the distance of each feature, (features,)."""
    first, last = _transforms(draws, drawn_truth, drawn_std)
    levels = np.arange(1, draws.shape[2] + 1) / (draws.shape[2] + 1)
    below = [np.clip((level - first) / (last - first), 0, 1).mean(axis=0) for level in levels]
    return np.abs(np.array(below) - levels[:, None]).mean(axis=0)


def pit_distance_by_bin(
    draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray
) -> np.ndarray:
    """Return the number of PITs in each of ten bins, (bins,); a PIT may have parts in several."""
    ends = _transforms(draws, drawn_truth, drawn_std)
    bins = pairwise(np.linspace(0, 1, BINS + 1))
    return np.array([_mass_between(low, high, ends).sum() for low, high in bins])


def imputation_crps(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> float:
    """Return the mean score over cells and features; undefined if none varies over train cells."""
    return float(_crps(draws, drawn_truth, drawn_std).mean())


def imputation_crps_by_cell(
    draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray
) -> np.ndarray:
    """Return the mean score of each cell, (cells,)."""
    return _crps(draws, drawn_truth, drawn_std).mean(axis=1)


def imputation_crps_by_feature(
    draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray
) -> np.ndarray:
    """Return the mean score of each feature, (features,); NaN if constant over the train cells."""
    scores = np.full(drawn_truth.shape[1], np.nan)
    scores[np.asarray(drawn_std) > 0] = _crps(draws, drawn_truth, drawn_std).mean(axis=0)
    return scores


def imputation_crps_skill(
    draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray
) -> float:
    """Return 1 less the ratio to the score of draws from all cells; undefined for one cell."""
    score = _crps(draws, drawn_truth, drawn_std)
    at_least(2, score)
    std = np.asarray(drawn_std, dtype=np.float64)
    truth = np.asarray(drawn_truth, dtype=np.float64)[:, std > 0] / std[std > 0]
    of_all = _mean_distance(truth.T) / 2  # (features,)
    if not of_all.sum():
        raise Undefined("no value of the truth differs from another: there is nothing to predict")
    return float(1 - score.mean(axis=0).sum() / of_all.sum())


def _checked(draws: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    draws, truth = finite(draws), finite(truth)
    if draws.ndim != 3 or draws.shape[:2] != truth.shape:
        raise ValueError(f"draws of shape {draws.shape} do not fit a truth of shape {truth.shape}")
    if not truth.size or draws.shape[2] < 2:
        raise Undefined(
            f"at least a cell, a feature and two draws are needed, found shape {draws.shape}"
        )
    return draws, truth


def _transforms(
    draws: np.ndarray, truth: np.ndarray, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper end of each PIT, (cells, features)."""
    draws, truth = _checked(draws, truth)
    difference = draws - truth[:, :, None]
    near = TIED * finite(std)[:, None]
    below = (difference < -near).sum(axis=2)
    tied = (np.abs(difference) <= near).sum(axis=2)
    places = draws.shape[2] + 1
    return below / places, (below + tied + 1) / places


def _mass_between(low: float, high: float, ends: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    first, last = ends
    return np.clip(np.minimum(last, high) - np.maximum(first, low), 0, None) / (last - first)


def _crps(draws: np.ndarray, truth: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return the fair CRPS in train standard deviations, (cells, features that vary).

    mean |x - y| - sum_{i < j} |x_i - x_j| / (D (D - 1)), over the draws x_1 ... x_D of the truth y.

    Source: Ferro 2014, doi 10.1002/qj.2270.
    """
    draws, truth = _checked(draws, truth)
    std = finite(std)
    varies = std > 0
    if not varies.any():
        raise Undefined("no feature that was drawn varies over the train cells")
    x, y = draws[:, varies] / std[varies, None], truth[:, varies] / std[varies]
    return np.abs(x - y[:, :, None]).mean(axis=2) - _mean_distance(x) / 2


def _mean_distance(values: np.ndarray) -> np.ndarray:
    n = values.shape[-1]
    weights = 2 * np.arange(1, n + 1) - n - 1  # of values in order
    return 2 * np.sort(values, axis=-1) @ weights / (n * (n - 1))
