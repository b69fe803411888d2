"""The oracle: a perfect answer, built from the solution, that pins the best end of every scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.view import Cells, Truth, View

CARD = {
    "label": "Oracle",
    "kind": "control",
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": ("solution", "labels"),
    "gives": ("joint", "single", "impute", "draws"),
    "claims": ("aligns", "imputes", "random"),
    "summary": "Knows the solution: one latent per cell in every modality, cell types far apart, the true values imputed; "
    "the truth is hidden among draws that differ from it by known noise, so that their calibration is right by construction.",
    "deviates": "",
}

DRAWN_SD = 0.1  # of that noise, in standard deviations of the train cells


@dataclass(kw_only=True)
class Oracle:
    """A latent is the cell's type, one-hot, beside a little noise that is the cell's own."""

    noise: Annotated[int, "at least 0"] = 8

    def reveal(self, truth: Truth) -> None:
        """Receive the solution, before `fit`."""
        self.truth = truth

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Give every query cell its own noise."""
        known = [block.labels for block in train.blocks] + [self.truth.labels]
        self.types = np.unique(np.concatenate(known).astype(str))
        self.own = 0.1 * np.random.default_rng(seed).standard_normal(
            (len(self.truth.labels), self.noise)
        )
        self.random = np.random.default_rng(seed)
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return type and noise, (cells, types + noise)."""
        rows = self.rows_of(cells)
        if rows is None:
            labels, own = cells.labels, 0.1 * self.random.standard_normal((len(cells), self.noise))
        else:
            labels, own = self.truth.labels[rows], self.own[rows]
        return np.concatenate([labels.astype(str)[:, None] == self.types, own], axis=1)

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the true values, (cells, features), standardised; the train mean, 0, of cells that have none."""
        return self.truth.values[target][self.rows_of(cells)]

    def draw(
        self, cells: Cells, target: str, features: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Return draws around a centre around which the truth is a draw, too, (cells, features, draws), standardised."""
        random, truth = (
            np.random.default_rng([seed, 2]),
            self.truth.values[target][self.rows_of(cells)][:, features],
        )
        centre = truth + DRAWN_SD * random.standard_normal(truth.shape)
        return centre[:, :, None] + DRAWN_SD * random.standard_normal((*truth.shape, draws))

    def rows_of(self, cells: Cells) -> np.ndarray | None:
        """Return whose truth is told of each query cell, (cells,); None for train cells."""
        return self.truth.rows_of(cells)
