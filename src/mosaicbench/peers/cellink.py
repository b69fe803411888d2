"""CelLink: unbalanced optimal transport between smoothed linked features, once each way.

    x = w x + (1 - w) mean of its neighbours
    T = argmin <T, 1 - correlation> - reg H(T) + KL(rows of T, 1), and weakly KL(columns of T, 1)
    values of the other modality: sum_j T_ij y_j / sum_j T_ij

Reference: Luo et al. 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.methods.linked import mean_of_nearest
from mosaicbench.models.linked import linked
from mosaicbench.peers._moved import Moved
from mosaicbench.peers._package import apart, need, pca

CARD = {
    "label": "CelLink",
    "kind": "baseline",
    "paper": "Luo et al. 2025",
    "doi": "10.1093/nar/gkaf1270",
    "scenarios": ("unpaired",),
    "inputs": ("links",),
    "wraps": {
        "package": "cellink-luo",
        "module": "cellink",
        "version": "0.1.4",
        "licence": "GPL-3.0",
    },
    "environment": "numpy1",
    "summary": "Unbalanced optimal transport between linked features, smoothed over each modality's neighbour graph; an optional "
    "wrapper that imports the user's own install, nothing more. Cells take the weighted mean values of the other modality; the "
    "second one moves so to the first one's principal components. Two modalities.",
    "deviates": "Cell types are not shown to it, so it transports once each way and rejects no match: its iterations need types of "
    "both modalities. Cells are smoothed as in its tutorial, since the package has no default. At most `cells` train cells of a "
    "modality take part, where the package makes batches of as many. Any cell, also a train cell, takes the mean of its "
    "`neighbors` nearest cells that did. It is installed without the packages that its metadata pins; its later version 0.1.5 does "
    "not import.",
    "space": ("smoothing", "epsilon"),
}


@dataclass(kw_only=True)
class CelLink(Moved):
    """The package's defaults.

    Attributes
    ----------
    smoothing
        Weight of a cell against its neighbours' mean.
    epsilon
        Weight of the entropy; below the bound, the solver's numbers would be 0.
    cells
        Most cells of a modality: time and memory grow with their square.
    """

    smoothing: Annotated[float, "at least 0 and at most 1", {"float": [0.1, 1.0]}] = 0.7
    epsilon: Annotated[float, "at least 0.003", {"float": [0.003, 0.05], "log": True}] = 5e-3
    cells: Annotated[int, "at least 1"] = 5000

    def align(self, shown: Split, seed: int) -> None:
        """Transport the drawn train cells of two modalities, both ways."""
        need(CARD)
        if len(shown.modalities) != 2:
            raise NotApplicable("CelLink links two modalities")
        features, cells = linked(shown, shown.modalities), self.drawn(shown, self.cells, seed)
        with apart(seed):
            from anndata import AnnData
            from cellink.model import Cellink

            every = [AnnData(x.values[m]) for m, x in cells.items()]
            package = Cellink(*every, *(AnnData(features.of(x, m)) for m, x in cells.items()))
            package.partition1 = package.partition2 = [slice(None)]  # all cells are one batch
            package.partition_d1_to_d2 = [(0, 0)]
            package.alignment(self.smoothing, self.smoothing, reg=self.epsilon)
        (first, second), x = cells, every[0].X
        a, b = package.feature_imputation_partition1 + package.feature_imputation_partition2
        components = pca(x, self.latent, seed).fit(x)
        self.taken = {first: a, second: b}
        self.moved = {first: components.transform(x), second: components.transform(b)}

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean of what the nearest train cells took from the target's cells."""
        (m,) = cells.modalities
        return mean_of_nearest(self.near[m], cells.values[m], self.taken[m])
