"""How many cells lie closer than the true match: the count behind FOSCTTM, recall and rank."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mosaicbench.metrics._checks import matched
from mosaicbench.metrics._distances import blocks_of, count_closer, rows_of


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

    The counts of the last two pairs are kept, for several metrics ask for the same, some in both directions.

    Raises
    ------
    ValueError
        When the shapes differ, there are fewer than two cells, or a value is not finite.
    """
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    return _counted(a.tobytes(), b.tobytes(), a.shape)


@lru_cache(maxsize=2)
def _counted(bytes_a: bytes, bytes_b: bytes, shape: tuple[int, int]) -> np.ndarray:
    a, b = (np.frombuffer(of).reshape(shape) for of in (bytes_a, bytes_b))
    counts = count_closer(rows_of(a), blocks_of(b))
    counts.flags.writeable = False
    return counts
