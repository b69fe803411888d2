"""Tables as the pages show them: what a cell says, what it sorts by, and why it is empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mosaicbench.report.tables.text import CROSS, NOT_GIVEN

CHOICES = {  # columns among whose values a reader chooses
    "Against",
    "Agreement",
    "Dataset",
    "Gate",
    "Hyperparameter",
    "Kind",
    "Method",
    "Question",
    "Scenario",
    "Score",
    "Status",
}
WORDS = {  # columns of texts that may be broken into lines
    "Beats",
    "Does not agree in",
    "Finding",
    "Log",
    "Message",
    "Not separable from",
    "Note",
    "Remark",
    "Settings",
    "Version of the runs",
    "What it is",
}


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
    label: str,
    columns: Iterable[Column | str],
    rows: list[Row | list[Cell | str]] | Mapping[str, list],
) -> Grid | None:
    """Return a table, None without rows; a text serves as a column of :data:`CHOICES` or :data:`WORDS`, or a plain one.

    Parameters
    ----------
    label
        What the table is.
    columns
        Its columns.
    rows
        Its rows, or heading -> rows.
    """
    sections = {
        heading: [entry if isinstance(entry, Row) else row(*entry) for entry in members]
        for heading, members in (rows if isinstance(rows, Mapping) else {"": rows}).items()
    }
    if not any(sections.values()):
        return None
    heads = (
        Column(column, choices=column in CHOICES, words=column in WORDS)
        if isinstance(column, str)
        else column
        for column in columns
    )
    return Grid(label, tuple(heads), sections)


def row(*cells: Cell | str, run: str = "") -> Row:
    """Return a row; a text serves as a cell without anything else."""
    return Row(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells), run)


def table(
    label: str,
    columns: Sequence[tuple[Column | str, Callable[[dict], Cell | str]]],
    rows: pd.DataFrame | list[dict] | Mapping[str, pd.DataFrame],
    *,
    by_run: bool = False,
) -> Grid | None:
    """Return a table of records, None without any.

    Parameters
    ----------
    label
        What the table is.
    columns
        Each with the function that makes its cell of a record.
    rows
        The records, or heading -> records.
    by_run
        Whether a row is what the table says of its `run`.
    """

    def filled(records: pd.DataFrame | list[dict]) -> list[Row]:
        records = records.to_dict("records") if isinstance(records, pd.DataFrame) else records
        return [
            row(*(cell(one) for _, cell in columns), run=one["run"] if by_run else "")
            for one in records
        ]

    sections = rows if isinstance(rows, Mapping) else {"": rows}
    filled_sections = {name: filled(records) for name, records in sections.items()}
    return grid(label, [column for column, _ in columns], filled_sections)
