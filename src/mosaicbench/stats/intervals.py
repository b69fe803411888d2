"""Intervals of means over seeds: 95 % t intervals, never narrower than the cells allow.

What repeats a benchmark is its seeds: another split of the same cells, another start. So the interval of a mean is Student's t
over seeds. Three seeds may lie close together by chance, and then that interval is narrower than so many cells can bear: where
single cells have scores, it is at least as wide as that of a mean over cells. ``benchmarks/interval_coverage.py`` measures how
often such intervals hold the truth; its table stands in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mosaicbench.files.scores import CellScores
from mosaicbench.stats.cells import over_directions
from mosaicbench.stats.common import LEVEL, NO_INTERVAL, RUN, T_OVER_SEEDS, t_quantile

NOT_NARROWER = "t over seeds, at least as wide as over cells"
CELLS_ONLY = "t over cells, one seed"
OF_THESE_DATASETS = "t over seeds, of these datasets"


def half_width_over_cells(
    values: Mapping[int, np.ndarray], names: Mapping[int, np.ndarray]
) -> float:
    """Return half the width of the 95 % interval of the mean over seeds of the mean over cells, seeds taken as they are.

    With other cells in every seed this is t sqrt(v / (n S)), with v the mean over S seeds of the variance over n cells. A cell
    that is met with several seeds counts once: its deviations are summed before they are squared.

    Parameters
    ----------
    values, names
        seed -> (cells,); a value is NaN where a cell has no score.

    Returns
    -------
    float
        NaN where fewer than two cells have a score.
    """
    deviations, met = [], []
    for seed, x in values.items():
        given = ~np.isnan(x)
        of_seed = x[given].astype(float)
        deviations.append(
            (of_seed - of_seed.mean()) / (len(of_seed) * len(values)) if len(of_seed) else of_seed
        )
        met.append(names[seed][given])
    cells, distinct = pd.factorize(np.concatenate(met))
    n = len(distinct)
    if n < 2:
        return np.nan
    totals = np.bincount(cells, weights=np.concatenate(deviations), minlength=n)
    return float(t_quantile(n) * np.sqrt(np.sum(totals**2) * n / (n - 1)))


def over_cells(cells: Iterable[CellScores]) -> dict[tuple, float]:
    """Return half the width of the interval over cells of every score that is a mean over cells.

    Parameters
    ----------
    cells
        The scores of single cells of every run.

    Returns
    -------
    dict
        (dataset, scenario, run, metric, direction, space), and for the mean over directions (dataset, scenario, run, metric)
        -> half the width.
    """
    widths: dict[tuple, float] = {}
    for run in cells:
        names = (run.dataset, run.scenario, run.run)
        by_score: dict[tuple, dict[int, np.ndarray]] = {}
        for (seed, *score), x in run.values.items():
            if not np.isnan(x).all():
                by_score.setdefault(tuple(score), {})[seed] = x
        by_metric: dict[str, list[dict[int, np.ndarray]]] = {}
        for (metric, *place), by_seed in by_score.items():
            widths[(*names, metric, *place)] = half_width_over_cells(by_seed, run.cells)
            by_metric.setdefault(metric, []).append(by_seed)
        for metric, directions in by_metric.items():
            seeds = set.intersection(*(set(by_seed) for by_seed in directions))
            means = {
                seed: over_directions([by_seed[seed] for by_seed in directions])
                for seed in sorted(seeds)
            }
            if means:
                widths[(*names, metric)] = half_width_over_cells(means, run.cells)
    return widths


def with_cells(summary: pd.DataFrame, widths: Mapping[tuple, float]) -> pd.DataFrame:
    """Widen t intervals over seeds to what the cells allow, and give those of one seed; `interval` says what each is.

    Parameters
    ----------
    summary
        ``summary.comparison`` (one row per direction and space) or ``summary.headline`` (means over directions).
    widths
        As :func:`over_cells` gives them.
    """
    keys = [*RUN, "metric", *(["direction", "normalization"] if "direction" in summary else [])]
    of_cells = pd.Series(
        [widths.get(key, np.nan) for key in summary[keys].itertuples(index=False, name=None)],
        dtype=float,
    )
    of_cells = of_cells.set_axis(summary.index)
    half = np.fmax((summary["high"] - summary["low"]).astype(float) / 2, of_cells)
    has_cells = of_cells.notna()
    kind = summary["interval"].mask(has_cells & (summary["seeds"] > 1), NOT_NARROWER)
    kind = kind.mask(has_cells & (summary["seeds"] == 1), CELLS_ONLY)
    ends = {"low": summary["mean"] - half, "high": summary["mean"] + half}
    return summary.assign(
        **{name: end.where(has_cells, summary[name]) for name, end in ends.items()}, interval=kind
    )


def over_datasets(values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the ends of 95 % intervals of the mean over datasets of the mean over seeds, and what they are made of.

    The datasets are taken as they are: the intervals say what other seeds would change, and nothing about other datasets.
    Degrees of freedom are Welch and Satterthwaite's.

    Parameters
    ----------
    values
        dataset -> (seeds, columns).
    """
    mean = np.mean([x.mean(axis=0) for x in values.values()], axis=0)
    if min(len(x) for x in values.values()) < 2:
        return np.full_like(mean, np.nan), np.full_like(mean, np.nan), NO_INTERVAL
    variances = np.stack(
        [x.var(axis=0, ddof=1) / len(x) for x in values.values()]
    )  # (datasets, columns), of the means
    freedom = np.array([len(x) - 1 for x in values.values()])[:, None]
    total = variances.sum(axis=0)
    with np.errstate(invalid="ignore"):
        degrees = np.where(total > 0, total**2 / np.sum(variances**2 / freedom, axis=0), 1.0)
    half = stdtrit(degrees, 0.5 + LEVEL / 2) * np.sqrt(total) / len(values)
    return mean - half, mean + half, OF_THESE_DATASETS if len(values) > 1 else T_OVER_SEEDS
