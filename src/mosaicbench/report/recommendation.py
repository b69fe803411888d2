"""Which run to take, for each question, with the evidence: what it must beat, what it is not separable from, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files.scores import CellScores
from mosaicbench.stats.common import FOSCTTM, RUN, SPLIT, TRANSFER
from mosaicbench.stats.means import headline, signed_means
from mosaicbench.stats.overall import ends
from mosaicbench.stats.paired import BEST, MOST_SEEDS, paired_tests, tied_with_best
from mosaicbench.stats.sanity import named_by_checks, signs_of

if TYPE_CHECKING:
    from mosaicbench.report.theme import Theme

PARTNER, LABELS, IMPUTATION, SPEED = "partner", "labels", "imputation", "speed"
METRICS = {PARTNER: FOSCTTM, LABELS: TRANSFER, IMPUTATION: "imputation_pearson_per_feature"}
BARS = METRICS | {
    IMPUTATION: "imputation_skill"
}  # question -> the metric in which a run must beat a trivial control
TRIVIAL = {
    PARTNER: "label_oracle",
    IMPUTATION: "celltype_mean",
}  # the control, where it took part; else chance, or what is at 0
FLOOR = "label_floor"  # the metric that says what the control of finding partners scores, where that control did not take part
ALL_DIRECTIONS = "-"
NUMBERS = [
    "mean",
    "low",
    "high",
    "seeds",
    "cells",
    "beaten_value",
    "nearest_value",
    "detectable",
    "detectable_new",
    "seeds_needed",
]
NUMBERS += ["seconds", "peak_host_mb"]
COLUMNS = [
    *SPLIT,
    "question",
    "direction",
    "metric",
    "run",
    "signs",
    "mean",
    "low",
    "high",
    "seeds",
    "cells",
    "beaten",
]
COLUMNS += [
    "beaten_metric",
    "beaten_value",
    "barred",
    "nearest",
    "nearest_value",
    "tied_with",
    "detectable",
    "detectable_new",
    "seeds_needed",
]
COLUMNS += ["seconds", "peak_host_mb"]


def recommended(
    tables: Mapping[str, pd.DataFrame],
    cells: Iterable[CellScores],
    run_metadata: RunMetadata,
    sizes: Mapping[tuple[str, str], tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """Return a row per split and question: finding partners, transferring labels, imputing in each direction, and speed.

    A run that a check names in the split is not recommended, nor one that is not better than the trivial control of its
    question: of partners, knowing each cell's type; of labels, chance; of imputation, the mean of the cell's type.

    Parameters
    ----------
    tables
        "scores", "sanity_checks" and "runs", as `tabulate` makes them.
    cells
        The scores of single cells of every run.
    roster
        Who competes, and which way a metric is better.
    sizes
        (dataset, scenario) -> numbers of train and query cells.

    Returns
    -------
    pandas.DataFrame
        Columns ``COLUMNS``. `run` has the best mean of those that may be recommended, "" where none may; `signs` are marks that
        it carries. `beaten` is the control that had to be beaten, with its value. `barred` are the runs that checks name;
        where no run is recommended, `nearest` is the best of the others in that score.
        `tied_with` are runs that the paired tests do not tell from it, `detectable` the smallest difference that the design
        can tell on these cells (median over the comparisons), `detectable_new` on new ones of the same kind, and `seeds_needed`
        the splits with which the latter is as small as the differences from all of `tied_with`, NA where no number would do.
        `seconds` and `peak_host_mb` are means over the seeds that ended well. The row of speed has the run whose fits took
        least of those that another row names.
    """
    ended = tables["runs"]["status"].isin(["ok", "collapsed"])
    cost_of = tables["runs"][ended].groupby(RUN)[["seconds", "peak_host_mb"]].mean().astype(float)
    barred, signs = named_by_checks(tables["sanity_checks"]), signs_of(tables["sanity_checks"])
    cells, rows = list(cells), []
    for split, scores in tables["scores"].groupby(SPLIT, sort=False):
        of_split = [run for run in cells if (run.dataset, run.scenario) == split]
        answers = []
        for question, direction, of_question, values in _asked(scores, of_split):
            row = _answer(
                question,
                of_question,
                values,
                barred.get(split, ()),
                run_metadata,
                (sizes or {}).get(split),
            )
            if row is not None:
                row |= dict(zip(SPLIT, split, strict=True)) | {
                    "question": question,
                    "direction": direction,
                }
                row |= {"signs": signs.get((*split, row["run"]), "")} | _cost(
                    split, row["run"], cost_of
                )
                answers.append(row)
        rows += _with_fastest(answers, split, cost_of)
    return checked_recommendations(pd.DataFrame(rows, columns=COLUMNS))


def checked_recommendations(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the contract, with names as text and numbers as floats."""
    text = {
        name: table[name].astype(object).where(table[name].notna(), "").map(str)
        for name in set(COLUMNS) - set(NUMBERS)
    }
    return table.assign(
        **text, **{name: pd.to_numeric(table[name]).astype(float) for name in NUMBERS}
    )[COLUMNS]


# --- words ---------------------------------------------------------------------------------------------------------------


def question_in_words(row: Mapping[str, object], theme: Theme) -> str:
    """Return "imputing ADT from RNA"."""
    if row["question"] == IMPUTATION:
        source, target = (theme.label("modalities", name) for name in row["direction"].split("->"))
        return f"imputing {target} from {source}"
    return {PARTNER: "finding a cell's partner", LABELS: "transferring labels", SPEED: "speed"}[
        row["question"]
    ]


def why_none(row: Mapping[str, object], theme: Theme) -> str:
    """Return why no run is recommended: "none beats Cell-type mean (Imputation skill 0.540)"."""
    names = [theme.label("runs", name) for name in filter(None, row["barred"].split(", "))]
    checks = f"the checks of the scores name {', '.join(names)}" if names else ""
    if not row["beaten"]:
        return checks or "no run has the score"
    none = f"none {'of the others ' if names else ''}beats {bar_in_words(row, theme)}"
    if row["nearest"]:
        none += (
            f", {theme.label('runs', row['nearest'])} comes nearest with {row['nearest_value']:.3f}"
        )
    return f"{none}; {checks}" if names else none


def bar_in_words(row: Mapping[str, object], theme: Theme) -> str:
    """Return what a run had to beat, with its score."""
    called = {"chance": "chance", FLOOR: "perfect labels"}.get(row["beaten"]) or theme.label(
        "runs", row["beaten"]
    )
    return f"{called} ({theme.label('metrics', row['beaten_metric'])} {row['beaten_value']:.3f})"


def decided_by(row: Mapping[str, object]) -> str:
    """Return how many splits would tell the run from those that it is not separable from, on new cells."""
    if row["seeds"] < 2:
        return "one split says nothing about others"
    if pd.isna(row["seeds_needed"]):
        return f"no number of splits of these cells up to {MOST_SEEDS} would, more cells may"
    number = max(1, round(row["seeds_needed"] - row["seeds"]))
    return f"about {number} more split{'s' if number != 1 else ''} would, if differences and spread stay"


# --- evidence ------------------------------------------------------------------------------------------------------------


def _asked(
    scores: pd.DataFrame, cells: list[CellScores]
) -> Iterator[tuple[str, str, pd.DataFrame, list[CellScores]]]:
    """Yield question, direction, and the scores and scores of single cells of this question, of one split."""
    for question, metric in METRICS.items():
        of_question = scores[scores["metric"].isin([metric, BARS[question], FLOOR])]
        if question != IMPUTATION:
            yield question, ALL_DIRECTIONS, of_question, cells
            continue
        for direction in scores.loc[scores["metric"] == metric, "direction"].unique():
            of_direction = [
                replace(
                    run, values={key: x for key, x in run.values.items() if key[2] == direction}
                )
                for run in cells
            ]
            yield (
                question,
                direction,
                of_question[of_question["direction"] == direction],
                of_direction,
            )


def _answer(
    question: str,
    scores: pd.DataFrame,
    cells: list[CellScores],
    barred: Iterable[str],
    run_metadata: RunMetadata,
    size: tuple[int, int] | None,
) -> dict | None:
    """Return the answer to one question in one split; None where fewer than two runs have its score."""
    metric, split = METRICS[question], tuple(scores[SPLIT].iloc[0]) if len(scores) else ()
    summary = headline(scores)
    asked = summary[
        (summary["metric"] == metric) & summary["run"].map(run_metadata.competes).astype(bool)
    ]
    if len(asked) < 2:
        return None
    row = {"metric": metric, "run": "", "tied_with": "", "cells": size[1] if size else np.nan}
    row |= {"barred": ", ".join(run for run in asked["run"] if run in barred)}
    row |= (bar := _bar(question, summary, run_metadata))
    means = summary[summary["metric"] == bar["beaten_metric"]].set_index("run")["mean"]
    gains = run_metadata.sign(bar["beaten_metric"]) * (means - bar["beaten_value"])
    beats = [
        run for run in asked["run"] if np.isnan(bar["beaten_value"]) or gains.get(run, np.nan) > 0
    ]
    unnamed = [run for run in asked["run"] if run not in barred]
    allowed = [run for run in unnamed if run in beats]
    sizes = {split: size} if size else None
    scores = scores[scores["metric"] == metric]
    of_all = _with_best(
        paired_tests(scores[scores["run"].isin(asked["run"])], cells, run_metadata, sizes=sizes)
    )
    row |= {name: of_all[name].quantile(0.5) for name in ("detectable", "detectable_new")}
    scores = scores[scores["run"].isin(allowed)]
    summary = headline(scores)
    merit = signed_means(summary, run_metadata)
    if merit.isna().all():
        near = gains.reindex(unnamed).dropna()
        return row | (
            {"nearest": near.idxmax(), "nearest_value": means[near.idxmax()]} if len(near) else {}
        )
    winner = summary.loc[merit.idxmax()]
    tests = paired_tests(scores, cells, run_metadata, sizes=sizes)
    others = [
        run
        for run in summary.loc[tied_with_best(summary, tests, run_metadata), "run"]
        if run != winner["run"]
    ]
    row |= {key: winner[key] for key in ("run", "mean", "low", "high", "seeds")} | {
        "tied_with": ", ".join(others)
    }
    return row | {
        "seeds_needed": _with_best(tests).loc[others, "seeds_needed"].max(skipna=False)
        if others
        else np.nan
    }


def _with_best(tests: pd.DataFrame) -> pd.DataFrame:
    return tests[tests["role"].astype(str).str.startswith(BEST)].set_index("run")


def _bar(question: str, summary: pd.DataFrame, run_metadata: RunMetadata) -> dict[str, object]:
    """Return what must be beaten: the trivial control of the question, or what is at 0 of its scale where that is better."""
    metric = BARS[question] if BARS[question] in set(summary["metric"]) else METRICS[question]
    means = summary[summary["metric"] == metric].set_index("run")["mean"]
    scale = ends(means, metric, run_metadata)
    bars = {scale["zero_is"]: scale["zero"]}
    if question == PARTNER:
        bars[FLOOR] = summary.loc[summary["metric"] == FLOOR, "mean"].mean()
    bars |= {
        run: means[run] for run in means.index if run_metadata.method(run) == TRIVIAL.get(question)
    }
    known = pd.Series(bars, dtype=float).dropna()
    if known.empty:
        return {"beaten": "", "beaten_metric": metric, "beaten_value": np.nan}
    hardest = (run_metadata.sign(metric) * known)[
        ::-1
    ].idxmax()  # of equals the control that took part
    return {"beaten": hardest, "beaten_metric": metric, "beaten_value": float(known[hardest])}


def _cost(split: tuple, run: str, cost_of: pd.DataFrame) -> dict[str, float]:
    key = (*split, run)
    return (
        cost_of.loc[key].to_dict()
        if key in cost_of.index
        else {"seconds": float("nan"), "peak_host_mb": float("nan")}
    )


def _with_fastest(rows: list[dict], split: tuple, cost_of: pd.DataFrame) -> list[dict]:
    """Return the rows of a split, and that of the fastest run of those that they name."""
    named = {run for row in rows for run in [row["run"], *row["tied_with"].split(", ")] if run}
    timed = {
        run: cost
        for run in sorted(named)
        if pd.notna((cost := _cost(split, run, cost_of))["seconds"])
    }
    if not timed:
        return rows
    run = min(timed, key=lambda name: timed[name]["seconds"])
    names = dict(zip(SPLIT, split, strict=True)) | {
        "question": SPEED,
        "direction": ALL_DIRECTIONS,
        "metric": "seconds",
    }
    return [*rows, names | {"run": run, "tied_with": ""} | timed[run]]
