"""Gaussian posteriors: encoders, products, and divergences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from mosaicbench.models.losses import Loss
from mosaicbench.models.networks import mlp

SMALLEST_SD = 1e-3


def normal_of(parameters: Tensor) -> Normal:
    """Return the Normal of (cells, 2 latent) means and standard deviations before softplus."""
    mean, spread = parameters.chunk(2, -1)
    return Normal(mean, softplus(spread) + SMALLEST_SD, validate_args=False)


class GaussianEncoder(nn.Module):
    """x (cells, features) -> q(z | x), a Normal of shape (cells, latent).

    Parameters
    ----------
    dropout
        Probability, in training, that a value is set to 0, its mean.
    """

    def __init__(self, features: int, hidden: int, latent: int, *, dropout: float = 0.0):
        super().__init__()
        self.network, self.dropout = mlp(features, hidden, 2 * latent), dropout

    def forward(self, x: Tensor) -> Normal:
        """Return the posterior of each cell."""
        if self.dropout and self.training:
            x = hidden_in_part(x, self.dropout)
        return normal_of(self.network(x))


def hidden_in_part(x: Tensor, dropout: float) -> Tensor:
    """Return x with values set to 0 at random, the others scaled to the same expected sum."""
    return x * (torch.rand(x.shape, device=x.device) >= dropout) / (1 - dropout)


def product(
    experts: Sequence[Normal], seen: Sequence[Tensor] | None = None, *, prior: float = 0.0
) -> Normal:
    """Multiply Gaussians: precisions add, means are weighted by precision.

    Parameters
    ----------
    experts
        At least one, each (cells, latent).
    seen
        The cells in which each expert counts, (cells, 1) bool; None: all.
    prior
        The precision of one more expert of mean 0.
    """
    precisions = [expert.variance.reciprocal() for expert in experts]
    if seen is not None:
        precisions = [p * cells for p, cells in zip(precisions, seen, strict=True)]
    precision = sum(precisions, prior)
    mean = sum(p * expert.mean for p, expert in zip(precisions, experts, strict=True)) / precision
    return Normal(mean, precision.rsqrt(), validate_args=False)


def product_of_experts(experts: Sequence[Normal], seen: Sequence[Tensor] | None = None) -> Normal:
    """Multiply Gaussian experts and the prior expert N(0, 1), as :func:`product`.

    An absent modality is not among the experts; where no expert counts, the result is the prior.
    Source: Wu & Goodman 2018, doi 10.48550/arXiv.1802.05335.
    """
    return product(experts, seen, prior=1.0)


def kl(posterior: Normal) -> Loss:
    """Return KL(q(z | x) || N(0, 1)) of each cell as the term "kl"."""
    variance = posterior.variance
    return Loss(kl=0.5 * (posterior.mean.square() + variance - 1 - torch.log(variance)).sum(-1))


def disagreement(experts: list[Normal]) -> Loss:
    """Return sum_{m != n} KL(q_m || q_n) of each cell as the term "disagreement".

    Source: Ashford et al. 2026 (UniVI), doi 10.1101/gr.281431.125.
    """
    pairs = (kl_divergence(q, other).sum(-1) for q, other in permutations(experts, 2))
    return Loss(disagreement=sum(pairs, torch.zeros_like(experts[0].mean[..., 0])))
