"""Realism: whether a fresh classifier can tell imputed cells from real ones."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import at_least, finite
from mosaicbench.metrics._samples import sampled

CARD = {
    "label": "Realism (classifier AUC)",
    "group": "realism",
    "best": 0.5,
    "better": "lower",
    "chance": None,
    "bounds": [0.5, 1.0],
    "definition": "Area under the ROC curve of a random forest that tells imputed from real profiles of query cells, 3-fold, "
    "both profiles of a cell in the same fold, on up to 2,000 cells, values rounded to 0.001 sd; 0.5 is indistinguishable, "
    "and values below it are given as 0.5.",
    "doi": "",
    "lacks": {
        "cell_order": "divides the cells into folds",
    },
}

DECIMALS = 3  # of a standard deviation: a tree would tell 0 from 1e-8, the rounding of an imputation in other units


def realism_auc(truth: np.ndarray, imputed: np.ndarray, train_std: np.ndarray) -> float:
    """Return it from (cells, features) arrays, dense or sparse, and (features,) standard deviations of the train cells.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When there are fewer than six cells.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    std = finite("train_std", train_std)
    real, made = (
        np.round(x / np.where(std > 0, std, 1), DECIMALS)
        for x in sampled(truth=truth, imputed=imputed)
    )
    at_least(6, real)
    fold = np.random.default_rng(0).permutation(len(real)) % 3
    chance = np.empty(
        (2, len(real))
    )  # of being imputed, for the real and the imputed profile of each cell
    for held_out in range(3):
        train, test = fold != held_out, fold == held_out
        forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)
        forest.fit(np.concatenate([real[train], made[train]]), np.repeat([0, 1], train.sum()))
        chance[:, test] = [forest.predict_proba(profiles[test])[:, 1] for profiles in (real, made)]
    return float(max(0.5, roc_auc_score(np.repeat([0, 1], len(real)), chance.ravel())))
