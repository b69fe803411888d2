"""MoPoE: the posterior is the mixture of the products of experts of all observed subsets.

    sutter:  loss = - E_{q} [ sum_t log p(x_t | s, w_t) ] + beta 1/K sum_S KL(q_S || p)
             q = 1/K sum_S q_S
    martens: loss = MVAE's
                    + sum_m { - E_{q_m} [ sum_{t != m} log p(x_t | s, w_t) ] + beta KL(q_m(s) || p) }

S runs over the K = 2^M - 1 non-empty subsets, q_S is the product of the experts in S; w_t depends
on x_t only, so it is 0 where t is not in S.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import torch
from torch.distributions import Normal

from mosaicbench.methods.mvae import MVAE
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.posteriors import kl, product
from mosaicbench.models.vae import Supervised

CARDS = {
    "mopoe": {
        "label": "MoPoE",
        "kind": "model",
        "paper": "Sutter et al. 2021",
        "doi": "10.48550/arXiv.2105.02470",
        "scenarios": ("paired", "mosaic"),
        "inputs": ("pairs",),
        "paths": ("subsets -> each",),
        "advice": "Three or more modalities, of which new cells may have any subset. Its time grows with the number of "
        "subsets, which doubles with every modality.",
        "summary": "Mixture-of-products-of-experts VAE: every subset of the modalities must reconstruct all of them.",
        "deviates": "The prior is no expert (in the original it is one of the full subset only, so that a cell would be encoded "
        "differently where a modality is absent); subsets are drawn by permutation, not by position in the minibatch. A private "
        "latent is 0 for cells whose subset does not have its modality (in the original, which calls it style, it comes from "
        "its modality's posterior whatever the subset, so that the others need not predict the modality). A cell is embedded "
        "at the mean of the product of all that is observed (the original draws from the mixture of all subsets). "
        "`variant: martens` is what Märtens & Yau 2024 compare with under this name: MVAE and the paths between modalities, whose "
        "target's private latent is a draw from the prior (`cross_private: prior_sample`, what their code does) or 0 (`zero`, what "
        "their text says). "
        "Beta rises first (`warmup: 0`, the original's, scores the same, or 0.003 of skill more: docs/results/departures.md).",
        "space": ("latent", "hidden", "learning_rate", "beta", "private", "input_dropout"),
    },
    "mopoe_sup": {
        "like": "mopoe",
        "label": "MoPoE supervised",
        "paper": "Märtens & Yau 2024",
        "doi": "10.48550/arXiv.2403.06338",
        "inputs": ("pairs", "labels"),
        "paths": ("subsets -> each", "types"),
        "advice": "As mopoe, if train cells have types that the latent should follow. Scores of labels then reward "
        "the labels it was given; imputation and FOSCTTM do not.",
        "summary": "MoPoE with a linear decoder of the cell type from the shared latent: one label term for the mixture (in "
        "`variant: martens`, for every bound and every path between modalities).",
        "deviates": "Several classes (the original has two); a cell without a known type has no label loss (in the original, only in "
        "MMVAE).",
        "space": ("latent", "hidden", "learning_rate", "beta", "label_weight"),
    },
}


@dataclass(kw_only=True)
class MoPoE(MVAE):
    """S -> every t, for every subset S of what is observed.

    Attributes
    ----------
    variant
        "sutter", or "martens": Märtens and Yau's method of this name.
    cross_private
        The target's private latent on a path between modalities of "martens": "zero" or "prior_sample".
    """

    variant: Literal["sutter", "martens"] = "sutter"
    cross_private: Literal["zero", "prior_sample"] = "zero"

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the negative evidence lower bound of the variant."""
        if self.variant == "sutter":
            return self._mixture(x, progress)
        return super().loss(x, progress) + self._across(x, progress)

    def product(self, experts: list[Normal]) -> Normal:
        """Return the product of experts; only in "martens" with the prior, as in MVAE."""
        return product(experts) if self.variant == "sutter" else super().product(experts)

    def _mixture(self, x: Minibatch, progress: float) -> Loss:
        experts = self.encode(x)
        subsets = [s for size in range(1, len(experts) + 1) for s in combinations(experts, size)]
        codes = [self.code({m: experts[m] for m in subset}) for subset in subsets]
        divergence = sum((code.kl() for code in codes), Loss())
        divergence *= self.annealed(progress) / len(codes)

        # Every cell takes its code from one subset, and all subsets have equally many cells.
        drawn = [code.rsample() for code in codes]
        device = drawn[0][0].device
        chosen = torch.randperm(x.cells, device=device) % len(subsets)
        of_subset = torch.stack([s for s, _ in drawn])  # (subsets, cells, latent)
        shared = of_subset[chosen, torch.arange(x.cells, device=device)]  # (cells, latent)
        private = {}
        for modality, w in drawn[-1][1].items():  # the last subset is all that is observed
            with_it = [place for place, subset in enumerate(subsets) if modality in subset]
            within = sum(chosen == place for place in with_it)  # (cells,) 0 or 1
            private[modality] = w * within[:, None]
        return self.nll_of(x, shared, private, x) + divergence + self.nll_label(x, shared)

    def _across(self, x: Minibatch, progress: float) -> Loss:
        loss = Loss()
        for source, q in self.encode(x).items():
            code = self.code({source: q})
            shared = code.shared.rsample()
            others = [target for target in x if target != source]
            size = (x.cells, self.private)
            private = {m: torch.randn(size, device=shared.device) for m in others}
            private = private if self.cross_private == "prior_sample" else {}
            loss += self.nll_of(x, shared, private, others)
            loss += self.annealed(progress) * kl(code.shared) + self.nll_label(x, shared)
        return loss


@dataclass(kw_only=True)
class SupervisedMoPoE(Supervised, MoPoE):
    """MoPoE whose shared latent must also tell the known cell types.

    loss = mopoe's - label_weight E_q [ log p(y | s) ]
    """
