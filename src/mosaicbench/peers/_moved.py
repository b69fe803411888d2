"""For packages that place only train cells: any cell takes the mean place of its nearest ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from mosaicbench.contract import Cells, Split
from mosaicbench.methods.linked import LinksBaseline, mean_of_nearest, nearest


@dataclass(kw_only=True)
class Moved(LinksBaseline):
    """`align` of a subclass sets the places of train cells: `moved`, modality -> (cells, latent)."""

    def drawn(self, shown: Split, most: int, seed: int) -> dict[str, Cells]:
        """Draw at most `most` train cells of each modality, and index them by their values."""
        random, cells = np.random.default_rng(seed), {}
        for modality in shown.modalities:
            x = shown.observing(modality)
            cells[modality] = x.take(np.sort(random.permutation(len(x))[:most]))
        self.index_places({m: x.values[m] for m, x in cells.items()})
        return cells

    def index_places(self, values: dict[str, np.ndarray]) -> None:
        """Index the train cells that have places by their values, modality -> (cells, features)."""
        self.near = {modality: nearest(x, self.neighbors) for modality, x in values.items()}

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the mean place of the nearest train cells that have one, (cells, latent)."""
        (modality,) = cells.modalities
        return mean_of_nearest(self.near[modality], cells.values[modality], self.moved[modality])


def components(x: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return the leading principal components of (cells, features), (cells, components)."""
    pca = PCA(min(most, *(size - 1 for size in x.shape)), random_state=seed)
    return pca.fit_transform(x).astype(np.float64)
