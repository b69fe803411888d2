"""The first lines of the report: for each question the run to take, and the evidence."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.page.cells import number_cell, run_cell, sort_key
from mosaicbench.report.page.html_tables import Cell, Column, Grid, grid
from mosaicbench.report.recommendation import (
    SPEED,
    bar_in_words,
    decided_by,
    question_in_words,
    why_none,
)
from mosaicbench.report.tables.text import NOT_GIVEN, mean_with_interval
from mosaicbench.report.theme import Theme

DETECTABLE = "the smallest difference that this design tells apart in 80 % of such benchmarks, at 5 % over all comparisons"
NEEDED = "so many splits in all, with which a difference as large as the one here is detectable on new cells"


def recommendations(table: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return one row per view and question; None where no run answers any.

    Parameters
    ----------
    table
        Columns ``recommendation.COLUMNS``.
    """
    rows = [_row(row, theme) for row in table.to_dict("records")]
    columns = [
        Column("Dataset", choices=True),
        Column("Scenario", choices=True),
        Column("Question", choices=True),
        "Take",
    ]
    columns += ["Score", Column("Beats", words=True), Column("Not separable from", words=True)]
    columns += [
        Column("Detectable, these cells", about=DETECTABLE),
        Column("Detectable, new cells", about=DETECTABLE),
    ]
    columns += [Column("More splits to decide", about=f"{NEEDED}, beyond those that there are")]
    columns += [Column("Seconds of a fit"), Column("MB of a fit")]
    return grid("Which run to take", columns, rows)


def _row(row: dict, theme: Theme) -> list[Cell | str]:
    taken = run_cell(row["run"], theme, row["signs"]) if row["run"] else Cell("none", mark="warn")
    score = Cell(
        NOT_GIVEN,
        sort="",
        why="no score: the fastest of the runs that the other rows of this view name",
    )
    beats = bar_in_words(row, theme) if row["beaten"] else NOT_GIVEN
    if not row["run"]:
        why = why_none(row, theme)
        score = Cell(why[0].upper() + why[1:], sort="")
    elif row["question"] != SPEED:
        text = mean_with_interval(row["metric"], row["mean"], row["low"], row["high"])
        score = Cell(f"{theme.label('metrics', row['metric'])} {text}", sort=sort_key(row["mean"]))
    others = ", ".join(
        theme.label("runs", name) for name in filter(None, row["level_with"].split(", "))
    )
    needed = row["seeds_needed"] - row["seeds"]
    more = (
        number_cell(needed, f"{max(1, needed):.0f}", why=decided_by(row)) if others else NOT_GIVEN
    )
    question = question_in_words(row, theme)
    return [
        theme.label("datasets", row["dataset"]),
        theme.label("scenarios", row["scenario"]),
        question[0].upper() + question[1:],
        taken,
        score,
        beats,
        others or NOT_GIVEN,
        number_cell(row["detectable"]),
        number_cell(row["detectable_new"]),
        more,
        number_cell(row["seconds"], f"{row['seconds']:.3g}", why="not measured"),
        number_cell(row["peak_host_mb"], f"{row['peak_host_mb']:.0f}", why="not measured"),
    ]
