"""How many cells lie closer than the true match: the count behind FOSCTTM and recall.

Distances are compared as direct differences in float64, summed in one order everywhere, so that equal vectors give equal
distances. Expansions through matrix products do not: they break ties and call a collapsed embedding perfect. Memory is linear
in cells.
"""

from __future__ import annotations

import numba
import numpy as np

from mosaicbench.metrics._checks import matched

BLOCK = 512


def fractions_closer(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return, for each cell, the fraction of other cells of b closer to a_i than its own match b_i, ties counting half.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.
    """
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    return _twice_closer(a, np.ascontiguousarray(b.T)) / (2 * (len(a) - 1))


@numba.njit(parallel=True, cache=True)
def _twice_closer(a, b_transposed):  # pragma: no cover - compiled
    """Return 2 x (number closer) + (number tied), the match itself left out, for each row of a."""
    n, dims = a.shape
    counts = np.empty(n, np.int64)
    for i in numba.prange(n):
        match = 0.0
        for k in range(dims):
            difference = a[i, k] - b_transposed[k, i]
            match += difference * difference
        squared = np.empty(BLOCK)
        total = 0
        for start in range(0, n, BLOCK):
            width = min(BLOCK, n - start)
            squared[:width] = 0.0
            for k in range(dims):
                x = a[i, k]
                for j in range(width):
                    difference = x - b_transposed[k, start + j]
                    squared[j] += difference * difference
            for j in range(width):
                total += (squared[j] < match) + (squared[j] <= match)
        counts[i] = total - 1
    return counts
