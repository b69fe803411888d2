"""PoE-fusion VAE: one joint posterior, the product of the modalities' experts.

    cost = - E_q [ sum_m log p(x_m | z) ] + beta KL(q || p),      q(z | x) = p(z) prod_{m in S} q_m(z | x_m)

S is what a cell shows. In training it is all that was observed but for modalities dropped at random, so that the rest must
explain them too: else a single modality's expert would never be asked to stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import one_hot

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
    "gives": ("joint", "single", "impute", "draws"),
    "claims": ("aligns", "imputes", "generates", "random"),
    "paths": ("all -> each",),
    "advice": "Cells with all modalities, of which one joint embedding is wanted: the plainest fusion, to hold "
    "others against. What a single modality's latent is worth depends on modalities being dropped in "
    "training (`modality_dropout`).",
    "summary": "One joint posterior, the product of the modalities' Gaussian experts and the prior; each modality is decoded "
    "from it.",
    "deviates": "Costs are summed over features, with a learned standard deviation (the original averages squared errors, "
    "beside which the KL weighs as many times more as there are features: `reduction: squared_error`); values are "
    "standardised, and ATAC is LSI (the original has log-normalised RNA and a truncated SVD of raw counts, both "
    "in their own units, where ATAC of deep cells has large variances and the KL weighs less); an absent "
    "modality's expert is left out (the original puts a second prior in its place: `absent: zeros`) and is met in "
    "training through modality dropout (`modality_dropout: 0` is the original, whose experts are never used "
    "alone); latents are means, not samples. Weights are of the lowest validation loss, not the last (`weights: last` costs "
    "0.020 of FOSCTTM on BMMC and 0.031 on TEA-seq, 0.043 and 0.046 of skill); beta is 1 (`beta: 1.5`, the original's, scores "
    "the same), the learning rate 0.001 (at 0.0001 it scores the same). Prices: docs/results/departures.md.",
    "space": {
        "latent": {"int": [8, 64], "log": True},
        "hidden": {"int": [64, 256], "log": True},
        "learning_rate": {"float": [0.0003, 0.003], "log": True},
        "beta": {"float": [0.03, 10.0], "log": True},
        "modality_dropout": {"float": [0.0, 0.6]},
    },
}


@dataclass(kw_only=True)
class PoEVAE(MultimodalVAE):
    """all observed -> each observed, through the product of experts.

    Attributes
    ----------
    reduction
        Of log-likelihoods over features: "sum", "mean", or the original's "squared_error", whose mean over features stands
        beside a KL that is summed over latent dimensions; no standard deviation is learned, so the scale of values decides.
    absent
        What stands for a modality that was not observed: nothing, or the original's expert N(0, 1) ("zeros": of its mean and
        its log-variance), by which the prior counts once more.
    modality_dropout
        Probability that a modality is hidden from a cell's posterior in training; at least one is left, and all are decoded.
        None is hidden with `absent` "zeros".
    unimodal_terms
        "none", or "mvae": a cell also pays the bound of each of its modalities alone, as in MVAE.
    """

    reduction: Literal["sum", "mean", "squared_error"] = "sum"
    absent: Literal["left_out", "zeros"] = "left_out"
    modality_dropout: Annotated[float, "at least 0 and below 1"] = 0.3
    unimodal_terms: Literal["none", "mvae"] = "none"

    def posterior(self, x: Minibatch) -> Normal:
        """Return the product of the observed modalities' experts; in training some may be dropped."""
        experts = self.encode(x)
        if self.absent == "zeros":
            zeros = torch.zeros_like(next(iter(experts.values())).mean)
            absent = Normal(zeros, zeros + 1, validate_args=False)
            return product_of_experts(
                [*experts.values(), *[absent] * (len(self.decoders) - len(experts))]
            )
        seen = self.seen(list(x), x.cells)
        return product_of_experts(
            list(experts.values()), None if seen is None else list(seen.values())
        )

    def seen(self, observed: list[str], cells: int) -> dict[str, Tensor] | None:
        """Draw which observed modalities each cell shows, (cells, 1) bool each, at least one; None: all of them."""
        if (
            not self.decoders.training
            or self.absent == "zeros"
            or self.modality_dropout == 0
            or len(observed) == 1
        ):
            return None
        device = next(self.decoders.parameters()).device
        kept = torch.rand(cells, len(observed), device=device) >= self.modality_dropout
        kept |= one_hot(torch.randint(len(observed), (cells,), device=device), len(observed)).bool()
        return {modality: kept[:, i : i + 1] for i, modality in enumerate(observed)}

    def cost(self, x: Minibatch, progress: float) -> Cost:
        """Return the negative evidence lower bound of the joint posterior, and of each modality alone where it is asked for."""
        cost = self.bound(x, progress)
        if self.unimodal_terms == "mvae" and len(x) > 1:
            cost = sum((self.bound(x.only(modality), progress) for modality in x), cost)
        return cost

    def bound(self, x: Minibatch, progress: float) -> Cost:
        """Return the negative evidence lower bound of what is observed."""
        q = self.posterior(x)
        cost = self.annealed(progress) * kl(q)
        z = q.rsample()
        for modality, values in x.items():
            if self.reduction == "squared_error":
                expected = self.decoders[modality].expected(z)
                cost += Cost({f"nll_{modality}": torch.square(values - expected).mean(-1)})
                continue
            weight = 1 / values.shape[1] if self.reduction == "mean" else 1
            cost += weight * self.nll(x, z, [modality])
        return cost
