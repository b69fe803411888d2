"""Matrices of true and imputed values, dense or sparse, walked through in float64 blocks: no sparse one becomes dense."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from mosaicbench.metrics._checks import finite, same_shape

BLOCK_VALUES = 2**21  # numbers of one matrix held in float64 at a time: 16 MB


def by_feature(
    **matrices: np.ndarray | sparse.csr_matrix,
) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Yield the columns of a block and the block of each matrix, features first: (features of the block, cells).

    Raises
    ------
    ValueError
        When the shapes differ, or a value is NaN or infinite.
    """
    same_shape(**matrices)
    columns = {
        name: matrix.tocsc() if sparse.issparse(matrix) else matrix
        for name, matrix in matrices.items()
    }
    for part in _parts(columns, axis=1):
        yield part, [finite(name, dense(matrix[:, part]).T) for name, matrix in columns.items()]


def by_cell(**matrices: np.ndarray | sparse.csr_matrix) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Yield the rows of a block and the block of each matrix, (cells of the block, features); errors as for features."""
    same_shape(**matrices)
    rows = {
        name: matrix.tocsr() if sparse.issparse(matrix) else matrix
        for name, matrix in matrices.items()
    }
    for part in _parts(rows, axis=0):
        yield part, [finite(name, dense(matrix[part])) for name, matrix in rows.items()]


def dense(matrix: np.ndarray | sparse.csr_matrix) -> np.ndarray:
    """Return the matrix as an array."""
    return matrix.toarray() if sparse.issparse(matrix) else matrix


def _parts(matrices: dict, *, axis: int) -> list[slice]:
    """Return slices along an axis that cut each matrix into pieces of about BLOCK_VALUES numbers."""
    shape = next(iter(matrices.values())).shape
    width = max(1, BLOCK_VALUES // max(1, shape[1 - axis]))
    return [slice(start, start + width) for start in range(0, shape[axis], width)]
