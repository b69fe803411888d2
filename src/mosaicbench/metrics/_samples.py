"""Real and imputed profiles of as many query cells as a quadratic metric can bear."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import dense
from mosaicbench.metrics._checks import matched, same_shape

MOST_CELLS = 2000


def sampled(**matrices: np.ndarray) -> list[np.ndarray]:
    """Return the same up to 2,000 rows of each matrix in float64; the draw does not depend on the values.

    Raises
    ------
    ValueError
        When the shapes differ, there are fewer than two rows, or a drawn value is not finite.
    """
    same_shape(**matrices)
    cells = next(iter(matrices.values())).shape[0]
    rows = np.arange(cells)
    if cells > MOST_CELLS:
        rows = np.sort(np.random.default_rng(0).choice(cells, MOST_CELLS, replace=False))
    return matched(**{name: dense(matrix[rows]) for name, matrix in matrices.items()})
