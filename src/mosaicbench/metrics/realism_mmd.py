"""Realism: the distance between the distributions of imputed and real cells."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import finite
from mosaicbench.metrics._samples import sampled

CARD = {
    "label": "Realism (MMD)",
    "group": "realism",
    "best": 0.0,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Squared maximum mean discrepancy between imputed and real profiles of up to 2,000 query cells, each "
    "feature in units of its standard deviation over train cells, with a Gaussian kernel whose width is the "
    "median distance between real profiles (biased estimate, so never negative).",
    "doi": "10.5555/2188385.2188410",
}


def realism_mmd(truth: np.ndarray, imputed: np.ndarray, train_std: np.ndarray) -> float:
    """Return it from (cells, features) arrays, dense or sparse, and (features,) standard deviations of the train cells.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    """
    from sklearn.metrics.pairwise import euclidean_distances

    std = finite("train_std", train_std)
    real, made = (
        profiles[:, std > 0] / std[std > 0] for profiles in sampled(truth=truth, imputed=imputed)
    )
    within = euclidean_distances(real, squared=True)
    width = np.median(within[np.triu_indices(len(real), 1)])
    width = width if width > 0 else 1.0
    kernels = [
        np.exp(-d / width)
        for d in (
            within,
            euclidean_distances(made, squared=True),
            euclidean_distances(real, made, squared=True),
        )
    ]
    return float(max(0.0, kernels[0].mean() + kernels[1].mean() - 2 * kernels[2].mean()))
