"""Multigrate: a product of experts over the measured modalities, conditioned on the batch and on what was measured.

    q(z | x, c) = N(0, I) prod over measured m of q(z | x_m, c),   loss = NLL + kl KL(q || N(0, I)) + alignment MMD

The discrepancy is that between the modalities' own latents, and between those of cells in which other modalities were measured.
Reference: Litinetskaya et al. 2022.
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
from mosaicbench.peers._package import before_standardising, need
from mosaicbench.peers._scvi import (
    Batches,
    inferring,
    modality_in,
    negative_binomial,
    piecewise,
    scvi_apart,
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
    "trains nothing, and a batch that was not trained on is read as the largest. A query cell is read as one of the train "
    "cells in which just what is shown of it was measured, else of the largest group in which more was. Latents are the "
    "posterior's mean; the package draws from it. Decoded peaks are log-normalised: such a value over its mean where the peak "
    "is open is how likely it is open.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "alignment": {"float": [50.0, 5000.0], "log": True},
        "kl": {"float": [1e-06, 0.001], "log": True},
    },
}

# A modality's space -> what it is, and the loss that the documentation recommends for it.
KNOWN = {"lognorm": ("RNA", "nb"), "clr": ("proteins", "mse"), "lsi": ("ATAC", "mse")}
TARGET = 1e4  # counts of a cell before the logarithm, of peaks


@dataclass(kw_only=True)
class Multigrate:
    """The package's defaults, aligned as its documentation advises where one modality is to be embedded alone.

    Attributes
    ----------
    latent
        Dimensions of z.
    alignment
        Weight of the discrepancy; 0 leaves it out. The documentation takes 500, and says that it wants tuning.
    kl
        Weight of the divergence from the prior, after its warm-up in the first third of the epochs.
    epochs
        Most epochs; it stops earlier where the validation cells' reconstruction does not improve for 10.
    batch_size, learning_rate
        Of AdamW.
    """

    latent: Annotated[int, "at least 1"] = 16
    alignment: Annotated[float, "at least 0"] = 500.0
    kl: Annotated[float, "at least 0"] = 1e-5
    epochs: Annotated[int, "at least 1"] = 200
    batch_size: Annotated[int, "at least 2"] = 256
    learning_rate: Annotated[float, "above 0"] = 5e-4

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on all cells, whatever was measured in them."""
        need(CARD["wraps"])
        found = {
            normalization: modality_in(train, normalization, what)
            for normalization, (what, _) in KNOWN.items()
        }
        self.order = [
            modality for modality in found.values() if modality is not None
        ]  # RNA first, as the package asks
        if set(self.order) != set(train.modalities):
            raise NotApplicable(
                "Multigrate needs every modality to have counts: of RNA, proteins or ATAC"
            )
        self.normalizations = train.normalizations
        self.levels = {
            m: _level(train, m) for m in self.order if self.normalizations[m].kind == "lsi"
        }
        with scvi_apart(seed):
            from multigrate.model import MultiVAE

            data = self._data(train)
            MultiVAE.setup_anndata(
                data, size_factor_key="size", categorical_covariate_keys=["measured", "batch"]
            )
            losses = [KNOWN[self.normalizations[modality].kind][1] for modality in self.order]
            weights = {"integ": self.alignment, "kl": self.kl}
            aligned = {
                "integrate_on": "measured",
                "alignment_type": "marginal",
                "modality_alignment": "MMD",
            }
            model = MultiVAE(
                data,
                losses=losses,
                z_dim=self.latent,
                loss_coefs=weights,
                **aligned if self.alignment else {},
            )
            history = trained(
                model, max_epochs=self.epochs, lr=self.learning_rate, batch_size=self.batch_size
            )
            coded = model.adata_manager.get_state_registry("extra_categorical_covs")["mappings"]
        names = np.concatenate([block.batches for block in train.blocks])
        self.batches, self.module = Batches(names, list(coded["batch"])), model.module
        codes = {name: code for code, name in enumerate(coded["measured"])}
        sizes = Counter()
        for block in train.blocks:
            sizes[frozenset(block.modalities)] += len(block)
        self.groups = [
            (measured, codes[self._group(measured)]) for measured, _ in sizes.most_common()
        ]
        return history

    @inferring()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means given what was measured, (cells, latent)."""
        return piecewise(self._z, cells)

    @inferring()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target` at the posterior mean, (cells, features), standardised."""
        group = self._code(frozenset(cells.modalities) | {target})

        def expected(few: Cells) -> Tensor:
            decoded = self.module.generative(
                z_joint=self._z(few), cat_covs=self._covariates(few, group)
            )["rs"]
            return self._expected(decoded[self.order.index(target)], target, group)

        return piecewise(expected, cells)

    def _data(self, train: Split):
        """Return all train cells as the package wants them: one table of all modalities, zeros where one was not measured."""
        import pandas as pd
        from anndata import AnnData
        from scipy import sparse

        widths = [len(self.normalizations[modality].fraction) for modality in self.order]
        rows = [
            sparse.hstack(
                [
                    sparse.csr_matrix(_read(block, m, self.normalizations[m]))
                    if m in block.values
                    else sparse.csr_matrix((len(block), width), dtype=np.float32)
                    for m, width in zip(self.order, widths, strict=True)
                ]
            )
            for block in train.blocks
        ]
        columns = {
            "measured": [
                self._group(block.modalities) for block in train.blocks for _ in block.names
            ],
            "batch": [str(name) for block in train.blocks for name in block.batches],
            "size": np.concatenate([self._sizes(block) for block in train.blocks]),
        }
        names = np.concatenate([block.names for block in train.blocks]).astype(str)
        data = AnnData(sparse.vstack(rows, format="csr"), obs=pd.DataFrame(columns, index=names))
        data.var_names = [
            f"{m} {feature}"
            for m, width in zip(self.order, widths, strict=True)
            for feature in range(width)
        ]
        data.uns["modality_lengths"] = widths
        return data

    def _group(self, modalities: frozenset[str] | tuple[str, ...]) -> str:
        """Return the name of the cells in which these were measured, whatever their order."""
        return " + ".join(modality for modality in self.order if modality in modalities)

    def _sizes(self, block: Cells) -> np.ndarray:
        """Return each cell's number of RNA counts, of which its rates are shares; 1 of a cell without, (cells,)."""
        rna = [m for m in block.modalities if self.normalizations[m].kind == "lognorm"]
        return (
            np.maximum(np.asarray(block.counts[rna[0]].sum(1)).ravel(), 1.0)
            if rna
            else np.ones(len(block))
        )

    def _code(self, shown: frozenset[str]) -> int:
        """Return the code of the train cells in which just `shown` was measured, else of the largest group with more."""
        more = [(measured != shown, code) for measured, code in self.groups if shown <= measured]
        return (
            min(more, key=lambda one: one[0])[1] if more else self.groups[0][1]
        )  # groups are in order of size

    def _covariates(self, cells: Cells, group: int) -> Tensor:
        """Return the codes of what was measured and of the batch, (cells, 2)."""
        batch = self.batches.of(cells.batches)
        return torch.cat([torch.full_like(batch, group), batch], dim=1)

    def _z(self, cells: Cells) -> Tensor:
        shown = frozenset(cells.modalities)
        masks = torch.tensor([[modality in shown for modality in self.order]]).expand(
            len(cells), -1
        )
        x = [
            torch.as_tensor(_read(cells, m, self.normalizations[m]))
            if m in shown
            else torch.zeros(
                len(cells), len(self.normalizations[m].fraction)
            )  # the package's mask leaves its expert out
            for m in self.order
        ]
        return self.module.inference(
            x=torch.cat(x, 1), cat_covs=self._covariates(cells, self._code(shown)), masks=masks
        )["mu"]

    def _expected(self, decoded: Tensor, target: str, group: int) -> Tensor:
        """Return the expected values given what the decoder of `target` gives, (cells, features)."""
        normalization = self.normalizations[target]
        if normalization.kind == "lognorm":
            theta = self.module.theta[self.order.index(target)]
            dispersion = theta[:, group if theta.shape[1] > 1 else 0].exp()
            rate = decoded * float(normalization.library_size * normalization.fraction.sum())
            return expected_of_mixture([(1.0, negative_binomial(rate, dispersion))], normalization)
        if normalization.kind == "lsi":
            return expected_lsi(
                (decoded / torch.as_tensor(self.levels[target], device=decoded.device)).clamp(0, 1),
                normalization,
            )
        return standardised(decoded, normalization)


def _read(cells: Cells, modality: str, normalization) -> np.ndarray:
    """Return what the encoder reads, (cells, counted features): counts of RNA, log-normalised peaks, CLR of proteins."""
    if (
        normalization.kind == "clr"
    ):  # the package takes a cell whose values add up to 0 or less as not measured: CLR is never below 0
        return before_standardising(cells, modality, normalization).astype(np.float32)
    counts = cells.counts[modality].toarray().astype(np.float32)
    if normalization.kind == "lognorm":
        return counts
    return np.log1p(TARGET * counts / np.maximum(cells.library_size[modality], 1)[:, None]).astype(
        np.float32
    )


def _level(train: Split, modality: str) -> np.ndarray:
    """Return the mean of what is read of each peak over the train cells in which it is open, (peaks,)."""
    blocks = [block for block in train.blocks if modality in block.values]
    total = sum(_read(block, modality, train.normalizations[modality]).sum(0) for block in blocks)
    times = sum(np.asarray((block.counts[modality] > 0).sum(0)).ravel() for block in blocks)
    return np.where(times > 0, total / np.maximum(times, 1), 1.0).astype(np.float32)
