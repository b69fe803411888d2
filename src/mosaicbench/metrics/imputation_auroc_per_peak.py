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


BLOCK_VALUES = 2**21  # imputed values of a block of peaks: 16 MB


def imputation_auroc_per_peak(opened: sparse.csr_matrix, imputed: np.ndarray, loadings: np.ndarray, *, area: str) -> float:
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
        raise ValueError(f"{opened.shape} cells and peaks do not fit imputed {imputed.shape} and loadings {loadings.shape}")
    finite("opened", opened.data)
    opened = sparse.csc_matrix(opened)
    opened.eliminate_zeros()
    # Equal imputations must give equal scores, and a product of matrices may round two equal rows differently.
    distinct, place = np.unique(imputed, axis=0, return_inverse=True)
    n, width = len(imputed), max(1, BLOCK_VALUES // len(imputed))
    counts = np.diff(opened.indptr)
    total, area_of = 0.0, {"ROC": _roc, "precision and recall": _precision_recall}[area]
    for start in range(0, len(loadings), width):
        scores = (loadings[start : start + width] @ distinct.T)[:, place.ravel()]  # (peaks, cells)
        ordered = np.sort(scores, axis=1)
        for peak in np.flatnonzero((counts[start : start + width] > 0) & (counts[start : start + width] < n)):
            column = start + peak
            mine = scores[peak, opened.indices[opened.indptr[column] : opened.indptr[column + 1]]]
            total += area_of(mine, ordered[peak])
    peaks = ((counts > 0) & (counts < n)).sum()
    if peaks == 0:
        raise Undefined("every peak is open in none or all of the cells")
    return float(total / peaks)


def _roc(mine: np.ndarray, ordered: np.ndarray) -> float:
    """Return the area from the scores of open cells, and those of all cells in order: the chance to be above a closed one."""
    below = np.searchsorted(ordered, mine, "left").sum() + np.searchsorted(ordered, mine, "right").sum()
    return (below - len(mine) ** 2) / (2 * len(mine) * (len(ordered) - len(mine)))


def _precision_recall(mine: np.ndarray, ordered: np.ndarray) -> float:
    """Return the average precision: each open cell adds the precision among the cells that score no less than it."""
    as_high = len(mine) - np.searchsorted(np.sort(mine), mine, "left")
    return np.mean(as_high / (len(ordered) - np.searchsorted(ordered, mine, "left")))
