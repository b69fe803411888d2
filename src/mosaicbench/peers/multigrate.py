"""Multigrate: a product of experts, conditioned on the batch and on which modalities were measured.

    q(z | x, c) = N(0, I) prod over measured m of q(z | x_m, c)
    loss = NLL + kl KL(q || N(0, I)) + alignment MMD

The discrepancy is that between the modalities' latents, and between the latents of cells with other
modalities measured. Reference: Litinetskaya et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells, History, Split
from mosaicbench.models.likelihoods import expected_lsi, expected_values
from mosaicbench.peers._package import (
    before_standardising,
    by_name,
    log_normalised,
    lsi_of,
    need,
    table,
)
from mosaicbench.peers._scvi import (
    Batches,
    Blockwise,
    all_of,
    code_of,
    median_total,
    negative_binomial,
    scvi_apart,
    side_by_side,
    standardised,
    trained,
)

CARD = {
    "label": "Multigrate",
    "kind": "model",
    "paper": "Litinetskaya et al. 2022",
    "doi": "10.1101/2022.03.16.484643",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "counts"),
    "wraps": {
        "package": "multigrate",
        "module": "multigrate",
        "version": "1.0.1",
        "licence": "BSD-3-Clause",
    },
    "environment": "multigrate",
    "summary": "A conditional VAE, by multigrate: a product of experts of RNA counts, proteins and peaks. The distributions of "
    "the modalities' latents are drawn together. Embeds and imputes from any subset.",
    "deviates": "For cells of a new batch the package trains weights on all of them together, after scArches; here the query "
    "trains nothing, and a batch without train cells is read as the largest. A query cell is read as one of the train cells "
    "with exactly its observed modalities, else of the largest group with more. Latents are the posterior's mean; the package "
    "draws from it. Decoded peaks are log-normalised: a decoded value over the peak's mean in cells in which it is open is read "
    "as its chance to be open.",
    "space": ("latent", "alignment", "kl", "peak_weight"),
}

LOSSES = {"lognorm": "nb", "clr": "mse", "lsi": "mse"}  # kind -> what the documentation recommends
KINDS = {kind: kind for kind in LOSSES}  # in the package's order, RNA first


@dataclass(kw_only=True)
class Multigrate(Blockwise):
    """The package's defaults, with the alignment advised for embedding one modality alone.

    Attributes
    ----------
    latent
        Dimensions of z.
    alignment
        Weight of the discrepancy; 0 leaves it out.
    kl
        Weight of the divergence from the prior, after its warm-up in the first third of the epochs.
    peak_weight
        Weight of the squared error of peaks; 1 is the package's. Where peaks are sparse, their
        error is mostly noise and exceeds the others, and the latents learn nothing.
    epochs
        Most epochs; it stops after 10 without a better reconstruction of the validation cells.
    """

    latent: Annotated[int, "at least 1", {"int": [8, 64], "log": True}] = 16
    alignment: Annotated[float, "at least 0", {"float": [50.0, 5000.0], "log": True}] = 500.0
    kl: Annotated[float, "at least 0", {"float": [1e-06, 0.001], "log": True}] = 1e-5
    peak_weight: Annotated[float, "at least 0", {"float": [0.01, 1.0], "log": True}] = 1.0
    epochs: Annotated[int, "at least 1"] = 200

    def fit(self, train: Split, seed: int) -> History:
        """Train on all cells, whatever was measured in them."""
        need(CARD, counts_of=train)
        self.order = list(by_name(train, KINDS).values())
        self.normalizations = train.normalizations
        self.widths = {m: len(self.normalizations[m].fraction) for m in self.order}
        self.levels = {m: self._level(train, m) for m in lsi_of(train)}
        aligned = {
            "integrate_on": "measured",
            "alignment_type": "marginal",
            "modality_alignment": "MMD",
        }
        kinds = [self.normalizations[modality].kind for modality in self.order]
        peaks = {str(i): self.peak_weight for i, kind in enumerate(kinds) if kind == "lsi"}
        with scvi_apart(seed):
            from multigrate.model import MultiVAE

            data = self._data(train)
            MultiVAE.setup_anndata(
                data, size_factor_key="size", categorical_covariate_keys=["measured", "batch"]
            )
            model = MultiVAE(
                data,
                losses=[LOSSES[kind] for kind in kinds],
                z_dim=self.latent,
                loss_coefs={"integ": self.alignment, "kl": self.kl} | peaks,
                **aligned if self.alignment else {},
            )
            history = trained(model, max_epochs=self.epochs)
            coded = model.adata_manager.get_state_registry("extra_categorical_covs")["mappings"]
        self.batches = Batches(all_of(train.blocks, "batches"), list(coded["batch"]))
        self.module, codes = model.module, list(coded["measured"])
        self.groups = [
            (frozenset(block.modalities), codes.index(self._group(block)))
            for block in sorted(train.blocks, key=len, reverse=True)
        ]
        return history

    def _data(self, train: Split):
        from scipy import sparse

        blocks = train.blocks
        data = table(
            sparse.vstack([sparse.csr_matrix(self._x(block)) for block in blocks], format="csr"),
            all_of(blocks, "names"),
            "feature",
            measured=np.repeat([self._group(block) for block in blocks], list(map(len, blocks))),
            batch=all_of(blocks, "batches").astype(str),
            size=np.concatenate([self._sizes(block) for block in blocks]),
        )
        data.uns["modality_lengths"] = list(self.widths.values())
        return data

    def _group(self, block: Cells) -> str:
        return " + ".join(modality for modality in self.order if modality in block.values)

    def _sizes(self, block: Cells) -> np.ndarray:
        rna = self.order[0]
        if self.normalizations[rna].kind != "lognorm" or rna not in block.values:
            return np.ones(len(block))
        return np.maximum(np.asarray(block.counts[rna].sum(1)).ravel(), 1.0)

    def _code(self, observed: frozenset[str]) -> int:
        code = code_of(self.groups, observed)
        return self.groups[0][1] if code is None else code

    def _covariates(self, cells: Cells, group: int) -> Tensor:
        batch = self.batches.of(cells.batches)
        return torch.cat([torch.full_like(batch, group), batch], dim=1)

    def _z(self, cells: Cells) -> Tensor:
        observed = frozenset(cells.modalities)
        masks = torch.tensor([[m in observed for m in self.order]]).expand(len(cells), -1)
        return self.module.inference(
            x=torch.as_tensor(self._x(cells)),
            cat_covs=self._covariates(cells, self._code(observed)),
            masks=masks,  # they leave out the experts of absent modalities
        )["mu"]

    def _x(self, cells: Cells) -> np.ndarray:
        return side_by_side(cells, self.widths, self._read)

    def _read(self, cells: Cells, modality: str) -> np.ndarray:
        normalization = self.normalizations[modality]
        if normalization.kind == "clr":
            # at least 0: the package reads a cell with a sum of 0 or less as not measured
            return before_standardising(cells, modality, normalization)
        if normalization.kind == "lsi":
            return log_normalised(cells, modality)
        return cells.counts[modality].toarray()

    def _level(self, train: Split, peaks: str) -> np.ndarray:
        blocks = [block for block in train.blocks if peaks in block.values]
        total = sum(self._read(block, peaks).astype(np.float32).sum(0) for block in blocks)
        times = sum(np.asarray((block.counts[peaks] > 0).sum(0)).ravel() for block in blocks)
        return np.where(times > 0, total / np.maximum(times, 1), 1.0).astype(np.float32)

    def _expected(self, cells: Cells, target: str) -> Tensor:
        normalization, place = self.normalizations[target], self.order.index(target)
        group = self._code(frozenset(cells.modalities) | {target})
        decoded = self.module.generative(
            z_joint=self._z(cells), cat_covs=self._covariates(cells, group)
        )["rs"][place]
        if normalization.kind == "lognorm":
            theta = self.module.theta[place]
            dispersion = theta[:, group if theta.shape[1] > 1 else 0].exp()
            rate = decoded * median_total(normalization)
            return expected_values(negative_binomial(rate, dispersion), normalization)
        if normalization.kind == "lsi":
            level = torch.as_tensor(self.levels[target], device=decoded.device)
            return expected_lsi((decoded / level).clamp(0, 1), normalization)
        return standardised(decoded, normalization)
