"""CCA of cells on linked features: the directions in which one modality's cells are like the other's, without pairs.

    A B' = U S V',     A (cells of a, columns), B (cells of b, columns), standardised

Rows of U and V are cells' latents. The decomposition diagonalises the similarity of every cell of a to every cell of b, which
needs the same columns in both and no common cell. Reference: Stuart et al. 2019, the anchors of Seurat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mosaicbench.methods._links_baseline import LinksBaseline
from mosaicbench.modeling.linked import chain, linked
from mosaicbench.view import Cells, View

CARD = {
    "label": "CCA on links",
    "kind": "baseline",
    "paper": "Stuart et al. 2019",
    "doi": "10.1016/j.cell.2019.05.031",
    "handles": ("unpaired",),
    "uses": ("links",),
    "gives": ("single", "impute"),
    "claims": ("aligns", "imputes", "reconstructs"),
    "summary": "Singular vectors of the product of two modalities' standardised linked features, cells x cells, without pairs; "
    "imputes the mean of the nearest train cells.",
    "deviates": "New cells are projected by the train cells' loadings. Latents have length 1, as Seurat's; there is no step "
    "with anchors after it. Of three modalities, the one that is linked with the others is held against both at once, on the "
    "columns that all have.",
    "space": {
        "latent": {"int": [5, 50], "log": True},
        "neighbors": {"int": [5, 50], "log": True},
    },
}


@dataclass(kw_only=True)
class LinksCCA(LinksBaseline):
    """Loadings of each side; latents are scaled to length 1."""

    def align(self, shown: View, seed: int) -> None:
        """Decompose the first two modalities of the chain, any others standing with the first."""
        self.linked = linked(shown, shown.modalities)
        first, centre, *rest = chain(shown)
        a = np.concatenate([self.linked.of(shown.observing(m), m) for m in (first, *rest)])
        b = self.linked.of(shown.observing(centre), centre)
        a_triangle, b_triangle = (
            np.linalg.qr(x, mode="r") for x in (a, b)
        )  # A = Q R, so A B' has the values of R_a R_b'
        u, singular, v = np.linalg.svd(a_triangle @ b_triangle.T, full_matrices=False)
        kept = singular[: self.latent] > 1e-6 * singular[0]
        u, v, singular = (
            u[:, : self.latent][:, kept],
            v[: self.latent][kept].T,
            singular[: self.latent][kept],
        )
        loadings = b_triangle.T @ v / singular  # U = A B' V / S
        self.loadings = dict.fromkeys((first, *rest), loadings) | {
            centre: a_triangle.T @ u / singular
        }

    def embed(self, cells: Cells) -> np.ndarray:
        """Return singular vectors of length 1, (cells, latent)."""
        (modality,) = cells.modalities
        z = self.linked.of(cells, modality) @ self.loadings[modality]
        return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
