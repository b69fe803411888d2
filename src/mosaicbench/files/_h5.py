"""What all HDF5 files share: what a file says about itself, atomic writing, one sentence on failure."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
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
LARGE = 2**22  # bytes from which compression is worth its time
GZIP = {"compression": "gzip", "compression_opts": 1}  # higher levels take twice as long to write
KEY = "mosaicbench"  # the key of .uns under which a file says what it is


@dataclass(frozen=True)
class Modalities:
    """The modalities of an ``.h5mu``, and what the file says about itself.

    A MuData would also list the cells and features of all modalities, which takes longer than to
    read.
    """

    mod: dict[str, AnnData]
    uns: dict

    def __getitem__(self, modality: str) -> AnnData:
        return self.mod[modality]


def check_noun(path: str | Path, thing: AnnData | MuData | Modalities, noun: str) -> None:
    """Refuse a file that says another noun about itself."""
    said = thing.uns.get(KEY, {}).get("noun")
    if said != noun:
        raise ContractError(
            f"{path}: expected a {noun} file, but it says {said or 'nothing'} about itself"
        )


def check_names(path: str | Path, modality: str, cells: AnnData) -> None:
    """Refuse a modality with duplicated names, or without cells or features."""
    for axis, names in (("cell", cells.obs_names), ("feature", cells.var_names)):
        if not names.is_unique:
            raise ContractError(
                f"{path}: duplicated {axis} names in modality {modality!r}, "
                f"e.g. {names[names.duplicated()][0]!r}"
            )
        if not len(names):
            raise ContractError(f"{path}: modality {modality!r} has no {axis}s")


def check_finite(path: str | Path, what: str, array: np.ndarray) -> None:
    """Refuse NaN and infinite values."""
    if not np.all(np.isfinite(array)):
        raise ContractError(f"{path}: {what!r} holds NaN or infinite values")


def write_h5(path: str | Path, thing: AnnData | MuData) -> None:
    """Write an ``.h5ad`` or ``.h5mu`` whole or not at all; a large one is compressed."""
    parts = thing.mod.values() if hasattr(thing, "mod") else [thing]
    size = STRUCTURE + sum(map(_bytes_of_values, parts))
    with atomic(path, size=size) as temporary, quiet_mudata():
        thing.write(temporary, **(GZIP if size >= LARGE else {}))


def _bytes_of_values(part: AnnData) -> int:
    matrices = (part.X, *part.layers.values(), *part.obsm.values(), *part.varm.values())
    return sum(8 * (m.nnz if scipy.sparse.issparse(m) else np.size(m)) for m in matrices)


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
    from anndata import AnnData
    from anndata.io import read_elem

    # Reading the empty parts, too, takes half as long again.
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
    """Keep mudata from copying columns between levels, and from warning of shared feature names."""
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


def without_values(file: str | Path) -> AnnData | SimpleNamespace:
    """Return an AnnData's tables of cells, features and ``obsm``; of a MuData mod, obs and uns.

    `file` is an HDF5 file or a ``.zarr`` folder.
    """
    if Path(file).is_dir():
        import zarr

        return _without_values(zarr.open_group(file, mode="r"))
    with h5py.File(file) as content:
        return _without_values(content)


def _without_values(group: Mapping) -> AnnData | SimpleNamespace:
    from anndata import AnnData
    from anndata.io import read_elem

    if "mod" in group:
        names = group["mod"].attrs.get("mod-order", group["mod"])
        return SimpleNamespace(
            mod={str(name): _without_values(group["mod"][name]) for name in names},
            obs=read_elem(group["obs"]),
            uns=read_elem(group["uns"]) if "uns" in group else {},
        )
    held = group.get("obsm", {})
    obsm = {key: read_elem(held[key]) for key in held if "column-order" in held[key].attrs}
    with quiet_mudata():
        return AnnData(obs=read_elem(group["obs"]), var=read_elem(group["var"]), obsm=obsm)


def read_h5(path: str | Path, reader: Callable) -> AnnData | MuData | Modalities:
    """Read with `reader`; an HDF5 error becomes one sentence with the file's name."""
    if not Path(path).is_file():
        raise ContractError(f"{path}: no such file")
    try:
        return reader(path)
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ContractError(
            f"{path}: cannot be read as HDF5, it is truncated or of another kind ({reason})"
        ) from error
