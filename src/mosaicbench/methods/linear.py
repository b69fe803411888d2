"""Linear: CCA's latents and ridge's imputed values, two linear maps that a user would take together.

The latents are those of ``cca``, the imputed values and draws those of ``ridge``, with the same hyperparameters and seed: one
method that answers every question, so that models are held against linear maps in the overall score, too.
Sources: Hotelling 1936; Hoerl & Kennard 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.methods.cca import CCA
from mosaicbench.methods.ridge import Ridge
from mosaicbench.view import Cells, View

CARD = {
    "label": "Linear",
    "kind": "baseline",
    "paper": "Hotelling 1936; Hoerl & Kennard 1970; Kettenring 1971",
    "doi": "10.1093/biomet/58.3.433",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs",),
    "gives": ("joint", "single", "impute", "draws"),
    "claims": ("aligns", "imputes"),
    "summary": "The latents of CCA and the imputed values of ridge regression, as one method.",
    "deviates": "As CCA and Ridge, which it runs. The values are not read off the latents: each direction has a regression of "
    "its own.",
    "space": {
        "latent": {"int": [5, 50], "log": True},
        "components": {"int": [10, 100], "log": True},
        "regression_components": {"int": [20, 300], "log": True},
    },
}


@dataclass(kw_only=True)
class Linear:
    """A CCA to embed with, and ridge regressions to impute with.

    Attributes
    ----------
    latent, components
        Canonical variates, and principal components of each modality that they are found in.
    regression_components
        Principal components of the source that a regression reads.
    """

    latent: Annotated[int, "at least 1"] = 20
    components: Annotated[int, "at least 1"] = 30
    regression_components: Annotated[int, "at least 1"] = 100

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Fit both on the cells in which the modalities that they relate were measured."""
        self.cca = CCA(latent=self.latent, components=self.components)
        self.ridge = Ridge(components=self.regression_components)
        return [*self.cca.fit(train, seed), *self.ridge.fit(train, seed)]

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the canonical variates, averaged over what is observed, (cells, latent)."""
        return self.cca.embed(cells)

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the regression's prediction, averaged over sources, (cells, features), standardised."""
        return self.ridge.impute(cells, target)

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return the prediction plus residuals of train cells drawn at random, (cells, features, draws), standardised."""
        return self.ridge.draw(cells, target, features, draws, seed)
