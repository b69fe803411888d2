"""The section on tuning: its gains, the best settings, and settings that beat the defaults."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    interval,
    label_column,
    number_cell,
    run_column,
    split_columns,
    table,
    text_of,
    with_arrow,
)
from mosaicbench.report.page.render import sentence
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import ALL
from mosaicbench.stats.tuning import AGREE, shown

BETTER = {"tuned": "tuned", "default": "defaults", "neither": "not separable"}


def tuning(tables: Mapping[str, pd.DataFrame], config: Mapping, theme: Theme) -> dict | None:
    """Return the parts of the section; None if nothing was tuned."""
    trials = tables["trials"]
    if trials.empty:
        return None
    stanza = config.get("tuning") or {}
    searches = trials.groupby(["dataset", "scenario", "run", "seed"], sort=False)
    gains = tables["tuning_gains"]
    counts = gains.loc[gains["dataset"] != ALL, "better"].value_counts()
    return {
        "searches": sentence(
            "searches",
            count=len(searches),
            most=searches.size().max(),
            hours=trials["cpu_seconds"].sum() / 3600,
            objective=stanza.get("objective", "mean"),
            fraction=stanza.get("fraction", 0.2),
            failed=trials["objective"].isna().sum(),
            of_first_seed=not stanza.get("per_seed") and tables["runs"]["seed"].nunique() > 1,
            theme=theme,
        ),
        "verdict": sentence("gained", counts=counts, better=BETTER),
        "gains": table("Gains of tuning", _gain_columns(theme), gains),
        "settings": _settings(tables["tuning_settings"], theme),
    }


def _gain_columns(theme: Theme) -> list[Column]:
    def dataset(row: dict) -> str:
        name = row["dataset"]
        return "all datasets" if name == ALL else theme.label("datasets", name)

    def gap(row: dict) -> Cell:
        return number_cell(row["low"], interval(row["low"], row["high"]), text_of(row, "note"))

    difference = "tuned minus defaults, mean over seeds"
    about = "paired t over seeds; over all datasets, for these datasets"
    return [
        run_column(theme, "against", choices=True),
        Column("Dataset", dataset, choices=True),
        label_column(theme, "scenario"),
        Column("Score", lambda row: with_arrow(row["metric"], theme), choices=True),
        Column("Defaults", "default", "z.3f"),
        Column("Tuned", "tuned", "z.3f"),
        Column("Difference", "effect", "+z.3f", about=difference, descending=True),
        Column("95 % interval", gap, about=about),
        Column("Better", lambda row: BETTER[row["better"]], choices=True),
        Column("Seeds", lambda row: str(int(row["seeds"]))),
    ]


def _settings(settings: pd.DataFrame, theme: Theme) -> Grid | None:
    searches = settings.groupby(["scenario", "run", "hyperparameter"])["seed"].transform("size")

    def agreement(row: dict) -> str:
        return AGREE[text_of(row, "agree")] if row["searches"] > 1 else "one dataset"

    columns = [
        run_column(theme, choices=True),
        *split_columns(theme),
        Column("Seed", lambda row: str(row["seed"])),
        Column("Hyperparameter", "hyperparameter", choices=True),
        Column("Default", lambda row: _value(row["default"])),
        Column("Best", lambda row: _value(row["found"])),
        Column("Agreement", agreement, choices=True),
    ]
    return table("Best settings", columns, settings.assign(searches=searches))


def _value(value: object) -> Cell | str:
    if pd.isna(value):
        return Cell(NOT_GIVEN, "", "left to the method")
    try:
        return shown(float(value))  # the table holds numbers as text
    except ValueError:
        return shown(value)
