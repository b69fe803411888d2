"""Skill of imputation: the share of the train mean's squared error that is gone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mosaicbench.metrics._blocks import by_cell
from mosaicbench.metrics._checks import Undefined, finite

CARD = {
    "label": "Imputation skill",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "1 - SSE(imputed) / SSE(train mean), squared errors summed over query cells and features, each feature in "
    "units of its standard deviation over train cells (LSI components in one common unit, a feature that is constant there as "
    "it is); 0 is the train mean.",
    "doi": "",
    "lacks": {
        "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
    },
}


def imputation_skill(
    truth: np.ndarray, imputed: np.ndarray, train_mean: np.ndarray, train_std: np.ndarray
) -> float:
    """Return 1 less the ratio of squared errors; (cells, features) matrices and (features,) moments of the train cells.

    Raises
    ------
    ValueError
        When shapes differ or a value is not finite.
    Undefined
        When the train mean is already perfect.
    """
    mean = finite("train_mean", train_mean)
    return share_of_error_gone(truth, imputed, train_std, lambda cells: mean, of="train mean")


def share_of_error_gone(
    truth: np.ndarray,
    imputed: np.ndarray,
    train_std: np.ndarray,
    guess: Callable[[slice], np.ndarray],
    *,
    of: str,
) -> float:
    """Return 1 less the ratio of the imputation's squared errors to those of a guess, which is called `of` in an error.

    The guess is given some cells' places, and returns one profile for all or one for each; features without a standard
    deviation are left out.
    """
    std = finite("train_std", train_std)
    used = std > 0
    errors = free = 0.0
    for part, (x, y) in by_cell(truth=truth, imputed=imputed):
        errors += (((x - y)[:, used] / std[used]) ** 2).sum()
        free += (((x - guess(part))[:, used] / std[used]) ** 2).sum()
    if free == 0:
        raise Undefined(f"the truth equals the {of} everywhere: there is nothing to gain")
    return float(1 - errors / free)
