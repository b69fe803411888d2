"""Silhouette widths: how much nearer a cell is to its own type than to the next, computed once for two scores."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mosaicbench.metrics._ranges import within_range
from mosaicbench.metrics._scib import scib


def widths(latent: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return (b - a) / max(a, b) of each cell, (cells,), as scib-metrics has it; the last answer is kept.

    a is the mean distance to the other cells of its type, b that to the cells of the nearest other type. The width is 0 where
    both are, and where a type has one cell.

    Parameters
    ----------
    latent
        (cells, dims), in float64.
    codes
        (cells,) types, 0 to the last, of which there are at least two.
    """
    return _widths(latent.tobytes(), latent.shape, codes.astype(np.int64).tobytes())


@lru_cache(maxsize=1)
def _widths(latent: bytes, shape: tuple[int, int], codes: bytes) -> np.ndarray:
    (cells,) = within_range(np.frombuffer(latent).reshape(shape))
    found = np.array(scib("silhouette_samples", cells, np.frombuffer(codes, dtype=np.int64)))
    found.flags.writeable = False
    return found
