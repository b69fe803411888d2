"""The user's data: ``.h5mu``, a 10x ``.h5`` or folder, or a file per modality; cells may differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from mudata import MuData

from mosaicbench.data.assemble import assembled
from mosaicbench.data.cells import (
    EMPTY,
    Label,
    check_names,
    check_same_cells,
    column_of_cells,
    file_of_each_cell,
    named_alike,
    without_absent,
    without_empty,
)
from mosaicbench.data.checks import warn
from mosaicbench.data.own_files import FILE, measurement, read_modalities
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
    ignored_in_cell_names: Sequence[
        Literal["case", "blanks", "separators", "ending", "prefix", "order"]
    ] = (),
    same_order: bool = False,
    absent: dict[str, Literal["empty"] | list[Label]] | None = None,
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
    ignored_in_cell_names
        What may differ between the names of one cell in two modalities: "case", "blanks", "separators",
        "ending", "prefix", "order" (of the parts). The first modality's name is kept.
    same_order
        Whether all modalities have the same cells in the same order, whatever their names.
    absent
        modality -> batches, or names of cells, that were not measured in it, whatever its file says;
        or "empty": the cells without a count.
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
        `values` says, a cell is named twice, modalities name the same cells in different ways, or do
        not mean the same cells.
    """
    kinds, features, absent = kinds or {}, features or {}, absent or {}
    keys = {
        "kinds": kinds,
        "values": values,
        "layers": layers or {},
        "modalities": modalities or {},
    }
    own, shared_obs = read_modalities(
        Path() if raw is None else Path(raw), path, union=peaks == "union", **keys
    )
    for key, given in (keys | {"features": features, "absent": absent}).items():
        given = given if isinstance(given, dict) else {}
        if unknown := sorted(set(given) - set(own)):
            raise UserError(f"{key}: no modality {unknown[0]!r}; there are {', '.join(own)}")
    shared_obs = named_alike(own, shared_obs, ignored_in_cell_names, same_order=same_order)
    if not same_order:
        joined = not isinstance(path, dict)
        check_names({modality: cells.obs_names for modality, cells in own.items()}, joined=joined)
    of_modalities = {modality: cells.obs for modality, cells in own.items()}
    check_same_cells(of_modalities, [cell_type, batch, *groups])
    tables = {"the MuData": shared_obs} | {
        f"modality {modality!r}": table for modality, table in of_modalities.items()
    }
    every = [name for cells in own.values() for name in cells.obs_names.astype(str)]
    names = pd.Index(list(dict.fromkeys(every)), dtype=object)
    types = column_of_cells("cell_type", cell_type, tables, cells=names)
    batches = column_of_cells("batch", batch, tables, cells=names)
    if batch is None:
        files = {modality: cells.obs[FILE] for modality, cells in own.items() if FILE in cells.obs}
        batches = file_of_each_cell(names, files)
    elif without := (batches == "").sum():
        warn(
            f"batch: {without} of {len(names)} cells have no {batch!r}; they are in no batch, so they "
            "are never held out with one, and scores of batches leave them out"
        )
    columns = {name: column_of_cells("groups", name, tables, cells=names) for name in groups}
    measured = {}
    for modality in list(own):
        cells = own.pop(modality)  # so that no modality stays in memory longer than it is needed
        cells = without_absent(modality, cells, absent.get(modality, EMPTY), batches)
        measured[modality] = measurement(modality, cells, names, features.get(modality, {}))
        del cells
    left = names
    if absent:
        measured, left = without_empty(measured, absent, names)
    dataset = assembled(
        measured,
        cells=left,
        cell_type=types[left],
        batch=batches[left],
        groups={name: column[left] for name, column in columns.items()},
        labels=None if cell_type is None else f"cell_type: column {cell_type!r}",
    )
    if len(left) < len(names):
        dataset.uns["dropped"] = {"absent from every modality": len(names) - len(left)}
    return dataset
