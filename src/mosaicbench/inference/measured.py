"""The user's cells in a file or in memory: names at once, values a few thousand cells at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem, sparse_dataset
from mudata import MuData
from scipy import sparse

from mosaicbench.data import read
from mosaicbench.data.assemble import joined
from mosaicbench.data.cells import column_of_cells
from mosaicbench.data.own_values import fault_of
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import VALUES

FIRST = 2000  # cells that show which matrix has the values that a model reads
WHOLE = ("uns", "obsm", "obsp")  # parts of a MuData beside its modalities
LAYERS = tuple(dict.fromkeys(chain(*VALUES.values())))  # that a model may read; not velocity's


@dataclass(frozen=True)
class Matrix:
    """One matrix of a modality: names of its columns, and positions of cells -> their rows."""

    features: pd.Index
    take: Callable[[np.ndarray], sparse.csr_matrix]


@dataclass(frozen=True)
class Measured:
    """One modality of the user's cells: tables of its cells and features, and matrices.

    Attributes
    ----------
    matrices
        Place, such as "X" -> each that may have the values that a model reads.
    held
        The AnnData in memory; None of a file.
    group
        The name of its group in the file.
    """

    obs: pd.DataFrame
    var: pd.DataFrame
    matrices: dict[str, Matrix]
    held: AnnData | None = None
    group: str | None = None


@dataclass(frozen=True)
class OwnCells:
    """The user's cells: modalities, obs and other parts of all cells, and their file."""

    modalities: dict[str, Measured]
    obs: pd.DataFrame
    whole: dict[str, dict] = field(default_factory=dict)
    file: h5py.File | None = None


def in_memory(cells: MuData | AnnData | dict[str, AnnData]) -> OwnCells:
    """Return cells in memory, as they are.

    The one modality of an AnnData without feature types is called "cells".
    """
    if isinstance(cells, AnnData) and not _has_several(cells.var):
        return OwnCells(_in_memory({"cells": cells}), cells.obs)
    whole = as_mudata(cells)
    return OwnCells(
        _in_memory(whole.mod), whole.obs, {part: dict(getattr(whole, part)) for part in WHOLE}
    )


def as_mudata(cells: object) -> MuData:
    """Return cells in memory as a MuData, from one, modality -> AnnData, or an AnnData of several.

    The latter has the feature types of 10x in ``var``. Cells of another kind are refused.
    """
    if isinstance(cells, AnnData) and _has_several(cells.var):
        cells = read.by_feature_type(cells)
    if isinstance(cells, dict) and cells and all(isinstance(x, AnnData) for x in cells.values()):
        cells = joined({str(name): x.to_memory() if x.isbacked else x for name, x in cells.items()})
    parts = cells.mod.values() if isinstance(cells, MuData) else [None]
    if not all(isinstance(part, AnnData) for part in parts):
        hint = 'give mudata.MuData({"rna": rna, "adt": adt}), with an AnnData per modality'
        if isinstance(cells, str | Path):
            hint = "read the file with mudata.read_h5mu first"
        raise UserError(f"cells: expected a MuData, found {type(cells).__name__}; {hint}")
    return cells


def _has_several(var: pd.DataFrame) -> bool:
    kinds = read.kinds_of_features(var)
    return kinds is not None and len({*kinds} & {*read.KINDS.values()}) > 1


def known_of(cells: MuData | AnnData, *, cell_type: str | None, batch: str | None) -> pd.DataFrame:
    """Return types and batches of all cells, from columns of ``obs`` of all cells or of a modality.

    None is the column of that name, or left out. A missing column and a cell named twice are refused.
    """
    tables = {"all cells": cells.obs}
    for name, part in getattr(cells, "mod", {}).items():
        tables[f"modality {name!r}"] = part.obs
    for where, table in tables.items():
        if table.index.has_duplicates:
            twice = table.index[table.index.duplicated()][0]
            raise UserError(f"{where}: a cell is named twice, {twice!r}; make the names unique")
    known = pd.DataFrame(index=cells.obs_names)
    for key, column in (("cell_type", cell_type), ("batch", batch)):
        if column is not None or any(key in table for table in tables.values()):
            known[key] = column_of_cells(key, column or key, tables, cells=known.index)
    return known


def opened(path: Path) -> OwnCells:
    """Return cells of an ``.h5mu``, ``.h5ad`` or 10x ``.h5``, without values yet."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".h5":
        parts = read.tenx_h5(path)
        return OwnCells(_in_memory(parts), next(iter(parts.values())).obs[[]])
    if path.suffix not in (".h5mu", ".h5ad"):
        raise UserError(
            f"{path}: cells are read from .h5mu, .h5ad or a 10x .h5, found "
            f"{path.suffix or 'no ending'}"
        )
    try:
        file, groups, whole = h5py.File(path), {"cells": "/"}, {}
        if path.suffix == ".h5mu":
            groups = {name: f"mod/{name}" for name in file["mod"]}
            whole = {part: read_elem(file[part]) for part in WHOLE if part in file}
        modalities = {name: _on_disk(file, group) for name, group in groups.items()}
        if path.suffix == ".h5ad" and _has_several(modalities["cells"].var):
            return in_memory(read.annotated(path))
        return OwnCells(modalities, read_elem(file["obs"]), whole, file)
    except (MemoryError, UserError):
        raise
    except Exception as error:  # anndata raises many kinds
        raise UserError(
            f"{path}: cannot be read as {path.suffix}, it is truncated or of another kind ({error})"
        ) from error


def holding(modality: str, measured: Measured, values: str) -> Matrix:
    """Return the first of layers[values], X and raw.X with the values that a model reads."""
    layer, faults = f'layers["{values}"]', {}
    for place in (layer, "X", "raw.X"):
        if place in measured.matrices:
            matrix = measured.matrices[place]
            faults[place] = fault_of(values, matrix.take(np.arange(min(FIRST, len(measured.obs)))))
            if not faults[place]:
                return matrix
    seen = ", ".join(f"{place}: {fault}" for place, fault in faults.items()) or "no matrix at all"
    needed = "raw counts" if values == "counts" else f"{values} values"
    raise UserError(
        f"modality {modality!r}: the model reads {needed}; put them into {layer} (found {seen})"
    )


def _in_memory(modalities: dict[str, AnnData]) -> dict[str, Measured]:
    found = {}
    for name, cells in modalities.items():
        raw = (None, None) if cells.raw is None else (cells.raw.X, cells.raw.var_names)
        matrices = _matrices(cells.var_names, cells.X, cells.layers, raw)
        found[name] = Measured(cells.obs, cells.var, matrices, held=cells)
    return found


def _on_disk(file: h5py.File, name: str) -> Measured:
    group = file[name]
    obs, var, raw = read_elem(group["obs"]), read_elem(group["var"]), (None, None)
    if "raw" in group:
        raw = (group["raw/X"], read_elem(group["raw/var"]).index)
    matrices = _matrices(var.index, group.get("X"), group.get("layers", {}), raw)
    return Measured(obs, var, matrices, group=name)


def _matrices(features: pd.Index, x: object, layers: object, raw: tuple) -> dict[str, Matrix]:
    found = {f'layers["{name}"]': (layers[name], features) for name in LAYERS if name in layers}
    found |= {"X": (x, features), "raw.X": raw}
    return {
        place: Matrix(names.astype(str), _reader(values))
        for place, (values, names) in found.items()
        if getattr(values, "shape", ()) is not None and values is not None  # an empty X in a file
    }


def _reader(x: object) -> Callable[[np.ndarray], sparse.csr_matrix]:
    if isinstance(x, h5py.Group):
        by_columns = "csc" in str(x.attrs["encoding-type"])
        x = read_elem(x) if by_columns else sparse_dataset(x)
    if isinstance(x, np.ndarray) or sparse.issparse(x):
        held = x.tocsr() if sparse.issparse(x) else x
        return lambda rows: sparse.csr_matrix(held[rows])

    def stretch(rows: np.ndarray) -> sparse.csr_matrix:
        first, last = (rows.min(), rows.max()) if len(rows) else (0, -1)
        values = sparse.csr_matrix(x[int(first) : int(last) + 1])
        return values if np.array_equal(rows, np.arange(first, last + 1)) else values[rows - first]

    return stretch
