"""Ridge: a regression from each modality to each other one, its penalty chosen by leave-one-out on the train cells.

Linear, or with a Gaussian kernel: then it is linear in the likeness exp(-gamma |c - l|^2) of a cell's principal components c
to those of so many landmarks l, which are train cells (Nyström's approximation); 1 / gamma is the median squared distance.
Source: Williams & Seeger 2000, "Using the Nyström method to speed up kernel machines".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Annotated, Literal

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline

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
    "deviates": "The regression reads `components` principal components of the source, which keeps it fast on wide modalities; "
    "`kernel: gaussian` makes it a kernel ridge regression on 300 landmarks. "
    "Of a mosaic, the train cells that show both modalities of a direction. Residuals are those of leaving one cell out of "
    "the regression, with the same penalty and components.",
    "space": {
        "components": {"int": [20, 300], "log": True},
    },
}

RESIDUALS = 500  # train cells of each direction whose residuals are kept
LANDMARKS = 300  # train cells that others are likened to by the kernel
MEASURED = 1000  # train cells of which the median distance is taken
PENALTIES = {"linear": np.logspace(-1, 5, 13), "gaussian": np.logspace(-3, 4, 15)}


@dataclass(kw_only=True)
class Ridge:
    """One regression per direction.

    Attributes
    ----------
    components
        Principal components of the source that are read.
    kernel
        "linear", or "gaussian".
    """

    components: Annotated[int, "at least 1"] = 100
    kernel: Literal["linear", "gaussian"] = "linear"

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Fit every direction on the cells in which both its modalities were measured."""
        self.regression, self.residuals = {}, {}
        random = np.random.default_rng([seed, 1])
        for source, target in permutations(train.modalities, 2):
            cells = paired_cells(train, source, target)
            regression = self._regression(cells.values[source], seed)
            self.regression[source, target] = regression.fit(
                cells.values[source], cells.values[target]
            )
            rows = random.permutation(len(cells))[:RESIDUALS]
            self.residuals[source, target] = left_out_residuals(
                regression, cells.values[source], cells.values[target], rows
            ).astype(np.float32)
        return []

    def _regression(self, x: np.ndarray, seed: int) -> Pipeline:
        """Return what is to be fitted to (cells, features) of a source and what was measured with them."""
        pca = PCA(min(self.components, min(x.shape) - 1), random_state=seed)
        linear = RidgeCV(alphas=PENALTIES[self.kernel])
        if self.kernel == "linear":
            return make_pipeline(pca, linear)
        measured = np.random.default_rng([seed, 2]).permutation(len(x))[:MEASURED]
        gamma = 1 / max(
            float(np.median(pdist(pca.fit_transform(x)[measured], "sqeuclidean"))),
            np.finfo(np.float32).eps,
        )
        return make_pipeline(
            pca,
            Nystroem(gamma=gamma, n_components=min(LANDMARKS, len(x)), random_state=seed),
            linear,
        )

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the prediction from what is observed, averaged over sources, (cells, features), standardised."""
        return np.mean(
            [self.regression[source, target].predict(x) for source, x in cells.values.items()],
            axis=0,
        )

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return the prediction plus residuals of train cells drawn at random, (cells, features, draws), standardised."""
        (source,) = cells.modalities
        residuals = self.residuals[source, target][:, features]
        rows = np.random.default_rng(seed).integers(len(residuals), size=(len(cells), draws))
        return self.impute(cells, target)[:, features, None] + np.moveaxis(residuals[rows], 1, 2)


def left_out_residuals(
    regression: Pipeline, x: np.ndarray, y: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return what the regression misses of cells when it is fitted on all others, (rows, features), without fitting it anew.

    Parameters
    ----------
    regression
        Fitted on x and y; the penalty, and all that comes before the linear map, stay what they are.
    x, y
        (cells, features) of source and target.
    rows
        The cells whose residuals are wanted.
    """
    z, linear = regression[:-1].transform(x), regression[-1]
    centred = z - z.mean(axis=0)  # (cells, components or landmarks)
    penalised = centred.T @ centred + linear.alpha_ * np.eye(z.shape[1])
    leverage = 1 / len(z) + np.einsum(
        "ij,ji->i", centred[rows], np.linalg.solve(penalised, centred[rows].T)
    )
    return (y[rows] - linear.predict(z[rows])) / (1 - leverage)[:, None]
