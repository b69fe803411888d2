"""VAEs with one joint posterior of a cell's modalities: a product of experts, or a network.

    loss = - E_q [ sum_m log p(x_m | z) ] + beta KL(q || p)

In training, modalities are dropped at random and the rest must explain them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import one_hot

from mosaicbench.contract import Split
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.networks import mlp
from mosaicbench.models.posteriors import GaussianEncoder, kl, product_of_experts
from mosaicbench.models.vae import MultimodalVAE

CARDS = {
    "vae_poe": {
        "label": "VAE (PoE)",
        "kind": "model",
        "paper": "VAE-omics; product of experts after Wu & Goodman 2018",
        "doi": "10.48550/arXiv.1802.05335",
        "scenarios": ("paired", "mosaic"),
        "inputs": ("pairs",),
        "paths": ("all -> each",),
        "advice": "One joint embedding of cells with all modalities: the plainest fusion, to compare others with. The latent of "
        "a single modality is only good if modalities are dropped in training (`modality_dropout`).",
        "summary": "One joint posterior, the product of the modalities' Gaussian experts and the prior; each modality is decoded "
        "from it.",
        "deviates": "Losses are summed over features, with a learned standard deviation (the original averages squared errors, so "
        "that the KL weighs more by the number of features: `reduction: squared_error`); values are "
        "standardised, and ATAC is LSI (the original has log-normalised RNA and a truncated SVD of raw counts, both "
        "in their own units, where ATAC of deep cells has large variances and the KL weighs less); an absent "
        "modality's expert is left out (in the original it is a second prior: `absent: zeros`), which training meets "
        "through modality dropout (`modality_dropout: 0` is the original, whose experts are never used "
        "alone); latents are means, not samples. Weights are of the lowest validation loss, not the last (`weights: last` costs "
        "0.015 of FOSCTTM and 0.036 of skill on BMMC, 0.041 of skill on TEA-seq); beta is 1 (`beta: 1.5`, the original's, scores "
        "the same), the learning rate 0.003 (0.0001, the original's, gains 0.007 of FOSCTTM and 0.010 of skill on BMMC in ten times "
        "the time). Prices: docs/results/departures.md.",
        "space": ("latent", "hidden", "learning_rate", "beta", "modality_dropout"),
    },
    "vae_mlp": {
        "like": "vae_poe",
        "label": "VAE (MLP)",
        "paper": "VAE-omics",
        "doi": "",
        "advice": "As vae_poe. With modality dropout the two fuse about equally well; without, the product of experts is better "
        "for cells with one modality (docs/results/fusion.md).",
        "summary": "One joint posterior, computed by a network from the modalities' concatenated encodings; each modality is "
        "decoded from it.",
        "deviates": "Losses are summed over features, with a learned standard deviation, and values are standardised (the original "
        "averages squared errors of values in their own units: `reduction: squared_error`, `standardise: false`); an "
        "absent modality is a token, learned through modality dropout (the original feeds zeros that training never "
        "saw: `absent: zeros`); latents are means, not samples. Weights are of the lowest validation loss, not the "
        "last (`weights: last` costs 0.011 of skill on BMMC and 0.015 on TEA-seq); beta is 1 (`beta: 1.5`, the original's, gains "
        "0.006 of skill on BMMC). Prices: docs/results/departures.md.",
    },
}


@dataclass(kw_only=True)
class PoEVAE(MultimodalVAE):
    """PoE-fusion VAE: all observed -> each observed, through the product of their experts.

        q(z | x) = p(z) prod_{m in S} q_m(z | x_m),      S: the modalities that a cell shows

    Attributes
    ----------
    reduction
        Of log-likelihoods over features: "sum", "mean", or the original's "squared_error", a mean
        over features beside a KL that is summed over latent dimensions; it learns no standard
        deviation, so the scale of values decides.
    absent
        "left_out": an unobserved modality has no expert; "zeros", the original's: its expert is
        N(0, 1), so the prior counts once more, and no modality is dropped.
    modality_dropout
        Probability that a modality is hidden from a cell's posterior in training; at least one is
        left, and all are decoded.
    unimodal_terms
        "none", or "mvae": a cell also pays the bound of each of its modalities alone, as in MVAE.
    """

    reduction: Literal["sum", "mean", "squared_error"] = "sum"
    absent: Literal["left_out", "zeros"] = "left_out"
    modality_dropout: Annotated[float, "at least 0 and below 1", {"float": [0.0, 0.6]}] = 0.3
    unimodal_terms: Literal["none", "mvae"] = "none"

    def posterior(self, x: Minibatch) -> Normal:
        """Return the product of the observed experts; in training some may be dropped."""
        experts = list(self.encode(x).values())
        if self.absent == "zeros":
            zeros = torch.zeros_like(experts[0].mean)
            prior = Normal(zeros, zeros + 1, validate_args=False)
            return product_of_experts(experts + [prior] * (len(self.decoders) - len(experts)))
        seen = self.seen(x)
        return product_of_experts(experts, seen and list(seen.values()))

    def seen(self, x: Minibatch) -> dict[str, Tensor] | None:
        """Draw in which cells each observed modality is shown, (cells, 1) bool; None: in all."""
        observed, cells = len(x), x.cells
        dropped = self.decoders.training and self.absent == "left_out" and self.modality_dropout > 0
        if not dropped or observed == 1:
            return None
        device = next(self.decoders.parameters()).device
        kept = torch.rand(cells, observed, device=device) >= self.modality_dropout
        kept |= one_hot(torch.randint(observed, (cells,), device=device), observed).bool()
        return dict(zip(x, kept.split(1, -1), strict=True))

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the bound of the joint posterior, and with `unimodal_terms` of each modality."""
        loss = self.bound(x, progress)
        if self.unimodal_terms == "mvae" and len(x) > 1:
            for modality in x:
                loss += self.bound(x.only(modality), progress)
        return loss

    def bound(self, x: Minibatch, progress: float) -> Loss:
        """Return the negative evidence lower bound of what is observed."""
        q = self.posterior(x)
        loss = self.annealed(progress) * kl(q)
        z = q.rsample()
        for modality, values in x.items():
            if self.reduction == "squared_error":
                error = torch.square(values - self.decoders[modality].expected(z)).mean(-1)
                loss += Loss({f"nll_{modality}": error})
            else:
                weight = 1 / values.shape[1] if self.reduction == "mean" else 1
                loss += weight * self.nll(x, z, [modality])
        return loss


@dataclass(kw_only=True)
class MLPVAE(PoEVAE):
    """MLP-fusion VAE: all observed -> each observed, through a network that reads all means.

        q(z | x) = N(MLP([mu_1, ..., mu_M]))

    An absent modality has a token, which is learned where modalities are dropped.
    """

    def build(self, train: Split) -> None:
        """Make an encoder and a token per modality, and the fusion network."""
        super().build(train)
        encoders = {m: mlp(d, self.hidden, self.latent) for m, d in train.features.items()}
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = GaussianEncoder(len(encoders) * self.latent, self.hidden, self.latent)
        learned = self.absent == "left_out"
        tokens = {m: nn.Parameter(torch.zeros(self.latent), learned) for m in encoders}
        self.tokens = nn.ParameterDict(tokens)

    def posterior(self, x: Minibatch) -> Normal:
        """Return the fused posterior; in training, tokens may replace all but one modality."""
        slots = {m: token.expand(x.cells, -1) for m, token in self.tokens.items()}
        seen = self.seen(x)
        for m, values in x.items():
            encoded = self.encoders[m](values)  # (cells, latent)
            slots[m] = torch.where(seen[m], encoded, slots[m]) if seen else encoded
        return self.fusion(torch.cat(list(slots.values()), -1))
