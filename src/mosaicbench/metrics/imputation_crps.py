"""CRPS: how near the draws of an imputation are to the truth, and how much of their spread is needed."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._draws import crps

CARD = {
    "label": "Imputation CRPS",
    "group": "calibration",
    "best": 0.0,
    "better": "lower",
    "chance": None,
    "bounds": [None, None],
    "definition": "Mean over a sample of query cells and features of the continuous ranked probability score: the mean "
    "distance of the draws from the measured value, less half the mean distance between two draws, in the feature's standard "
    "deviations over train cells. It rewards draws that are near and as wide as they have to be; a prediction of one value "
    "has its mean absolute error. The fair form, whose expectation does not depend on the number of draws.",
    "doi": "10.1002/qj.2270",
    "lacks": {
        "best_is_a_bound": "few draws may by chance lie farther from each other than from the truth",
    },
}


def imputation_crps(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> float:
    """Return the mean score, from (cells, features, draws), (cells, features) and (features,).

    Raises
    ------
    ValueError
        When shapes do not fit or a value is not finite.
    Undefined
        When there are no cells, fewer than two draws, or no feature varies over the train cells.
    """
    return float(crps(draws, drawn_truth, drawn_std).mean())


def per_cell(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> np.ndarray:
    """Return the mean score of each cell, (cells,)."""
    return crps(draws, drawn_truth, drawn_std).mean(axis=1)


def per_feature(draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray) -> np.ndarray:
    """Return the mean score of each feature, (features,); NaN where it does not vary over the train cells."""
    found = np.full(drawn_truth.shape[1], np.nan)
    found[np.asarray(drawn_std) > 0] = crps(draws, drawn_truth, drawn_std).mean(axis=0)
    return found
