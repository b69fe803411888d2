"""A constant latent: what total collapse looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.view import Cells, View

CARD = {
    "label": "Constant latent",
    "kind": "control",
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": (),
    "gives": ("joint", "single"),
    "claims": (),
    "summary": "The same latent for every cell: FOSCTTM 0.5 because ties count half; its status must read collapsed.",
    "deviates": "",
}


@dataclass(kw_only=True)
class Constant:
    """Zeros."""

    latent: Annotated[int, "at least 1"] = 20

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Learn nothing."""
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return zeros, (cells, latent)."""
        return np.zeros((len(cells), self.latent))
