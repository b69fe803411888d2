"""For packages that place only train cells: any cell takes the mean place of its nearest ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
        self.index_places(cells)
        return cells

    def index_places(self, cells: dict[str, Cells]) -> None:
        """Index the train cells that have places by their values."""
        self.near = {m: nearest(x.values[m], self.neighbors) for m, x in cells.items()}

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the mean place of the nearest train cells that have one, (cells, latent)."""
        (modality,) = cells.modalities
        return mean_of_nearest(self.near[modality], cells.values[modality], self.moved[modality])
