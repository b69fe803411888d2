"""MMVAE as the package `multivae` has it: importance weighted, Laplace posteriors, a prior whose width is learned.

This project's `mmvae` with `objective: dreg` is `posterior: normal, learn_prior: false` here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import nn

from mosaicbench.methods.peers._multivae import MultiVae

CARD = {
    "label": "MMVAE (multivae)",
    "kind": "model",
    "paper": "Shi et al. 2019",
    "doi": "10.48550/arXiv.1911.03393",
    "handles": ("paired",),
    "uses": ("pairs",),
    "gives": ("joint", "single", "impute"),
    "claims": (),
    "wraps": {
        "package": "multivae",
        "module": "multivae",
        "version": "1.0.3",
        "licence": "Apache-2.0",
    },
    "environment": "multivae",
    "summary": "The package's MMVAE, to check this project's `mmvae` against.",
    "deviates": "Networks and the decoders' learned sd are those of this project's `mmvae`, so that bounds are compared "
    "(`spread: fixed` is the package's sd of 1). A tenth of the train cells decides which epoch is kept; the package does not "
    "stop early. "
    "The joint latent is the mean of the modalities'.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "samples": {"int": [5, 20], "log": True},
    },
}


@dataclass(kw_only=True)
class MultiVaeMMVAE(MultiVae):
    """The package's MMVAE.

    Attributes
    ----------
    posterior
        Distribution of posteriors and prior.
    learn_prior
        Whether the prior's width is learned.
    objective
        "dreg", importance weighted with doubly reparameterised gradients, or "iwae".
    samples
        Draws per expert.
    """

    posterior: Literal["laplace_with_softmax", "normal"] = "laplace_with_softmax"
    learn_prior: bool = True
    objective: Literal["dreg", "iwae"] = "dreg"
    samples: Annotated[int, "at least 1"] = 10

    wraps = CARD["wraps"]

    def made(
        self, shared: dict[str, object], networks: dict[str, dict[str, nn.Module]]
    ) -> nn.Module:
        """Return the package's MMVAE."""
        from multivae.models import MMVAE, MMVAEConfig

        config = MMVAEConfig(
            **shared,
            K=self.samples,
            prior_and_posterior_dist=self.posterior,
            learn_prior=self.learn_prior,
            loss=f"{self.objective}_looser",
        )
        return MMVAE(config, **networks)
