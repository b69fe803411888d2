"""Whether imputed cells look like measured ones, and latents of the modalities like each other."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Matrix, at_least, dense, finite, matched, same_shape

CARDS = {
    "realism_auc": {
        "label": "Realism (classifier AUC)",
        "group": "realism",
        "best": 0.5,
        "better": "lower",
        "bounds": [0.5, 1.0],
        "definition": "Area under the ROC curve of a random forest that separates imputed from "
        "real profiles of query cells, 3-fold, both profiles of a cell in the same fold, on up to "
        "2,000 cells, values rounded to 0.001 sd; 0.5 is indistinguishable, and lower values count "
        "as 0.5.",
        "exempt_from": {"cell_order": "divides the cells into folds"},
    },
    "realism_mmd": {
        "label": "Realism (MMD)",
        "group": "realism",
        "best": 0.0,
        "better": "lower",
        "bounds": [0.0, None],
        "definition": "Squared maximum mean discrepancy between imputed and real profiles of up to "
        "2,000 query cells, each feature in units of its standard deviation over train cells, with "
        "a Gaussian kernel whose width is the median distance between real profiles (biased "
        "estimate, so never negative).",
        "doi": "10.5555/2188385.2188410",
    },
    "modality_probe": {
        "label": "Modality probe (accuracy)",
        "group": "realism",
        "best": 0.5,
        "better": "lower",
        "bounds": [0.5, 1.0],
        "definition": "Accuracy of a random forest that predicts the modality of a cell from its "
        "latent, 3-fold, both latents of a cell in the same fold, on up to 2,000 query cells "
        "(where no cell has both, with equally many of each type from either); lower values count "
        "as 0.5. It needs no truth. 0.5 means that the modalities' latents have one distribution, "
        "not that the right cells or types are together: a constant latent has 0.5.",
        "exempt_from": {
            "cell_order": "divides the cells into folds",
            "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
        },
        "without_partners": True,
    },
}

MOST_CELLS = 2000  # more take too long
DECIMALS = 3  # of a standard deviation: a tree would detect the rounding of other units


def realism_auc(truth: Matrix, imputed: Matrix, train_std: np.ndarray) -> float:
    """Return the area; undefined when there are fewer than six cells."""
    from sklearn.metrics import roc_auc_score

    std = finite(train_std)
    scale = np.where(std > 0, std, 1)
    both = [np.round(x / scale, DECIMALS) for x in _sampled(truth, imputed)]
    chance = _forest(both, trees=100)[:, :, 1]
    return float(max(0.5, roc_auc_score(np.repeat([0, 1], len(both[0])), chance.ravel())))


def realism_mmd(truth: Matrix, imputed: Matrix, train_std: np.ndarray) -> float:
    """Return the squared discrepancy."""
    from sklearn.metrics.pairwise import euclidean_distances

    std = finite(train_std)
    real, made = (profiles[:, std > 0] / std[std > 0] for profiles in _sampled(truth, imputed))
    within = euclidean_distances(real, squared=True)
    width = np.median(within[np.triu_indices(len(real), 1)])
    among_made, across = (euclidean_distances(x, made, squared=True) for x in (made, real))
    kernels = [np.exp(-d / (width if width > 0 else 1.0)) for d in (within, among_made, across)]
    return float(max(0.0, kernels[0].mean() + kernels[1].mean() - 2 * kernels[2].mean()))


def modality_probe(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the accuracy; undefined when there are fewer than six cells."""
    both = _sampled(latent_a, latent_b)
    predicted = _forest(both, trees=50).argmax(axis=2)
    return float(max(0.5, np.mean(predicted == [[0], [1]])))


def _sampled(*matrices: Matrix) -> list[np.ndarray]:
    same_shape(*matrices)
    cells = matrices[0].shape[0]
    rows = np.arange(cells)
    if cells > MOST_CELLS:
        rows = np.sort(np.random.default_rng(0).choice(cells, MOST_CELLS, replace=False))
    return matched(*(dense(matrix[rows]) for matrix in matrices))


def _forest(both: list[np.ndarray], *, trees: int) -> np.ndarray:
    from sklearn.ensemble import RandomForestClassifier

    at_least(6, both[0])
    fold = np.random.default_rng(0).permutation(len(both[0])) % 3
    chances = np.empty((2, len(both[0]), 2))
    for held_out in range(3):
        test = fold == held_out
        forest = RandomForestClassifier(trees, min_samples_leaf=5, random_state=0)
        forest.fit(np.concatenate([x[~test] for x in both]), np.repeat([0, 1], (~test).sum()))
        chances[:, test] = [forest.predict_proba(x[test]) for x in both]
    return chances
