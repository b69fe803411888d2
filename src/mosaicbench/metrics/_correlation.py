"""Pearson correlations of rows or columns, in blocks, with vectors that do not vary told apart from those that disagree."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import matched

BLOCK = 1024


def pearson_columns(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Pearson's r of every feature over cells, (features,).

    NaN where the truth does not vary, for there is nothing to predict; 0 where only the imputation does not, for it predicts
    nothing.
    """
    matched_shapes(truth, imputed)
    pieces = range(0, truth.shape[1], BLOCK)
    return np.concatenate([_pearson(truth[:, i : i + BLOCK].T, imputed[:, i : i + BLOCK].T) for i in pieces])


def pearson_rows(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return Pearson's r of every cell over features, (cells,); NaN and 0 as in :func:`pearson_columns`."""
    matched_shapes(truth, imputed)
    pieces = range(0, truth.shape[0], BLOCK)
    return np.concatenate([_pearson(truth[i : i + BLOCK], imputed[i : i + BLOCK]) for i in pieces])


def matched_shapes(truth: np.ndarray, imputed: np.ndarray) -> None:
    """Refuse arrays of different shapes; values are checked block by block."""
    if np.shape(truth) != np.shape(imputed):
        raise ValueError(f"truth {np.shape(truth)} and imputed {np.shape(imputed)} must have the same shape")


def _pearson(truth: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    x, y = matched(truth=truth, imputed=imputed)
    varies = {name: np.ptp(array, axis=1) > 0 for name, array in (("x", x), ("y", y))}
    x, y = (array - array.mean(axis=1, keepdims=True) for array in (x, y))
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    r = np.zeros(len(x))
    np.divide((x * y).sum(axis=1), scale, out=r, where=varies["x"] & varies["y"] & (scale > 0))
    r[~varies["x"]] = np.nan
    return np.clip(r, -1, 1)
