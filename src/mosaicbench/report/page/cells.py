"""Tables of the page: their columns and cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mosaicbench.report.tables.text import CROSS, NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.stats.sanity import MARKS

ARROWS = {"lower": "↓", "higher": "↑"}
TRAITS = {
    "takes_pairs": "whether the method knows which measurements of two modalities are of one cell",
    "takes_links": "whether the method knows which features of two modalities belong together",
    "takes_labels": "whether the method knows the cell types of the train cells",
    "transductive": "whether the method, or the encoder that it probes, is fitted on the query cells too",
}
EXTERNAL = "unknown: the run was computed outside the benchmark"


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes
    ----------
    sort
        Its sort key; None sorts by the text. An empty key stays last in both directions.
    why
        The reason for a dash, a cross or a mark, shown on hover and on tap.
    about
        More about the value, shown on hover.
    mark
        A CSS class.
    colour
        That of a run's dot.
    link
        The id of the part of the page that explains it.
    """

    text: str
    sort: float | str | None = None
    why: str = ""
    about: str = ""
    mark: str = ""
    colour: str = ""
    link: str = ""

    @property
    def key(self) -> float | str | None:
        """The sort key for the page's script; that of a dash or cross is empty."""
        is_missing = self.sort is None and self.text.startswith((NOT_GIVEN, CROSS))
        return "" if is_missing else self.sort


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    cell
        The record's key of a text or number, or a function of the record that returns a cell or a
        text.
    form
        The format of a number.
    why
        The reason for a missing number, or a function of the record that returns it.
    about
        An explanation of the heading, shown on hover.
    descending
        Whether the first click sorts from the largest down.
    choices
        Whether the reader can filter by its values.
    words
        Whether its text may wrap.
    link
        The id of the part of the page that explains it.
    """

    label: str
    cell: str | Callable[[dict], Cell | str]
    form: str = ""
    why: str | Callable[[dict], str] = ""
    about: str = ""
    descending: bool = False
    choices: bool = False
    words: bool = False
    link: str = ""

    def of(self, row: dict) -> Cell:
        """Return the cell of a record."""
        if callable(self.cell):
            cell = self.cell(row)
        elif self.form:
            why = self.why(row) if callable(self.why) else self.why
            cell = number_cell(row[self.cell], format(row[self.cell], self.form), why=why)
        else:
            cell = text_of(row, self.cell)
        return Cell(cell) if isinstance(cell, str) else cell


@dataclass(frozen=True)
class Grid:
    """A table that sorts and filters.

    Attributes
    ----------
    label
        Its title, for screen readers.
    sections
        Heading -> (run or "", cells) of each row; rows sort within their section. Without headings,
        one section "".
    """

    label: str
    columns: list[Column]
    sections: dict[str, list[tuple[str, list[Cell]]]]

    def __len__(self) -> int:
        return sum(map(len, self.sections.values()))


def table(
    label: str, columns: list[Column], rows: pd.DataFrame | Mapping[str, pd.DataFrame]
) -> Grid | None:
    """Return a table of records, or of heading -> records; None if there is no record."""
    sections = rows if isinstance(rows, Mapping) else {"": rows}
    filled: dict[str, list[tuple[str, list[Cell]]]] = {}
    for heading, records in sections.items():
        filled[heading] = []
        for row in records.to_dict("records"):
            filled[heading].append((row.get("run", ""), [column.of(row) for column in columns]))
    return Grid(label, columns, filled) if any(filled.values()) else None


# --- columns -------------------------------------------------------------------------------------


def run_column(theme: Theme, key: str = "run", **look: object) -> Column:
    """Return the column that names a record's run, with its `signs` if the record has them."""
    return Column("Run", lambda row: run_cell(row[key], theme, row.get("signs", "")), **look)


def label_column(theme: Theme, key: str, head: str = "") -> Column:
    """Return the column of a "dataset", a "scenario" or a "metric"."""
    head = head or key.capitalize()
    return Column(head, lambda row: theme.label(f"{key}s", row[key]), choices=True)


def split_columns(theme: Theme) -> list[Column]:
    """Return the columns that name dataset and scenario."""
    return [label_column(theme, "dataset"), label_column(theme, "scenario")]


def trait_columns(theme: Theme) -> list[Column]:
    """Return a column per entry of :data:`TRAITS`: "yes", "no", or a dash for an external run."""

    def column(name: str) -> Column:
        def cell(row: dict) -> Cell:
            answer = theme.run_metadata.traits(row["run"])[name]
            if theme.run_metadata.is_external(row["run"]):
                return Cell(NOT_GIVEN, why=EXTERNAL)
            return Cell(answer, mark="no" if answer == "no" else "")

        return Column(name.removeprefix("takes_").capitalize(), cell, about=TRAITS[name])

    return [column(name) for name in TRAITS]


# --- cells ---------------------------------------------------------------------------------------


def run_cell(run: str, theme: Theme, signs: str = "") -> Cell:
    """Return the cell that names a run, with its colour and the signs of the sanity checks."""
    meaning = "; ".join(check for check, sign in MARKS.items() if sign in signs)
    text = f"{theme.label('runs', run)} {signs}".strip()
    link = f"method-{theme.run_metadata.method(run)}"
    return Cell(text, colour=theme.colour(run), about=meaning, link=link)


def number_cell(value: float, text: str = "", *, why: str = "", about: str = "") -> Cell:
    """Return a number's cell, with three decimals unless `text` is given; a dash if missing."""
    if pd.isna(value):
        return Cell(NOT_GIVEN, sort="", why=why)
    return Cell(text or three_decimals(value), sort=value, about=about)


# --- words ---------------------------------------------------------------------------------------


def with_arrow(metric: str, theme: Theme) -> str:
    """Return a metric's label, and which way is better: "FOSCTTM ↓"."""
    arrow = ARROWS.get(theme.run_metadata.better(metric), "")
    return f"{theme.label('metrics', metric)}\N{NO-BREAK SPACE}{arrow}".strip()


def behind_mean(summary: Mapping) -> str:
    """Return the interval of a mean and its number of seeds."""
    seeds = many(int(summary["seeds"]), "seed")
    if pd.isna(summary["low"]):
        return f"{seeds}, no interval"
    return f"95 % {interval(summary['low'], summary['high'])} ({summary['interval']}), {seeds}"


def interval(low: float, high: float) -> str:
    """Return "0.100 to 0.200", or a dash if an end is missing."""
    if pd.isna(low) or pd.isna(high):
        return NOT_GIVEN
    return f"{low:z.3f} to {high:z.3f}"


def three_decimals(value: float) -> str:
    """Return "0.123", or a dash for a missing number."""
    return NOT_GIVEN if pd.isna(value) else f"{value:z.3f}"


def text_of(row: dict, key: str) -> str:
    """Return a record's text, "" for a missing one."""
    return row[key] if isinstance(row[key], str) else ""


def in_words(name: str) -> str:
    """Return "label transfer" for "label_transfer"."""
    return name.replace("_", " ")


def many(count: int, what: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def arranged(rows: pd.DataFrame, *keys: Iterable[float]) -> pd.DataFrame:
    """Return rows sorted by the first key, then by the next; ties keep their order."""
    return rows.iloc[np.lexsort([np.asarray(key, dtype=float) for key in reversed(keys)])]
