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
    "gives": ("joint", "single", "impute"),
    "claims": ("aligns", "imputes", "random"),
    "summary": "Knows the solution: one latent per cell in every modality, cell types far apart, the true values imputed.",
    "deviates": "",
}


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
        self.own = 0.1 * np.random.default_rng(seed).standard_normal((len(self.truth.labels), self.noise))
        self.random = np.random.default_rng(seed)
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return type and noise, (cells, types + noise)."""
        rows = self._rows(cells)
        if rows is None:
            labels, own = cells.labels, 0.1 * self.random.standard_normal((len(cells), self.noise))
        else:
            labels, own = self.truth.labels[rows], self.own[rows]
        return np.concatenate([labels.astype(str)[:, None] == self.types, own], axis=1)

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the true values, (cells, features), standardised."""
        return self.truth.values[target][self._rows(cells)]

    def _rows(self, cells: Cells) -> np.ndarray | None:
        """Return the numbers of query cells, None for train cells."""
        if cells.names[0] not in self.truth.rows:
            return None
        return np.array([self.truth.rows[name] for name in cells.names])
