"""Supervised MMVAE: the shared latent must also tell the cell type, where it is known.

cost = sum_m { mmvae's - label_weight E_{q_m} [ log p(y | s) ] }
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench.methods.mmvae import MMVAE
from mosaicbench.modeling.supervised import Supervised

CARD = {
    "label": "MMVAE supervised",
    "kind": "model",
    "paper": "Märtens & Yau 2024",
    "doi": "10.48550/arXiv.2403.06338",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs", "labels"),
    "gives": ("joint", "single", "private", "impute", "draws"),
    "claims": ("aligns", "imputes", "generates", "random"),
    "paths": ("alone -> itself", "alone -> others", "types"),
    "advice": "As mmvae, where train cells have types that the latent should follow. Scores of labels then reward "
    "what it was told; imputation and FOSCTTM do not.",
    "summary": "MMVAE with a linear decoder of the cell type from the shared latent: one label term for every expert.",
    "deviates": "Several classes (the original has two); a cell without a known type pays for none, everywhere (the original "
    "honours this in MMVAE only).",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "hidden": {"int": [64, 256], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "label_weight": {"float": [10.0, 1000.0], "log": True},
    },
}


@dataclass(kw_only=True)
class SupervisedMMVAE(Supervised, MMVAE):
    """MMVAE's paths, and shared -> label."""

    def __post_init__(self) -> None:
        """Refuse the bounds that have no place for a label."""
        super().__post_init__()
        if self.objective != "elbo":
            raise ValueError(
                f"objective: {self.objective} has no supervised form; take mmvae, or objective: elbo"
            )
