"""Skill of CRPS: how much nearer draws for each cell are than draws from all cells."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined
from mosaicbench.metrics._draws import crps, mean_distance

CARD = {
    "label": "Skill of imputation CRPS",
    "group": "calibration",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, None],
    "definition": "1 - CRPS / CRPS0, both summed over a sample of query cells and features, with CRPS0 that of draws from the"
    " measured values of the other query cells: half their mean distance. 0 knows the distribution of each feature and "
    "nothing of the cell.",
    "doi": "10.1002/qj.2270",
    "lacks": {
        "best_is_a_bound": "few draws may by chance lie farther from each other than from the truth",
        "shuffled_is_chance": "draws for another cell are sure of its values: chance are draws from all cells",
    },
}


def imputation_crps_skill(
    draws: np.ndarray, drawn_truth: np.ndarray, drawn_std: np.ndarray
) -> float:
    """Return the share of the score of draws from all cells that is gone.

    Raises
    ------
    ValueError
        When shapes do not fit or a value is not finite.
    Undefined
        When there are fewer than two cells or draws, or no feature varies.
    """
    score = crps(draws, drawn_truth, drawn_std)
    if len(score) < 2:
        raise Undefined(f"at least 2 cells are needed, found {len(score)}")
    std = np.asarray(drawn_std, dtype=np.float64)
    free = (
        mean_distance((np.asarray(drawn_truth, dtype=np.float64)[:, std > 0] / std[std > 0]).T) / 2
    )  # (features,)
    if not free.sum():
        raise Undefined("no value of the truth differs from another: there is nothing to predict")
    return float(1 - score.mean(axis=0).sum() / free.sum())
