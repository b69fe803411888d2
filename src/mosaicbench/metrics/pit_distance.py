"""PIT: how far the places of the truth among its draws are from equally likely."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mosaicbench.metrics._draws import checked, mass_between, transforms

CARD = {
    "label": "PIT distance from uniform",
    "group": "calibration",
    "best": 0.0,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, 0.5],
    "definition": "Mean over features, and over the levels that D draws tell apart (1 / (D + 1) to D / (D + 1)), of the "
    "difference between a level and the share of measured values below that quantile of their draws. 0 is calibrated, about "
    "0.02 is what 200 cells leave of it by chance, 0.24 or more is a prediction of one value. Blind to how much is known: "
    "draws from all train cells are calibrated, too. The histogram of ten bins over all features is pit_histogram in "
    "features.tsv.",
    "doi": "10.1111/j.1541-0420.2009.01191.x",
    "by_bin": "pit_histogram",
}
BINS = 10


def pit_distance(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> float:
    """Return the mean distance, from (cells, features, draws), (cells, features) and (features,); errors as of the coverage."""
    return float(per_feature(draws, drawn_truth, drawn_std).mean())


def per_feature(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> np.ndarray:
    """Return the distance of each feature, (features,)."""
    draws, truth = checked(draws, drawn_truth)
    first, last = transforms(draws, truth, drawn_std)
    levels = np.arange(1, draws.shape[2] + 1) / (draws.shape[2] + 1)
    below = [
        np.clip((level - first) / (last - first), 0, 1).mean(axis=0) for level in levels
    ]  # (features,) each
    return np.abs(np.array(below) - levels[:, None]).mean(axis=0)


def per_bin(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> np.ndarray:
    """Return how many measured values have their PIT in each of ten bins, (bins,); parts of one where it spans several."""
    ends = transforms(*checked(draws, drawn_truth), drawn_std)
    return np.array(
        [mass_between(low, high, ends).sum() for low, high in pairwise(np.linspace(0, 1, BINS + 1))]
    )
