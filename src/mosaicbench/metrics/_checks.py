"""Checks of shapes and values that every metric makes, and blocks of large matrices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

Matrix = np.ndarray | sparse.csr_matrix
BLOCK_VALUES = 2**21  # of one matrix in float64 at a time: 16 MB


class Undefined(ValueError):
    """The arrays are valid, but the metric does not exist for them: its row has no value."""


class NotApplicable(Undefined):
    """No method can have this score on these data: its row is a dash."""


def matched(*arrays: np.ndarray) -> list[np.ndarray]:
    """Return (cells, any) matrices of the same shape as float64, of at least two cells."""
    same_shape(*arrays)
    if arrays[0].ndim != 2:
        raise ValueError(
            f"a matrix with rows for at least 2 cells is needed, found shape {arrays[0].shape}"
        )
    at_least(2, arrays[0])
    return [finite(array) for array in arrays]


def at_least(fewest: int, cells: np.ndarray) -> None:
    """Raise `Undefined` when there are fewer rows."""
    if len(cells) < fewest:
        raise Undefined(f"at least {fewest} cells are needed, found {len(cells)}")


def same_cells(*arrays: Matrix) -> None:
    """Refuse arrays with different numbers of rows."""
    rows = [np.shape(array)[0] for array in arrays]
    if len(set(rows)) > 1:
        raise ValueError(f"the rows must be the same cells, but the numbers do not match: {rows}")


def same_shape(*arrays: Matrix) -> None:
    """Refuse arrays of different shapes."""
    shapes = [np.shape(array) for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"the arrays must have the same shape, found {shapes}")


def finite(array: np.ndarray) -> np.ndarray:
    """Return an array as float64; refuse NaN and infinity."""
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"an array of shape {array.shape} holds NaN or infinite values")
    return array


def dense(matrix: Matrix) -> np.ndarray:
    """Return a matrix as an array."""
    return matrix.toarray() if sparse.issparse(matrix) else matrix


def by_cell(*matrices: Matrix) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Yield blocks of rows, and each matrix's block as float64, (cells of the block, features)."""
    same_shape(*matrices)
    rows = [matrix.tocsr() if sparse.issparse(matrix) else matrix for matrix in matrices]
    cells, features = rows[0].shape
    width = max(1, BLOCK_VALUES // max(1, features))
    for start in range(0, cells, width):
        part = slice(start, start + width)
        yield part, [finite(dense(matrix[part])) for matrix in rows]


def by_feature(*matrices: Matrix) -> Iterator[list[np.ndarray]]:
    """Yield blocks of features of each matrix, (features of the block, cells), as :func:`by_cell`."""
    for _, blocks in by_cell(*(matrix.T for matrix in matrices)):
        yield blocks
