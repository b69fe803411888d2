"""Tables as the pages show them: what a cell says, what it sorts by, and why it is empty."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mosaicbench.report.tables import CROSS, NOT_GIVEN
from mosaicbench.report.theme import Theme

ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    label, about
        Its head, and the explanation that the head gives when pointed at.
    descending
        Whether the first click sorts from the largest down.
    choices
        Whether the reader can choose among its values.
    words
        Whether its text may be broken into lines.
    """

    label: str
    about: str = ""
    descending: bool = False
    choices: bool = False
    words: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes
    ----------
    text
        What it says.
    sort
        What it sorts by; None is its text. An empty one stays last, whichever way the column is sorted.
    why
        The reason behind a dash, a cross or a mark, shown on hover and on tap.
    about
        More about the value, shown on hover.
    mark
        A CSS class.
    colour
        The colour of a run's dot.
    """

    text: str
    sort: float | str | None = None
    why: str = ""
    about: str = ""
    mark: str = ""
    colour: str = ""

    @property
    def key(self) -> str | None:
        """What the page's script sorts by where it is not the text: absent and failed have no place among numbers."""
        if self.sort is not None:
            return str(self.sort)
        return "" if self.text == NOT_GIVEN or self.text.startswith(CROSS) else None


@dataclass(frozen=True)
class Row:
    """One row; its first cell names it."""

    cells: tuple[Cell, ...]
    run: str = ""


@dataclass(frozen=True)
class Grid:
    """A table that sorts and filters.

    Attributes
    ----------
    label
        What the table is, for those who do not see it.
    columns
        Its columns.
    sections
        Heading -> rows; rows are sorted within their section. Without headings, there is one section called "".
    """

    label: str
    columns: tuple[Column, ...]
    sections: dict[str, list[Row]]

    def __len__(self) -> int:
        return sum(map(len, self.sections.values()))


def grid(label: str, columns: list[Column | str], rows: list[list[Cell | str]]) -> Grid:
    """Return a table of one section; a text stands for a column or a cell without anything else."""
    heads = tuple(Column(column) if isinstance(column, str) else column for column in columns)
    return Grid(label, heads, {"": [row(*cells) for cells in rows]})


def row(*cells: Cell | str, run: str = "") -> Row:
    """Return a row; a text stands for a cell without anything else."""
    return Row(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells), run)


def named(run: str, theme: Theme) -> Cell:
    """Return the cell that names a run, with its colour."""
    return Cell(theme.label("runs", run), colour=theme.colour(run))


def with_arrow(metric: str, theme: Theme) -> str:
    """Return a metric's label, and which way is better: "FOSCTTM ↓"."""
    arrow = ARROWS.get(theme.metric(metric).get("better"), "")
    return f"{theme.label('metrics', metric)}\N{NO-BREAK SPACE}{arrow}".strip()


def interval(low: float, high: float, *, decimals: int = 3) -> str:
    """Return "0.100 to 0.200", a dash where there is none."""
    return NOT_GIVEN if pd.isna(low) or pd.isna(high) else f"{low:z.{decimals}f} to {high:z.{decimals}f}"


def key(value: float) -> float | str:
    """Return what a number sorts by: nothing where it is missing, so that it stays last."""
    return "" if pd.isna(value) else value


def many(count: int, what: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
