"""``config.json``: the config of a benchmark with every default, as recorded beside its results."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.files.identity import read_json


def read_config(path: str | Path) -> dict:
    """Read the recorded config of a benchmark.

    Raises
    ------
    ContractError
        When it is absent or damaged.
    """
    return read_json(path, "run the benchmark to its end first", "run the workflow again")
