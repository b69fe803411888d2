"""UniVI: a VAE per modality, each posterior drawn to those of the cell's other modalities; the package `univi`.

    loss = 1/2 mean_m { - log p(x_m | z_m) } + 1/2 mean_{m != n} { - log p(x_n | z_m) }
           + beta mean_m KL(q_m || p) + gamma mean_{m != n} KL(q_m || q_n)

A cell's joint latent is the mean of its posteriors, weighted by precision. Source: the package's README and user guide.
"""

from __future__ import annotations

from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import Annotated, Literal

import numpy as np
import torch

from mosaicbench.contract import Cells, Split
from mosaicbench.methods._pairs import paired_cells
from mosaicbench.models.minibatch import Minibatch, by_pieces
from mosaicbench.models.training import device, seeded
from mosaicbench.peers._package import apart, history, need

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
    "deviates": "Trained as its user guide says for CITE-seq or for Multiome, on the split's standardised values: the spaces "
    "are the guide's (log-normalised RNA, CLR of protein, LSI of ATAC, each standardised), but features are chosen, and LSI is "
    "as wide, as for every other method. A tenth of the train cells decides when to stop. Minibatches hold fewer cells where "
    "there are fewer. Of a mosaic, the train cells that show all modalities.",
    "space": {
        "beta": {"float": [0.3, 5.0], "log": True},
        "gamma": {"float": [1.0, 20.0], "log": True},
        "latent": {"int": [10, 60], "log": True},
    },
}

# What the user guide recommends for each kind of data; epochs are those over which a weight rises from 0.
RECIPES = {
    "citeseq": {
        "beta": 1.5,
        "gamma": 5.0,
        "decoder_dropout": 0.0,
        "divergence_rises": (0, 0),
        "alignment_rises": (0, 0),
    },
    "multiome": {
        "beta": 1.25,
        "gamma": 4.35,
        "decoder_dropout": 0.05,
        "divergence_rises": (50, 85),
        "alignment_rises": (75, 110),
    },
}
WIDTHS = {"wide": [512, 256, 128], "narrow": [128, 64]}  # of encoders; decoders mirror them
WIDE = (
    500  # features from which on a modality counts as wide: thousands of genes, not proteins or LSI
)


@dataclass(kw_only=True)
class UniVI:
    """The package's model, with the recommendations of its user guide.

    Attributes
    ----------
    recipe
        "citeseq", "multiome", or "auto": multiome where a modality is in LSI space.
    beta, gamma
        Weights of the divergence from the prior and between the modalities' posteriors; None takes the recipe's.
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

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Train the package's model; return its history."""
        need(CARD["wraps"])
        with apart(seed), seeded(seed), redirect_stderr(StringIO()):
            from anndata import AnnData
            from univi import TrainingConfig, UniVIMultiModalVAE, UniVITrainer
            from univi.workflows import make_loader

            cells, recipe = paired_cells(train, *train.modalities), self._recipe(train)
            order = np.random.default_rng(seed).permutation(len(cells))
            held_out = int(self.validation * len(cells))
            parts = {
                "train": cells.take(order[held_out:]),
                "validation": cells.take(order[:held_out]),
            }
            tables = {
                part: {m: AnnData(x) for m, x in shown.values.items()}
                for part, shown in parts.items()
            }
            size = min(self.batch_size, len(parts["train"]))
            self.model = UniVIMultiModalVAE(
                self._configured(train, recipe), loss_mode="v1", v1_recon="avg"
            )
            trainer = UniVITrainer(
                self.model,
                make_loader(
                    tables["train"], batch_size=size, shuffle=True, drop_last=True, seed=seed
                ),
                make_loader(tables["validation"], batch_size=1024) if held_out else None,
                TrainingConfig(
                    n_epochs=self.epochs,
                    batch_size=size,
                    lr=self.learning_rate,
                    weight_decay=self.weight_decay,
                    device=str(device()),
                    early_stopping=True,
                    patience=self.early_stopping,
                    best_epoch_warmup=max(*recipe["divergence_rises"], *recipe["alignment_rises"]),
                ),
            )
            told = trainer.fit()
        self.model.eval()
        return history(loss=told["train_loss"], validation_loss=told["val_loss"])

    def _recipe(self, train: Split) -> dict:
        spaces = {normalization.kind for normalization in train.normalizations.values()}
        name = (
            ("multiome" if "lsi" in spaces else "citeseq") if self.recipe == "auto" else self.recipe
        )
        given = {
            key: value
            for key, value in (("beta", self.beta), ("gamma", self.gamma))
            if value is not None
        }
        return RECIPES[name] | given

    def _configured(self, train: Split, recipe: dict) -> object:
        from univi import ModalityConfig, UniVIConfig

        modalities = []
        for modality, features in train.features.items():
            widths = WIDTHS["wide" if features >= WIDE else "narrow"]
            modalities.append(
                ModalityConfig(modality, features, widths, widths[::-1], likelihood="gaussian")
            )
        return UniVIConfig(
            latent_dim=self.latent,
            modalities=modalities,
            beta=recipe["beta"],
            gamma=recipe["gamma"],
            encoder_dropout=0.1,
            decoder_dropout=recipe["decoder_dropout"],
            kl_anneal_start=recipe["divergence_rises"][0],
            kl_anneal_end=recipe["divergence_rises"][1],
            align_anneal_start=recipe["alignment_rises"][0],
            align_anneal_end=recipe["alignment_rises"][1],
        )

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior mean given what is observed, (cells, latent)."""
        return by_pieces(self._mean, cells, device())

    @torch.no_grad()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return what the target's decoder expects at the posterior mean, (cells, features), standardised."""
        return by_pieces(
            lambda x: self.model.decode_modalities(self._mean(x))[target], cells, device()
        )

    def _mean(self, x: Minibatch) -> torch.Tensor:
        mean, *_ = self.model.encode_fused(dict(x.items()))
        return mean
