"""Seurat's supervised principal components: those of RNA that follow a neighbour graph of all modalities.

    K: weighted nearest neighbours of the train cells,   U = first singular vectors of X' K X,   z = x U      (x: a cell's RNA)

Reference: Hao et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.peers._r import run_r

CARD = {
    "label": "Seurat sPCA",
    "kind": "baseline",
    "paper": "Hao et al. 2021",
    "doi": "10.1016/j.cell.2021.04.048",
    "scenarios": ("paired",),
    "inputs": ("pairs",),
    "wraps": {"package": "Seurat", "module": "R", "version": "4.3.0", "licence": "MIT"},
    "summary": "What Seurat maps RNA cells onto a multimodal reference with, in R: principal components of RNA, supervised by "
    "the weighted nearest neighbours of the train cells. Embeds RNA; nothing comes from another modality alone, no values.",
    "deviates": "Seurat goes on to correct a query by anchors between it and the reference, which makes a cell depend on the "
    "other query cells; here each is projected by itself. The joint latent of a cell is that of its RNA, as in Seurat's own "
    "mapping. Values are the split's, with its features.",
    "space": {
        "components": {"int": [20, 100], "log": True},
        "neighbors": {"int": [10, 50], "log": True},
    },
}

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
give("loadings", Loadings(data, "spca"))
"""


@dataclass(kw_only=True)
class SeuratSPCA:
    """The defaults of Seurat.

    Attributes
    ----------
    components
        Principal components of a modality, LSI being taken as it is, and of the latent.
    neighbors, candidates
        Seurat's `k.nn` and `knn.range`: neighbours of a cell in the weighted graph, and those that it is chosen from.
    """

    components: Annotated[int, "at least 1"] = 50
    neighbors: Annotated[int, "at least 1"] = 20
    candidates: Annotated[int, "at least 1"] = 200

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Run Seurat on the train cells in which every modality was measured, and keep the loadings of RNA."""
        self.rna = _rna(train)
        cells = train.observing(*train.modalities)
        represented = {
            f"part{i}": self._represented(train, cells, m, seed)
            for i, m in enumerate(train.modalities)
        }
        found = run_r(
            CARD["wraps"],
            SCRIPT,
            seed,
            rna=cells.values[self.rna],
            components=min(self.components, min(cells.values[self.rna].shape) - 1),
            neighbors=min(self.neighbors, len(cells) - 2),
            candidates=min(self.candidates, len(cells) - 2),
            **represented,
        )
        self.loadings = found["loadings"].astype(np.float32)  # (genes, latent)
        return []

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the projections of RNA, (cells, latent)."""
        if self.rna not in cells.values:
            raise NotApplicable(
                "Seurat's supervised components are of RNA, and these cells have none"
            )
        return cells.values[self.rna] @ self.loadings

    def _represented(self, train: Split, cells: Cells, modality: str, seed: int) -> np.ndarray:
        """Return the components by which neighbours within a modality are found, (cells, components)."""
        x = cells.values[modality]
        normalization = train.normalizations.get(modality)
        if normalization is not None and normalization.kind == "lsi":
            return x
        return PCA(
            min(self.components, len(cells) - 1, x.shape[1]), random_state=seed
        ).fit_transform(x)


def _rna(train: Split) -> str:
    """Return the name of the modality that is RNA.

    Raises
    ------
    NotApplicable
        Where there is none, or where it is the only one.
    """
    found = [
        modality
        for modality, normalization in train.normalizations.items()
        if normalization.kind == "lognorm"
    ]
    if len(found) != 1 or len(train.modalities) < 2:
        raise NotApplicable(
            "Seurat's supervised components need RNA, one modality of it, and another modality"
        )
    return found[0]
