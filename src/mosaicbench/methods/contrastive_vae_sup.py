"""Supervised contrastive VAE: the shared latent must also tell the cell type, where it is known.

cost = contrastive VAE's + sum_m { - label_weight E_{q_m} [ log p(y | s_m) ] }
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench.methods.contrastive_vae import ContrastiveVAE
from mosaicbench.modeling.supervised import Supervised

CARD = {
    "label": "Contrastive VAE supervised",
    "kind": "model",
    "own": True,
    "paper": "",
    "doi": "",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": ("pairs", "links", "labels"),
    "gives": ("joint", "single", "private", "impute"),
    "claims": ("aligns", "imputes", "reconstructs", "generates", "random"),
    "paths": ("alone -> itself", "alone -> others", "contrast", "types"),
    "advice": "As contrastive_vae, where train cells have types that the latent should follow. Scores of labels then reward "
    "what it was told; imputation and FOSCTTM do not.",
    "summary": "This project's own: the contrastive VAE with a linear decoder of the cell type from the shared latent.",
    "deviates": "There is no original.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "contrast_weight": {"float": [3.0, 300.0], "log": True},
        "label_weight": {"float": [10.0, 1000.0], "log": True},
    },
}


@dataclass(kw_only=True)
class SupervisedContrastiveVAE(Supervised, ContrastiveVAE):
    """The contrastive VAE's paths, and shared -> label."""
