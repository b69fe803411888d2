"""PoE-fusion VAE: one joint posterior, the product of the modalities' experts.

    cost = - E_q [ sum_m log p(x_m | z) ] + beta KL(q || p),      q(z | x) = p(z) prod_m q_m(z | x_m)

Only the joint posterior is trained, so a single modality's expert is never asked to stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch.distributions import Normal

from mosaicbench.modeling.costs import Cost
from mosaicbench.modeling.minibatch import Minibatch
from mosaicbench.modeling.posteriors import kl, product_of_experts
from mosaicbench.modeling.vae import MultimodalVAE

CARD = {
    "label": "VAE (PoE)",
    "kind": "model",
    "paper": "VAE-omics; product of experts after Wu & Goodman 2018",
    "doi": "10.48550/arXiv.1802.05335",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs",),
    "gives": ("joint", "single", "impute"),
    "claims": ("imputes", "generates", "random"),
    "summary": "One joint posterior, the product of the modalities' Gaussian experts and the prior; each modality is decoded "
    "from it.",
    "deviates": "Costs are summed over features (the original averages them, which weighs the KL thousands of times and "
    "collapses the latent: `reduction: mean`); an absent modality's expert is left out (the original puts a second prior in "
    "its place: `absent: zeros`); latents are means, not samples.",
}


@dataclass(kw_only=True)
class PoEVAE(MultimodalVAE):
    """all observed -> each observed, through the product of experts.

    Attributes
    ----------
    reduction
        Of log-likelihoods over features; "mean" is the original's, beside a KL that is summed over latent dimensions.
    absent
        What stands for a modality that was not observed: nothing, or the original's expert N(0, 1) ("zeros": of its mean and
        its log-variance), by which the prior counts once more.
    """

    reduction: Literal["sum", "mean"] = "sum"
    absent: Literal["left_out", "zeros"] = "left_out"

    def posterior(self, x: Minibatch) -> Normal:
        """Return the product of the observed modalities' experts."""
        experts = list(self.encode(x).values())
        if self.absent == "zeros":
            zeros = torch.zeros_like(experts[0].mean)
            experts += [Normal(zeros, zeros + 1, validate_args=False)] * (len(self.decoders) - len(experts))
        return product_of_experts(experts)

    def cost(self, x: Minibatch, progress: float) -> Cost:
        """Return the negative evidence lower bound of the joint posterior."""
        q = self.posterior(x)
        cost = self.annealed(progress) * kl(q)
        z = q.rsample()
        for modality, values in x.items():
            weight = 1 / values.shape[1] if self.reduction == "mean" else 1
            cost += weight * self.nll(x, z, [modality])
        return cost
