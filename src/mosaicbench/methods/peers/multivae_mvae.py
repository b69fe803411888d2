"""MVAE as the package `multivae` has it: a sum of evidence lower bounds of all modalities and of each alone.

Its products of experts contain the prior, as in this project's `mvae`; beta rises from 0 over `warmup` epochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from mosaicbench.methods.peers._multivae import MultiVae

CARD = {
    "label": "MVAE (multivae)",
    "kind": "model",
    "paper": "Wu & Goodman 2018",
    "doi": "10.48550/arXiv.1802.05335",
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
    "summary": "The package's MVAE, to check this project's `mvae` against.",
    "deviates": "Networks and the decoders' learned sd are those of this project's `mvae`, so that bounds are compared "
    "(`spread: fixed` is the package's sd of 1). A tenth of the train cells decides which epoch is kept; the package does not "
    "stop early. "
    "The posterior's sd is the exponential of half a linear output, here a softplus.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
    },
}


@dataclass(kw_only=True)
class MultiVaeMVAE(MultiVae):
    """The package's MVAE, without random subsets beyond the single modalities.

    Attributes
    ----------
    beta
        Weight of the divergence from the prior.
    warmup
        Epochs over which it rises from 0.
    """

    beta: Annotated[float, "at least 0"] = 1.0
    warmup: Annotated[int, "at least 0"] = 10

    wraps = CARD["wraps"]

    def made(
        self, shared: dict[str, object], networks: dict[str, dict[str, nn.Module]]
    ) -> nn.Module:
        """Return the package's MVAE."""
        from multivae.models import MVAE, MVAEConfig

        return MVAE(MVAEConfig(**shared, beta=self.beta, warmup=self.warmup), **networks)
