"""Decoders: each returns a distribution over a modality's features, so that its likelihood is its own business."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import softplus

from mosaicbench.parts.networks import mlp


class GaussianDecoder(nn.Module):
    """z (cells, latent) -> p(x | z), a Normal of shape (cells, features) with one learned standard deviation per feature.

    The standard deviation has a floor: without one, a nearly constant feature would buy an unbounded likelihood.
    """

    def __init__(self, latent: int, hidden: int, features: int, *, smallest_sd: float = 0.1):
        super().__init__()
        self.network = mlp(latent, hidden, features)
        self.spread = nn.Parameter(torch.zeros(features))
        self.smallest_sd = smallest_sd

    def forward(self, z: Tensor) -> Normal:
        """Return the distribution of each cell's features."""
        return Normal(self.network(z), softplus(self.spread) + self.smallest_sd, validate_args=False)
