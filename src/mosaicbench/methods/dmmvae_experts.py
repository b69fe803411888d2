"""D-MMVAE, step 2: experts of each modality around one shared VAE.

    cost = - E_{q_m} [ log p(x_m | z) ] + beta KL(q_m || p),     all modalities through one trunk

At inference a cell of modality m is decoded by the expert of another one: cross-generation. Nothing in training asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench.modeling.diagonal import DiagonalVAE, Trunk

CARD = {
    "label": "D-MMVAE, experts",
    "kind": "model",
    "paper": "D-MMVAE, planned by its authors, step 2",
    "doi": "",
    "handles": ("unpaired",),
    "uses": (),
    "gives": ("single", "impute", "draws"),
    "claims": ("reconstructs", "generates", "random"),
    "paths": ("alone -> itself", "shared trunk"),
    "advice": "Never for results: a shared trunk alone aligns little. It is the control of the steps with critics.",
    "summary": "Second step of the D-MMVAE: an expert encoder and decoder per modality around one shared VAE, no cell paired.",
    "deviates": "As for dmmvae_base; one optimiser for experts and trunk, not one each; no layers per metadata field (donor, "
    "assay).",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "hidden": {"int": [64, 256], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "trunk": {"int": [32, 128], "log": True},
    },
}


@dataclass(kw_only=True)
class ExpertsDMMVAE(DiagonalVAE):
    """{m} -> m, through the one trunk."""

    def trunks(self, modalities: tuple[str, ...]) -> dict[str, Trunk]:
        """Return the same trunk for all modalities."""
        return dict.fromkeys(modalities, Trunk(self.hidden, self.trunk, self.latent))
