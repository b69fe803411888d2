"""Pearson of whole matrices: one correlation over all cells and features at once, as several papers report it."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import by_cell
from mosaicbench.metrics._checks import Undefined

CARD = {
    "label": "Imputation Pearson, flattened",
    "group": "published_variants",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [-1.0, 1.0],
    "definition": "Pearson's r between all imputed and all true values, every cell and feature an observation, in the target's "
    "value space. Nearly blind: features differ in their means, so the train mean alone scores high. Only for comparison with "
    "papers that report it.",
    "doi": "",
}


def imputation_pearson_flattened(truth: np.ndarray, imputed: np.ndarray) -> float:
    """Return it from (cells, features) arrays, dense or sparse, in blocks; 0 where the imputation is one number.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When the truth is one number.
    """
    low, high, sums, count = np.full(2, np.inf), np.full(2, -np.inf), np.zeros(2), 0
    for _, blocks in by_cell(truth=truth, imputed=imputed):
        low = np.minimum(low, [block.min() for block in blocks])
        high = np.maximum(high, [block.max() for block in blocks])
        sums, count = sums + [block.sum() for block in blocks], count + blocks[0].size
    if low[0] == high[0]:
        raise Undefined("no value of the truth differs from another")
    if low[1] == high[1]:
        return 0.0
    mean, scale = sums / count, high - low
    product, squares = 0.0, np.zeros(2)
    for _, blocks in by_cell(truth=truth, imputed=imputed):
        x, y = ((block - mean[side]) / scale[side] for side, block in enumerate(blocks))
        product, squares = product + np.sum(x * y), squares + [np.sum(x * x), np.sum(y * y)]
    return float(np.clip(product / np.sqrt(squares[0] * squares[1]), -1, 1))
