"""UniVI: a VAE per modality; the posteriors of a cell's modalities are drawn together.

    loss = 1/2 mean_m { - log p(x_m | z_m) } + 1/2 mean_{m != n} { - log p(x_n | z_m) }
           + beta mean_m KL(q_m || p) + gamma mean_{m != n} KL(q_m || q_n)

A joint latent is the mean of the posteriors, weighted by precision. Source: the package's guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from mosaicbench.contract import Cells, History, Split
from mosaicbench.methods._pairs import paired_cells
from mosaicbench.models.training import device, seeded
from mosaicbench.peers._package import apart, history, lsi_of, need, split_off
from mosaicbench.peers._scvi import Blockwise

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
    "space": ("beta", "gamma", "latent"),
}

# recommendations of the user guide; a weight rises from 0 from the first to the last of two epochs
RECIPES = {
    "citeseq": {"beta": 1.5, "gamma": 5.0},
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
BATCH_SIZE = 256
WIDE = 500  # least features of a wide modality: thousands of genes, not proteins or LSI


@dataclass(kw_only=True)
class UniVI(Blockwise):
    """The package's model, as its user guide recommends.

    Attributes
    ----------
    beta, gamma
        Weights of the divergence from the prior and between the modalities' posteriors; None takes
        those of the guide, for Multiome if a modality is LSI, else for CITE-seq.
    latent
        Dimensions of the latent.
    epochs
        Most epochs; it stops after 50 without a better loss of the validation cells.
    """

    beta: Annotated[float, "at least 0", {"float": [0.3, 5.0], "log": True}] | None = None
    gamma: Annotated[float, "at least 0", {"float": [1.0, 20.0], "log": True}] | None = None
    latent: Annotated[int, "at least 1", {"int": [10, 60], "log": True}] = 30
    epochs: Annotated[int, "at least 1"] = 400

    def fit(self, train: Split, seed: int) -> History:
        """Train the package's model; return its history."""
        need(CARD)
        with apart(seed, silent=True), seeded(seed):
            from anndata import AnnData
            from univi import TrainingConfig, UniVIMultiModalVAE, UniVITrainer
            from univi.workflows import make_loader

            config = self._configured(train)
            cells = paired_cells(train, *train.modalities)
            chosen, validating = split_off(cells, seed)
            tables = {m: AnnData(x) for m, x in chosen.values.items()}
            validation_tables = {m: AnnData(x) for m, x in validating.values.items()}
            size = min(BATCH_SIZE, len(chosen))
            self.model = UniVIMultiModalVAE(config, loss_mode="v1", v1_recon="avg")
            trainer = UniVITrainer(
                self.model,
                make_loader(tables, batch_size=size, shuffle=True, drop_last=True, seed=seed),
                make_loader(validation_tables, batch_size=1024),
                TrainingConfig(
                    n_epochs=self.epochs,
                    batch_size=size,
                    weight_decay=1e-4,
                    device=str(device()),
                    early_stopping=True,
                    patience=50,
                    best_epoch_warmup=max(config.kl_anneal_end, config.align_anneal_end),
                ),
            )
            losses = trainer.fit()
        self.model.eval()
        return history(loss=losses["train_loss"], validation_loss=losses["val_loss"])

    def _configured(self, train: Split):
        from univi import ModalityConfig, UniVIConfig

        recipe, modalities = dict(RECIPES["multiome" if lsi_of(train) else "citeseq"]), []
        for name in ("beta", "gamma"):
            if getattr(self, name) is not None:
                recipe[name] = getattr(self, name)
        for modality, features in train.features.items():
            widths = WIDTHS["wide" if features >= WIDE else "narrow"]
            modalities.append(
                ModalityConfig(modality, features, widths, widths[::-1], likelihood="gaussian")
            )
        return UniVIConfig(
            latent_dim=self.latent,
            modalities=modalities,
            encoder_dropout=0.1,
            **recipe,
        )

    def _z(self, cells: Cells) -> torch.Tensor:
        x = {m: torch.as_tensor(values, device=device()) for m, values in cells.values.items()}
        return self.model.encode_fused(x)[0]

    def _expected(self, cells: Cells, target: str) -> torch.Tensor:
        return self.model.decode_modalities(self._z(cells))[target]
