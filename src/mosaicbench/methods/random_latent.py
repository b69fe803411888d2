"""Random latents: what no information looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.view import Cells, View

CARD = {
    "label": "Random latent",
    "kind": "control",
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": (),
    "gives": ("joint", "single"),
    "claims": ("random",),
    "summary": "Standard normal noise for every cell and source: FOSCTTM 0.5, label transfer at chance.",
    "deviates": "",
}


@dataclass(kw_only=True)
class RandomLatent:
    """Draws anew at every call."""

    latent: Annotated[int, "at least 1"] = 20

    def fit(self, train: View, seed: int) -> list[dict[str, float]]:
        """Start the generator."""
        self.random = np.random.default_rng(seed)
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return noise, (cells, latent)."""
        return self.random.standard_normal((len(cells), self.latent))
