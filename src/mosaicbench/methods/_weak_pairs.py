"""Weak pairs: train cells of two modalities that are mutual neighbours in linked features, shown as one cell."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from mosaicbench.contract import BY_MODALITY, Cells, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.linked import linked

COMPONENTS = 30  # joint principal components that linked features are projected on, where there are more of them


def mutual_neighbors(own: np.ndarray, other: np.ndarray, neighbors: int) -> sparse.csr_matrix:
    """Return which cells are among each other's nearest by cosine, 1 or 0, (cells of own, cells of other).

    At least the two cells that are most alike are mutual neighbours.

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
    """Return the split with more cells: every two mutual neighbours as one cell that shows both modalities.

    Those of its own blocks stay what they are, so a cell that is a neighbour of several is in several of the new ones. A new
    cell has the label, and the batch, of its two where these agree, else none.

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
        one, other = (train.observing(modality) for modality in pair)
        rows = mutual_neighbors(
            *(features.of(x, m) for x, m in zip((one, other), pair, strict=True)), neighbors
        ).nonzero()
        blocks.append(_as_one(*(x.take(at) for x, at in zip((one, other), rows, strict=True))))
    if len(blocks) == len(train.blocks):
        raise reason
    return replace(train, blocks=tuple(blocks))


def _as_one(one: Cells, other: Cells) -> Cells:
    """Return cells that show what the same rows of both show."""
    return Cells(
        names=np.array(
            [f"{a} + {b}" for a, b in zip(one.names, other.names, strict=True)], dtype=object
        ),
        labels=_agreed(one.labels, other.labels),
        batches=_agreed(one.batches, other.batches),
        **{part: getattr(one, part) | getattr(other, part) for part in BY_MODALITY},
    )


def _agreed(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    return None if one is None or other is None else np.where(one == other, one, "")
