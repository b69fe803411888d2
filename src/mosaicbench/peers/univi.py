"""UniVI: a VAE per modality; the posteriors of a cell's modalities are drawn together.

    loss = 1/2 mean_m { - log p(x_m | z_m) } + 1/2 mean_{m != n} { - log p(x_n | z_m) }
           + beta mean_m KL(q_m || p) + gamma mean_{m != n} KL(q_m || q_n)

A cell's joint latent is the mean of its posteriors, weighted by precision. Source: the package's
README and user guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch

from mosaicbench.contract import Cells, History, Split
from mosaicbench.methods._pairs import paired_cells
from mosaicbench.models.minibatch import Minibatch, by_pieces
from mosaicbench.models.training import device, seeded
from mosaicbench.peers._package import apart, history, need, split_off

CARD = {
    "label": "UniVI",
    "kind": "model",
    "paper": "Ashford et al. 2026",
    "doi": "10.1101/gr.281431.125",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs",),
    "wraps": {"package": "univi", "module": "univi", "version": "1.2.1", "licence": "MIT"},
    "summary": "The package's VAE: one Gaussian encoder and decoder per modality, self- and cross-reconstruction, and the "
    "divergence between the posteriors of a cell's modalities.",
    "deviates": "Trained as its user guide says for CITE-seq or for Multiome, on the split's standardised values: normalised as "
    "in the guide (log-normalised RNA, CLR of protein, LSI of ATAC, each standardised), but features are chosen, and LSI is as "
    "wide, as for every other method. A tenth of the train cells decides when to stop. A minibatch has at most all train cells. "
    "Of a mosaic, the train cells with all modalities.",
    "space": {
        "beta": {"float": [0.3, 5.0], "log": True},
        "gamma": {"float": [1.0, 20.0], "log": True},
        "latent": {"int": [10, 60], "log": True},
    },
}

# recommendations of the user guide; the first epoch, and the last, in which a weight rises from 0
RECIPES = {
    "citeseq": {
        "beta": 1.5,
        "gamma": 5.0,
        "decoder_dropout": 0.0,
        "kl_anneal_start": 0,
        "kl_anneal_end": 0,
        "align_anneal_start": 0,
        "align_anneal_end": 0,
    },
    "multiome": {
        "beta": 1.25,
        "gamma": 4.35,
        "decoder_dropout": 0.05,
        "kl_anneal_start": 50,
        "kl_anneal_end": 85,
        "align_anneal_start": 75,
        "align_anneal_end": 110,
    },
}
WIDTHS = {"wide": [512, 256, 128], "narrow": [128, 64]}  # of encoders; decoders mirror them
WIDE = 500  # least features of a wide modality: thousands of genes, not proteins or LSI


@dataclass(kw_only=True)
class UniVI:
    """The package's model, as its user guide recommends.

    Attributes
    ----------
    recipe
        "citeseq", "multiome", or "auto": multiome if a modality is LSI.
    beta, gamma
        Weights of the divergence from the prior and between the modalities' posteriors; None takes
        the recipe's.
    latent
        Dimensions of the latent.
    epochs, early_stopping
        Most epochs; epochs without a better validation loss before stopping.
    batch_size, learning_rate, weight_decay
        Of Adam.
    validation
        Fraction of the train cells that decides when to stop; the best epoch's weights are kept.
    """

    recipe: Literal["auto", "citeseq", "multiome"] = "auto"
    beta: Annotated[float, "at least 0"] | None = None
    gamma: Annotated[float, "at least 0"] | None = None
    latent: Annotated[int, "at least 1"] = 30
    epochs: Annotated[int, "at least 1"] = 400
    early_stopping: Annotated[int, "at least 1"] = 50
    batch_size: Annotated[int, "at least 1"] = 256
    learning_rate: Annotated[float, "above 0"] = 1e-3
    weight_decay: Annotated[float, "at least 0"] = 1e-4
    validation: Annotated[float, "at least 0 and below 1"] = 0.1

    def fit(self, train: Split, seed: int) -> History:
        """Train the package's model; return its history."""
        need(CARD["wraps"])
        with apart(seed, silent=True), seeded(seed):
            from anndata import AnnData
            from univi import TrainingConfig, UniVIMultiModalVAE, UniVITrainer
            from univi.workflows import make_loader

            config = self._configured(train)
            cells = paired_cells(train, *train.modalities)
            chosen, validating = split_off(cells, self.validation, seed)
            tables, validation_tables = (
                {m: AnnData(x) for m, x in part.values.items()} for part in (chosen, validating)
            )
            size = min(self.batch_size, len(chosen))
            self.model = UniVIMultiModalVAE(config, loss_mode="v1", v1_recon="avg")
            trainer = UniVITrainer(
                self.model,
                make_loader(tables, batch_size=size, shuffle=True, drop_last=True, seed=seed),
                make_loader(validation_tables, batch_size=1024) if len(validating) else None,
                TrainingConfig(
                    n_epochs=self.epochs,
                    batch_size=size,
                    lr=self.learning_rate,
                    weight_decay=self.weight_decay,
                    device=str(device()),
                    early_stopping=True,
                    patience=self.early_stopping,
                    best_epoch_warmup=max(config.kl_anneal_end, config.align_anneal_end),
                ),
            )
            losses = trainer.fit()
        self.model.eval()
        return history(loss=losses["train_loss"], validation_loss=losses["val_loss"])

    def _configured(self, train: Split):
        from univi import ModalityConfig, UniVIConfig

        kinds = {normalization.kind for normalization in train.normalizations.values()}
        name = self.recipe
        if name == "auto":
            name = "multiome" if "lsi" in kinds else "citeseq"
        weights = {"beta": self.beta, "gamma": self.gamma}
        weights = {key: value for key, value in weights.items() if value is not None}
        modalities = []
        for modality, features in train.features.items():
            widths = WIDTHS["wide" if features >= WIDE else "narrow"]
            modalities.append(
                ModalityConfig(modality, features, widths, widths[::-1], likelihood="gaussian")
            )
        return UniVIConfig(
            latent_dim=self.latent,
            modalities=modalities,
            encoder_dropout=0.1,
            **RECIPES[name] | weights,
        )

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior mean given the observed modalities, (cells, latent)."""
        return by_pieces(self._mean, cells, device())

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the target's decoded mean, (cells, features), standardised."""
        return by_pieces(
            lambda x: self.model.decode_modalities(self._mean(x))[target], cells, device()
        )

    def _mean(self, x: Minibatch) -> torch.Tensor:
        mean, *_ = self.model.encode_fused(dict(x.items()))
        return mean
