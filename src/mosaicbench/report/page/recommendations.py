"""The first lines of the report: for each question the run to take, and the evidence."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.page.cells import number_cell, run_cell, sort_key
from mosaicbench.report.page.html_tables import Cell, Column, Grid, grid
from mosaicbench.report.recommendation import SPEED, decided_by, question_in_words
from mosaicbench.report.tables.text import NOT_GIVEN, mean_with_interval
from mosaicbench.report.theme import Theme


def recommendations(table: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return one row per view and question; None where no run answers any.

    Parameters
    ----------
    table
        Columns ``recommendation.COLUMNS``.
    """
    rows = [_row(row, theme) for row in table.to_dict("records")]
    columns = [Column("Dataset", choices=True), Column("Scenario", choices=True), Column("Question", choices=True), "Take"]
    columns += ["Score", Column("Not told apart from", words=True)]
    columns += [Column("More seeds to decide", about="so many more would tell it from all of these runs")]
    columns += [Column("Seconds of a fit"), Column("MB of a fit")]
    return grid("Which run to take", columns, rows)


def _row(row: dict, theme: Theme) -> list[Cell | str]:
    score = Cell(NOT_GIVEN, sort="", why="no score: the fastest of the runs that the other rows of this view name")
    if row["question"] != SPEED:
        text = mean_with_interval(row["metric"], row["mean"], row["low"], row["high"])
        score = Cell(f"{theme.label('metrics', row['metric'])} {text}", sort=sort_key(row["mean"]))
    others = ", ".join(theme.label("runs", name) for name in filter(None, row["level_with"].split(", ")))
    more = number_cell(row["more_seeds"], f"{row['more_seeds']:.0f}", why=decided_by(row)) if others else NOT_GIVEN
    question = question_in_words(row, theme)
    return [
        theme.label("datasets", row["dataset"]),
        theme.label("scenarios", row["scenario"]),
        question[0].upper() + question[1:],
        run_cell(row["run"], theme),
        score,
        others or NOT_GIVEN,
        more,
        number_cell(row["seconds"], f"{row['seconds']:.3g}", why="not measured"),
        number_cell(row["peak_host_mb"], f"{row['peak_host_mb']:.0f}", why="not measured"),
    ]
