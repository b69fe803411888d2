"""Compiled comparison of distances, four rows at a time, block by block: exact, and with memory linear in cells.

Distances are compared as direct differences in float64, summed in one order everywhere, so that equal vectors give equal
distances. Expansions through matrix products do not: they break ties and call a collapsed embedding perfect.
"""

from __future__ import annotations

import numba
import numpy as np

BLOCK = 256


def rows_of(latent: np.ndarray) -> np.ndarray:
    """Return latents, (cells, dims), with a zero column where that makes the dimensions even."""
    return np.ascontiguousarray(np.pad(latent, ((0, 0), (0, latent.shape[1] % 2))))


def blocks_of(latent: np.ndarray) -> np.ndarray:
    """Lay latents, (cells, dims), out in blocks of cells, dimensions first: (blocks, even dims, BLOCK), filled with zeros."""
    padded = np.pad(latent, ((0, -len(latent) % BLOCK), (0, latent.shape[1] % 2)))
    return np.ascontiguousarray(padded.reshape(-1, BLOCK, padded.shape[1]).transpose(0, 2, 1))


@numba.njit(cache=True)
def _fill_squared(a, rows, there, squared):  # pragma: no cover - compiled
    """Write squared distances of four rows of a to a block of cells, so that the block is loaded once for all four."""
    squared[:] = 0.0
    for k in range(0, a.shape[1], 2):
        here, next_ = there[k], there[k + 1]
        x0, x1, x2, x3 = a[rows[0], k], a[rows[1], k], a[rows[2], k], a[rows[3], k]
        y0, y1, y2, y3 = a[rows[0], k + 1], a[rows[1], k + 1], a[rows[2], k + 1], a[rows[3], k + 1]
        for j in range(BLOCK):
            squared[0, j] = (squared[0, j] + (x0 - here[j]) ** 2) + (y0 - next_[j]) ** 2
            squared[1, j] = (squared[1, j] + (x1 - here[j]) ** 2) + (y1 - next_[j]) ** 2
            squared[2, j] = (squared[2, j] + (x2 - here[j]) ** 2) + (y2 - next_[j]) ** 2
            squared[3, j] = (squared[3, j] + (x3 - here[j]) ** 2) + (y3 - next_[j]) ** 2


@numba.njit(parallel=True, cache=True)
def count_closer(a, b_blocks):  # pragma: no cover - compiled
    """Return, for each row of a, how many cells of b are closer than the cell of b in the same row, and how many as far."""
    n, dims = a.shape
    counts = np.empty((n, 2), np.int64)
    for group in numba.prange((n + 3) // 4):
        first = 4 * group
        rows = np.minimum(np.arange(first, first + 4), n - 1)
        match, totals, squared = np.zeros(4), np.zeros((4, 2), np.int64), np.empty((4, BLOCK))
        for r in range(4):
            for k in range(dims):
                difference = a[rows[r], k] - b_blocks[rows[r] // BLOCK, k, rows[r] % BLOCK]
                match[r] += difference * difference
        for block in range(len(b_blocks)):
            _fill_squared(a, rows, b_blocks[block], squared)
            width = min(BLOCK, n - block * BLOCK)
            for r in range(4):
                closer, not_farther = 0, 0
                for j in range(width):
                    closer += squared[r, j] < match[r]
                    not_farther += squared[r, j] <= match[r]
                totals[r, 0] += closer
                totals[r, 1] += not_farther - closer
        for r in range(min(4, n - first)):
            counts[first + r, 0] = totals[r, 0]
            counts[first + r, 1] = totals[r, 1] - 1
    return counts


@numba.njit(parallel=True, cache=True)
def count_votes(a, b_blocks, n, codes, n_codes, ks, left_out):  # pragma: no cover - compiled
    """Count the labels of the nearest of n cells for several numbers of neighbours at once.

    Cells as far as the k-th share the votes that the closer ones leave. So that this needs no second pass, the cells closer
    than the k-th are kept in order, and those as far as it only as counts of their labels.

    Parameters
    ----------
    a, b_blocks
        Rows (cells, dims) and blocks of the reference.
    codes
        (n,) label of each reference cell, below `n_codes`.
    ks
        Numbers of neighbours, ascending, the last no more than the reference cells that are not left out.
    left_out
        (cells, any) reference cells that do not vote for a row; -1 stands for none.

    Returns
    -------
    votes, nearest
        (cells, ks, labels) votes; (cells, labels) squared distance of the nearest of each label among the last k.
    """
    votes = np.zeros((len(a), len(ks), n_codes))
    nearest = np.full((len(a), n_codes), np.inf)
    most = ks[-1]
    for group in numba.prange((len(a) + 3) // 4):
        first = 4 * group
        rows = np.minimum(np.arange(first, first + 4), len(a) - 1)
        squared = np.empty((4, BLOCK))
        closer, of = np.empty((4, most)), np.empty((4, most), np.int64)
        sizes, last, tied = np.zeros(4, np.int64), np.full(4, np.inf), np.zeros((4, n_codes), np.int64)
        for block in range(len(b_blocks)):
            _fill_squared(a, rows, b_blocks[block], squared)
            start = block * BLOCK
            width = min(BLOCK, n - start)
            for r in range(4):
                for cell in left_out[rows[r]]:
                    if start <= cell < start + width:
                        squared[r, cell - start] = np.nan  # is neither closer nor as far
                candidates = 0
                for j in range(width):
                    candidates += squared[r, j] <= last[r]
                if candidates == 0:
                    continue
                for j in range(width):
                    distance, code = squared[r, j], codes[start + j]
                    if distance == last[r]:
                        tied[r, code] += 1
                    elif distance < last[r]:
                        place = sizes[r]
                        while place > 0 and closer[r, place - 1] > distance:
                            closer[r, place], of[r, place] = closer[r, place - 1], of[r, place - 1]
                            place -= 1
                        closer[r, place], of[r, place] = distance, code
                        sizes[r] += 1
                        if sizes[r] == most:  # the farthest of them is the k-th now
                            last[r] = closer[r, most - 1]
                            tied[r] = 0
                            while sizes[r] > 0 and closer[r, sizes[r] - 1] == last[r]:
                                sizes[r] -= 1
                                tied[r, of[r, sizes[r]]] += 1
        for r in range(min(4, len(a) - first)):
            i = first + r
            for place in range(sizes[r]):
                nearest[i, of[r, place]] = min(nearest[i, of[r, place]], closer[r, place])
            for code in range(n_codes):
                if tied[r, code] > 0:
                    nearest[i, code] = min(nearest[i, code], last[r])
            for at in range(len(ks)):
                k = ks[at]
                kth = closer[r, k - 1] if k <= sizes[r] else last[r]
                sure = 0
                while sure < sizes[r] and closer[r, sure] < kth:
                    votes[i, at, of[r, sure]] += 1
                    sure += 1
                end = sure
                while end < sizes[r] and closer[r, end] == kth:
                    end += 1
                as_far = end - sure if k <= sizes[r] else tied[r].sum()
                share = (k - sure) / as_far
                if k <= sizes[r]:
                    for place in range(sure, end):
                        votes[i, at, of[r, place]] += share
                else:
                    for code in range(n_codes):
                        votes[i, at, code] += tied[r, code] * share
    return votes, nearest
