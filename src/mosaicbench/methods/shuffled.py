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
    "gives": ("joint", "single", "impute"),
    "claims": ("random",),
    "summary": "The oracle's latents and values, permuted among the query cells of each modality: whatever is not chance "
    "here is a property of the metric or of the data's marginals.",
    "deviates": "",
}


@dataclass(kw_only=True)
class Shuffled(Oracle):
    """Every call permutes the query cells anew."""

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Prepare the oracle and the permutations."""
        self.permutations = np.random.default_rng([seed, 1])
        return super().fit(train, seed)

    def _rows(self, cells: Cells) -> np.ndarray | None:
        rows = super()._rows(cells)
        return None if rows is None else self.permutations.permutation(rows)
