"""The first lines of the report: which run to take for each question, and the evidence."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    number_cell,
    number_column,
    run_cell,
    split_columns,
)
from mosaicbench.report.page.cells import table as html_table
from mosaicbench.report.recommendation import (
    SPEED,
    bar_in_words,
    decided_by,
    labels_of,
    question_in_words,
    why_none,
)
from mosaicbench.report.tables.text import NOT_GIVEN, mean_with_interval
from mosaicbench.report.theme import Theme

DETECTABLE = (
    "the smallest difference that this design detects in 80 % of such benchmarks, at 5 % over all "
    "comparisons"
)
NEEDED = (
    "the number of splits with which a difference as large as the one here is detectable on new "
    "cells"
)


def recommendations(table: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return a row per split and question; None if no question has two runs to compare.

    Parameters
    ----------
    table
        Columns ``recommendation.COLUMNS``.
    """

    def take(row: dict) -> Cell:
        return (
            run_cell(row["run"], theme, row["signs"]) if row["run"] else Cell("none", mark="warn")
        )

    def score(row: dict) -> Cell:
        if not row["run"]:
            return Cell(_capitalised(why_none(row, theme)), sort="")
        if row["question"] == SPEED:
            why = "no score: the fastest of the runs in the other rows of this split"
            return Cell(NOT_GIVEN, sort="", why=why)
        text = mean_with_interval(row["metric"], row["mean"], row["low"], row["high"])
        return number_cell(row["mean"], f"{theme.label('metrics', row['metric'])} {text}")

    def more_splits(row: dict) -> Cell | str:
        more = row["seeds_needed"] - row["seeds"]
        if not row["tied_with"]:
            return NOT_GIVEN
        return number_cell(more, f"{max(1, more):.0f}", why=decided_by(row))

    columns = [
        *split_columns(theme),
        Column("Question", lambda row: _capitalised(question_in_words(row, theme)), choices=True),
        Column("Take", take),
        Column("Score", score),
        Column(
            "Beats",
            lambda row: bar_in_words(row, theme) if row["beaten"] else NOT_GIVEN,
            words=True,
        ),
        Column(
            "Not separable from",
            lambda row: labels_of(row["tied_with"], theme) or NOT_GIVEN,
            words=True,
        ),
        number_column("Detectable, these cells", "detectable", about=DETECTABLE),
        number_column("Detectable, new cells", "detectable_new", about=DETECTABLE),
        Column("More splits to decide", more_splits, about=f"{NEEDED}, beyond the present number"),
        number_column("Seconds of a fit", "seconds", ".3g", why="not measured"),
        number_column("MB of a fit", "peak_host_mb", ".0f", why="not measured"),
    ]
    return html_table("Which run to take", columns, table)


def _capitalised(words: str) -> str:
    return words[0].upper() + words[1:]
