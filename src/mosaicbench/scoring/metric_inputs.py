"""What metrics are asked about, and the draws of an imputation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Question:
    """What metrics are asked about.

    Attributes
    ----------
    about
        "run", a source of latents, or a direction: "rna->adt".
    space
        The value space of the target of an imputation, else "-".
    own
        need -> its value, or a function that computes it once, when it is first asked for.
    common
        The same, of needs that belong to the run, for the same cells.
    features
        (features,) names of those that the question is about.
    rows
        (cells,) places among the query cells of those that it is about; None: all, in order.
    companions
        need -> its value for a metric that needs no partners; {} where cells have partners.
    """

    about: str
    normalization: str
    own: dict[str, object]
    common: dict[str, object]
    features: Sequence[str] = ()
    rows: np.ndarray | None = None
    matched_by_type: dict[str, object] = field(default_factory=dict)

    def suits(self, needs: Collection[str]) -> bool:
        """Say whether a metric with these needs is to be asked: all are met, one at least by this question itself."""
        met_here = bool(set(needs) & set(self.own)) or not self.own
        return met_here and set(needs) <= set(self.own) | set(self.common)

    def values(self, needs: Collection[str], *, partners: bool = True) -> dict[str, object]:
        """Return need -> value, for a metric that needs partners or for one that does not."""
        known = self.common | self.own | ({} if partners else self.matched_by_type)
        return {need: known[need]() if callable(known[need]) else known[need] for need in needs}


@dataclass(frozen=True)
class Drawn:
    """Draws of an imputation, of a sample of query cells and features.

    Attributes
    ----------
    rows, columns
        (cells,) and (features,) their places among the source's query cells, and among the target's features.
    values
        (cells, features, draws), in the value space of the target.
    """

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
