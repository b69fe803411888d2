"""Digests in the place of imputed values, for a run that keeps a small model which gives the values again.

They stand in ``imputed.h5mu``, which then has no modality: ``uns["mosaicbench"]["digests"]``, the ``directions`` and the
``sha256`` of each, ``uns["moments"]``, direction -> mean and standard deviation of each feature, (2, features), and
``uns["draws"]``, direction -> draws, as of :mod:`.runs`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import KEY, Modalities, read_modalities
from mosaicbench.files.place import check_place
from mosaicbench.files.runs import DIGESTS, DRAWS, WHOSE

MOMENTS = "moments"  # the key of .uns
ROUNDING = 1e-4  # of a feature's mean and standard deviation added up: float32 rounds by 6e-8, other cells change more


@dataclass(frozen=True)
class Digests:
    """What a run says of imputed values that it does not keep.

    Attributes
    ----------
    digests
        Direction -> :func:`digest_of_values`, in their order.
    moments
        Direction -> :func:`moments_of_values`.
    draws
        Direction -> what ``uns["draws"]`` of imputed values holds, of those that have some.
    """

    digests: dict[str, str]
    moments: dict[str, np.ndarray]
    draws: dict[str, dict]

    def are_of(self, direction: str, x: np.ndarray) -> bool:
        """Return whether these are the values of a direction, to the last bit."""
        return digest_of_values(x) == self.digests[direction]

    def are_nearly_of(self, direction: str, x: np.ndarray) -> bool:
        """Return whether these are the values of a direction but for rounding, as far as means and deviations tell."""
        then, now = self.moments[direction], moments_of_values(x)
        allowed = ROUNDING * np.abs(then).sum(axis=0) + np.finfo(np.float32).tiny
        return then.shape == now.shape and bool((np.abs(now - then) <= allowed).all())


def digest_of_values(x: np.ndarray) -> str:
    """Return the sha256 of an array: of its type, its shape and every bit of it."""
    x = np.ascontiguousarray(x)
    return hashlib.sha256(f"{x.dtype.str} {x.shape} ".encode() + x.data.cast("B")).hexdigest()


def moments_of_values(x: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation of each feature, (2, features)."""
    return np.stack([x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)])


def digested(imputed: Modalities) -> Modalities:
    """Return what stands in the place of imputed values: their digests and moments, and their draws as they are."""
    digests = [digest_of_values(cells.X) for cells in imputed.mod.values()]
    lists = {
        "directions": list(imputed.mod),
        "sha256": digests,
    }  # an HDF5 file would sort the keys of a dict
    said = imputed.uns[KEY] | {
        DIGESTS: {name: np.array(texts, dtype=object) for name, texts in lists.items()}
    }
    moments = {direction: moments_of_values(cells.X) for direction, cells in imputed.mod.items()}
    draws = {
        direction: cells.uns[DRAWS]
        for direction, cells in imputed.mod.items()
        if DRAWS in cells.uns
    }
    return Modalities({}, {KEY: said, MOMENTS: moments, DRAWS: draws})


def read_digests(path: str | Path, place: Mapping) -> Digests:
    """Read the digests of a run's imputed values; `place` is the run's record.

    Raises
    ------
    ContractError
        When the file holds none, or is of another dataset, scenario, run or seed.
    """
    table = read_modalities(path, "imputed")
    check_place(path, table.uns[KEY], {key: place[key] for key in WHOSE})
    if DIGESTS not in table.uns[KEY]:
        raise ContractError(
            f"{path}: holds values, but beside it lies the model that would stand in their place; delete the run's folder and "
            "run again"
        )
    told = table.uns[KEY][DIGESTS]
    digests = dict(zip(told["directions"], told["sha256"], strict=True))
    return Digests(digests, dict(table.uns[MOMENTS]), dict(table.uns.get(DRAWS, {})))
