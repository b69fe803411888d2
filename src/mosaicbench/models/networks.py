"""Plain networks, and the optimiser of all trainings."""

from __future__ import annotations

import inspect
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm


def mlp(*sizes: int) -> nn.Sequential:
    """Return linear layers of the given widths with leaky rectifiers between them."""
    layers = []
    for width, following in pairwise(sizes):
        layers += [nn.Linear(width, following), nn.LeakyReLU()]
    return nn.Sequential(*layers[:-1])


def normalised_layer(width: int, hidden: int, by: type[nn.Module] = nn.LayerNorm) -> nn.Sequential:
    """Return a linear layer whose outputs are normalised, then rectified."""
    return nn.Sequential(nn.Linear(width, hidden), by(hidden), nn.LeakyReLU())


class NormalisedByMinibatch(nn.BatchNorm1d):
    """Normalises by minibatch; a single cell by the mean of earlier minibatches."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised (cells, features)."""
        if len(x) > 1:
            return super().forward(x)
        return batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class Adam(torch.optim.Adam):
    """PyTorch's Adam without the decorators that keep its methods out of ``torch.compile``.

    At the first call these import PyTorch's compiler: up to 2 CPU seconds of every fit.
    """

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
