"""Pearson correlations of rows or columns, in blocks, with vectors that do not vary told apart from those that disagree."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import finite, same_shape

BLOCK_VALUES = 2**21  # numbers of one matrix held in float64 at a time: 16 MB


def pearson_columns(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Pearson's r of every feature over cells, (features,).

    NaN where the truth does not vary, for there is nothing to predict; 0 where only the imputation does not, for it predicts
    nothing.

    Raises
    ------
    ValueError
        When the shapes differ, or a value is NaN or infinite.
    """
    same_shape(truth=truth, imputed=imputed)
    return np.concatenate([np.empty(0), *(_pearson(truth[:, part].T, imputed[:, part].T) for part in blocks(truth, axis=1))])


def pearson_rows(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Pearson's r of every cell over features, (cells,); NaN, 0 and errors as in :func:`pearson_columns`."""
    same_shape(truth=truth, imputed=imputed)
    return np.concatenate([np.empty(0), *(_pearson(truth[part], imputed[part]) for part in blocks(truth, axis=0))])


def mean_correlation(r: np.ndarray, of: str) -> float:
    """Return the mean of the correlations that exist; `of` names in an error what does not vary."""
    if np.isnan(r).all():
        raise ValueError(f"no {of} of the truth varies, so there is no correlation to take")
    return float(np.nanmean(r))


def blocks(matrix: np.ndarray, *, axis: int) -> list[slice]:
    """Return slices along an axis that cut a matrix into pieces of about BLOCK_VALUES numbers."""
    width = max(1, BLOCK_VALUES // max(1, matrix.shape[1 - axis]))
    return [slice(start, start + width) for start in range(0, matrix.shape[axis], width)]


def _pearson(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Pearson's r of each row, (rows,)."""
    x, y = finite("truth", truth), finite("imputed", imputed)
    there_is_truth, there_is_guess = (np.ptp(rows, axis=1) > 0 for rows in (x, y))
    x, y = (rows - rows.mean(axis=1, keepdims=True) for rows in (x, y))
    x, y = (rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(float).tiny) for rows in (x, y))
    product, squared_x, squared_y = (np.einsum("ij,ij->i", left, right) for left, right in ((x, y), (x, x), (y, y)))
    r = np.zeros(len(x))
    np.divide(product, np.sqrt(squared_x * squared_y), out=r, where=there_is_truth & there_is_guess)
    r[~there_is_truth] = np.nan
    return np.clip(r, -1, 1)
