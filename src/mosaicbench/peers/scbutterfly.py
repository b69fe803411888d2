"""scButterfly: an autoencoder per modality, and a translator between their codes whose posteriors both decoders understand.

    loss = sum_{m, n} w_n d(x_n, decode_n(translate(z_m))) + kl sum_m KL(q(z | x_m) || N(0, I)) - discriminator (surprise about codes)

Each modality's autoencoder is trained alone first. Reference: Cao et al. 2024; the variant that the paper calls scButterfly-B.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from types import ModuleType
from typing import Annotated

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.methods._pairs import paired_cells
from mosaicbench.models.likelihoods import expected_lsi
from mosaicbench.peers._package import apart, before_standardising, history, need
from mosaicbench.peers._scvi import modality_in, piecewise

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
    "translator of their codes, against discriminators that tell translated codes from own ones. Learns from paired cells, without "
    "augmentation.",
    "deviates": "RNA is log-normalised as in the split, to 10,000 counts instead of the median total, and proteins are the "
    "split's CLR. Peaks are weighed by the train cells' frequencies and divided by their largest value. A split does not say "
    "where a peak lies: 22 stretches of as many neighbours stand for chromosomes. A decoded peak over its mean where it is "
    "open is read as how likely it is open; after few steps it is above 1, which is not cut. A fifth of the paired train cells "
    "decides when to stop, the package's default. Its call of a GPU is left out where there is none, and data are read in one "
    "process. It is installed without episcanpy, of which nothing is used.",
    "space": {
        "latent": {"int": [32, 256], "log": True},
        "noise": {"float": [0.1, 0.7]},
        "discriminator": {"float": [0.1, 10.0], "log": True},
    },
}

CODE = 128  # width of what the encoders give the translator
STRETCHES, PER_STRETCH = (
    22,
    32,
)  # chromosomes of the tutorial's peaks; width of the layer between each one's peaks and the code
VALIDATION = 0.2


@dataclass(kw_only=True)
class ScButterfly:
    """The networks, weights and epochs of the documentation's tutorials, which are the package's defaults.

    Attributes
    ----------
    latent
        Dimensions of z.
    noise
        Part of an RNA cell's values that its encoder does not see in a training step.
    discriminator
        Weight of the discriminators' cross-entropy.
    pretraining, epochs, patience
        Most epochs of each autoencoder alone, and of all together; epochs without a better validation loss before either stops.
    batch_size, learning_rate
        Of Adam.
    """

    latent: Annotated[int, "at least 1"] = 128
    noise: Annotated[float, "at least 0 and below 1"] = 0.5
    discriminator: Annotated[float, "at least 0"] = 1.0
    pretraining: Annotated[int, "at least 1"] = 100
    epochs: Annotated[int, "at least 1"] = 200
    patience: Annotated[int, "at least 1"] = 50
    batch_size: Annotated[int, "at least 2"] = 64
    learning_rate: Annotated[float, "above 0"] = 1e-3

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train on the cells in which both modalities were measured; the history is that of the epochs of all together."""
        need(CARD["wraps"])
        self.rna = modality_in(train, "lognorm", "RNA")
        others = [modality for modality in train.modalities if modality != self.rna]
        known = self.rna is not None and all(m in train.normalizations for m in others)
        if not known or len(others) != 1:
            raise NotApplicable(
                "scButterfly translates between two modalities: counts of RNA, and of ATAC or proteins"
            )
        (self.other,) = others
        cells = paired_cells(train, self.rna, self.other)
        self.normalizations = train.normalizations
        self._weigh_peaks(cells)
        order = np.random.default_rng(seed).permutation(len(cells))
        held_out = max(int(VALIDATION * len(cells)), 1)
        chosen, left = order[held_out:].tolist(), order[:held_out].tolist()
        widths = {
            modality: len(self.normalizations[modality].fraction)
            for modality in (self.rna, self.other)
        }
        with apart(seed), redirect_stderr(StringIO()):
            trainer = _trainer(peaks=self._has_peaks)
            model = trainer.Model(**self._configured(cells, widths))
            kl = {m: 20 / widths[m] for m in widths} | (
                {} if self._has_peaks else {self.other: 1 / 150}
            )
            with _as_it_is_here(trainer) as told:
                model.train(
                    loss_weight=[
                        1,
                        2,
                        self.discriminator,
                        kl[self.rna],
                        kl[self.other],
                        sum(kl.values()),
                    ],
                    train_id_r=chosen,
                    train_id_a=chosen,
                    validation_id_r=left,
                    validation_id_a=left,
                    R2R_pretrain_epoch=self.pretraining,
                    A2A_pretrain_epoch=self.pretraining,
                    translator_epoch=self.epochs,
                    patience=self.patience,
                    batch_size=self.batch_size,
                    seed=seed,
                    **{f"{part}_lr": self.learning_rate for part in PARTS},
                )
        model.set_eval()
        self.encoders = {self.rna: model.RNA_encoder, self.other: model.ATAC_encoder}
        self.decoders = {self.rna: model.RNA_decoder, self.other: model.ATAC_decoder}
        self.translator = model.translator
        return history(**told)

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means of cells of one modality, (cells, latent)."""
        return piecewise(lambda few: self._translated(few)["mean"], cells)

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return what the decoder of `target` gives at the posterior mean, (cells, features), standardised."""
        normalization = self.normalizations[target]

        def expected(few: Cells) -> Tensor | np.ndarray:
            decoded = self.decoders[target](self._translated(few)[target]).cpu()
            if normalization.kind == "lsi":
                return expected_lsi(
                    decoded / torch.as_tensor(self.mean_if_accessible), normalization
                )
            return (decoded.numpy() - normalization.mean) / normalization.std

        return piecewise(expected, cells)

    @property
    def _has_peaks(self) -> bool:
        return self.normalizations[self.other].kind == "lsi"

    def _configured(self, cells: Cells, widths: dict[str, int]) -> dict[str, object]:
        """Return what the package's model is made with."""
        from anndata import AnnData

        peaks = widths[self.other]
        stretches = (
            [len(part) for part in np.array_split(np.arange(peaks), min(STRETCHES, peaks))]
            if self._has_peaks
            else []
        )
        between = PER_STRETCH * len(stretches) or CODE
        return {
            "RNA_data": AnnData(self._read(cells, self.rna)),
            "ATAC_data": AnnData(self._read(cells, self.other)),
            "chrom_list": stretches,
            "logging_path": None,
            "R_encoder_dim_list": [widths[self.rna], 256, CODE],
            "R_decoder_dim_list": [CODE, 256, widths[self.rna]],
            "A_encoder_dim_list": [peaks, between, CODE],
            "A_decoder_dim_list": [CODE, between, peaks],
            "translator_embed_dim": self.latent,
            "discriminator_dim_list_R": [
                CODE
            ],  # the package's default is one list, which each model makes longer
            "discriminator_dim_list_A": [CODE],
            "R_noise_rate": self.noise,
        }

    def _weigh_peaks(self, cells: Cells) -> None:
        """Learn what a peak's frequency within a cell is multiplied by, and its mean where it is open, (peaks,) both."""
        if not self._has_peaks:
            return
        opened = (cells.counts[self.other] > 0).astype(np.float32)
        times = np.maximum(np.asarray(opened.sum(0)).ravel(), 1)
        self.weight = np.log1p(len(cells) / times).astype(np.float32)
        self.weight /= self._read(cells, self.other).max()
        self.mean_if_accessible = np.maximum(
            np.asarray(self._read(cells, self.other).sum(0)).ravel() / times, 1e-8
        ).astype(np.float32)

    def _read(self, cells: Cells, modality: str) -> sparse.csr_matrix:
        """Return what the encoder of a modality reads, (cells, counted features)."""
        normalization = self.normalizations[modality]
        if normalization.kind != "lsi":
            return sparse.csr_matrix(
                before_standardising(cells, modality, normalization), dtype=np.float32
            )
        opened = (cells.counts[modality] > 0).astype(np.float32)
        in_cell = np.maximum(np.asarray(opened.sum(1)).ravel(), 1)
        return sparse.csr_matrix(
            sparse.diags(1 / in_cell) @ opened @ sparse.diags(self.weight), dtype=np.float32
        )

    def _translated(self, cells: Cells) -> dict[str, Tensor]:
        """Return the posterior means of cells of one modality, and the code of either modality that they are translated to."""
        (modality,) = cells.modalities
        encoder = self.encoders[modality]
        x = torch.as_tensor(
            self._read(cells, modality).toarray(), device=next(encoder.parameters()).device
        )
        of_rna, of_other, mean, _ = self.translator.test_model(
            encoder(x), "RNA" if modality == self.rna else "ATAC"
        )
        return {"mean": mean, self.rna: of_rna, self.other: of_other}


PARTS = [
    f"{modality}_{part}" for modality in "RA" for part in ("encoder", "decoder", "translator")
] + ["translator"]


def _trainer(*, peaks: bool) -> ModuleType:
    """Import the package's model of RNA and peaks, or of RNA and proteins.

    The package imports episcanpy, which fails beside anndata 0.12, for two functions that prepare peaks. Nothing here uses
    them: an empty module stands in its place during the import.
    """
    absent = [name for name in ("episcanpy", "episcanpy.api") if name not in sys.modules]
    sys.modules.update({name: ModuleType(name) for name in absent})
    try:
        from scButterfly import train_model, train_model_cite
    finally:
        for name in absent:
            del sys.modules[name]
    return train_model if peaks else train_model_cite


@contextmanager
def _as_it_is_here(trainer: ModuleType) -> Iterator[dict[str, list[float]]]:
    """Let the package train with or without a GPU and in one process, and yield a dict that its history will be in.

    It asks for a GPU also where there is none, starts processes anew in every epoch, and draws its history as figures.
    """
    from torch.utils.data import DataLoader

    told = {}

    def loader(*arguments: object, **options: object) -> DataLoader:
        return DataLoader(*arguments, **options | {"num_workers": 0})

    def keep(*histories: object) -> None:
        told.update(loss=histories[8], validation_loss=histories[11])

    swapped = [(trainer, "DataLoader", loader), (trainer, "record_loss_log", keep)]
    if not torch.cuda.is_available():
        swapped.append((torch.Tensor, "cuda", lambda tensor: tensor))
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in swapped]
    for owner, name, ours in swapped:
        setattr(owner, name, ours)
    try:
        yield told
    finally:
        for owner, name, theirs in before:
            setattr(owner, name, theirs)
