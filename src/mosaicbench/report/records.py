"""The records of a benchmark's runs: what was used, and where."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mosaicbench.files.runs import read_record
from mosaicbench.layout import Results
from mosaicbench.report.tables import RUN


def read_records(results: Results, runs: pd.DataFrame) -> list[dict]:
    """Return the ``run.json`` of every run and seed of a table, in its order.

    Parameters
    ----------
    results
        The results folder.
    runs
        Columns ``tables.RUN_COLUMNS``; runs that do not apply have no record.

    Raises
    ------
    files.ContractError
        When one is absent or broken.
    """
    made = runs[runs["status"] != "not_applicable"]
    places = made[[*RUN, "seed"]].itertuples(index=False, name=None)
    return [read_record(f"{results.fit(*place)}/run.json") for place in places]


def distinct(values: Iterable[str], *, none: str) -> str:
    """Return the value that all share, else each with how many fits have it; `none` where there is no value."""
    counts = pd.Series(list(values), dtype=object).value_counts(sort=False)
    if len(counts) > 1:
        return ", ".join(f"{value} ({count} fit{'s' if count > 1 else ''})" for value, count in counts.items())
    return counts.index[0] if len(counts) else none
