"""Supervised MMVAE++: the shared latent must also tell the cell type, where it is known.

cost = sum_m { mmvaepp's - label_weight E_{q_m} [ log p(y | s) ] }
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench.methods.mmvaepp import MMVAEpp
from mosaicbench.modeling.supervised import Supervised

CARD = {
    "label": "MMVAE++ supervised",
    "kind": "model",
    "paper": "Märtens & Yau 2024",
    "doi": "10.48550/arXiv.2403.06338",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs", "labels"),
    "gives": ("joint", "single", "private", "impute", "draws"),
    "claims": ("aligns", "imputes", "generates", "random"),
    "paths": ("alone -> others", "private -> itself", "types"),
    "advice": "As mmvaepp, where train cells have types that the latent should follow. Scores of labels then reward "
    "what it was told; imputation and FOSCTTM do not.",
    "summary": "MMVAE++ with a linear decoder of the cell type from the shared latent: one label term for every expert; "
    "unlike the own modality, the label does reach the shared latent.",
    "deviates": "Several classes (the original has two); a cell without a known type pays for none, everywhere (the original "
    "honours this in MMVAE only).",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "hidden": {"int": [64, 256], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "private": {"int": [4, 32], "log": True},
        "input_dropout": {"float": [0.0, 0.5]},
        "label_weight": {"float": [10.0, 1000.0], "log": True},
    },
}


@dataclass(kw_only=True)
class SupervisedMMVAEpp(Supervised, MMVAEpp):
    """MMVAE++'s paths, and shared -> label."""
