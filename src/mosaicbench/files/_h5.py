"""What all HDF5 files share: the noun that each says about itself, and one sentence if one cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import scipy.sparse

from mosaicbench.errors import ContractError
from mosaicbench.files.atomic import atomic

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

STRUCTURE = 2**18  # bytes, at most, of a file's groups, headers and attributes
NAME, VALUE = 64, 8  # bytes, about, of a name and of a value with its place
LARGE = 2**22  # bytes from which on a file is worth compressing
GZIP = {"compression": "gzip", "compression_opts": 1}  # higher levels take twice as long to write
KEY = "mosaicbench"  # the key of .uns under which a file says what it is


@dataclass(frozen=True)
class Modalities:
    """What an ``.h5mu`` holds by modality, and what it says about itself.

    A MuData lists the cells and features of all modalities besides, which takes longer to make than these to read.
    """

    mod: dict[str, AnnData]
    uns: dict

    def __getitem__(self, modality: str) -> AnnData:
        return self.mod[modality]


def check_noun(path: str | Path, thing: AnnData | MuData | Modalities, noun: str) -> None:
    """Refuse a file that says another noun about itself."""
    found = thing.uns.get(KEY, {}).get("noun")
    if found != noun:
        raise ContractError(
            f"{path}: expected a {noun} file, but it says {found or 'nothing'} about itself"
        )


def check_names(path: str | Path, modality: str, cells: AnnData) -> None:
    """Refuse a modality with duplicated names, or without cells or features."""
    for axis, names in (("cell", cells.obs_names), ("feature", cells.var_names)):
        if not names.is_unique:
            raise ContractError(
                f"{path}: duplicated {axis} names in modality {modality!r}, e.g. {names[names.duplicated()][0]!r}"
            )
        if not len(names):
            raise ContractError(f"{path}: modality {modality!r} has no {axis}s")


def check_finite(path: str | Path, what: str, array: np.ndarray) -> None:
    """Refuse NaN and infinite values."""
    if not np.all(np.isfinite(array)):
        raise ContractError(f"{path}: {what!r} holds NaN or infinite values")


def write_h5(path: str | Path, thing: AnnData | MuData) -> None:
    """Write an ``.h5ad`` or ``.h5mu`` whole or not at all; a large one is compressed."""
    size = size_of(*(thing.mod.values() if hasattr(thing, "mod") else [thing]))
    with atomic(path, size=size) as temporary, quiet_mudata():
        thing.write(temporary, **(GZIP if size >= LARGE else {}))


def size_of(*parts: AnnData) -> int:
    """Return about how many bytes these take in a file without compression."""
    size = STRUCTURE
    for part in parts:
        size += NAME * (
            part.n_obs * (1 + part.obs.shape[1]) + part.n_vars * (1 + part.var.shape[1])
        )
        for matrix in (part.X, *part.layers.values(), *part.obsm.values(), *part.varm.values()):
            values = matrix.nnz if scipy.sparse.issparse(matrix) else np.size(matrix)
            size += VALUE * values
    return size


def write_modalities(path: str | Path, thing: Modalities) -> None:
    """Write an ``.h5mu`` whole or not at all."""
    import mudata

    with quiet_mudata():
        whole = mudata.MuData(thing.mod)
    whole.uns.update(thing.uns)
    write_h5(path, whole)


def read_modalities(path: str | Path, noun: str) -> Modalities:
    """Read the modalities of an ``.h5mu`` that says `noun` about itself."""
    thing = read_h5(path, _modalities)
    check_noun(path, thing, noun)
    return thing


def _modalities(path: str | Path) -> Modalities:
    from anndata.io import read_elem

    with h5py.File(path) as file:
        parts = file["mod"]
        return Modalities(
            {name: _cells(parts[name]) for name in parts.attrs["mod-order"]}, read_elem(file["uns"])
        )


def read_cells(path: str | Path) -> AnnData:
    """Read an ``.h5ad``."""
    return read_h5(path, _cells_of_file)


def _cells_of_file(path: str | Path) -> AnnData:
    with h5py.File(path) as file:
        return _cells(file)


def _cells(group: h5py.Group) -> AnnData:
    """Return what there is of a table; to read its empty parts would take half as long again."""
    from anndata import AnnData
    from anndata.io import read_elem

    return AnnData(
        **{name: read_elem(part) for name, part in group.items() if name == "X" or len(part)}
    )


def read_mudata(path: str | Path, noun: str) -> MuData:
    """Read an ``.h5mu`` that says `noun` about itself."""
    import mudata

    with quiet_mudata():
        thing = read_h5(path, mudata.read_h5mu)
    check_noun(path, thing, noun)
    return thing


@contextmanager
def quiet_mudata() -> Iterator[None]:
    """Keep mudata from copying columns between levels, and from warning where a gene and a protein share a name."""
    import mudata

    # From 0.4 on it copies nothing unless asked, and the option has moved.
    copies_nothing = (
        mudata.set_options(pull_on_update=False)
        if hasattr(mudata, "set_options")
        else nullcontext()
    )
    with copies_nothing, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(var_|Variable )names are not unique")
        yield


def read_h5(path: str | Path, reader: Callable) -> AnnData | MuData | Modalities:
    """Read with `reader`; HDF5's own complaints become one sentence with the file's name."""
    if not Path(path).is_file():
        raise ContractError(f"{path}: no such file")
    try:
        return reader(path)
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ContractError(
            f"{path}: cannot be read as HDF5, it is truncated or of another kind ({reason})"
        ) from error
