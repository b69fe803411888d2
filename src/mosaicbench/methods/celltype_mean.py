"""The cell-type mean: the imputation that knows a cell's true type and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mosaicbench.view import Cells, Truth, View

CARD = {
    "label": "Cell-type mean",
    "kind": "control",
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": ("solution", "labels"),
    "gives": ("impute", "draws"),
    "claims": (),
    "summary": "Imputes the mean profile of the train cells of the query cell's true type: zero of its skill. Its draws are "
    "values of those cells.",
    "deviates": "",
}


@dataclass(kw_only=True)
class CelltypeMean:
    """The mean of the train cells of each type; zero, the mean of all of them, where a type is unknown or has none."""

    def reveal(self, truth: Truth) -> None:
        """Receive the solution, before `fit`."""
        self.truth = truth

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Take the mean of each type and modality over the train cells in which the modality was observed."""
        self.features, self.means, self.cells = train.features, {}, {}
        for modality in train.modalities:
            cells = train.observing(modality)
            types = cells.labels.astype(str)
            x = cells.values[modality]
            self.cells[modality] = (x, types)
            self.means[modality] = {
                name: x[types == name].mean(axis=0) for name in np.unique(types) if name
            }
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean profile of each cell's true type, (cells, features), standardised."""
        labels = self._labels(cells)
        everywhere = np.zeros(self.features[target], dtype=np.float32)
        return np.array(
            [self.means[target].get(label, everywhere) for label in labels], dtype=np.float32
        )

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return values of train cells of each cell's true type, (cells, features, draws), standardised."""
        random, (x, types) = np.random.default_rng(seed), self.cells[target]
        values, labels = x[:, features], self._labels(cells)
        found = np.empty((len(cells), len(features), draws), dtype=np.float32)
        for label in np.unique(labels.astype(str)):
            mine = np.flatnonzero(labels == label)
            alike = (
                np.flatnonzero(types == label)
                if label in self.means[target]
                else np.arange(len(types))
            )
            found[mine] = np.moveaxis(values[random.choice(alike, (len(mine), draws))], 1, 2)
        return found

    def _labels(self, cells: Cells) -> np.ndarray:
        """Return the cells' true types, "" where unknown."""
        return self.truth.labels[self.truth.rows_of(cells)]
