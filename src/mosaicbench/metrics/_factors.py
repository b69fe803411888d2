"""Known factors of a simulation, predicted from a latent."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, finite

FOLDS = 5


def predicted_r2(latent: np.ndarray, factors: np.ndarray) -> float:
    """Return the mean over factors of R2 of their ridge regression on the latent, over held-out cells of five folds.

    Parameters
    ----------
    latent
        (cells, dims).
    factors
        (cells, factors).

    Raises
    ------
    ValueError
        When the numbers of cells differ or a value is not finite.
    Undefined
        When there is no factor, or a factor does not vary.
    """
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score

    z, w = finite("latent", latent), finite("factors", factors)
    if len(z) != len(w):
        raise ValueError(f"{len(w)} rows of factors do not match {len(z)} cells")
    if w.shape[1] == 0 or np.any(np.ptp(w, axis=0) == 0):
        raise Undefined("there is no factor that varies over the query cells")
    spread = z.std(axis=0)
    z = (z - z.mean(axis=0)) / np.where(spread > 0, spread, 1)
    fold = np.random.default_rng(0).permutation(len(z)) % FOLDS
    predicted = np.empty_like(w)
    for held_out in range(FOLDS):
        train = fold != held_out
        predicted[~train] = Ridge(1.0).fit(z[train], w[train]).predict(z[~train])
    return float(r2_score(w, predicted))
