"""TOTALANVI: totalVI with a prior per cell type, and a classifier of cell types.

u ~ N(0, I),   z | type, u ~ N(m(type, u), s(type, u)),   counts as in totalVI

Reference: Gayoso et al. 2021; the package names no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mosaicbench.contract import Cells, History
from mosaicbench.errors import NotApplicable
from mosaicbench.peers._scvi import all_of, trained
from mosaicbench.peers.totalvi import FIELDS, TotalVI

if TYPE_CHECKING:
    from anndata import AnnData

CARD = {
    "label": "TOTALANVI",
    "kind": "model",
    "paper": "Gayoso et al. 2021",
    "doi": "10.1038/s41592-020-01050-x",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "labels", "counts"),
    "wraps": {
        "package": "scvi-tools",
        "module": "scvi",
        "version": "1.5.1",
        "licence": "BSD-3-Clause",
    },
    "environment": "scvi15",
    "summary": "totalVI that learns cell types as scANVI does, by scvi-tools: from the types of the train cells, as far as they "
    "are known. RNA alone is embedded and proteins are imputed from it; nothing comes from proteins alone. No ATAC.",
    "deviates": "As `totalvi`. Query cells take the posterior's mean; the package's classifier is not used.",
    "space": ("latent", "without"),
}
TYPE, UNKNOWN = "cell_type", ""


@dataclass(kw_only=True)
class TotalANVI(TotalVI):
    """The package's defaults.

    Attributes
    ----------
    latent, epochs, without
        As of totalVI, but it does not stop early.
    """

    card = CARD

    def _trained(self, data: AnnData, blocks: tuple[Cells, ...]) -> tuple[object, History]:
        if any(block.labels is None for block in blocks):
            raise NotApplicable("TOTALANVI learns from cell types; the train cells have no labels")
        from scvi.external import TOTALANVI

        data.obs[TYPE] = all_of(blocks, "labels").astype(str)
        fields = FIELDS | {"labels_key": TYPE, "unlabeled_category": UNKNOWN}
        TOTALANVI.setup_anndata(data, **fields)
        model = TOTALANVI(data, n_latent=self.latent)
        return model, trained(model, max_epochs=self.epochs, check_val_every_n_epoch=1)
