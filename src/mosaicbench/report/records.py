"""The records of a benchmark's runs and splits."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from mosaicbench.files.runs import read_record
from mosaicbench.files.tables import read_table
from mosaicbench.stats.common import RUN, SPLIT
from mosaicbench.workflow.layout import Results


def _files(results: Results, runs: pd.DataFrame) -> dict[Path, dict]:
    fits = runs.loc[runs["status"] != "not_applicable", [*RUN, "seed"]].to_dict("records")
    return {results.fit(**place) / "run.json": place for place in fits}


def read_records(results: Results, runs: pd.DataFrame) -> list[dict]:
    """Return the ``run.json`` of every run and seed of a table that applies, in its order."""
    return [read_record(file, place) for file, place in _files(results, runs).items()]


def day_of_last_fit(results: Results, runs: pd.DataFrame) -> str:
    """Return the day, such as "2026-11-26", on which the newest ``run.json`` was written."""
    written = [file.stat().st_mtime for file in _files(results, runs)]
    return date.fromtimestamp(max(written)).isoformat() if written else ""


def read_audits(results: Results, runs: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return (dataset, scenario) -> the ``audit.tsv`` of its first seed, for splits with one."""
    first = runs.dropna(subset="seed").groupby(SPLIT, sort=False)["seed"].min()
    paths = {split: results.split(*split, seed) / "audit.tsv" for split, seed in first.items()}
    return {split: read_table(path) for split, path in paths.items() if path.is_file()}
