"""PoE-fusion VAE: one joint posterior, the product of the modalities' experts.

    cost = - E_q [ sum_m log p(x_m | z) ] + beta KL(q || p),      q(z | x) = p(z) prod_m q_m(z | x_m)

Only the joint posterior is trained, so a single modality's expert is never asked to stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from mosaicbench.parts.costs import Cost
from mosaicbench.parts.posteriors import kl
from mosaicbench.parts.vae import MultimodalVAE

CARD = {
    "label": "VAE (PoE)",
    "kind": "model",
    "paper": "VAE-omics; product of experts after Wu & Goodman 2018",
    "doi": "10.48550/arXiv.1802.05335",
    "handles": ("paired", "mosaic"),
    "uses": ("pairs",),
    "gives": ("joint", "single", "impute"),
    "summary": "One joint posterior, the product of the modalities' Gaussian experts and the prior; each modality is decoded "
    "from it.",
    "deviates": "Costs are summed over features (the original averages them, which weighs the KL thousands of times and "
    "collapses the latent: `reduction: mean`); an absent modality's expert is left out (the original replaces it by a second "
    "prior); latents are means, not samples.",
}


@dataclass(kw_only=True)
class PoEVAE(MultimodalVAE):
    """all observed -> each observed, through the product of experts.

    `reduction` "mean" is the original's: log-likelihoods averaged over features beside a KL summed over latent dimensions.
    """

    reduction: Literal["sum", "mean"] = "sum"

    def cost(self, x: dict[str, Tensor], progress: float) -> Cost:
        """Return the negative evidence lower bound of the joint posterior."""
        q = self.posterior(x)
        cost = self.annealed(progress) * kl(q)
        z = q.rsample()
        for modality, values in x.items():
            weight = 1 / values.shape[1] if self.reduction == "mean" else 1
            cost += weight * self.nll(x, z, [modality])
        return cost
