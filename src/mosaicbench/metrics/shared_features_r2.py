"""R2 of the imputed features that shared factors drive, in a simulation: what a modality can tell of another at all."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import dense
from mosaicbench.metrics._checks import same_shape
from mosaicbench.metrics.imputation_r2_per_feature import imputation_r2_per_feature

CARD = {
    "label": "R² of shared features",
    "group": "disentanglement",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "As the imputation R² per feature (median over features), over the features that the shared factors of a "
    "simulation drive. The others follow private factors, which nothing in the source modality tells.",
    "doi": "10.48550/arXiv.2403.06338",
    "lacks": {
        "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
        "train_mean_is_chance": "chance is another predictor",
    },
}


def shared_features_r2(truth: np.ndarray, imputed: np.ndarray, shared_driven: np.ndarray) -> float:
    """Return it from (cells, features) arrays and a (features,) mask; errors as for ``imputation_r2_per_feature``."""
    same_shape(truth=truth, imputed=imputed)
    columns = np.flatnonzero(shared_driven)
    return imputation_r2_per_feature(dense(truth[:, columns]), dense(imputed[:, columns]))
