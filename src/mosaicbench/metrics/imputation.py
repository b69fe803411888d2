"""How near imputed values are to measured ones, and what they preserve of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from mosaicbench.metrics._checks import Matrix, Undefined, by_cell, by_feature, finite, same_cells
from mosaicbench.metrics._labels import codes_of, known

CARDS = {
    "imputation_pearson_per_feature": {
        "label": "Imputation Pearson per feature",
        "group": "imputation",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [-1.0, 1.0],
        "definition": "The mean over features of Pearson's r between imputed and true values "
        "across query cells, in the target's normalization; a feature imputed as a constant counts "
        "0, a feature whose truth is constant is left out and counted.",
    },
    "imputation_pearson_per_feature_median": {
        "like": "imputation_pearson_per_feature",
        "label": "Imputation Pearson per feature, median",
        "definition": "The median over features of Pearson's r between imputed and true values "
        "across query cells, in the target's normalization; a feature imputed as a constant counts "
        "0, a feature whose truth is constant is left out and counted.",
    },
    "imputation_spearman_per_feature": {
        "like": "imputation_pearson_per_feature",
        "label": "Imputation Spearman per feature",
        "definition": "The mean over features of Spearman's r between imputed and true values "
        "across query cells, in the target's normalization; a feature imputed as a constant counts "
        "0, a feature whose truth is constant is left out and counted.",
    },
    "imputation_spearman_per_feature_median": {
        "like": "imputation_pearson_per_feature",
        "label": "Imputation Spearman per feature, median",
        "definition": "The median over features of Spearman's r between imputed and true values "
        "across query cells, in the target's normalization; a feature imputed as a constant counts "
        "0, a feature whose truth is constant is left out and counted.",
    },
    "imputation_r2_per_feature": {
        "label": "Imputation R² per feature, median",
        "group": "imputation",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [None, 1.0],
        "definition": "Median over features of 1 - SSE / SST across query cells, in the target's "
        "normalization, SST about the query cells' own mean; a feature whose truth is constant is "
        "left out and counted. It is the median since features that hardly vary rule the mean. A "
        "predictor exceeds 0 only with information about the query cells.",
        "exempt_from": {
            "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
            "train_mean_is_chance": "chance is another predictor",
        },
    },
    "imputation_pearson_per_cell": {
        "label": "Imputation Pearson per cell",
        "group": "imputation",
        "best": 1.0,
        "better": "higher",
        "bounds": [-1.0, 1.0],
        "definition": "Mean over query cells of Pearson's r between imputed and true profile "
        "across features, in the target's normalization; a cell imputed as a constant counts 0, a "
        "cell whose truth is constant has no r. Insensitive: the train mean alone scores high; "
        "read it next to its skill.",
    },
    "imputation_pearson_per_cell_skill": {
        "label": "Skill of Pearson per cell",
        "group": "imputation",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [None, 1.0],
        "definition": "(r - r0) / (1 - r0), with r the mean Pearson per cell and r0 the one of the "
        "train cells' mean profile; 0 is no better than the same profile for every cell.",
        "exempt_from": {
            "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
        },
    },
    "imputation_cosine_per_cell": {
        "label": "Imputation cosine per cell",
        "group": "imputation",
        "best": 1.0,
        "better": "higher",
        "bounds": [-1.0, 1.0],
        "definition": "Mean over query cells of the cosine between imputed and true profile, in "
        "the target's normalization; a cell imputed as zeros counts 0, a cell whose truth is zeros "
        "has no cosine. Insensitive where values are not centred: one profile for every cell "
        "scores high; it is here because publications report it.",
        "exempt_from": {"collapse_is_not_rewarded": "is insensitive, as its definition warns"},
    },
    "imputation_rmse": {
        "label": "Imputation RMSE",
        "group": "imputation",
        "best": 0.0,
        "better": "lower",
        "bounds": [0.0, None],
        "definition": "Root of the mean over query cells and features of the squared difference "
        "between imputed and true values, in units of the target's normalized values.",
    },
    "imputation_skill": {
        "label": "Imputation skill",
        "group": "imputation",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [None, 1.0],
        "definition": "1 - SSE(imputed) / SSE(train mean), squared errors summed over query cells "
        "and features, each feature in units of its standard deviation over train cells (LSI "
        "components in one common unit, a feature that is constant there as it is); 0 is the train "
        "mean.",
        "exempt_from": {
            "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
        },
    },
    "imputation_skill_over_celltype_mean": {
        "label": "Imputation skill over cell-type mean",
        "group": "imputation",
        "best": 1.0,
        "better": "higher",
        "chance": 0.0,
        "bounds": [None, 1.0],
        "definition": "1 - SSE(imputed) / SSE(cell-type mean), squared errors summed over query "
        "cells and features, each feature in units of its standard deviation over train cells, one "
        "that is constant there as it is; the cell-type mean is the mean profile of the train "
        "cells of the query cell's true type, and the mean of all train cells where the type is "
        "unknown or has no train cell. 0 is a perfect prediction of the type alone.",
        "exempt_from": {
            "shuffled_is_chance": "chance is another predictor, and a permuted cell is worse",
            "train_mean_is_chance": "chance is another predictor",
        },
    },
    "imputation_auroc_per_peak": {
        "label": "Imputation AUROC per peak",
        "group": "imputation",
        "best": 1.0,
        "better": "higher",
        "chance": 0.5,
        "bounds": [0.0, 1.0],
        "definition": "Mean over peaks of the area under the ROC curve of imputed accessibility "
        "for being open (a count above 0) across query cells, ties counting half; imputed LSI is "
        "taken back to peaks through the loadings, without the depth component, so even the LSI of "
        "the truth does not score 1. Peaks open in none or all of the cells are left out.",
    },
    "imputation_auprc_per_peak": {
        "label": "Imputation AUPRC per peak",
        "group": "preservation",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "As the AUROC per peak, with the area under the curve of precision and "
        "recall (average precision): the mean, over the cells in which the peak is open, of the "
        "fraction of open ones among the cells imputed as high or higher. Chance is the fraction "
        "of cells in which a peak is open, so it depends on the data.",
    },
    "marker_recovery": {
        "like": "imputation_pearson_per_feature",
        "label": "Recovery of markers",
        "group": "preservation",
        "definition": "Mean over cell types of Spearman's r, over features, between differential "
        "expression in imputed and in measured values: the difference of a feature's means inside "
        "and outside the type, in standard deviations of that feature over the query cells; 0 for "
        "a feature that does not vary. Types with at least 3 query cells, and 3 others.",
    },
}

FEWEST = 3  # query cells of a type with markers, and of all others
PEAK_VALUES = 2**17  # imputed values of a block of peaks: 1 MB, which a processor searches fast


def imputation_pearson_per_feature(truth: Matrix, imputed: Matrix) -> float:
    """Return the mean correlation over features; undefined if no feature of the truth varies."""
    return _average(pearson_columns(truth, imputed))


def imputation_pearson_per_feature_by_feature(truth: Matrix, imputed: Matrix) -> np.ndarray:
    """Return Pearson's r of each feature, (features,); NaN if the truth is constant."""
    return pearson_columns(truth, imputed)


def imputation_pearson_per_feature_median(truth: Matrix, imputed: Matrix) -> float:
    """Return the median correlation over features."""
    return _average(pearson_columns(truth, imputed), np.nanmedian)


def imputation_spearman_per_feature(truth: Matrix, imputed: Matrix) -> float:
    """Return the mean correlation of ranks over features."""
    return _average(_spearman_columns(truth, imputed))


def imputation_spearman_per_feature_median(truth: Matrix, imputed: Matrix) -> float:
    """Return the median correlation of ranks over features."""
    return _average(_spearman_columns(truth, imputed), np.nanmedian)


def imputation_r2_per_feature(truth: Matrix, imputed: Matrix) -> float:
    """Return the median coefficient of determination over features."""
    blocks = by_feature(truth, imputed)
    return _average(np.concatenate([_r2(x, y) for x, y in blocks]), np.nanmedian)


def imputation_pearson_per_cell(truth: Matrix, imputed: Matrix) -> float:
    """Return the mean correlation over cells."""
    return _average(imputation_pearson_per_cell_by_cell(truth, imputed))


def imputation_pearson_per_cell_by_cell(truth: Matrix, imputed: Matrix) -> np.ndarray:
    """Return r of each cell, (cells,); NaN if the true profile is constant."""
    return _correlations(blocks for _, blocks in by_cell(truth, imputed))


def imputation_pearson_per_cell_skill(
    truth: Matrix, imputed: Matrix, train_mean: np.ndarray
) -> float:
    """Return the skill over the train cells' mean, (features,); undefined where that is perfect."""
    r = imputation_pearson_per_cell(truth, imputed)
    of_mean = imputation_pearson_per_cell(truth, np.broadcast_to(train_mean, truth.shape))
    if of_mean == 1:
        raise Undefined("every cell's true profile is the train mean's: there is nothing to gain")
    return float((r - of_mean) / (1 - of_mean))


def imputation_cosine_per_cell(truth: Matrix, imputed: Matrix) -> float:
    """Return the mean cosine over cells; undefined if every cell's truth is zeros."""
    total, cells = 0.0, 0
    for _, blocks in by_cell(truth, imputed):
        x, y = map(_scaled, blocks)
        lengths = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
        both = (lengths[0] > 0) & (lengths[1] > 0)
        products = np.einsum("ij,ij->i", x[both], y[both])
        total += (products / lengths[0][both] / lengths[1][both]).sum()
        cells += (lengths[0] > 0).sum()
    if cells == 0:
        raise Undefined("every cell's true profile is zeros, which have no direction")
    return float(np.clip(total / cells, -1, 1))


def imputation_rmse(truth: Matrix, imputed: Matrix) -> float:
    """Return the root mean squared error."""
    total = sum(((x - y) ** 2).sum() for _, (x, y) in by_cell(truth, imputed))
    return float(np.sqrt(total / np.prod(np.shape(truth))))


def imputation_skill(
    truth: Matrix, imputed: Matrix, train_mean: np.ndarray, train_std: np.ndarray
) -> float:
    """Return 1 less the ratio of squared errors to those of the train cells' mean.

    Features constant over train cells are left out. Undefined when the train mean is perfect.
    """
    mean = finite(train_mean)
    return _skill(truth, imputed, train_std, lambda cells: mean)


def imputation_skill_over_celltype_mean(
    truth: Matrix,
    imputed: Matrix,
    train_std: np.ndarray,
    celltype_profiles: np.ndarray,
    celltype_of: np.ndarray,
) -> float:
    """Return 1 less the ratio of squared errors to those of the cell type's mean."""
    profiles = finite(celltype_profiles)
    return _skill(truth, imputed, train_std, lambda cells: profiles[celltype_of[cells]])


def imputation_auroc_per_peak(
    accessible: sparse.csr_matrix, imputed: np.ndarray, loadings: np.ndarray
) -> float:
    """Return the mean area under the ROC curve; undefined without peaks open in some cells only.

    `imputed` and `loadings` are (cells, components) and (peaks, components).
    """
    return _mean_area(_roc, accessible, imputed, loadings)


def imputation_auprc_per_peak(
    accessible: sparse.csr_matrix, imputed: np.ndarray, loadings: np.ndarray
) -> float:
    """Return the mean area under the curve of precision and recall."""
    return _mean_area(_precision_recall, accessible, imputed, loadings)


def marker_recovery(truth: Matrix, imputed: Matrix, labels: np.ndarray) -> float:
    """Return the mean correlation over types; undefined if no type has three cells and three others."""
    rows = np.flatnonzero(known(labels))
    same_cells(truth, labels)
    codes = codes_of(labels[rows])
    inside = codes == np.arange(codes.max() + 1)[:, None]  # (types, cells)
    inside = inside[(inside.sum(axis=1) >= FEWEST) & ((~inside).sum(axis=1) >= FEWEST)]
    if not len(inside):
        raise Undefined(f"no cell type has {FEWEST} query cells and {FEWEST} others")
    effects = []
    for blocks in by_feature(truth, imputed):
        effects.append([_effects(block[:, rows], inside) for block in blocks])
    both = np.concatenate(effects, axis=2)  # (2, types, features)
    return _average(_pearson(*map(_ranks, both)))


def pearson_columns(truth: Matrix, imputed: Matrix) -> np.ndarray:
    """Return Pearson's r of every feature over cells, (features,).

    NaN where the truth is constant, 0 where only the imputation is.
    """
    return _correlations(by_feature(truth, imputed))


def _correlations(blocks: Iterable[list[np.ndarray]]) -> np.ndarray:
    return np.concatenate([np.empty(0), *(_pearson(x, y) for x, y in blocks)])


def _spearman_columns(truth: Matrix, imputed: Matrix) -> np.ndarray:
    return _correlations(map(_ranks, block) for block in by_feature(truth, imputed))


def _ranks(rows: np.ndarray) -> np.ndarray:
    return rankdata(rows, axis=1)  # equal values share their mean rank


def _average(r: np.ndarray, average: Callable = np.nanmean) -> float:
    if np.isnan(r).all():
        raise Undefined("nothing of the truth varies, so there is nothing to predict")
    return float(average(r))


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    there_is_truth, there_is_guess = (np.ptp(rows, axis=1) > 0 for rows in (x, y))
    x, y = (_scaled(rows - rows.mean(axis=1, keepdims=True)) for rows in (x, y))
    product, squared_x, squared_y = (
        np.einsum("ij,ij->i", left, right) for left, right in ((x, y), (x, x), (y, y))
    )
    r = np.zeros(len(x))
    np.divide(product, np.sqrt(squared_x * squared_y), out=r, where=there_is_truth & there_is_guess)
    r[~there_is_truth] = np.nan
    return np.clip(r, -1, 1)


def _scaled(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(float).tiny)


def _r2(truth: Matrix, imputed: Matrix) -> np.ndarray:
    varies = np.ptp(truth, axis=1) > 0
    largest = np.abs(truth).max(axis=1, keepdims=True)
    truth, imputed = (x / np.where(largest > 0, largest, 1) for x in (truth, imputed))
    errors = ((truth - imputed) ** 2).sum(axis=1)
    total = ((truth - truth.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return 1 - np.divide(errors, total, out=np.full(len(truth), np.nan), where=varies)


def _skill(
    truth: Matrix,
    imputed: Matrix,
    train_std: np.ndarray,
    guess: Callable[[slice], np.ndarray],
) -> float:
    std = finite(train_std)
    used = std > 0
    errors = of_guess = 0.0
    for part, (x, y) in by_cell(truth, imputed):
        errors += (((x - y)[:, used] / std[used]) ** 2).sum()
        of_guess += (((x - guess(part))[:, used] / std[used]) ** 2).sum()
    if of_guess == 0:
        raise Undefined("the truth equals the guess everywhere: there is nothing to gain")
    return float(1 - errors / of_guess)


def _effects(x: np.ndarray, inside: np.ndarray) -> np.ndarray:
    varies = np.ptp(x, axis=1) > 0
    within = inside / inside.sum(axis=1, keepdims=True)
    outside = ~inside / (~inside).sum(axis=1, keepdims=True)
    centred = x - x.mean(axis=1, keepdims=True)
    return np.where(varies, (within - outside) @ centred.T / np.where(varies, x.std(axis=1), 1), 0)


def _mean_area(
    area: Callable, accessible: sparse.csr_matrix, imputed: np.ndarray, loadings: np.ndarray
) -> float:
    imputed, loadings = finite(imputed), finite(loadings)
    if accessible.shape != (len(imputed), len(loadings)) or imputed.shape[1] != loadings.shape[1]:
        raise ValueError(
            f"{accessible.shape} cells and peaks do not fit imputed {imputed.shape} and loadings "
            f"{loadings.shape}"
        )
    finite(accessible.data)
    accessible = sparse.csc_matrix(accessible)
    accessible.eliminate_zeros()
    # Equal imputations must give equal scores; a product of matrices may round equal rows otherwise.
    distinct, place = np.unique(imputed, axis=0, return_inverse=True)
    n, width = len(imputed), max(1, PEAK_VALUES // len(imputed))
    counts = np.diff(accessible.indptr).astype(np.int64)  # squares of more than 46,340 pass 32 bits
    varying = (counts > 0) & (counts < n)
    if not varying.any():
        raise Undefined("every peak is open in none or all of the cells")
    areas = [np.empty(0)]
    for start in range(0, len(loadings), width):
        peaks = start + np.flatnonzero(varying[start : start + width])
        products = loadings[start : start + width] @ distinct.T
        scores = products[peaks - start][:, place.ravel()]  # (peaks, cells)
        rows = np.arange(len(peaks))
        row_of = np.repeat(rows, counts[peaks])
        of_open = _keys(row_of, scores[row_of, accessible[:, peaks].indices])
        ordered = _keys(rows[:, None], np.sort(scores, axis=1)).ravel()
        areas.append(area(of_open, ordered, counts[peaks], n))
    return float(sum(np.concatenate(areas)) / varying.sum())


def _keys(row: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return complex numbers, which NumPy orders by row, then score: one search serves all rows."""
    keys = np.empty(scores.shape, dtype=complex)
    keys.real, keys.imag = row, scores
    return keys


def _roc(of_open: np.ndarray, ordered: np.ndarray, counts: np.ndarray, n: int) -> np.ndarray:
    """Return the area of each peak: the chance that an open cell scores above a closed one.

    `of_open`: keys of open cells, `counts` per peak; `ordered`: of all cells.
    """
    places = np.searchsorted(ordered, of_open, "left") + np.searchsorted(ordered, of_open, "right")
    row_of = np.repeat(np.arange(len(counts)), counts)
    below = np.bincount(row_of, places - 2 * n * row_of, len(counts))  # whole numbers
    return (below - counts**2) / (2 * counts * (n - counts))


def _precision_recall(
    of_open: np.ndarray, ordered: np.ndarray, counts: np.ndarray, n: int
) -> np.ndarray:
    ends = np.cumsum(counts)
    as_high = np.repeat(ends, counts) - np.searchsorted(np.sort(of_open), of_open, "left")
    ends_of_all = np.repeat(n * np.arange(1, len(counts) + 1), counts)
    as_high_of_all = ends_of_all - np.searchsorted(ordered, of_open, "left")
    return np.array(
        [np.mean(precisions) for precisions in np.split(as_high / as_high_of_all, ends)[:-1]]
    )
