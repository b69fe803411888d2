"""An encoder with a linear path around its network: it starts as a linear method, and the network adds the rest."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import softplus

from mosaicbench.modeling.components import WhitenedComponents
from mosaicbench.modeling.networks import mlp
from mosaicbench.modeling.posteriors import SMALLEST_SD, hidden_in_part

SPREAD_AT_START = (
    -2.0
)  # softplus(-2) = 0.13: a posterior is narrow at first, so that the linear path is heard


class ResidualEncoder(nn.Module):
    """x (cells, features) -> q(z | x), a Normal with mean W c + f(c), c whitened components of x; f is 0 at the start.

    Attributes
    ----------
    components
        What c is of x; None takes x itself.
    linear
        W; None leaves the network alone.
    dropout
        Chance of a value of x to be hidden in training, as 0, its mean; the others grow, so that their sum is expected to stay.
    """

    def __init__(
        self,
        components: WhitenedComponents | None,
        features: int,
        hidden: int,
        latent: int,
        rotation: np.ndarray | None,
        *,
        dropout: float = 0.0,
    ):
        super().__init__()
        width = features if components is None else components.width
        self.components, self.linear, self.dropout = components, None, dropout
        self.network = mlp(width, hidden, latent)
        self.spread = nn.Linear(width, latent)
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, SPREAD_AT_START)
        if rotation is not None:
            self.linear = nn.Linear(width, latent, bias=False)
            nn.init.zeros_(self.linear.weight)
            with torch.no_grad():
                self.linear.weight[: rotation.shape[1]] = torch.from_numpy(
                    rotation.T.copy()
                ).float()
            _silence(self.network)

    def forward(self, x: Tensor) -> Normal:
        """Return the posterior of each cell."""
        if self.dropout and self.training:
            x = hidden_in_part(x, self.dropout)
        c = x if self.components is None else self.components(x)  # (cells, components)
        mean = self.network(c) if self.linear is None else self.linear(c) + self.network(c)
        return Normal(mean, softplus(self.spread(c)) + SMALLEST_SD, validate_args=False)


def _silence(network: nn.Sequential) -> None:
    """Let a network return 0."""
    nn.init.zeros_(network[-1].weight)
    nn.init.zeros_(network[-1].bias)
