"""Gaussian posteriors: how they are encoded, multiplied and held against the prior."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from mosaicbench.modeling.costs import Cost
from mosaicbench.modeling.networks import mlp

SMALLEST_SD = 1e-3


class GaussianEncoder(nn.Module):
    """x (cells, features) -> q(z | x), a Normal of shape (cells, latent)."""

    def __init__(self, features: int, hidden: int, latent: int):
        super().__init__()
        self.network = mlp(features, hidden, 2 * latent)

    def forward(self, x: Tensor) -> Normal:
        """Return the posterior of each cell."""
        mean, spread = self.network(x).chunk(2, -1)  # (cells, latent) each
        return Normal(mean, softplus(spread) + SMALLEST_SD, validate_args=False)


def product(experts: list[Normal]) -> Normal:
    """Multiply Gaussians: precisions add, means are weighted by precision."""
    precisions = [expert.variance.reciprocal() for expert in experts]
    precision = sum(precisions)
    mean = sum(p * expert.mean for p, expert in zip(precisions, experts, strict=True)) / precision
    return Normal(mean, precision.rsqrt(), validate_args=False)


def product_of_experts(experts: list[Normal]) -> Normal:
    """Multiply Gaussian experts and the prior expert N(0, 1).

    An absent modality is simply not among the experts. With none, the result would be the prior.

    Source: Wu & Goodman 2018, doi 10.48550/arXiv.1802.05335.
    """
    prior = torch.zeros_like(experts[0].mean)
    return product([Normal(prior, prior + 1, validate_args=False), *experts])


def kl(posterior: Normal) -> Cost:
    """Return KL(q(z | x) || N(0, 1)) of each cell, summed over latent dimensions, as the term "kl"."""
    variance = posterior.variance
    return Cost(kl=0.5 * (posterior.mean.square() + variance - 1 - torch.log(variance)).sum(-1))


def disagreement(experts: list[Normal]) -> Cost:
    """Return sum_{m != n} KL(q_m || q_n) of each cell, over ordered pairs of its experts, as the term "disagreement".

    Source: Ashford et al. 2026 (UniVI), doi 10.1101/gr.281431.125.
    """
    pairs = (kl_divergence(q, other).sum(-1) for q, other in permutations(experts, 2))
    return Cost(disagreement=sum(pairs, torch.zeros_like(experts[0].mean[..., 0])))
