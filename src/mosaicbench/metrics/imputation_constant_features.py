"""Constant features: how many features Pearson per feature could not score."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import by_feature

CARD = {
    "label": "Constant features",
    "group": "reference",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Number of the target's features whose true values do not vary over the query cells, so that no correlation "
    "exists.",
    "doi": "",
}


def imputation_constant_features(truth: np.ndarray) -> float:
    """Return the number of columns of truth, (cells, features), without variance."""
    return float(sum((np.ptp(x, axis=1) == 0).sum() for _, (x,) in by_feature(truth=truth)))
