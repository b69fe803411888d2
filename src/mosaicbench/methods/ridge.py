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
    "gives": ("impute", "draws"),
    "claims": ("imputes",),
    "summary": "Ridge regression from the source's principal components to every feature of the target; draws add the "
    "residual of a train cell that the regression was not fitted on.",
    "deviates": "The regression reads `components` principal components of the source, which keeps it fast on wide modalities. "
    "Of a mosaic, the train cells that show both modalities of a direction. Residuals are those of leaving one cell out of "
    "the regression, with the same penalty and components.",
    "space": {
        "components": {"int": [20, 300], "log": True},
    },
}

RESIDUALS = 500  # train cells of each direction whose residuals are kept


@dataclass(kw_only=True)
class Ridge:
    """One regression per direction."""

    components: Annotated[int, "at least 1"] = 100

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Fit every direction on the cells in which both its modalities were measured."""
        self.regression, self.residuals = {}, {}
        random = np.random.default_rng([seed, 1])
        for source, target in permutations(train.modalities, 2):
            cells = paired_cells(train, source, target)
            components = min(self.components, min(cells.values[source].shape) - 1)
            regression = make_pipeline(PCA(components, random_state=seed), RidgeCV(alphas=np.logspace(-1, 5, 13)))
            self.regression[source, target] = regression.fit(cells.values[source], cells.values[target])
            rows = random.permutation(len(cells))[:RESIDUALS]
            self.residuals[source, target] = left_out_residuals(
                *regression, cells.values[source], cells.values[target], rows
            ).astype(np.float32)
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the prediction from what is observed, averaged over sources, (cells, features), standardised."""
        return np.mean([self.regression[source, target].predict(x) for source, x in cells.values.items()], axis=0)

    def draw(self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Return the prediction plus residuals of train cells drawn at random, (cells, features, draws), standardised."""
        (source,) = cells.modalities
        residuals = self.residuals[source, target][:, features]
        rows = np.random.default_rng(seed).integers(len(residuals), size=(len(cells), draws))
        return self.impute(cells, target)[:, features, None] + np.moveaxis(residuals[rows], 1, 2)


def left_out_residuals(components: PCA, linear: RidgeCV, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return what the regression misses of cells when it is fitted on all others, (rows, features), without fitting it anew.

    Parameters
    ----------
    components, linear
        Fitted on x and y; the penalty and the components stay what they are.
    x, y
        (cells, features) of source and target.
    rows
        The cells whose residuals are wanted.
    """
    z = components.transform(x)
    centred = z - z.mean(axis=0)  # (cells, components)
    penalised = centred.T @ centred + linear.alpha_ * np.eye(z.shape[1])
    leverage = 1 / len(z) + np.einsum("ij,ji->i", centred[rows], np.linalg.solve(penalised, centred[rows].T))
    return (y[rows] - linear.predict(z[rows])) / (1 - leverage)[:, None]
