"""Harmony on linked features: the modality is a batch effect of one table of all cells.

Principal components of all modalities' linked features together, corrected until soft clusters hold every modality.
Reference: Korsunsky et al. 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mosaicbench.methods._links_baseline import LinksBaseline, mean_of_nearest, nearest
from mosaicbench.modeling.linked import linked
from mosaicbench.view import Cells, View

CARD = {
    "label": "Harmony on links",
    "kind": "baseline",
    "paper": "Korsunsky et al. 2019",
    "doi": "10.1038/s41592-019-0619-0",
    "handles": ("unpaired",),
    "uses": ("links",),
    "gives": ("single", "impute"),
    "claims": ("aligns", "imputes", "reconstructs"),
    "wraps": {
        "package": "harmonypy",
        "module": "harmonypy",
        "version": "2.1.0",
        "licence": "GPL-3.0",
    },
    "summary": "Harmony (harmonypy) on linked features, the modality being the batch; imputes the mean of the nearest train "
    "cells.",
    "deviates": "Harmony corrects only the cells that it was run on: the train cells. A cell, also a train cell, is moved by "
    "the mean correction of the `neighbors` nearest train cells of its modality, so a query cell needs no other query cell. "
    "Of three modalities, the linked features that all have are used.",
    "space": {
        "latent": {"int": [5, 50], "log": True},
        "neighbors": {"int": [5, 50], "log": True},
    },
}


@dataclass(kw_only=True)
class LinksHarmony(LinksBaseline):
    """Principal components of linked features, and the corrections of train cells."""

    def align(self, shown: View, seed: int) -> None:
        """Run Harmony on the train cells and keep how each was moved."""
        from harmonypy import run_harmony

        self.linked = linked(shown, shown.modalities, components=self.latent)
        before = {m: self.linked.of(shown.observing(m), m) for m in shown.modalities}
        stacked = np.concatenate(list(before.values())).astype(np.float64)
        modality = np.repeat(list(before), [len(x) for x in before.values()])
        after = run_harmony(
            stacked,
            {"modality": modality},
            "modality",
            nclust=_clusters(len(stacked)),
            random_state=seed,
            verbose=False,
            ncores=1,
        ).Z_corr
        moved = np.asarray(after if len(after) == len(stacked) else after.T) - stacked
        self.moved = {m: moved[modality == m] for m in before}
        self.before = {m: nearest(x, self.neighbors) for m, x in before.items()}

    def embed(self, cells: Cells) -> np.ndarray:
        """Return corrected principal components, (cells, latent)."""
        (modality,) = cells.modalities
        x = self.linked.of(cells, modality)
        return x + mean_of_nearest(self.before[modality], x, self.moved[modality])


def _clusters(cells: int) -> int:
    """Return Harmony's own rule for the number of clusters, and at least two."""
    return int(np.clip(round(cells / 30), 2, 100))
