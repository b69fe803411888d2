"""Tab-separated tables; a missing number is NA. A name stays text: a cell type may be NA or 007."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files.atomic import atomic
from mosaicbench.files.identity import digest_of

CONTENTS_COLUMNS = ["table", "rows", "sha256"]
# Columns of text. As a number, a digest such as "67e2678895…" ends pandas' parser with a
# segmentation fault.
TEXTS = [
    "dataset",
    "scenario",
    "run",
    "method",
    "metric",
    "direction",
    "source",
    "normalization",
    "modality",
    "cell",
    "cell_type",
    "batch",
    "feature",
    "transferred",
    "marker_of",
    "against",
    "better",
    "panel",
    "line",
    "sha256",
    "digest",
]


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tab-separated table; a missing number becomes NA, a missing name an empty field."""
    names = {
        name: table[name].astype(object).where(table[name].notna(), "")
        for name in TEXTS
        if name in table and table[name].isna().any()
    }
    table = table.assign(**names)
    with atomic(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA")
        if b"\r" in temporary.read_bytes():  # Python's writer does not quote it in a name
            table.to_csv(
                temporary, sep="\t", index=False, na_rep="NA", quoting=csv.QUOTE_NONNUMERIC
            )


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write tables as ``NAME.tsv``, and last ``contents.tsv`` with the rows and digest of each.

    Readers compare each table with its digest.
    """
    paths = {name: folder / f"{name}.tsv" for name in tables}
    for name, table in tables.items():
        write_table(paths[name], table)
    rows = [(path.name, len(tables[name]), digest_of(path)) for name, path in paths.items()]
    write_table(folder / "contents.tsv", pd.DataFrame(rows, columns=CONTENTS_COLUMNS))


def check_contents(folder: Path, names: Iterable[str], writer: str) -> None:
    """Refuse tables that differ from what :func:`write_tables` wrote; `writer` is its command."""
    digests = read_table(folder / "contents.tsv", CONTENTS_COLUMNS).set_index("table")["sha256"]
    for name in names:
        path = folder / f"{name}.tsv"
        if not path.is_file():
            raise ContractError(f"{path}: no such file; run again")
        if digest_of(path) != digests.get(path.name):
            raise ContractError(
                f"{path}: is not as `mosaicbench {writer}` wrote it: cut short, changed, or of "
                "another run; delete it and run again"
            )


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a tab-separated table and check that it has exactly `columns`, if given."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            # By pandas, the header takes as long as a small table.
            header = next(csv.reader(stream, delimiter="\t"), [])
        missing = {column: ["NA"] for column in header if column not in TEXTS}
        kinds = {column: object for column in header if column in TEXTS}
        table = pd.read_csv(path, sep="\t", dtype=kinds, na_values=missing, keep_default_na=False)
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file") from error
    except (ValueError, csv.Error) as error:
        raise ContractError(f"{path}: not a readable tab-separated table ({error})") from error
    if columns is not None and list(table.columns) != columns:
        raise ContractError(f"{path}: expected the columns {columns}, found {list(table.columns)}")
    return table
