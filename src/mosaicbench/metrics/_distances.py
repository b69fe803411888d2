"""Compiled comparison of distances, block by block: exact, and with memory linear in cells.

Distances are compared as direct differences in float64, summed in one order everywhere, so that equal vectors give equal
distances. Expansions through matrix products do not: they break ties and call a collapsed embedding perfect. So
:func:`count_votes` takes one in float32 only to leave out cells that are certainly farther (`_ranges.py`).
"""

from __future__ import annotations

import numba
import numpy as np

from mosaicbench.metrics._ranges import LEAST, rough_of, within_range

BLOCK = 256  # cells of b that stay in the nearest cache
ROWS = 256  # rows of a for which a block is fetched once
FEW = 32  # cells of a block whose distances are computed one by one; of more, all the block's are, at once


def rows_of(latent: np.ndarray) -> np.ndarray:
    """Return latents, (cells, dims), with a zero column where that makes the dimensions even."""
    return np.ascontiguousarray(np.pad(latent, ((0, 0), (0, latent.shape[1] % 2))))


def blocks_of(latent: np.ndarray) -> np.ndarray:
    """Lay latents, (cells, dims), out in blocks of cells, dimensions first: (blocks, even dims, BLOCK), filled with zeros."""
    padded = np.pad(latent, ((0, -len(latent) % BLOCK), (0, latent.shape[1] % 2)))
    return np.ascontiguousarray(padded.reshape(-1, BLOCK, padded.shape[1]).transpose(0, 2, 1))


def sides_of(latent: np.ndarray, reference: np.ndarray) -> tuple:
    """Return rows of latents, blocks of a reference, and what :func:`rough_of` returns of them, of the reference in blocks."""
    rough, shifts, rough_reference, half = rough_of(latent, reference)
    return rows_of(latent), blocks_of(reference), rows_of(rough), shifts, blocks_of(rough_reference), half


def count_closer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how many cells are closer than the own partner, in the same row of the other latent, and how many as far.

    One pass over the distances gives both directions: (2, cells, 2), from a to b and from b to a.
    """
    a, b = within_range(a, b)
    return _count_closer(rows_of(a), blocks_of(b), numba.get_num_threads())


def count_closer_of(rows: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how many cells of b are closer to these rows of a than their own partner, and how many as far, (rows, 2)."""
    a, b = within_range(a, b)
    return _count_closer_of(rows, rows_of(a), blocks_of(b))


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


@numba.njit(cache=True)
def _count_from_row(squared, own):  # pragma: no cover - compiled
    """Return how many of a block's squared distances are less than the row's own, and how many not more."""
    closer, not_farther = 0, 0
    for j in range(len(squared)):
        closer += squared[j] < own
        not_farther += squared[j] <= own
    return closer, not_farther


@numba.njit(cache=True)
def _count_from_block(squared, own, closer, not_farther):  # pragma: no cover - compiled
    """Add to each cell of a block how many of four rows are closer than its own, and how many not farther."""
    for j in range(len(own)):
        here, s0, s1, s2, s3 = own[j], squared[0, j], squared[1, j], squared[2, j], squared[3, j]
        closer[j] += (s0 < here) + (s1 < here) + (s2 < here) + (s3 < here)
        not_farther[j] += (s0 <= here) + (s1 <= here) + (s2 <= here) + (s3 <= here)


@numba.njit(parallel=True, cache=True)
def _count_closer(a, b_blocks, threads):  # pragma: no cover - compiled
    """Return the counts of :func:`count_closer`."""
    n, dims = a.shape
    own, groups = np.zeros(n), (n + ROWS - 1) // ROWS
    for row in range(n):
        for k in range(dims):
            difference = a[row, k] - b_blocks[row // BLOCK, k, row % BLOCK]
            own[row] += difference * difference
    of_a, of_b = np.zeros((2, n), np.int64), np.zeros((threads, 2, n), np.int64)
    for thread in numba.prange(threads):
        squared = np.empty((4, BLOCK))
        for group in range(thread, groups, threads):
            for block in range(len(b_blocks)):
                cells = slice(BLOCK * block, min(BLOCK * (block + 1), n))
                for four in range(ROWS * group, min(ROWS * (group + 1), n), 4):
                    _fill_squared(a, np.minimum(np.arange(four, four + 4), n - 1), b_blocks[block], squared)
                    squared[n - four :] = np.inf  # rows beyond the last are no cells
                    for row in range(four, min(four + 4, n)):
                        closer, not_farther = _count_from_row(squared[row - four, : len(own[cells])], own[row])
                        of_a[0, row] += closer
                        of_a[1, row] += not_farther
                    _count_from_block(squared, own[cells], of_b[thread, 0, cells], of_b[thread, 1, cells])
    counts = np.empty((2, n, 2), np.int64)
    for direction, (closer, not_farther) in enumerate((of_a, of_b.sum(axis=0))):
        counts[direction, :, 0] = closer
        counts[direction, :, 1] = not_farther - closer - 1  # itself
    return counts


@numba.njit(parallel=True, cache=True)
def _count_closer_of(rows, a, b_blocks):  # pragma: no cover - compiled
    """Return the counts of :func:`count_closer_of`."""
    n, dims = a.shape
    own, counts = np.zeros(len(rows)), np.zeros((len(rows), 2), np.int64)
    for at, row in enumerate(rows):
        for k in range(dims):
            difference = a[row, k] - b_blocks[row // BLOCK, k, row % BLOCK]
            own[at] += difference * difference
    for group in numba.prange((len(rows) + ROWS - 1) // ROWS):
        squared, end = np.empty((4, BLOCK)), min(ROWS * (group + 1), len(rows))
        for block in range(len(b_blocks)):
            width = min(BLOCK, n - BLOCK * block)
            for four in range(ROWS * group, end, 4):
                _fill_squared(a, rows[np.minimum(np.arange(four, four + 4), end - 1)], b_blocks[block], squared)
                for at in range(four, min(four + 4, end)):
                    closer, not_farther = _count_from_row(squared[at - four, :width], own[at])
                    counts[at, 0] += closer
                    counts[at, 1] += not_farther
    counts[:, 1] -= counts[:, 0] + 1  # itself
    return counts


@numba.njit(cache=True)
def _bound_distances(rough, there, lower):  # pragma: no cover - compiled
    """Write what bounds the distances of rows from a block of cells, see :func:`rough_of`."""
    np.dot(rough, there, lower[: len(rough)])


@numba.njit(cache=True)
def _count_near(lower, limit):  # pragma: no cover - compiled
    """Return how many cells of a block pass a row's limit."""
    near = 0
    for j in range(len(lower)):
        near += lower[j] <= limit
    return near


@numba.njit(cache=True)
def _take_passed(here, there, codes, lower, limit, squared, labels):  # pragma: no cover - compiled
    """Write squared distances, in the order of :func:`_fill_squared`, and labels of what passes the limit; return how many."""
    taken = 0
    for j in range(len(codes)):
        if lower[j] <= limit:
            distance = 0.0
            for k in range(len(here)):
                distance += (here[k] - there[k, j]) ** 2
            squared[taken], labels[taken] = distance, codes[j]
            taken += 1
    return taken


@numba.njit(cache=True)
def _keep_nearest(distances, codes, r, closer, of, sizes, last, tied):  # pragma: no cover - compiled
    """Take into row r's list what of a block is closer than the last kept, and count what is as far."""
    candidates = 0
    for j in range(len(distances)):
        candidates += distances[j] <= last[r]
    if candidates == 0:
        return
    for j in range(len(distances)):
        if distances[j] == last[r]:
            tied[r, codes[j]] += 1
        elif distances[j] < last[r]:
            place = sizes[r]
            while place > 0 and closer[r, place - 1] > distances[j]:
                closer[r, place], of[r, place] = closer[r, place - 1], of[r, place - 1]
                place -= 1
            closer[r, place], of[r, place] = distances[j], codes[j]
            sizes[r] += 1
            if sizes[r] == closer.shape[1]:  # the farthest of them is the k-th now
                last[r] = closer[r, sizes[r] - 1]
                tied[r] = 0
                while sizes[r] > 0 and closer[r, sizes[r] - 1] == last[r]:
                    sizes[r] -= 1
                    tied[r, of[r, sizes[r]]] += 1


@numba.njit(cache=True)
def _share_votes(closer, of, last, tied, ks, votes, nearest):  # pragma: no cover - compiled
    """Write one row's votes for each k, and the distance of the nearest of each label, from what was kept."""
    for place in range(len(closer)):
        nearest[of[place]] = min(nearest[of[place]], closer[place])
    for code in range(len(tied)):
        if tied[code] > 0:
            nearest[code] = min(nearest[code], last)
    for at in range(len(ks)):
        k = ks[at]
        kth = closer[k - 1] if k <= len(closer) else last
        sure = 0
        while sure < len(closer) and closer[sure] < kth:
            votes[at, of[sure]] += 1
            sure += 1
        end = sure
        while end < len(closer) and closer[end] == kth:
            end += 1
        if k <= len(closer):
            for place in range(sure, end):
                votes[at, of[place]] += (k - sure) / (end - sure)
        else:
            for code in range(len(tied)):
                votes[at, code] += tied[code] * (k - sure) / tied.sum()


@numba.njit(parallel=True, cache=True)
def count_votes(sides, n, codes, n_codes, ks, left_out):  # pragma: no cover - compiled
    """Count the labels of the nearest of n cells for several numbers of neighbours at once.

    Cells as far as the k-th share the votes that the closer ones leave. So that this needs no second pass, the cells closer
    than the k-th are kept in order, and those as far as it only as counts of their labels.

    Parameters
    ----------
    sides
        What :func:`sides_of` returns of cells and reference.
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
    a, b_blocks, rough, shifts, rough_blocks, half = sides
    votes, nearest = np.zeros((len(a), len(ks), n_codes)), np.full((len(a), n_codes), np.inf)
    for group in numba.prange((len(a) + ROWS - 1) // ROWS):
        first = ROWS * group
        rows = np.minimum(np.arange(first, first + ROWS), len(a) - 1)
        lower, squared = np.empty((ROWS, BLOCK), np.float32), np.empty((4, BLOCK))
        some, labels, filled = np.empty(BLOCK), np.empty(BLOCK, np.int64), False
        closer, of, limits = np.empty((ROWS, ks[-1])), np.empty((ROWS, ks[-1]), np.int64), np.full(ROWS, np.float32(np.inf))
        sizes, last, tied = np.zeros(ROWS, np.int64), np.full(ROWS, np.inf), np.zeros((ROWS, n_codes), np.int64)
        for block in range(len(b_blocks)):
            start, of_block = BLOCK * block, codes[BLOCK * block : BLOCK * (block + 1)]
            _bound_distances(rough[first : first + ROWS], rough_blocks[block], lower)
            for r in range(min(ROWS, len(a) - first)):
                if r % 4 == 0:
                    filled = False
                near = _count_near(lower[r, : len(of_block)], limits[r])
                if near == 0:
                    continue
                if near > FEW and not filled:
                    _fill_squared(a, rows[r - r % 4 : r - r % 4 + 4], b_blocks[block], squared)
                    filled = True
                distances = squared[r % 4]
                for cell in left_out[rows[r]]:
                    if start <= cell < start + len(of_block):  # is neither closer nor as far
                        distances[cell - start], lower[r, cell - start] = np.nan, np.nan
                if near > FEW:
                    _keep_nearest(distances[: len(of_block)], of_block, r, closer, of, sizes, last, tied)
                else:
                    taken = _take_passed(a[rows[r]], b_blocks[block], of_block, lower[r], limits[r], some, labels)
                    _keep_nearest(some[:taken], labels, r, closer, of, sizes, last, tied)
                limits[r] = last[r] * half - shifts[rows[r]] + LEAST
        for r in range(min(ROWS, len(a) - first)):
            _share_votes(closer[r, : sizes[r]], of[r], last[r], tied[r], ks, votes[first + r], nearest[first + r])
    return votes, nearest


@numba.njit(cache=True)
def _tie_key(row, cell):  # pragma: no cover - compiled
    """Return a number that looks random and depends on nothing but the two places (the finaliser of SplitMix64)."""
    z = np.uint64(row) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(cell + 1) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True)
def _insert_nearest(squared, row, start, kept, keys, places, size):  # pragma: no cover - compiled
    """Take into a row's sorted list what of a block is closer than the last kept, or as far with a smaller key."""
    most = len(kept)
    for j in range(len(squared)):
        if size == most and squared[j] > kept[most - 1]:
            continue
        key = np.uint64(0) if start + j == row else _tie_key(row, start + j)
        if size == most and squared[j] == kept[most - 1] and key >= keys[most - 1]:
            continue
        at = min(size, most - 1)
        while at > 0 and (kept[at - 1] > squared[j] or (kept[at - 1] == squared[j] and keys[at - 1] > key)):
            kept[at], keys[at], places[at] = kept[at - 1], keys[at - 1], places[at - 1]
            at -= 1
        kept[at], keys[at], places[at] = squared[j], key, start + j
        size = min(size + 1, most)
    return size


@numba.njit(parallel=True, cache=True)
def nearest_cells(a, b_blocks, k):  # pragma: no cover - compiled
    """Return the distances and places of the k nearest of the same cells, (cells, k) each, the cell itself first.

    Each cell draws among those that are equally far by random numbers of its own, the same in every call, so that ties
    follow neither the order of rows nor the choice of another cell.

    Parameters
    ----------
    a, b_blocks
        Rows (cells, dims) and blocks of the cells.
    k
        No more than there are cells.
    """
    n = len(a)
    squared_distances, places = np.empty((n, k)), np.empty((n, k), np.int64)
    for group in numba.prange((n + ROWS - 1) // ROWS):
        first = ROWS * group
        rows = np.minimum(np.arange(first, first + ROWS), n - 1)
        squared, keys, sizes = np.empty((4, BLOCK)), np.empty((ROWS, k), np.uint64), np.zeros(ROWS, np.int64)
        for block in range(len(b_blocks)):
            start = block * BLOCK
            width = min(BLOCK, n - start)
            for four in range(0, min(ROWS, n - first), 4):
                _fill_squared(a, rows[four : four + 4], b_blocks[block], squared)
                for r in range(four, min(four + 4, n - first)):
                    row = first + r
                    sizes[r] = _insert_nearest(
                        squared[r - four, :width], row, start, squared_distances[row], keys[r], places[row], sizes[r]
                    )
    return np.sqrt(squared_distances), places
