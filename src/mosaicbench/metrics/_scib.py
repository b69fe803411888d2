"""scib-metrics, in double precision on the processor, and with neighbours that are handed over.

In single precision, which jax computes in by default, a latent far from its origin loses its distances, and one of very small
or large values is read as collapsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.metrics._kept import import_kept

if TYPE_CHECKING:
    from scib_metrics.nearest_neighbors import NeighborsResults


def scib(function: str, *arguments: object) -> object:
    """Return what a function of ``scib_metrics`` or ``scib_metrics.utils`` says of these arguments."""
    import jax

    scib_metrics = import_kept("scib_metrics")
    home = scib_metrics if hasattr(scib_metrics, function) else scib_metrics.utils
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        return getattr(home, function)(*arguments)


def handed_over(distances: np.ndarray, nearest: np.ndarray) -> NeighborsResults:
    """Return (cells, k) distances and places of neighbours, the cell itself first, as scib-metrics takes them."""
    return import_kept("scib_metrics.nearest_neighbors").NeighborsResults(
        indices=nearest, distances=distances
    )
