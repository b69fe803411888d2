"""What every metric refuses: arrays that do not belong together, and values that are not numbers."""

from __future__ import annotations

import numpy as np


class Undefined(ValueError):
    """A metric does not exist for these arrays, though nothing is wrong with them: its row has no value."""


def matched(**arrays: np.ndarray) -> list[np.ndarray]:
    """Return the matrices as float64, checked to have the same shape, at least two rows, and finite values.

    Raises
    ------
    ValueError
        When shapes differ or are not (cells, something), or a value is NaN or infinite.
    Undefined
        When there are fewer than two rows.
    """
    same_shape(**arrays)
    checked = [finite(name, array) for name, array in arrays.items()]
    if checked[0].ndim != 2:
        raise ValueError(
            f"a matrix with rows for at least 2 cells is needed, found shape {checked[0].shape}"
        )
    at_least(2, checked[0])
    return checked


def at_least(fewest: int, cells: np.ndarray) -> None:
    """Raise `Undefined` where there are fewer rows than a metric needs."""
    if len(cells) < fewest:
        raise Undefined(f"at least {fewest} cells are needed, found {len(cells)}")


def same_shape(**arrays: np.ndarray) -> None:
    """Refuse arrays of different shapes, without looking at their values."""
    if len({np.shape(array) for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())
        raise ValueError(f"the arrays must have the same shape, found {shapes}")


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array as float64; refuse NaN and infinity."""
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinite values")
    return array
