"""Tables as the pages show them: what a cell says, what it sorts by, and why it is empty."""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench.report.tables.text import CROSS, NOT_GIVEN


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


def grid(
    label: str, columns: list[Column | str], rows: list[Row | list[Cell | str]]
) -> Grid | None:
    """Return a table of one section, None without rows; a text stands for a column or a cell without anything else."""
    if not rows:
        return None
    return Grid(
        label,
        headed(columns),
        {"": [entry if isinstance(entry, Row) else row(*entry) for entry in rows]},
    )


def headed(columns: list[Column | str]) -> tuple[Column, ...]:
    """Return columns; a text stands for one without anything else."""
    return tuple(Column(column) if isinstance(column, str) else column for column in columns)


def row(*cells: Cell | str, run: str = "") -> Row:
    """Return a row; a text stands for a cell without anything else."""
    return Row(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells), run)
