"""Compiled comparison of distances, block by block: exact, and with memory linear in cells.

Distances are compared as direct differences in float64, summed in one order everywhere, so that equal vectors give equal
distances. Expansions through matrix products do not: they break ties and call a collapsed embedding perfect. So
:func:`count_votes` and :func:`count_both_ways` take one in float32 only to leave out what it shows for certain (`_ranges.py`).
"""

from __future__ import annotations

import numba
import numpy as np

from mosaicbench.metrics._ranges import LEAST

BLOCK = 256  # cells of b that stay in the nearest cache
ROWS = 256  # rows of a for which a block is fetched once
FEW = 32  # distances from a block that are computed one by one, a divisor of BLOCK; of more, all the block's are, at once


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
    """Return how many of a block's squared distances are less than the row's own, and how many as large."""
    closer, tied = 0, 0
    for j in range(BLOCK):
        closer += squared[j] < own
        tied += squared[j] == own
    return closer, tied


@numba.njit(cache=True)
def _count_from_block(squared, own, closer, tied):  # pragma: no cover - compiled
    """Add to each cell of a block how many of four rows are closer than its own, and how many as far."""
    for j in range(BLOCK):
        here, s0, s1, s2, s3 = own[j], squared[0, j], squared[1, j], squared[2, j], squared[3, j]
        closer[j] = np.int32(closer[j] + (s0 < here) + (s1 < here) + (s2 < here) + (s3 < here))
        tied[j] = np.int32(tied[j] + (s0 == here) + (s1 == here) + (s2 == here) + (s3 == here))


@numba.njit(cache=True)
def _bound_distances(rough, there, lower):  # pragma: no cover - compiled
    """Write what bounds the distances of rows from a block of cells, see :func:`rough_of`."""
    np.dot(rough, there, lower[: len(rough)])


@numba.njit(
    cache=True, inline="always"
)  # so that the number of cells is a constant, which takes a third of the time
def _count_open(bounds, r, low, high, low_b, high_b, start, cells):  # pragma: no cover - compiled
    """Return how often row r's bounds of some cells leave open whether a distance is less than the row's own, or the cell's."""
    open_, low_r, high_r = np.int32(0), low[r], high[r]
    for j in range(cells):
        s = bounds[r, start + j]
        open_ = np.int32(
            open_ + (s <= high_r) - (s < low_r) + (s <= high_b[start + j]) - (s < low_b[start + j])
        )
    return open_


@numba.njit(cache=True)
def _add_certain(bounds, r, low, closer, low_b, closer_b):  # pragma: no cover - compiled
    """Add how many of a block are certainly closer than the own to four rows from r on, and of these to each of the block."""
    low0, low1, low2, low3 = low[r], low[r + 1], low[r + 2], low[r + 3]
    c0, c1, c2, c3 = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for j in range(BLOCK):
        here, s0, s1, s2, s3 = (
            low_b[j],
            bounds[r, j],
            bounds[r + 1, j],
            bounds[r + 2, j],
            bounds[r + 3, j],
        )
        c0, c1 = np.int32(c0 + (s0 < low0)), np.int32(c1 + (s1 < low1))
        c2, c3 = np.int32(c2 + (s2 < low2)), np.int32(c3 + (s3 < low3))
        closer_b[j] = np.int32(closer_b[j] + (s0 < here) + (s1 < here) + (s2 < here) + (s3 < here))
    closer[r] += c0
    closer[r + 1] += c1
    closer[r + 2] += c2
    closer[r + 3] += c3


@numba.njit(cache=True)
def _add_open(
    bounds, r, rows, closer, tied, block, closer_b, tied_b
):  # pragma: no cover - compiled
    """Add what row r's bounds leave open, from the squared distances of these pairs, in the order of :func:`_fill_squared`."""
    (a, own, low, high), (there, own_b, low_b, high_b) = rows, block
    for start in range(0, BLOCK, FEW):
        if _count_open(bounds, r, low, high, low_b, high_b, start, FEW) == 0:
            continue
        for j in range(start, start + FEW):
            s = bounds[r, j]
            of_row, of_cell = (s <= high[r]) - (s < low[r]), (s <= high_b[j]) - (s < low_b[j])
            if of_row + of_cell > 0:
                squared = 0.0
                for k in range(a.shape[1]):
                    squared += (a[r, k] - there[k, j]) ** 2
                closer[r] += of_row * (squared < own[r])
                tied[r] += of_row * (squared == own[r])
                closer_b[j] += of_cell * (squared < own_b[j])
                tied_b[j] += of_cell * (squared == own_b[j])


@numba.njit(cache=True)
def _add_tile(
    bounds, bounded, rows, closer, tied, block, closer_b, tied_b, squared
):  # pragma: no cover - compiled
    """Add what a block counts in some rows, and back; return for how many fours of rows all distances were computed."""
    (a, own, low, high), (there, own_b, low_b, high_b) = rows, block
    crowded = 0
    for four in range(0, len(a), 4):
        open_ = 0
        if bounded:
            for r in range(four, four + 4):
                open_ += _count_open(bounds, r, low, high, low_b, high_b, 0, BLOCK)
        if bounded and open_ <= FEW:
            _add_certain(bounds, four, low, closer, low_b, closer_b)
            if open_ > 0:
                for r in range(four, four + 4):
                    _add_open(bounds, r, rows, closer, tied, block, closer_b, tied_b)
            continue
        crowded += 1
        _fill_squared(a, np.arange(four, four + 4), there, squared)
        for r in range(four, four + 4):
            less, equal = _count_from_row(squared[r - four], own[r])
            closer[r] += less
            tied[r] += equal
        _count_from_block(squared, own_b, closer_b, tied_b)
    return crowded


@numba.njit(parallel=True, cache=True)
def count_both_ways(rough_a, of_a, rough_b, of_b, threads):  # pragma: no cover - compiled
    """Return how many are closer and as far as the own: (2, rows), and (2, cells) back.

    Where the bounds of a block left too much open in half of the fours of rows, the next ones are taken of one block in four.
    """
    (a, own_a, low_a, high_a), (b, own_b, low_b, high_b) = of_a, of_b
    n, counts_a, counts_b = (
        len(a),
        np.zeros((2, len(a)), np.int32),
        np.zeros((threads, 2, len(own_b)), np.int32),
    )
    for thread in numba.prange(threads):
        bounds, squared = np.empty((ROWS, BLOCK), np.float32), np.empty((4, BLOCK))
        for first in range(ROWS * thread, n, ROWS * threads):
            at, crowded = slice(first, first + ROWS), 0
            rows = a[at], own_a[at], low_a[at], high_a[at]
            for number in range(len(b)):
                cells = slice(BLOCK * number, BLOCK * (number + 1))
                block = b[number], own_b[cells], low_b[cells], high_b[cells]
                bounded = number % 4 == 0 or 8 * crowded < len(rows[0])
                if bounded:
                    _bound_distances(rough_a[at], rough_b[number], bounds)
                crowded = _add_tile(
                    bounds, bounded, rows, counts_a[0, at], counts_a[1, at],
                    block, counts_b[thread, 0, cells], counts_b[thread, 1, cells], squared,
                )  # fmt: skip
    return counts_a, counts_b.sum(axis=0)


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
def _keep_nearest(
    distances, codes, r, closer, of, sizes, last, tied
):  # pragma: no cover - compiled
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
    a, b_blocks, rough, rough_blocks, half = sides
    votes, nearest = np.zeros((len(a), len(ks), n_codes)), np.full((len(a), n_codes), np.inf)
    for group in numba.prange((len(a) + ROWS - 1) // ROWS):
        first = ROWS * group
        rows = np.minimum(np.arange(first, first + ROWS), len(a) - 1)
        lower, squared = np.empty((ROWS, BLOCK), np.float32), np.empty((4, BLOCK))
        some, labels, filled = np.empty(BLOCK), np.empty(BLOCK, np.int64), False
        closer, of, limits = (
            np.empty((ROWS, ks[-1])),
            np.empty((ROWS, ks[-1]), np.int64),
            np.full(ROWS, np.float32(np.inf)),
        )
        sizes, last, tied = (
            np.zeros(ROWS, np.int64),
            np.full(ROWS, np.inf),
            np.zeros((ROWS, n_codes), np.int64),
        )
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
                    _keep_nearest(
                        distances[: len(of_block)], of_block, r, closer, of, sizes, last, tied
                    )
                else:
                    taken = _take_passed(
                        a[rows[r]], b_blocks[block], of_block, lower[r], limits[r], some, labels
                    )
                    _keep_nearest(some[:taken], labels, r, closer, of, sizes, last, tied)
                limits[r] = last[r] * half + LEAST
        for r in range(min(ROWS, len(a) - first)):
            _share_votes(
                closer[r, : sizes[r]],
                of[r],
                last[r],
                tied[r],
                ks,
                votes[first + r],
                nearest[first + r],
            )
    return votes, nearest


@numba.njit(cache=True)
def _tie_key(row, cell):  # pragma: no cover - compiled
    """Return a number that looks random and depends on nothing but the two places (the finaliser of SplitMix64)."""
    z = np.uint64(row) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(cell + 1) * np.uint64(
        0xD1B54A32D192ED03
    )
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
        while at > 0 and (
            kept[at - 1] > squared[j] or (kept[at - 1] == squared[j] and keys[at - 1] > key)
        ):
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
        squared, keys, sizes = (
            np.empty((4, BLOCK)),
            np.empty((ROWS, k), np.uint64),
            np.zeros(ROWS, np.int64),
        )
        for block in range(len(b_blocks)):
            start = block * BLOCK
            width = min(BLOCK, n - start)
            for four in range(0, min(ROWS, n - first), 4):
                _fill_squared(a, rows[four : four + 4], b_blocks[block], squared)
                for r in range(four, min(four + 4, n - first)):
                    row = first + r
                    sizes[r] = _insert_nearest(
                        squared[r - four, :width],
                        row,
                        start,
                        squared_distances[row],
                        keys[r],
                        places[row],
                        sizes[r],
                    )
    return np.sqrt(squared_distances), places
