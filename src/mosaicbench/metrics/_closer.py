"""How many cells are closer than the own partner: what FOSCTTM, recall and median rank are made of."""

from __future__ import annotations

import numba
import numpy as np

from mosaicbench.metrics._distances import BLOCK, count_both_ways
from mosaicbench.metrics._ranges import limits_of, rough_of, within_range
from mosaicbench.metrics._sides import blocks_of, filled, one_blas_thread, rows_of


def count_closer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how many cells are closer than the own partner, in the same row of the other latent, and how many as far.

    One pass over the distances gives both directions: (2, cells, 2), from a to b and from b to a.
    """
    a, b = within_range(a, b)
    own = _squared_of_partners(a, b)
    return np.stack(_counts(a, b, own, own, slice(None)))


def count_closer_of(rows: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how many cells of b are closer to these rows of a than their own partner, and how many as far, (rows, 2)."""
    a, b = within_range(a, b)
    nothing = np.full(len(b), -np.inf)  # is less than any distance: none is counted on the way back
    return _counts(a, b, _squared_of_partners(a, b), nothing, rows)[0]


def _squared_of_partners(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared distances of partners, (cells,), summed in the order of the compiled loops."""
    squared = np.zeros(len(a))
    for x, y in zip(a.T, b.T, strict=True):
        squared += (x - y) ** 2
    return squared


def _counts(
    a: np.ndarray, b: np.ndarray, own_a: np.ndarray, own_b: np.ndarray, rows: np.ndarray | slice
) -> list:
    """Return how many cells are closer than these squared distances, and how many as far but one, of rows of a and of b."""
    rough_a, rough_b, half = rough_of(a, b)
    limits_a = limits_of(own_a, rough_a[:, -2], half, a.shape[1])
    limits_b = limits_of(own_b, rough_b[:, -1], half, a.shape[1])
    a, rough_a, *limits_a = (filled(values[rows], 4) for values in (a, rough_a, own_a, *limits_a))
    b, rough_b, *limits_b = (filled(values, BLOCK) for values in (b, rough_b, own_b, *limits_b))
    sides = rows_of(rough_a), (rows_of(a), *limits_a), blocks_of(rough_b), (blocks_of(b), *limits_b)
    with one_blas_thread():
        counts = count_both_ways(*sides, numba.get_num_threads())
    of_cells = zip(counts, (own_a[rows], own_b), strict=True)
    return [
        np.column_stack([closer, tied - 1])[: len(own)].astype(np.int64)
        for (closer, tied), own in of_cells
    ]  # less itself
