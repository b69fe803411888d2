"""The label oracle: perfect cell types and not a word more; what a score gives for labels alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mosaicbench.view import Cells, Truth, View

CARD = {
    "label": "Label oracle",
    "kind": "control",
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": ("solution", "labels"),
    "gives": ("joint", "single"),
    "claims": (),
    "summary": "All cells of a type share one latent: FOSCTTM is the label floor, and 0.5 within a type.",
    "deviates": "",
}


@dataclass(kw_only=True)
class LabelOracle:
    """A latent is the cell's true type, one-hot."""

    def reveal(self, truth: Truth) -> None:
        """Receive the solution, before `fit`."""
        self.truth = truth

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Learn which types there are; an unknown type, "", is one of them."""
        known = [block.labels for block in train.blocks] + [self.truth.labels]
        self.types = np.unique(np.concatenate(known).astype(str))
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the type, (cells, types)."""
        rows = self.truth.rows_of(cells)
        labels = cells.labels if rows is None else self.truth.labels[rows]
        return (labels.astype(str)[:, None] == self.types).astype(float)
