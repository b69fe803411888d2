"""Paired comparisons: every run against the best of its view and metric and against a reference, on what both were given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.files.scores import CellScores
from mosaicbench.statistics.cells import cell_means
from mosaicbench.statistics.common import LEVEL, VIEW
from mosaicbench.statistics.summary import best, complete_seed_means, headline

if TYPE_CHECKING:
    from mosaicbench.report.roster import Roster

PAIRED_COLUMNS = [*VIEW, "metric", "run", "against", "role", "test", "effect", "low", "high", "better", "n", "seeds"]
PAIRED_COLUMNS += ["p", "p_holm", "least_p", "note"]
OVER_SEEDS = "paired t over seeds"
OVER_CELLS = "t over cells, seeds fixed, clustered by cell"
NO_TEST = {"effect": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "least_p": np.nan, "note": ""}


def paired_tests(
    scores: pd.DataFrame, cells: Iterable[CellScores], roster: Roster, *, reference: str | None = None
) -> pd.DataFrame:
    """Compare every model and baseline with the best of its view and metric and with a reference, on what both were given.

    Two tests answer two questions. Over matched seeds (paired t): would the method win again, on another split from another
    start? With few seeds it rests on normal differences; `least_p` is the smallest p that a test without that assumption
    (sign flips) can give with so many seeds. Over matched cells (t of the mean difference, clustered by cell, seeds given
    equal weight): do these fits differ on more cells than chance would give? That says nothing about another fit. The best run
    was picked on the same scores, so comparisons with it flatter it.

    Parameters
    ----------
    scores
        Columns ``files.scores.SCORE_COLUMNS``.
    cells
        The scores of single cells of every run.
    roster
        Who competes, and which way a metric is better.
    reference
        A run; None is the best baseline of each view and metric.

    Returns
    -------
    pandas.DataFrame
        Columns ``PAIRED_COLUMNS``. `effect` is the run's mean minus the other's, in units of the metric, with its 95 %
        interval; `p_holm` is corrected over all comparisons of one dataset, scenario, metric and test. Where there is no test,
        p is NA and `note` says why.
    """
    cells_of = {(run.dataset, run.scenario, run.run): run for run in cells}
    summary = headline(scores)
    winners = summary[best(summary, roster)].groupby([*VIEW, "metric"], sort=False)["run"].first()
    rows = []
    for (*view, metric), group in complete_seed_means(scores).groupby([*VIEW, "metric"], sort=False):
        if (*view, metric) not in winners.index:
            continue
        competing = roster.competing(group)
        table = competing.pivot(index="seed", columns="run", values="value")[competing["run"].unique()]  # (seeds, runs)
        names = dict(zip(VIEW, view, strict=True)) | {"metric": metric}
        for run, against, role in _pairs(table, winners[(*view, metric)], reference, metric, roster):
            cells_of_pair = [cells_of.get((*view, name)) for name in (run, against)]
            for test in _tests(table[[run, against]].dropna(), metric, cells_of_pair):
                gain = roster.sign(metric) * test["effect"]
                better = run if gain > 0 else against if gain < 0 else "neither"
                rows.append(names | {"run": run, "against": against, "role": role, "better": better} | test)
    tests = pd.DataFrame(rows, columns=PAIRED_COLUMNS)
    families = tests.groupby([*VIEW, "metric", "test"], sort=False)["p"]
    return tests.assign(p=tests["p"].astype(float), p_holm=families.transform(holm).astype(float))


def _pairs(
    table: pd.DataFrame, winner: str, reference: str | None, metric: str, roster: Roster
) -> Iterable[tuple[str, str, str]]:
    """Yield each run, whom it is compared with and what that one is; no two runs are compared twice."""
    if reference is None:
        baselines = [run for run in table if roster.kind(run) == "baseline"]
        reference = (roster.sign(metric) * table[baselines].mean()).idxmax() if baselines else None
    if reference == winner:
        opponents = {winner: "best, reference"}
    else:
        opponents = {winner: "best"} | ({reference: "reference"} if reference in table.columns else {})
    places = list(opponents)
    for place, (against, role) in enumerate(opponents.items()):
        for run in table.columns:
            if run not in places[: place + 1]:
                yield run, against, role


def _tests(means: pd.DataFrame, metric: str, cells: list[CellScores | None]) -> list[dict[str, object]]:
    """Return one row per test that can be made of two runs; `means` holds both of them, (seeds, 2), run first."""
    seeds, (run, against) = len(means), means.columns
    rows = [{"test": OVER_SEEDS, "n": seeds, "seeds": seeds} | over_seeds((means[run] - means[against]).to_numpy())]
    sides = [cell_means(scores, metric, list(means.index)) for scores in cells]
    if all(sides):
        differences = {seed: sides[0][seed] - sides[1][seed] for seed in sides[0]}
        names = {seed: cells[0].cells[seed] for seed in differences}
        rows.append({"test": OVER_CELLS, "seeds": seeds} | over_cells(differences, names))
    return rows


def over_seeds(differences: np.ndarray) -> dict[str, object]:
    """Return effect, interval and p of a paired t test over seeds, (seeds,) differences."""
    from scipy import stats

    n = len(differences)
    if n == 0:
        return NO_TEST | {"note": "no seed in common"}
    effect = NO_TEST | {"effect": float(np.mean(differences))}
    if n == 1:
        return effect | {"note": "one seed in common: no test over seeds"}
    effect |= {"least_p": 2.0 ** (1 - n)}
    if _are_equal(differences):
        return effect | {"note": "the difference is the same in every seed: its spread cannot be estimated"}
    test = stats.ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(LEVEL)
    return effect | {"low": float(interval.low), "high": float(interval.high), "p": float(test.pvalue)}


def over_cells(differences: Mapping[int, np.ndarray], names: Mapping[int, np.ndarray]) -> dict[str, object]:
    """Return n, effect, interval and p of the mean difference over cells; a cell met with several seeds is one cluster.

    Parameters
    ----------
    differences, names
        seed -> (cells,); a difference is NaN where a side has no value.
    """
    from statsmodels.regression.linear_model import WLS

    given = {seed: ~np.isnan(x) for seed, x in differences.items()}
    d = np.concatenate([x[given[seed]] for seed, x in differences.items()]).astype(float)
    weights = np.concatenate([np.full(mask.sum(), 1 / max(mask.sum(), 1)) for mask in given.values()])
    clusters, distinct = pd.factorize(np.concatenate([names[seed][given[seed]] for seed in differences]))
    if len(d) == 0:
        return NO_TEST | {"n": 0, "note": "no cell in common"}
    effect = NO_TEST | {"n": len(distinct), "effect": float(np.average(d, weights=weights))}
    if len(distinct) < 2 or _are_equal(d):
        return effect | {"note": "the difference is the same in every cell: its spread cannot be estimated"}
    fit = WLS(d, np.ones_like(d), weights=weights).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    low, high = fit.conf_int(1 - LEVEL)[0]
    return effect | {"low": float(low), "high": float(high), "p": float(fit.pvalues[0])}


def holm(p: pd.Series) -> pd.Series:
    """Return p values corrected after Holm over those that exist."""
    ordered = p.astype(float).dropna().sort_values()  # by hand: statsmodels' own collects garbage in every call
    corrected = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1)
    return corrected.reindex(p.index)


def _are_equal(x: np.ndarray) -> bool:
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())
