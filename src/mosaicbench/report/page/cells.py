"""The columns and cells that tables of the pages share: runs, places, metrics, numbers and what stands behind them."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.page.html_tables import Cell, Column
from mosaicbench.report.tables.text import CROSS, NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.statistics.sentinels import MARKS

ARROWS = {"lower": "↓", "higher": "↑"}
TRAITS = {
    "uses_pairs": "whether it is told which measurements of two modalities are of the same cell",
    "uses_links": "whether it is told which features of two modalities belong together",
    "uses_labels": "whether it is told the cell types of the train cells",
    "transductive": "whether it is fitted on the query cells too",
}

ELSEWHERE = "computed elsewhere, so it cannot be known"


# --- columns -------------------------------------------------------------------------------------------------------------


def place_columns() -> list[Column]:
    """Return the columns of :func:`place_cells`."""
    return [Column("Run"), Column("Dataset", choices=True), Column("Scenario", choices=True)]


def metric_column(metric: str, theme: Theme) -> Column:
    """Return the column of a metric, which the first click sorts from the best value on."""
    descending = theme.roster.better(metric) != "lower"
    return Column(
        with_arrow(metric, theme),
        about=theme.roster.metric(metric).get("definition", ""),
        descending=descending,
    )


def trait_columns() -> list[Column]:
    """Return the columns of :func:`trait_cells`."""
    return [
        Column(name.removeprefix("uses_").capitalize(), about=about)
        for name, about in TRAITS.items()
    ]


def with_arrow(metric: str, theme: Theme) -> str:
    """Return a metric's label, and which way is better: "FOSCTTM ↓"."""
    arrow = ARROWS.get(theme.roster.better(metric), "")
    return f"{theme.label('metrics', metric)}\N{NO-BREAK SPACE}{arrow}".strip()


# --- cells ---------------------------------------------------------------------------------------------------------------


def run_cell(run: str, theme: Theme, signs: str = "") -> Cell:
    """Return the cell that names a run, with its colour and the signs that checks gave it."""
    meaning = "; ".join(gate for gate, sign in MARKS.items() if sign in signs)
    return Cell(
        f"{theme.label('runs', run)} {signs}".strip(), colour=theme.colour(run), why=meaning
    )


def place_cells(run: str, dataset: str, scenario: str, theme: Theme) -> list[Cell | str]:
    """Return the cells that say of which run and view a row is."""
    return [
        run_cell(run, theme),
        theme.label("datasets", dataset),
        theme.label("scenarios", scenario),
    ]


def trait_cells(run: str, theme: Theme) -> list[Cell]:
    """Return "yes" or "no" for each of :data:`TRAITS`, a dash where the run was computed elsewhere."""
    if theme.roster.is_elsewhere(run):
        return [Cell(NOT_GIVEN, why=ELSEWHERE) for _ in TRAITS]
    given = theme.roster.traits(run)
    return [Cell(given[name], mark="no" if given[name] == "no" else "") for name in TRAITS]


def number_cell(value: float, text: str = "", *, why: str = "", about: str = "") -> Cell:
    """Return a number's cell, with three decimals unless `text` says it; a dash, and `why`, where there is none."""
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
    """Return what stands behind a mean: its interval, and how many seeds."""
    seeds = many(int(summary["seeds"]), "seed")
    if pd.isna(summary["low"]):
        return f"{seeds}, no interval"
    return f"95 % {interval(summary['low'], summary['high'])} ({summary['interval']}), {seeds}"


def interval(low: float, high: float, *, decimals: int = 3) -> str:
    """Return "0.100 to 0.200", a dash where there is none."""
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


def many(count: int, what: str) -> str:
    """Return "1 seed", "3 seeds"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
