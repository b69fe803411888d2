"""Known factors of a simulation, predicted from a latent: those that it should hold, and those that should not leak into it."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, at_least, finite

CARD = {
    "group": "disentanglement",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [None, 1.0],
    "doi": "10.48550/arXiv.2403.06338",
    "lacks": {"cell_order": "divides the cells into folds", "perfect_is_best": "best is a limit"},
    "variants": {
        "shared_factors_r2": {
            "takes": {"factors": "shared_factors"},
            "label": "R² of shared factors",
            "definition": "Mean over the true shared factors of a simulation of R² of their ridge regression on the latent, "
            "5-fold over the query cells.",
        },
        "private_factors_r2": {
            "takes": {"latent": "private_latent", "factors": "private_factors"},
            "label": "R² of private factors",
            "definition": "Mean over the true private factors of the modality, in a simulation, of R² of their ridge "
            "regression on the modality's private latent, 5-fold over the query cells.",
        },
        "private_factors_leak": {
            "takes": {"factors": "private_factors"},
            "keywords": {"leak": True},
            "label": "Leak of private factors",
            "best": 0.0,
            "better": "lower",
            "chance": None,
            "bounds": [0.0, 1.0],
            "definition": "Mean over the true private factors of the modality, in a simulation, of R² of their ridge "
            "regression on the modality's latent, 5-fold over the query cells; 0 where it is negative. A latent that holds "
            "nothing leaks nothing: read it beside the R² of the shared factors.",
            "lacks": {
                "cell_order": "divides the cells into folds",
                "noise_never_improves": "noise hides what leaks",
                "collapse_is_not_rewarded": "what holds nothing leaks nothing",
            },
        },
        "shared_factors_leak": {
            "takes": {"latent": "private_latent", "factors": "shared_factors"},
            "keywords": {"leak": True},
            "label": "Leak of shared factors",
            "best": 0.0,
            "better": "lower",
            "chance": None,
            "bounds": [0.0, 1.0],
            "definition": "Mean over the true shared factors of a simulation of R² of their ridge regression on the private "
            "latent, 5-fold over the query cells; 0 where it is negative. A block that holds nothing leaks nothing: read it "
            "beside the R² of the private factors.",
            "lacks": {
                "cell_order": "divides the cells into folds",
                "perfect_is_best": "the private latent of the tests' cells holds shared factors",
                "noise_never_improves": "noise hides what leaks",
                "collapse_is_not_rewarded": "what holds nothing leaks nothing",
            },
        },
    },
}

FOLDS = 5


def factors_r2(latent: np.ndarray, factors: np.ndarray, *, leak: bool = False) -> float:
    """Return the mean over factors of R2 of their ridge regression on the latent, over held-out cells of five folds.

    Parameters
    ----------
    latent
        (cells, dims).
    factors
        (cells, factors).
    leak
        Whether what is below 0 counts as 0.

    Raises
    ------
    ValueError
        When the numbers of cells differ or a value is not finite.
    Undefined
        When there are fewer than five cells, no factor, or a factor does not vary.
    """
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score

    z, w = finite("latent", latent), finite("factors", factors)
    if len(z) != len(w):
        raise ValueError(f"{len(w)} rows of factors do not match {len(z)} cells")
    at_least(FOLDS, z)
    if w.shape[1] == 0 or np.any(np.ptp(w, axis=0) == 0):
        raise Undefined("there is no factor that varies over the query cells")
    spread = z.std(axis=0)
    z = (z - z.mean(axis=0)) / np.where(spread > 0, spread, 1)
    fold = np.random.default_rng(0).permutation(len(z)) % FOLDS
    predicted = np.empty_like(w)
    for held_out in range(FOLDS):
        train = fold != held_out
        predicted[~train] = (
            Ridge(1.0).fit(z[train], w[train]).predict(z[~train]).reshape(-1, w.shape[1])
        )
    r2 = float(r2_score(w, predicted))
    return max(0.0, r2) if leak else r2
