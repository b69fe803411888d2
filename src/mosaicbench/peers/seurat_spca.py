"""Seurat's supervised PCA: components of RNA that follow a neighbour graph of all modalities.

    K: weighted nearest neighbours of the train cells (X: their RNA)
    U = first singular vectors of X' K X,   z = x U

Reference: Hao et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.peers._package import by_kind, lsi_of
from mosaicbench.peers._r import run_r

CARD = {
    "label": "Seurat sPCA",
    "kind": "baseline",
    "paper": "Hao et al. 2021",
    "doi": "10.1016/j.cell.2021.04.048",
    "scenarios": ("paired",),
    "inputs": ("pairs",),
    "wraps": {"package": "Seurat", "module": "R", "version": "4.3.0", "licence": "MIT"},
    "summary": "Seurat's mapping of RNA cells onto a multimodal reference, in R: principal components of RNA, supervised by the "
    "weighted nearest neighbours of the train cells. Embeds RNA; nothing comes from another modality alone, no values.",
    "deviates": "Seurat then corrects a query by anchors between it and the reference, so that a cell depends on the other query "
    "cells; here each is projected by itself. The joint latent of a cell is that of its RNA, as in Seurat's mapping. Values are "
    "the split's, with its features.",
    "space": ("components", "neighbors"),
}

CANDIDATES = 200  # Seurat's `knn.range`: cells that the neighbours are chosen from

SCRIPT = """
suppressMessages(library(Seurat))
cells <- paste0("cell", seq_len(nrow(given$rna)))
rna <- t(given$rna)
dimnames(rna) <- list(paste0("gene", seq_len(nrow(rna))), cells)
data <- CreateSeuratObject(CreateAssayObject(data = rna), assay = "RNA")
data <- SetAssayData(data, slot = "scale.data", new.data = rna, assay = "RNA")
parts <- grep("^part", names(given), value = TRUE)
for (part in parts) {
  components <- given[[part]]
  dimnames(components) <- list(cells, paste0(toupper(part), "_", seq_len(ncol(components))))
  data[[part]] <- CreateDimReducObject(components, key = paste0(toupper(part), "_"), assay = "RNA")
}
data <- FindMultiModalNeighbors(
  data, as.list(parts), lapply(given[parts], function(components) seq_len(ncol(components))),
  k.nn = given$neighbors[1], knn.range = given$candidates[1], verbose = FALSE
)
data <- RunSPCA(
  data, assay = "RNA", features = rownames(rna), graph = "wsnn", npcs = given$components[1], seed.use = given$seed[1],
  verbose = FALSE
)
answer <- unname(Loadings(data, "spca"))
"""


@dataclass(kw_only=True)
class SeuratSPCA:
    """The defaults of Seurat.

    Attributes
    ----------
    components
        Principal components of a modality, except LSI, and dimensions of the latent.
    neighbors
        Seurat's `k.nn`: neighbours of a cell in the weighted graph.
    """

    components: Annotated[int, "at least 1", {"int": [20, 100], "log": True}] = 50
    neighbors: Annotated[int, "at least 1", {"int": [10, 50], "log": True}] = 20

    def fit(self, train: Split, seed: int) -> History:
        """Run Seurat on the train cells with every modality, and keep the loadings of RNA."""
        self.rna = by_kind(train).get("lognorm")
        if self.rna is None or len(train.modalities) < 2:
            raise NotApplicable("Seurat's supervised components need RNA and another modality")
        cells = train.observing(*train.modalities)
        components = {}
        for i, (m, x) in enumerate(cells.values.items()):
            if m not in lsi_of(train):
                most = min(self.components, len(cells) - 1, x.shape[1])
                x = PCA(most, random_state=seed).fit_transform(x)
            components[f"part{i}"] = x
        loadings = run_r(
            CARD["wraps"]["package"],
            SCRIPT,
            seed=seed,
            rna=cells.values[self.rna],
            components=min(self.components, min(cells.values[self.rna].shape) - 1),
            neighbors=min(self.neighbors, len(cells) - 2),
            candidates=min(CANDIDATES, len(cells) - 2),
            **components,
        )
        self.loadings = loadings.astype(np.float32)  # (genes, latent)
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the projections of RNA, (cells, latent)."""
        if self.rna not in cells.values:
            raise NotApplicable("Seurat's supervised components need RNA; these cells have none")
        return cells.values[self.rna] @ self.loadings
