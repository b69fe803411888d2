"""kNN: a cell's absent modality is the mean of that modality over the most similar train cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.neighbors import NearestNeighbors

from mosaicbench.contract import Cells, History, Split
from mosaicbench.methods._pairs import paired_cells
from mosaicbench.methods.linear import components_of

CARDS = {
    "knn_impute": {
        "label": "kNN",
        "kind": "baseline",
        "scenarios": ("paired", "mosaic"),
        "inputs": ("pairs",),
        "summary": "Imputes the mean of the target over the 20 nearest train cells in the source's principal components; a draw is "
        "the value of one of them.",
        "deviates": "Of a mosaic, the train cells that show all modalities.",
        "space": ("neighbors", "components"),
    },
}

AT_ONCE = 1024  # cells whose neighbours' values are held together


@dataclass(kw_only=True)
class KNNImpute:
    """Euclidean neighbours among paired train cells, in the source's principal components."""

    neighbors: Annotated[int, "at least 1", {"int": [5, 100], "log": True}] = 20
    components: Annotated[int, "at least 1", {"int": [10, 100], "log": True}] = 30

    def fit(self, train: Split, seed: int) -> History:
        """Keep the paired train cells and index each modality."""
        cells = paired_cells(train, *train.modalities)
        self.values = cells.values
        self.pca, self.index = {}, {}
        for modality, x in cells.values.items():
            pca = components_of(x, self.components, seed).fit(x)
            neighbors = min(self.neighbors, len(cells))
            index = NearestNeighbors(n_neighbors=neighbors, algorithm="brute")
            self.pca[modality], self.index[modality] = pca, index.fit(pca.transform(x))
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean over each observed modality's neighbours, (cells, features)."""
        neighbors, values = self._neighbors(cells), self.values[target]
        parts = [
            values[neighbors[first : first + AT_ONCE]].mean(axis=1)
            for first in range(0, len(neighbors), AT_ONCE)
        ]
        return np.concatenate(parts)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return values of neighbours drawn at random, (cells, features, draws)."""
        neighbors = self._neighbors(cells)
        drawn = np.random.default_rng(seed).integers(neighbors.shape[1], size=(len(cells), draws))
        rows = np.take_along_axis(neighbors, drawn, axis=1)  # (cells, draws)
        return np.moveaxis(self.values[target][:, features][rows], 1, 2)

    def _neighbors(self, cells: Cells) -> np.ndarray:
        neighbors = [
            self.index[m].kneighbors(self.pca[m].transform(x), return_distance=False)
            for m, x in cells.values.items()
        ]
        return np.concatenate(neighbors, axis=1)
