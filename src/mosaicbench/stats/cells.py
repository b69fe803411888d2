"""Scores of single cells, as tests and intervals need them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mosaicbench.files.scores import CellScores


def cell_means(
    scores: CellScores | None, metric: str, seeds: Iterable[int]
) -> dict[int, np.ndarray]:
    """Return seed -> (cells,) means over directions; empty where a seed has no scores of cells."""
    means = {}
    for seed in seeds if scores is not None else ():
        blocks = [
            x.astype(float)
            for (of_seed, name, *_), x in scores.values.items()
            if (of_seed, name) == (seed, metric)
        ]
        if not blocks:
            return {}
        means[seed] = over_directions(blocks)
    return means


def over_directions(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Return (cells,) values whose mean over cells is the mean over directions of each direction's mean over its own cells.

    Where all directions have the same cells, this is the mean over directions. Else a cell counts in each of its directions by
    how far it lies from that direction's mean; NaN where it is in none.
    """
    x = np.asarray(blocks, dtype=float)  # (directions, cells)
    given = ~np.isnan(x)
    sizes = given.sum(axis=1, keepdims=True)
    if (given == given[0]).all() or not sizes.all():
        return x.mean(axis=0)
    means = np.nanmean(x, axis=1, keepdims=True)
    met = given.any(axis=0)
    deviations = (np.where(given, x - means, 0) / sizes).mean(axis=0)
    return np.where(met, means.mean() + met.sum() * deviations, np.nan)
