"""What training minimises: named losses per cell, in nats; and the contrast, a loss of latents.

The contrast asks each cell, seen in one modality, to be recognised in its minibatch by another:

    contrast = sum_{m < n} 1/2 { - log softmax_j( -t |m_i - n_j|^2 )_i
                                 - log softmax_j( -t |n_i - m_j|^2 )_i }

m_i and n_i are the latents of cell i in two modalities; the sharpness t, 1 over a temperature, is
learned. Uninformative latents have log(cells) nats per pair of modalities, latents that recognise
every cell 0; log(cells) minus the contrast is a lower bound of the mutual information of the two.
Sources: van den Oord et al. 2018, doi 10.48550/arXiv.1807.03748; in both directions, Radford et al.
2021, doi 10.48550/arXiv.2103.00020, with cosines.
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

    Every loss is a sum over features and a mean over cells, so that a weight means the same in
    every method.
    """

    def __add__(self, other: Loss) -> Loss:
        common = {name: self[name] + value for name, value in other.items() if name in self}
        return Loss(self | other | common)

    def __mul__(self, weight: float) -> Loss:
        return Loss({name: weight * value for name, value in self.items()})

    __rmul__ = __mul__

    def total(self) -> Tensor:
        """Return the scalar that is minimised: the mean over cells of the sum of all terms."""
        return sum(self.values()).mean()


class Contrast(nn.Module):
    """Latents of the same cells in several modalities -> the contrast."""

    def __init__(self, sharpness: float):
        super().__init__()
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(sharpness)))

    def forward(self, latents: Sequence[Tensor]) -> Loss:
        """Return the term "contrast", (cells,) nats; 0 for a single modality.

        Parameters
        ----------
        latents
            (cells, latent) of each modality; row i of all is the same cell.
        """
        total = 0 * latents[0].sum(-1)  # (cells,)
        cells = torch.arange(len(total), device=total.device)
        for one, other in combinations(latents, 2):
            similarity = -self.log_sharpness.exp() * squared_distances(one, other)  # (cells, cells)
            for logits in (similarity, similarity.T):
                total = total + cross_entropy(logits, cells, reduction="none") / 2
        return Loss(contrast=total)
