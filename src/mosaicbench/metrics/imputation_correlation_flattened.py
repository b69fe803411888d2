"""Correlation of whole matrices: one over all cells and features at once, as several papers report it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from mosaicbench.metrics._blocks import by_cell
from mosaicbench.metrics._checks import Undefined

CARD = {
    "label": "Imputation {of}, flattened",
    "group": "published_variants",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [-1.0, 1.0],
    "definition": "{of}'s r between all imputed and all true values, every cell and feature an observation, in the target's "
    "value space. Nearly blind: features differ in their means, so the train mean alone scores high. Only for comparison with "
    "papers that report it.",
    "doi": "",
    "variants": {
        "imputation_pearson_flattened": {"keywords": {"of": "Pearson"}},
        "imputation_spearman_flattened": {"keywords": {"of": "Spearman"}},
    },
}


def imputation_correlation_flattened(truth: np.ndarray, imputed: np.ndarray, *, of: str) -> float:
    """Return it from (cells, features) arrays, dense or sparse, in blocks; 0 where the imputation is one number.

    Parameters
    ----------
    truth, imputed
        (cells, features).
    of
        "Pearson", or "Spearman": of ranks among all values, equal ones sharing their mean rank. For these a sorted copy of each
        matrix is held.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When the truth is one number.
    """
    low, high, count = np.full(2, np.inf), np.full(2, -np.inf), 0
    for _, blocks in by_cell(truth=truth, imputed=imputed):
        low = np.minimum(low, [block.min() for block in blocks])
        high = np.maximum(high, [block.max() for block in blocks])
        count += blocks[0].size
    if not count or low[0] == high[0]:
        raise Undefined("no value of the truth differs from another")
    if low[1] == high[1]:
        return 0.0
    if of == "Spearman":
        return _correlation(
            truth,
            imputed,
            [_ranking(truth), _ranking(imputed)],
            np.full(2, (count - 1) / 2),
            np.full(2, count),
        )
    sums = np.sum(
        [[block.sum() for block in blocks] for _, blocks in by_cell(truth=truth, imputed=imputed)],
        axis=0,
    )
    return _correlation(truth, imputed, [np.asarray, np.asarray], sums / count, high - low)


def _correlation(
    truth: np.ndarray,
    imputed: np.ndarray,
    take: list[Callable[[np.ndarray], np.ndarray]],
    mean: np.ndarray,
    scale: np.ndarray,
) -> float:
    """Return the correlation of what is taken of the values, given its means and scales of about its spread."""
    product, squares = 0.0, np.zeros(2)
    for _, blocks in by_cell(truth=truth, imputed=imputed):
        x, y = ((take[side](block) - mean[side]) / scale[side] for side, block in enumerate(blocks))
        product, squares = product + np.sum(x * y), squares + [np.sum(x * x), np.sum(y * y)]
    return float(np.clip(product / np.sqrt(squares[0] * squares[1]), -1, 1))


def _ranking(matrix: np.ndarray | sparse.csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives values their rank among all values of a matrix, from 0; equal ones share their mean rank."""
    held = np.sort(matrix.data if sparse.issparse(matrix) else matrix, axis=None)
    zeros = np.prod(matrix.shape) - len(held)  # which a sparse matrix does not hold

    def ranks(values: np.ndarray) -> np.ndarray:
        values = values.astype(
            held.dtype
        )  # as they were: else all that is held would be copied to another type
        below = np.searchsorted(held, values, "left") + zeros * (values > 0)
        not_above = np.searchsorted(held, values, "right") + zeros * (values >= 0)
        return (below + not_above - 1) / 2

    return ranks
