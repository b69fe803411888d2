"""Correlations of rows or columns, in blocks, with vectors that do not vary told apart from those that disagree."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import by_cell, by_feature
from mosaicbench.metrics._checks import Undefined


def pearson_columns(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Pearson's r of every feature over cells, (features,).

    NaN where the truth does not vary, for there is nothing to predict; 0 where only the imputation does not, for it predicts
    nothing.

    Raises
    ------
    ValueError
        When the shapes differ, or a value is NaN or infinite.
    """
    found = [_pearson(x, y) for _, (x, y) in by_feature(truth=truth, imputed=imputed)]
    return np.concatenate([np.empty(0), *found])


def spearman_columns(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Spearman's r of every feature over cells, (features,); NaN, 0 and errors as in :func:`pearson_columns`."""
    found = [
        _pearson(_ranks(x), _ranks(y)) for _, (x, y) in by_feature(truth=truth, imputed=imputed)
    ]
    return np.concatenate([np.empty(0), *found])


def pearson_rows(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Pearson's r of every cell over features, (cells,); NaN, 0 and errors as in :func:`pearson_columns`."""
    found = [_pearson(x, y) for _, (x, y) in by_cell(truth=truth, imputed=imputed)]
    return np.concatenate([np.empty(0), *found])


def spearman_rows(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Spearman's r of every row, (rows,); NaN, 0 and errors as in :func:`pearson_columns`."""
    found = [_pearson(_ranks(x), _ranks(y)) for _, (x, y) in by_cell(truth=truth, imputed=imputed)]
    return np.concatenate([np.empty(0), *found])


def average_correlation(r: np.ndarray, *, of: str, average: str = "mean") -> float:
    """Return the "mean" or "median" of the correlations that exist; `of` names in an error what does not vary."""
    if np.isnan(r).all():
        raise Undefined(f"no {of} of the truth varies, so there is no correlation to take")
    return float({"mean": np.nanmean, "median": np.nanmedian}[average](r))


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Pearson's r of each row, (rows,), of truth x and imputation y."""
    there_is_truth, there_is_guess = (np.ptp(rows, axis=1) > 0 for rows in (x, y))
    x, y = (rows - rows.mean(axis=1, keepdims=True) for rows in (x, y))
    x, y = (
        rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(float).tiny)
        for rows in (x, y)
    )
    product, squared_x, squared_y = (
        np.einsum("ij,ij->i", left, right) for left, right in ((x, y), (x, x), (y, y))
    )
    r = np.zeros(len(x))
    np.divide(product, np.sqrt(squared_x * squared_y), out=r, where=there_is_truth & there_is_guess)
    r[~there_is_truth] = np.nan
    return np.clip(r, -1, 1)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks within each row; equal values share their mean rank."""
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    places = np.arange(values.shape[1])
    new = np.diff(ordered, axis=1) > 0
    starts = np.pad(new, ((0, 0), (1, 0)), constant_values=True)
    ends = np.pad(new, ((0, 0), (0, 1)), constant_values=True)
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, places[-1])[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, (first + last) / 2, axis=1)
    return ranks
