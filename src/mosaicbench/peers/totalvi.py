"""totalVI: one latent of RNA and proteins; proteins are a mixture of background and foreground.

    z ~ N(0, I),   x_rna ~ NB(library x fraction(z), r)
    x_adt ~ pi(z) NB(background, r) + (1 - pi(z)) NB(background x more(z), r)

Reference: Gayoso et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.methods._pairs import paired_cells
from mosaicbench.models.likelihoods import expected_of_mixture
from mosaicbench.peers._package import by_kind, need
from mosaicbench.peers._scvi import (
    Batches,
    Blockwise,
    all_of,
    dense,
    protein_counts,
    scvi_apart,
    trained,
)

if TYPE_CHECKING:
    from anndata import AnnData

CARD = {
    "label": "totalVI",
    "kind": "model",
    "paper": "Gayoso et al. 2021",
    "doi": "10.1038/s41592-020-01050-x",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "counts"),
    "wraps": {
        "package": "scvi-tools",
        "module": "scvi",
        "version": "1.4.2",
        "licence": "BSD-3-Clause",
    },
    "summary": "One latent of RNA and protein counts, by scvi-tools. A cell without proteins is one of a batch that has none, "
    "so RNA alone is embedded and proteins are imputed from it; nothing comes from proteins alone. No ATAC.",
    "deviates": "The package wants train cells without proteins: a fraction `without` of the train cells is given a second time, "
    "in a batch without proteins. Of a mosaic, the cells with RNA; those without proteins are in such a batch, too. Query cells "
    "take the posterior's mean; a batch without train cells is read as the largest.",
    "space": ("latent", "without"),
}

FIELDS = {"protein_expression_obsm_key": "proteins", "batch_key": "batch"}
MEASURED, ABSENT = " with proteins", " without proteins"


@dataclass(kw_only=True)
class TotalVI(Blockwise):
    """The package's defaults.

    Attributes
    ----------
    latent
        Dimensions of z.
    epochs
        Most epochs; it stops after 45 without a better ELBO of the validation cells. None: the
        package's rule, at most 400.
    without
        Fraction of the paired cells that is given a second time, without proteins.
    """

    latent: Annotated[int, "at least 1", {"int": [10, 50], "log": True}] = 20
    epochs: Annotated[int, "at least 1"] | None = None
    without: Annotated[float, "at least 0 and at most 1", {"float": [0.2, 0.8]}] = 0.5

    card = CARD

    def fit(self, train: Split, seed: int) -> History:
        """Train on the cells in which RNA was measured; some of them must have proteins."""
        need(self.card)
        modalities = by_kind(train)
        if not {"lognorm", "clr"} <= modalities.keys():
            raise NotApplicable("totalVI needs counts of RNA and of proteins")
        self.rna, self.adt = modalities["lognorm"], modalities["clr"]
        self.normalization = train.normalizations[self.adt]
        cells = paired_cells(train, self.rna, self.adt)
        count = max(1, round(self.without * len(cells)))
        again = np.random.default_rng(seed).permutation(len(cells))[:count]
        unmeasured = [x for x in train.blocks if self.rna in x.values and self.adt not in x.values]
        without = [cells.take(again), *unmeasured]
        with scvi_apart(seed):
            from anndata import AnnData
            from scipy import sparse

            data = AnnData(
                sparse.vstack([x.counts[self.rna] for x in (cells, *without)], format="csr")
            )
            proteins = cells.counts[self.adt].copy()
            proteins.resize(data.n_obs, proteins.shape[1])  # adds cells of zeros
            data.obsm["proteins"] = proteins.toarray()
            data.obs["batch"] = [
                *(f"{name}{MEASURED}" for name in cells.batches),
                *(f"{name}{ABSENT}" for name in all_of(without, "batches")),
            ]
            model, history = self._trained(data, (cells, *without))
            coded = model.adata_manager.get_state_registry("batch").categorical_mapping
        self.batches, self.module = Batches(cells.batches, list(coded)), model.module
        return history

    def _trained(self, data: AnnData, blocks: tuple[Cells, ...]) -> tuple[object, History]:
        from scvi.model import TOTALVI

        TOTALVI.setup_anndata(data, **FIELDS)
        model = TOTALVI(data, n_latent=self.latent)
        return model, trained(model, max_epochs=self.epochs)

    def _expected(self, cells: Cells, target: str) -> torch.Tensor:
        if target != self.adt:
            raise NotApplicable("totalVI imputes only proteins")
        batch = self.batches.of(cells.batches, MEASURED)
        decoded = self.module.generative(
            z=self._z(cells),
            library_gene=dense(cells.counts[self.rna]).sum(1, keepdim=True),
            batch_index=batch,
            label=torch.zeros_like(batch),
        )
        counts = protein_counts(decoded["py_"], decoded["per_batch_efficiency"])
        return expected_of_mixture(counts, self.normalization)

    def _z(self, cells: Cells) -> torch.Tensor:
        if self.rna not in cells.values:
            raise NotApplicable("totalVI has no encoder of cells without RNA")
        if other := set(cells.modalities) - {self.rna, self.adt}:
            raise NotApplicable(f"totalVI has no encoder of {' and '.join(sorted(other))}")
        if self.adt in cells.values:
            y, suffix = dense(cells.counts[self.adt]), MEASURED
        else:
            y, suffix = torch.zeros(len(cells), len(self.normalization.fraction)), ABSENT
        x, batch = dense(cells.counts[self.rna]), self.batches.of(cells.batches, suffix)
        return self.module.inference(x=x, y=y, batch_index=batch, panel_index=batch)["qz"].loc
