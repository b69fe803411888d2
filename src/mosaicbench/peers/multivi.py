"""MultiVI: a latent per modality, averaged over those measured; RNA, open peaks and proteins are decoded from it.

    z = mean over observed m of z_m,  z_m ~ q_m,   x_rna ~ ZINB,  peak open ~ Bernoulli,  x_adt ~ mixture of two NB

and the modalities' posteriors of a cell are pulled together by their symmetric divergence. Reference: Ashuach et al. 2023.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.likelihoods import expected_lsi, expected_of_mixture
from mosaicbench.peers._package import need
from mosaicbench.peers._scvi import (
    Batches,
    dense,
    in_pieces,
    inferring,
    modalities_in,
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
    "summary": "A latent per modality, averaged over those measured, of counts of RNA, peaks and proteins, by scvi-tools. "
    "Embeds and imputes from any subset.",
    "deviates": "What was measured in a cell is part of its batch, as in the package's tutorial. Imputed values are decoded "
    "as of a train cell's batch in which the target was measured, with the median total of RNA and the median depth factor of "
    "ATAC. Query cells take the posterior's mean; a batch that was not trained on is read as the largest.",
    "space": {
        "latent": {"int": [10, 40], "log": True},
        "hidden": {"int": [64, 256], "log": True},
    },
}


@dataclass(kw_only=True)
class MultiVI:
    """The package's defaults: widths follow the numbers of features.

    Attributes
    ----------
    latent, hidden
        Dimensions of z and of the networks; None: the square root of the number of peaks (of genes where there are none), at
        most 128, for the networks, and its square root for z.
    epochs
        Most epochs; it stops earlier where the validation cells' reconstruction does not improve for 50.
    """

    latent: Annotated[int, "at least 1"] | None = None
    hidden: Annotated[int, "at least 1"] | None = None
    epochs: Annotated[int, "at least 1"] = 500

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on all cells, whatever was measured in them."""
        need(CARD["wraps"])
        named = {"rna": ("lognorm", "RNA"), "atac": ("lsi", "ATAC"), "protein": ("clr", "proteins")}
        self.layers = modalities_in(train, named)
        if "rna" not in self.layers or set(self.layers.values()) != set(train.modalities):
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
        self.batches = {
            modality: self._decoding(train, modality, coded) for modality in train.modalities
        }
        self.depth = self._median_depth(train) if "atac" in self.layers else None
        return history

    @inferring()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means given what was measured, (cells, latent)."""
        return piecewise(lambda few: self._posterior(few)["qz_m"], cells)

    @inferring()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target`, (cells, features), standardised."""
        return piecewise(lambda few: self._expected(few, target), cells)

    def _data(self, train: Split):
        """Return all train cells as the package wants them: rows of zeros where a modality is absent."""
        import pandas as pd
        from anndata import AnnData
        from mudata import MuData
        from scipy import sparse

        names = pd.Index(np.concatenate([block.names for block in train.blocks]).astype(str))
        modalities = {}
        for layer, modality in self.layers.items():
            width = len(train.normalizations[modality].fraction)
            parts = [
                block.counts.get(modality, sparse.csr_matrix((len(block), width)))
                for block in train.blocks
            ]
            x = sparse.vstack(parts, format="csr").astype(np.float32)
            columns = pd.DataFrame(index=[f"{layer} {feature}" for feature in range(width)])
            modalities[layer] = AnnData(
                x.toarray() if layer == "protein" else x, obs=pd.DataFrame(index=names), var=columns
            )
        data = MuData(modalities)
        data.obs["batch"] = [
            f"{name}{_measured(block)}" for block in train.blocks for name in block.batches
        ]
        return data

    def _decoding(self, train: Split, target: str, coded: list[str]) -> tuple[Batches, str]:
        """Return as which batches `target` is decoded: those of the commonest set of modalities that has it."""
        having = [block for block in train.blocks if target in block.values]
        sizes = Counter({_measured(block): 0 for block in having})
        for block in having:
            sizes[_measured(block)] += len(block)
        suffix = max(sizes, key=sizes.get)
        return Batches(
            np.concatenate([block.batches for block in having if _measured(block) == suffix]), coded
        ), suffix

    @inferring()
    def _median_depth(self, train: Split) -> Tensor:
        found = [
            self._posterior(few)["libsize_acc"]
            for block in train.blocks
            if self.layers["atac"] in block.values
            for few in in_pieces(block.only(self.layers["atac"]))
        ]
        return torch.cat(found).median()

    def _posterior(self, cells: Cells) -> dict[str, Tensor]:
        def counts(layer: str) -> Tensor:
            modality = self.layers.get(layer)
            if modality is None:
                return torch.zeros(len(cells), int(layer == "protein"))
            known = modality in cells.values
            return (
                dense(cells.counts[modality])
                if known
                else torch.zeros(len(cells), len(self.normalizations[modality].fraction))
            )

        batch = torch.zeros(len(cells), 1, dtype=torch.long)  # encoders do not read it
        covariates = dict.fromkeys(("cont_covs", "cat_covs", "size_factor"))
        x = torch.cat([counts("rna"), counts("atac")], dim=1)
        return self.module.inference(
            x=x,
            y=counts("protein"),
            batch_index=batch,
            label=batch,
            cell_idx=batch.ravel(),
            **covariates,
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
            return expected_lsi(
                decoded["p"] * self.depth * torch.sigmoid(self.module.region_factors), normalization
            )
        if normalization.kind == "clr":
            return expected_of_mixture(protein_counts(decoded["py_"]), normalization)
        mean = decoded["px_scale"] * float(
            normalization.library_size * normalization.fraction.sum()
        )
        return expected_of_mixture(
            [(torch.sigmoid(-decoded["px_dropout"]), negative_binomial(mean, decoded["px_r"]))],
            normalization,
        )


def _measured(block: Cells) -> str:
    return f" with {' + '.join(block.modalities)}"
