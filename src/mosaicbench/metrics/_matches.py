"""How many cells lie closer than the true match: the count behind FOSCTTM, recall and rank."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mosaicbench.metrics._checks import matched
from mosaicbench.metrics._distances import count_closer


def fractions_closer(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return, for each cell, the fraction of other cells of b closer to a_i than its own match b_i, ties counting half.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.
    """
    return twice_closer(latent_a, latent_b) / (2 * (len(latent_a) - 1))


def twice_closer(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return 2 x (number of other cells of b closer to a_i than b_i) + (number as far), an integer for each cell."""
    counts = closer_and_tied(latent_a, latent_b)
    return 2 * counts[:, 0] + counts[:, 1]


def closer_and_tied(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    """Return the numbers of other cells of b closer to a_i than b_i, and as far, (cells, 2).

    The counts of the last three pairs are kept, in both directions: several metrics ask for the same, and for the way back.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When there are fewer than two cells.
    """
    a, b = (latent.tobytes() for latent in matched(latent_a=latent_a, latent_b=latent_b))
    return _counted(min(a, b), max(a, b), np.shape(latent_a))[int(a > b)]


@lru_cache(maxsize=3)
def _counted(first: bytes, second: bytes, shape: tuple[int, int]) -> np.ndarray:
    """Return the counts from the first to the second, and back, (2, cells, 2)."""
    x, y = (np.frombuffer(latent).reshape(shape) for latent in (first, second))
    counts = count_closer(x, y)
    counts.flags.writeable = False
    return counts
