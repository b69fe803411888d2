"""The user's data: ``.h5mu``, a 10x ``.h5`` or folder, or a file per modality; cells may differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from mudata import MuData

from mosaicbench.data.assemble import assembled
from mosaicbench.data.own_files import (
    FILE,
    column_of_cells,
    file_of_each_cell,
    measurement,
    read_modalities,
)
from mosaicbench.errors import UserError

CARD = {
    "label": "Own files",
    "summary": "the user's .h5mu, 10x .h5 or folder, or one file per modality, without a line of code",
    "labels": "the user's: the obs column that the key cell_type names",
    "licence": "the user's",
    "citation": "the user's",
}


def load(
    raw: Path | None,
    *,
    path: str | dict[str, str | list[str]],
    cell_type: str | None = None,
    batch: str | None = None,
    groups: Sequence[str] = (),
    values: Literal["counts", "lognorm", "rounded_counts"]
    | dict[str, Literal["counts", "lognorm", "rounded_counts"]] = "counts",
    kinds: dict[str, Literal["rna", "atac", "adt", "continuous"]] | None = None,
    modalities: dict[str, str] | None = None,
    layers: dict[str, str] | None = None,
    features: dict[str, dict[Literal["drop", "keep"], Sequence[str]]] | None = None,
    peaks: Literal["common", "union"] = "common",
) -> MuData:
    """Return all cells with the modalities that each has, in the order of the first modality.

    Parameters
    ----------
    raw
        Folder that relative paths start from; None for the working directory.
    path
        One file for all modalities: ``.h5mu``; or a 10x ``.h5``, Matrix Market folder or ``.h5ad`` with
        feature types (or proteins in ``obsm``): genes, peaks and antibodies are rna, atac, adt. Or
        modality -> its own file, of these or a table (``.csv``, ``.tsv``, ``.txt``; the first column names
        the cells). All but folders may be gzipped, AnnData and MuData may be ``.zarr``. A table of
        features x cells is transposed. A modality may have several files, one per batch: their common
        features are kept, and without `batch` the number of a cell's file, from 1 on, is its batch. A
        name in two modalities is one cell.
    cell_type, batch
        Names of obs columns, of the MuData or of any modality. Without them all cells are unlabelled,
        and of one batch.
    groups
        Further obs columns to keep, such as donors, for scenarios that split by them.
    values
        "counts"; "lognorm" for RNA that has no counts; or "rounded_counts", which rounds fractional
        (corrected) counts. One for all, or modality -> one.
    kinds
        modality -> "rna", "atac" or "adt", for modalities with another name; or "continuous", for values
        of any sign that are neither counts nor log-normalised ones.
    modalities
        modality -> its name in an ``.h5mu``, or its feature type; others are not read.
    layers
        modality -> the layer that holds its values, or "X" or "raw.X", instead of the first that fits.
    features
        modality -> "drop" or "keep" -> names or patterns ("*_TotalSeqB"). Hashtags, guides, totals and
        columns of quality control are left out by their names, unless they are kept.
    peaks
        Of several files: the "common" ones, or the "union", in which overlapping peaks are one.

    Raises
    ------
    UserError
        When a file is absent or unreadable, a column or kind is unknown, the values are not what
        `values` says, a cell is named twice, or modalities name the same cells in different ways.
    """
    kinds, features = kinds or {}, features or {}
    keys = {
        "kinds": kinds,
        "values": values,
        "layers": layers or {},
        "modalities": modalities or {},
    }
    own, shared_obs = read_modalities(
        Path() if raw is None else Path(raw), path, union=peaks == "union", **keys
    )
    for key, given in (keys | {"features": features}).items():
        given = given if isinstance(given, dict) else {}
        if unknown := sorted(set(given) - set(own)):
            raise UserError(f"{key}: no modality {unknown[0]!r}; there are {', '.join(own)}")
    tables = {"the MuData": shared_obs} | {
        f"modality {modality!r}": cells.obs for modality, cells in own.items()
    }
    for where, table in tables.items():
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()][0]
            raise UserError(
                f"path: {where} names a cell twice, {twice!r}; make the cell names unique"
            )
    every = [name for cells in own.values() for name in cells.obs_names.astype(str)]
    names = pd.Index(list(dict.fromkeys(every)), dtype=object)
    types = column_of_cells("cell_type", cell_type, tables, cells=names)
    batches = column_of_cells("batch", batch, tables, cells=names)
    if batch is None:
        files = {modality: cells.obs[FILE] for modality, cells in own.items() if FILE in cells.obs}
        batches = file_of_each_cell(names, files)
    columns = {name: column_of_cells("groups", name, tables, cells=names) for name in groups}
    measured = {}
    for modality in list(own):
        cells = own.pop(modality)  # so that no modality stays in memory longer than it is needed
        measured[modality] = measurement(modality, cells, names, features.get(modality, {}))
        del cells
    return assembled(
        measured,
        cells=names,
        cell_type=types,
        batch=batches,
        groups=columns,
        labels=None if cell_type is None else f"cell_type: column {cell_type!r}",
    )
