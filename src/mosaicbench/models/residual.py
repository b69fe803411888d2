"""An encoder with a linear path around its network: it starts as a linear method.

The linear path reads whitened principal components, rotated to where modalities agree. Whitening
gives every component the same weight, whatever its variance: what modalities share may be in small
ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import softplus

from mosaicbench.contract import Split
from mosaicbench.models.networks import mlp
from mosaicbench.models.posteriors import SMALLEST_SD, hidden_in_part

# softplus(-2) = 0.13: at first a narrow posterior, in which the linear path is not lost in noise.
SPREAD_AT_START = -2.0
# A component without variance stays 0.
SMALLEST_SPREAD = np.sqrt(10 * np.finfo(np.float32).eps)


class WhitenedComponents(nn.Module):
    """x (cells, features) -> its leading principal components, each of variance 1; not trained."""

    def __init__(self, mean: np.ndarray, axes: np.ndarray, spread: np.ndarray):
        super().__init__()
        axes = axes / np.maximum(spread, SMALLEST_SPREAD)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("axes", torch.as_tensor(axes, dtype=torch.float32))

    @property
    def width(self) -> int:
        """The number of components."""
        return self.axes.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """Return (cells, width)."""
        return (x - self.mean) @ self.axes


class ResidualEncoder(nn.Module):
    """x (cells, features) -> q(z | x) of mean W c + f(c), c whitened components; f starts at 0.

    Attributes
    ----------
    components
        x -> c; None: c is x.
    linear
        W; None: the network alone.
    dropout
        Probability, in training, that a value of x is set to 0, its mean.
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
            weight = torch.zeros(latent, width)
            weight[: rotation.shape[1]] = torch.from_numpy(rotation.T.copy()).float()
            self.linear.weight.data.copy_(weight)
            nn.init.zeros_(self.network[-1].weight)
            nn.init.zeros_(self.network[-1].bias)

    def forward(self, x: Tensor) -> Normal:
        """Return the posterior of each cell."""
        if self.dropout and self.training:
            x = hidden_in_part(x, self.dropout)
        c = x if self.components is None else self.components(x)  # (cells, components)
        mean = self.network(c) if self.linear is None else self.linear(c) + self.network(c)
        return Normal(mean, softplus(self.spread(c)) + SMALLEST_SD, validate_args=False)


@torch.no_grad()
def canonical_rotations(
    whiteners: Mapping[str, WhitenedComponents], train: Split, latent: int
) -> dict[str, np.ndarray]:
    """Return modality -> (components, latent): generalised canonical correlation analysis.

    The leading eigenvectors of the correlations of all whitened components, those of two modalities
    over the cells that have both, 0 without such a cell. An eigenvalue is 1 where modalities are
    unrelated and their number where they are equal; each variate is weighted by its eigenvalue,
    scaled from 0 to 1 between these. On cells that have all modalities it is the method `cca`.
    Source: Kettenring 1971, doi 10.1093/biomet/58.3.433.
    """
    edges = np.cumsum([0, *(whitener.width for whitener in whiteners.values())])
    places = {m: slice(*edges[i : i + 2]) for i, m in enumerate(whiteners)}
    correlations = np.eye(edges[-1])
    for pair in permutations(whiteners, 2):
        blocks = [block.values for block in train.blocks if set(pair) <= set(block.values)]
        if blocks:
            a, b = (_centred(whiteners[m], np.concatenate([x[m] for x in blocks])) for m in pair)
            correlations[places[pair[0]], places[pair[1]]] = a.T @ b / max(len(a) - 1, 1)
    agreement, vectors = np.linalg.eigh(correlations)
    kept = min(latent, *(whitener.width for whitener in whiteners.values()))
    agreement, vectors = agreement[::-1][:kept], vectors[:, ::-1][:, :kept]
    weight = np.clip((agreement - 1) / max(len(whiteners) - 1, 1), 0, 1)
    return {m: vectors[place] * np.sqrt(len(whiteners)) * weight for m, place in places.items()}


def _centred(whitener: WhitenedComponents, x: np.ndarray) -> np.ndarray:
    components = whitener(torch.from_numpy(x)).numpy().astype(np.float64)
    return components - components.mean(axis=0)
