"""Scores of single cells, as tests and intervals need them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mosaicbench.files.scores import CellScores


def cell_means(scores: CellScores | None, metric: str, seeds: Iterable[int]) -> dict[int, np.ndarray]:
    """Return seed -> (cells,) means over directions; empty where a seed has no scores of cells."""
    means = {}
    for seed in seeds if scores is not None else ():
        blocks = [x.astype(float) for (of_seed, name, *_), x in scores.values.items() if (of_seed, name) == (seed, metric)]
        if not blocks:
            return {}
        means[seed] = np.mean(blocks, axis=0)
    return means
