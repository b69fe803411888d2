"""MoPoE as the package `multivae` has it: a mixture of the products of experts of all subsets of the modalities.

The prior is an expert of the product of all modalities, and of no other; this project's `mopoe` has it in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from mosaicbench.methods.peers._multivae import MultiVae

CARD = {
    "label": "MoPoE (multivae)",
    "kind": "model",
    "paper": "Sutter et al. 2021",
    "doi": "10.48550/arXiv.2105.02470",
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
    "summary": "The package's MoPoE, to check this project's `mopoe` against.",
    "deviates": "Networks and the decoders' learned sd are those of this project's `mopoe`, so that bounds are compared "
    "(`spread: fixed` is the package's sd of 1). A tenth of the train cells decides which epoch is kept; the package does not "
    "stop early. "
    "The joint latent is the mean over all subsets of their posterior means; here it is the product of all experts.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
    },
}


@dataclass(kw_only=True)
class MultiVaeMoPoE(MultiVae):
    """The package's MoPoE.

    Attributes
    ----------
    beta
        Weight of the divergence from the prior.
    """

    beta: Annotated[float, "at least 0"] = 1.0

    wraps = CARD["wraps"]

    def made(
        self, shared: dict[str, object], networks: dict[str, dict[str, nn.Module]]
    ) -> nn.Module:
        """Return the package's MoPoE."""
        from multivae.models import MoPoE, MoPoEConfig

        return MoPoE(MoPoEConfig(**shared, beta=self.beta), **networks)
