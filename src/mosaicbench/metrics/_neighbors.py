"""Labels carried to cells by their nearest neighbours, exactly, for several numbers of neighbours in one pass.

Neighbours at the same distance as the k-th share the remaining votes equally. So a collapsed embedding, in which every train
cell is equally near, predicts the most frequent type and cannot profit from the order of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mosaicbench.metrics._checks import Undefined, finite
from mosaicbench.metrics._directions import directions, has_none
from mosaicbench.metrics._distances import count_votes
from mosaicbench.metrics._labels import known
from mosaicbench.metrics._ranges import within_range
from mosaicbench.metrics._sides import one_blas_thread, sides_of

CHUNK = 8192  # cells whose votes are held at a time
EQUAL = 1e-9  # votes that differ by less are tied: shares are fractions


def transfer(
    reference_latent: np.ndarray, reference_labels: np.ndarray, latent: np.ndarray, *, k: int = 15
) -> np.ndarray:
    """Return the labels of :func:`transfer_each` for one k, (cells,)."""
    return transfer_each(reference_latent, reference_labels, latent, ks=[k])[k]


def transfer_each(
    reference_latent: np.ndarray,
    reference_labels: np.ndarray,
    latent: np.ndarray,
    **how: object,
) -> dict[int, np.ndarray]:
    """Return k -> the labels of :func:`transfer_with_share`, (cells,)."""
    transferred = transfer_with_share(reference_latent, reference_labels, latent, **how)
    return {k: labels for k, (labels, _) in transferred.items()}


def transfer_with_share(
    reference_latent: np.ndarray,
    reference_labels: np.ndarray,
    latent: np.ndarray,
    *,
    ks: Sequence[int],
    own: np.ndarray | None = None,
    cosine: bool = False,
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return the majority label of the k nearest labelled reference cells of each cell, and its share of the votes, for each k.

    Parameters
    ----------
    reference_latent
        (reference cells, dims).
    reference_labels
        (reference cells,); a cell labelled "" does not vote.
    latent
        (cells, dims).
    own
        (cells,) the reference cell that may not vote for a cell, its own partner; by default all may.
    cosine
        Whether distance is 1 - cosine, instead of Euclidean.

    Returns
    -------
    transferred
        k -> (cells,) object, and (cells,). A tied vote goes to the label with the nearest voter, then to the more frequent label in the
        reference, then to the one that comes first there; what a label is called never matters. All vote where there are
        fewer than k.
    """
    reference, latent = finite("reference_latent", reference_latent), finite("latent", latent)
    if reference.ndim != 2 or latent.ndim != 2 or reference.shape[1] != latent.shape[1]:
        raise ValueError(
            f"latents of the same dimensions are needed, found {reference.shape} and {latent.shape}"
        )
    if len(reference) != len(reference_labels):
        raise ValueError(
            f"{len(reference_labels)} reference labels do not match {len(reference)} reference cells"
        )
    reference, latent = (
        (directions(reference), directions(latent)) if cosine else within_range(reference, latent)
    )
    labelled = known(reference_labels)
    labels = np.asarray(reference_labels, dtype=object)[labelled].astype(str)
    names, first, codes, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    by_frequency = np.lexsort((first, -sizes))
    rank = np.argsort(by_frequency)
    place = np.where(
        labelled, np.cumsum(labelled) - 1, -1
    )  # of a reference cell among the labelled ones
    left_out = np.full(len(latent), -1) if own is None else place[own]
    most = int(labelled.sum()) - (own is not None)
    if most < 1:
        raise Undefined("at least one labelled reference cell beside the own partner is needed")
    possible = sorted({min(k, most) for k in ks})
    found, votes = _majority(
        latent, reference[labelled], rank[codes], len(names), possible, left_out
    )
    if cosine and np.any(
        as_far := has_none(latent)
    ):  # from all reference cells, whatever rounding says
        one_place = np.zeros((labelled.sum(), 1))
        found[as_far], votes[as_far] = _majority(
            np.zeros((as_far.sum(), 1)),
            one_place,
            rank[codes],
            len(names),
            possible,
            left_out[as_far],
        )
    place_of = {k: possible.index(min(k, most)) for k in ks}
    return {
        k: (names[by_frequency[found[:, i]]].astype(object), votes[:, i] / possible[i])
        for k, i in place_of.items()
    }


def votes_of_nearest(
    latent: np.ndarray,
    reference: np.ndarray,
    codes: np.ndarray,
    n_codes: int,
    ks: Sequence[int],
    left_out: np.ndarray,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield, for parts of the cells, the part, votes and squared distance of the nearest of each code, of :func:`count_votes`.

    `left_out`, (cells, any), names the reference cells that do not vote for a cell, -1 none; `ks` are ascending.
    """
    rows, blocks, rough, rough_blocks, half = sides_of(latent, reference)
    codes, ks = codes.astype(np.int64), np.array(ks)
    for part in (slice(start, start + CHUNK) for start in range(0, len(latent), CHUNK)):
        sides = rows[part], blocks, rough[part], rough_blocks, half
        with one_blas_thread():
            counted = count_votes(sides, len(reference), codes, n_codes, ks, left_out[part])
        yield part, *counted


def _majority(
    latent: np.ndarray,
    reference: np.ndarray,
    codes: np.ndarray,
    n_codes: int,
    ks: list[int],
    left_out: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the winning code and its votes for each cell and k; codes are ordered by frequency, so the first wins a full tie."""
    winners = np.empty((len(latent), len(ks)), dtype=int)
    of_winners = np.empty((len(latent), len(ks)))
    for part, votes, nearest in votes_of_nearest(
        latent, reference, codes, n_codes, ks, left_out[:, None]
    ):
        leading = votes >= votes.max(axis=2, keepdims=True) - EQUAL
        winners[part] = np.where(leading, nearest[:, None, :], np.inf).argmin(axis=2)
        of_winners[part] = np.take_along_axis(votes, winners[part][:, :, None], axis=2)[:, :, 0]
    return winners, of_winners
