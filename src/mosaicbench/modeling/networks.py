"""Plain networks."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import batch_norm


def mlp(*sizes: int) -> nn.Sequential:
    """Return linear layers of the given widths with leaky rectifiers between them, none after the last."""
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.LeakyReLU())]
    return nn.Sequential(*layers[:-1])


class NormalisedByMinibatch(nn.BatchNorm1d):
    """Normalises by minibatch; a single cell, which has no spread, by the mean of earlier minibatches."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised (cells, features)."""
        if len(x) > 1:
            return super().forward(x)
        return batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )
