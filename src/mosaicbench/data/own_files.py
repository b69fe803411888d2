"""Data of one's own: an ``.h5mu``, a 10x ``.h5``, or one ``.h5ad`` per modality."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench import files
from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

CARD = {
    "label": "Own files",
    "summary": "the user's .h5mu, 10x .h5, or one .h5ad per modality, without a line of code",
    "labels": "the user's: the obs column that the key cell_type names",
    "licence": "the user's",
    "citation": "the user's",
}

KINDS = {"rna": "rna", "gex": "rna", "atac": "atac", "peaks": "atac"}
KINDS |= {"adt": "adt", "prot": "adt", "protein": "adt", "antibody": "adt"}
FEATURE_TYPES = {"Gene Expression": "rna", "Peaks": "atac", "Antibody Capture": "adt"}


def load(
    raw: Path | None,
    *,
    path: str | dict[str, str],
    cell_type: str | None = None,
    batch: str | None = None,
    unlabelled: Sequence[str] = (),
    values: str | dict[str, str] = "counts",
    kinds: dict[str, str] | None = None,
) -> MuData:
    """Return the cells that are in every modality, in the order of the first one.

    Parameters
    ----------
    raw
        Folder that relative paths start from; None for the working directory.
    path
        One ``.h5mu``, one 10x ``.h5`` (its genes, peaks and antibodies become rna, atac, adt), or modality -> ``.h5ad``.
    cell_type, batch
        Names of obs columns, of the MuData or of any modality. Without them all cells are unlabelled, and of one batch.
    unlabelled
        Names in the column `cell_type` that mean "unknown"; an empty or missing entry always does. A name that does not occur
        is refused: a misspelt one would silently become a cell type.
    values
        "counts", or "lognorm" for RNA that has no counts; one for all, or modality -> one.
    kinds
        modality -> "rna", "atac" or "adt", for modalities whose name does not say it.

    Returns
    -------
    MuData
        A dataset; ``uns["cells_dropped"]`` counts the cells that were not in every modality.

    Raises
    ------
    UserError
        When a file is absent or unreadable, a column, label or kind is unknown, the values are not what `values` says, or no
        cell is in every modality.
    """
    own, shared_obs = _read(raw, path)
    _check_modalities("kinds", {} if kinds is None else kinds, own)
    _check_modalities("values", values if isinstance(values, dict) else {}, own)
    tables = {"the MuData": shared_obs} | {f"modality {modality!r}": cells.obs for modality, cells in own.items()}
    for where, table in tables.items():
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()][0]
            raise UserError(f"path: {where} names a cell twice, {twice!r}; make the cell names unique")

    names = next(iter(own.values())).obs_names
    for cells in own.values():
        names = names[names.isin(cells.obs_names)]
    if len(names) == 0:
        raise UserError(f"path: no cell name is in every modality ({_first_names(own)}); give all files the same cell names")
    every = set().union(*(cells.obs_names for cells in own.values()))

    measured = {}
    for modality, cells in own.items():
        kind = _kind(modality, {} if kinds is None else kinds)
        scale = values.get(modality, "counts") if isinstance(values, dict) else values
        if scale == "lognorm" and kind != "rna":
            raise UserError(
                f"values: lognorm is possible for RNA only, but modality {modality!r} is of kind {kind!r}; "
                'give its counts, and say values: {the RNA modality: "lognorm"}'
            )
        matrix, features = _measured(modality, cells, scale)
        measured[modality] = Measurement(matrix[cells.obs_names.get_indexer(names)], features, kind, scale)

    labels = _column("cell_type", cell_type, tables, default="", index=names)
    unknown = {str(name) for name in unlabelled}
    if absent := sorted(unknown - set(labels)):
        raise UserError(f"unlabelled: no cell is called {absent[0]!r}; there are {', '.join(sorted(set(labels)))}")
    labels = labels.mask(labels.isin(unknown), "").loc[names]
    batches = _column("batch", batch, tables, default="all", index=names).loc[names]
    dataset = assembled(measured, cells=names, cell_type=labels, batch=batches)
    dataset.uns["cells_dropped"] = len(every) - len(names)
    return dataset


def _read(raw: Path | None, path: str | dict[str, str]) -> tuple[dict[str, AnnData], pd.DataFrame]:
    """Return modality -> cells, and the obs columns that belong to no modality."""
    import anndata

    folder = Path() if raw is None else Path(raw)
    if isinstance(path, dict):
        if wrong := [name for name in path.values() if Path(name).suffix != ".h5ad"]:
            raise UserError(f"path: a file per modality must be an .h5ad, found {wrong[0]}")
        own = {modality: _opened(folder / name, anndata.read_h5ad) for modality, name in path.items()}
        shared_obs = pd.DataFrame()
    elif (file := folder / path).suffix == ".h5mu":
        import mudata

        with files.quiet_mudata():
            whole = _opened(file, mudata.read_h5mu)
        own, shared_obs = dict(whole.mod), whole.obs
    elif file.suffix == ".h5":
        own, shared_obs = _opened(file, _by_feature_type), pd.DataFrame()
    else:
        raise UserError(f"path: {file} is neither an .h5mu nor a 10x .h5; for .h5ad files give modality: file, one a modality")
    if len(own) < 2:
        raise UserError(f"path: a benchmark needs at least two modalities, found {', '.join(own) or 'none'} in {path}")
    return own, shared_obs


def _by_feature_type(file: Path) -> dict[str, AnnData]:
    import scanpy

    cells = scanpy.read_10x_h5(file, gex_only=False)
    types = cells.var["feature_types"].astype(str).to_numpy()
    return {modality: cells[:, types == name].copy() for name, modality in FEATURE_TYPES.items() if np.any(types == name)}


def _opened(file: Path, reader: Callable) -> AnnData | MuData | dict[str, AnnData]:
    if not file.is_file():
        raise UserError(f"path: {file}: no such file; paths start from {Path.cwd()}")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="(?i)var(iable |_)names are not unique")  # assembled makes them so
            return reader(file)
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise UserError(f"path: {file}: cannot be read, it is truncated or of another kind ({reason})") from error


def _kind(modality: str, kinds: dict[str, str]) -> str:
    kind = kinds.get(modality, KINDS.get(modality.lower()))
    if kind not in ("rna", "atac", "adt"):
        raise UserError(
            f"kinds: {'cannot tell' if kind is None else f'{kind!r} is not'} the kind of modality {modality!r}; "
            f'say kinds: {{{modality}: rna}}, or "atac" or "adt"'
        )
    return kind


def _measured(modality: str, cells: AnnData, scale: str) -> tuple[sparse.csr_matrix, pd.Index]:
    """Return the first matrix that holds what `scale` says, and the names of its features."""
    if scale not in ("counts", "lognorm"):
        raise UserError(f"values: {scale!r} is neither counts nor lognorm")
    places = {f'layers["{scale}"]': (cells.layers.get(scale), cells.var_names), "X": (cells.X, cells.var_names)}
    if cells.raw is not None:
        places["raw.X"] = (cells.raw.X, cells.raw.var_names)
    holds = _holds_counts if scale == "counts" else _holds_lognorm
    for matrix, features in places.values():
        if matrix is not None and holds(found := sparse.csr_matrix(matrix)):
            return found, features
    looked = ", ".join(place for place, (matrix, _) in places.items() if matrix is not None) or "no matrix at all"
    remedy = (
        'put the raw counts into layers["counts"], or say values: lognorm if this is RNA without counts'
        if scale == "counts"
        else "values: lognorm means non-negative fractional values, neither counts nor scaled ones"
    )
    raise UserError(f"values: modality {modality!r} holds no {scale} (looked at {looked}); {remedy}")


def _holds_counts(matrix: sparse.csr_matrix) -> bool:
    x = matrix.data
    return bool(np.all(np.isfinite(x)) and np.all(x >= 0) and np.all(x == np.round(x)))


def _holds_lognorm(matrix: sparse.csr_matrix) -> bool:
    x = matrix.data
    return bool(np.all(np.isfinite(x)) and np.all(x >= 0) and np.any(x != np.round(x)))


def _column(key: str, name: str | None, tables: dict[str, pd.DataFrame], *, default: str, index: pd.Index) -> pd.Series:
    """Return the column `name` of the first table that has it, "" where missing; with no `name`, `default` throughout."""
    if name is None:
        return pd.Series(default, index=index, dtype=object)
    for table in tables.values():
        if name in table.columns:
            column = table[name]
            texts = ["" if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]
            return pd.Series(texts, index=table.index, dtype=object)
    there = sorted({str(column) for table in tables.values() for column in table.columns})
    near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UserError(f"{key}: no obs column {name!r}; there are {', '.join(there) or 'none'}{hint}")


def _check_modalities(key: str, given: dict, own: dict[str, AnnData]) -> None:
    if unknown := sorted(set(given) - set(own)):
        raise UserError(f"{key}: no modality {unknown[0]!r}; there are {', '.join(own)}")


def _first_names(own: dict[str, AnnData]) -> str:
    return ", ".join(f"{modality}: {cells.obs_names[0]}, …" for modality, cells in own.items() if cells.n_obs)
