"""Ridge: a linear map from each modality to each other one, its penalty chosen by leave-one-out on the train cells."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from mosaicbench.methods._pairs import paired_cells
from mosaicbench.view import Cells, View

CARD = {
    "label": "Ridge",
    "kind": "baseline",
    "paper": "Hoerl & Kennard 1970",
    "doi": "10.1080/00401706.1970.10488634",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs",),
    "gives": ("impute",),
    "claims": ("imputes",),
    "summary": "Ridge regression from the source's principal components to every feature of the target.",
    "deviates": "The regression reads `components` principal components of the source, which keeps it fast on wide modalities. "
    "Of a mosaic, the train cells that show both modalities of a direction.",
}


@dataclass(kw_only=True)
class Ridge:
    """One regression per direction."""

    components: Annotated[int, "at least 1"] = 100

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Fit every direction on the cells in which both its modalities were measured."""
        self.regression = {}
        for source, target in permutations(train.modalities, 2):
            cells = paired_cells(train, source, target)
            components = min(self.components, min(cells.values[source].shape) - 1)
            regression = make_pipeline(PCA(components, random_state=seed), RidgeCV(alphas=np.logspace(-1, 5, 13)))
            self.regression[source, target] = regression.fit(cells.values[source], cells.values[target])
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the prediction from what is observed, averaged over sources, (cells, features), standardised."""
        return np.mean([self.regression[source, target].predict(x) for source, x in cells.values.items()], axis=0)
