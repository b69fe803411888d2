"""Reading ``.h5ad`` and ``.h5mu`` of users: what their names say they are, and sparse matrices that can be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from mosaicbench.data.readable import check_readable
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def annotated(file: Path, reader: Callable[[Path], AnnData | MuData]) -> AnnData | MuData:
    """Read an ``.h5ad`` or ``.h5mu``, and check that it is what its name says and that its sparse matrices can be used.

    Raises
    ------
    UserError
        When the file holds the other of the two, HDF5 cannot cope with it, or a sparse matrix points outside itself: using it
        could end the process.
    """
    import h5py

    check_readable(file)
    with h5py.File(file) as content:
        is_mudata = "mod" in content
    if is_mudata and file.suffix != ".h5mu":
        raise UserError(
            f"path: {file}: holds a MuData, of several modalities; name it .h5mu, and give it as path: FILE.h5mu"
        )
    if not is_mudata and file.suffix == ".h5mu":
        raise UserError(
            f"path: {file}: holds no MuData; if it is an AnnData, name it .h5ad, and give it as path: {{MODALITY: FILE}}"
        )
    found = reader(file)
    for name, cells in found.mod.items() if is_mudata else [("", found)]:
        places = {"X": cells.X} | {
            f'layers["{layer}"]': matrix for layer, matrix in cells.layers.items()
        }
        if cells.raw is not None:
            places["raw.X"] = cells.raw.X
        for place, matrix in places.items():
            if sparse.issparse(matrix):
                check_compressed(
                    matrix.indices,
                    matrix.indptr,
                    matrix.shape,
                    of=f"path: {file}: {f'{name} {place}'.strip()}",
                    csc=matrix.format == "csc",
                )
    return found


def check_compressed(
    indices: np.ndarray,
    indptr: np.ndarray,
    shape: tuple[int, int],
    *,
    of: str,
    csc: bool = False,
    stored: int | None = None,
) -> None:
    """Refuse a compressed sparse matrix that points outside itself.

    Parameters
    ----------
    indices, indptr
        Of the matrix, (cells, features) of `shape`, by cells or, with `csc`, by features.
    of
        What it is called in the message.
    stored
        The number of its values, where it is known apart from `indices`.

    Raises
    ------
    UserError
    """
    lines, places = shape[::-1] if csc else shape
    check_lines(indptr, lines, len(indices), of=of)
    if stored is not None and stored != len(indices):
        raise UserError(
            f"{of}: it has {stored} values but {len(indices)} indices; the file is damaged, write it again"
        )
    check_places(indices, places, of=of)


def check_lines(indptr: np.ndarray, lines: int, stored: int, *, of: str) -> None:
    """Refuse an indptr that does not divide the stored values into lines."""
    if (
        len(indptr) != lines + 1
        or indptr[0] != 0
        or np.any(np.diff(indptr) < 0)
        or indptr[-1] != stored
    ):
        raise UserError(
            f"{of}: its indptr does not divide its {stored} values into {lines} lines; the file is damaged, write it again"
        )


def check_places(indices: np.ndarray, places: int, *, of: str) -> None:
    """Refuse indices that are negative, or too large."""
    if len(indices) and (indices.min() < 0 or indices.max() >= places):
        wrong = int(indices.min()) if indices.min() < 0 else int(indices.max())
        raise UserError(
            f"{of}: the index {wrong} is outside of 0 to {places - 1}; the file is damaged, write it again"
        )
