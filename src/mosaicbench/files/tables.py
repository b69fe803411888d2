"""Tab-separated tables; a missing number is NA. Names are text as they stand, so a cell type may be called NA, 007 or 1e5."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from mosaicbench.errors import ContractError
from mosaicbench.files.atomic import atomic, write_text
from mosaicbench.files.identity import check_digest, digest_of

END_OF_AUDIT = "end"  # the role of its last row
CONTENTS_COLUMNS = ["table", "rows", "sha256"]
TEXTS = (
    "dataset",
    "scenario",
    "run",
    "method",
    "metric",
    "direction",
    "source",
    "normalization",
    "modality",
)  # columns of text
TEXTS += (
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
)
TEXTS += (
    "sha256",
    "digest",
)  # as numbers, "67e2678895…" ends pandas' parser with a segmentation fault


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tab-separated table; a missing number is written NA, a missing name as nothing."""
    names = {
        name: table[name].astype(object)
        for name in TEXTS
        if name in table and table[name].isna().any()
    }
    table = table.assign(
        **{name: column.where(column.notna(), "") for name, column in names.items()}
    )
    with atomic(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA")
        if (
            b"\r" in temporary.read_bytes()
        ):  # in a name, where the writer of Python takes it for no end of a line
            table.to_csv(
                temporary, sep="\t", index=False, na_rep="NA", quoting=csv.QUOTE_NONNUMERIC
            )


def write_audit(path: str | Path, table: pd.DataFrame) -> None:
    """Write the audit of a split, and as its last row the digest of all rows before."""
    text = table.to_csv(sep="\t", index=False, na_rep="NA", lineterminator="\n")
    counted = {
        "modality": "-",
        "role": END_OF_AUDIT,
        "what": f"{len(table)} rows",
        "cells": 0,
        "train_cells": 0,
        "query_cells": 0,
    }
    end = table.iloc[:1].assign(**counted, digest=_short_digest(text.encode()))
    write_text(path, text + end.to_csv(sep="\t", index=False, header=False, lineterminator="\n"))


def read_audit(path: str | Path) -> pd.DataFrame:
    """Read the audit of a split without its last row.

    Raises
    ------
    ContractError
        When the rows are not those that the last one was written for.
    """
    table, content = read_table(path), Path(path).read_bytes()
    end = content.rfind(b"\n", 0, len(content) - 1) + 1
    if (
        table.empty
        or table["role"].iloc[-1] != END_OF_AUDIT
        or str(table["digest"].iloc[-1]) != _short_digest(content[:end])
    ):
        raise ContractError(
            f"{path}: is not as `mosaicbench split` wrote it: cut short or changed; delete it and run again"
        )
    return table.iloc[:-1]


def _short_digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def write_tables(
    folder: Path, tables: Mapping[str, pd.DataFrame], contents: str = "contents"
) -> None:
    """Write tables as ``NAME.tsv``, and last ``{contents}.tsv``, which says the rows and the digest of each.

    Readers hold each table to it: one that was cut at the end of a line has still all columns.
    """
    paths = {name: folder / f"{name}.tsv" for name in tables}
    for name, table in tables.items():
        write_table(paths[name], table)
    rows = [(path.name, len(tables[name]), digest_of(path)) for name, path in paths.items()]
    write_table(folder / f"{contents}.tsv", pd.DataFrame(rows, columns=CONTENTS_COLUMNS))


def check_contents(
    folder: Path, names: Iterable[str], writer: str, contents: str = "contents"
) -> None:
    """Refuse tables of a folder that are not as :func:`write_tables` wrote them.

    Parameters
    ----------
    writer
        The command that wrote them, for the message.

    Raises
    ------
    ContractError
    """
    said = folder / f"{contents}.tsv"
    if not said.is_file():  # of an older version
        return
    digests = read_table(said, CONTENTS_COLUMNS).set_index("table")["sha256"].to_dict()
    for name in names:
        check_digest(folder / f"{name}.tsv", digests, writer)


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a tab-separated table and check that it has exactly `columns`, if given."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            header = next(
                csv.reader(stream, delimiter="\t"), []
            )  # by pandas, it takes as long as a small table
        missing = {column: ["NA"] for column in header if column not in TEXTS}
        kinds = {column: object for column in header if column in TEXTS}
        table = pd.read_csv(path, sep="\t", dtype=kinds, na_values=missing, keep_default_na=False)
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file") from error
    except (
        pd.errors.EmptyDataError,
        pd.errors.ParserError,
        UnicodeDecodeError,
        csv.Error,
    ) as error:
        raise ContractError(f"{path}: not a readable tab-separated table ({error})") from error
    if columns is not None and list(table.columns) != columns:
        raise ContractError(f"{path}: expected the columns {columns}, found {list(table.columns)}")
    return table
