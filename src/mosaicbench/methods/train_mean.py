"""The train mean: the imputation that looks at no cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mosaicbench.view import Cells, View

CARD = {
    "label": "Train mean",
    "kind": "control",
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": (),
    "gives": ("impute", "draws"),
    "claims": (),
    "summary": "Imputes the mean profile of the train cells into every cell: the zero of every skill. All its draws "
    "are that mean, so no interval has any width: what a collapsed prediction looks like.",
    "deviates": "",
}


@dataclass(kw_only=True)
class TrainMean:
    """Zero in standardised values is the mean of the train cells."""

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Note the numbers of features."""
        self.features = train.features
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean profile for every cell, (cells, features), standardised."""
        return np.zeros((len(cells), self.features[target]), dtype=np.float32)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return the mean profile as every draw, (cells, features, draws), standardised."""
        return np.zeros((len(cells), len(features), draws), dtype=np.float32)
