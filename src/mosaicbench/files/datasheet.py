"""The datasheet of a dataset, a row per modality, as ``prepare`` keeps it in the dataset's file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

DATASHEET = "datasheet"  # its key beside "warnings" in what a dataset says about itself
COLUMNS = [
    "dataset",
    "modality",
    "kind",
    "values",
    "source",
    "cells",
    "features",
    "linked_features",
    "depth",
    "features_left_out",
    # From here on of the whole dataset.
    "cells_of_dataset",
    "cells_in_all",
    "measured_in",
    "cells_left_out",
    "cell_types",
    "cells_by_type",
    "labels",
    "batches",
    "cells_by_batch",
    "links",
]
WARNING_COLUMNS = ["dataset", "warning"]
FEWEST_QUERY = 50  # cells; scores of fewer are mostly noise
WIDEST = 160  # characters of cell types and of batches in the terminal


def read_datasheet(path: str | Path) -> tuple[list[dict], list[str]]:
    """Return the rows, keys `COLUMNS`, and the warnings of a dataset, without reading its cells.

    Raises
    ------
    errors.ContractError
        When the file is no dataset of ``prepare``.
    """
    from mosaicbench.files._h5 import KEY, read_h5

    def texts(file: str | Path) -> list[str]:
        import h5py

        with h5py.File(file) as opened:
            about = opened["uns"][KEY]
            return [about[key].asstr()[()] for key in (DATASHEET, "warnings")]

    rows, warnings = map(json.loads, read_h5(path, texts))
    return rows, warnings


def has_no_pairs(rows: list[dict]) -> bool:
    """Return whether no cell of the dataset of these rows has two modalities."""
    return sum(row["cells"] for row in rows) == rows[0]["cells_of_dataset"]


def lines(rows: list[dict], warnings: Iterable[str]) -> list[str]:
    """Return rows and warnings for the terminal, each line with the dataset's name."""
    whole = rows[0]
    found = [f"{whole['cells_of_dataset']:,} cells, measured in {whole['measured_in']}"]
    for row in rows:
        depth, source, left_out = row["depth"], row["source"], row["features_left_out"]
        values = row["values"] if depth is None else f"median {depth:,.0f} counts per cell"
        line = f"{row['modality']}: {row['cells']:,} cells, {row['features']:,} features, {values}"
        found.append(line + (f", from {source}" if source else ""))
        if left_out:
            found.append(f"{row['modality']}: features left out: {left_out}")
    labels = f" ({whole['labels']})" if whole["labels"] else ""
    found.append(
        f"{whole['cell_types'] or 'no'} cell types{labels}: {_short(whole['cells_by_type'])}"
    )
    found.append(f"batches ({whole['batches']}): {_short(whole['cells_by_batch'])}")
    if whole["cells_left_out"]:
        found.append(f"cells left out: {whole['cells_left_out']}")
    if whole["links"]:
        found.append(f"links: {whole['links']}")
    found += [f"warning: {text}" for text in warnings]
    return [f"{whole['dataset']}: {line}" for line in found]


def counted(numbers: Mapping[str, int]) -> str:
    """Return "B cell: 120; T cell: 80", without what is 0."""
    return "; ".join(f"{name}: {number}" for name, number in numbers.items() if number)


def _short(text: str) -> str:
    return textwrap.shorten(text, WIDEST, placeholder=" …")
