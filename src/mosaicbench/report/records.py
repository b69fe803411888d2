"""The records of a benchmark's runs and splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from mosaicbench.files.runs import read_record
from mosaicbench.files.tables import read_table
from mosaicbench.report.tables.text import distinct
from mosaicbench.stats.common import RUN, SPLIT
from mosaicbench.workflow.layout import Results


def read_records(results: Results, runs: pd.DataFrame) -> list[dict]:
    """Return the ``run.json`` of every run and seed of a table, in its order.

    Runs that do not apply have no record.

    Raises
    ------
    errors.ContractError
        If a record is absent, broken or of another run or seed.
    """
    fits = runs.loc[runs["status"] != "not_applicable", [*RUN, "seed"]]
    return [
        read_record(f"{results.fit(**place)}/run.json", place) for place in fits.to_dict("records")
    ]


def day_of_last_fit(results: Results, runs: pd.DataFrame) -> str:
    """Return the day, such as "2026-11-26", on which the newest ``run.json`` was written."""
    fits = runs.loc[runs["status"] != "not_applicable", [*RUN, "seed"]].to_dict("records")
    written = [Path(results.fit(**place), "run.json").stat().st_mtime for place in fits]
    return date.fromtimestamp(max(written)).isoformat() if written else ""


def read_audits(results: Results, runs: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return (dataset, scenario) -> the ``audit.tsv`` of its first seed, for splits with one."""
    first = runs.dropna(subset="seed").groupby(SPLIT, sort=False)["seed"].min()
    paths = {split: Path(results.split(*split, seed), "audit.tsv") for split, seed in first.items()}
    return {split: read_table(path) for split, path in paths.items() if path.is_file()}


def circumstances(records: Sequence[Mapping]) -> dict[str, str]:
    """Return commit, device, machine and versions of a benchmark's fits."""
    values: dict[str, list[str]] = {}
    for record in records:
        facts = {"commit": record["git_commit"]} | {
            key: record[key] for key in ("device", "threads")
        }
        for part in ("hardware", "arithmetic", "versions"):
            facts |= record.get(part) or {}
        for name, value in facts.items():
            values.setdefault(name, []).append(str(value))
    return {name: distinct(texts) for name, texts in values.items()}
