"""AUROC and AUPRC per peak: whether an imputation ranks the cells in which a peak is open above the others."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mosaicbench.metrics._checks import Undefined, finite

CARD = {
    "best": 1.0,
    "better": "higher",
    "bounds": [0.0, 1.0],
    "doi": "",
    "variants": {
        "imputation_auroc_per_peak": {
            "keywords": {"area": "ROC"},
            "label": "Imputation AUROC per peak",
            "group": "imputation",
            "chance": 0.5,
            "definition": "Mean over peaks of the area under the ROC curve of imputed accessibility for being open (a count "
            "above 0) across query cells, ties counting half; imputed LSI is taken back to peaks through the loadings, without "
            "the depth component, so even the truth's own LSI does not score 1. Peaks open in none or all of the cells "
            "are left out.",
        },
        "imputation_auprc_per_peak": {
            "keywords": {"area": "precision and recall"},
            "label": "Imputation AUPRC per peak",
            "group": "preservation",
            "chance": None,
            "definition": "As the AUROC per peak, with the area under the curve of precision and recall (average precision): "
            "the mean, over the cells in which the peak is open, of the share of open ones among the cells imputed as high or "
            "higher. Chance is the share of cells in which a peak is open, so it depends on the data.",
        },
    },
}


BLOCK_VALUES = (
    2**17
)  # imputed values of a block of peaks: 1 MB, which lies near the processor while it is searched


def imputation_auroc_per_peak(
    opened: sparse.csr_matrix, imputed: np.ndarray, loadings: np.ndarray, *, area: str
) -> float:
    """Return the mean area over peaks.

    Parameters
    ----------
    opened
        (cells, peaks) sparse, not zero where open.
    imputed
        (cells, components).
    loadings
        (peaks, components).
    area
        Under the curve of: "ROC", or "precision and recall".

    Raises
    ------
    ValueError
        When shapes do not fit or a value is not finite.
    Undefined
        When every peak is open in none or all of the cells.
    """
    imputed, loadings = finite("imputed", imputed), finite("loadings", loadings)
    if opened.shape != (len(imputed), len(loadings)) or imputed.shape[1] != loadings.shape[1]:
        raise ValueError(
            f"{opened.shape} cells and peaks do not fit imputed {imputed.shape} and loadings {loadings.shape}"
        )
    finite("opened", opened.data)
    opened = sparse.csc_matrix(opened)
    opened.eliminate_zeros()
    # Equal imputations must give equal scores, and a product of matrices may round two equal rows differently.
    distinct, place = np.unique(imputed, axis=0, return_inverse=True)
    n, width = len(imputed), max(1, BLOCK_VALUES // len(imputed))
    counts = np.diff(opened.indptr).astype(np.int64)  # squares of more than 46,340 pass 32 bits
    varying = (counts > 0) & (counts < n)
    if not varying.any():
        raise Undefined("every peak is open in none or all of the cells")
    areas, areas_of = [np.empty(0)], {"ROC": _roc, "precision and recall": _precision_recall}[area]
    for start in range(0, len(loadings), width):
        peaks = start + np.flatnonzero(varying[start : start + width])
        scores = (loadings[start : start + width] @ distinct.T)[peaks - start][
            :, place.ravel()
        ]  # (peaks, cells)
        rows = np.arange(len(peaks))
        row_of = np.repeat(rows, counts[peaks])
        mine = _keys(row_of, scores[row_of, opened[:, peaks].indices])
        ordered = _keys(rows[:, None], np.sort(scores, axis=1)).ravel()
        areas.append(areas_of(mine, ordered, counts[peaks], n))
    return float(sum(np.concatenate(areas)) / varying.sum())


def _keys(row: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return complex numbers, which NumPy orders by row and then by score: one search finds all scores, each in its own row."""
    keys = np.empty(scores.shape, dtype=complex)
    keys.real, keys.imag = row, scores
    return keys


def _roc(mine: np.ndarray, ordered: np.ndarray, counts: np.ndarray, n: int) -> np.ndarray:
    """Return the area of each peak: the chance that an open cell scores above a closed one.

    `mine` are the keys of open cells, `counts` of each peak, and `ordered` those of all `n` cells of each.
    """
    places = np.searchsorted(ordered, mine, "left") + np.searchsorted(ordered, mine, "right")
    row_of = np.repeat(np.arange(len(counts)), counts)
    below = np.bincount(row_of, places - 2 * n * row_of, len(counts))  # whole numbers
    return (below - counts**2) / (2 * counts * (n - counts))


def _precision_recall(
    mine: np.ndarray, ordered: np.ndarray, counts: np.ndarray, n: int
) -> np.ndarray:
    """Return the average precision: each open cell adds the precision among the cells that score no less than it."""
    ends = np.cumsum(counts)
    as_high = np.repeat(ends, counts) - np.searchsorted(np.sort(mine), mine, "left")
    as_high_of_all = np.repeat(n * np.arange(1, len(counts) + 1), counts) - np.searchsorted(
        ordered, mine, "left"
    )
    return np.array(
        [np.mean(precisions) for precisions in np.split(as_high / as_high_of_all, ends)[:-1]]
    )
