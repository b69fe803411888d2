"""What all HDF5 files share: the noun that each says about itself, and one sentence where one cannot be read."""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections.abc import Iterator, Mapping
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
LARGE = 2**22  # bytes from which on a file is worth compressing
GZIP = {
    "compression": "gzip",
    "compression_opts": 1,
}  # higher levels save a tenth more, and take twice as long to write
LONGEST = 128  # bytes of a text up to which all are made as long
PIECE = 2**16  # numbers on which a way to store them is tried
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


def write_mudata(path: str | Path, thing: MuData) -> None:
    """Write an ``.h5mu`` whole or not at all."""
    with whole_file(path, size_of(*thing.mod.values())) as temporary, quiet_mudata():
        thing.write_h5mu(temporary)


@contextmanager
def whole_file(path: str | Path, size: int) -> Iterator[Path]:
    """Give a path to which an HDF5 file of about `size` bytes is written, whole or not at all; a large one is packed."""
    with atomic(path, size=size) as temporary:
        yield temporary
        if size >= LARGE:
            _pack(temporary)


def _pack(path: Path) -> None:
    """Write an HDF5 file anew, compressed without loss.

    Texts get one length, since HDF5 compresses none of various lengths. What is there twice, such as the places of counts and
    of the values that are made of them, is written once, under both names.
    """
    with path.open("rb") as file, h5py.File(path) as loose:
        head = file.read(loose.userblock_size)  # in which MuData names itself
        path.unlink()  # the name is free; what it named lasts until it is closed
        with h5py.File(path, "w", userblock_size=len(head)) as packed:
            _pack_group(loose, packed, {})
    with path.open("r+b") as file:
        file.write(head)


def _pack_group(loose: h5py.Group, packed: h5py.Group, written: dict[tuple, h5py.Dataset]) -> None:
    """Write what is in a group; `written` holds the arrays that are there already, by :func:`_key_of`."""
    packed.attrs.update(loose.attrs)
    for name, part in loose.items():
        if isinstance(part, h5py.Group):
            _pack_group(part, packed.create_group(name), written)
        elif (
            part.ndim == 0 or part.size == 0 or (array := _array_of(part)).dtype.itemsize > LONGEST
        ):
            loose.copy(part, packed, name)
        elif (key := _key_of(array, part.attrs)) in written:
            packed[name] = written[key]
        else:
            packed.create_dataset(
                name, data=array, dtype=array.dtype, shuffle=_is_smaller_shuffled(array), **GZIP
            )
            packed[name].attrs.update(part.attrs)
            written[key] = packed[name]


def _key_of(array: np.ndarray, attributes: Mapping) -> tuple:
    """Return what two arrays have in common where they and their attributes are equal, and else not."""
    digest = hashlib.sha256(np.ascontiguousarray(array)).digest()
    return (
        array.dtype,
        array.shape,
        digest,
        *sorted((name, str(value)) for name, value in attributes.items()),
    )


def _array_of(part: h5py.Dataset) -> np.ndarray:
    """Return numbers as they are, texts as bytes of the longest one's length."""
    if h5py.check_string_dtype(part.dtype) is None:
        return part[()]
    texts = part[()].astype("S")
    return texts.astype(h5py.string_dtype(length=texts.dtype.itemsize))


def _is_smaller_shuffled(array: np.ndarray) -> bool:
    """Return whether a piece takes less where all first bytes of its numbers come first, then all second ones, and so on."""
    piece = np.ascontiguousarray(array).reshape(-1)[:PIECE]
    as_bytes = piece.view(np.uint8).reshape(len(piece), -1)
    plain, shuffled = (len(zlib.compress(each.tobytes(), 1)) for each in (as_bytes, as_bytes.T))
    return shuffled < plain


def size_of(*parts: AnnData) -> int:
    """Return about how many bytes these take in a file."""
    size = STRUCTURE
    for part in parts:
        size += 64 * (
            part.n_obs * (1 + part.obs.shape[1]) + part.n_vars * (1 + part.var.shape[1])
        )  # names and columns
        matrices = [
            part.X,
            *part.layers.values(),
            *part.obsm.values(),
            *part.varm.values(),
            *part.varp.values(),
        ]
        for matrix in matrices:
            arrays = (
                [matrix.data, matrix.indices, matrix.indptr]
                if scipy.sparse.issparse(matrix)
                else [matrix]
            )
            size += sum(getattr(array, "nbytes", 0) for array in arrays)
    return size


def write_modalities(path: str | Path, thing: Modalities) -> None:
    """Write an ``.h5mu`` whole or not at all."""
    import mudata

    with quiet_mudata():
        whole = mudata.MuData(thing.mod)
    whole.uns.update(thing.uns)
    write_mudata(path, whole)


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
        warnings.filterwarnings("ignore", message="var_names are not unique")
        yield


def read_h5(path: str | Path, reader: object) -> AnnData | MuData | Modalities:
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
