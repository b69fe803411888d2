"""The summary of the report: what was run, who leads, where the controls lie, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from mosaicbench.files.runs import STATUSES
from mosaicbench.report.page.cells import (
    behind_mean,
    interval,
    many,
    number_cell,
    run_cell,
    three_decimals,
    with_arrow,
)
from mosaicbench.report.page.html_tables import Cell, Column, Grid, grid
from mosaicbench.report.tables.contract import of_view
from mosaicbench.report.tables.text import NOT_GIVEN, number
from mosaicbench.report.theme import Theme
from mosaicbench.roster import KINDS
from mosaicbench.statistics.common import ALL, CONTESTS, FAILED, GROUPS, RUN, VIEW
from mosaicbench.statistics.sentinels import named_by_checks
from mosaicbench.statistics.summary import best

CONTROLS_OF = {  # question -> what a run has to beat in it
    "alignment": "knowing each cell's type (in alignment)",
    "label_transfer": "chance (in label transfer)",
    "imputation": "the mean of each cell's type (in imputation)",
}
COSTS = ["cost", "validation_cost"]
FEWEST_SEEDS = 3  # with two, a t interval reaches 12.7 standard errors to each side


def facts(runs: pd.DataFrame, views: list[tuple[str, ...]], theme: Theme) -> dict[str, str]:
    """Return what was compared, and how the fits ended."""
    fits = runs[runs["status"] != "not_applicable"]
    seeds = sorted(int(seed) for seed in fits["seed"].dropna().unique())
    kinds = pd.Series({run: theme.roster.kind(run) for run in runs["run"].unique()}, dtype=object)
    per_kind = [many(int((kinds == kind).sum()), kind) for kind in KINDS if (kinds == kind).any()]
    datasets = theme.order("datasets", (dataset for dataset, _ in views))
    scenarios = theme.order("scenarios", (scenario for _, scenario in views))
    return {
        "Datasets": ", ".join(theme.label("datasets", name) for name in datasets),
        "Scenarios": ", ".join(theme.label("scenarios", name) for name in scenarios),
        "Runs": f"{len(kinds)} ({', '.join(per_kind)})",
        "Seeds": f"{len(seeds)} ({', '.join(map(str, seeds))}); each repeats the whole experiment: split, start, minibatches"
        + (
            ""
            if len(seeds) >= FEWEST_SEEDS
            else f". Too few to compare runs: take at least {FEWEST_SEEDS}, better 5"
        ),
        "Fits": f"{len(fits)}: {endings(fits)}",
    }


def fitted_on(records: Sequence[Mapping], history: pd.DataFrame, theme: Theme) -> str:
    """Return which runs hold train cells out to decide when to stop, and which fit all; "" where all do alike.

    A run that holds none out has the cost of the fitted cells as its validation cost.
    """
    costs = history.pivot_table(
        index=[*RUN, "seed", "epoch"], columns="cost", values="value"
    ).reindex(columns=COSTS)
    validated = set(costs.index.get_level_values("run")[costs.diff(axis=1).iloc[:, 1].abs() > 0])
    held_out: dict[float, set[str]] = {}
    for record in records:
        if theme.roster.competes(record["run"]):
            share = (
                float(record["hyperparameters"].get("validation") or 0)
                if record["run"] in validated
                else 0.0
            )
            held_out.setdefault(share, set()).add(record["run"])
    if len(held_out) < 2:
        return ""
    words = []
    for share, runs in sorted(held_out.items(), reverse=True):
        names = ", ".join(theme.label("runs", run) for run in theme.order("runs", runs))
        words.append(
            f"{names} fit {100 * (1 - share):.0f} % of the train cells, the others tell when to stop"
            if share
            else f"{names} fit all"
        )
    return "; ".join(words) + "."


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
        words = leader(ranked[ranked["may_win"]], theme)
        if barred := [theme.label("runs", run) for run in ranked.loc[~ranked["may_win"], "run"]]:
            words += f" Not called the best, whatever their score: {', '.join(barred)} (named by a check, or no better than the"
            words += " trivial control in any question)."
        entries.append(
            {"scenario": theme.label("scenarios", scenario).capitalize(), "words": words}
        )
    return entries


def leader(ranked: pd.DataFrame, theme: Theme) -> str:
    """Return in words who leads the ranked runs of a scenario, first to last."""
    if ranked.empty:
        return "None leads: no run that may be called the best answers every question."
    first, others = ranked.iloc[0], ranked.iloc[1:]
    kind = theme.roster.kind(first["run"])
    name = f"{theme.label('runs', first['run'])} ({kind})"
    value = f"{three_decimals(first['score'])} (95 % {interval(first['low'], first['high'])})"
    if others.empty:
        return f"{name} is the only run that answers every question: {value}.{_not_above(first)}"
    words = [
        f"{name} has the highest overall score of {len(ranked)} runs that answer every question: {value}."
    ]
    words[0] += _not_above(first)
    level = others[(others["high"] >= first["low"]) | others["high"].isna() | pd.isna(first["low"])]
    following = f"Next is {theme.label('runs', others.iloc[0]['run'])} with {three_decimals(others.iloc[0]['score'])}"
    if level.empty:
        words.append(f"{following}; no interval reaches the leader's.")
    else:
        names = ", ".join(theme.label("runs", run) for run in level["run"])
        words.append(
            f"{following}. The intervals of these runs reach the leader's, so their order may be chance: {names}."
        )
    of_other_kinds = others[[theme.roster.kind(run) != kind for run in others["run"]]]
    if len(of_other_kinds):
        run, score = of_other_kinds.iloc[0][["run", "score"]]
        words.append(
            f"The best {theme.roster.kind(run)} is {theme.label('runs', run)} with {three_decimals(score)}."
        )
    return " ".join(words)


def _not_above(line: pd.Series) -> str:
    """Return in which questions a run is no better than the trivial control, as a sentence after another."""
    below = (
        [name for name in str(line["not_above"]).split(", ") if name in CONTROLS_OF]
        if pd.notna(line["not_above"])
        else []
    )
    return (
        f" It is no better than {' and than '.join(f'{CONTROLS_OF[name]}' for name in below)}."
        if below
        else ""
    )


def best_runs(tables: Mapping[str, pd.DataFrame], theme: Theme) -> pd.DataFrame:
    """Return the rows of the best runs of each headline score of each view, those that checks name aside."""
    barred, summary = named_by_checks(tables["gates"]), tables["headline"]
    named = [
        run in barred.get((dataset, scenario), ())
        for dataset, scenario, run in summary[RUN].itertuples(index=False)
    ]
    summary = summary[summary["metric"].isin(CONTESTS) & ~np.array(named, dtype=bool)]
    return summary[best(summary, theme.roster)]


def winners(best_rows: pd.DataFrame, views: list[tuple[str, ...]], theme: Theme) -> Grid | None:
    """Return who is best in each headline score of each view; None where nobody competes."""
    if best_rows.empty:
        return None
    rows = []
    for dataset, scenario in views:
        cells: list[Cell | str] = [
            theme.label("datasets", dataset),
            theme.label("scenarios", scenario),
        ]
        for metric in CONTESTS:
            lines = of_view(best_rows[best_rows["metric"] == metric], dataset, scenario)
            if lines.empty:
                cells.append(
                    Cell(
                        NOT_GIVEN,
                        why="fewer than two runs, controls aside, have this score in this view",
                    )
                )
                continue
            names = ", ".join(theme.label("runs", run) for run in theme.order("runs", lines["run"]))
            cells.append(
                Cell(
                    f"{names} {number(metric, lines['mean'].iloc[0])}",
                    about=behind_mean(lines.iloc[0]),
                )
            )
        rows.append(cells)
    columns = [Column("Dataset", choices=True), Column("Scenario", choices=True)]
    definitions = {metric: theme.roster.metric(metric).get("definition", "") for metric in CONTESTS}
    columns += [Column(with_arrow(metric, theme), about=definitions[metric]) for metric in CONTESTS]
    return grid("The best run of each score and view", columns, rows)


def packages(
    runs: pd.DataFrame, best_rows: pd.DataFrame, views: list[tuple[str, ...]], theme: Theme
) -> str:
    """Return where a wrapped package is the best, in words; nothing where no package took part."""
    wrapped = {run for run in runs["run"] if "wraps" in theme.roster.card(run)}
    if not wrapped or best_rows.empty:
        return ""
    contests, wins, won_by_packages = (
        best_rows[[*VIEW, "metric"]],
        [],
        best_rows["run"].isin(wrapped),
    )
    for dataset, scenario in views:
        won = of_view(best_rows[won_by_packages], dataset, scenario)
        view = ", ".join((theme.label("datasets", dataset), theme.label("scenarios", scenario)))
        for run in theme.order("runs", won["run"]):
            metrics = [
                theme.label("metrics", name)
                for name in CONTESTS
                if name in set(won.loc[won["run"] == run, "metric"])
            ]
            wins.append(f"{theme.label('runs', run)} in {', '.join(metrics)} ({view})")
    of = f"of these {len(contests.drop_duplicates())}"
    if not wins:
        return f"No wrapped package has the best mean in any {of}."
    return f"Wrapped packages have the best mean in {len(contests[won_by_packages].drop_duplicates())} {of}: {'; '.join(wins)}."


# --- controls and failures -----------------------------------------------------------------------------------------------


def controls(overall: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return each control's score in every question and scenario, beside what it is for."""
    lines_of = {scenario: lines.set_index("run") for scenario, lines in totals(overall, theme)}
    rows = []
    for run in theme.order(
        "runs", (run for run in overall["run"] if not theme.roster.competes(run))
    ):
        scores = [
            _score(lines, run, question) for lines in lines_of.values() for question in GROUPS
        ]
        rows.append([run_cell(run, theme), *scores, theme.roster.card(run).get("summary", "")])
    heads = [
        (theme.label("scenarios", name), question.replace("_", " "))
        for name in lines_of
        for question in GROUPS
    ]
    columns = [
        Column("Control"),
        *(Column(f"{question}, {scenario}", descending=True) for scenario, question in heads),
    ]
    return grid("Scores of the controls", [*columns, Column("What it is", words=True)], rows)


def _score(lines: pd.DataFrame, run: str, question: str) -> Cell:
    if run not in lines.index or not lines.loc[run, "of_seeds"]:
        return Cell(NOT_GIVEN, why="not applicable in this scenario")
    return number_cell(lines.loc[run, question], why="it does not answer this question")


def troubles(runs: pd.DataFrame, theme: Theme) -> list[str]:
    """Return one sentence per status that a reader must know of; that a control collapses is what it is for."""
    sentences = []
    for status in (*FAILED, "collapsed"):
        fits = runs[runs["status"] == status]
        fits = theme.roster.competing(fits) if status == "collapsed" else fits
        if len(fits):
            listed = ", ".join(theme.label("runs", run) for run in theme.order("runs", fits["run"]))
            sentences.append(f"{many(len(fits), 'fit')} {status.replace('_', ' ')}: {listed}")
    return sentences
