"""AUROC per peak: whether an imputation ranks the cells in which a peak is open above the others."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mosaicbench.metrics._checks import Undefined, finite

CARD = {
    "label": "Imputation AUROC per peak",
    "group": "imputation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "Mean over peaks of the area under the ROC curve of imputed accessibility for being open (a count above 0) "
    "across query cells, ties counting half; imputed LSI is taken back to peaks through the loadings, without "
    "the depth component, so even the truth's own LSI does not score 1. Peaks open in none or all of the cells "
    "are left out.",
    "doi": "",
}


BLOCK_VALUES = 2**21  # imputed values of a block of peaks: 16 MB


def imputation_auroc_per_peak(opened: sparse.csr_matrix, imputed: np.ndarray, loadings: np.ndarray) -> float:
    """Return the mean AUROC over peaks.

    Parameters
    ----------
    opened
        (cells, peaks) sparse, not zero where open.
    imputed
        (cells, components).
    loadings
        (peaks, components).

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
    total = 0.0
    for start in range(0, len(loadings), width):
        scores = (loadings[start : start + width] @ distinct.T)[:, place.ravel()]  # (peaks, cells)
        ordered = np.sort(scores, axis=1)
        for peak in np.flatnonzero((counts[start : start + width] > 0) & (counts[start : start + width] < n)):
            column = start + peak
            mine = scores[peak, opened.indices[opened.indptr[column] : opened.indptr[column + 1]]]
            below = np.searchsorted(ordered[peak], mine, "left").sum() + np.searchsorted(ordered[peak], mine, "right").sum()
            total += (below - len(mine) ** 2) / (2 * len(mine) * (n - len(mine)))
    peaks = ((counts > 0) & (counts < n)).sum()
    if peaks == 0:
        raise Undefined("every peak is open in none or all of the cells")
    return float(total / peaks)
