"""Cells of one's own as they lie in a file or in memory: names at once, values a few thousand cells at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data import read
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import VALUES

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

FIRST = 2000  # cells that are looked at to tell which matrix holds what a model reads
LAYERS = tuple(
    dict.fromkeys(chain(*VALUES.values()))
)  # that may hold what a model reads; others, such as velocity's, never do


@dataclass(frozen=True)
class Matrix:
    """One matrix of a modality.

    Attributes
    ----------
    place
        What it is called in messages, such as "X".
    features
        (features,) names of its columns.
    take
        Positions of cells -> their rows, sparse.
    """

    place: str
    features: pd.Index
    take: Callable[[np.ndarray], sparse.csr_matrix]


@dataclass(frozen=True)
class Measured:
    """One modality of the user's cells.

    Attributes
    ----------
    obs, var
        Tables of its cells and features.
    matrices
        All that may hold what a model reads.
    held
        The AnnData, where it is in memory; None where its values stay in the file.
    group
        The name of its group in the file, where they do.
    """

    obs: pd.DataFrame
    var: pd.DataFrame
    matrices: tuple[Matrix, ...]
    held: AnnData | None = None
    group: str | None = None


@dataclass(frozen=True)
class OwnCells:
    """The user's cells: a modality of each, what is known of all, and the file that holds them, or the MuData."""

    modalities: dict[str, Measured]
    obs: pd.DataFrame
    file: h5py.File | None = None
    held: MuData | None = None

    def of_all(self, part: str) -> dict:
        """Return obsm, obsp or uns of all cells: what a MuData has beside its modalities."""
        from anndata.io import read_elem

        if self.file is not None:
            found = read_elem(self.file[part]) if "mod" in self.file and part in self.file else {}
        else:
            found = {} if self.held is None else dict(getattr(self.held, part))
        return {
            name: each
            for name, each in found.items()
            if part == "uns" or name not in self.modalities
        }  # masks of cells


def opened(cells: Path | MuData | AnnData) -> OwnCells:
    """Return cells of an ``.h5mu``, ``.h5ad`` or 10x ``.h5``, or of an object in memory; values stay where they are.

    The one modality of an ``.h5ad`` or an AnnData is called "cells": a model finds by its features which one it is.

    Raises
    ------
    UserError
        When the file is absent, unreadable, or of another kind.
    """
    if not isinstance(cells, str | Path):
        modalities = dict(cells.mod) if hasattr(cells, "mod") else {"cells": cells}
        held = cells if hasattr(cells, "mod") else None
        return OwnCells(
            {name: _in_memory(each) for name, each in modalities.items()}, cells.obs, held=held
        )
    path = Path(cells)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".h5":
        parts = read.tenx_h5(path)
        return OwnCells(
            {name: _in_memory(each) for name, each in parts.items()},
            next(iter(parts.values())).obs[[]],
        )
    if path.suffix not in (".h5mu", ".h5ad"):
        raise UserError(
            f"{path}: cells are read from .h5mu, .h5ad or a 10x .h5, found {path.suffix or 'no ending'}"
        )
    from anndata.io import read_elem

    try:
        file = h5py.File(path)
        groups = (
            {name: f"mod/{name}" for name in file["mod"]}
            if path.suffix == ".h5mu"
            else {"cells": "/"}
        )
        return OwnCells(
            {name: _on_disk(file, group) for name, group in groups.items()},
            read_elem(file["obs"]),
            file,
        )
    except (MemoryError, UserError):
        raise
    except Exception as error:  # a damaged file makes a library raise whatever its bytes spell
        raise UserError(
            f"{path}: cannot be read as {path.suffix}, it is truncated or of another kind ({error})"
        ) from error


def chunks(cells: int, size: int) -> Iterator[np.ndarray]:
    """Yield all positions in order, `size` at a time."""
    for first in range(0, cells, size):
        yield np.arange(first, min(first + size, cells))


def holding(modality: str, measured: Measured, values: str) -> Matrix:
    """Return the first matrix that holds what a model reads: of its layer, X and raw.X, as own files of a benchmark are read.

    Raises
    ------
    UserError
        When none does; it says what each holds instead.
    """
    places = [f'layers["{values}"]', "X", "raw.X"]
    order = sorted(
        (m for m in measured.matrices if m.place in places),
        key=lambda matrix: places.index(matrix.place),
    )
    faults = {
        matrix.place: _fault(values, matrix.take(np.arange(min(FIRST, len(measured.obs)))))
        for matrix in order
    }
    for matrix in order:
        if not faults[matrix.place]:
            return matrix
    seen = ", ".join(f"{place}: {fault}" for place, fault in faults.items()) or "no matrix at all"
    needed = (
        'raw counts; put them into layers["counts"]'
        if values == "counts"
        else f"{values} values; put them into {places[0]}"
    )
    raise UserError(f"modality {modality!r}: the model reads {needed} (found {seen})")


def _fault(values: str, matrix: sparse.csr_matrix) -> str:
    x = matrix.data
    if not np.isfinite(x).all():
        return "NaN or infinite values"
    if values == "continuous":
        return ""
    if np.any(x < 0):
        return "negative values"
    whole = bool(np.all(x == np.round(x)))
    if values == "counts":
        return "" if whole else "fractional values, as of normalised data"
    return "whole numbers only, as of counts" if whole and len(x) else ""


def _in_memory(cells: AnnData) -> Measured:
    found = {
        f'layers["{name}"]': (cells.layers[name], cells.var_names)
        for name in LAYERS
        if name in cells.layers
    }
    found["X"] = (cells.X, cells.var_names)
    if cells.raw is not None:
        found["raw.X"] = (cells.raw.X, cells.raw.var_names)
    matrices = [
        Matrix(place, pd.Index(names), _rows_of(x))
        for place, (x, names) in found.items()
        if x is not None
    ]
    return Measured(cells.obs, cells.var, tuple(matrices), held=cells)


def _rows_of(x: object) -> Callable[[np.ndarray], sparse.csr_matrix]:
    held = x.tocsr() if sparse.issparse(x) else x
    return lambda rows: sparse.csr_matrix(held[rows])


def _on_disk(file: h5py.File, name: str) -> Measured:
    from anndata.io import read_elem

    group = file[name]
    obs, var = read_elem(group["obs"]), read_elem(group["var"])
    layers = group.get("layers", {})
    found = {
        f'layers["{layer}"]': (layers[layer], var.index) for layer in LAYERS if layer in layers
    }
    if "X" in group:
        found["X"] = (group["X"], var.index)
    if "raw" in group and "X" in group["raw"]:
        found["raw.X"] = (group["raw/X"], read_elem(group["raw/var"]).index)
    found = {
        place: each for place, each in found.items() if getattr(each[0], "shape", ()) is not None
    }  # None: holds nothing
    matrices = [
        Matrix(place, names.astype(str), _rows_on_disk(x)) for place, (x, names) in found.items()
    ]
    return Measured(obs, var, tuple(matrices), group=name)


def _rows_on_disk(x: h5py.Group | h5py.Dataset) -> Callable[[np.ndarray], sparse.csr_matrix]:
    """Return what reads rows: of a matrix that is held by columns, all of it is read first."""
    if isinstance(x, h5py.Dataset):
        return lambda rows: sparse.csr_matrix(_in_turn(lambda first, end: x[first:end], rows))
    from anndata.io import read_elem, sparse_dataset

    if "csc" in str(x.attrs["encoding-type"]):
        return _rows_of(read_elem(x))
    held = sparse_dataset(x)
    return lambda rows: sparse.csr_matrix(_in_turn(lambda first, end: held[first:end], rows))


def _in_turn(read: Callable, rows: np.ndarray) -> object:
    """Return rows in any order from what reads a stretch of them."""
    if not len(rows):
        return read(0, 0)
    first = int(rows.min())
    stretch = read(first, int(rows.max()) + 1)
    return (
        stretch
        if np.array_equal(rows, np.arange(first, first + stretch.shape[0]))
        else stretch[rows - first]
    )
