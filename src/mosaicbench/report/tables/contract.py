"""The tables of ``tabulate`` for figures and the report, and their columns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mosaicbench.catalog.run_metadata import TRAITS
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.files.tables import check_contents, read_table
from mosaicbench.stats.common import RUN, SPLIT, TABLED
from mosaicbench.workflow.layout import TABLES

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
    "cpu_seconds",
    "gpu_seconds",
    "seen",
]
PHASE_COLUMNS = [
    *RUN,
    "method",
    "seed",
    "phase",
    "train_cells",
    "query_cells",
    "seconds",
    "cpu_seconds",
    "gpu_seconds",
    "host_mb",
    "device_mb",
]
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
    "precision",
    "n",
    "split",
    "source",
    "verdict",
    "comparable",
    "run",
    "our_scenario",
    "same_method",
    "ours",
    "ours_sd",
    "ours_seeds",
    "differs",
    "reason",
    "remark",
    "definition",
    "reference",
]
RANKING_COLUMNS = [
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
RECOMMENDATION_COLUMNS = [
    *SPLIT,
    "question",
    "direction",
    "metric",
    "run",
    "signs",
    "mean",
    "low",
    "high",
    "seeds",
    "cells",
    "beaten",
    "beaten_metric",
    "beaten_value",
    "barred",
    "qualified",
    "nearest",
    "nearest_value",
    "tied_with",
    "detectable",
    "detectable_new",
    "seeds_needed",
    "seconds",
    "peak_host_mb",
]
HISTORY_COLUMNS = [*RUN, "seed", "epoch", "loss", "value"]
TRUTHS = {  # table -> its columns of True and False
    "overall": ["complete"],
    "rankings": ["best", "level"],
    "distances": ["differs"],
}


def read_tables(folder: str | Path, names: Iterable[str] = TABLES) -> dict[str, pd.DataFrame]:
    """Read the named tables; refuse one that was changed since ``tabulate`` wrote it."""
    check_contents(Path(folder), names, "tabulate")
    tables = {}
    for name in names:
        table = read_table(Path(folder) / f"{name}.tsv")
        truths = {column: table[column].astype(str) == "True" for column in TRUTHS.get(name, ())}
        tables[name] = CHECKED.get(name, pd.DataFrame)(table.assign(**truths))
    return tables


def of_split(table: pd.DataFrame, dataset: str, scenario: str) -> pd.DataFrame:
    """Return the rows of one dataset and scenario."""
    is_here = (table["dataset"] == dataset) & (table["scenario"] == scenario)
    return table[is_here].reset_index(drop=True)


def checked_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the contract, names as text and values as floats."""
    return _typed(scores[SCORE_COLUMNS], ["value"])


def checked_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the contract: text, floats, and the seed as a nullable integer."""
    numbers = ["seconds", "cpu_seconds", "gpu_seconds", "peak_host_mb", "peak_device_mb"]
    typed = _typed(runs.reindex(columns=RUN_COLUMNS), numbers)
    return typed.assign(seed=pd.to_numeric(typed["seed"]).astype("Int64"))


def checked_recommendations(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the contract, names as text and numbers as floats."""
    numbers = ["mean", "low", "high", "seeds", "cells", "beaten_value", "nearest_value"]
    numbers += ["detectable", "detectable_new", "seeds_needed", "seconds", "peak_host_mb"]
    return _typed(table[RECOMMENDATION_COLUMNS], numbers)


CHECKED = {
    "scores": checked_scores,
    "runs": checked_runs,
    "recommendations": checked_recommendations,
}


def _typed(table: pd.DataFrame, numbers: list[str]) -> pd.DataFrame:
    names = table.drop(columns=[*numbers, "seed"], errors="ignore")
    texts = names.astype(object).where(names.notna(), "").map(str)
    return table.assign(**texts, **table[numbers].apply(pd.to_numeric).astype(float))
