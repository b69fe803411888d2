"""Draws of a prediction beside the truth: where it falls among them, and how far it is from them.

A truth that is one more draw is as likely in each of the D + 1 places between and around D draws. Its probability integral
transform (PIT) is the interval [k, k + 1] / (D + 1) of its place k. A truth that equals some draws has all the places around
them, in equal parts, so zeros among zeros are no fault, and nothing depends on chance.

Source: Czado, Gneiting and Held 2009 (the non-randomised PIT), doi 10.1111/j.1541-0420.2009.01191.x.
"""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, finite

TIED = 1e-4  # standard deviations: draws as near are equal to the truth, for they were standardised in single precision


def checked(draws: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return draws, (cells, features, draws), and the truth, (cells, features), as float64.

    Raises
    ------
    ValueError
        When the shapes do not fit or a value is not finite.
    Undefined
        When there are no cells, no features, or fewer than two draws.
    """
    draws, truth = finite("draws", draws), finite("drawn_truth", truth)
    if draws.ndim != 3 or draws.shape[:2] != truth.shape:
        raise ValueError(f"draws of shape {draws.shape} do not fit a truth of shape {truth.shape}")
    if not truth.size or draws.shape[2] < 2:
        raise Undefined(
            f"at least a cell, a feature and two draws are needed, found shape {draws.shape}"
        )
    return draws, truth


def transforms(
    draws: np.ndarray, truth: np.ndarray, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper end of each PIT, (cells, features); `std` is that of the train cells, (features,)."""
    difference = draws - truth[:, :, None]
    near = TIED * finite("drawn_std", std)[:, None]
    below = (difference < -near).sum(axis=2)
    tied = (np.abs(difference) <= near).sum(axis=2)
    places = draws.shape[2] + 1
    return below / places, (below + tied + 1) / places


def mass_between(low: float, high: float, ends: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the part of each PIT that lies between two levels, (cells, features)."""
    first, last = ends
    return np.clip(np.minimum(last, high) - np.maximum(first, low), 0, None) / (last - first)


def crps(draws: np.ndarray, truth: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return the fair continuous ranked probability score of each cell and feature, in train standard deviations.

    mean |x - y| - sum_{i < j} |x_i - x_j| / (D (D - 1)), over the draws x_1 ... x_D of the truth y. Its expectation is the
    score of the distribution that the draws are of, however few they are. Features without a standard deviation are left out.

    Source: Ferro 2014, doi 10.1002/qj.2270.

    Returns
    -------
    numpy.ndarray
        (cells, features that vary).
    """
    draws, truth = checked(draws, truth)
    std = finite("drawn_std", std)
    varies = std > 0
    if not varies.any():
        raise Undefined("no feature that was drawn varies over the train cells")
    x, y = draws[:, varies] / std[varies, None], truth[:, varies] / std[varies]
    return np.abs(x - y[:, :, None]).mean(axis=2) - mean_distance(x) / 2


def mean_distance(values: np.ndarray) -> np.ndarray:
    """Return the mean |x_i - x_j| over all pairs along the last axis."""
    n = values.shape[-1]
    weights = 2 * np.arange(1, n + 1) - n - 1  # of values in order
    return 2 * np.sort(values, axis=-1) @ weights / (n * (n - 1))
