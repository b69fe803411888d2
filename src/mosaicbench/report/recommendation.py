"""Which run to take, for each question, with the evidence: what it is not told apart from, what it costs, what would decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mosaicbench.report.roster import Roster
from mosaicbench.statistics.common import VIEW
from mosaicbench.statistics.paired import BEST, level
from mosaicbench.statistics.summary import best

if TYPE_CHECKING:
    from collections.abc import Mapping

QUESTIONS = {
    "finding a cell's partner": "foscttm",
    "transferring labels": "label_transfer_accuracy",
    "imputing what was not measured": "imputation_pearson_per_feature",
}
SPEED = "speed"
COLUMNS = [*VIEW, "question", "metric", "run", "mean", "low", "high", "seeds", "level_with", "seconds", "peak_host_mb"]
COLUMNS += ["seeds_needed"]


def recommended(tables: Mapping[str, pd.DataFrame], roster: Roster) -> pd.DataFrame:
    """Return a row per view and question.

    Parameters
    ----------
    tables
        "headline", "paired_tests" and "runs", as `tabulate` writes them.
    roster
        Who competes, and which way a metric is better.

    Returns
    -------
    pandas.DataFrame
        Columns ``COLUMNS``. `run` has the best mean over seeds; `level_with` are the runs that the paired tests do not tell
        from it; `seconds` and `peak_host_mb` are means over the seeds that ended well; `seeds_needed` is how many seeds in all
        would tell it from the nearest of those runs, NA where no number is known to. The row of `speed` has the run whose fits
        took least of those that stand in another row, or are level with one.
    """
    summary = tables["headline"]
    taken, levelled = best(summary, roster), level(summary, tables["paired_tests"], roster)
    costs = tables["runs"][tables["runs"]["status"].isin(["ok", "collapsed"])].groupby([*VIEW, "run"])[
        ["seconds", "peak_host_mb"]
    ]
    cost_of = costs.mean().astype(float)
    rows = []
    for view, here in summary.groupby(list(VIEW), sort=False):
        answers = []
        for question, metric in QUESTIONS.items():
            asked = here[here["metric"] == metric]
            for _, winner in asked[taken[asked.index]].head(1).iterrows():
                others = [run for run in asked.loc[levelled[asked.index], "run"] if run != winner["run"]]
                needed = _seeds_needed(tables["paired_tests"], view, metric, others)
                answers.append(_row(view, question, metric, winner, others, cost_of) | {"seeds_needed": needed})
        rows += answers + _fastest(view, answers, cost_of)
    return pd.DataFrame(rows, columns=COLUMNS)


def sentences(table: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """Return the table as sentences; `labels` are what runs are called."""
    said = []
    for row in table.to_dict("records"):
        called = labels.get(row["run"], row["run"])
        where = f"{row['dataset']}, {row['scenario']}"
        cost = "" if pd.isna(row["seconds"]) else f" A fit takes {row['seconds']:.0f} s and {row['peak_host_mb']:.0f} MB."
        if row["question"] == SPEED:
            said.append(f"{where}: the fastest of these is {called}.{cost}")
            continue
        interval = "" if pd.isna(row["low"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
        text = f"{where}: for {row['question']}, take {called} ({row['metric']} {row['mean']:.3f}{interval})."
        if row["level_with"]:
            others = ", ".join(labels.get(name, name) for name in row["level_with"].split(", "))
            more = f"; about {row['seeds_needed']:.0f} seeds would tell" if pd.notna(row["seeds_needed"]) else ""
            text += f" It cannot be told from {others}{more}."
        said.append(text + cost)
    return said


def _row(view: tuple, question: str, metric: str, winner: pd.Series, others: list[str], cost_of: pd.DataFrame) -> dict:
    names = dict(zip(VIEW, view, strict=True)) | {"question": question, "metric": metric, "run": winner["run"]}
    numbers = {key: winner[key] for key in ("mean", "low", "high", "seeds")}
    return names | numbers | {"level_with": ", ".join(others)} | _cost(view, winner["run"], cost_of)


def _cost(view: tuple, run: str, cost_of: pd.DataFrame) -> dict[str, float]:
    key = (*view, run)
    return cost_of.loc[key].to_dict() if key in cost_of.index else {"seconds": float("nan"), "peak_host_mb": float("nan")}


def _seeds_needed(tests: pd.DataFrame, view: tuple, metric: str, others: list[str]) -> float:
    """Return the fewest seeds that would tell the best from one of the runs that are level with it."""
    here = (tests[list(VIEW)] == list(view)).all(axis=1) & (tests["metric"] == metric) & tests["run"].isin(others)
    return pd.to_numeric(tests.loc[here & tests["role"].astype(str).str.startswith(BEST), "seeds_needed"]).min()


def _fastest(view: tuple, answers: list[dict], cost_of: pd.DataFrame) -> list[dict]:
    """Return the row of the fastest run of those that the other rows name."""
    named = {run for answer in answers for run in [answer["run"], *filter(None, answer["level_with"].split(", "))]}
    costs = {run: _cost(view, run, cost_of) for run in sorted(named)}
    timed = {run: cost for run, cost in costs.items() if pd.notna(cost["seconds"])}
    if not timed:
        return []
    run = min(timed, key=lambda name: timed[name]["seconds"])
    return [
        dict(zip(VIEW, view, strict=True)) | {"question": SPEED, "metric": "seconds", "run": run, "level_with": ""} | timed[run]
    ]
