"""Cosine distance as a Euclidean one, so that the exact comparison of distances serves both.

Between rows of length 1, the squared Euclidean distance is 2 (1 - cosine). A latent of length 0 has no direction: its cosine
with every other is 0, so it is as far from all of them. It becomes a row of zeros with a 1 in one more column, whose squared
distance from every row of length 1 is 2, that of a right angle.
"""

from __future__ import annotations

import numpy as np


def directions(latent: np.ndarray) -> np.ndarray:
    """Return rows of length 1, (cells, dims + 1): the last column is 1 where the latent has length 0, else 0.

    Latents that are multiples of each other give the same numbers, bit for bit: each is divided by its largest value first, and
    the quotient of a division does not change when both sides are multiplied by one number.

    Parameters
    ----------
    latent
        (cells, dims), finite.
    """
    largest = np.abs(latent).max(axis=1, initial=0)
    scaled = latent / np.where(largest > 0, largest, 1)[:, None]
    squared = np.zeros(len(latent))
    for values in scaled.T:  # in one order for every row, whatever the number of rows
        squared += values**2
    length = np.where(largest > 0, np.sqrt(squared), 1)
    return np.column_stack([scaled / length[:, None], largest == 0])


def has_none(rows: np.ndarray) -> np.ndarray:
    """Return which of the rows of :func:`directions` are of latents of length 0, (cells,) bool."""
    return rows[:, -1] > 0
