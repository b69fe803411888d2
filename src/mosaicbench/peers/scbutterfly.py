"""scButterfly: an autoencoder per modality, and a translator between their codes with one latent.

    loss = sum_{m, n} w_n d(x_n, decode_n(translate(z_m))) + kl sum_m KL(q(z | x_m) || N(0, I))
           - discriminator (cross-entropy of discriminators of codes)

Each modality's autoencoder is trained alone first. Reference: Cao et al. 2024, scButterfly-B.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated
from unittest.mock import patch

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.utils.data import DataLoader

from mosaicbench.contract import Cells, History, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.methods._pairs import paired_cells
from mosaicbench.models.likelihoods import expected_lsi
from mosaicbench.peers._package import (
    apart,
    before_standardising,
    by_kind,
    history,
    lsi_of,
    need,
)
from mosaicbench.peers._scvi import Blockwise, standardised

CARD = {
    "label": "scButterfly",
    "kind": "model",
    "paper": "Cao et al. 2024",
    "doi": "10.1038/s41467-024-47418-x",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs", "counts"),
    "outputs": ("single", "impute"),
    "wraps": {
        "package": "scbutterfly",
        "module": "scButterfly",
        "version": "0.0.9",
        "licence": "MIT",
    },
    "environment": "scbutterfly",
    "summary": "The package's translation between RNA and peaks or proteins: autoencoders, trained alone first, and a "
    "translator of their codes, against discriminators that tell translated codes from encoded ones. Learns from paired cells, "
    "without augmentation.",
    "deviates": "RNA is log-normalised as in the split, to 10,000 counts instead of the median total, and proteins are the "
    "split's CLR. Peaks are weighted by the train cells' frequencies and divided by their largest value. A split has no "
    "chromosomes: 22 runs of consecutive peaks of equal size replace them. A decoded peak over its mean in cells in which it is "
    "open is read as its chance to be open; early in training this is above 1, and is not clipped. A fifth of the paired train "
    "cells decides when to stop, the package's default. Without a GPU the package's calls of one are skipped, and data are read "
    "in one process. It is installed without episcanpy, which is not used.",
    "space": ("latent", "noise", "discriminator"),
}

CODE = 128  # width of the encoders' codes
RUNS = 22  # of peaks; the tutorial's chromosomes
PER_RUN = 32  # width of the layer between a run's peaks and the code
VALIDATION = 0.2  # fraction of the paired cells


@dataclass(kw_only=True)
class ScButterfly(Blockwise):
    """The package's defaults, which are those of its tutorials.

    Attributes
    ----------
    latent
        Dimensions of z.
    noise
        Fraction of an RNA cell's values that a training step hides from the encoder.
    discriminator
        Weight of the discriminators' cross-entropy.
    pretraining, epochs
        Most epochs of each autoencoder alone, and of all together; either stops after 50 without a
        better validation loss.
    """

    latent: Annotated[int, "at least 1", {"int": [32, 256], "log": True}] = 128
    noise: Annotated[float, "at least 0 and below 1", {"float": [0.1, 0.7]}] = 0.5
    discriminator: Annotated[float, "at least 0", {"float": [0.1, 10.0], "log": True}] = 1.0
    pretraining: Annotated[int, "at least 1"] = 100
    epochs: Annotated[int, "at least 1"] = 200

    def fit(self, train: Split, seed: int) -> History:
        """Train on paired cells; the history is that of the epochs of all parts together."""
        need(CARD, counts_of=train)
        self.rna = by_kind(train).get("lognorm")
        others = [modality for modality in train.modalities if modality != self.rna]
        if self.rna is None or len(others) != 1:
            raise NotApplicable(
                "scButterfly translates between two modalities: counts of RNA, and of ATAC or proteins"
            )
        (self.other,), self.normalizations = others, train.normalizations
        cells = paired_cells(train, self.rna, self.other)
        genes, features = (len(self.normalizations[m].fraction) for m in (self.rna, self.other))
        kl_rna, kl_other, runs, width = 20 / genes, 1 / 150, [], CODE
        if self.other in lsi_of(train):
            self._weigh_peaks(cells)
            runs = list(map(len, np.array_split(np.arange(features), min(RUNS, features))))
            kl_other, width = 20 / features, PER_RUN * len(runs)
        order = np.random.default_rng(seed).permutation(len(cells)).tolist()
        count, losses = max(int(VALIDATION * len(cells)), 1), {}
        with apart(seed, silent=True):
            from anndata import AnnData

            def keep(*histories: object) -> None:
                losses.update(loss=histories[8], validation_loss=histories[11])

            trainer = _trainer(peaks=bool(runs))
            model = trainer.Model(
                RNA_data=AnnData(self._read(cells, self.rna)),
                ATAC_data=AnnData(self._read(cells, self.other)),
                chrom_list=runs,
                logging_path=None,
                R_encoder_dim_list=[genes, 256, CODE],
                R_decoder_dim_list=[CODE, 256, genes],
                A_encoder_dim_list=[features, width, CODE],
                A_decoder_dim_list=[CODE, width, features],
                translator_embed_dim=self.latent,
                # the package's default is one list for both, which each model makes longer
                discriminator_dim_list_R=[CODE],
                discriminator_dim_list_A=[CODE],
                R_noise_rate=self.noise,
            )
            # The package starts processes in every epoch and draws its losses as figures.
            with patch.multiple(trainer, DataLoader=_in_this_process, record_loss_log=keep):
                model.train(
                    loss_weight=[1, 2, self.discriminator, kl_rna, kl_other, kl_rna + kl_other],
                    train_id_r=order[count:],
                    train_id_a=order[count:],
                    validation_id_r=order[:count],
                    validation_id_a=order[:count],
                    R2R_pretrain_epoch=self.pretraining,
                    A2A_pretrain_epoch=self.pretraining,
                    translator_epoch=self.epochs,
                    seed=seed,
                )
        model.set_eval()
        self.encoders = {self.rna: model.RNA_encoder, self.other: model.ATAC_encoder}
        self.decoders = {self.rna: model.RNA_decoder, self.other: model.ATAC_decoder}
        self.translator = model.translator
        return history(**losses)

    def _z(self, cells: Cells) -> Tensor:
        return self._translated(cells)["mean"]

    def _expected(self, cells: Cells, target: str) -> Tensor:
        normalization = self.normalizations[target]
        decoded = self.decoders[target](self._translated(cells)[target]).cpu()
        if normalization.kind == "lsi":
            accessible = decoded / torch.as_tensor(self.mean_if_accessible)
            return expected_lsi(accessible, normalization)
        return standardised(decoded, normalization)

    def _weigh_peaks(self, cells: Cells) -> None:
        accessible = (cells.counts[self.other] > 0).astype(np.float32)
        times = np.maximum(np.asarray(accessible.sum(0)).ravel(), 1)
        self.weight = np.log1p(len(cells) / times).astype(np.float32)
        self.weight /= self._read(cells, self.other).max()
        total = np.asarray(self._read(cells, self.other).sum(0)).ravel()
        self.mean_if_accessible = np.maximum(total / times, 1e-8).astype(np.float32)

    def _read(self, cells: Cells, modality: str) -> sparse.csr_matrix:
        normalization = self.normalizations[modality]
        if normalization.kind != "lsi":
            x = before_standardising(cells, modality, normalization)
            return sparse.csr_matrix(x, dtype=np.float32)
        accessible = (cells.counts[modality] > 0).astype(np.float32)
        in_cell = np.maximum(np.asarray(accessible.sum(1)).ravel(), 1)
        weighted = sparse.diags(1 / in_cell) @ accessible @ sparse.diags(self.weight)
        return sparse.csr_matrix(weighted, dtype=np.float32)

    def _translated(self, cells: Cells) -> dict[str, Tensor]:
        (modality,) = cells.modalities
        encoder = self.encoders[modality]
        on = next(encoder.parameters()).device
        x = torch.as_tensor(self._read(cells, modality).toarray(), device=on)
        source = "RNA" if modality == self.rna else "ATAC"
        of_rna, of_other, mean, _ = self.translator.test_model(encoder(x), source)
        return {"mean": mean, self.rna: of_rna, self.other: of_other}


def _trainer(*, peaks: bool) -> ModuleType:
    """Import the package's model of RNA and peaks, or of RNA and proteins.

    An empty module replaces episcanpy, which anndata 0.12 breaks. Calls of an absent GPU are skipped.
    """
    for name in ("episcanpy", "episcanpy.api"):
        sys.modules.setdefault(name, ModuleType(name))
    from scButterfly import train_model, train_model_cite

    if not torch.cuda.is_available():
        torch.Tensor.cuda = lambda tensor: tensor
    return train_model if peaks else train_model_cite


def _in_this_process(*arguments: object, **options: object) -> DataLoader:
    return DataLoader(*arguments, **options | {"num_workers": 0})
