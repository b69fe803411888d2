"""D-MMVAE, step 1: a VAE of each modality by itself.

    cost = - E_{q_m} [ log p(x_m | z) ] + beta KL(q_m || p),     every modality with its own trunk

Nothing is shared, so nothing can be aligned: what the later steps reach has to be held against this.
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench.modeling.diagonal import DiagonalVAE, Trunk

CARD = {
    "label": "D-MMVAE, base",
    "kind": "model",
    "paper": "D-MMVAE, planned by its authors, step 1",
    "doi": "",
    "handles": ("unpaired",),
    "uses": (),
    "gives": ("single", "impute", "draws"),
    "claims": ("reconstructs", "generates", "random"),
    "paths": ("alone -> itself",),
    "advice": "Never for results: nothing aligns its latents. It is the control of the later steps.",
    "summary": "First step of the D-MMVAE: one VAE per modality with nothing in common, the control of the later steps.",
    "deviates": "The original is a VAE of one modality. Here every modality has one, and latents and cross-generation between "
    "VAEs that share nothing stand where chance stands. The evidence lower bound (the original's sum over cells makes its KL "
    "weigh about 1/128: `beta: 0.0078`); experts normalise each cell (`normalisation: minibatch` is the original), the trunk "
    "too, since running means of minibatches of one modality would mix modalities; no dropout; a learned Gaussian likelihood "
    "and no squared error; widths for thousands of cells, not for millions (`hidden: 1024`, `trunk: 256`, `latent: 128`).",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "hidden": {"int": [64, 256], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "trunk": {"int": [32, 128], "log": True},
    },
}


@dataclass(kw_only=True)
class BaseDMMVAE(DiagonalVAE):
    """{m} -> m, through a trunk of its own."""

    def trunks(self, modalities: tuple[str, ...]) -> dict[str, Trunk]:
        """Return a trunk for each modality."""
        return {modality: Trunk(self.hidden, self.trunk, self.latent) for modality in modalities}
