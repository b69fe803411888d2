"""Anchors alone: a cell stands where the cells of the reference modality stand that its likes are anchored to.

Anchors are mutual nearest neighbours, by cosine, on linked features of all train cells. Reference: Haghverdi et al. 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA

from mosaicbench.methods._links_baseline import LinksBaseline, mean_of_nearest, nearest
from mosaicbench.methods._weak_pairs import mutual_neighbors
from mosaicbench.modeling.linked import chain, linked
from mosaicbench.view import Cells, View

CARD = {
    "label": "Anchors on links",
    "kind": "baseline",
    "paper": "Haghverdi et al. 2018",
    "doi": "10.1038/nbt.4091",
    "handles": ("unpaired",),
    "uses": ("links",),
    "gives": ("single", "impute"),
    "claims": ("aligns", "imputes", "reconstructs"),
    "summary": "Mutual nearest neighbours on linked features, and nothing else: cells take the mean place of their anchors "
    "among the reference's principal components; imputes the mean of the nearest train cells.",
    "deviates": "The reference is the first modality of the dataset, of three the one that is linked with the others. No "
    "correction vectors, since modalities have no common space to correct in: a cell takes the mean over the `neighbors` "
    "anchored train cells that are nearest in its own modality's principal components.",
    "space": {
        "latent": {"int": [5, 50], "log": True},
        "neighbors": {"int": [5, 50], "log": True},
        "anchors": {"int": [5, 50], "log": True},
        "anchor_components": {"int": [10, 60], "log": True},
    },
}


@dataclass(kw_only=True)
class LinksMNN(LinksBaseline):
    """Principal components of the reference; of other modalities, the mean over anchors.

    Attributes
    ----------
    anchors
        How many of the other modality's cells count as near.
    anchor_components
        More linked features than this are projected on so many joint principal components before neighbours are sought.
    """

    anchors: Annotated[int, "at least 1"] = 20
    anchor_components: Annotated[int, "at least 1"] = 30

    def align(self, shown: View, seed: int) -> None:
        """Lay out each modality by itself, find anchors, and place the anchored cells."""
        order = chain(shown)
        self.reference = order[1] if len(order) > 2 else order[0]
        cells = {m: shown.observing(m) for m in shown.modalities}
        sizes = {m: min(self.latent, min(cells[m].values[m].shape) - 1) for m in cells}
        self.pca = {m: PCA(sizes[m], random_state=seed).fit(cells[m].values[m]) for m in cells}
        places = self.pca[self.reference].transform(cells[self.reference].values[self.reference])
        self.anchored, self.places = {}, {}
        for modality in set(cells) - {self.reference}:
            features = linked(shown, (modality, self.reference), components=self.anchor_components)
            own, other = (features.of(cells[m], m) for m in (modality, self.reference))
            mutual = mutual_neighbors(own, other, self.anchors)
            weight = np.asarray(mutual.sum(axis=1)).ravel()
            having = np.flatnonzero(weight)
            self.places[modality] = (mutual @ places)[having] / weight[having, None]
            self.anchored[modality] = nearest(
                self._own(cells[modality], modality)[having], self.neighbors
            )

    def embed(self, cells: Cells) -> np.ndarray:
        """Return places among the reference's principal components, (cells, latent)."""
        (modality,) = cells.modalities
        own = self._own(cells, modality)
        if modality == self.reference:
            return own
        return mean_of_nearest(self.anchored[modality], own, self.places[modality])

    def _own(self, cells: Cells, modality: str) -> np.ndarray:
        return self.pca[modality].transform(cells.values[modality])
