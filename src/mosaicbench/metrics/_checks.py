"""What every metric refuses: arrays that do not belong together, and values that are not numbers."""

from __future__ import annotations

import numpy as np


def matched(**arrays: np.ndarray) -> list[np.ndarray]:
    """Return the arrays as float64, checked to have the same shape and finite values.

    Raises
    ------
    ValueError
        When shapes differ, there are fewer than two rows, or a value is NaN or infinite.
    """
    checked = [finite(name, array) for name, array in arrays.items()]
    if len({array.shape for array in checked}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(arrays, checked, strict=True))
        raise ValueError(f"the arrays must have the same shape, found {shapes}")
    if len(checked[0]) < 2:
        raise ValueError("at least two cells are needed")
    return checked


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array as float64; refuse NaN and infinity."""
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinite values")
    return array
