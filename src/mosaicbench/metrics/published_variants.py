"""Scores as publications define them, only for comparison with their numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from mosaicbench.metrics._checks import Matrix, Undefined, by_cell, matched
from mosaicbench.metrics._nearest import closer_and_tied

CARDS = {
    "foscttm_glue": {
        "label": "FOSCTTM as in GLUE",
        "group": "published_variants",
        "best": 0.0,
        "better": "lower",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "Mean over both directions of the fraction of cells strictly closer "
        "(Euclidean) than the true match, divided by n. Ties do not count, so a latent without any "
        "information scores 0, as if perfect: compare it with published numbers only.",
        "doi": "10.1038/s41587-022-01284-4",
        "exempt_from": {"collapse_is_not_rewarded": "the published definition counts no ties"},
    },
    "foscttm_maxfuse": {
        "like": "foscttm_glue",
        "label": "FOSCTTM as in MaxFuse",
        "definition": "Mean over cells of the fraction of cells of the second modality strictly "
        "closer to the cell's latent in the first than the true match, in 1 - Pearson's r over the "
        "first 15 dimensions (its own number of 10x PBMC has all 20), divided by n; one direction. "
        "A latent without variance over its dimensions is as far from every other such latent. "
        "Ties do not count, so a latent without any information scores 0, as if perfect: compare "
        "it with published numbers only.",
        "doi": "10.1038/s41587-023-01935-0",
    },
    "foscttm_midas": {
        "like": "foscttm_glue",
        "label": "1 - FOSCTTM as in MIDAS",
        "best": 1.0,
        "better": "higher",
        "definition": "1 less the mean over both directions of the fraction of cells strictly "
        "closer (Euclidean) than the true match, divided by n: higher is better. Ties do not "
        "count, so a latent without any information scores 1, as if perfect: compare it with "
        "published numbers only.",
        "doi": "10.1038/s41587-023-02040-y",
    },
    "foscttm_scot": {
        "like": "foscttm_glue",
        "label": "FOSCTTM as in SCOT",
        "definition": "Mean over both directions of the fraction of cells strictly closer "
        "(Euclidean) than the true match, divided by n - 1. Ties do not count, so a latent without "
        "any information scores 0, as if perfect: compare it with published numbers only.",
        "doi": "10.1089/cmb.2021.0446",
    },
    "foscttm_univi": {
        "like": "foscttm_glue",
        "label": "FOSCTTM as in UniVI",
        "definition": "Mean over cells of the fraction of cells of the second modality strictly "
        "closer (Euclidean) to the cell's latent in the first than the true match, divided by n - "
        "1; one direction. Ties do not count, so a latent without any information scores 0, as if "
        "perfect: compare it with published numbers only.",
        "doi": "",
    },
    "imputation_pearson_flattened": {
        "label": "Imputation Pearson, flattened",
        "group": "published_variants",
        "best": 1.0,
        "better": "higher",
        "bounds": [-1.0, 1.0],
        "definition": "Pearson's r between all imputed and all true values, every cell and feature "
        "an observation, in the target's normalization. Insensitive: features differ in their means, "
        "so the train mean alone scores high. Only for comparison with papers that report it.",
    },
    "imputation_spearman_flattened": {
        "like": "imputation_pearson_flattened",
        "label": "Imputation Spearman, flattened",
        "definition": "Spearman's r between all imputed and all true values, every cell and "
        "feature an observation, in the target's normalization. Insensitive: features differ in "
        "their means, so the train mean alone scores high. Only for comparison with papers that "
        "report it.",
    },
}

DIMENSIONS = 15  # of which MaxFuse takes the correlation


def foscttm_glue(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction of closer cells in both directions, of n."""
    return _closer_both_ways(latent_a, latent_b) / len(latent_a)


def foscttm_maxfuse(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction by correlation; undefined with fewer than two dimensions."""
    latents = [x[:, :DIMENSIONS] for x in matched(latent_a, latent_b)]
    if latents[0].shape[1] < 2:
        raise Undefined("a correlation needs at least two dimensions")
    return _closer(*map(_unit_rows, latents)) / len(latent_a)


def foscttm_midas(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return 1 less :func:`foscttm_glue`."""
    return 1 - foscttm_glue(latent_a, latent_b)


def foscttm_scot(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction of closer cells in both directions, of n - 1."""
    return _closer_both_ways(latent_a, latent_b) / (len(latent_a) - 1)


def foscttm_univi(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction of closer cells, of n - 1."""
    return _closer(latent_a, latent_b) / (len(latent_a) - 1)


def imputation_pearson_flattened(truth: Matrix, imputed: Matrix) -> float:
    """Return the correlation, 0 if the imputation is constant; undefined if the truth is."""
    range_, count = _range_and_count(truth, imputed)
    blocks = by_cell(truth, imputed)
    sums = np.sum([(x.sum(), y.sum()) for _, (x, y) in blocks], axis=0)
    return _correlation(truth, imputed, [np.asarray, np.asarray], sums / count, range_)


def imputation_spearman_flattened(truth: Matrix, imputed: Matrix) -> float:
    """Return the correlation of ranks among all values; it sorts a copy of each matrix."""
    range_, count = _range_and_count(truth, imputed)
    ranks = [_ranking(truth), _ranking(imputed)]
    scale = np.where(range_ > 0, count, 0)
    return _correlation(truth, imputed, ranks, np.full(2, (count - 1) / 2), scale)


def _closer(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    return float(closer_and_tied(latent_a, latent_b)[:, 0].mean())


def _closer_both_ways(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    return (_closer(latent_a, latent_b) + _closer(latent_b, latent_a)) / 2


def _unit_rows(latent: np.ndarray) -> np.ndarray:
    """Return rows of mean 0 and length 1, with squared distances 2 (1 - r); zeros if constant."""
    varies = np.ptp(latent, axis=1, keepdims=True) > 0
    centred = np.where(varies, latent - latent.mean(axis=1, keepdims=True), 0)
    centred = centred / np.maximum(np.abs(centred).max(axis=1, keepdims=True), np.finfo(float).tiny)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 0, length, 1)


def _range_and_count(truth: Matrix, imputed: Matrix) -> tuple[np.ndarray, int]:
    low, high, count = np.full(2, np.inf), np.full(2, -np.inf), 0
    for _, blocks in by_cell(truth, imputed):
        low = np.minimum(low, [block.min() for block in blocks])
        high = np.maximum(high, [block.max() for block in blocks])
        count += blocks[0].size
    if not count or low[0] == high[0]:
        raise Undefined("no value of the truth differs from another")
    return high - low, count


def _correlation(
    truth: Matrix,
    imputed: Matrix,
    take: list[Callable[[np.ndarray], np.ndarray]],
    mean: np.ndarray,
    scale: np.ndarray,
) -> float:
    if scale[1] == 0:
        return 0.0
    product, squares = 0.0, np.zeros(2)
    for _, blocks in by_cell(truth, imputed):
        x, y = ((take[side](block) - mean[side]) / scale[side] for side, block in enumerate(blocks))
        product, squares = product + np.sum(x * y), squares + [np.sum(x * x), np.sum(y * y)]
    return float(np.clip(product / np.sqrt(squares[0] * squares[1]), -1, 1))


def _ranking(matrix: Matrix) -> Callable[[np.ndarray], np.ndarray]:
    held = np.sort(matrix.data if sparse.issparse(matrix) else matrix, axis=None)
    zeros = np.prod(matrix.shape) - len(held)  # absent in a sparse matrix

    def ranks(values: Matrix) -> np.ndarray:
        values = values.astype(held.dtype)  # else `held` would be copied to another type
        below = np.searchsorted(held, values, "left") + zeros * (values > 0)
        not_above = np.searchsorted(held, values, "right") + zeros * (values >= 0)
        return (below + not_above - 1) / 2

    return ranks
