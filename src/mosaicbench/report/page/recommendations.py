"""The first lines of the report: for each question the run to take, and the evidence."""

from __future__ import annotations

from functools import partial

import pandas as pd

from mosaicbench.report.page.cells import (
    number_cell,
    number_column,
    run_cell,
    sort_key,
    split_columns,
)
from mosaicbench.report.page.html_tables import Cell, Column, Grid
from mosaicbench.report.page.html_tables import table as html_table
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
    """Return one row per split and question; None where no run answers any.

    Parameters
    ----------
    table
        Columns ``recommendation.COLUMNS``.
    """
    columns = split_columns(theme)
    columns += [
        ("Question", lambda row: _begun(question_in_words(row, theme))),
        ("Take", partial(_taken, theme=theme)),
        (Column("Score"), partial(_score, theme=theme)),
        (
            "Beats",
            lambda row: bar_in_words(row, theme) if row["beaten"] else NOT_GIVEN,
        ),
        (
            "Not separable from",
            lambda row: ", ".join(theme.label("runs", run) for run in _others(row)) or NOT_GIVEN,
        ),
        *number_column("Detectable, these cells", "detectable", about=DETECTABLE),
        *number_column("Detectable, new cells", "detectable_new", about=DETECTABLE),
        (
            Column("More splits to decide", about=f"{NEEDED}, beyond those that there are"),
            _more_splits,
        ),
        *number_column("Seconds of a fit", "seconds", ".3g", why="not measured"),
        *number_column("MB of a fit", "peak_host_mb", ".0f", why="not measured"),
    ]
    return html_table("Which run to take", columns, table)


def _begun(words: str) -> str:
    return words[0].upper() + words[1:]


def _taken(row: dict, *, theme: Theme) -> Cell:
    taken = row["run"]
    return run_cell(taken, theme, row["signs"]) if taken else Cell("none", mark="warn")


def _score(row: dict, *, theme: Theme) -> Cell:
    if not row["run"]:
        return Cell(_begun(why_none(row, theme)), sort="")
    if row["question"] == SPEED:
        why = "no score: the fastest of the runs that the other rows of this split name"
        return Cell(NOT_GIVEN, sort="", why=why)
    text = mean_with_interval(row["metric"], row["mean"], row["low"], row["high"])
    return Cell(f"{theme.label('metrics', row['metric'])} {text}", sort=sort_key(row["mean"]))


def _others(row: dict) -> list[str]:
    return [run for run in row["tied_with"].split(", ") if run]


def _more_splits(row: dict) -> Cell | str:
    needed = row["seeds_needed"] - row["seeds"]
    text = f"{max(1, needed):.0f}"
    return number_cell(needed, text, why=decided_by(row)) if _others(row) else NOT_GIVEN
