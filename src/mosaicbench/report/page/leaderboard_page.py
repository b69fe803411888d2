"""The leaderboard: runs of any number of results folders on one page, by view, with intervals and where each row is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mosaicbench.report.page.cells import ARROWS, absent_cell, many, run_cell
from mosaicbench.report.page.failures import reason
from mosaicbench.report.page.html_tables import Cell, Column, Grid, Row, grid, row
from mosaicbench.report.page.render import render
from mosaicbench.report.records import circumstances
from mosaicbench.report.submissions import Submission, named
from mosaicbench.report.tables.contract import of_view
from mosaicbench.report.tables.text import FEWER, NOT_GIVEN, distinct
from mosaicbench.report.theme import Theme
from mosaicbench.roster import Roster
from mosaicbench.statistics.common import ALL, CONTESTS, HEADLINE, VIEW

SCORE = "score"  # the overall score, beside the headline metrics
COLUMNS = [
    "dataset",
    "scenario",
    "settings",
    "submission",
    "run",
    "method",
    "kind",
    "modalities",
    "budget",
    "metric",
    "mean",
]
COLUMNS += ["low", "high", "interval", "seeds", "of_seeds", "status", "shown", "level"]
FACTS = (
    "commit",
    "device",
    "mosaicbench",
    "torch",
    "python",
    "cpu",
)  # of what a run was made with: on the page, in this order


def rows(submissions: Sequence[Submission], themes: Mapping[str, Theme]) -> pd.DataFrame:
    """Return one row per score of every competing run that took part in a view, of every submission.

    Parameters
    ----------
    submissions
        Those that were taken in.
    themes
        name of a submission -> its theme.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`; `metric` is "score", the overall score, or one of ``HEADLINE``. `level` says that a mean is the
        best of its view over as many seeds, or that its interval reaches that of the best; one over fewer directions or metrics
        is neither.
    """
    parts = []
    for submission in submissions:
        roster = themes[submission.name].roster
        table = roster.competing(submission.tables["standings"])
        table = table[(table["dataset"] != ALL) & table["metric"].isin([SCORE, *HEADLINE])]
        table = table[table["status"] != "not_applicable"]
        views = table[VIEW].apply(tuple, axis=1)
        digests = {view: submission.settings(*view) for view in set(views)}
        modalities = {
            view: _modalities(submission.tables["scores"], view, themes[submission.name])
            for view in set(views)
        }
        parts.append(
            table.assign(
                submission=submission.name,
                settings=views.map(digests),
                modalities=views.map(modalities),
                budget=[_budget(submission, run) for run in table["run"]],
            )[[*COLUMNS[:-1], "rank"]]
        )
    table = pd.concat(parts, ignore_index=True)
    rosters = {name: theme.roster for name, theme in themes.items()}
    return table.assign(level=_level(table, rosters))[COLUMNS]


def leaderboard_page(
    table: pd.DataFrame,
    submissions: Sequence[Submission],
    refused: Mapping[Path, Sequence[str]],
    themes: Mapping[str, Theme],
) -> str:
    """Return the leaderboard as HTML.

    Parameters
    ----------
    table
        As :func:`rows` gives it.
    submissions
        Those that were taken in.
    refused
        folder -> why it was not.
    themes
        name of a submission -> its theme.
    """
    refusals = [
        [named(folder), Cell(why)] for folder, reasons in refused.items() for why in reasons
    ]
    return render(
        "leaderboard.html.j2",
        title="mosaicbench: leaderboard",
        counts=f"{many(len(submissions), 'results folder')}, {many(table.groupby([*VIEW, 'settings']).ngroups, 'view')}, "
        f"{many(len(table[['submission', *VIEW, 'run']].drop_duplicates()), 'row')}",
        board=_board(table, {submission.name: submission for submission in submissions}, themes),
        metrics=_in_words(next(iter(themes.values()))),
        submissions=_submissions(submissions),
        refused=grid("Folders that were refused", ["Folder", Column("Why", words=True)], refusals),
        refused_folders=many(len(refused), "folder"),
        fewer=FEWER,
    )


# --- the board -----------------------------------------------------------------------------------------------------------


def _level(table: pd.DataFrame, rosters: Mapping[str, Roster]) -> pd.Series:
    """Return whether a mean is the best of its view and score, or reaches it with its interval.

    A mean is compared where its own benchmark ranks it and it has an interval, with others of the view over as many seeds: few
    seeds may be lucky, and many do not take the others out of the comparison.
    """
    compared = table[table["rank"].notna() & table["low"].notna()]
    level = pd.Series(data=False, index=table.index)
    for (*_, metric, _), part in compared.groupby([*VIEW, "settings", "metric", "seeds"]):
        roster = rosters[part["submission"].iloc[0]]
        sign = 1.0 if metric == SCORE else roster.sign(metric)
        if len(part) < 2 or pd.isna(sign) or (metric != SCORE and not roster.is_quality(metric)):
            continue
        ends = part[["low", "high"]] * sign
        best = (part["mean"] * sign).idxmax()
        level.loc[part.index] = ends.max(axis=1) >= ends.loc[best].min()
    return level


def _board(
    table: pd.DataFrame, submissions: Mapping[str, Submission], themes: Mapping[str, Theme]
) -> Grid:
    metrics = [SCORE, *(metric for metric in HEADLINE if metric in set(table["metric"]))]
    theme = next(iter(themes.values()))
    several = table.groupby(VIEW)["settings"].nunique()
    sections: dict[str, list[Row]] = {}
    for (dataset, scenario, settings), part in table.groupby([*VIEW, "settings"], sort=False):
        title = theme.view(dataset, scenario)
        if several[(dataset, scenario)] > 1:
            names = ", ".join(part["submission"].unique())
            title += f" (settings {settings}, of {names}: not comparable with the other settings of this view)"
        lines = [of_run for _, of_run in part.groupby(["submission", "run"], sort=False)]
        lines.sort(key=_overall, reverse=True)
        sections[title] = [_row(of_run, metrics, submissions, themes) for of_run in lines]
    return Grid("Leaderboard", tuple(_columns(metrics, theme)), sections)


def _overall(of_run: pd.DataFrame) -> tuple[bool, float]:
    """Return what a run is sorted by at first: its overall score, those of fewer scores after the others, none last."""
    line = of_run[(of_run["metric"] == SCORE) & of_run["mean"].notna()]
    if line.empty:
        return False, float("-inf")
    return FEWER not in line["shown"].iloc[0], float(line["mean"].iloc[0])


def _columns(metrics: Sequence[str], theme: Theme) -> list[Column]:
    columns = [
        Column("Run"),
        Column("Kind", choices=True),
        Column("Dataset", choices=True),
        Column("Scenario", choices=True),
    ]
    columns += [Column("Modalities", choices=True), Column("Budget", choices=True)]
    for metric in metrics:
        if metric == SCORE:
            columns.append(
                Column("Overall ↑", about="from 0, chance, to 1, the oracle", descending=True)
            )
            continue
        arrow = ARROWS.get(theme.roster.better(metric), "")
        label = f"{theme.label('metrics', metric)} {arrow}".strip()
        about = theme.roster.metric(metric).get("definition", "")
        columns.append(
            Column(label, about=about, descending=theme.roster.better(metric) != "lower")
        )
    return [
        *columns,
        Column("From", about="the results folder, and what the run was made with", choices=True),
    ]


def _row(
    of_run: pd.DataFrame, metrics: Sequence[str], submissions: Mapping, themes: Mapping[str, Theme]
) -> Row:
    first = of_run.iloc[0]
    submission, theme = submissions[first["submission"]], themes[first["submission"]]
    place = (first["dataset"], first["scenario"])
    lines = of_run.set_index("metric")
    cells: list[Cell | str] = [run_cell(first["run"], theme), first["kind"]]
    cells += [
        theme.label("datasets", place[0]),
        theme.label("scenarios", place[1]),
        first["modalities"],
        first["budget"],
    ]
    for metric in metrics:
        line = lines.loc[metric] if metric in lines.index else None
        if line is None or pd.isna(line["mean"]):
            wanted = CONTESTS[0] if metric == SCORE else metric
            why = reason(first["run"], wanted, of_view(submission.tables["runs"], *place), theme)
            cells.append(absent_cell(NOT_GIVEN if line is None else line["shown"], why=why))
            continue
        seeds = f"{line['seeds']:.0f} of {many(int(line['of_seeds']), 'seed')}, interval: {line['interval']}"
        cells.append(
            Cell(
                line["shown"], sort=line["mean"], about=seeds, mark="best" if line["level"] else ""
            )
        )
    cells.append(Cell(submission.name, why=provenance(submission, *place, first["run"])))
    return row(*cells, run=first["run"])


def provenance(submission: Submission, dataset: str, scenario: str, run: str) -> str:
    """Return what a run was made with, in one line: commit, device and versions of its fits, seeds and day."""
    records = submission.records_of(dataset, scenario, run)
    facts = circumstances(records)
    seeds = ", ".join(str(record["seed"]) for record in records)
    parts = [f"{name} {facts[name]}" for name in FACTS if name in facts]
    return "; ".join([f"seeds {seeds}", *parts, f"tables of {submission.written}"])


def _modalities(scores: pd.DataFrame, view: tuple[str, str], theme: Theme) -> str:
    """Return the modalities of a view, as its scores name their directions."""
    directions = of_view(scores, *view)["direction"].unique()
    names = {
        name for direction in directions if "->" in direction for name in direction.split("->")
    }
    return (
        " + ".join(theme.label("modalities", name) for name in theme.order("modalities", names))
        or NOT_GIVEN
    )


def _budget(submission: Submission, run: str) -> str:
    """Return what a run was given: most epochs, which a run may set for itself, and seeds."""
    own = (submission.config.get("runs") or {}).get(run) or {}
    training = {**(submission.config.get("training") or {}), **own}
    epochs = training.get("max_epochs")
    seeds = many(len(submission.config.get("seeds") or []), "seed")
    return f"{epochs} epochs, {seeds}" if epochs else seeds


# --- below the board -----------------------------------------------------------------------------------------------------


def _in_words(theme: Theme) -> list[dict[str, str]]:
    """Return what the scores of the board are."""
    return [
        {
            "label": theme.label("metrics", metric),
            "definition": theme.roster.metric(metric).get("definition", ""),
        }
        for metric in CONTESTS
    ]


def _submissions(submissions: Sequence[Submission]) -> Grid | None:
    lines: list[list[Cell | str]] = []
    for submission in submissions:
        runs = submission.tables["runs"]
        facts = circumstances(submission.records)
        fits = runs[runs["status"] != "not_applicable"]
        counts = f"{many(len(fits[VIEW].drop_duplicates()), 'view')}, {many(fits['run'].nunique(), 'run')}, {many(len(fits), 'fit')}"
        ended = distinct(fits["status"].astype(str))
        made = "; ".join(
            f"{name} {facts[name]}" for name in facts if name not in ("commit", "mosaicbench")
        )
        version, commit = facts.get("mosaicbench", NOT_GIVEN), facts.get("commit", NOT_GIVEN)
        lines.append([submission.name, submission.written, version, commit, counts, ended, made])
    columns = [
        "Folder",
        "Tables of",
        "mosaicbench",
        Column("Commit", words=True),
        Column("Holds", words=True),
    ]
    return grid(
        "Submissions",
        [*columns, Column("Ended", words=True), Column("Made with", words=True)],
        lines,
    )
