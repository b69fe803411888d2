"""How much query values vary beside train values: a transform may serve the cells better that it was fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.files.views import standardised_values

if TYPE_CHECKING:
    from anndata import AnnData

CELLS = 5_000  # of either side; the standard error of a variance of so many is 2 %, and fewer values become dense


def variance_ratio(train: AnnData, query: AnnData) -> float:
    """Return the variance of query values over that of train values, as methods see them, each summed over features.

    Of more than `CELLS` cells, as many are drawn, always the same.

    Parameters
    ----------
    train, query
        One modality of the parts of a view.
    """
    of_train, of_query = (
        standardised_values(part, _some(part.n_obs)).var(axis=0, dtype=np.float64).sum()
        for part in (train, query)
    )
    return float(of_query / of_train) if of_train > 0 else float("nan")


def in_words(train: AnnData, query: AnnData) -> str:
    """Return what the audit of a view says of :func:`variance_ratio`."""
    return f"query values vary {variance_ratio(train, query):.3f} times as much as train values"


def _some(cells: int) -> np.ndarray:
    return (
        np.arange(cells)
        if cells <= CELLS
        else np.sort(np.random.default_rng(0).choice(cells, CELLS, replace=False))
    )
