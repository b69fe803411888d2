"""Principal components, whitened, as the input of an encoder; and the rotations of them in which modalities agree.

Whitening gives every kept direction of a modality the same weight, however much of the variance it has. What two modalities
share may well lie in small ones. The number of kept components is what regularises.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from mosaicbench.view import View


class WhitenedComponents(nn.Module):
    """x (cells, features) -> its leading principal components, each of variance 1 in the train cells; not trained.

    Attributes
    ----------
    mean, axes
        (features,) and (features, components); an axis is divided by the standard deviation along it.
    """

    def __init__(self, mean: np.ndarray, axes: np.ndarray, spread: np.ndarray):
        super().__init__()
        smallest = np.sqrt(
            10 * np.finfo(np.float32).eps
        )  # along a direction without variance everything stays 0
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer(
            "axes", torch.as_tensor(axes / np.maximum(spread, smallest), dtype=torch.float32)
        )

    @property
    def width(self) -> int:
        """The number of components."""
        return self.axes.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """Return (cells, width)."""
        return (x - self.mean) @ self.axes


@torch.no_grad()
def canonical_rotations(
    whiteners: Mapping[str, WhitenedComponents], train: View, latent: int
) -> dict[str, np.ndarray]:
    """Return modality -> (components, latent): generalised canonical correlation analysis of whitened components.

    The leading eigenvectors of the correlations of all components, those of two modalities over the cells that have both, 0
    where no cell has both. An eigenvalue is 1 where modalities are unrelated and their number where they are equal; each
    variate is weighted by where it stands between, so that uncertain ones count less in distances. On cells that have all
    modalities it is the method `cca`. Source: Kettenring 1971, doi 10.1093/biomet/58.3.433.
    """
    edges = np.cumsum([0, *(whitener.width for whitener in whiteners.values())])
    places = {m: slice(*edges[i : i + 2]) for i, m in enumerate(whiteners)}
    correlations = np.eye(edges[-1])
    for one in whiteners:
        for other in whiteners:
            both = [
                block
                for block in train.blocks
                if one != other and {one, other} <= set(block.values)
            ]
            if both:
                a, b = (
                    _centred(np.concatenate([_of(whiteners[m], block.values[m]) for block in both]))
                    for m in (one, other)
                )
                correlations[places[one], places[other]] = a.T @ b / max(len(a) - 1, 1)
    agreement, vectors = np.linalg.eigh(correlations)
    kept = min(latent, *(whitener.width for whitener in whiteners.values()))
    agreement, vectors = agreement[::-1][:kept], vectors[:, ::-1][:, :kept]
    weight = np.clip((agreement - 1) / max(len(whiteners) - 1, 1), 0, 1)
    return {m: vectors[place] * np.sqrt(len(whiteners)) * weight for m, place in places.items()}


def _of(whitener: WhitenedComponents, x: np.ndarray) -> np.ndarray:
    return whitener(torch.from_numpy(x)).numpy().astype(np.float64)


def _centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean(axis=0)
