"""What is gathered of the cells of chosen runs, first seed, one folder per split: what `project` owes `draw`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mosaicbench.files.identity import check_place
from mosaicbench.files.tables import check_contents, read_table

WHOSE = ["dataset", "scenario", "run", "seed"]
COLUMNS = {
    "projection": [*WHOSE, "source", "cell", "modality", "cell_type", "batch", "leiden", "x", "y"],
    "markers": [
        *WHOSE,
        "modality",
        "normalization",
        "leiden",
        "cells",
        "cell_type",
        "share",
        "feature",
        "marks",
        "mean",
        "above",
    ],
    "transfers": [*WHOSE, "direction", "cell_type", "transferred", "cells"],
    "imputed_values": [
        *WHOSE,
        "direction",
        "normalization",
        "feature",
        "place",
        "r",
        "cell",
        "measured",
        "imputed",
    ],
    "imputed_layout": [*WHOSE, "modality", "direction", "cell", "cell_type", "x", "y"],
    "virtual_cells": [*WHOSE, "origin", "cell", "cell_type", "x", "y"],
    "virtual_markers": [
        *WHOSE,
        "modality",
        "marker_of",
        "feature",
        "cell_type",
        "real",
        "generated",
    ],
    "virtual_realism": [*WHOSE, "modality", "realism_auc"],
}
VIRTUAL = ("virtual_cells", "virtual_markers", "virtual_realism")
NUMBERS = {
    "seed",
    "leiden",
    "x",
    "y",
    "cells",
    "share",
    "marks",
    "mean",
    "above",
    "r",
    "measured",
    "imputed",
    "real",
    "generated",
    "realism_auc",
}
MEASURED = "measured"  # in the place of a run and a direction: what was measured


def read_projection(
    folder: str | Path, name: str, split: dict[str, str] | None = None
) -> pd.DataFrame:
    """Read one table of a split, with names as text; `split` says its dataset and scenario, where they are known.

    Raises
    ------
    files.ContractError
        When it is absent, has other columns, is of another split, or is not as it was written.
    """
    check_contents(Path(folder), [name], "layout")
    table = read_table(Path(folder) / f"{name}.tsv", COLUMNS[name])
    for key, expected in (split or {}).items():
        for found in table[key].unique():
            check_place(Path(folder) / f"{name}.tsv", {key: found}, {key: expected})
    named = [column for column in table if column not in NUMBERS]
    return table.assign(
        **{c: table[c].astype(object).where(table[c].notna(), "").map(str) for c in named}
    )
