"""WNN: a joint neighbour graph in which cells weigh modalities by how well neighbours predict them.

    w_m = softmax over m of affinity(x_m, mean x_m of the neighbours in m)
                            / affinity(x_m, mean x_m of the neighbours in others)

Reference: Hao et al. 2021; Swanson et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA

from mosaicbench.contract import Cells, History, Split
from mosaicbench.methods.linked import nearest
from mosaicbench.peers._package import apart, lsi_of, need

CARD = {
    "label": "WNN",
    "kind": "baseline",
    "paper": "Hao et al. 2021",
    "doi": "10.1016/j.cell.2021.04.048",
    "scenarios": ("paired",),
    "inputs": ("pairs",),
    "outputs": ("joint",),
    "wraps": {"package": "muon", "module": "muon", "version": "0.1.9", "licence": "BSD-3-Clause"},
    "summary": "Weighted nearest neighbours by muon: each cell weighs its modalities. No modality alone, no values.",
    "deviates": "WNN gives a graph of the cells that it was run on, not a latent. Here muon weighs the train cells; any cell, "
    "also a train cell, takes the mean weights of its nearest train cells, equally many by each modality. The joint latent is "
    "the modalities' principal components, of unit length, each times the root of its weight, side by side: between two cells "
    "of like weights, its squared distance is the weighted sum of those within the modalities.",
    "space": ("components", "neighbors", "bandwidth_neighbors"),
}

CANDIDATES = 200  # muon's `n_multineighbors`


@dataclass(kw_only=True)
class WNN:
    """The defaults of scanpy and muon.

    Attributes
    ----------
    components
        Principal components of a modality, except LSI.
    neighbors
        Of each cell in a modality's graph; a cell takes the weights of as many train cells.
    bandwidth_neighbors
        muon's `n_bandwidth_neighbors`.
    """

    components: Annotated[int, "at least 1", {"int": [20, 100], "log": True}] = 50
    neighbors: Annotated[int, "at least 1", {"int": [10, 50], "log": True}] = 15
    bandwidth_neighbors: Annotated[int, "at least 1", {"int": [10, 40], "log": True}] = 20

    def fit(self, train: Split, seed: int) -> History:
        """Run muon on the train cells with every modality measured, and keep their weights."""
        need(CARD)
        cells = train.observing(*train.modalities)
        lsi, most = lsi_of(train), min(self.components, len(cells) - 1)
        self.pca = {
            m: PCA(min(most, width), random_state=seed).fit(cells.values[m])
            for m, width in train.features.items()
            if m not in lsi
        }
        represented = {m: self._represented(cells, m) for m in train.modalities}
        self.index = {m: nearest(x, self.neighbors) for m, x in represented.items()}
        with apart(seed):
            import muon
            import scanpy
            from anndata import AnnData
            from mudata import MuData

            data = MuData({m: AnnData(obsm={"X": x}) for m, x in represented.items()})
            for part in data.mod.values():
                scanpy.pp.neighbors(
                    part,
                    n_neighbors=min(self.neighbors, len(cells) - 1),
                    use_rep="X",
                    random_state=seed,
                )
            muon.pp.neighbors(
                data,
                n_bandwidth_neighbors=min(self.bandwidth_neighbors, len(cells) - 1),
                n_multineighbors=min(CANDIDATES, len(cells) - 2),
                random_state=seed,
            )
            self.weights = np.stack(
                [data.obs[f"{m}:mod_weight"].to_numpy() for m in train.modalities], axis=1
            )
        self.modalities = train.modalities
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the weighted principal components side by side, (cells, all components)."""
        represented = {m: self._represented(cells, m) for m in self.modalities}
        near = [self.index[m].kneighbors(x, return_distance=False) for m, x in represented.items()]
        weights = self.weights[np.concatenate(near, axis=1)].mean(axis=1)  # (cells, modalities)
        weighted = [
            x * np.sqrt(w)[:, None] for x, w in zip(represented.values(), weights.T, strict=True)
        ]
        return np.concatenate(weighted, axis=1)

    def _represented(self, cells: Cells, modality: str) -> np.ndarray:
        x = cells.values[modality]
        x = self.pca[modality].transform(x) if modality in self.pca else x
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
