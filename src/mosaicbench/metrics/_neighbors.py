"""Labels carried from train cells to query cells by their nearest neighbours, exactly.

Neighbours at the same distance as the k-th share the remaining votes equally. So a collapsed embedding, in which every train
cell is equally near, predicts the most frequent type and cannot profit from the order of rows.
"""

from __future__ import annotations

import numba
import numpy as np

from mosaicbench.metrics._checks import finite
from mosaicbench.metrics._labels import known

BLOCK = 512


def transfer(reference_latent: np.ndarray, reference_labels: np.ndarray, latent: np.ndarray, *, k: int = 15) -> np.ndarray:
    """Return the majority label of the k nearest labelled reference cells of each cell (Euclidean).

    Parameters
    ----------
    reference_latent
        (train cells, dims).
    reference_labels
        (train cells,); a cell labelled "" does not vote.
    latent
        (cells, dims).

    Returns
    -------
    labels
        (cells,) object. A tied vote goes to the label with the nearest voter, then to the more frequent label in the
        reference, then to the one that comes first there; what a label is called never matters.
    """
    reference, latent = finite("reference_latent", reference_latent), finite("latent", latent)
    if reference.ndim != 2 or latent.ndim != 2 or reference.shape[1] != latent.shape[1]:
        raise ValueError(f"latents of the same dimensions are needed, found {reference.shape} and {latent.shape}")
    if len(reference) != len(reference_labels):
        raise ValueError(f"{len(reference_labels)} reference labels do not match {len(reference)} reference cells")
    labelled = known(reference_labels)
    reference, labels = reference[labelled], np.asarray(reference_labels, dtype=object)[labelled].astype(str)
    names, first, codes, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    by_frequency = np.lexsort((first, -sizes))
    rank = np.argsort(by_frequency)
    found = _vote(latent, np.ascontiguousarray(reference.T), rank[codes], len(names), min(k, len(reference)))
    return names[by_frequency[found]].astype(object)


@numba.njit(parallel=True, cache=True)
def _vote(latent, reference_transposed, codes, n_labels, k):  # pragma: no cover - compiled
    """Return the winning label's code for each cell; codes are ordered by frequency, so the first wins a full tie."""
    dims, n = reference_transposed.shape
    winners = np.empty(len(latent), np.int64)
    for i in numba.prange(len(latent)):
        squared = np.empty(n)
        squared[:] = 0.0
        for start in range(0, n, BLOCK):
            width = min(BLOCK, n - start)
            for d in range(dims):
                x = latent[i, d]
                for j in range(start, start + width):
                    difference = x - reference_transposed[d, j]
                    squared[j] += difference * difference
        nearest = np.full(k, np.inf)  # ascending
        for j in range(n):
            if squared[j] < nearest[k - 1]:
                place = k - 1
                while place > 0 and nearest[place - 1] > squared[j]:
                    nearest[place] = nearest[place - 1]
                    place -= 1
                nearest[place] = squared[j]
        last = nearest[k - 1]
        sure, tied = 0, 0
        for j in range(n):
            sure += squared[j] < last
            tied += squared[j] == last
        votes = np.zeros(n_labels)
        closest = np.full(n_labels, np.inf)
        for j in range(n):
            if squared[j] <= last:
                votes[codes[j]] += 1.0 if squared[j] < last else (k - sure) / tied
                closest[codes[j]] = min(closest[codes[j]], squared[j])
        best = 0
        for label in range(1, n_labels):
            more = votes[label] > votes[best] + 1e-9
            same = abs(votes[label] - votes[best]) <= 1e-9
            if more or (same and closest[label] < closest[best]):
                best = label
        winners[i] = best
    return winners
