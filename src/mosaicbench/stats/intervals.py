"""Intervals of means over seeds: 95 % t intervals, never narrower than the cells allow.

Where single cells have scores, the interval over seeds is at least as wide as that of a mean over
cells. docs/statistics.md says how often such intervals cover the truth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mosaicbench.files.scores import CellScores
from mosaicbench.stats.common import LEVEL, NO_INTERVAL, RUN, SPLIT, T_OVER_SEEDS, t_quantile

NOT_NARROWER = "t over seeds, at least as wide as over cells"
CELLS_ONLY = "t over cells, one seed"
OF_THESE_DATASETS = "t over seeds, of these datasets"


def cell_means(
    scores: CellScores | None, metric: str, seeds: Iterable[int]
) -> dict[int, np.ndarray]:
    """Return seed -> (cells,) means over directions; {} if any seed has no scores of cells."""
    means = {}
    for seed in seeds if scores is not None else ():
        blocks = [x for key, x in scores.values.items() if key[:2] == (seed, metric)]
        if not blocks:
            return {}
        means[seed] = over_directions(blocks)
    return means


def over_directions(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Return (cells,) values with the same mean as the directions' means over their own cells.

    If all directions have the same cells, a value is the mean over directions; else the mean plus
    the cell's deviations from the means of its directions.
    """
    x = np.asarray(blocks, dtype=float)  # (directions, cells)
    given = ~np.isnan(x)
    sizes = given.sum(axis=1, keepdims=True)
    if (given == given[0]).all() or not sizes.all():
        return x.mean(axis=0)
    means = np.nanmean(x, axis=1, keepdims=True)
    scored = given.any(axis=0)
    deviations = (np.where(given, x - means, 0) / sizes).mean(axis=0)
    return np.where(scored, means.mean() + scored.sum() * deviations, np.nan)


def half_width_over_cells(
    values: Mapping[int, np.ndarray], names: Mapping[int, np.ndarray]
) -> float:
    """Return half the width of the 95 % interval of the mean over given seeds and their cells.

    With other cells in every seed this is t sqrt(v / (n S)), with v the mean over S seeds of the
    variance over n cells. The deviations of a cell that occurs with several seeds are summed before
    they are squared. NaN if fewer than two cells have a score.
    """
    deviations, scored = [np.empty(0)], [np.empty(0, dtype=object)]
    for seed, x in values.items():
        given = ~np.isnan(x)
        of_seed = x[given].astype(float)
        if len(of_seed):
            deviations.append((of_seed - of_seed.mean()) / (len(of_seed) * len(values)))
            scored.append(names[seed][given])
    cells, distinct = pd.factorize(np.concatenate(scored))
    n = len(distinct)
    if n < 2:
        return np.nan
    totals = np.bincount(cells, weights=np.concatenate(deviations))
    return float(t_quantile(n) * np.sqrt(np.sum(totals**2) * n / (n - 1)))


def over_cells(cells: Iterable[CellScores]) -> dict[tuple, float]:
    """Return half the width of the interval over cells of every score that is a mean over cells.

    The keys are (dataset, scenario, run, metric, direction, normalization) and, of the mean over
    directions, (dataset, scenario, run, metric).
    """
    widths = {}
    for run in cells:
        names = (run.dataset, run.scenario, run.run)
        by_score = defaultdict(dict)
        for (seed, *score), x in run.values.items():
            if not np.isnan(x).all():
                by_score[tuple(score)][seed] = x
        for score, by_seed in by_score.items():
            widths[(*names, *score)] = half_width_over_cells(by_seed, run.cells)
        for metric in {metric for metric, *_ in by_score}:
            directions = [by_seed for score, by_seed in by_score.items() if score[0] == metric]
            means = {}
            for seed in sorted(set.intersection(*map(set, directions))):
                means[seed] = over_directions([by_seed[seed] for by_seed in directions])
            widths[(*names, metric)] = half_width_over_cells(means, run.cells)
    return widths


def with_cells(summary: pd.DataFrame, widths: Mapping[tuple, float]) -> pd.DataFrame:
    """Widen t intervals over seeds to what the cells allow, and add those of one seed.

    A run of one seed beside runs of more has none: its cells say nothing about other starts.
    `summary` is of ``means.comparison`` or ``means.headline``, `widths` of :func:`over_cells`.
    """
    keys = [*RUN, "metric", *(["direction", "normalization"] if "direction" in summary else [])]
    rows = summary[keys].itertuples(index=False, name=None)
    of_cells = np.array([widths.get(key, np.nan) for key in rows])
    most = summary.groupby([*SPLIT, "metric"])["seeds"].transform("max")
    of_cells[(summary["seeds"] == 1) & (most > 1)] = np.nan
    half = np.fmax((summary["high"] - summary["low"]).astype(float) / 2, of_cells)
    has_cells = ~np.isnan(of_cells)
    kind = summary["interval"].mask(has_cells & (summary["seeds"] > 1), NOT_NARROWER)
    return summary.assign(
        low=(summary["mean"] - half).where(has_cells, summary["low"]),
        high=(summary["mean"] + half).where(has_cells, summary["high"]),
        interval=kind.mask(has_cells & (summary["seeds"] == 1), CELLS_ONLY),
    )


def prediction_interval(x: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval for the score of one more seed, from those of at least two."""
    half = t_quantile(len(x)) * x.std(ddof=1) * np.sqrt(1 + 1 / len(x))
    return float(x.mean() - half), float(x.mean() + half)


def over_datasets(values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    """Return 95 % intervals of the mean over given datasets of the mean over seeds, and their kind.

    The intervals concern other seeds, not other datasets. Degrees of freedom are Welch and
    Satterthwaite's. `values` are dataset -> (seeds, columns).
    """
    mean, half = mean_and_half_width(list(values.values()))
    kind = OF_THESE_DATASETS if len(values) > 1 else T_OVER_SEEDS
    kind = kind if min(map(len, values.values())) > 1 else NO_INTERVAL
    return mean - half, mean + half, kind


def mean_and_half_width(values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of :func:`over_datasets` and half its interval, (columns,).

    NaN is left out; the mean is NaN if a dataset has no other value in the column, half the interval
    if it has one.
    """
    seeds = np.stack([(~np.isnan(x)).sum(axis=0) for x in values])  # (datasets, columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.stack([np.nansum(x, axis=0) for x in values]) / seeds
        squares = [np.nansum((x - m) ** 2, axis=0) for x, m in zip(values, means, strict=True)]
        variances = np.stack(squares) / (seeds - 1) / seeds  # of the means
        total = variances.sum(axis=0)
        degrees = total**2 / np.sum(variances**2 / (seeds - 1), axis=0)
    degrees = np.where(total > 0, degrees, 1.0)
    return means.mean(axis=0), stdtrit(degrees, 0.5 + LEVEL / 2) * np.sqrt(total) / len(values)
