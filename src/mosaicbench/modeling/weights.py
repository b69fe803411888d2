"""Weights of networks as plain arrays, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mosaicbench.modeling.training import device


def weights_of(nets: nn.Module) -> dict[str, np.ndarray]:
    """Return the parameters and buffers of trained networks by name."""
    return {
        name: tensor.detach().cpu().contiguous().numpy()
        for name, tensor in nets.state_dict().items()
    }


def give_weights(nets: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Give networks the parameters and buffers that :func:`weights_of` returned, ready to embed.

    Raises
    ------
    ValueError
        When names or shapes are those of other networks.
    """
    try:
        nets.load_state_dict(
            {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
        )
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())) from error
    nets.to(device()).eval()
