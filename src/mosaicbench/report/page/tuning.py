"""The section on tuning: what it gained, the settings that were found, and defaults that lose everywhere."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mosaicbench.report.page.cells import number_cell, run_cell, three_decimals, with_arrow
from mosaicbench.report.page.html_tables import Cell, Column, Grid, grid
from mosaicbench.report.theme import Theme
from mosaicbench.statistics.common import ALL
from mosaicbench.statistics.tuning import AGREE, shown

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
    hours = trials["cpu_seconds"].sum() / 3600
    objective = asked.get("objective", "mean")
    judged = (
        "the mean of the scaled scores"
        if objective == "mean"
        else theme.label("metrics", objective)
    )
    failed = int(trials["objective"].isna().sum())
    told = f"{len(searches)} searches of at most {int(searches.size().max())} trials each, {hours:.2g} CPU hours of fits, "
    told += f"judged by {judged} on {asked.get('share', 0.2):.0%} of the train cells"
    told += f"; {failed} trials failed or have no score" if failed else ""
    gained = tables["tuning_gains"]
    counts = gained[gained["dataset"] != ALL]["better"].value_counts()
    verdict = ", ".join(f"{words} {int(counts.get(key, 0))}" for key, words in BETTER.items())
    return {
        "told": told + "." + _nesting(asked, tables["runs"]),
        "verdict": f"Of {int(counts.sum())} comparisons of one score on one dataset, better beyond the seeds: {verdict}.",
        "gains": grid(
            "What tuning gained",
            _gain_columns(),
            [_gain(row, theme) for row in gained.to_dict("records")],
        ),
        "settings": _settings(tables["tuning_settings"], theme),
        "proposals": _proposals(tables["tuning_proposals"], theme),
    }


def _nesting(asked: Mapping, runs: pd.DataFrame) -> str:
    """Say what cells of other seeds have to do with the search, where it is not repeated for each."""
    if asked.get("per_seed") or runs["seed"].nunique() < 2:
        return ""
    return (
        " They read the train cells of the first seed, among which are most query cells of the other seeds: tuned scores may be"
        " a little flattered there (per_seed: true searches for each seed)."
    )


def _gain_columns() -> list[Column | str]:
    columns = [
        Column("Run", choices=True),
        Column("Dataset", choices=True),
        Column("Scenario", choices=True),
    ]
    columns += [Column("Score", choices=True), "Defaults", "Tuned"]
    columns += [Column("Difference", about="tuned less defaults, mean over seeds", descending=True)]
    columns += [
        Column("95 % interval", about="paired t over seeds; over all datasets, of these datasets"),
        Column("Better", choices=True),
    ]
    return [*columns, "Seeds"]


def _gain(row: dict, theme: Theme) -> list[Cell | str]:
    ends = [three_decimals(row[end]) for end in ("low", "high")]
    why = row["note"] if isinstance(row["note"], str) else ""
    return [
        run_cell(row["against"], theme),
        "all datasets" if row["dataset"] == ALL else theme.label("datasets", row["dataset"]),
        theme.label("scenarios", row["scenario"]),
        with_arrow(row["metric"], theme),
        number_cell(row["default"]),
        number_cell(row["tuned"]),
        number_cell(row["effect"], f"{row['effect']:+z.3f}"),
        Cell(" to ".join(ends), sort=row["low"])
        if pd.notna(row["low"])
        else number_cell(row["low"], why=why),
        BETTER[row["better"]],
        str(int(row["seeds"])),
    ]


def _settings(table: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return a row per run and hyperparameter, a column per search."""
    searches = table[["dataset", "seed"]].drop_duplicates().sort_values("seed", kind="stable")
    several = searches["seed"].nunique() > 1
    places = list(searches.itertuples(index=False, name=None))
    heads = [
        theme.label("datasets", dataset) + (f", seed {seed}" if several else "")
        for dataset, seed in places
    ]
    rows = []
    for (scenario, run, name), group in table.groupby(
        ["scenario", "run", "hyperparameter"], sort=False
    ):
        found = {(row["dataset"], row["seed"]): row["found"] for row in group.to_dict("records")}
        agree = group["agree"].iloc[0]
        cells = [_value(found.get(place)) for place in places]
        agreement = (
            AGREE[agree if isinstance(agree, str) else ""] if len(group) > 1 else "one dataset"
        )
        row = [
            run_cell(run, theme),
            theme.label("scenarios", scenario),
            name,
            _value(group["default"].iloc[0]),
            *cells,
            agreement,
        ]
        rows.append(row)
    columns = [
        Column("Run", choices=True),
        Column("Scenario", choices=True),
        Column("Hyperparameter", choices=True),
        "Default",
    ]
    return grid(
        "Settings that were found", [*columns, *heads, Column("Agreement", choices=True)], rows
    )


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


def _proposals(table: pd.DataFrame, theme: Theme) -> Grid | None:
    rows = [
        [
            run_cell(row["against"], theme),
            theme.label("scenarios", row["scenario"]),
            row["settings"],
            number_cell(row["mean_gain"], f"{row['mean_gain']:+.3f}"),
            number_cell(row["least_gain"], f"{row['least_gain']:+.3f}"),
            str(row["datasets"]),
        ]
        for row in table.to_dict("records")
    ]
    columns = [Column("Run"), Column("Scenario", choices=True), Column("Settings", words=True)]
    columns += [
        Column("Mean gain", about="of the objective, on inner query cells", descending=True),
        "Least gain",
        "Datasets",
    ]
    return grid("Settings that beat the defaults on every dataset", columns, rows)
