"""Skill of Pearson per cell: how much of the way from the train mean's profile to the truth an imputation goes."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined
from mosaicbench.metrics.imputation_pearson_per_cell import imputation_pearson_per_cell

CARD = {
    "label": "Skill of Pearson per cell",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "(r - r0) / (1 - r0), with r the mean Pearson per cell and r0 the one of the train cells' mean profile; 0 is "
    "no better than the same profile for every cell.",
    "doi": "",
    "lacks": {
        "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
    },
}


def imputation_pearson_per_cell_skill(
    truth: np.ndarray, imputed: np.ndarray, train_mean: np.ndarray
) -> float:
    """Return the skill over the train mean; (cells, features) arrays and the (features,) mean over train cells.

    Raises
    ------
    ValueError
        As for the Pearson per cell, and when the train mean is already perfect.
    """
    reached = imputation_pearson_per_cell(truth, imputed)
    free = imputation_pearson_per_cell(truth, np.broadcast_to(train_mean, truth.shape))
    if free == 1:
        raise Undefined("every cell's true profile is the train mean's: there is nothing to gain")
    return float((reached - free) / (1 - free))
