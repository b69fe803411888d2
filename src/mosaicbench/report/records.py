"""The records of a benchmark's runs: what was used, and where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from mosaicbench.files.place import check_place
from mosaicbench.files.runs import read_record
from mosaicbench.files.tables import read_audit
from mosaicbench.layout import Results
from mosaicbench.report.tables.text import NOT_GIVEN, distinct
from mosaicbench.statistics.common import RUN, VIEW

FACT_COLUMNS = ["what", "a", "b"]


def read_records(results: Results, runs: pd.DataFrame) -> list[dict]:
    """Return the ``run.json`` of every run and seed of a table, in its order.

    Parameters
    ----------
    results
        The results folder.
    runs
        Columns ``contract.RUN_COLUMNS``; runs that do not apply have no record.

    Raises
    ------
    errors.ContractError
        When one is absent or broken, or is of another run or seed.
    """
    fits = runs.loc[runs["status"] != "not_applicable", [*RUN, "seed"]]
    return [
        read_record(f"{results.fit(**place)}/run.json", place) for place in fits.to_dict("records")
    ]


def read_audits(results: Results, runs: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return (dataset, scenario) -> the ``audit.tsv`` of the view of its first seed, of those views that have one."""
    first = runs.dropna(subset="seed").groupby(VIEW, sort=False)["seed"].min()
    paths = {view: Path(results.view(*view, seed), "audit.tsv") for view, seed in first.items()}
    audits = {view: read_audit(path) for view, path in paths.items() if path.is_file()}
    for view, audit in audits.items():
        for key, expected in zip(VIEW, view, strict=True):
            for name in audit[key].unique() if key in audit else ():
                check_place(paths[view], {key: name}, {key: expected})
    return audits


def circumstances(records: Sequence[Mapping]) -> dict[str, str]:
    """Return what the fits of a benchmark were made with: commit, device, machine and versions."""
    values: dict[str, list[str]] = {}
    for record in records:
        facts = {
            "commit": record["git_commit"],
            "device": record["device"],
            "threads": record["threads"],
        }
        for part in ("hardware", "arithmetic", "versions"):
            facts |= record.get(part) or {}
        for name, value in facts.items():
            values.setdefault(name, []).append(str(value))
    return {name: distinct(texts) for name, texts in values.items()}


def differing_facts(a: Mapping, b: Mapping) -> pd.DataFrame:
    """Return one row per value that two nested mappings do not share; its place is written ``runs.mvae.beta``.

    Returns
    -------
    pandas.DataFrame
        Columns ``FACT_COLUMNS``; values as JSON, "–" where there is none.
    """
    flat_a, flat_b = dict(_flat(a)), dict(_flat(b))
    places = [
        place
        for place in dict.fromkeys([*flat_a, *flat_b])
        if flat_a.get(place) != flat_b.get(place)
    ]
    rows = [[place, flat_a.get(place, NOT_GIVEN), flat_b.get(place, NOT_GIVEN)] for place in places]
    return pd.DataFrame(rows, columns=FACT_COLUMNS)


def _flat(value: object, place: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, entry in value.items():
            yield from _flat(entry, f"{place}.{name}" if place else str(name))
    else:
        yield place, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
