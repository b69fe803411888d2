"""What metrics are called with: needs and their values, for one run, source, pair of modalities or direction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NoReturn

import numpy as np

from mosaicbench.metrics._checks import NotApplicable, Undefined


@dataclass(frozen=True)
class MetricInputs:
    """What metrics are called with.

    Attributes
    ----------
    direction
        "run", a source of latents, or a direction: "rna->adt".
    normalization
        That of the target of an imputation, else "-".
    needs
        need -> its value, or a function that computes the value.
    of_run
        The same, for needs that belong to the run, of the same cells.
    features
        (features,) names of the imputed features.
    rows
        (cells,) places among the query cells; None: all, in order.
    matched_by_type
        need -> its value for a metric that needs no partners; {} where cells have partners.
    """

    direction: str
    normalization: str
    needs: dict[str, object]
    of_run: dict[str, object]
    features: Sequence[str] = ()
    rows: np.ndarray | None = None
    matched_by_type: dict[str, object] = field(default_factory=dict)

    def suit(self, needs: Collection[str]) -> bool:
        """Say whether all needs of a metric are met, at least one by this direction itself."""
        met_here = bool(set(needs) & set(self.needs)) or not self.needs
        return met_here and set(needs) <= set(self.needs) | set(self.of_run)

    def values(self, needs: Collection[str], *, partners: bool = True) -> dict[str, object]:
        """Return need -> value, for a metric that needs partners or for one that does not."""
        known = self.of_run | self.needs | ({} if partners else self.matched_by_type)
        return {need: known[need]() if callable(known[need]) else known[need] for need in needs}


def without_partners(source: str, target: str) -> Callable[[], NoReturn]:
    """Return a function that raises `NotApplicable`, as the value of a need of two modalities."""

    def refuse() -> NoReturn:
        raise NotApplicable(f"no query cell was measured in both {source} and {target}")

    return refuse


def matched_by_type(
    latent_a: np.ndarray, latent_b: np.ndarray, labels_a: np.ndarray, labels_b: np.ndarray
) -> dict[str, Callable[[], np.ndarray]]:
    """Match query cells across two modalities by type: draw equally many cells of each type.

    Row i of both results has one type ("" is a type), so that the modalities differ in nothing but
    themselves. If one modality has no label, draw from all of its cells; `labels` is then undefined.

    Parameters
    ----------
    latent_a, latent_b
        (cells, latent) of the query cells of either modality.
    labels_a, labels_b
        (cells,) their types, "" where unknown.

    Returns
    -------
    dict
        Functions that return `latent_a`, `latent_b` and `labels` of the matched cells.
    """
    are_labelled = all(np.any(labels != "") for labels in (labels_a, labels_b))

    @cache
    def drawn() -> list[np.ndarray]:
        sides = [
            labels.astype(str) if are_labelled else np.zeros(len(labels), dtype=str)
            for labels in (labels_a, labels_b)
        ]
        sizes = {
            name: min(np.sum(types == name) for types in sides) for name in np.intersect1d(*sides)
        }
        return [_drawn(types, sizes) for types in sides]

    def labels() -> np.ndarray:
        if not are_labelled:
            raise Undefined("the cell types of one of the modalities are not known")
        types = labels_a[drawn()[0]]
        if not np.any(types != ""):
            raise Undefined("the modalities have no known cell type in common")
        return types

    return {
        "latent_a": lambda: latent_a[drawn()[0]],
        "latent_b": lambda: latent_b[drawn()[1]],
        "labels": labels,
    }


def _drawn(types: np.ndarray, sizes: dict[str, int]) -> np.ndarray:
    random = np.random.default_rng(0)
    rows = [
        random.permutation(np.flatnonzero(types == name))[:size] for name, size in sizes.items()
    ]
    return np.concatenate([np.zeros(0, dtype=int), *rows])
