"""Tab-separated tables; a missing number is NA."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files.atomic import atomic


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tab-separated table; a missing number is written NA."""
    with atomic(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA")


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a tab-separated table and check that it has exactly `columns`, if given."""
    try:
        table = pd.read_csv(path, sep="\t", na_values=["NA"], keep_default_na=False)
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file") from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: not a readable tab-separated table ({error})") from error
    if columns is not None and list(table.columns) != columns:
        raise ContractError(f"{path}: expected the columns {columns}, found {list(table.columns)}")
    return table
