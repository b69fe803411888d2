"""The answers to the questions for each dataset, as a table, and how many splits would decide."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    number_cell,
    run_cell,
    split_columns,
    table,
)
from mosaicbench.report.page.render import sentence
from mosaicbench.report.recommendation import SPEED
from mosaicbench.report.tables.text import NOT_GIVEN, mean_with_interval
from mosaicbench.report.theme import Theme
from mosaicbench.stats.paired import MOST_SEEDS

DETECTABLE = (
    "the smallest difference that this design detects in 80 % of such benchmarks, at 5 % over all "
    "comparisons"
)
NEEDED = (
    "the number of splits, in all, with which a difference as large as the one here is detectable "
    "on new cells"
)


def splits_to_decide(row: dict) -> Cell | str:
    """Return `seeds_needed` of a row of recommendations or paired tests, "> 100" beyond the limit."""
    if not row.get("tied_with", True):
        return NOT_GIVEN
    if pd.isna(row["seeds_needed"]) and row["seeds"] > 1:
        return Cell(f"> {MOST_SEEDS}", sort=MOST_SEEDS + 1)
    seeds, why = row["seeds_needed"], "one split says nothing about others"
    return number_cell(seeds, f"{seeds:.0f}", why)


def recommendations(rows: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return a row per split and question; None if no question has two runs to compare."""

    def take(row: dict) -> Cell:
        if not row["run"]:
            return Cell("none", mark="warn")
        return run_cell(row["run"], theme, row["signs"])

    def score(row: dict) -> Cell:
        if not row["run"]:
            return Cell(sentence("why_none", row=row, theme=theme), sort="")
        if row["question"] == SPEED:
            why = "no score: the fastest of the runs in the other rows of this split"
            return Cell(NOT_GIVEN, why=why)
        text = mean_with_interval(row["metric"], row["mean"], row["low"], row["high"])
        return Cell(f"{theme.label('metrics', row['metric'])} {text}", row["mean"])

    def column(label: str, macro: str, **look: object) -> Column:
        return Column(label, lambda row: sentence(macro, row=row, theme=theme) or NOT_GIVEN, **look)

    detectable = {"form": "z.3f", "about": DETECTABLE}
    columns = [
        *split_columns(theme),
        column("Question", "question_of", choices=True),
        Column("Take", take),
        Column("Score", score),
        column("Beats", "bar", words=True),
        column("Not separable from", "ties", words=True),
        Column("Detectable, these cells", "detectable", **detectable),
        Column("Detectable, new cells", "detectable_new", **detectable),
        Column("Splits to decide", splits_to_decide, about=NEEDED),
        Column("Seconds of a fit", "seconds", ".3g", why="not measured"),
        Column("MB of a fit", "peak_host_mb", ".0f", why="not measured"),
    ]
    return table("Which run to take", columns, rows)
