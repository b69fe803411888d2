"""Paired comparisons: every run against the best of its split and metric and against runs that were named before.

Runs are compared on the splits that both have. ``spread`` gives the variance of their difference, from splits and cells
together, for these cells (other splits and starts) and for new cells of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.files.scores import CellScores
from mosaicbench.stats.cells import cell_means
from mosaicbench.stats.common import LEVEL, SPLIT
from mosaicbench.stats.spread import detectable, interval, moderated, seeds_needed, share
from mosaicbench.stats.summary import best, complete_seed_means, headline, signed_means

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

PAIRED_COLUMNS = [
    *SPLIT,
    "metric",
    "run",
    "against",
    "role",
    "test",
    "effect",
    "better",
    "low",
    "high",
    "p",
    "p_holm",
]
PAIRED_COLUMNS += [
    "low_new",
    "high_new",
    "p_new",
    "p_new_holm",
    "family",
    "detectable",
    "detectable_new",
    "seeds_needed",
]
PAIRED_COLUMNS += ["seeds", "cells", "degrees", "note"]
NUMBERS = (
    "effect",
    "low",
    "high",
    "p",
    "p_holm",
    "low_new",
    "high_new",
    "p_new",
    "p_new_holm",
    "detectable",
    "detectable_new",
)
NUMBERS += ("seeds_needed", "degrees")
SPLITS_AND_CELLS, SPLITS, ONE_SPLIT, NO_TEST = (
    "splits and cells",
    "splits",
    "cells of one split",
    "none",
)
BEST, LINEAR, REFERENCE = "best", "linear", "reference"


def paired_tests(
    scores: pd.DataFrame,
    cells: Iterable[CellScores],
    run_metadata: RunMetadata,
    *,
    reference: str | None = None,
    sizes: Mapping[tuple[str, str], tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """Compare every model and baseline with the best of its split and metric, the linear baseline and a reference.

    Parameters
    ----------
    scores
        Columns ``files.scores.SCORE_COLUMNS``.
    cells
        The scores of single cells of every run.
    roster
        Who competes, and which way a metric is better.
    reference
        The run that the config names, beside that of the method ``linear``; None names no other.
    sizes
        (dataset, scenario) -> numbers of train and query cells; without them nothing is said of new cells.

    Returns
    -------
    pandas.DataFrame
        Columns ``PAIRED_COLUMNS``. `effect` is the run's mean less the other's over the splits of both, in units of the metric.
        `low`, `high` and `p` are about other splits of these cells and other starts; those with "new" about new cells of the
        same kind. `p_holm` is corrected over the comparisons that `family` counts. `detectable` is the smallest difference that
        this design tells apart in 80 % of such benchmarks, at 5 % over the family; `seeds_needed` the fewest splits with which
        `detectable_new` is as small as the effect, NA where no number up to ``spread.MOST_SEEDS`` is enough. `degrees` are the
        degrees of freedom. Where there is no test, p is NA and `note` says why.
    """
    cells_of = {(run.dataset, run.scenario, run.run): run for run in cells}
    summary = headline(scores)
    winners = (
        summary[best(summary, run_metadata)].groupby([*SPLIT, "metric"], sort=False)["run"].first()
    )
    parts = []
    for (*split, metric), group in complete_seed_means(scores).groupby(
        [*SPLIT, "metric"], sort=False
    ):
        if not run_metadata.is_quality(metric):
            continue
        competing = run_metadata.competing(group)
        table = competing.pivot(index="seed", columns="run", values="value")[
            competing["run"].unique()
        ]  # (seeds, runs)
        train, query = (sizes or {}).get(tuple(split), (0, 0))
        names = dict(zip(SPLIT, split, strict=True)) | {"metric": metric}
        by_cell = {
            run: cell_means(cells_of.get((*split, run)), metric, table.index[table[run].notna()])
            for run in table
        }
        met = next((cells_of[(*split, run)].cells for run in table if by_cell[run]), {})
        found = set()
        for against, role in _opponents(
            table, winners.get((*split, metric)), reference, run_metadata
        ):
            runs = [run for run in table if run != against and run not in found]
            found.add(against)
            rows = _against(
                table,
                against,
                runs,
                by_cell,
                met,
                query / train if train else np.nan,
                picked=BEST in role,
            )
            signs = run_metadata.sign(metric) * rows["effect"]
            better = np.select([signs > 0, signs < 0], [rows["run"], against], "neither")
            parts.append(rows.assign(**names, against=against, role=role, better=better))
    table = pd.concat([part for part in parts if len(part)] or [pd.DataFrame()], ignore_index=True)
    return table.reindex(columns=PAIRED_COLUMNS).astype(dict.fromkeys(NUMBERS, float))


def level(summary: pd.DataFrame, tests: pd.DataFrame, run_metadata: RunMetadata) -> pd.Series:
    """Say of each row of a table of headline scores whether its run is the best, or cannot be told from the best.

    Told apart are two runs of which :func:`decisive` is less than 0.05. Two that differ by the same in every split differ.
    Without any test, only the best mean counts. A run that lacks a seed is not compared by its mean (:func:`summary.merits`),
    and so is not called level with the best either.

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
    p = decisive(with_best)
    equal = p.ge(1 - LEVEL) | (p.isna() & with_best["effect"].eq(0))
    names = [*SPLIT, "run", "metric"]
    found = set(with_best.loc[equal, names].itertuples(index=False, name=None))
    is_equal = pd.Series(
        [name in found for name in summary[names].itertuples(index=False, name=None)], dtype=bool
    )
    return best(summary, run_metadata) | (
        is_equal.set_axis(summary.index) & signed_means(summary, run_metadata).notna()
    )


def decisive(tests: pd.DataFrame) -> pd.Series:
    """Return the corrected p that decides: for new cells of the same kind, for these cells where their number is not known."""
    return tests["p_new_holm"].astype(float).fillna(tests["p_holm"].astype(float))


def over_splits(differences: np.ndarray) -> dict[str, object]:
    """Return effect, 95 % interval and p of the paired t test of (splits,) differences, and why there is none."""
    n = len(differences)
    effect = float(np.mean(differences)) if n else np.nan
    if n < 2 or _are_equal(differences):
        return {
            "effect": effect,
            "low": np.nan,
            "high": np.nan,
            "p": np.nan,
            "note": _why_no_test(n),
        }
    low, high, p = interval(effect, float(differences.std(ddof=1) / np.sqrt(n)), n - 1)
    return {"effect": effect, "low": low, "high": high, "p": p, "note": ""}


def holm(p: pd.Series, *, picked: bool = False) -> pd.Series:
    """Return p values corrected after Holm over those that exist.

    With `picked`, all are comparisons with a run that was picked as the best on these very scores. Among n runs that are alike,
    it is the largest of n(n - 1) / 2 differences that is tested first, so each step counts the pairs of runs that are left.
    """
    ordered = p.astype(float).dropna().sort_values()
    left = np.arange(len(ordered), 0, -1)
    factor = left * (left + 1) / 2 if picked else left
    return (ordered * factor).cummax().clip(upper=1).reindex(p.index)


def _opponents(
    table: pd.DataFrame, winner: str | None, reference: str | None, run_metadata: RunMetadata
) -> Iterable[tuple[str, str]]:
    """Yield whom the runs of (seeds, runs) are compared with, and what that one is: "best, linear"."""
    roles = {winner: [BEST]} if winner is not None else {}
    named = [
        (run, LINEAR) for run in table if run_metadata.method(run) == LINEAR and run != reference
    ] + [(reference, REFERENCE)]
    for run, role in named:
        if run in table.columns:
            roles[run] = [*roles.get(run, []), role]
    return [(run, ", ".join(words)) for run, words in roles.items()]


def _against(
    table: pd.DataFrame,
    against: str,
    runs: list[str],
    by_cell: Mapping[str, Mapping[int, np.ndarray]],
    met: Mapping[int, np.ndarray],
    ratio: float,
    *,
    picked: bool,
) -> pd.DataFrame:
    """Return one row per run: its comparison with another.

    Parameters
    ----------
    table
        (seeds, runs), means over directions, NaN where a seed failed.
    against
        The run that all are compared with.
    runs
        Those to list; every run of the table takes part in the variance.
    by_cell
        run -> seed -> (cells,); {} where single cells have no scores.
    met
        seed -> (cells,) names of query cells.
    ratio
        Query cells over train cells, NaN if not known.
    picked
        Whether that run was picked on these scores.
    """
    others = [run for run in table if run != against]
    differences = {run: (table[run] - table[against]).dropna() for run in others}
    of_cells = {
        run: _of_cells(by_cell[run], by_cell[against], d.index, met)
        for run, d in differences.items()
    }
    within = np.array([variance for variance, _ in of_cells.values()], dtype=float)
    between = np.array(
        [d.var(ddof=1) if len(d) > 1 else np.nan for d in differences.values()], dtype=float
    )
    freedom = np.array([len(d) - 1.0 for d in differences.values()])
    variances, degrees = moderated(between, within, freedom, ratio)
    tests = len(others) * (len(others) + 1) // 2 if picked else len(others)
    rows = []
    for place, (run, d) in enumerate(differences.items()):
        row = {
            "run": run,
            "effect": d.mean(),
            "seeds": len(d),
            "cells": of_cells[run][1],
            "test": NO_TEST,
            "note": "",
        }
        is_one = len(d) == 1 and within[place] > 0
        variance = within[place] / (1 + np.nan_to_num(ratio)) if is_one else variances[place]
        free = row["cells"] - 1.0 if is_one else degrees[place]
        if is_one or (len(d) > 1 and (within[place] > 0 or not _are_equal(d.to_numpy()))):
            row["test"] = (
                ONE_SPLIT if is_one else SPLITS if np.isnan(within[place]) else SPLITS_AND_CELLS
            )
            row |= _tested(row["effect"], variance, len(d), free, ratio, tests)
        else:
            row["note"] = _why_no_test(len(d))
        rows.append(row)
    found = pd.DataFrame(rows).reindex(columns=PAIRED_COLUMNS)
    words = f"{len(others)} runs with the {'best, which was picked here' if picked else 'run that was named before'}"
    corrected = {f"{name}_holm": holm(found[name], picked=picked) for name in ("p", "p_new")}
    found = found.assign(**corrected, family=words)
    return found[found["run"].isin(runs)].reset_index(drop=True)


def _of_cells(
    own: Mapping[int, np.ndarray],
    other: Mapping[int, np.ndarray],
    seeds: Iterable[int],
    met: Mapping[int, np.ndarray],
) -> tuple[float, int]:
    """Return the variance of a mean difference over the query cells of a split, and how many distinct cells there are.

    The variance is a mean over splits. NaN and 0 where single cells have no scores.
    """
    if not own or not other:
        return np.nan, 0
    variances, names = [], [np.array([], dtype=str)]
    for seed in seeds:
        d = own[seed] - other[seed]
        given = ~np.isnan(d)
        variances.append(d[given].var(ddof=1) / given.sum() if given.sum() > 1 else np.nan)
        names.append(met[seed][given])
    return float(np.mean(variances)) if variances else np.nan, len(np.unique(np.concatenate(names)))


def _tested(
    effect: float, variance: float, seeds: int, degrees: float, ratio: float, tests: int
) -> dict[str, float]:
    """Return intervals, p values, what is detectable and how many seeds are needed; `tests` is how many p is corrected for."""
    row: dict[str, float] = {"degrees": degrees}
    for name, of_dataset in {"": 0.0, "_new": ratio}.items():
        if np.isfinite(of_dataset):
            error = float(np.sqrt(variance * share(seeds, of_dataset)))
            low, high, p = interval(effect, error, degrees)
            row |= {f"low{name}": low, f"high{name}": high, f"p{name}": p}
            row[f"detectable{name}"] = float(detectable(error, degrees, tests))
    if np.isfinite(ratio) and seeds > 1:
        row["seeds_needed"] = seeds_needed(effect, variance, degrees / (seeds - 1), ratio, tests)
    return row


def _why_no_test(seeds: int) -> str:
    if seeds == 0:
        return "no split in common"
    if seeds == 1:
        return "one split in common, and no scores of single cells"
    return "the difference is the same in every split: its spread cannot be estimated"


def _are_equal(x: np.ndarray) -> bool:
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())
