"""The variance of a difference between two runs, from splits and cells together, and what a design can tell with it.

A split draws query cells, so the mean difference of a split varies at least as much as the differences of single cells say
(`within`); starts and train cells add to it. Three splits measure the sum of both with two degrees of freedom. The ratio of
what splits show (`between`) to what cells say is of one kind for the runs of a score, though. So each comparison borrows this
ratio from the others, and the more, the more alike the others are: this is the moderated variance of Smyth (2004,
doi:10.2202/1544-6115.1027). For new cells of the same kind, the variance of a mean over J splits of one dataset is
(1/J + query cells / train cells) times that, since the splits share their cells (Nadeau and Bengio 2003,
doi:10.1023/A:1024068626366). ``benchmarks/interval_coverage.py`` measures how often such intervals hold the truth.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, polygamma, stdtr, stdtrit

from mosaicbench.stats.common import LEVEL

POWER = 0.8
MOST_SEEDS = 100  # more are not asked of anybody
MOST_BORROWED = 2  # degrees of freedom, for each one of the comparison itself: one odd run among alike ones borrows little


def moderated(
    between: np.ndarray, within: np.ndarray, freedom: np.ndarray, ratio: float = np.nan
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance between splits of each of several comparisons with one run, and its degrees of freedom.

    Parameters
    ----------
    between
        (comparisons,) variance over splits of the mean difference, NaN with fewer than two splits.
    within
        (comparisons,) variance of a mean over the query cells of a split, NaN where single cells have no scores.
    freedom
        (comparisons,) splits less one.
    ratio
        Query cells over train cells, NaN if not known: splits of one dataset vary by 1 / (1 + ratio) of what cells say.

    Returns
    -------
    tuple of numpy.ndarray
        (comparisons,) each; NaN where neither splits nor cells say anything.
    """
    least = np.zeros(len(between))
    if np.isfinite(within).all():
        least = within / (1 + np.nan_to_num(ratio))
        scale = within
    else:
        scale = np.ones(len(between))
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where((freedom > 0) & (between > 0) & (scale > 0), between / scale, np.nan)
    variance, degrees = between.astype(float), np.where(freedom > 0, freedom, np.nan).astype(float)
    for place in np.flatnonzero(freedom > 0):
        others = ~np.isnan(excess) & (np.arange(len(between)) != place)
        if others.any():
            borrowed = _alike(excess[others], freedom[others]) * freedom[place]
            expected = max(
                scale[place] * np.average(excess[others], weights=freedom[others]), least[place]
            )
            variance[place] = (freedom[place] * between[place] + borrowed * expected) / (
                freedom[place] + borrowed
            )
            degrees[place] += borrowed
    return variance, degrees


def _alike(excess: np.ndarray, freedom: np.ndarray) -> float:
    """Return how many degrees of freedom others are worth for each one of a comparison itself: more, the more alike they are.

    Logarithms of variances of equal truth vary by the trigamma function of half their degrees of freedom; what they vary
    beyond that is the spread of the truth, and gives the degrees of freedom of the prior (Smyth 2004).
    """
    most = min(MOST_BORROWED, len(excess) / 2)
    if len(excess) < 3:
        return most
    spread = np.log(excess).var(ddof=1) - np.mean(polygamma(1, freedom / 2))
    if spread <= 0:
        return most
    return min(
        most, (1 + np.sqrt(1 + 2 * spread)) / spread / freedom.mean()
    )  # 2 y of trigamma(y) = spread, nearly


def share(seeds: float | np.ndarray, ratio: float = 0.0) -> float | np.ndarray:
    """Return by what the variance between splits is multiplied for a mean over `seeds` splits; `ratio` is 0 of these cells."""
    return 1 / seeds + ratio


def interval(effect: float, error: float, degrees: float) -> tuple[float, float, float]:
    """Return the ends of the 95 % interval of an effect with its standard error, and its p."""
    half = float(stdtrit(degrees, 0.5 + LEVEL / 2) * error)
    return effect - half, effect + half, float(2 * stdtr(degrees, -abs(effect) / error))


def detectable(
    error: float | np.ndarray, degrees: float | np.ndarray, tests: int
) -> float | np.ndarray:
    """Return the difference that is told from 0 with a probability of 0.8, at 5 % over so many tests (Bonferroni).

    The noncentral t is taken as normal, with mean and variance of an estimated standard deviation; that its median is below the
    true one is made up for.
    """
    quantile = stdtrit(degrees, 1 - (1 - LEVEL) / 2 / tests)
    apart = quantile * (1 - 1 / (4 * degrees)) + ndtri(POWER) * np.sqrt(
        1 + quantile**2 / (2 * degrees)
    )
    return apart * error / (1 - 2 / (9 * degrees)) ** 1.5


def seeds_needed(
    effect: float, variance: float, per_seed: float, ratio: float, tests: int
) -> float:
    """Return the fewest splits with which a difference as large as `effect` is detectable for new cells; NaN if none are.

    Parameters
    ----------
    effect, variance
        The difference, and its variance between splits.
    per_seed
        Degrees of freedom of that variance for each split beyond the first.
    ratio
        Query cells over train cells.
    tests
        As of :func:`detectable`.
    """
    seeds = np.arange(2, MOST_SEEDS + 1)
    enough = detectable(
        np.sqrt(variance * share(seeds, ratio)), per_seed * (seeds - 1), tests
    ) <= abs(effect)
    return float(seeds[enough.argmax()]) if enough.any() else np.nan
