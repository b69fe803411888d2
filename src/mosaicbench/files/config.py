"""``config.json``: the config that a benchmark ran with, every default filled in, as it is recorded beside its results."""

from __future__ import annotations

import json
from pathlib import Path

from mosaicbench.errors import ContractError


def read_config(path: str | Path) -> dict:
    """Read the recorded config of a benchmark.

    Raises
    ------
    ContractError
        When there is none, or it is no config.
    """
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ContractError(
            f"{path}: there is no such file; run the benchmark to its end first"
        ) from error
    except ValueError as error:
        raise ContractError(f"{path}: not valid JSON ({error}); run the workflow again") from error
    if not isinstance(config, dict):
        raise ContractError(
            f"{path}: not a recorded config (no object of JSON); run the workflow again"
        )
    return config
