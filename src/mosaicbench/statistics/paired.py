"""Paired comparisons: every run against the best of its view and metric and against a reference, on what both were given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from mosaicbench.files.scores import CellScores
from mosaicbench.statistics.cells import cell_means
from mosaicbench.statistics.common import LEVEL, VIEW, t_quantile
from mosaicbench.statistics.summary import best, complete_seed_means, headline, merits

if TYPE_CHECKING:
    from mosaicbench.report.roster import Roster

PAIRED_COLUMNS = [*VIEW, "metric", "run", "against", "role", "test", "effect", "low", "high", "better", "n", "seeds"]
PAIRED_COLUMNS += ["p", "p_holm", "family", "least_p", "p_population", "seeds_needed", "note"]
OVER_SEEDS = "paired t over seeds"
OVER_CELLS = "t over cells, seeds fixed, clustered by cell"
NUMBERS = ("effect", "low", "high", "p", "least_p", "p_population", "seeds_needed")
NO_TEST = dict.fromkeys(NUMBERS, np.nan) | {"note": ""}
BEST, REFERENCE = "best", "reference"
MOST_SEEDS = 1000  # more are not asked of anybody


def paired_tests(
    scores: pd.DataFrame,
    cells: Iterable[CellScores],
    roster: Roster,
    *,
    reference: str | None = None,
    sizes: Mapping[tuple[str, str], tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """Compare every model and baseline with the best of its view and metric and with a reference, on what both were given.

    Three questions have three p values. `p` over matched seeds (paired t): would the method win again on other splits of these
    cells, from other starts? With few seeds it rests on normal differences; `least_p` is the smallest p that a test without
    that assumption (sign flips) can give with so many seeds. `p_population`: would it win on another dataset of the same kind?
    Splits of one dataset share cells, so their spread is too small for that; the variance of the mean is Nadeau and Bengio's
    (2003), (1/seeds + query cells / train cells) times that of the differences. `p` over matched cells (t of the mean
    difference, clustered by cell, seeds given equal weight): do these fits differ on more cells than chance would give? That
    says nothing about another fit.

    Parameters
    ----------
    scores
        Columns ``files.scores.SCORE_COLUMNS``.
    cells
        The scores of single cells of every run.
    roster
        Who competes, and which way a metric is better.
    reference
        A run; None is the best baseline of each view and metric, of those that have every seed.
    sizes
        (dataset, scenario) -> numbers of train and query cells; without them there is no `p_population`.

    Returns
    -------
    pandas.DataFrame
        Columns ``PAIRED_COLUMNS``. `effect` is the run's mean minus the other's, in units of the metric, with its 95 %
        interval. `p_holm` is corrected over the comparisons that `family` counts: of all pairs of runs, since whom to compare
        with was picked on these scores; of all runs with the reference, where the config names one. `seeds_needed` is how many
        seeds would make `p_population` less than 0.05, were effect and spread to stay as they are; NA where no number would.
        Where there is no test, p is NA and `note` says why.
    """
    cells_of = {(run.dataset, run.scenario, run.run): run for run in cells}
    summary = headline(scores)
    winners = summary[best(summary, roster)].groupby([*VIEW, "metric"], sort=False)["run"].first()
    rows = []
    for (*view, metric), group in complete_seed_means(scores).groupby([*VIEW, "metric"], sort=False):
        if not roster.is_quality(metric):
            continue
        competing = roster.competing(group)
        table = competing.pivot(index="seed", columns="run", values="value")[competing["run"].unique()]  # (seeds, runs)
        names = dict(zip(VIEW, view, strict=True)) | {"metric": metric}
        train, query = (sizes or {}).get(tuple(view), (0, 0))
        contest = Contest.of(
            table, metric, {run: cells_of.get((*view, run)) for run in table}, query / train if train else np.nan
        )
        for run, against, role in _pairs(table, winners.get((*view, metric)), reference, metric, roster):
            for test in contest.compared(run, against, reference):
                gain = roster.sign(metric) * test["effect"]
                better = run if gain > 0 else against if gain < 0 else "neither"
                rows.append(names | {"run": run, "against": against, "role": role, "better": better} | test)
    tests = pd.DataFrame(rows, columns=PAIRED_COLUMNS)
    return tests.assign(p=tests["p"].astype(float), p_holm=tests["p_holm"].astype(float))


def level(summary: pd.DataFrame, tests: pd.DataFrame, roster: Roster) -> pd.Series:
    """Say of each row of a table of headline scores whether its run is the best, or cannot be told from the best.

    Told apart are two runs whose paired test over seeds has a corrected p below 0.05; with one seed, their test over cells. Two
    that differ by the same in every seed differ. Without any test, only the best mean counts. A run that lacks a seed is not
    compared by its mean (:func:`summary.merits`), and so is not called level with the best either.

    Parameters
    ----------
    summary
        Columns ``summary.HEADLINE_COLUMNS``.
    tests
        Columns ``PAIRED_COLUMNS``.
    roster
        Who competes, and which way a metric is better.
    """
    with_best = tests[tests["role"].astype(str).str.startswith(BEST)]
    has_test = (with_best["test"] == OVER_SEEDS) == (with_best["seeds"] > 1)
    decisive = with_best[has_test]
    equal = decisive["p_holm"].ge(1 - LEVEL) | (decisive["p"].isna() & decisive["effect"].eq(0))
    names = [*VIEW, "run", "metric"]
    found = set(decisive.loc[equal, names].itertuples(index=False, name=None))
    is_equal = pd.Series([name in found for name in summary[names].itertuples(index=False, name=None)], dtype=bool)
    return best(summary, roster) | (is_equal.set_axis(summary.index) & merits(summary, roster).notna())


def _pairs(
    table: pd.DataFrame, winner: str | None, reference: str | None, metric: str, roster: Roster
) -> Iterable[tuple[str, str, str]]:
    """Yield each run, whom it is compared with and what that one is; no two runs are compared twice."""
    if reference is None:
        baselines = [run for run in table.dropna(axis="columns") if roster.kind(run) == "baseline"]
        reference = (roster.sign(metric) * table[baselines].mean()).idxmax() if baselines else None
    roles = {winner: [BEST]} if winner is not None else {}
    if reference in table.columns:
        roles[reference] = [*roles.get(reference, []), REFERENCE]
    opponents = {against: ", ".join(words) for against, words in roles.items()}
    places = list(opponents)
    for place, (against, role) in enumerate(opponents.items()):
        for run in table.columns:
            if run not in places[: place + 1]:
                yield run, against, role


@dataclass(frozen=True)
class Contest:
    """All pairs of runs of one view and metric, tested.

    Attributes
    ----------
    tests
        test -> (run, run) -> what the test gave of the first less the second.
    families
        (test, reference or None) -> pair -> corrected p, as they are asked for.
    """

    tests: dict[str, dict[tuple[str, str], dict]]
    families: dict[tuple[str, str | None], dict] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pd.DataFrame, metric: str, cells: Mapping[str, CellScores | None], ratio: float) -> Contest:
        """Test every pair of runs.

        Parameters
        ----------
        table
            (seeds, runs), means over directions, NaN where a seed failed.
        metric
            The metric.
        cells
            run -> its scores of single cells.
        ratio
            Query cells over train cells, NaN if not known.
        """
        values = {run: column.to_numpy() for run, column in table.items()}
        given = {run: ~np.isnan(x) for run, x in values.items()}
        means = {run: cell_means(cells[run], metric, table.index[given[run]]) for run in table}
        codes = _codes({seed: names for scores in cells.values() if scores is not None for seed, names in scores.cells.items()})
        tests: dict[str, dict] = {OVER_SEEDS: {}, OVER_CELLS: {}}
        for run, other in combinations(table.columns, 2):
            both = given[run] & given[other]
            seeds = list(table.index[both])
            of_seeds = over_seeds(values[run][both] - values[other][both], ratio)
            tests[OVER_SEEDS][(run, other)] = {"n": len(seeds), "seeds": len(seeds)} | of_seeds
            if seeds and means[run] and means[other]:
                differences = {seed: means[run][seed] - means[other][seed] for seed in seeds}
                tests[OVER_CELLS][(run, other)] = {"seeds": len(seeds)} | over_cells(differences, codes)
        return cls(tests)

    def compared(self, run: str, against: str, reference: str | None) -> Iterable[dict[str, object]]:
        """Yield one row per test of two runs; `reference` is the run that the config names."""
        for test, found in self.tests.items():
            pair = (run, against) if (run, against) in found else (against, run)
            if pair in found:
                row = found[pair] if pair == (run, against) else _turned(found[pair])
                yield {"test": test} | self._corrected(test, reference if against == reference else None)[pair] | row

    def _corrected(self, test: str, reference: str | None) -> dict[tuple[str, str], dict]:
        """Return pair -> corrected p and what it is corrected over: all pairs, or those with a reference named before."""
        if (test, reference) not in self.families:
            family = {pair: row["p"] for pair, row in self.tests[test].items() if reference is None or reference in pair}
            words = f"{len(family)} {'pairs of runs' if reference is None else 'runs with the reference'}"
            p_holm = holm(pd.Series(list(family.values()), dtype=float))
            self.families[(test, reference)] = {
                pair: {"p_holm": p, "family": words} for pair, p in zip(family, p_holm, strict=True)
            }
        return self.families[(test, reference)]


def _turned(row: dict[str, object]) -> dict[str, object]:
    """Return a test of the second run less the first."""
    return row | {"effect": -row["effect"], "low": -row["high"], "high": -row["low"]}


def _codes(cells: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Return seed -> (cells,) a number for each cell, the same wherever it is met; every run of a view has the same cells."""
    if not cells:
        return {}
    codes, _ = pd.factorize(np.concatenate(list(cells.values())))
    return dict(zip(cells, np.split(codes, np.cumsum([len(names) for names in cells.values()])[:-1]), strict=True))


def over_seeds(differences: np.ndarray, ratio: float = np.nan) -> dict[str, object]:
    """Return effect, interval and p of a paired t test over seeds.

    Parameters
    ----------
    differences
        (seeds,).
    ratio
        Query cells over train cells, for the p about other data; NaN if not known.
    """
    n = len(differences)
    if n == 0:
        return NO_TEST | {"note": "no seed in common"}
    effect = float(np.mean(differences))
    if n == 1:
        return NO_TEST | {"effect": effect, "note": "one seed in common: no test over seeds"}
    found = NO_TEST | {"effect": effect, "least_p": 2.0 ** (1 - n)}
    if _are_equal(differences):
        return found | {"note": "the difference is the same in every seed: its spread cannot be estimated"}
    sd = differences.std(ddof=1)
    error = sd / np.sqrt(n)
    found |= _interval(effect, error, n)
    wider = sd * np.sqrt(1 / n + ratio)
    p_population = float(2 * stdtr(n - 1, -abs(effect) / wider)) if np.isfinite(ratio) else np.nan
    return found | {"p_population": p_population, "seeds_needed": seeds_needed(effect, sd, ratio)}


def seeds_needed(effect: float, sd: float, ratio: float) -> float:
    """Return how many seeds make the p about other data less than 0.05, were effect and spread to stay; NaN if none do.

    Parameters
    ----------
    effect, sd
        Mean and standard deviation of the differences between two runs over seeds.
    ratio
        Query cells over train cells.
    """
    seeds, quantiles = _possible_seeds()
    enough = abs(effect) > quantiles * sd * np.sqrt(1 / seeds + ratio)
    return float(seeds[enough.argmax()]) if enough.any() else np.nan


@cache
def _possible_seeds() -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of seeds that may be asked for, and the t quantile of each: thousands of pairs need the same."""
    seeds = np.arange(2, MOST_SEEDS + 1)
    return seeds, t_quantile(seeds)


def seeds_to_tell(effect: float, sd: float, tests: int) -> float:
    """Return how many seeds make the p over seeds, times a number of tests, less than 0.05, as above; NaN if none do."""
    seeds = np.arange(2, MOST_SEEDS + 1)
    enough = abs(effect) > stdtrit(seeds - 1, 1 - (1 - LEVEL) / 2 / tests) * sd / np.sqrt(seeds)
    return float(seeds[enough.argmax()]) if enough.any() else np.nan


def over_cells(differences: Mapping[int, np.ndarray], codes: Mapping[int, np.ndarray]) -> dict[str, object]:
    """Return n, effect, interval and p of the mean difference over cells; a cell met with several seeds is one cluster.

    Parameters
    ----------
    differences
        seed -> (cells,); NaN where a side has no value.
    codes
        seed -> (cells,) a number for each cell, the same wherever it is met.
    """
    given = {seed: ~np.isnan(x) for seed, x in differences.items()}
    d = np.concatenate([x[given[seed]] for seed, x in differences.items()]).astype(float)
    weights = np.concatenate([np.full(mask.sum(), 1 / max(mask.sum(), 1)) for mask in given.values()])
    clusters = np.concatenate([codes[seed][given[seed]] for seed in differences])
    n = int((np.bincount(clusters) > 0).sum()) if len(d) else 0
    if n == 0:
        return NO_TEST | {"n": 0, "note": "no cell in common"}
    effect = float(np.average(d, weights=weights))
    found = NO_TEST | {"n": n, "effect": effect}
    if n < 2 or _are_equal(d):
        return found | {"note": "the difference is the same in every cell: its spread cannot be estimated"}
    totals = np.bincount(clusters, weights=weights * (d - effect))  # of least squares, clustered by cell
    return found | _interval(effect, np.sqrt(np.sum(totals**2) * n / (n - 1)) / weights.sum(), n)


def _interval(effect: float, error: float, n: int) -> dict[str, float]:
    """Return the 95 % t interval and p of a mean of `n` values with its standard error."""
    half = float(t_quantile(n) * error)
    return {"low": effect - half, "high": effect + half, "p": float(2 * stdtr(n - 1, -abs(effect) / error))}


def holm(p: pd.Series) -> pd.Series:
    """Return p values corrected after Holm over those that exist."""
    ordered = p.astype(float).dropna().sort_values()  # statsmodels' own collects garbage in every call: 100 times as long
    corrected = (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1)
    return corrected.reindex(p.index)


def _are_equal(x: np.ndarray) -> bool:
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())
