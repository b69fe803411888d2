"""What baselines on linked features share: no pair is used, and an absent modality is that of the nearest train cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.neighbors import NearestNeighbors

from mosaicbench.modeling.linked import one_modality_each
from mosaicbench.view import Cells, View


def nearest(x: np.ndarray, neighbors: int) -> NearestNeighbors:
    """Return an index of the rows of `x` that gives each query's Euclidean neighbours."""
    return NearestNeighbors(n_neighbors=min(neighbors, len(x)), algorithm="brute").fit(x)


def mean_of_nearest(index: NearestNeighbors, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of `values`, one row per indexed row, over the neighbours of each row of `x`."""
    return index.kneighbors_graph(x) @ values / index.n_neighbors


@dataclass(kw_only=True)
class LinksBaseline:
    """A latent from linked features; a method says in `align` how it is made, and in `embed` what it is.

    Attributes
    ----------
    latent
        Most dimensions of the latent.
    neighbors
        Train cells of the target whose mean is imputed.
    """

    latent: Annotated[int, "at least 1"] = 20
    neighbors: Annotated[int, "at least 1"] = 20

    def align(self, shown: View, seed: int) -> None:
        """Learn the latent from train cells of one modality each."""
        raise NotImplementedError

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the latents of cells of one modality, (cells, latent)."""
        raise NotImplementedError

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Align the modalities, and index the train cells of each."""
        shown = one_modality_each(train, seed)
        self.align(shown, seed)
        self.values, self.index = {}, {}
        for modality in train.modalities:
            cells = shown.observing(modality)
            self.values[modality] = cells.values[modality]
            self.index[modality] = nearest(self.embed(cells), self.neighbors)
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean of the target over the nearest train cells in which it was measured, (cells, features)."""
        return mean_of_nearest(self.index[target], self.embed(cells), self.values[target])
