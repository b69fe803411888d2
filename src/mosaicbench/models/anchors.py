"""Anchors, likely pairs of cells of two modalities, and geometry.

Squared distances come from Gram matrices, |x|^2 + |y|^2 - 2 x y', so no tensor is larger than cells x cells.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

CEILING = 0.975  # similarity of two neighbourhoods above which geometry has no gradient


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return the squared Euclidean distances of rows, (cells of x, cells of y)."""
    squares = x.square().sum(-1)[:, None] + y.square().sum(-1)
    return (squares - 2 * x @ y.T).clamp_min(0)


@torch.no_grad()
def mutual_neighbors(x: Tensor, y: Tensor, neighbors: int) -> Tensor:
    """Return which cells are among each other's nearest by cosine, a mask (cells of x, cells of y).

    Parameters
    ----------
    x, y
        Linked features: the same columns in two modalities.
    neighbors
        How many of the other modality's cells count as near.
    """
    similarity = normalize(x, dim=-1) @ normalize(y, dim=-1).T
    near = torch.zeros_like(similarity, dtype=torch.bool)
    near_x = near.scatter(1, similarity.topk(min(neighbors, len(y)), dim=1).indices, True)
    near_y = near.scatter(0, similarity.topk(min(neighbors, len(x)), dim=0).indices, True)
    return near_x & near_y


def anchor_distance(z: Tensor, other: Tensor, anchored: Tensor) -> Tensor:
    """Return values, (cells of z,), whose mean is the mean squared distance of anchored cells.

    Parameters
    ----------
    z, other
        (cells, latent) of two modalities; a distance is the mean over latent dimensions.
    anchored
        (cells of z, cells of other) mask; without an anchor the result is 0.
    """
    distances = squared_distances(z, other) / z.shape[1]
    return len(z) * (distances * anchored).sum(1) / anchored.sum().clamp_min(1)


def kernel(x: Tensor) -> Tensor:
    """Return exp(-1/2 mean over features of (x_i - x_j)^2), (cells, cells)."""
    return torch.exp(-0.5 * squared_distances(x, x) / x.shape[1])


def preserved_geometry(x: Tensor, z: Tensor) -> Tensor:
    """Return the cosine of each cell's rows in two kernels, (cells,), at most `CEILING`."""
    return cosine_similarity(kernel(x).detach(), kernel(z), dim=-1).clamp_max(CEILING)
