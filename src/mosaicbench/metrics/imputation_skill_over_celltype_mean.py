"""Skill over the cell-type mean: what an imputation knows beyond the cell's type."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import finite
from mosaicbench.metrics.imputation_skill import share_of_error_gone

CARD = {
    "label": "Imputation skill over cell-type mean",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "1 - SSE(imputed) / SSE(cell-type mean), squared errors summed over query cells and features, each feature "
    "in units of its standard deviation over train cells, one that is constant there as it is; the cell-type mean is "
    "the mean profile of the train cells of the query cell's true type, and the mean of all train cells where "
    "the type is unknown or has no train cell. 0 is perfect knowledge of the type and of nothing else.",
    "doi": "",
    "lacks": {
        "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
        "train_mean_is_chance": "chance is another predictor",
    },
}


def imputation_skill_over_celltype_mean(
    truth: np.ndarray,
    imputed: np.ndarray,
    train_std: np.ndarray,
    celltype_profiles: np.ndarray,
    celltype_of: np.ndarray,
) -> float:
    """Return 1 less the ratio of squared errors.

    Parameters
    ----------
    truth, imputed
        (cells, features), dense or sparse.
    train_std
        (features,) over train cells.
    celltype_profiles, celltype_of
        (types, features) mean profiles, and (cells,) the row of each cell's own.

    Raises
    ------
    ValueError
        When shapes differ or a value is not finite.
    Undefined
        When the cell-type mean is already perfect.
    """
    profiles = finite("celltype_profiles", celltype_profiles)
    return share_of_error_gone(
        truth, imputed, train_std, lambda cells: profiles[celltype_of[cells]], of="cell-type mean"
    )
