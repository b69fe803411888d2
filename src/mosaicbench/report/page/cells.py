"""The columns and cells that tables of the pages share: runs, places, metrics, numbers and what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd

from mosaicbench.report.page.html_tables import Cell, Column
from mosaicbench.report.tables.text import CROSS, NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.stats.sanity import MARKS

ARROWS = {"lower": "↓", "higher": "↑"}
TRAITS = {
    "takes_pairs": "whether it is told which measurements of two modalities are of the same cell",
    "takes_links": "whether it is told which features of two modalities belong together",
    "takes_labels": "whether it is told the cell types of the train cells",
    "transductive": "whether it is fitted on the query cells too",
}

EXTERNAL = "computed elsewhere, so it cannot be known"


Columns = list[tuple[Column | str, Callable[[dict], Cell | str]]]

# --- columns -------------------------------------------------------------------------------------------------------------


def run_column(theme: Theme, key: str = "run", **look: object) -> Columns:
    """Return the column that names the run of a record, with its `signs` where the record has them."""
    return [(Column("Run", **look), lambda row: run_cell(row[key], theme, row.get("signs", "")))]


def label_columns(theme: Theme, **rooms: str) -> Columns:
    """Return a column to choose by for each kind of name: its key in a record, and the names of its kind, "datasets"."""
    return [
        (key.capitalize(), partial(_label, key=key, room=room, theme=theme))
        for key, room in rooms.items()
    ]


def split_columns(theme: Theme) -> Columns:
    """Return the columns that name dataset and scenario."""
    return label_columns(theme, dataset="datasets", scenario="scenarios")


def score_column(theme: Theme) -> Columns:
    """Return the column that names a metric."""
    label = partial(_label, key="metric", room="metrics", theme=theme)
    return [("Score", label)]


def number_column(
    label: str,
    key: str,
    form: str | Callable[[float], str] = "z.3f",
    *,
    why: str | Callable[[dict], str] = "",
    **look: object,
) -> Columns:
    """Return the column of a number; `why` says why a record has none, or is the key that does."""

    def cell(row: dict) -> Cell:
        value = row[key]
        text = form(value) if callable(form) else f"{value:{form}}"
        reason = why(row) if callable(why) else text_of(row, why) if why in row else why
        return number_cell(value, text, why=reason)

    return [(Column(label, **look), cell)]


def interval_column(
    label: str, low: str = "low", high: str = "high", *, decimals: int = 3
) -> Columns:
    """Return the column of an interval, which sorts by its lower end."""
    return [(label, lambda row: interval_cell(row[low], row[high], decimals=decimals))]


def text_column(label: str, key: str) -> Columns:
    """Return the column of a text."""
    return [(label, lambda row: text_of(row, key))]


def trait_columns(theme: Theme) -> Columns:
    """Return "yes" or "no" for each of :data:`TRAITS`, a dash where the run was computed elsewhere."""
    heads = {name: name.removeprefix("takes_").capitalize() for name in TRAITS}
    return [
        (Column(heads[name], about=about), partial(_trait, name=name, theme=theme))
        for name, about in TRAITS.items()
    ]


def _trait(row: dict, *, name: str, theme: Theme) -> Cell:
    if theme.run_metadata.is_external(row["run"]):
        return Cell(NOT_GIVEN, why=EXTERNAL)
    answer = theme.run_metadata.traits(row["run"])[name]
    return Cell(answer, mark="no" if answer == "no" else "")


def _label(row: dict, *, key: str, room: str, theme: Theme) -> str:
    return theme.label(room, row[key])


def metric_column(metric: str, theme: Theme) -> Column:
    """Return the column of a metric, which the first click sorts from the best value on."""
    descending = theme.run_metadata.better(metric) != "lower"
    return Column(
        with_arrow(metric, theme),
        about=theme.run_metadata.metric(metric).get("definition", ""),
        descending=descending,
    )


def with_arrow(metric: str, theme: Theme) -> str:
    """Return a metric's label, and which way is better: "FOSCTTM ↓"."""
    arrow = ARROWS.get(theme.run_metadata.better(metric), "")
    return f"{theme.label('metrics', metric)}\N{NO-BREAK SPACE}{arrow}".strip()


# --- cells ---------------------------------------------------------------------------------------------------------------


def run_cell(run: str, theme: Theme, signs: str = "") -> Cell:
    """Return the cell that names a run, with its colour and the signs that checks gave it."""
    meaning = "; ".join(check for check, sign in MARKS.items() if sign in signs)
    return Cell(
        f"{theme.label('runs', run)} {signs}".strip(), colour=theme.colour(run), why=meaning
    )


def number_cell(value: float, text: str = "", *, why: str = "", about: str = "") -> Cell:
    """Return a number's cell, with three decimals unless `text` says it; a dash, and `why`, where it is missing."""
    return (
        Cell(NOT_GIVEN, sort="", why=why)
        if pd.isna(value)
        else Cell(text or three_decimals(value), sort=value, about=about)
    )


def interval_cell(low: float, high: float, *, decimals: int = 3) -> Cell:
    """Return the cell of an interval, which sorts by its lower end."""
    return Cell(interval(low, high, decimals=decimals), sort=sort_key(low))


def absent_cell(text: str, *, why: str) -> Cell:
    """Return the cell of a run that has no value: a dash or a cross."""
    return Cell(text, sort="", why=why, mark="warn" if text.startswith(CROSS) else "")


# --- words ---------------------------------------------------------------------------------------------------------------


def behind_mean(summary: pd.Series) -> str:
    """Return what a mean rests on: its interval, and how many seeds."""
    seeds = many(int(summary["seeds"]), "seed")
    if pd.isna(summary["low"]):
        return f"{seeds}, no interval"
    return f"95 % {interval(summary['low'], summary['high'])} ({summary['interval']}), {seeds}"


def interval(low: float, high: float, *, decimals: int = 3) -> str:
    """Return "0.100 to 0.200", a dash where an end is missing."""
    return (
        NOT_GIVEN
        if pd.isna(low) or pd.isna(high)
        else f"{low:z.{decimals}f} to {high:z.{decimals}f}"
    )


def three_decimals(value: float) -> str:
    """Return "0.123", a dash where there is no number."""
    return NOT_GIVEN if pd.isna(value) else f"{value:z.3f}"


def sort_key(value: float) -> float | str:
    """Return what a number sorts by: nothing where it is missing, so that it stays last."""
    return "" if pd.isna(value) else value


def text_of(row: dict, key: str) -> str:
    """Return a record's text, "" where it has none."""
    return row[key] if isinstance(row[key], str) else ""


def joined_labels(theme: Theme, room: str, names: Iterable[str]) -> str:
    """Return the labels of the distinct names in display order, "A, B"."""
    return ", ".join(theme.label(room, name) for name in theme.order(room, names))


def arranged(rows: pd.DataFrame, *places: pd.Series) -> pd.DataFrame:
    """Return rows sorted by the first of `places`, then by the next, and as they were where all are equal."""
    return rows.iloc[np.lexsort([place.to_numpy(dtype=float) for place in reversed(places)])]


def many(count: int, what: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
