"""Which cells are nearest: compared exactly, block by block, with memory linear in cells.

Distances are direct differences in float64, summed in one order, so that equal vectors give equal
distances. Matrix products would break ties; the compiled loops use one, in float32, only to leave
out cells that it excludes for certain (proof: :func:`rough_of`). Cosine distance is Euclidean
between rows of length 1 (:func:`directions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache, lru_cache, partial, wraps
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import numba
import numpy as np
from scipy import sparse
from threadpoolctl import ThreadpoolController

from mosaicbench.metrics._checks import Undefined, finite, matched, same_cells
from mosaicbench.metrics._labels import known

if TYPE_CHECKING:
    from scib_metrics.nearest_neighbors import NeighborsResults

FAR = 400  # binary orders of magnitude; squares of values beyond leave the range of float64
LEAST = 2.0**-100  # slack of a limit: above the sum of all values that float32 rounds to 0
BLOCK = 256  # cells of b that stay in the nearest cache
ROWS = 256  # rows of a for which a block is fetched once
FEW = 32  # up to so many distances of a block are computed one by one; a divisor of BLOCK
EXACT = 100_000  # up to so many cells, every one is compared with all others
SAMPLE = 20_000  # cells that are compared, of more
CHUNK = 8192  # cells with votes in memory at a time
EQUAL = 1e-9  # votes that differ by less are tied: they are sums of fractions
MOST = 90  # neighbours that a metric needs

# --- bounds of distances ---


def within_range(*latents: np.ndarray) -> list[np.ndarray]:
    """Return latents times one power of two, if their squares would over- or underflow.

    Order and ties of distances stay.
    """
    exponent = int(np.frexp(max(np.abs(latent).max(initial=0) for latent in latents))[1])
    return [np.ldexp(x, -exponent) for x in latents] if abs(exponent) > FAR else [*latents]


def rough_of(latent: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return latents in the form that bounds their distances in float32.

    Both, (cells, dims) and (reference cells, dims), are centred and multiplied by one power of two,
    so that no value exceeds 1. Let x and y be such vectors, d half their squared distance,
    s = |x|² + |y|², c the :func:`margin`, and h_x = (1/2 - c)|x|², likewise h_y. Then
    h_x + h_y - x·y in float32 is no more than d, and no less than d - 2cs.

    Proof: without rounding it is d - cs; rounding changes that by less than cs. Let n be the
    dimensions and u = 2^-24. As |x||y| <= s / 2 and h_x + h_y <= s / 2, rounding x and y changes
    x·y by us at most; n + 2 products and sums, in any order, by (n + 2)us; rounding h_x and h_y by
    us / 2; float64 by far less. So cs, with c = (2n + 16)u, is more than twice the sum. Values too
    small for float32 add less than LEAST to a limit.

    Returns
    -------
    rough, rough_reference, half
        (-x, h_x, 1) and (y, 1, h_y), (cells, dims + 2) each, in float32, with products
        h_x + h_y - x·y; half of the factor of a squared distance.
    """
    centre = reference.mean(axis=0)
    centred = [latent - centre, reference - centre]
    largest = max(np.abs(x).max(initial=0) for x in centred)
    exponent = max(int(np.frexp(largest)[1]), -FAR)  # smaller values add less than LEAST
    x, y = (np.ldexp(x, -exponent) for x in centred)
    h_x, h_y = ((0.5 - margin(latent.shape[1])) * np.square(x).sum(axis=1) for x in (x, y))
    pairs = (-x, h_x, np.ones(len(x))), (y, np.ones(len(y)), h_y)
    rough, rough_reference = (np.column_stack(pair).astype(np.float32) for pair in pairs)
    return rough, rough_reference, 0.5 * 4.0**-exponent


def margin(dims: int) -> float:
    """Return c of :func:`rough_of`: how much rounding may change a distance."""
    return (dims + 8) / 2**23


def limits_of(squared: np.ndarray, h: np.ndarray, half: float, dims: int) -> np.ndarray:
    """Return the limits of the bounds of :func:`rough_of` for a given distance from each cell.

    A bound below the first limit proves a smaller distance, one above the second a larger one.

    Proof: let t be half the given distance, squared and scaled. If d <= t, the bound is no more
    than t. If d >= t, it is no less than d - 2c(|x|² + |y|²) >= d - 2c(3|x|² + 4d), as
    |y|² <= (|x| + sqrt(2d))² <= 2|x|² + 4d; that grows with d, so it is at least
    (1 - 8c)t - 6c|x|², and |x|² = h / (1/2 - c) < 7h / 3.

    Returns
    -------
    numpy.ndarray
        (2, cells) in float32, for (cells,) squared distances and h; `half` is of :func:`rough_of`.
    """
    c, t = margin(dims), squared * half
    return np.stack([(1 - 8 * c) * t - 14 * c * h - LEAST, t + LEAST]).astype(np.float32)


# --- compiled loops ---


@numba.njit(cache=True)
def _fill_squared(here, there, squared):  # pragma: no cover - compiled
    squared[:] = 0.0
    for k in range(0, len(here), 2):
        x, y, first, second = here[k], here[k + 1], there[k], there[k + 1]
        for j in range(BLOCK):
            squared[j] = (squared[j] + (x - first[j]) ** 2) + (y - second[j]) ** 2


@numba.njit(cache=True)
def _add_all(squared, r, own, closer, tied, own_b, closer_b, tied_b):  # pragma: no cover
    mine, less, equal = own[r], np.int32(0), np.int32(0)
    for j in range(BLOCK):
        s = squared[j]
        less += np.int32(s < mine)
        equal += np.int32(s == mine)
        closer_b[j] += np.int32(s < own_b[j])
        tied_b[j] += np.int32(s == own_b[j])
    closer[r] += less
    tied[r] += equal


@numba.njit(cache=True)
def _bound_distances(rough, there, lower):  # pragma: no cover - compiled
    np.dot(rough, there, lower[: len(rough)])


@numba.njit(cache=True, inline="always")  # with `cells` a constant: a third of the time
def _count_open(bounds, r, low, high, low_b, high_b, start, cells):  # pragma: no cover - compiled
    open_, low_r, high_r = np.int32(0), low[r], high[r]
    for j in range(cells):
        s = bounds[r, start + j]
        open_ = np.int32(
            open_ + (s <= high_r) - (s < low_r) + (s <= high_b[start + j]) - (s < low_b[start + j])
        )
    return open_


@numba.njit(cache=True)
def _add_certain(bounds, r, low, closer, low_b, closer_b):  # pragma: no cover - compiled
    mine, less = low[r], np.int32(0)
    for j in range(BLOCK):
        less += np.int32(bounds[r, j] < mine)
        closer_b[j] += np.int32(bounds[r, j] < low_b[j])
    closer[r] += less


@numba.njit(cache=True)
def _add_open(bounds, r, rows, closer, tied, block, closer_b, tied_b):  # pragma: no cover
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
    (a, own, low, high), (there, own_b, low_b, high_b) = rows, block
    crowded = 0
    for r in range(len(a)):
        open_ = BLOCK
        if bounded:
            open_ = _count_open(bounds, r, low, high, low_b, high_b, 0, BLOCK)
        if open_ > FEW:
            crowded += 1
            _fill_squared(a[r], there, squared)
            _add_all(squared, r, own, closer, tied, own_b, closer_b, tied_b)
            continue
        _add_certain(bounds, r, low, closer, low_b, closer_b)
        if open_ > 0:
            _add_open(bounds, r, rows, closer, tied, block, closer_b, tied_b)
    return crowded


@numba.njit(parallel=True, cache=True)
def count_both_ways(rough_a, of_a, rough_b, of_b, threads):  # pragma: no cover - compiled
    """Return how many cells are closer and as far as the match: (2, rows), and (2, cells) back.

    If the bounds of a block left too much open in half of the rows, the next blocks are bounded
    only one time in four.
    """
    (a, own_a, low_a, high_a), (b, own_b, low_b, high_b) = of_a, of_b
    counts_a = np.zeros((2, len(a)), np.int32)
    counts_b = np.zeros((threads, 2, len(own_b)), np.int32)
    for thread in numba.prange(threads):
        bounds, squared = np.empty((ROWS, BLOCK), np.float32), np.empty(BLOCK)
        for first in range(ROWS * thread, len(a), ROWS * threads):
            at, crowded = slice(first, first + ROWS), 0
            rows = a[at], own_a[at], low_a[at], high_a[at]
            for number in range(len(b)):
                cells = slice(BLOCK * number, BLOCK * (number + 1))
                block = b[number], own_b[cells], low_b[cells], high_b[cells]
                bounded = number % 4 == 0 or 2 * crowded < len(rows[0])
                if bounded:
                    _bound_distances(rough_a[at], rough_b[number], bounds)
                crowded = _add_tile(
                    bounds, bounded, rows, counts_a[0, at], counts_a[1, at],
                    block, counts_b[thread, 0, cells], counts_b[thread, 1, cells], squared,
                )  # fmt: skip
    return counts_a, counts_b.sum(axis=0)


@numba.njit(cache=True)
def _count_near(lower, limit):  # pragma: no cover - compiled
    near = 0
    for j in range(len(lower)):
        near += lower[j] <= limit
    return near


@numba.njit(cache=True)
def _take_passed(here, there, codes, lower, limit, squared, labels):  # pragma: no cover - compiled
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
def _keep_nearest(distances, codes, r, closer, of, sizes, last, tied):  # pragma: no cover
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

    Ties as in :func:`transfer_with_fraction`. One pass suffices: cells closer than the k-th are
    kept in order, those as far only as counts of their labels.

    Parameters
    ----------
    sides, codes
        The result of :func:`sides_of`; (n,) label of each reference cell, below `n_codes`.
    ks
        Ascending, the last no more than the reference cells that vote.
    left_out
        (cells, any) reference cells that do not vote for a row; -1 for none.

    Returns
    -------
    votes, nearest
        (cells, ks, labels); (cells, labels) squared distance of the nearest among the last k.
    """
    a, b_blocks, rough, rough_blocks, half = sides
    votes, nearest = np.zeros((len(a), len(ks), n_codes)), np.full((len(a), n_codes), np.inf)
    for group in numba.prange((len(a) + ROWS - 1) // ROWS):
        first = ROWS * group
        lower, squared = np.empty((ROWS, BLOCK), np.float32), np.empty(BLOCK)
        labels = np.empty(BLOCK, np.int64)
        closer, of = np.empty((ROWS, ks[-1])), np.empty((ROWS, ks[-1]), np.int64)
        sizes, tied = np.zeros(ROWS, np.int64), np.zeros((ROWS, n_codes), np.int64)
        last, limits = np.full(ROWS, np.inf), np.full(ROWS, np.float32(np.inf))
        for block in range(len(b_blocks)):
            start = BLOCK * block
            of_block = codes[start : start + BLOCK]
            _bound_distances(rough[first : first + ROWS], rough_blocks[block], lower)
            for r in range(min(ROWS, len(a) - first)):
                row = first + r
                for cell in left_out[row]:
                    if start <= cell < start + BLOCK:  # is neither closer nor as far
                        lower[r, cell - start] = np.nan
                near = _count_near(lower[r, : len(of_block)], limits[r])
                if near > FEW:
                    _fill_squared(a[row], b_blocks[block], squared)
                    for cell in left_out[row]:
                        if start <= cell < start + BLOCK:
                            squared[cell - start] = np.nan
                    _keep_nearest(
                        squared[: len(of_block)], of_block, r, closer, of, sizes, last, tied
                    )
                elif near > 0:
                    taken = _take_passed(
                        a[row], b_blocks[block], of_block, lower[r], limits[r], squared, labels
                    )
                    _keep_nearest(squared[:taken], labels, r, closer, of, sizes, last, tied)
                limits[r] = last[r] * half + LEAST
        for r in range(min(ROWS, len(a) - first)):
            row, sure = first + r, closer[r, : sizes[r]]
            _share_votes(sure, of[r], last[r], tied[r], ks, votes[row], nearest[row])
    return votes, nearest


@numba.njit(cache=True)
def _tie_key(row, cell):  # pragma: no cover - compiled
    """Return a pseudo-random number of two places (the finaliser of SplitMix64)."""
    z = np.uint64(row) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(cell + 1) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True)
def _insert_nearest(squared, row, start, kept, keys, places, size):  # pragma: no cover - compiled
    """Add closer cells of a block, or as far with a smaller key, to a row's sorted list."""
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
    """Return the distances and places of the k nearest cells, (cells, k) each, itself first.

    Each cell draws among equally far cells by random numbers of its own, the same in every call, so
    that ties depend neither on the order of rows nor on another cell.
    """
    n = len(a)
    squared_distances, places = np.empty((n, k)), np.empty((n, k), np.int64)
    for group in numba.prange((n + ROWS - 1) // ROWS):
        first = ROWS * group
        squared, keys = np.empty(BLOCK), np.empty((ROWS, k), np.uint64)
        sizes = np.zeros(ROWS, np.int64)
        for block in range(len(b_blocks)):
            start = block * BLOCK
            width = min(BLOCK, n - start)
            for r in range(min(ROWS, n - first)):
                row = first + r
                _fill_squared(a[row], b_blocks[block], squared)
                sizes[r] = _insert_nearest(
                    squared[:width], row, start,
                    squared_distances[row], keys[r], places[row], sizes[r],
                )  # fmt: skip
    return np.sqrt(squared_distances), places


# --- latents as the loops take them ---


def remembered(most: int) -> Callable:
    """Keep the last `most` results of a function of arrays: several metrics need the same."""

    def decorate(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        @lru_cache(most)
        def of_bytes(*arrays: tuple) -> np.ndarray:
            result = function(*(np.frombuffer(x, kind).reshape(shape) for x, kind, shape in arrays))
            result.flags.writeable = False
            return result

        @wraps(function)
        def of_arrays(*arrays: np.ndarray) -> np.ndarray:
            return of_bytes(*((x.tobytes(), x.dtype, x.shape) for x in map(np.asarray, arrays)))

        return of_arrays

    return decorate


def directions(latent: np.ndarray) -> np.ndarray:
    """Return rows of length 1, (cells, dims + 1); the last column is 1 for a latent of length 0.

    A latent of length 0 has cosine 0 with every other. Each latent is divided by its largest value
    first, so that multiples of each other give the same numbers, bit for bit.
    """
    largest = np.abs(latent).max(axis=1, initial=0)
    scaled = latent / np.where(largest > 0, largest, 1)[:, None]
    squared = np.zeros(len(latent))
    for values in scaled.T:  # in one order for every row, for any number of rows
        squared += values**2
    length = np.where(largest > 0, np.sqrt(squared), 1)
    return np.column_stack([scaled / length[:, None], largest == 0])


def rows_of(latent: np.ndarray) -> np.ndarray:
    """Return latents, (cells, dims), with a zero column if their dimensions are odd."""
    return np.ascontiguousarray(np.pad(latent, ((0, 0), (0, latent.shape[1] % 2))))


def blocks_of(latent: np.ndarray) -> np.ndarray:
    """Return latents, (cells, dims), as (blocks, even dims, BLOCK), filled with zeros."""
    padded = np.pad(latent, ((0, -len(latent) % BLOCK), (0, latent.shape[1] % 2)))
    return np.ascontiguousarray(padded.reshape(-1, BLOCK, padded.shape[1]).transpose(0, 2, 1))


def sides_of(latent: np.ndarray, reference: np.ndarray) -> tuple:
    """Return rows of latents, blocks of a reference, and the same of their :func:`rough_of`."""
    latent, reference = within_range(latent, reference)
    rough, rough_reference, half = rough_of(latent, reference)
    return rows_of(latent), blocks_of(reference), rows_of(rough), blocks_of(rough_reference), half


def _filled(values: np.ndarray, multiple: int) -> np.ndarray:
    rows = len(values) + -len(values) % multiple
    filled = np.full((rows, *values.shape[1:]), np.nan, values.dtype)
    filled[: len(values)] = values
    return filled


def _one_blas_thread() -> AbstractContextManager:
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    import_module("scipy.linalg.cython_blas")  # numba calls it; a limit needs it loaded
    return ThreadpoolController()


# --- cells closer than the match: FOSCTTM, recall, rank ---


def count_closer(a: np.ndarray, b: np.ndarray, rows: np.ndarray | None = None) -> list[np.ndarray]:
    """Return how many cells are closer than the match, in the same row of the other latent, or as far.

    Both directions: (cells, 2) from a to b, and from b to a. With some `rows` of a, only the first
    is valid, (rows, 2).
    """
    a, b = within_range(a, b)
    matches_a = np.zeros(len(a))  # squared distances of matches, summed in the order of the loops
    for x, y in zip(a.T, b.T, strict=True):
        matches_a += (x - y) ** 2
    matches_b = matches_a
    if rows is None:
        rows = slice(None)
    else:
        matches_b = np.full(len(b), -np.inf)  # no distance is less
    rough_a, rough_b, half = rough_of(a, b)
    limits_a = limits_of(matches_a, rough_a[:, -2], half, a.shape[1])
    limits_b = limits_of(matches_b, rough_b[:, -1], half, a.shape[1])
    a, rough_a, *of_a = (x[rows] for x in (a, rough_a, matches_a, *limits_a))
    b, rough_b, *of_b = (_filled(x, BLOCK) for x in (b, rough_b, matches_b, *limits_b))
    of_a, of_b = (rows_of(a), *of_a), (blocks_of(b), *of_b)
    threads = numba.get_num_threads()
    with _one_blas_thread():
        counts = count_both_ways(rows_of(rough_a), of_a, blocks_of(rough_b), of_b, threads)
    sizes = len(matches_a[rows]), len(matches_b)
    return [
        np.column_stack([closer, tied - 1])[:size].astype(np.int64)  # without the match
        for (closer, tied), size in zip(counts, sizes, strict=True)
    ]


def compared(cells: int) -> np.ndarray:
    """Return the cells to compare with all others: up to `EXACT` all, else the same `SAMPLE`."""
    if cells <= EXACT:
        return np.arange(cells)
    return np.sort(np.random.default_rng(0).choice(cells, SAMPLE, replace=False))


def sampling_error(of_compared: np.ndarray, cells: int) -> float:
    """Return the standard error of the mean over m of n cells: s / sqrt(m) sqrt(1 - m / n)."""
    m = len(of_compared)
    if m == cells:
        return 0.0
    return float(of_compared.std(ddof=1) / np.sqrt(m) * np.sqrt(1 - m / cells))


def counts_both_ways(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return numbers of closer and tied cells from x to y, and back, (2, compared cells, 2)."""
    rows = compared(len(x))
    if len(rows) == len(x):
        return np.stack(count_closer(x, y))
    return np.stack([count_closer(x, y, rows)[0], count_closer(y, x, rows)[0]])


_counted = remembered(6)(counts_both_ways)  # three modalities have three pairs, by two distances


def closer_and_tied(
    latent_a: np.ndarray, latent_b: np.ndarray, *, cosine: bool = False
) -> np.ndarray:
    """Return the numbers of other cells of b closer to a_i than its match b_i, and as far.

    Row i of both, (cells, dims), is the same cell. The result is (compared cells, 2).
    """
    latents = matched(latent_a, latent_b)
    a, b = map(directions, latents) if cosine else latents
    turned = a.tobytes() > b.tobytes()  # so that both directions are one computation
    counts = _counted(b, a)[1] if turned else _counted(a, b)[0]
    if not cosine:
        return counts
    no_direction = a[compared(len(a)), -1] > 0
    return np.where(no_direction[:, None], [0, len(a) - 1], counts)


def twice_closer(latent_a: np.ndarray, latent_b: np.ndarray, *, cosine: bool = False) -> np.ndarray:
    """Return 2 x (cells of b closer to a_i than b_i) + (cells as far), for each compared cell."""
    counts = closer_and_tied(latent_a, latent_b, cosine=cosine)
    return 2 * counts[:, 0] + counts[:, 1]


def fractions_closer(
    latent_a: np.ndarray, latent_b: np.ndarray, *, cosine: bool = False
) -> np.ndarray:
    """Return the fraction of other cells of b closer to a_i than b_i; ties count half."""
    return twice_closer(latent_a, latent_b, cosine=cosine) / (2 * (len(latent_a) - 1))


# --- votes of the nearest: label transfer, modality mixing ---


def transfer(
    reference_latent: np.ndarray, reference_labels: np.ndarray, latent: np.ndarray, *, k: int = 15
) -> np.ndarray:
    """Return the labels of :func:`transfer_each` for one k, (cells,)."""
    return transfer_each(reference_latent, reference_labels, latent, ks=[k])[k]


def transfer_each(
    reference_latent: np.ndarray,
    reference_labels: np.ndarray,
    latent: np.ndarray,
    **options: object,
) -> dict[int, np.ndarray]:
    """Return k -> the labels of :func:`transfer_with_fraction`, (cells,)."""
    both = transfer_with_fraction(reference_latent, reference_labels, latent, **options)
    return {k: labels for k, (labels, _) in both.items()}


def transfer_with_fraction(
    reference_latent: np.ndarray,
    reference_labels: np.ndarray,
    latent: np.ndarray,
    *,
    ks: Sequence[int],
    own: np.ndarray | None = None,
    cosine: bool = False,
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return the majority label of the k nearest labelled reference cells, and its part of the votes.

    Reference cells as far as the k-th share the remaining votes equally.

    Parameters
    ----------
    reference_latent, reference_labels, latent
        (reference cells, dims), (reference cells,) with "" for no vote, and (cells, dims).
    ks
        Numbers of neighbours; all vote where there are fewer.
    own
        (cells,) each cell's partner in the reference, which does not vote for it; None: all vote.
    cosine
        Whether distance is 1 - cosine, instead of Euclidean.

    Returns
    -------
    dict
        k -> (cells,) object, and (cells,). A tied vote goes to the label with the nearest voter,
        then to the more frequent label in the reference, then to the first there.
    """
    reference, latent = finite(reference_latent), finite(latent)
    if reference.ndim != 2 or reference.shape[1:] != latent.shape[1:]:
        raise ValueError(
            f"latents of the same dimensions are needed, found {reference.shape} and {latent.shape}"
        )
    same_cells(reference, reference_labels)
    if cosine:
        reference, latent = directions(reference), directions(latent)
    voting = known(reference_labels)
    labels = np.asarray(reference_labels, dtype=object)[voting].astype(str)
    names, first, codes, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    by_frequency = np.lexsort((first, -sizes))
    codes = np.argsort(by_frequency)[codes]
    place = np.where(voting, np.cumsum(voting) - 1, -1)  # among the labelled ones
    left_out = np.full(len(latent), -1) if own is None else place[own]
    most = len(labels) - (own is not None)
    if most < 1:
        raise Undefined("at least one labelled reference cell beside the own partner is needed")
    possible = sorted({min(k, most) for k in ks})
    winners, votes = _majority(latent, reference[voting], codes, len(names), possible, left_out)
    if cosine and np.any(no_direction := latent[:, -1] > 0):
        # All reference cells are exactly as far from these.
        nowhere, one_place = np.zeros((no_direction.sum(), 1)), np.zeros((len(labels), 1))
        winners[no_direction], votes[no_direction] = _majority(
            nowhere, one_place, codes, len(names), possible, left_out[no_direction]
        )
    transferred = {}
    for k in ks:
        i = possible.index(min(k, most))
        types = names[by_frequency[winners[:, i]]].astype(object)
        transferred[k] = types, votes[:, i] / possible[i]
    return transferred


def votes_of_nearest(
    latent: np.ndarray,
    reference: np.ndarray,
    codes: np.ndarray,
    n_codes: int,
    ks: Sequence[int],
    left_out: np.ndarray,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield parts of the cells with their votes and nearest distances by :func:`count_votes`."""
    rows, blocks, rough, rough_blocks, half = sides_of(latent, reference)
    codes, ks = codes.astype(np.int64), np.array(ks)
    for start in range(0, len(latent), CHUNK):
        part = slice(start, start + CHUNK)
        sides = rows[part], blocks, rough[part], rough_blocks, half
        with _one_blas_thread():
            counted = count_votes(sides, len(reference), codes, n_codes, ks, left_out[part])
        yield part, *counted


def _majority(
    latent: np.ndarray,
    reference: np.ndarray,
    codes: np.ndarray,
    n_codes: int,
    ks: list[int],
    left_out: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    winners = np.empty((len(latent), len(ks)), dtype=int)
    of_winners = np.empty((len(latent), len(ks)))
    left_out = left_out[:, None]
    for part, votes, nearest in votes_of_nearest(latent, reference, codes, n_codes, ks, left_out):
        leading = votes >= votes.max(axis=2, keepdims=True) - EQUAL
        winners[part] = np.where(leading, nearest[:, None, :], np.inf).argmin(axis=2)
        of_winners[part] = np.take_along_axis(votes, winners[part][:, :, None], axis=2)[:, :, 0]
    return winners, of_winners


# --- neighbours: biology, mixing ---


def neighbors(latent: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and places of the k nearest cells, itself first, each (cells, k); exact.

    Ties are as in :func:`nearest_cells`: a constant latent scores like random neighbours. With
    fewer than k cells, all are returned.
    """
    distances, nearest = _neighbors(finite(latent), np.asarray(max(k, MOST)))[:, :, :k]
    return distances, nearest.astype(np.int64)


@remembered(2)
def _neighbors(latent: np.ndarray, k: np.ndarray) -> np.ndarray:
    (latent,) = within_range(latent)
    return np.stack(nearest_cells(rows_of(latent), blocks_of(latent), min(int(k), len(latent))))


def neighbors_in(graph: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as :func:`neighbors`, from a (cells, cells) graph of distances.

    Raises
    ------
    Undefined
        When cells have different numbers of neighbours, as in a graph of connectivities.
    """
    graph = loopless(graph)
    numbers = np.diff(graph.indptr)
    if len(set(numbers)) > 1 or not numbers[0]:
        raise Undefined(
            f"cells have {numbers.min()} to {numbers.max()} neighbours in this graph; all need as many"
        )
    shape = (len(numbers), numbers[0])
    distances, nearest = graph.data.reshape(shape), graph.indices.reshape(shape)
    order = np.argsort(distances, axis=1, kind="stable")
    distances, nearest = (np.take_along_axis(x, order, axis=1) for x in (distances, nearest))
    itself = np.arange(len(numbers))[:, None]
    return np.hstack([np.zeros_like(distances[:, :1]), distances]), np.hstack([itself, nearest])


def loopless(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return a graph as float64 without edges from a cell to itself; others of length 0 stay."""
    coo = sparse.coo_matrix(graph)
    rows = coo.row != coo.col
    return sparse.csr_matrix(
        (coo.data[rows].astype(np.float64), (coo.row[rows], coo.col[rows])), shape=coo.shape
    )


# --- scib-metrics ---


def scib(function: str, *arguments: object) -> object:
    """Call a function of ``scib_metrics`` or ``scib_metrics.utils`` in double precision, on the CPU.

    Single precision is jax's default.
    """
    import jax

    scib_metrics = import_kept("scib_metrics")
    home = scib_metrics if hasattr(scib_metrics, function) else scib_metrics.utils
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        return getattr(home, function)(*arguments)


def handed_over(distances: np.ndarray, nearest: np.ndarray) -> NeighborsResults:
    """Return the result of :func:`neighbors` as scib-metrics takes it."""
    return import_kept("scib_metrics.nearest_neighbors").NeighborsResults(
        indices=nearest, distances=distances
    )


def lisi(function: str, distances: np.ndarray, nearest: np.ndarray, codes: np.ndarray) -> float:
    """Return a local inverse Simpson index of codes, (cells,), from neighbours, (cells, k).

    Distances are taken beyond the nearest, in units of their mean over the cell's neighbours, as
    weights exp(-beta distance) of large distances would underflow. The index stays: each
    neighbourhood has its own beta, and its weights sum to 1.

    Raises
    ------
    Undefined
        When there are fewer than six neighbours: a third of fewer is no neighbourhood.
    """
    if distances.shape[1] < 6:
        raise Undefined(
            f"at least 6 neighbours are needed, with the cell itself, found {distances.shape[1]}"
        )
    others = nearest != np.arange(len(nearest))[:, None]  # all but the first
    least = np.where(others, distances, np.inf).min(axis=1, keepdims=True)
    beyond = np.where(others, distances - least, 0)
    mean = beyond.mean(axis=1, keepdims=True)
    return float(scib(function, handed_over(beyond / np.where(mean > 0, mean, 1), nearest), codes))


def import_kept(package: str) -> ModuleType:
    """Import a package that numba compiles, such as umap-learn, and keep the compiled code on disk."""
    njit = numba.njit
    numba.njit = partial(njit, cache=True)
    try:
        return import_module(package)
    finally:
        numba.njit = njit


def compile_loops() -> None:
    """Compile the loops before their first use, until this file is edited."""
    z = np.random.default_rng(0).random((20, 3))
    count_closer(z, z)
    transfer_each(z, np.array(["a"] * 20, dtype=object), z, ks=[1])
    neighbors(z, 5)
