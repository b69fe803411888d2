"""How much of a modality's own variation its latent holds."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import dense
from mosaicbench.metrics._checks import Undefined, at_least, finite

CARD = {
    "label": "R² of own values",
    "group": "disentanglement",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "definition": "R² of ridge regressions (penalty by generalised cross-validation) of a modality's own standardised values "
    "on the latent inferred from it, 5-fold over the query cells, pooled over the features that vary. It needs no truth: what "
    "an adversary costs is read from it.",
    "doi": "",
    "lacks": {
        "cell_order": "divides the cells into folds",
        "perfect_is_best": "best is a limit",
    },
}

FOLDS = 5
PENALTIES = (1, 10, 100, 1000, 10000)


def reconstruction_r2(latent: np.ndarray, values: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells, features) values, dense or sparse.

    Raises
    ------
    ValueError
        When the numbers of cells differ or a value is not finite.
    Undefined
        When there are fewer than five cells, or no feature varies.
    """
    from sklearn.linear_model import RidgeCV

    z, x = finite("latent", latent), finite("values", dense(values))
    if len(z) != len(x):
        raise ValueError(f"{len(x)} rows of values do not match {len(z)} cells")
    at_least(FOLDS, z)
    x = x[:, np.ptp(x, axis=0) > 0]
    if x.shape[1] == 0:
        raise Undefined("no feature varies over the query cells")
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    spread = z.std(axis=0)
    z = (z - z.mean(axis=0)) / np.where(spread > 0, spread, 1)
    fold = np.random.default_rng(0).permutation(len(z)) % FOLDS
    error = 0.0
    for held_out in range(FOLDS):
        test = fold == held_out
        error += np.sum(
            (x[test] - RidgeCV(PENALTIES).fit(z[~test], x[~test]).predict(z[test])) ** 2
        )
    return float(1 - error / np.sum(x**2))
