"""The summary of the report: what was run, who leads, where the controls lie, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import KINDS
from mosaicbench.files.runs import STATUSES
from mosaicbench.report.page.cells import (
    behind_mean,
    joined_labels,
    many,
    metric_column,
    number_cell,
    run_cell,
    split_columns,
)
from mosaicbench.report.page.html_tables import Cell, Column, Grid, table
from mosaicbench.report.page.render import said
from mosaicbench.report.tables.contract import of_split
from mosaicbench.report.tables.text import NOT_GIVEN, number
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import (
    ALL,
    CONTESTS,
    DISTANCE,
    DISTANCES,
    FAILED,
    GROUPS,
    RUN,
    SPLIT,
)
from mosaicbench.stats.means import best
from mosaicbench.stats.sanity import named_by_checks

CONTROLS_OF = {  # question -> what a run has to beat in it
    "alignment": "knowing each cell's type (in alignment)",
    "label_transfer": "chance (in label transfer)",
    "imputation": "the mean of each cell's type (in imputation)",
}
LOSSES = ["loss", "validation_loss"]
NO_CONTEST = "fewer than two runs, controls aside, have this score in this split"
FEWEST_SEEDS = 3  # with two, a t interval reaches 12.7 standard errors to each side


def facts(runs: pd.DataFrame, splits: list[tuple[str, ...]], theme: Theme) -> dict[str, str]:
    """Return what was compared, and how the fits ended."""
    fits = runs[runs["status"] != "not_applicable"]
    seeds = sorted(int(seed) for seed in fits["seed"].dropna().unique())
    kinds = pd.Series(
        {run: theme.run_metadata.kind(run) for run in runs["run"].unique()}, dtype=object
    )
    per_kind = [many(int((kinds == kind).sum()), kind) for kind in KINDS if (kinds == kind).any()]
    return {
        "Datasets": joined_labels(theme, "datasets", (dataset for dataset, _ in splits)),
        "Scenarios": joined_labels(theme, "scenarios", (scenario for _, scenario in splits)),
        "Runs": f"{len(kinds)} ({', '.join(per_kind)})",
        "Seeds": said("seeds", seeds=seeds, fewest=FEWEST_SEEDS),
        "Fits": f"{len(fits)}: {endings(fits)}",
    }


def fitted_on(records: Sequence[Mapping], history: pd.DataFrame, theme: Theme) -> str:
    """Return which runs hold train cells out to decide when to stop, and which fit all; "" where all do alike.

    A run that holds none out has the loss of the fitted cells as its validation loss.
    """
    losses = history.pivot_table(
        index=[*RUN, "seed", "epoch"], columns="loss", values="value"
    ).reindex(columns=LOSSES)
    validated = set(losses.index.get_level_values("run")[losses.diff(axis=1).iloc[:, 1].abs() > 0])
    held_out: dict[float, set[str]] = {}
    for record in records:
        run = record["run"]
        if theme.run_metadata.competes(run):
            share = record["hyperparameters"].get("validation") if run in validated else 0
            held_out.setdefault(float(share or 0), set()).add(run)
    shares = sorted(held_out.items(), reverse=True)
    named = [(share, joined_labels(theme, "runs", runs)) for share, runs in shares]
    return said("fitted_on", shares=named) if len(named) > 1 else ""


def endings(runs: pd.DataFrame) -> str:
    """Return how the fits of a table of runs ended, and how many runs could not take part: "6 ok, 1 diverged"."""
    counts = runs["status"].value_counts()
    words = [
        f"{counts[status]} {status.replace('_', ' ')}"
        for status in STATUSES[:-1]
        if status in counts
    ]
    if absent := counts.get("not_applicable", 0):
        words.append(f"and {many(int(absent), 'run')} not applicable")
    return ", ".join(words)


def totals(overall: pd.DataFrame, theme: Theme) -> Iterable[tuple[str, pd.DataFrame]]:
    """Yield each scenario with its overall scores over its datasets, or of the first where they are not taken together."""
    for scenario in theme.order("scenarios", overall["scenario"]):
        of_scenario = overall[overall["scenario"] == scenario]
        datasets = set(of_scenario["dataset"])
        dataset = ALL if ALL in datasets else theme.order("datasets", datasets)[0]
        yield scenario, of_scenario[of_scenario["dataset"] == dataset]


# --- who leads -----------------------------------------------------------------------------------------------------------


def leaders(overall: pd.DataFrame, theme: Theme) -> list[dict[str, str]]:
    """Return one entry per scenario: who leads, by how much, and whether the intervals keep the next apart."""
    entries = []
    for scenario, lines in totals(overall, theme):
        ranked = lines.dropna(subset="rank").sort_values("rank", kind="stable")
        barred = [theme.label("runs", run) for run in ranked.loc[~ranked["may_win"], "run"]]
        words = leader(ranked[ranked["may_win"]], theme) + " " + said("barred", names=barred)
        label = theme.label("scenarios", scenario).capitalize()
        entries.append({"scenario": label, "words": words.strip()})
    return entries


def leader(ranked: pd.DataFrame, theme: Theme) -> str:
    """Return in words who leads the ranked runs of a scenario, first to last."""
    if ranked.empty:
        return said("nobody_leads")
    kinds = ranked["run"].map(theme.run_metadata.kind)
    ranked = ranked.assign(kind=kinds, label=[theme.label("runs", run) for run in ranked["run"]])
    first, others = ranked.iloc[0], ranked.iloc[1:]
    level = others[(others["high"] >= first["low"]) | others["high"].isna() | pd.isna(first["low"])]
    questions = str(first["not_above"]).split(", ")
    return said(
        "leader",
        first=first,
        others=others.to_dict("records"),
        level=level["label"],
        other_kinds=others[others["kind"] != first["kind"]].to_dict("records"),
        below=[CONTROLS_OF[name] for name in questions if name in CONTROLS_OF],
    )


def best_runs(tables: Mapping[str, pd.DataFrame], theme: Theme) -> pd.DataFrame:
    """Return the rows of the best runs of each headline score of each split, those that checks name aside."""
    barred, summary = named_by_checks(tables["sanity_checks"]), tables["headline"]
    named = [
        run in barred.get((dataset, scenario), ())
        for dataset, scenario, run in summary[RUN].itertuples(index=False)
    ]
    summary = summary[summary["metric"].isin(CONTESTS) & ~np.array(named, dtype=bool)]
    return summary[best(summary, theme.run_metadata)]


def winners(best_rows: pd.DataFrame, splits: list[tuple[str, ...]], theme: Theme) -> Grid | None:
    """Return who is best in each headline score of each split; None where nobody competes."""
    if best_rows.empty:
        return None

    def cell(row: dict, *, metric: str) -> Cell:
        lines = of_split(best_rows[best_rows["metric"] == metric], row["dataset"], row["scenario"])
        if lines.empty:
            return Cell(NOT_GIVEN, why=NO_CONTEST)
        text = (
            f"{joined_labels(theme, 'runs', lines['run'])} {number(metric, lines['mean'].iloc[0])}"
        )
        return Cell(text, about=behind_mean(lines.iloc[0]))

    columns = split_columns(theme)
    for metric in CONTESTS:
        column = replace(metric_column(metric, theme), descending=False)
        columns.append((column, partial(cell, metric=metric)))
    rows = pd.DataFrame(splits, columns=SPLIT)
    return table("The best run of each score and split", columns, rows)


def packages(
    runs: pd.DataFrame, best_rows: pd.DataFrame, splits: list[tuple[str, ...]], theme: Theme
) -> str:
    """Return where a wrapped package is the best, in words; nothing where no package took part."""
    wrapped = {run for run in runs["run"] if "wraps" in theme.run_metadata.card(run)}
    if not wrapped or best_rows.empty:
        return ""
    won, of_metric = best_rows[best_rows["run"].isin(wrapped)], [*SPLIT, "metric"]
    wins = []
    for split in splits:
        here = of_split(won, *split)
        for run in theme.order("runs", here["run"]):
            metrics = set(here.loc[here["run"] == run, "metric"])
            names = [theme.label("metrics", name) for name in CONTESTS if name in metrics]
            wins.append((theme.label("runs", run), ", ".join(names), theme.split(*split)))
    counts = [len(rows.drop_duplicates(of_metric)) for rows in (won, best_rows)]
    return said("packages", wins=wins, won=counts[0], contests=counts[1])


# --- controls and failures -----------------------------------------------------------------------------------------------


def controls(overall: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return each control's score in every question and scenario, beside what it is for."""
    columns = [("Control", lambda row: run_cell(row["run"], theme))]
    for scenario, lines in totals(overall, theme):
        taking = lines[lines["of_seeds"] > 0].set_index("run")
        for question in GROUPS:
            head = f"{question.replace('_', ' ')}, {theme.label('scenarios', scenario)}"
            score = partial(_score, scores=taking[question])
            columns.append((Column(head, descending=True), score))
    what = "What it is"
    columns.append((what, lambda row: theme.run_metadata.card(row["run"]).get("summary", "")))
    runs = [
        run for run in theme.order("runs", overall["run"]) if not theme.run_metadata.competes(run)
    ]
    return table("Scores of the controls", columns, [{"run": run} for run in runs])


def _score(row: dict, *, scores: pd.Series) -> Cell:
    if row["run"] not in scores.index:
        return Cell(NOT_GIVEN, why="not applicable in this scenario")
    return number_cell(scores[row["run"]], why="it does not answer this question")


def verdicts(by_distance: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per score: in how many splits another run is best by another distance, and where.

    Parameters
    ----------
    by_distance
        Columns ``distances.DISTANCE_COLUMNS``.
    """
    order = sorted(DISTANCES, key=lambda distance: distance != DISTANCE)
    return [
        said("verdict", score=score, rows=rows, order=order, theme=theme)
        for score, rows in by_distance.groupby("metric", sort=False)
    ]


def troubles(runs: pd.DataFrame, theme: Theme) -> list[str]:
    """Return one sentence per status that a reader must know of; that a control collapses is what it is for."""
    sentences = []
    for status in (*FAILED, "collapsed"):
        fits = runs[runs["status"] == status]
        fits = theme.run_metadata.competing(fits) if status == "collapsed" else fits
        if len(fits):
            listed = joined_labels(theme, "runs", fits["run"])
            sentences.append(f"{many(len(fits), 'fit')} {status.replace('_', ' ')}: {listed}")
    return sentences
