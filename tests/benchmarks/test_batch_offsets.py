"""The offset of a batch is its shrunk mean residual, and a batch without train cells has none."""

import sys
from dataclasses import replace

import numpy as np
from conftest import REPOSITORY, linear_cells

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from batch_offsets import SHRINKAGE, offsets  # noqa: E402


def test_offsets_are_the_shrunk_mean_residuals_of_batches():
    train = replace(linear_cells(4, seed=0), batches=np.array(["a", "a", "a", "b"], dtype=object))
    query = replace(linear_cells(3, seed=1), batches=np.array(["b", "a", "new"], dtype=object))
    residual = np.array([[1.0, 0], [2, 0], [3, 3], [5, -5]], dtype=np.float32)
    of_a, of_b = np.array([6, 3]) / (3 + SHRINKAGE), np.array([5, -5]) / (1 + SHRINKAGE)
    np.testing.assert_allclose(offsets(train, residual, query), [of_b, of_a, [0, 0]], rtol=1e-6)
