"""Tables of the page: their columns and cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

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

    `sort` is its sort key: None sorts by the text, "" stays last. `why`, the reason for a dash or
    a mark, is shown on hover and on tap, `about` on hover. `mark` is a CSS class, `colour` that of
    a run's dot, `link` the id of what explains it.
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
        """The sort key for the page's script."""
        is_missing = self.sort is None and self.text.startswith((NOT_GIVEN, CROSS))
        return "" if is_missing else self.sort


@dataclass(frozen=True)
class Column:
    """One column.

    `cell` is the record's key of a text or, with a `form`, a number, or a function of the record
    that returns a cell or a text. `why` is the reason for a missing number, `about` explains the
    heading. The first click sorts `descending`, readers can filter by `choices`, `words` wrap.
    """

    label: str
    cell: str | Callable[[dict], Cell | str]
    form: str = ""
    why: str = ""
    about: str = ""
    descending: bool = False
    choices: bool = False
    words: bool = False
    link: str = ""

    def of(self, row: dict) -> Cell:
        """Return the cell of a record."""
        if self.form:
            value = row[self.cell]
            return number_cell(value, format(value, self.form), self.why)
        cell = self.cell(row) if callable(self.cell) else text_of(row, self.cell)
        return Cell(cell) if isinstance(cell, str) else cell


@dataclass(frozen=True)
class Grid:
    """A table that sorts and filters: its title, and (run or "", cells) of each row."""

    label: str
    columns: list[Column]
    rows: list[tuple[str, list[Cell]]]


def table(label: str, columns: list[Column], records: pd.DataFrame) -> Grid | None:
    """Return a table of records; None if there is no record."""
    rows = []
    for record in records.to_dict("records"):
        rows.append((record.get("run", ""), [column.of(record) for column in columns]))
    return Grid(label, columns, rows) if rows else None


# --- columns -------------------------------------------------------------------------------------


def run_column(theme: Theme, key: str = "run", **look: object) -> Column:
    """Return the column that names a record's run, with its `signs` if the record has them."""
    return Column("Run", lambda row: run_cell(row[key], theme, row.get("signs", "")), **look)


def label_column(theme: Theme, key: str, head: str = "") -> Column:
    """Return the column of a "dataset", a "scenario" or a "metric"."""
    return Column(
        head or key.capitalize(), lambda row: theme.label(f"{key}s", row[key]), choices=True
    )


def split_columns(theme: Theme) -> list[Column]:
    """Return the columns that name dataset and scenario."""
    return [label_column(theme, "dataset"), label_column(theme, "scenario")]


def trait_columns(theme: Theme) -> list[Column]:
    """Return a column per entry of :data:`TRAITS`: "yes", "no", or a dash for an external run."""

    def cell(row: dict, name: str) -> Cell:
        if theme.run_metadata.is_external(row["run"]):
            return Cell(NOT_GIVEN, why=EXTERNAL)
        answer = row[name]
        return Cell(answer, mark="no" if answer == "no" else "")

    return [
        Column(name.removeprefix("takes_").capitalize(), partial(cell, name=name), about=about)
        for name, about in TRAITS.items()
    ]


# --- cells ---------------------------------------------------------------------------------------


def run_cell(run: str, theme: Theme, signs: str = "") -> Cell:
    """Return the cell that names a run, with its colour and the signs of the sanity checks."""
    meaning = "; ".join(check for check, sign in MARKS.items() if sign in signs)
    text = f"{theme.label('runs', run)} {signs}".strip()
    link = f"method-{theme.run_metadata.method(run)}"
    return Cell(text, colour=theme.colour(run), about=meaning, link=link)


def number_cell(value: float, text: str, why: str) -> Cell:
    """Return a number's cell; a dash if it is missing, with the reason."""
    return Cell(NOT_GIVEN, "", why) if pd.isna(value) else Cell(text, value)


# --- words ---------------------------------------------------------------------------------------


def with_arrow(metric: str, theme: Theme) -> str:
    """Return a metric's label, and which way is better: "FOSCTTM ↓"."""
    arrow = ARROWS.get(theme.run_metadata.better(metric), "")
    return f"{theme.label('metrics', metric)}\N{NO-BREAK SPACE}{arrow}".strip()


def behind_mean(summary: dict) -> str:
    """Return the interval of a mean, its number of seeds, and what it attains of its ceiling."""
    seeds = many(int(summary["seeds"]), "seed")
    if pd.notna(summary["attained"]):
        seeds += f"; {100 * summary['attained']:.0f} % of the ceiling, {summary['ceiling']:.3f}"
    if pd.isna(summary["low"]):
        return f"no interval, {seeds}"
    return f"95 % {interval(summary['low'], summary['high'])} ({summary['interval']}), {seeds}"


def interval(low: float, high: float) -> str:
    """Return "0.100 to 0.200", or a dash without an interval."""
    return NOT_GIVEN if pd.isna(low) else f"{low:z.3f} to {high:z.3f}"


def text_of(row: dict, key: str) -> str:
    """Return a record's text, "" for a missing one."""
    return row[key] if isinstance(row[key], str) else ""


def in_words(name: str) -> str:
    """Return "label transfer" for "label_transfer"."""
    return name.replace("_", " ")


def many(count: int, what: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
