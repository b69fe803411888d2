"""Weak pairs: mutual neighbours in linked features, of two modalities, shown as one cell."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from mosaicbench.contract import BY_MODALITY, Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.linked import linked

COMPONENTS = 30  # joint principal components that more linked features than this are projected on


def mutual_neighbors(own: np.ndarray, other: np.ndarray, neighbors: int) -> sparse.csr_matrix:
    """Return which cells are among each other's nearest by cosine, 1 or 0, (cells, other cells).

    Parameters
    ----------
    own, other
        (cells, columns) linked features: the same columns in two modalities.
    neighbors
        How many of the other modality's cells count as near.
    """
    index = [
        NearestNeighbors(n_neighbors=min(neighbors, len(x)), metric="cosine").fit(x)
        for x in (other, own)
    ]
    return index[0].kneighbors_graph(own).multiply(index[1].kneighbors_graph(other).T).tocsr()


def weakly_paired(train: Split, neighbors: int) -> Split:
    """Return the split with more cells: every two mutual neighbours as one cell of both modalities.

    A new cell has the label and batch of its two where these agree, else none.

    Raises
    ------
    NotApplicable
        When no two modalities are linked.
    """
    blocks, reason = list(train.blocks), None
    for pair in combinations(train.modalities, 2):
        try:
            features = linked(train, pair, components=COMPONENTS)
        except NotApplicable as error:
            reason = error
            continue
        cells = [train.observing(modality) for modality in pair]
        columns = [features.of(x, m) for x, m in zip(cells, pair, strict=True)]
        one, other = mutual_neighbors(*columns, neighbors).nonzero()
        blocks.append(_as_one(cells[0].take(one), cells[1].take(other)))
    if len(blocks) == len(train.blocks):
        raise reason
    return replace(train, blocks=tuple(blocks))


def _as_one(one: Cells, other: Cells) -> Cells:
    return Cells(
        names=one.names + " + " + other.names,
        labels=_agreed(one.labels, other.labels),
        batches=_agreed(one.batches, other.batches),
        **{part: getattr(one, part) | getattr(other, part) for part in BY_MODALITY},
    )


def _agreed(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    return None if one is None or other is None else np.where(one == other, one, "")
