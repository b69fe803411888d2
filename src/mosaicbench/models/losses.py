"""What training minimises: named losses per cell, in nats; and the contrast, a loss of latents alone.

A cell, seen in one modality, must be recognised among the cells of its minibatch by its other modality:

    contrast = sum_{m < n} 1/2 { - log softmax_j( -t |m_i - n_j|^2 )_i  - log softmax_j( -t |n_i - m_j|^2 )_i }

m_i and n_i are the latents of cell i in two modalities; t is the sharpness, 1 over a temperature, and learned. Latents that
say nothing loss log(cells) nats for each pair of modalities; latents that recognise every cell loss 0. The difference between
log(cells) and the loss is a lower bound of the information that the two latents have in common. Sources: van den Oord et al.
2018, doi 10.48550/arXiv.1807.03748; in both directions, Radford et al. 2021, doi 10.48550/arXiv.2103.00020, with cosines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mosaicbench.models.anchors import squared_distances


class Loss(dict[str, Tensor]):
    """name -> (cells,) nats, summed over features; `+` adds by name, `*` scales every term.

    There is one reduction everywhere, the sum over features and the mean over cells, so that a weight means the same in every
    method. The names become columns of the history.
    """

    def __add__(self, other: Loss) -> Loss:
        return Loss(
            self
            | {name: self[name] + value if name in self else value for name, value in other.items()}
        )

    def __mul__(self, weight: float) -> Loss:
        return Loss({name: weight * value for name, value in self.items()})

    __rmul__ = __mul__

    def total(self) -> Tensor:
        """Return the scalar that is minimised: the mean over cells of the sum of all terms."""
        return sum(self.values()).mean()


class Contrast(nn.Module):
    """latents of the same cells in several modalities -> what it losses to tell each cell from the others."""

    def __init__(self, sharpness: float):
        super().__init__()
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(sharpness)))

    def forward(self, latents: Sequence[Tensor]) -> Loss:
        """Return the term "contrast", (cells,) nats.

        Parameters
        ----------
        latents
            (cells, latent) of each modality; row i of all is the same cell. Of a single modality nothing is asked: it losses 0.
        """
        total = 0 * latents[0].sum(-1)  # (cells,)
        own = torch.arange(len(total), device=total.device)
        for one, other in combinations(latents, 2):
            likeness = -self.log_sharpness.exp() * squared_distances(one, other)  # (cells, cells)
            for logits in (likeness, likeness.T):
                total = total + cross_entropy(logits, own, reduction="none") / 2
        return Loss(contrast=total)
