"""Paired comparisons: every run against the best of its split and metric, and against named runs.

The mean difference of a split varies at least as much as the differences of single cells imply
(`within`); starts and train cells add to it (`between`). Each comparison borrows the ratio of both
from the other runs of the score: the moderated variance of Smyth (2004,
doi:10.2202/1544-6115.1027). Splits share their cells, so for new cells the variance of a mean over
J splits is (1/J + query cells / train cells) times that (Nadeau and Bengio 2003,
doi:10.1023/A:1024068626366).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.special import ndtri, polygamma, stdtr, stdtrit

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files.scores import CellScores
from mosaicbench.stats.common import LEVEL, RUN, SPLIT, Sizes, joined
from mosaicbench.stats.intervals import cell_means
from mosaicbench.stats.means import best, complete_seed_means, headline, signed_means

EFFECTS = ["low", "high", "p", "p_holm"]
NEW_EFFECTS = ["low_new", "high_new", "p_new", "p_new_holm"]
POWERS = ["detectable", "detectable_new", "seeds_needed"]
PAIRED_COLUMNS = [*SPLIT, "metric", "run", "against", "role", "test", "effect", "better", *EFFECTS]
PAIRED_COLUMNS += [*NEW_EFFECTS, "family", *POWERS, "seeds", "cells", "degrees", "note"]
NUMBERS = ["effect", *EFFECTS, *NEW_EFFECTS, *POWERS, "degrees"]
SPLITS_AND_CELLS, SPLITS = "splits and cells", "splits"
ONE_SPLIT, NO_TEST = "cells of one split", "none"
BEST, LINEAR, REFERENCE = "best", "linear", "reference"
POWER = 0.8
MOST_SEEDS = 100
MOST_BORROWED = 2  # degrees of freedom, for each one of a comparison


def paired_tests(
    scores: pd.DataFrame,
    cells: Iterable[CellScores],
    run_metadata: RunMetadata,
    *,
    reference: str | None = None,
    sizes: Sizes | None = None,
) -> pd.DataFrame:
    """Compare every model and baseline with the best of its split and metric, and with named runs.

    `reference` is the run that the config names, beside runs of the method ``linear``. `sizes`
    allow intervals of new cells.

    Of `PAIRED_COLUMNS`, `effect` is the run's mean less the other's over the splits of both. `low`,
    `high` and `p` concern other splits of these cells and other starts; those with "new" concern
    new cells of the same kind. `p_holm` is corrected over the `family`. `detectable` is the
    smallest difference that this design detects in 80 % of such benchmarks, at 5 % over the family;
    `seeds_needed` the fewest splits with which `detectable_new` is as small as the effect, NA above
    `MOST_SEEDS`. Without a test, `note` states the reason.
    """
    cells_of = {(run.dataset, run.scenario, run.run): run for run in cells}
    summary, groups = headline(scores), [*SPLIT, "metric"]
    winners = summary[best(summary, run_metadata)].groupby(groups, sort=False)["run"].first()
    parts = []
    for (*split, metric), group in complete_seed_means(scores).groupby(groups, sort=False):
        if not run_metadata.is_quality(metric):
            continue
        competing = run_metadata.competing(group)
        table = competing.pivot(index="seed", columns="run", values="value")
        table = table[competing["run"].unique()]  # (seeds, runs)
        train, query = (sizes or {}).get(tuple(split), (0, 0))
        ratio = query / train if train else np.nan
        by_cell, names = {}, {}
        for run in table:
            of_run = cells_of.get((*split, run))
            by_cell[run] = cell_means(of_run, metric, table.index[table[run].notna()])
            if by_cell[run] and not names:
                names = of_run.cells
        roles = _roles(table, winners.get((*split, metric)), reference, run_metadata)
        for place, (against, role) in enumerate(roles.items()):
            rows = _against(table, against, by_cell, names, ratio, picked=BEST in role)
            rows = rows[~rows["run"].isin(list(roles)[:place])]  # compared already
            signed = run_metadata.sign(metric) * rows["effect"]
            better = np.select([signed > 0, signed < 0], [rows["run"], against], "neither")
            of_split = dict(zip(groups, [*split, metric], strict=True))
            parts.append(rows.assign(**of_split, against=against, role=role, better=better))
    return joined(parts, PAIRED_COLUMNS).astype(dict.fromkeys(NUMBERS, float))


def tied_with_best(
    summary: pd.DataFrame, tests: pd.DataFrame, run_metadata: RunMetadata
) -> pd.Series:
    """Say of each row of a table of headline scores whether its run is the best, or tied with it.

    A run is tied if its corrected p for new cells (if unknown, for these cells) is at least 0.05,
    or if both are equal in every split. A run that lacks a seed is not tied, nor is one with a
    worse mean than a run that is not tied.
    """
    with_best = tests[tests["role"].astype(str).str.startswith(BEST)]
    p = with_best["p_new_holm"].astype(float).fillna(with_best["p_holm"].astype(float))
    equal = p.ge(1 - LEVEL) | (p.isna() & with_best["effect"].eq(0))
    names = [*RUN, "metric"]
    tied = pd.MultiIndex.from_frame(with_best.loc[equal, names].astype(object))
    is_tied = pd.MultiIndex.from_frame(summary[names].astype(object)).isin(tied)
    signed, first = signed_means(summary, run_metadata), best(summary, run_metadata)
    apart = signed.where(~(is_tied | first)).groupby([summary[name] for name in [*SPLIT, "metric"]])
    return first | (is_tied & (signed > apart.transform("max").fillna(-np.inf)))


def over_splits(differences: np.ndarray) -> dict[str, object]:
    """Return effect, 95 % interval and p of the paired t test of (splits,) differences.

    `note` states the reason where there is no test.
    """
    n = len(differences)
    effect, note = float(np.mean(differences)) if n else np.nan, _why_no_test(n)
    low = high = p = np.nan
    if n > 1 and not _are_equal(differences):
        error = float(differences.std(ddof=1) / np.sqrt(n))
        (low, high, p), note = interval(effect, error, n - 1), ""
    return {"effect": effect, "note": note, "low": low, "high": high, "p": p}


def holm(p: pd.Series, *, picked: bool = False) -> pd.Series:
    """Return p values corrected after Holm over those that exist.

    With `picked`, all are comparisons with a run that was picked as the best on these scores, so
    each step counts the pairs of runs that are left.
    """
    values = p.to_numpy(dtype=float)
    order = np.argsort(values)[: np.isfinite(values).sum()]  # NaN is last
    left = np.arange(len(order), 0, -1)
    factor = left * (left + 1) / 2 if picked else left
    corrected = np.full(len(values), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * factor), 1)
    return pd.Series(corrected, p.index)


def _roles(
    table: pd.DataFrame, winner: str | None, reference: str | None, run_metadata: RunMetadata
) -> dict[str, str]:
    linear = [run for run in table if run_metadata.method(run) == LINEAR and run != reference]
    roles = {}
    for run in dict.fromkeys([winner, *linear, reference]):
        named = {BEST: run == winner, LINEAR: run in linear, REFERENCE: run == reference}
        if run in table:
            roles[run] = ", ".join(role for role, is_named in named.items() if is_named)
    return roles


def _against(
    table: pd.DataFrame,
    against: str,
    by_cell: Mapping[str, Mapping[int, np.ndarray]],
    names: Mapping[int, np.ndarray],
    ratio: float,
    *,
    picked: bool,
) -> pd.DataFrame:
    """Return one row per other run of (seeds, runs): its comparison with the run `against`.

    `by_cell` is run -> seed -> (cells,), `names` seed -> (cells,) names.
    """
    others = [run for run in table if run != against]
    every = table[others].to_numpy() - table[[against]].to_numpy()  # (seeds, others)
    differences = [d[~np.isnan(d)] for d in every.T]
    of_cells = [
        _of_cells(by_cell[run], by_cell[against], table.index[~np.isnan(d)], names)
        for run, d in zip(others, every.T, strict=True)
    ]
    within = np.array([variance for variance, _ in of_cells], dtype=float)
    between = np.array([d.var(ddof=1) if len(d) > 1 else np.nan for d in differences])
    seeds = np.array([len(d) for d in differences])
    variances, degrees = moderated(between, within, seeds - 1.0, ratio)
    tests = len(others) * (len(others) + 1) // 2 if picked else len(others)
    rows = []
    for place, (run, d, (_, cells)) in enumerate(zip(others, differences, of_cells, strict=True)):
        n, variance = len(d), variances[place]
        row = {"run": run, "effect": d.mean() if n else np.nan, "seeds": n, "cells": cells}
        if n == len(table) == 1 and within[place] > 0:
            row |= {"test": ONE_SPLIT, "note": ""}
            variance, degrees[place] = within[place] / (1 + np.nan_to_num(ratio)), cells - 1
        elif n > 1 and (within[place] > 0 or not _are_equal(d)):
            row |= {"test": SPLITS if np.isnan(within[place]) else SPLITS_AND_CELLS, "note": ""}
        else:
            rows.append(row | {"test": NO_TEST, "note": _why_no_test(n)})
            continue
        rows.append(row | _tested(row["effect"], variance, n, degrees[place], ratio, tests))
    compared = pd.DataFrame(rows).reindex(columns=PAIRED_COLUMNS)
    kind = "best, which was picked here" if picked else "run that was named before"
    return compared.assign(
        p_holm=holm(compared["p"], picked=picked),
        p_new_holm=holm(compared["p_new"], picked=picked),
        family=f"{len(others)} runs with the {kind}",
    )


def _of_cells(
    of_run: Mapping[int, np.ndarray],
    of_other: Mapping[int, np.ndarray],
    seeds: Iterable[int],
    names: Mapping[int, np.ndarray],
) -> tuple[float, int]:
    variances, distinct = [], set()
    for seed in seeds if of_run and of_other else ():
        d = of_run[seed] - of_other[seed]
        known = ~np.isnan(d)
        d = d[known]
        variances.append(d.var(ddof=1) / len(d) if len(d) > 1 else np.nan)
        distinct.update(names[seed][known])
    return float(np.mean(variances)) if variances else np.nan, len(distinct)


def _tested(
    effect: float, variance: float, seeds: int, degrees: float, ratio: float, tests: int
) -> dict[str, float]:
    row = {"degrees": degrees}
    for name, of_dataset in {"": 0.0, "_new": ratio}.items():
        error = float(np.sqrt(variance * variance_factor(seeds, of_dataset)))
        low, high, p = interval(effect, error, degrees)
        row |= {f"low{name}": low, f"high{name}": high, f"p{name}": p}
        row[f"detectable{name}"] = float(detectable(error, degrees, tests))
    if seeds > 1:
        row["seeds_needed"] = seeds_needed(effect, variance, degrees / (seeds - 1), ratio, tests)
    return row


def _why_no_test(seeds: int) -> str:
    if seeds == 0:
        return "no split in common"
    if seeds == 1:
        return "one split in common: without scores of its cells, or beside runs with more splits"
    return "the difference is the same in every split: its spread cannot be estimated"


def _are_equal(x: np.ndarray) -> bool:
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())


# --- variance and power ---


def moderated(
    between: np.ndarray, within: np.ndarray, freedom: np.ndarray, ratio: float = np.nan
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance between splits of (comparisons,), and its degrees of freedom.

    `between` is the variance over splits of the mean difference, `within` that of a mean over the
    query cells of a split, `freedom` splits less one, `ratio` query cells over train cells: splits
    of one dataset vary by 1 / (1 + ratio) of what cells imply. NaN is unknown.
    """
    least, scale = np.zeros(len(between)), np.ones(len(between))
    if np.isfinite(within).all():
        least, scale = within / (1 + np.nan_to_num(ratio)), within
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where((freedom > 0) & (between > 0) & (scale > 0), between / scale, np.nan)
    variance, degrees = between.astype(float), np.where(freedom > 0, freedom, np.nan)
    for place in np.flatnonzero(freedom > 0):
        others = ~np.isnan(excess) & (np.arange(len(between)) != place)
        if others.any():
            borrowed = _alike(excess[others], freedom[others]) * freedom[place]
            expected = scale[place] * np.average(excess[others], weights=freedom[others])
            total = freedom[place] * between[place] + borrowed * max(expected, least[place])
            variance[place] = total / (freedom[place] + borrowed)
            degrees[place] += borrowed
    return variance, degrees


def _alike(excess: np.ndarray, freedom: np.ndarray) -> float:
    """Return each comparison's degrees of freedom of the others; more if alike.

    Logarithms of equal variances vary by the trigamma function of half their degrees of freedom;
    the rest gives those of the prior (Smyth 2004).
    """
    most = min(MOST_BORROWED, len(excess) / 2)
    if len(excess) < 3:
        return most
    spread = np.log(excess).var(ddof=1) - np.mean(polygamma(1, freedom / 2))
    if spread <= 0:
        return most
    prior = (1 + np.sqrt(1 + 2 * spread)) / spread  # 2 y of trigamma(y) = spread, nearly
    return min(most, prior / freedom.mean())


def variance_factor(seeds: float | np.ndarray, ratio: float = 0.0) -> float | np.ndarray:
    """Return the variance of a mean over `seeds` splits, in variances between splits.

    `ratio` is query cells over train cells, 0 for these cells.
    """
    return 1 / seeds + ratio


def interval(effect: float, error: float, degrees: float) -> tuple[float, float, float]:
    """Return the 95 % interval of an effect with its standard error, and its p."""
    half = float(stdtrit(degrees, 0.5 + LEVEL / 2) * error)
    return effect - half, effect + half, float(2 * stdtr(degrees, -abs(effect) / error))


def detectable(
    error: float | np.ndarray, degrees: float | np.ndarray, tests: int
) -> float | np.ndarray:
    """Return the difference detected with a probability of 0.8, at 5 % over all tests (Bonferroni).

    The noncentral t is taken as normal, corrected for the median of an estimated error.
    """
    quantile = stdtrit(degrees, 1 - (1 - LEVEL) / 2 / tests)
    spread = np.sqrt(1 + quantile**2 / (2 * degrees))
    apart = quantile * (1 - 1 / (4 * degrees)) + ndtri(POWER) * spread
    return apart * error / (1 - 2 / (9 * degrees)) ** 1.5


def seeds_needed(
    effect: float, variance: float, per_seed: float, ratio: float, tests: int
) -> float:
    """Return the fewest splits with which `effect` is detectable for new cells; NaN above `MOST_SEEDS`.

    `variance` is that between splits, with `per_seed` degrees of freedom for each beyond the first.
    """
    seeds = np.arange(2, MOST_SEEDS + 1)
    errors = np.sqrt(variance * variance_factor(seeds, ratio))
    enough = detectable(errors, per_seed * (seeds - 1), tests) <= abs(effect)
    return float(seeds[enough.argmax()]) if enough.any() else np.nan
