"""What ``tabulate`` leaves for figures and the report: which tables, with which columns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mosaicbench.catalog.run_metadata import TRAITS
from mosaicbench.files.scores import FEATURE_COLUMNS, SCORE_COLUMNS
from mosaicbench.files.tables import check_contents, read_table
from mosaicbench.report.recommendation import COLUMNS as RECOMMENDATION_COLUMNS
from mosaicbench.report.recommendation import checked_recommendations
from mosaicbench.stats.common import RUN, SPLIT, TABLED
from mosaicbench.stats.distances import DISTANCE_COLUMNS
from mosaicbench.stats.means import COMPARISON_COLUMNS, HEADLINE_COLUMNS
from mosaicbench.stats.overall import OVERALL_COLUMNS
from mosaicbench.stats.paired import PAIRED_COLUMNS
from mosaicbench.stats.ranks import RANK_COLUMNS
from mosaicbench.stats.sanity import CHECK_COLUMNS
from mosaicbench.stats.sweep import SWEEP_COLUMNS
from mosaicbench.stats.tuning import (
    GAIN_COLUMNS,
    PROPOSAL_COLUMNS,
    SETTING_COLUMNS,
    TRIAL_COLUMNS,
)

RUN_COLUMNS = [
    *RUN,
    "method",
    "seed",
    "status",
    "message",
    "seconds",
    "peak_host_mb",
    "peak_device_mb",
    "device",
]
RUN_COLUMNS += ["cpu_seconds", "gpu_seconds"]
PHASE_COLUMNS = [*RUN, "method", "seed", "phase", "train_cells", "query_cells"]
PHASE_COLUMNS += ["seconds", "cpu_seconds", "gpu_seconds", "host_mb", "device_mb"]
OVERVIEW_COLUMNS = [*RUN, "method", "kind", *TRAITS, "seeds", "status", *TABLED]
PUBLISHED_COLUMNS = [
    "dataset",
    "condition",
    "scenario",
    "method",
    "labels",
    "metric",
    "direction",
    "value",
    "value_to",
    "sd",
]
PUBLISHED_COLUMNS += ["precision", "n", "split", "source", "verdict"]
PUBLISHED_COLUMNS += [
    "comparable",
    "run",
    "our_scenario",
    "same_method",
    "ours",
    "ours_sd",
    "ours_seeds",
]
PUBLISHED_COLUMNS += ["differs", "reason", "remark", "definition", "reference"]
STANDING_COLUMNS = [
    *RUN,
    "method",
    "kind",
    *TRAITS,
    "status",
    "group",
    "metric",
    "mean",
    "sd",
    "low",
    "high",
    "interval",
]
STANDING_COLUMNS += [
    "seeds",
    "of_seeds",
    "rank",
    "rank_low",
    "rank_high",
    "ranked",
    "best",
    "level",
    "shown",
]
HISTORY_COLUMNS = [*RUN, "seed", "epoch", "loss", "value"]
TABLES = {  # in `tabulate`'s folder, beside expenses, phases and scaling, which nothing reads
    "scores": SCORE_COLUMNS,
    "features": FEATURE_COLUMNS,
    "runs": RUN_COLUMNS,
    "comparison": COMPARISON_COLUMNS,
    "headline": HEADLINE_COLUMNS,
    "overview": OVERVIEW_COLUMNS,
    "paired_tests": PAIRED_COLUMNS,
    "ranks": RANK_COLUMNS,
    "overall": [*OVERALL_COLUMNS, "may_win"],
    "sanity_checks": CHECK_COLUMNS,
    "distances": DISTANCE_COLUMNS,
    "published": PUBLISHED_COLUMNS,
    "history": HISTORY_COLUMNS,
    "rankings": STANDING_COLUMNS,
    "sweep": SWEEP_COLUMNS,
    "recommendations": RECOMMENDATION_COLUMNS,
    "trials": TRIAL_COLUMNS,
    "tuning_gains": GAIN_COLUMNS,
    "tuning_settings": SETTING_COLUMNS,
    "tuning_proposals": PROPOSAL_COLUMNS,
}


def read_tables(
    folder: str | Path, names: Iterable[str] = tuple(TABLES)
) -> dict[str, pd.DataFrame]:
    """Read those of :data:`TABLES` that are asked for, by name.

    Raises
    ------
    errors.ContractError
        When one is absent, has other columns, or is not as ``tabulate`` wrote it.
    """
    check_contents(Path(folder), names, "tabulate")
    checked = {
        "scores": checked_scores,
        "runs": checked_runs,
        "recommendations": checked_recommendations,
        "overall": lambda table: _with_truths(table, "complete", "may_win"),
        "rankings": lambda table: _with_truths(table, "best", "level"),
        "distances": lambda table: _with_truths(table, "differs"),
    }
    tables = {name: read_table(Path(folder) / f"{name}.tsv", TABLES[name]) for name in names}
    return tables | {
        name: checked[name](table) for name, table in tables.items() if name in checked
    }


def of_split(table: pd.DataFrame, dataset: str, scenario: str) -> pd.DataFrame:
    """Return the rows of one dataset and scenario."""
    return table[(table["dataset"] == dataset) & (table["scenario"] == scenario)].reset_index(
        drop=True
    )


def checked_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the contract, with names as text and values as floats."""
    return _typed(
        scores, [*SPLIT, "run", "metric", "direction", "normalization", "status"], ["value"]
    )[SCORE_COLUMNS]


def checked_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with names as text, measurements as floats, and the seed a nullable integer."""
    numbers = ["seconds", "cpu_seconds", "gpu_seconds", "peak_host_mb", "peak_device_mb"]
    typed = _typed(
        runs.reindex(columns=RUN_COLUMNS), [*RUN, "method", "status", "message", "device"], numbers
    )
    return typed.assign(seed=pd.to_numeric(typed["seed"]).astype("Int64"))[RUN_COLUMNS]


def _with_truths(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return table.assign(**{column: table[column].astype(str) == "True" for column in columns})


def _typed(table: pd.DataFrame, names: list[str], numbers: list[str]) -> pd.DataFrame:
    text = {
        column: table[column].astype(object).where(table[column].notna(), "").map(str)
        for column in names
    }
    return table.assign(
        **text, **{column: pd.to_numeric(table[column]).astype(float) for column in numbers}
    )
