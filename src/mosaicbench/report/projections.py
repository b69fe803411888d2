"""The tables of cells that `layout` writes for `draw`: chosen runs, first seed, a folder a split."""

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
MEASURED = "measured"  # the run and direction of measured values


def read_projection(
    folder: str | Path, name: str, split: dict[str, str] | None = None
) -> pd.DataFrame:
    """Read one table of a split; refuse one of another than the expected `split`, or a changed one."""
    path = Path(folder, f"{name}.tsv")
    check_contents(Path(folder), [name], "layout")
    table = read_table(path)
    for key, expected in (split or {}).items():
        for value in table[key].unique():
            check_place(path, {key: value}, {key: expected})
    return table
