"""The section on tuning: what it gained, the settings that were found, and defaults that lose everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd

from mosaicbench.report.page.cells import (
    Columns,
    label_columns,
    number_cell,
    number_column,
    run_column,
    text_column,
    text_of,
    three_decimals,
    with_arrow,
)
from mosaicbench.report.page.html_tables import Cell, Column, Grid, table
from mosaicbench.report.page.render import said
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import ALL
from mosaicbench.stats.tuning import AGREE, shown

BETTER = {"tuned": "tuned", "default": "defaults", "neither": "not told apart"}


def tuning(tables: Mapping[str, pd.DataFrame], config: Mapping, theme: Theme) -> dict | None:
    """Return the parts of the section; None where nothing was tuned.

    Parameters
    ----------
    tables
        As ``contract.read_tables`` gives them.
    config
        The recorded config.
    """
    trials = tables["trials"]
    if not len(trials):
        return None
    asked = config.get("tuning") or {}
    searches = trials.groupby(["dataset", "scenario", "run", "seed"], sort=False)
    gained = tables["tuning_gains"]
    counts = gained.loc[gained["dataset"] != ALL, "better"].value_counts()
    told = said(
        "searches",
        count=len(searches),
        most=searches.size().max(),
        hours=trials["cpu_seconds"].sum() / 3600,
        objective=asked.get("objective", "mean"),
        fraction=asked.get("fraction", 0.2),
        failed=trials["objective"].isna().sum(),
        of_first_seed=not asked.get("per_seed") and tables["runs"]["seed"].nunique() > 1,
        theme=theme,
    )
    return {
        "told": told,
        "verdict": said("gained", counts=counts, better=BETTER),
        "gains": table("What tuning gained", _gain_columns(theme), gained),
        "settings": _settings(tables["tuning_settings"], theme),
        "proposals": _proposals(tables["tuning_proposals"], theme),
    }


def _gain_columns(theme: Theme) -> Columns:
    def interval(row: dict) -> Cell:
        ends = [three_decimals(row[end]) for end in ("low", "high")]
        return number_cell(row["low"], " to ".join(ends), why=text_of(row, "note"))

    difference = {"about": "tuned less defaults, mean over seeds", "descending": True}
    about = "paired t over seeds; over all datasets, of these datasets"
    return [
        *run_column(theme, "against", choices=True),
        (
            "Dataset",
            lambda row: (
                "all datasets" if row["dataset"] == ALL else theme.label("datasets", row["dataset"])
            ),
        ),
        *label_columns(theme, scenario="scenarios"),
        ("Score", lambda row: with_arrow(row["metric"], theme)),
        *number_column("Defaults", "default"),
        *number_column("Tuned", "tuned"),
        *number_column("Difference", "effect", "+z.3f", **difference),
        (Column("95 % interval", about=about), interval),
        (Column("Better", choices=True), lambda row: BETTER[row["better"]]),
        ("Seeds", lambda row: str(int(row["seeds"]))),
    ]


def _settings(found: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return a row per run and hyperparameter, a column per search."""
    searches = found[["dataset", "seed"]].drop_duplicates().sort_values("seed", kind="stable")
    several = searches["seed"].nunique() > 1
    settings = found.groupby(["scenario", "run", "hyperparameter"], sort=False)
    rows = settings[["default", "agree"]].first().assign(places=settings.size()).reset_index()
    values = found.set_index(["scenario", "run", "hyperparameter", "dataset", "seed"])["found"]

    def value(row: dict, *, place: tuple) -> Cell | str:
        return _value(values.get((row["scenario"], row["run"], row["hyperparameter"], *place)))

    columns = run_column(theme, choices=True) + label_columns(theme, scenario="scenarios")
    columns += text_column("Hyperparameter", "hyperparameter")
    columns += [("Default", lambda row: _value(row["default"]))]
    for dataset, seed in searches.itertuples(index=False, name=None):
        head = theme.label("datasets", dataset) + (f", seed {seed}" if several else "")
        columns.append((head, partial(value, place=(dataset, seed))))
    agreement = "Agreement"
    columns += [
        (
            agreement,
            lambda row: AGREE[text_of(row, "agree")] if row["places"] > 1 else "one dataset",
        )
    ]
    return table("Settings that were found", columns, rows)


def _value(value: object) -> Cell | str:
    return (
        number_cell(float("nan"), why="left to the method")
        if value is None or pd.isna(value)
        else shown(_number(value))
    )


def _number(value: object) -> object:
    """Return a number that a table holds as text, else the value itself."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _proposals(found: pd.DataFrame, theme: Theme) -> Grid | None:
    mean = {"about": "of the objective, on inner query cells", "descending": True}
    columns = [
        *run_column(theme, "against"),
        *label_columns(theme, scenario="scenarios"),
        *text_column("Settings", "settings"),
        *number_column("Mean gain", "mean_gain", "+.3f", **mean),
        *number_column("Least gain", "least_gain", "+.3f"),
        ("Datasets", lambda row: str(row["datasets"])),
    ]
    return table("Settings that beat the defaults on every dataset", columns, found)
