"""MMVAE: each modality alone must explain every modality; the posterior is a mixture of experts.

    elbo:  loss = sum_m { - E_{q_m} [ sum_n log p(x_n | s, w_n) ] + beta KL(q_m || p) }
                  + alignment sum_{m != n} KL(q_m(s) || q_n(s)),      w_n = 0 for n != m
    iwae:  loss = - sum_m log 1/K sum_k v_mk,     z = z_mk ~ q_m
           v_mk = p(z) prod_n p(x_n | z) / (1/M sum_n q_n(z))
    dreg:  the same, with the gradient of the posteriors by double reparameterisation

The mixture is stratified: every expert is drawn from equally often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.distributions import Normal

from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.posteriors import disagreement, kl
from mosaicbench.models.vae import MixtureVAE, Supervised

CARDS = {
    "mmvae": {
        "label": "MMVAE",
        "kind": "model",
        "paper": "Shi et al. 2019",
        "doi": "10.48550/arXiv.1911.03393",
        "scenarios": ("paired", "mosaic"),
        "inputs": ("pairs",),
        "paths": ("alone -> itself", "alone -> others"),
        "advice": "Paired cells, to impute one modality from another or to find a cell's partner: each modality alone must "
        "explain all. If much variation is private to a modality, use mmvaepp.",
        "summary": "Mixture-of-experts VAE: each modality alone must reconstruct itself and every other one.",
        "deviates": "Gaussian posteriors and prior (the original's images have Laplace ones); the sum over experts, not their "
        "mean, as the other methods here pay. The bound is the ELBO; `objective: iwae` and `dreg` are the original's tighter ones, "
        "with `samples` draws per expert (double reparameterisation is unbiased for one expert; for a mixture it is the original's "
        "approximation). `private` adds private latents, as in Märtens & Yau 2024; `alignment` draws a cell's experts to each "
        "other, as UniVI does. In a mosaic the sum weighs a cell with two modalities four times as much as a cell with one, as "
        "its two experts decode both; `experts: mean` weighs it twice as much. "
        "Likelihoods are not weighted by numbers of features (`likelihood_rescaling: true`, on in the original's code, costs "
        "0.028 of FOSCTTM and 0.060 of skill on TEA-seq); dreg scores as the ELBO does; beta rises first (`warmup: 0`, the "
        "original's, scores the same). Prices: docs/results/departures.md.",
        "space": (
            "latent",
            "hidden",
            "learning_rate",
            "beta",
            "private",
            "input_dropout",
            "alignment",
        ),
    },
    "mmvae_sup": {
        "like": "mmvae",
        "label": "MMVAE supervised",
        "paper": "Märtens & Yau 2024",
        "doi": "10.48550/arXiv.2403.06338",
        "inputs": ("pairs", "labels"),
        "paths": ("alone -> itself", "alone -> others", "types"),
        "advice": "As mmvae, if train cells have types that the latent should follow. Scores of labels then reward "
        "the labels it was given; imputation and FOSCTTM do not.",
        "summary": "MMVAE with a linear decoder of the cell type from the shared latent: one label term for every expert.",
        "deviates": "Several classes (the original has two); a cell without a known type has no label loss (in the original, only in "
        "MMVAE).",
        "space": ("latent", "hidden", "learning_rate", "beta", "label_weight"),
    },
}


@dataclass(kw_only=True)
class MMVAE(MixtureVAE):
    """{m} -> every t.

    Attributes
    ----------
    objective
        The bound: "elbo", "iwae" (importance weighted) or "dreg" (doubly reparameterised). The last
        two weigh by the density of the mixture, so they need `private` 0 and beta 1, and have no
        warm-up.
    samples
        Draws per expert of "iwae" and "dreg".
    alignment
        Weight of the divergence between the experts of a cell, which rises as beta does; of "elbo" only.
    experts
        Whether the losses of a cell's experts are summed ("sum") or averaged ("mean").
    """

    objective: Literal["elbo", "iwae", "dreg"] = "elbo"
    samples: Annotated[int, "at least 1"] = 10
    alignment: Annotated[float, "at least 0", {"float": [0.0, 10.0]}] = 0.0
    experts: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        """Refuse what is not defined, and set the warm-up of importance-weighted bounds to 0."""
        if self.objective == "elbo":
            return
        if self.private or self.beta != 1 or self.alignment:
            raise ValueError(
                f"objective: {self.objective} is defined for private: 0, beta: 1 and alignment: 0 only"
            )
        self.warmup = 0.0

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return the negative of the chosen bound."""
        loss = self._elbo(x, progress) if self.objective == "elbo" else self._importance_weighted(x)
        return loss * (1 / len(x)) if self.experts == "mean" else loss

    def _elbo(self, x: Minibatch, progress: float) -> Loss:
        posteriors, loss = self.encode(x), Loss()
        for source, q in posteriors.items():
            # (cells, latent), (cells, private)
            shared, private = q.rsample().split([self.latent, self.private], -1)
            loss += self.nll_of(x, shared, {source: private}, x) + self.annealed(progress) * kl(q)
            loss += self.nll_label(x, shared)
        if self.alignment:
            shared_posteriors = [self.split(q)[0] for q in posteriors.values()]
            loss += self.alignment * progress * disagreement(shared_posteriors)
        return loss

    def _importance_weighted(self, x: Minibatch) -> Loss:
        """Return, per cell and expert, -log mean_k v_k.

        "dreg" has the same value and another gradient: the weights depend on the posteriors'
        parameters only through z, and the gradient through z has the normalised weights squared.
        """
        posteriors, loss = self.encode(x), Loss()
        # (samples, cells, latent) each
        drawn = {source: q.rsample([self.samples]) for source, q in posteriors.items()}
        if self.objective == "dreg":
            posteriors = {
                m: Normal(q.mean.detach(), q.stddev.detach(), validate_args=False)
                for m, q in posteriors.items()
            }
        for source, z in drawn.items():
            log_weights = self._log_weights(x, z, posteriors)  # (samples, cells)
            bound = log_weights.logsumexp(0) - math.log(self.samples)
            if self.objective == "dreg" and z.requires_grad:
                weights = log_weights.detach().softmax(0)
                z.register_hook(lambda gradient, weights=weights: gradient * weights[..., None])
                surrogate = (weights * log_weights).sum(0)
                bound = surrogate + (bound - surrogate).detach()
            loss += Loss({f"bound_{source}": -bound})
        return loss

    def _log_weights(self, x: Minibatch, z: Tensor, posteriors: dict[str, Normal]) -> Tensor:
        """Return log v of every draw, (samples, cells)."""
        log_prior = Normal(0, 1, validate_args=False).log_prob(z).sum(-1)
        log_experts = torch.stack([q.log_prob(z).sum(-1) for q in posteriors.values()])
        log_mixture = log_experts.logsumexp(0) - math.log(len(posteriors))
        log_likelihood = torch.stack([-sum(self.nll(x, draw).values()) for draw in z])
        return log_prior + log_likelihood - log_mixture


@dataclass(kw_only=True)
class SupervisedMMVAE(Supervised, MMVAE):
    """MMVAE whose shared latent must also tell the known cell types.

    loss = sum_m { mmvae's - label_weight E_{q_m} [ log p(y | s) ] }
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective != "elbo":
            raise ValueError(
                f"objective: {self.objective} has no supervised form; take mmvae, or objective: elbo"
            )
