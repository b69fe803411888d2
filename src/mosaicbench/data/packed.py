"""Small datasets that travel with the package: one ``.npz`` each, read without pickle, the same bytes whenever it is rebuilt.

A member of the archive is an array of whole numbers, or UTF-8 text (uint8, one name a line). A matrix of counts has three:
``shape`` (cells, features); ``gaps``, the distances between its non-zero places read feature by feature, the first from -1; and
``counts``, what stands there, each in the narrowest type that holds it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from mosaicbench.errors import UserError

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can state: no clock has a part in the bytes


def packed(members: dict[str, np.ndarray]) -> bytes:
    """Return an archive of `members`, the same for the same arrays, whatever the time and the order they are given in."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            entry.compress_type, entry.create_system = zipfile.ZIP_LZMA, 3
            plain = io.BytesIO()
            np.lib.format.write_array(plain, np.ascontiguousarray(members[name]), version=(1, 0), allow_pickle=False)
            archive.writestr(entry, plain.getvalue())
    return whole.getvalue()


def unpacked(path: Path) -> dict[str, np.ndarray]:
    """Return the members of an archive.

    Raises
    ------
    UserError
        When the file is absent or no such archive.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise UserError(f"{path}: this file is part of mosaicbench, but absent; install the package again") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not the file that mosaicbench ships ({error}); install the package again") from error


def counts_packed(name: str, counts: sparse.spmatrix | np.ndarray) -> dict[str, np.ndarray]:
    """Return the members ``{name}.shape``, ``{name}.gaps`` and ``{name}.counts`` of a matrix, (cells, features).

    Raises
    ------
    ValueError
        When a value is no count.
    """
    by_feature = sparse.csc_matrix(counts)
    by_feature.sum_duplicates()
    by_feature.eliminate_zeros()
    values = by_feature.data
    if np.any(values < 0) or np.any(values != np.round(values)):
        raise ValueError(f"{name}: counts are whole numbers of at least 0")
    columns = np.repeat(np.arange(by_feature.shape[1], dtype=np.int64), np.diff(by_feature.indptr))
    places = columns * by_feature.shape[0] + by_feature.indices
    return {
        f"{name}.shape": np.array(by_feature.shape, dtype="<u4"),
        f"{name}.gaps": _narrow(np.diff(places, prepend=-1)),
        f"{name}.counts": _narrow(values.astype(np.int64)),
    }


def counts_unpacked(name: str, members: dict[str, np.ndarray]) -> sparse.csr_matrix:
    """Return the matrix that :func:`counts_packed` packed, (cells, features) float32."""
    cells, features = (int(length) for length in members[f"{name}.shape"])
    places = np.cumsum(members[f"{name}.gaps"], dtype=np.int64) - 1
    values = members[f"{name}.counts"].astype(np.float32)
    return sparse.csr_matrix((values, (places % cells, places // cells)), shape=(cells, features))


def text_packed(lines: Sequence[str]) -> np.ndarray:
    """Return names as UTF-8, a line each.

    Raises
    ------
    ValueError
        When a name holds the end of a line.
    """
    if any("\n" in line for line in lines):
        raise ValueError("a name holds the end of a line")
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def text_unpacked(member: np.ndarray) -> list[str]:
    """Return the names that :func:`text_packed` packed."""
    return member.tobytes().decode().split("\n")


def _narrow(values: np.ndarray) -> np.ndarray:
    """Return whole numbers of at least 0 in the narrowest little-endian type that holds them."""
    top = int(values.max(initial=0))
    return values.astype(next(kind for kind in ("<u1", "<u2", "<u4", "<u8") if top <= np.iinfo(kind).max))
