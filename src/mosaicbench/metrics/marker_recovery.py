"""Recovery of markers: whether the features that tell a cell type in imputed values are those that do in measured ones."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import by_feature
from mosaicbench.metrics._checks import Undefined
from mosaicbench.metrics._correlation import average_correlation, spearman_rows
from mosaicbench.metrics._graph import codes_of
from mosaicbench.metrics._labels import known

CARD = {
    "label": "Recovery of markers",
    "group": "preservation",
    "best": 1.0,
    "better": "higher",
    "chance": 0.0,
    "bounds": [-1.0, 1.0],
    "definition": "Mean over cell types of Spearman's r, over features, between differential expression in imputed and in "
    "measured values: the difference of a feature's means inside and outside the type, in standard deviations of that feature "
    "over the query cells; 0 for a feature that does not vary. Types with at least 3 query cells, and 3 others.",
    "doi": "",
}

FEWEST = 3  # query cells of a type, and of all others


def marker_recovery(truth: np.ndarray, imputed: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, features) arrays, dense or sparse, and (cells,) labels.

    Raises
    ------
    ValueError
        When the shapes differ, a value is not finite, or a label is not text.
    Undefined
        When no type has three cells and three others, or no feature differs between types.
    """
    rows = np.flatnonzero(known(labels))
    if len(labels) != truth.shape[0]:
        raise ValueError(f"{len(labels)} labels do not match {truth.shape[0]} cells")
    codes = codes_of(np.asarray(labels, dtype=object)[rows])
    inside = codes == np.arange(codes.max() + 1)[:, None]  # (types, cells)
    inside = inside[(inside.sum(axis=1) >= FEWEST) & ((~inside).sum(axis=1) >= FEWEST)]
    if not len(inside):
        raise Undefined(f"no cell type has {FEWEST} query cells and {FEWEST} others")
    found = [[], []]
    for _, blocks in by_feature(truth=truth, imputed=imputed):
        for effects, block in zip(found, blocks, strict=True):
            effects.append(_effects(block[:, rows], inside))
    measured, guessed = (np.concatenate(effects, axis=1) for effects in found)  # (types, features)
    return average_correlation(spearman_rows(measured, guessed), of="differential expression")


def _effects(x: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the difference of means inside and outside each type in standard deviations, (types, features)."""
    varies = np.ptp(x, axis=1) > 0
    within = inside / inside.sum(axis=1, keepdims=True)
    outside = ~inside / (~inside).sum(axis=1, keepdims=True)
    centred = x - x.mean(axis=1, keepdims=True)
    return np.where(varies, (within - outside) @ centred.T / np.where(varies, x.std(axis=1), 1), 0)
