"""Whether shared and private latents encode shared and private factors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mosaicbench.metrics._checks import (
    Matrix,
    Undefined,
    at_least,
    dense,
    finite,
    same_cells,
    same_shape,
)
from mosaicbench.metrics._labels import label_subset
from mosaicbench.metrics._nearest import within_range
from mosaicbench.metrics.imputation import imputation_r2_per_feature

CARDS = {
    "shared_factors_r2": {
        "label": "R² of shared factors",
        "group": "disentanglement",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [None, 1.0],
        "definition": "Mean over the true shared factors of a simulation of R² of their ridge "
        "regression on the latent, 5-fold over the query cells.",
        "doi": "10.48550/arXiv.2403.06338",
        "exempt_from": {
            "cell_order": "divides the cells into folds",
            "perfect_is_best": "best is a limit",
        },
    },
    "private_factors_r2": {
        "like": "shared_factors_r2",
        "label": "R² of private factors",
        "definition": "Mean over the true private factors of the modality, in a simulation, of R² "
        "of their ridge regression on the modality's private latent, 5-fold over the query cells.",
    },
    "private_factors_leak": {
        "label": "Leak of private factors",
        "group": "disentanglement",
        "best": 0.0,
        "better": "lower",
        "bounds": [0.0, 1.0],
        "definition": "Mean over the true private factors of the modality, in a simulation, of R² "
        "of their ridge regression on the modality's latent, 5-fold over the query cells; 0 where "
        "it is negative. An empty latent leaks nothing: read it next to the R² of the shared "
        "factors.",
        "doi": "10.48550/arXiv.2403.06338",
        "exempt_from": {
            "cell_order": "divides the cells into folds",
            "noise_never_improves": "noise hides the leak",
            "collapse_is_not_rewarded": "an empty latent leaks nothing",
        },
    },
    "shared_factors_leak": {
        "like": "private_factors_leak",
        "label": "Leak of shared factors",
        "definition": "Mean over the true shared factors of a simulation of R² of their ridge "
        "regression on the private latent, 5-fold over the query cells; 0 where it is negative. An "
        "empty block leaks nothing: read it next to the R² of the private factors.",
        "exempt_from": {
            "cell_order": "divides the cells into folds",
            "perfect_is_best": "the private latent of the tests' cells holds shared factors",
            "noise_never_improves": "noise hides the leak",
            "collapse_is_not_rewarded": "an empty latent leaks nothing",
        },
    },
    "shared_features_r2": {
        "label": "R² of shared features",
        "group": "disentanglement",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [None, 1.0],
        "definition": "As the imputation R² per feature (median over features), over the features "
        "that the shared factors of a simulation drive. The others follow private factors, of "
        "which the source modality has no information.",
        "doi": "10.48550/arXiv.2403.06338",
        "exempt_from": {
            "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
            "train_mean_is_chance": "chance is another predictor",
        },
    },
    "reconstruction_r2": {
        "like": "shared_factors_r2",
        "label": "R² of own values",
        "definition": "R² of ridge regressions (penalty by generalised cross-validation) of a "
        "modality's own standardised values on the latent inferred from it, 5-fold over the query "
        "cells, pooled over the features that vary. It needs no truth and shows the price of an "
        "adversary.",
        "doi": "",
    },
    "label_separation_auc": {
        "label": "Separation of cell types (AUC)",
        "group": "disentanglement",
        "best": 1.0,
        "better": "higher",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "Mean over cell types with at least three query cells of the area under the "
        "ROC curve of a linear classifier (least squares) on the standardised latent, one type "
        "against the others, 3-fold over the query cells with a label.",
        "doi": "10.48550/arXiv.2403.06338",
        "exempt_from": {
            "cell_order": "divides the cells into folds",
            "perfect_is_best": "best is a limit",
        },
    },
    "label_separation_auc_all": {
        "like": "label_separation_auc",
        "label": "Separation by all blocks (AUC)",
        "definition": "As the separation of cell types, from the shared and the private latent "
        "side by side: what any block encodes of the types.",
    },
    "label_separation_auc_private": {
        "like": "label_separation_auc",
        "label": "Separation by the private block (AUC)",
        "definition": "As the separation of cell types, from the private latent of the modality; "
        "for the joint source from the private latents of all modalities side by side. If "
        "modalities share the types, 0.5 means that no shared information is in it.",
    },
}

FOLDS = 5
PENALTIES = (1, 10, 100, 1000, 10000)


def shared_factors_r2(latent: np.ndarray, shared_factors: np.ndarray) -> float:
    """Return mean R² of the shared factors.

    Undefined with fewer than five cells, without a factor, or with a constant one.
    """
    return _factors_r2(latent, shared_factors)


def private_factors_r2(private_latent: np.ndarray, private_factors: np.ndarray) -> float:
    """Return mean R² of the private factors on the private latent."""
    return _factors_r2(private_latent, private_factors)


def private_factors_leak(latent: np.ndarray, private_factors: np.ndarray) -> float:
    """Return mean R² of the private factors on the latent, at least 0."""
    return max(0.0, _factors_r2(latent, private_factors))


def shared_factors_leak(private_latent: np.ndarray, shared_factors: np.ndarray) -> float:
    """Return mean R² of the shared factors on the private latent, at least 0."""
    return max(0.0, _factors_r2(private_latent, shared_factors))


def shared_features_r2(truth: Matrix, imputed: Matrix, shared_driven: np.ndarray) -> float:
    """Return the median R² of the features in a (features,) mask."""
    same_shape(truth, imputed)
    columns = np.flatnonzero(shared_driven)
    return imputation_r2_per_feature(dense(truth[:, columns]), dense(imputed[:, columns]))


def reconstruction_r2(latent: np.ndarray, values: Matrix) -> float:
    """Return pooled R² of the values; undefined with under five cells or no varying feature."""
    from sklearn.linear_model import RidgeCV

    x = finite(dense(values))
    x = x[:, np.ptp(x, axis=0) > 0]
    if x.shape[1] == 0:
        raise Undefined("no feature varies over the query cells")
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    folds = _predicted(RidgeCV(PENALTIES), latent, x)
    error = sum(np.sum((x[test] - predicted) ** 2) for test, predicted in folds)
    return float(1 - error / np.sum(x**2))


def label_separation_auc(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean area; undefined if no type has three cells and three others."""
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    z, codes = label_subset(latent, labels)
    (z,) = within_range(z)
    spread = np.where(np.ptp(z, axis=0) > 0, z.std(axis=0), 1)
    z = (z - z.mean(axis=0)) / spread  # so that the penalty is the same for latents of any scale
    areas = []
    for code, cells in enumerate(np.bincount(codes)):
        if min(cells, len(codes) - cells) < 3:
            continue
        is_type = codes == code
        for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(z, is_type):
            predicted = Ridge(1e-3).fit(z[train], is_type[train]).predict(z[test])
            areas.append(roc_auc_score(is_type[test], predicted))
    if not areas:
        raise Undefined("no cell type has three query cells and three others")
    return float(np.mean(areas))


def label_separation_auc_all(all_blocks: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean area from shared and private latents."""
    return label_separation_auc(all_blocks, labels)


def label_separation_auc_private(private_latent: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean area from private latents."""
    return label_separation_auc(private_latent, labels)


def _factors_r2(latent: np.ndarray, factors: np.ndarray) -> float:
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score

    w = finite(factors)
    if w.shape[1] == 0 or np.any(np.ptp(w, axis=0) == 0):
        raise Undefined("there is no factor that varies over the query cells")
    predicted = np.empty_like(w)
    for test, held_out in _predicted(Ridge(1.0), latent, w):
        predicted[test] = held_out.reshape(-1, w.shape[1])
    return float(r2_score(w, predicted))


def _predicted(
    model: object, latent: np.ndarray, targets: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    z = finite(latent)
    same_cells(z, targets)
    at_least(FOLDS, z)
    spread = z.std(axis=0)
    z = (z - z.mean(axis=0)) / np.where(spread > 0, spread, 1)
    fold = np.random.default_rng(0).permutation(len(z)) % FOLDS
    for held_out in range(FOLDS):
        test = fold == held_out
        yield test, model.fit(z[~test], targets[~test]).predict(z[test])
