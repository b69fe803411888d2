"""Data of one's own: an ``.h5mu``, a 10x ``.h5`` or folder, or one file per modality; modalities may have different cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data import readers
from mosaicbench.data.annotated import annotated
from mosaicbench.data.assemble import ANNOTATION, BLOCK, Measurement, assembled
from mosaicbench.data.batches import FILE, file_of_each_cell, one_of_batches
from mosaicbench.data.checks import check_labels, check_names, check_overlap, warn
from mosaicbench.data.columns import column_of_cells
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import quiet_mudata
from mosaicbench.files.dataset import VALUES

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

CARD = {
    "label": "Own files",
    "summary": "the user's .h5mu, 10x .h5 or folder, or one file per modality, without a line of code",
    "labels": "the user's: the obs column that the key cell_type names",
    "licence": "the user's",
    "citation": "the user's",
}

KINDS = {"rna": "rna", "gex": "rna", "atac": "atac", "peaks": "atac"}
KINDS |= {
    "adt": "adt",
    "prot": "adt",
    "protein": "adt",
    "antibody": "adt",
    "continuous": "continuous",
}
PARTS = (
    "matrix.mtx",
    "barcodes.tsv",
    "features.tsv",
)  # of a Matrix Market folder; each may end in .gz
REMEDIES = {  # what values should be -> what to do where they are not
    "counts": 'put the raw counts into layers["counts"], or say values: lognorm if this is RNA without counts',
    "lognorm": "values: lognorm means non-negative fractional values, neither counts nor scaled ones",
    "continuous": "a cell whose value is missing has to be left out, or the value filled in",
}
ALIASES = {
    "chr": "chrom",
    "seqnames": "chrom",
    "chromStart": "start",
    "chromEnd": "end",
    "gene_id": "gene_ids",
}


def load(
    raw: Path | None,
    *,
    path: str | dict[str, str | list[str]],
    cell_type: str | None = None,
    batch: str | None = None,
    groups: Sequence[str] = (),
    values: Literal["counts", "lognorm"] | dict[str, Literal["counts", "lognorm"]] = "counts",
    kinds: dict[str, Literal["rna", "atac", "adt", "continuous"]] | None = None,
) -> MuData:
    """Return all cells, each with the modalities that it is in: those of the first modality first, in its order.

    Parameters
    ----------
    raw
        Folder that relative paths start from; None for the working directory.
    path
        One file for all modalities: ``.h5mu``, or a 10x ``.h5`` or Matrix Market folder, whose genes, peaks and antibodies
        become rna, atac, adt. Or modality -> its own file: ``.h5ad``, 10x ``.h5``, Matrix Market folder, or ``.csv`` (may be
        gzipped; the first column names the cells). A modality may have several files, one per batch: their features in common
        are kept, and without `batch` the place of a cell's file in the list, from 1 on, is its batch. A name that is in two
        modalities is one cell.
    cell_type, batch
        Names of obs columns, of the MuData or of any modality. Without them all cells are unlabelled, and of one batch.
    groups
        Further obs columns to keep, such as donors, for scenarios that split by them.
    values
        "counts", or "lognorm" for RNA that has no counts; one for all, or modality -> one. Not asked of a continuous modality.
    kinds
        modality -> "rna", "atac" or "adt", for modalities whose name does not say it; or "continuous", for values of any sign
        that are neither counts nor log-normalised ones.

    Returns
    -------
    MuData
        A dataset. A cell that is not in every modality is kept; what can be done with it, the scenario decides.

    Raises
    ------
    UserError
        When a file is absent or unreadable, a column or kind is unknown, the values are not what `values` says, a cell is named
        twice, or modalities name the same cells in different ways.
    """
    kinds = {} if kinds is None else kinds
    own, shared_obs = _read(raw, path, kinds)
    _check_modalities("kinds", kinds, own)
    _check_modalities("values", values if isinstance(values, dict) else {}, own)
    tables = {"the MuData": shared_obs} | {
        f"modality {modality!r}": cells.obs for modality, cells in own.items()
    }
    for where, table in tables.items():
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()][0]
            raise UserError(
                f"path: {where} names a cell twice, {twice!r}; make the cell names unique"
            )

    indexes = {modality: cells.obs_names.astype(str) for modality, cells in own.items()}
    check_overlap(indexes, "path")
    names = pd.Index(
        list(dict.fromkeys(name for index in indexes.values() for name in index)), dtype=object
    )

    columns = {"cell_type": cell_type, "batch": batch} | {name: name for name in groups}
    keys = {name: "groups" if name in groups else name for name in columns}
    texts = {
        key: column_of_cells(keys[key], name, tables, cells=names) for key, name in columns.items()
    }
    if cell_type is not None:
        check_labels(
            texts["cell_type"].to_numpy(), f"cell_type: column {cell_type!r}", indexes, names
        )
    files = {
        modality: cells.obs[FILE].astype(str)
        for modality, cells in own.items()
        if FILE in cells.obs
    }
    measured = {}
    for modality in list(own):
        cells = own.pop(modality)  # so that no modality stands in memory longer than it is needed
        measured[modality] = _measurement(modality, cells, names, kinds, values)
        del cells
    return assembled(
        measured,
        cells=names,
        cell_type=texts.pop("cell_type"),
        batch=texts.pop("batch") if batch is not None else file_of_each_cell(names, files),
        groups={key: texts[key] for key in groups},
    )


def _read(
    raw: Path | None, path: str | dict[str, str | list[str]], kinds: dict[str, str]
) -> tuple[dict[str, AnnData], pd.DataFrame]:
    """Return modality -> cells, and the obs columns that belong to no modality."""
    folder, shared_obs = Path() if raw is None else Path(raw), pd.DataFrame()
    if isinstance(path, dict):
        check_names(path)
        own = {
            modality: _all_of(folder, names, modality, kinds) for modality, names in path.items()
        }
    elif (file := folder / path).suffix == ".h5mu":
        import mudata

        with quiet_mudata():
            whole = readers.opened(file, lambda source: annotated(source, mudata.read_h5mu))
        own, shared_obs = dict(whole.mod), whole.obs
    elif file.suffix == ".h5":
        own = readers.tenx_h5(file)
    elif file.is_dir():
        own = _by_feature_type(_folder(file))
    else:
        raise UserError(
            f"path: {file} is neither an .h5mu, a 10x .h5 nor a Matrix Market folder; other files are given one a modality, "
            "modality: file"
        )
    if len(own) < 2:
        raise UserError(
            f"path: a benchmark needs at least two modalities, found {', '.join(own) or 'none'} in {path}"
        )
    return own, shared_obs


def _all_of(folder: Path, names: str | list[str], modality: str, kinds: dict[str, str]) -> AnnData:
    """Read the file of one modality, or its files, one per batch."""
    if isinstance(names, str):
        return _one(folder / names, modality, kinds)
    if not names:
        raise UserError(f"path: modality {modality!r} has an empty list of files")
    return one_of_batches(modality, {name: _one(folder / name, modality, kinds) for name in names})


def _one(file: Path, modality: str, kinds: dict[str, str]) -> AnnData:
    """Read the file of one modality."""
    import anndata

    name = file.name.removesuffix(".gz")
    if file.is_dir() or name.endswith(".h5"):
        parts = _by_feature_type(_folder(file)) if file.is_dir() else readers.tenx_h5(file)
        kind = _kind(modality, kinds)
        if kind not in parts and len(parts) > 1:
            raise UserError(
                f"path: {file} has {', '.join(parts)}, but nothing of the kind {kind!r} for modality {modality!r}"
            )
        return parts.get(kind, next(iter(parts.values())))
    if name.endswith(".csv"):
        header = readers.opened(file, lambda source: pd.read_csv(source, nrows=0))
        return readers.csv_counts(file, index=header.columns[0])
    if name.endswith(".h5ad"):
        return readers.opened(file, lambda source: annotated(source, anndata.read_h5ad))
    raise UserError(
        f"path: a file per modality must be .h5ad, 10x .h5, .csv or a Matrix Market folder, found {file.name}"
    )


def _folder(folder: Path) -> AnnData:
    found = []
    for part in PARTS:
        choices = [
            folder / part,
            folder / f"{part}.gz",
            *([folder / "genes.tsv"] if part == "features.tsv" else []),
        ]
        existing = [file for file in choices if file.is_file()]
        if not existing:
            raise UserError(
                f"path: {folder} has no {part} or {part}.gz; a Matrix Market folder has {', '.join(PARTS)}"
            )
        found.append(existing[0])
    return readers.mex(*found)


def _by_feature_type(cells: AnnData) -> dict[str, AnnData]:
    """Return modality -> cells; those of a folder without types are rna, until the stanza says otherwise."""
    if "feature_types" not in cells.var:
        return {"rna": cells}
    types = cells.var["feature_types"].to_numpy()
    names = {
        name: modality for name, modality in readers.FEATURE_TYPES.items() if np.any(types == name)
    }
    return {modality: cells[:, types == name].copy() for name, modality in names.items()}


def _measurement(
    modality: str, cells: AnnData, names: pd.Index, kinds: dict, values: str | dict
) -> Measurement:
    kind = _kind(modality, kinds)
    scale = values.get(modality, "counts") if isinstance(values, dict) else values
    if kind == "continuous":
        scale = kind
    if scale == "continuous" and kind != "continuous":
        raise UserError(
            f"values: modality {modality!r} is of kind {kind!r}; say kinds: {{{modality}: continuous}}"
        )
    if scale == "lognorm" and kind != "rna":
        raise UserError(
            f"values: lognorm is possible for RNA only, but modality {modality!r} is of kind {kind!r}; "
            'give its counts, and say values: {the RNA modality: "lognorm"}'
        )
    matrix, table = _measured(modality, cells, scale)
    if not table.index.is_unique:
        again = table.index.duplicated().sum()
        warn(
            f"modality {modality!r}: {again} feature names occur again; they get an ending, '-1' and so on"
        )
    if kind == "adt":
        matrix, table = _without_total(modality, matrix, table)
    rows = cells.obs_names.get_indexer(names)
    in_it, rows = names[rows >= 0], rows[rows >= 0]
    if np.any(np.diff(rows) != 1):
        matrix = matrix[rows]
    return Measurement(
        matrix,
        table.index,
        kind,
        scale,
        _annotation(table),
        None if len(in_it) == len(names) else in_it,
    )


def _without_total(
    modality: str, matrix: sparse.csr_matrix, table: pd.DataFrame
) -> tuple[sparse.csr_matrix, pd.DataFrame]:
    """Return proteins without a feature `total` that is the sum of the others in every cell: it is no protein."""
    is_total = table.index.astype(str).str.lower() == "total"
    if is_total.sum() != 1 or len(table) < 3:
        return matrix, table
    others = matrix[:, np.flatnonzero(~is_total)]
    if not np.array_equal(
        others.sum(axis=1).A1, matrix[:, np.flatnonzero(is_total)].toarray()[:, 0]
    ):
        return matrix, table
    warn(
        f"modality {modality!r}: the feature 'total' is the sum of the others in every cell; it is dropped"
    )
    return others, table[~is_total]


def _annotation(var: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of var that a dataset keeps, under the names that it gives them."""
    table = var.rename(
        columns={
            theirs: ours for theirs, ours in ALIASES.items() if theirs in var and ours not in var
        }
    )
    if "chrom" not in table and "interval" in table:
        table = table.assign(**readers.coordinates(table["interval"]).set_axis(table.index, axis=0))
    table = table[[column for column in ANNOTATION if column in table]].copy()
    for column in table:
        if column in ("start", "end"):
            table[column] = (
                pd.to_numeric(table[column], errors="coerce").fillna(-1).astype(np.int64)
            )
        else:
            table[column] = (
                table[column].astype(object).where(table[column].notna(), "").astype(str)
            )
    return table


def _kind(modality: str, kinds: dict[str, str]) -> str:
    kind = kinds.get(modality, KINDS.get(modality.lower()))
    if kind not in VALUES:
        raise UserError(
            f"kinds: {'cannot tell' if kind is None else f'{kind!r} is not'} the kind of modality {modality!r}; "
            f'say kinds: {{{modality}: rna}}, or "atac", "adt" or "continuous"'
        )
    return kind


def _measured(modality: str, cells: AnnData, scale: str) -> tuple[sparse.csr_matrix, pd.DataFrame]:
    """Return the first matrix that holds what `scale` says, and the table of its features."""
    if scale not in REMEDIES:
        raise UserError(f"values: {scale!r} is neither counts nor lognorm")
    places = {f'layers["{scale}"]': (cells.layers.get(scale), cells.var), "X": (cells.X, cells.var)}
    if cells.raw is not None:
        places["raw.X"] = (cells.raw.X, cells.raw.var)
    for matrix, table in places.values():
        if matrix is not None and _holds(scale, found := sparse.csr_matrix(matrix)):
            return found, table
    looked = ", ".join(
        f"{place}: {_fault(scale, sparse.csr_matrix(matrix))}"
        for place, (matrix, _) in places.items()
        if matrix is not None
    )
    found = f"holds no {scale} values" if scale == "continuous" else f"holds no {scale}"
    raise UserError(
        f"values: modality {modality!r} {found} (looked at {looked or 'no matrix at all'}); {REMEDIES[scale]}"
    )


def _holds(scale: str, matrix: sparse.csr_matrix) -> bool:
    return not _fault(scale, matrix)


def _fault(scale: str, matrix: sparse.csr_matrix) -> str:
    """Return why a matrix is not what `scale` says, "" if it is; block by block, without a temporary as large as it."""
    fractional = False
    for first in range(0, matrix.nnz, BLOCK):
        x = matrix.data[first : first + BLOCK]
        if not np.all(np.isfinite(x)):
            return "NaN or infinite values"
        if scale == "continuous":
            continue
        if np.any(x < 0):
            return "negative values"
        fractional |= bool(np.any(x != np.round(x)))
        if scale == "counts" and fractional:
            return "fractional values"
    return "" if scale != "lognorm" or fractional else "whole numbers only"


def _check_modalities(key: str, given: dict, own: dict[str, AnnData]) -> None:
    if unknown := sorted(set(given) - set(own)):
        raise UserError(f"{key}: no modality {unknown[0]!r}; there are {', '.join(own)}")
