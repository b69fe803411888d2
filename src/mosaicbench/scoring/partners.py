"""Query cells of two modalities: which are the same cell, and as many of each where none are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NoReturn

import numpy as np

from mosaicbench.metrics._checks import Undefined


class NoPartners(Undefined):
    """No query cell was measured in both modalities."""


def without_partners(source: str, target: str) -> Callable[[], NoReturn]:
    """Return what stands for a need that two modalities without a common query cell do not meet: it says so when asked."""

    def refuse() -> NoReturn:
        raise NoPartners(f"no query cell was measured in both {source} and {target}")

    return refuse


def common_rows(
    first: np.ndarray | None, second: np.ndarray | None, cells: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the cells that two sources have in common: rows in the first, rows in the second, places among all query cells.

    Parameters
    ----------
    first, second
        (rows,) places, ascending, among all query cells; None for all of them.
    cells
        Number of the query cells.

    Returns
    -------
    tuple of array, or None
        None where both have all query cells.
    """
    if first is None and second is None:
        return None
    every = np.arange(cells)
    both, in_first, in_second = np.intersect1d(
        every if first is None else first,
        every if second is None else second,
        assume_unique=True,
        return_indices=True,
    )
    return in_first, in_second, both


def matched_by_type(
    latent_a: np.ndarray,
    latent_b: np.ndarray,
    labels_a: np.ndarray | None,
    labels_b: np.ndarray | None,
) -> dict[str, Callable[[], np.ndarray]]:
    """Return needs of metrics that compare two modalities without knowing partners: as many cells of each type from either.

    Row i of both is of one type, a cell of unknown type beside another such, so that a difference between the modalities is no
    difference of composition. Where either side has no labels, cells are drawn whatever they are, and `labels` refuse.

    Parameters
    ----------
    latent_a, latent_b
        (cells, latent) of the query cells of either modality.
    labels_a, labels_b
        (cells,) their types, or None where no type is known.
    """
    known = all(labels is not None and np.any(labels != "") for labels in (labels_a, labels_b))

    @cache
    def drawn() -> tuple[np.ndarray, np.ndarray]:
        types_a, types_b = (
            labels.astype(str) if known else np.zeros(len(z), dtype=str)
            for z, labels in ((latent_a, labels_a), (latent_b, labels_b))
        )
        common = np.intersect1d(types_a, types_b)
        fewest = {name: min(np.sum(types_a == name), np.sum(types_b == name)) for name in common}
        return tuple(_drawn(types, fewest) for types in (types_a, types_b))

    def labels() -> np.ndarray:
        if not known:
            raise Undefined("the cell types of one of the modalities are not known")
        types = labels_a[drawn()[0]]
        if not np.any(types != ""):
            raise Undefined("the modalities have no known cell type in common")
        return types

    found = {"latent_a": lambda: latent_a[drawn()[0]], "latent_b": lambda: latent_b[drawn()[1]]}
    return found if labels_a is None else found | {"labels": labels}


def _drawn(types: np.ndarray, numbers: dict[str, int]) -> np.ndarray:
    """Return so many positions of each type, drawn at random; the same whichever modality is named first."""
    random = np.random.default_rng(0)
    rows = [
        random.permutation(np.flatnonzero(types == name))[:number]
        for name, number in numbers.items()
    ]
    return np.concatenate([np.zeros(0, dtype=int), *rows])
