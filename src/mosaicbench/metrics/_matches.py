"""How many cells lie closer than the true match: the count behind FOSCTTM and recall.

Distances are compared as direct differences in float64, summed in one order everywhere, so that equal vectors give equal
distances. Expansions through matrix products do not: they break ties and call a collapsed embedding perfect. Memory is linear
in cells.
"""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np

from mosaicbench.metrics._checks import matched

BLOCK = 256


def fractions_closer(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return, for each cell, the fraction of other cells of b closer to a_i than its own match b_i, ties counting half.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.
    """
    return twice_closer(latent_a, latent_b) / (2 * (len(latent_a) - 1))


def twice_closer(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return 2 x (number of other cells of b closer to a_i than b_i) + (number as far), an integer for each cell.

    The counts of the last pair are kept, for several metrics ask for the same.

    Raises
    ------
    ValueError
        When the shapes differ, there are fewer than two cells, or a value is not finite.
    """
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    return _counted(a.tobytes(), b.tobytes(), a.shape)


@lru_cache(maxsize=1)
def _counted(bytes_a: bytes, bytes_b: bytes, shape: tuple[int, int]) -> np.ndarray:
    """Lay b out in blocks of cells, dimensions first, and count; a zero column makes the dimensions even."""
    n, dims = shape
    even = dims + dims % 2
    a, b = np.zeros((n, even)), np.zeros((-(-n // BLOCK) * BLOCK, even))
    a[:, :dims] = np.frombuffer(bytes_a).reshape(shape)
    b[:n, :dims] = np.frombuffer(bytes_b).reshape(shape)
    counts = _count(a, np.ascontiguousarray(b.reshape(-1, BLOCK, even).transpose(0, 2, 1)))
    counts.flags.writeable = False
    return counts


@numba.njit(parallel=True, cache=True)
def _count(a, b_blocks):  # pragma: no cover - compiled
    """Count for four rows of a at a time, so that a block of b is loaded once for all four; (blocks, dims, BLOCK) b."""
    n, dims = a.shape
    counts = np.empty(n, np.int64)
    for group in numba.prange((n + 3) // 4):
        first = 4 * group
        rows = np.minimum(np.arange(first, first + 4), n - 1)
        match, totals, squared = np.zeros(4), np.zeros(4, np.int64), np.empty((4, BLOCK))
        for r in range(4):
            for k in range(dims):
                difference = a[rows[r], k] - b_blocks[rows[r] // BLOCK, k, rows[r] % BLOCK]
                match[r] += difference * difference
        for block in range(len(b_blocks)):
            squared[:] = 0.0
            for k in range(0, dims, 2):
                here, there = b_blocks[block, k], b_blocks[block, k + 1]
                x0, x1, x2, x3 = a[rows[0], k], a[rows[1], k], a[rows[2], k], a[rows[3], k]
                y0, y1, y2, y3 = a[rows[0], k + 1], a[rows[1], k + 1], a[rows[2], k + 1], a[rows[3], k + 1]
                for j in range(BLOCK):
                    squared[0, j] = (squared[0, j] + (x0 - here[j]) ** 2) + (y0 - there[j]) ** 2
                    squared[1, j] = (squared[1, j] + (x1 - here[j]) ** 2) + (y1 - there[j]) ** 2
                    squared[2, j] = (squared[2, j] + (x2 - here[j]) ** 2) + (y2 - there[j]) ** 2
                    squared[3, j] = (squared[3, j] + (x3 - here[j]) ** 2) + (y3 - there[j]) ** 2
            width = min(BLOCK, n - block * BLOCK)
            for r in range(4):
                total = 0
                for j in range(width):
                    total += (squared[r, j] < match[r]) + (squared[r, j] <= match[r])
                totals[r] += total
        for r in range(min(4, n - first)):
            counts[first + r] = totals[r] - 1
    return counts
