"""MVAE: every modality alone, and all together, must explain what they observe.

    cost = sum_S { - E_{q_S} [ sum_{m in S} log p(x_m | z) ] + beta KL(q_S || p) },      S in {all observed} + {each alone}

q_S is the product of the experts in S and the prior. The terms of single modalities are what makes an expert usable alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mosaicbench.parts.costs import Cost
from mosaicbench.parts.posteriors import kl
from mosaicbench.parts.vae import MultimodalVAE

CARD = {
    "label": "MVAE",
    "kind": "model",
    "paper": "Wu & Goodman 2018",
    "doi": "10.48550/arXiv.1802.05335",
    "handles": ("paired", "mosaic", "unpaired"),
    "uses": ("pairs",),
    "gives": ("joint", "single", "impute"),
    "summary": "Product-of-experts VAE whose bound is paid for all observed modalities together and for each of them alone.",
    "deviates": "No random subsets beyond the single modalities. Without any paired cell its bound is still defined, but "
    "nothing in it aligns the modalities: it is expected at chance there.",
}


@dataclass(kw_only=True)
class MVAE(MultimodalVAE):
    """S -> every t in S, for S all that is observed and each modality alone."""

    def cost(self, x: dict[str, Tensor], progress: float) -> Cost:
        """Return the sum of the negative evidence lower bounds of the subsets."""
        cost = Cost()
        for subset in dict.fromkeys([tuple(x), *((modality,) for modality in x)]):
            observed = {modality: x[modality] for modality in subset}
            q = self.posterior(observed)
            cost += self.nll(observed, q.rsample()) + self.annealed(progress) * kl(q)
        return cost
