"""Silhouette widths: how much nearer a cell is to its own type than to the next, computed once for two scores."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mosaicbench.metrics._distances import blocks_of, rows_of, sum_distances


def widths(latent: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return (b - a) / max(a, b) of each cell, (cells,); the last answer is kept.

    a is the mean distance to the other cells of its type, b that to the cells of the nearest other type. The width is 0 where
    both are, and where a type has one cell.

    Parameters
    ----------
    latent
        (cells, dims), in float64.
    codes
        (cells,) types, 0 to the last, of which there are at least two.
    """
    return _widths(latent.tobytes(), latent.shape, codes.astype(np.int64).tobytes())


@lru_cache(maxsize=1)
def _widths(latent: bytes, shape: tuple[int, int], codes: bytes) -> np.ndarray:
    cells, types = np.frombuffer(latent).reshape(shape), np.frombuffer(codes, dtype=np.int64)
    sizes = np.bincount(types)
    sums = sum_distances(rows_of(cells), blocks_of(cells), types, len(sizes))
    own = np.arange(len(sizes)) == types[:, None]  # (cells, types)
    within = sums[own] / np.maximum(sizes[types] - 1, 1)
    between = np.where(own, np.inf, sums / sizes).min(axis=1)
    found = (between - within) / np.maximum(np.maximum(within, between), np.finfo(float).tiny)
    found[sizes[types] == 1] = 0
    found.flags.writeable = False
    return found
