"""Weak pairs: a cell beside the mean of its mutual neighbours in linked features."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from mosaicbench.contract import BY_MODALITY, Cells, Split, concatenate
from mosaicbench.errors import NotApplicable
from mosaicbench.methods.linear import CCA
from mosaicbench.models.linked import Linked, linked

PAIRS_PER_COMPONENT = 10
FOLDS = 5  # of known pairs, of which each is held out once
ENOUGH = 1000  # known pairs that need no weak ones: a bound of memory and time, too
COMPONENTS = 30  # joint principal components that more linked features than this are projected on


def mutual_neighbors(own: np.ndarray, other: np.ndarray, neighbors: int) -> sparse.csr_matrix:
    """Return which are among each other's nearest by cosine, 1 or 0, (cells, other cells).

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


def carried_components(pairs: int) -> int:
    """Return how many principal components so many pairs can relate."""
    return max(10, pairs // PAIRS_PER_COMPONENT)


def weakly_paired(train: Split, neighbors: int) -> Split:
    """Return the split with more cells: each of one modality beside the mean of its neighbours.

    They are mutual, in linked features, where these find partners better than pairs do.

    Raises
    ------
    NotApplicable
        When no modalities are linked, and no cell has two.
    """
    alone = [block for block in train.blocks if len(block.modalities) == 1]
    shown, blocks, reason = replace(train, blocks=tuple(alone)), list(train.blocks), None
    modalities = [m for m in train.modalities if any(m in block.values for block in alone)]
    for pair in combinations(modalities, 2):
        known = [block.only(*pair) for block in train.blocks if set(pair) <= set(block.values)]
        if sum(map(len, known)) >= ENOUGH:
            continue
        try:
            features = linked(shown, pair, components=COMPONENTS)
        except NotApplicable as error:
            reason = error
            continue
        if known and not _links_are_better(concatenate(known), features):
            continue
        cells = [shown.observing(modality) for modality in pair]
        columns = [features.of(x, m) for x, m in zip(cells, pair, strict=True)]
        mutual = mutual_neighbors(*columns, neighbors)
        blocks.append(_beside_mean(*cells, mutual))
        blocks.append(_beside_mean(*cells[::-1], mutual.T.tocsr()))
    if reason is not None and len(blocks) == len(alone):
        raise reason
    return replace(train, blocks=tuple(blocks))


def _links_are_better(pairs: Cells, features: Linked) -> bool:
    """Whether they find partners among held-out pairs better than CCA of the others."""
    fold, errors = np.arange(len(pairs)) % FOLDS, np.zeros(2)
    sizes = {m: x.shape[1] for m, x in pairs.values.items()}
    for k in range(FOLDS if len(pairs) >= 2 * FOLDS else 0):
        fitted, held_out = pairs.take(fold != k), pairs.take(fold == k)
        cca = CCA(components=carried_components(len(fitted)))
        cca.fit(Split((fitted,), sizes), 0)
        alone = {m: held_out.only(m) for m in sizes}
        linked_columns = [features.of(x, m) for m, x in alone.items()]
        errors += (
            _nearer_than_partner(*linked_columns, "cosine"),
            _nearer_than_partner(*map(cca.embed, alone.values()), "euclidean"),
        )
    return bool(errors[0] <= errors[1])


def _nearer_than_partner(own: np.ndarray, other: np.ndarray, metric: str) -> float:
    distances = cdist(own, other, metric)
    true = distances.diagonal()
    return float((distances < true).mean() + (distances < true[:, None]).mean())


def _beside_mean(own: Cells, other: Cells, mutual: sparse.csr_matrix) -> Cells:
    having = np.flatnonzero(mutual.getnnz(axis=1))
    mean = normalize(mutual[having], "l1").astype(np.float32)  # (kept cells, other cells)
    shown, (modality,) = own.take(having), other.modalities
    parts = {
        part: getattr(shown, part) | {m: mean @ x for m, x in getattr(other, part).items()}
        for part in BY_MODALITY
    }
    return replace(shown, names=shown.names + f" + {modality}", **parts)
