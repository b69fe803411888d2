"""MultiVI: a latent per modality, averaged over those measured; all modalities are decoded from it.

    z = mean over observed m of z_m,   z_m ~ q_m
    x_rna ~ ZINB,   peak open ~ Bernoulli,   x_adt ~ mixture of two NB

The symmetric divergence between the posteriors of a cell's modalities pulls them together.
Reference: Ashuach et al. 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_lsi, expected_of_mixture
from mosaicbench.peers._package import by_name, need, table
from mosaicbench.peers._scvi import (
    Batches,
    Blockwise,
    all_of,
    batches_with,
    dense,
    inferring,
    measured,
    median_total,
    negative_binomial,
    piecewise,
    protein_counts,
    scvi_apart,
    trained,
)

CARD = {
    "label": "MultiVI",
    "kind": "model",
    "paper": "Ashuach et al. 2023",
    "doi": "10.1038/s41592-023-01909-9",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "counts"),
    "wraps": {
        "package": "scvi-tools",
        "module": "scvi",
        "version": "1.4.2",
        "licence": "BSD-3-Clause",
    },
    "advice": "RNA with ATAC. With proteins it aligned bone marrow's CITE-seq far worse than CCA; totalvi is made for that.",
    "summary": "A latent per modality, averaged over those measured, of counts of RNA, peaks and proteins, by scvi-tools. "
    "Embeds and imputes from any subset.",
    "deviates": "The measured modalities of a cell are part of its batch, as in the package's tutorial. Imputed values are "
    "decoded with a batch of train cells in which the target was measured, with the median total of RNA and the median depth "
    "factor of ATAC. Query cells take the posterior's mean; a batch without train cells is read as the largest.",
    "space": ("latent", "hidden"),
}

NAMES = {"rna": "lognorm", "atac": "lsi", "protein": "clr"}  # the package's name -> kind


@dataclass(kw_only=True)
class MultiVI(Blockwise):
    """The package's defaults: widths follow the numbers of features.

    Attributes
    ----------
    latent, hidden
        Dimensions of z and of the networks. None: for the networks the square root of the number of
        peaks (of genes without ATAC), at most 128; for z the square root of that.
    epochs
        Most epochs; it stops after 50 without a better loss of the validation cells.
    """

    latent: Annotated[int, "at least 1", {"int": [10, 40], "log": True}] | None = None
    hidden: Annotated[int, "at least 1", {"int": [64, 256], "log": True}] | None = None
    epochs: Annotated[int, "at least 1"] = 500

    def fit(self, train: Split, seed: int) -> History:
        """Train on all cells, whatever was measured in them."""
        need(CARD, counts_of=train)
        self.layers = by_name(train, NAMES)
        if "rna" not in self.layers:
            raise NotApplicable("MultiVI needs counts of RNA, and of ATAC or proteins")
        self.normalizations = train.normalizations
        with scvi_apart(seed):
            from scvi.model import MULTIVI

            data = self._data(train)
            layers = {f"{layer}_layer": layer for layer in self.layers}
            MULTIVI.setup_mudata(data, batch_key="batch", modalities=layers)
            model = MULTIVI(data, n_hidden=self.hidden, n_latent=self.latent)
            history = trained(model, max_epochs=self.epochs)
            coded = list(model.adata_manager.get_state_registry("batch").categorical_mapping)
        self.module = model.module
        self.batches = {}  # modality -> batches with which it is decoded, and how their names end
        for m in train.modalities:
            largest = max((block for block in train.blocks if m in block.values), key=len)
            self.batches[m] = Batches(largest.batches, coded), measured(largest.modalities)
        if "atac" in self.layers:
            atac = train.observing(self.layers["atac"])
            with inferring():
                depths = piecewise(lambda few: self._posterior(few)["libsize_acc"], atac)
            self.depth = torch.as_tensor(depths).median()
        return history

    def _data(self, train: Split):
        from mudata import MuData
        from scipy import sparse

        names, modalities = all_of(train.blocks, "names"), {}
        for layer, modality in self.layers.items():
            width = len(train.normalizations[modality].fraction)
            parts = [
                block.counts.get(modality, sparse.csr_matrix((len(block), width)))
                for block in train.blocks
            ]
            x = sparse.vstack(parts, format="csr").astype(np.float32)
            modalities[layer] = table(x.toarray() if layer == "protein" else x, names, layer)
        data = MuData(modalities)
        data.obs["batch"] = batches_with(train.blocks)
        return data

    def _z(self, cells: Cells) -> Tensor:
        return self._posterior(cells)["qz_m"]

    def _posterior(self, cells: Cells) -> dict[str, Tensor]:
        def counts(layer: str) -> Tensor:
            modality = self.layers.get(layer)
            if modality is None:
                return torch.zeros(len(cells), int(layer == "protein"))
            if modality in cells.values:
                return dense(cells.counts[modality])
            return torch.zeros(len(cells), len(self.normalizations[modality].fraction))

        batch = torch.zeros(len(cells), 1, dtype=torch.long)  # encoders do not read it
        return self.module.inference(
            x=torch.cat([counts("rna"), counts("atac")], dim=1),
            y=counts("protein"),
            batch_index=batch,
            label=batch,
            cell_idx=batch.ravel(),
            cont_covs=None,
            cat_covs=None,
            size_factor=None,
        )

    def _expected(self, cells: Cells, target: str) -> Tensor:
        posterior, (batches, suffix) = self._posterior(cells), self.batches[target]
        batch = batches.of(cells.batches, suffix)
        decoded = self.module.generative(
            z=posterior["qz_m"],
            qz_m=posterior["qz_m"],
            batch_index=batch,
            libsize_expr=posterior["libsize_expr"],
            use_z_mean=True,
            label=torch.zeros_like(batch),
        )
        normalization = self.normalizations[target]
        if normalization.kind == "lsi":
            accessible = decoded["p"] * self.depth * torch.sigmoid(self.module.region_factors)
            return expected_lsi(accessible, normalization)
        if normalization.kind == "clr":
            return expected_of_mixture(protein_counts(decoded["py_"]), normalization)
        counts = negative_binomial(
            decoded["px_scale"] * median_total(normalization), decoded["px_r"]
        )
        return expected_of_mixture([(torch.sigmoid(-decoded["px_dropout"]), counts)], normalization)
