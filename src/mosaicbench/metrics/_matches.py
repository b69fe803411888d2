"""How many cells lie closer than the true match: the count behind FOSCTTM, recall and rank.

Up to `EXACT` cells, each is compared with all others; of more, a sample of `SAMPLE` cells is. A mean over these is an unbiased
estimate of the mean over all, with the standard error that :func:`sampling_error` gives.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mosaicbench.metrics._checks import matched
from mosaicbench.metrics._closer import count_closer, count_closer_of
from mosaicbench.metrics._directions import directions, has_none

EXACT = 100_000  # cells up to which every one is compared with all others
SAMPLE = 20_000  # cells that are, of more


def compared(cells: int) -> np.ndarray:
    """Return which of so many cells are compared with all others, ascending: all, or a sample, the same every time."""
    if cells <= EXACT:
        return np.arange(cells)
    return np.sort(np.random.default_rng(0).choice(cells, SAMPLE, replace=False))


def sampling_error(of_compared: np.ndarray, cells: int) -> float:
    """Return the standard error, as an estimate of the mean over all cells, of the mean over those that were compared.

    It is s / sqrt(m) sqrt(1 - m / n) of m among n cells with the standard deviation s, and 0 where all were compared.
    """
    m = len(of_compared)
    return (
        float(of_compared.std(ddof=1) / np.sqrt(m) * np.sqrt(1 - m / cells)) if m < cells else 0.0
    )


def fractions_closer(
    latent_a: np.ndarray, latent_b: np.ndarray, *, cosine: bool = False
) -> np.ndarray:
    """Return, for each compared cell, the fraction of other cells of b closer to a_i than its match b_i, ties counting half.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.
    cosine
        Whether distance is 1 - cosine, instead of Euclidean.
    """
    return twice_closer(latent_a, latent_b, cosine=cosine) / (2 * (len(latent_a) - 1))


def twice_closer(latent_a: np.ndarray, latent_b: np.ndarray, *, cosine: bool = False) -> np.ndarray:
    """Return 2 x (number of other cells of b closer to a_i than b_i) + (number as far), an integer for each compared cell."""
    counts = closer_and_tied(latent_a, latent_b, cosine=cosine)
    return 2 * counts[:, 0] + counts[:, 1]


def closer_and_tied(
    latent_a: np.ndarray, latent_b: np.ndarray, *, cosine: bool = False
) -> np.ndarray:
    """Return the numbers of other cells of b closer to a_i than b_i, and as far, (compared cells, 2).

    The counts of the last six pairs are kept, in both directions: several metrics ask for the same, and for the way back.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When there are fewer than two cells.
    """
    latents = matched(latent_a=latent_a, latent_b=latent_b)
    latents = [directions(latent) for latent in latents] if cosine else latents
    a, b = (latent.tobytes() for latent in latents)
    counts = _counted(min(a, b), max(a, b), latents[0].shape)[int(a > b)]
    if not cosine:
        return counts
    as_far = has_none(latents[0])[compared(len(latents[0]))]  # from a latent of length 0
    return np.where(as_far[:, None], [0, len(latents[0]) - 1], counts)


@lru_cache(maxsize=6)  # three modalities have three pairs, by two distances
def _counted(first: bytes, second: bytes, shape: tuple[int, int]) -> np.ndarray:
    counts = counts_both_ways(*(np.frombuffer(latent).reshape(shape) for latent in (first, second)))
    counts.flags.writeable = False
    return counts


def counts_both_ways(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the numbers of closer and of tied cells from x to y, and back, (2, compared cells, 2); of float64 latents."""
    if len(compared(len(x))) == len(x):
        return count_closer(x, y)
    return np.stack([counts_one_way(x, y), counts_one_way(y, x)])


def counts_one_way(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the numbers of closer and of tied cells from x to y, (compared cells, 2); of float64 latents."""
    rows = compared(len(x))
    return count_closer(x, y)[0] if len(rows) == len(x) else count_closer_of(rows, x, y)
