"""Read own files: the modalities, the matrix of a modality's values, and the tables of cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data import read
from mosaicbench.data.assemble import ANNOTATION, BLOCK, Measurement
from mosaicbench.data.checks import warn
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import VALUES

if TYPE_CHECKING:
    from anndata import AnnData

FILE = "__file__"  # a column of obs: the number of a cell's file in the list of its modality
KINDS = {
    **dict.fromkeys(("rna", "gex"), "rna"),
    **dict.fromkeys(("atac", "peaks"), "atac"),
    **dict.fromkeys(("adt", "prot", "protein", "antibody"), "adt"),
    "continuous": "continuous",
}
REMEDIES = {  # what values should be -> what to do where they are not
    "counts": 'put the raw counts into layers["counts"], or say values: lognorm if this is RNA '
    "without counts",
    "lognorm": "values: lognorm means non-negative fractional values, neither counts nor scaled "
    "ones",
    "continuous": "leave out cells with missing values, or fill the values in",
}
ALIASES = {
    "chr": "chrom",
    "seqnames": "chrom",
    "chromStart": "start",
    "chromEnd": "end",
    "gene_id": "gene_ids",
}


def read_modalities(
    folder: Path, path: str | dict[str, str | list[str]], kinds: dict[str, str]
) -> tuple[dict[str, AnnData], pd.DataFrame]:
    """Return modality -> cells, and the table of cells that belongs to no modality.

    Parameters
    ----------
    folder
        Folder that relative paths start from.
    path, kinds
        As of ``datasets.own_files.load``.
    """
    shared_obs = pd.DataFrame()
    if isinstance(path, dict):
        modalities = {
            modality: _of_one_modality(folder, names, modality, kinds)
            for modality, names in path.items()
        }
    elif (file := folder / path).suffix == ".h5mu":
        whole = read.annotated(file)
        modalities, shared_obs = dict(whole.mod), whole.obs
    elif file.suffix == ".h5":
        modalities = read.tenx_h5(file)
    elif file.is_dir():
        modalities = read.by_feature_type(read.mex_folder(file))
    else:
        raise UserError(
            f"path: {file} is neither an .h5mu, a 10x .h5 nor a Matrix Market folder; give other "
            "files as {modality: file}"
        )
    if len(modalities) < 2:
        raise UserError(
            "path: a benchmark needs at least two modalities, found "
            f"{', '.join(modalities) or 'none'} in {path}"
        )
    return modalities, shared_obs


def _of_one_modality(
    folder: Path, names: str | list[str], modality: str, kinds: dict[str, str]
) -> AnnData:
    if isinstance(names, str):
        return _of_one_file(folder / names, modality, kinds)
    return _of_batches(
        modality, {name: _of_one_file(folder / name, modality, kinds) for name in names}
    )


def _of_one_file(file: Path, modality: str, kinds: dict[str, str]) -> AnnData:
    name = file.name.removesuffix(".gz")
    if name.endswith(".csv"):
        return read.csv_counts(file)
    if name.endswith(".h5ad"):
        return read.annotated(file)
    if not file.is_dir() and not name.endswith(".h5"):
        raise UserError(
            "path: a file per modality must be .h5ad, 10x .h5, .csv or a Matrix Market folder, "
            f"found {file.name}"
        )
    parts = read.by_feature_type(read.mex_folder(file)) if file.is_dir() else read.tenx_h5(file)
    kind = kind_of(modality, kinds)
    if kind not in parts and len(parts) > 1:
        raise UserError(
            f"path: {file} has {', '.join(parts)}, but nothing of the kind {kind!r} for modality "
            f"{modality!r}"
        )
    return parts.get(kind, next(iter(parts.values())))


def _of_batches(modality: str, parts: dict[str, AnnData]) -> AnnData:
    import anndata

    file_of: dict[str, str] = {}
    for number, (name, part) in enumerate(parts.items(), start=1):
        part.var_names_make_unique()
        part.obs[FILE] = str(number)
        for cell in part.obs_names:
            if cell in file_of:
                raise UserError(
                    f"path: modality {modality!r} has a cell {cell!r} in {file_of[cell]} and in "
                    f"{name}; put the sample in front of every cell name, in the files of all "
                    "modalities alike"
                )
            file_of[cell] = name
    whole = anndata.concat(list(parts.values()), join="inner", merge="same")
    if whole.n_vars == 0:
        raise UserError(
            f"path: the files of modality {modality!r} have no feature in common: "
            f"{', '.join(parts)}"
        )
    if lost := len(set().union(*(part.var_names for part in parts.values()))) - whole.n_vars:
        warn(
            f"modality {modality!r}: {lost} features are not in all of its {len(parts)} files and "
            "are left out"
        )
    return whole


def kind_of(modality: str, kinds: dict[str, str]) -> str:
    """Return the kind of a modality, by `kinds` or by its name."""
    kind = kinds.get(modality, KINDS.get(modality.lower()))
    if kind not in VALUES:
        raise UserError(
            f"kinds: {'cannot tell' if kind is None else f'{kind!r} is not'} the kind of modality "
            f'{modality!r}; say kinds: {{{modality}: rna}}, or "atac", "adt" or "continuous"'
        )
    return kind


def measurement(
    modality: str, cells: AnnData, names: pd.Index, kind: str, scale: str
) -> Measurement:
    """Return a modality's values in the order of `names`, of all cells; `scale`: what they are."""
    if kind == "continuous":
        scale = kind
    elif scale == "lognorm" and kind != "rna":
        raise UserError(
            f"values: lognorm is possible for RNA only, but modality {modality!r} is of kind "
            f'{kind!r}; give its counts, and say values: {{the RNA modality: "lognorm"}}'
        )
    matrix, table = _matrix_of(modality, cells, scale)
    if again := table.index.duplicated().sum():
        warn(
            f"modality {modality!r}: {again} feature names occur again; they get an ending, '-1' "
            "and so on"
        )
    if kind == "adt":
        matrix, table = _without_total(modality, matrix, table)
    rows = cells.obs_names.get_indexer(names)
    in_it, rows = names[rows >= 0], rows[rows >= 0]
    if np.any(np.diff(rows) != 1):
        matrix = matrix[rows]
    measured = None if len(in_it) == len(names) else in_it
    return Measurement(matrix, table.index, kind, scale, _annotation(table), measured)


def _matrix_of(modality: str, cells: AnnData, scale: str) -> tuple[sparse.csr_matrix, pd.DataFrame]:
    places = {f'layers["{scale}"]': (cells.layers.get(scale), cells.var), "X": (cells.X, cells.var)}
    if cells.raw is not None:
        places["raw.X"] = (cells.raw.X, cells.raw.var)
    faults = []
    for place, (matrix, table) in places.items():
        if matrix is None:
            continue
        values = sparse.csr_matrix(matrix)
        if not (fault := _fault(scale, values)):
            return values, table
        faults.append(f"{place}: {fault}")
    what = "continuous values" if scale == "continuous" else scale
    raise UserError(
        f"values: modality {modality!r} holds no {what} (looked at "
        f"{', '.join(faults) or 'no matrix at all'}); {REMEDIES[scale]}"
    )


def _fault(scale: str, matrix: sparse.csr_matrix) -> str:
    """Return why a matrix is not what `scale` says, "" if it is; block by block to save memory."""
    fractional = False
    for first in range(0, matrix.nnz, BLOCK):
        x = matrix.data[first : first + BLOCK]
        if not np.all(np.isfinite(x)):
            return "NaN or infinite values"
        if scale != "continuous" and np.any(x < 0):
            return "negative values"
        fractional |= bool(np.any(x != np.round(x)))
        if scale == "counts" and fractional:
            return "fractional values"
    return "whole numbers only" if scale == "lognorm" and not fractional else ""


def _without_total(
    modality: str, matrix: sparse.csr_matrix, table: pd.DataFrame
) -> tuple[sparse.csr_matrix, pd.DataFrame]:
    is_total = table.index.astype(str).str.lower() == "total"
    if is_total.sum() != 1 or len(table) < 3:
        return matrix, table
    others = matrix[:, ~is_total]
    if not np.array_equal(others.sum(axis=1).A1, matrix[:, is_total].toarray()[:, 0]):
        return matrix, table
    warn(
        f"modality {modality!r}: the feature 'total' is the sum of the others in every cell; it is "
        "dropped"
    )
    return others, table[~is_total]


def _annotation(var: pd.DataFrame) -> pd.DataFrame:
    ours = {theirs: name for theirs, name in ALIASES.items() if name not in var}
    table = var.rename(columns=ours)
    if "chrom" not in table and "interval" in table:
        table = read.with_coordinates(table, table["interval"])
    table = table[[column for column in ANNOTATION if column in table]].copy()
    for column in table:
        if column in ("start", "end"):
            numbers = pd.to_numeric(table[column], errors="coerce")
            table[column] = numbers.fillna(-1).astype(np.int64)
        else:
            texts = table[column].astype(object)
            table[column] = texts.where(texts.notna(), "").astype(str)
    return table
