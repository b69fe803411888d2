"""Shuffled partners: a perfect answer, given to the wrong cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mosaicbench.methods.oracle import Oracle
from mosaicbench.view import Cells, View

CARD = {
    "label": "Shuffled",
    "kind": "control",
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": ("solution", "labels"),
    "gives": ("joint", "single", "impute", "draws"),
    "claims": ("random",),
    "summary": "The oracle's latents and values, permuted among the query cells of each modality: whatever is not chance "
    "here is a property of the metric or of the data's marginals. Its draws are values of any query cells: calibrated, and of "
    "no cell in particular.",
    "deviates": "",
}


@dataclass(kw_only=True)
class Shuffled(Oracle):
    """Every call permutes the query cells anew."""

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Prepare the oracle and the permutations."""
        self.permutations = np.random.default_rng([seed, 1])
        return super().fit(train, seed)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return values of query cells drawn at random, (cells, features, draws), standardised."""
        values = self.truth.values[target][:, features]
        rows = np.random.default_rng([seed, 2]).integers(len(values), size=(len(cells), draws))
        return np.moveaxis(values[rows], 1, 2)

    def rows_of(self, cells: Cells) -> np.ndarray | None:
        """Return the query cells whose truth is told instead, (cells,); None for train cells."""
        rows = super().rows_of(cells)
        return None if rows is None else self.permutations.permutation(rows)
