"""Whether batches or modalities mix."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.special import entr

from mosaicbench.metrics._checks import Matrix, Undefined, dense, finite, matched
from mosaicbench.metrics._labels import batch_codes, codes_of, known, label_subset, with_batch
from mosaicbench.metrics._nearest import (
    MOST,
    handed_over,
    lisi,
    neighbors,
    neighbors_in,
    scib,
    votes_of_nearest,
)

CARDS = {
    "ilisi": {
        "label": "iLISI",
        "group": "mixing",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Median over query cells with a batch of the effective number of batches "
        "among 90 neighbours, scaled so that 0 is one batch only and 1 all of them equally (as in "
        "scib-metrics; cells that are equally far are drawn at random). Says nothing about "
        "biology: a constant latent mixes as well as random cells do.",
        "doi": "10.1038/s41592-021-01336-8",
        "exempt_from": {
            "perfect_is_best": "best is a limit",
            "noise_never_improves": "does not measure agreement",
            "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
        },
    },
    "kbet": {
        "like": "ilisi",
        "label": "kBET",
        "definition": "Fraction of query cells with a batch whose 50 neighbours do not differ in "
        "batches from all of them (chi-squared test at 0.05, as in scib-metrics; cells that are "
        "equally far are drawn at random). Says nothing about biology: a constant latent mixes as "
        "well as random cells do.",
        "doi": "10.1038/s41592-018-0254-1",
    },
    "bras": {
        "like": "ilisi",
        "label": "BRAS",
        "definition": "Batch removal adapted silhouette: 1 - |width| of the batches within a cell "
        "type, where a cell's mean cosine distance to its own batch is compared with that to all "
        "other batches; mean over the cells of a type with a batch, then over types with cells of "
        "several batches (as in scib-metrics). Says nothing about biology: a constant latent mixes "
        "best.",
        "doi": "10.1038/s41587-025-02743-4",
    },
    "pcr": {
        "like": "ilisi",
        "label": "PCR",
        "definition": "(R0 - R) / R0, with R the fraction of the latent's variance that the "
        "batches explain over its principal components, and R0 that of the modality's own values, "
        "of cells with a batch; 0 where R is no less than R0 (as in scib-metrics).",
        "exempt_from": {
            "perfect_is_best": "best is a limit",
            "noise_never_improves": "does not measure agreement",
            "collapse_is_not_rewarded": "is not defined without variance",
        },
    },
    "modality_mixing": {
        "label": "Modality mixing",
        "group": "mixing",
        "best": 0.5,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Mean over the query cells of both modalities of the fraction of the other "
        "modality among the 20 nearest of all other cells, the own partner not counted; where no "
        "cell has both, with equally many cells of each type from either; 0.5 is perfect mixing, 0 "
        "none. Says nothing about biology: a constant latent mixes best.",
        "exempt_from": {
            "best_is_a_bound": "half of the neighbours are of the other modality where it mixes "
            "perfectly",
            "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
        },
        "without_partners": True,
    },
    "modality_mixing_entropy": {
        "label": "Entropy of modality mixing",
        "group": "mixing",
        "best": 1.0,
        "better": "higher",
        "bounds": [0.0, 1.0],
        "definition": "Mean over the query cells of both modalities of the binary entropy, in "
        "bits, of the fraction of the other modality among the 20 nearest of all other cells, the "
        "own partner not counted; 1 is perfect mixing (random mixing has about 0.96), 0 none. Says "
        "nothing about biology: a constant latent mixes best.",
        "exempt_from": {
            "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
        },
        "without_partners": True,
    },
}

K = 20  # neighbours among which modalities are counted
EQUAL = 1e-12  # distances below are rounding: the cells have one direction


def ilisi(latent: np.ndarray, batches: np.ndarray) -> float:
    """Return the scaled median number of batches; undefined with one batch."""
    batched, codes = _of_batches(latent, batches)
    return lisi("ilisi_knn", *neighbors(batched, MOST), codes)


def ilisi_from_graph(graph: sparse.csr_matrix, batches: np.ndarray) -> float:
    """Return it for a (cells, cells) graph of distances, with as many neighbours as it has."""
    return lisi("ilisi_knn", *neighbors_in(graph), batch_codes(batches))


def kbet(latent: np.ndarray, batches: np.ndarray) -> float:
    """Return the fraction of cells with the batches of all."""
    batched, codes = _of_batches(latent, batches)
    return float(scib("kbet", handed_over(*neighbors(batched, 50)), codes)[0])


def kbet_from_graph(graph: sparse.csr_matrix, batches: np.ndarray) -> float:
    """Return it for a (cells, cells) graph of distances, with as many neighbours as it has."""
    return float(scib("kbet", handed_over(*neighbors_in(graph)), batch_codes(batches))[0])


def bras(latent: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> float:
    """Return the mean over types; undefined with fewer than two.

    The mean cosine distance of a cell to a set of cells is 1 less its product with the mean of
    their unit vectors, so no matrix of distances is needed.
    """
    rows = with_batch(batches)
    labels, batches = labels[rows], batches[rows]
    z, types = label_subset(finite(latent)[rows], labels)
    of_batch = codes_of(batches[known(labels)])
    tiny = np.finfo(float).tiny
    z = z / np.maximum(np.abs(z).max(axis=1, keepdims=True), tiny)
    unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), tiny)
    scores = []
    for code in range(types.max() + 1):
        members = types == code
        present, within = np.unique(of_batch[members], return_inverse=True)
        if 1 < len(present) < members.sum():
            scores.append(np.mean(1 - np.abs(_widths(unit[members], within))))
    if not scores:
        raise Undefined(
            "BRAS needs a cell type with at least two batches, one of them with two or more cells"
        )
    return float(np.mean(scores))


def pcr(latent: np.ndarray, values: Matrix, batches: np.ndarray) -> float:
    """Return the relative loss of variance between batches, from values to latents."""
    rows = with_batch(batches)
    values, latent = finite(dense(values))[rows], finite(latent)[rows]
    if not np.any(np.ptp(latent, axis=0) > 0):
        raise Undefined("the latent has no variance to explain")
    codes = codes_of(batches[rows])
    before, after = _between(values, codes), _between(latent, codes)
    if before == 0:
        raise Undefined("the batches explain nothing of the values")
    return max(0.0, (before - after) / before)


def modality_mixing(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean fraction of the other modality; the same in both directions."""
    return float(_fractions_of_other(latent_a, latent_b).mean())


def modality_mixing_entropy(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the mean entropy of the fractions, in bits; the same in both directions."""
    fraction = _fractions_of_other(latent_a, latent_b)
    return float(np.mean((entr(fraction) + entr(1 - fraction)) / np.log(2)))


def _of_batches(latent: np.ndarray, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = with_batch(batches)
    return finite(latent)[rows], batch_codes(batches[rows])


def _widths(unit: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Return (b - a) / max(a, b) of each cell: a within its batch, b to all others; 0 if alone."""
    own = batch == np.arange(batch.max() + 1)[:, None]  # (batches, cells)
    sums, sizes = own @ unit, own.sum(axis=1)[batch]  # (batches, dims), (cells,)
    to_own = (
        sizes - np.einsum("ij,ij->i", unit, sums[batch]) - (1 - np.einsum("ij,ij->i", unit, unit))
    )  # without itself
    to_others = (len(unit) - sizes) - np.einsum("ij,ij->i", unit, sums.sum(axis=0) - sums[batch])
    a, b = to_own / np.maximum(sizes - 1, 1), to_others / (len(unit) - sizes)
    wider = np.maximum(a, b)
    return np.where((sizes > 1) & (wider > EQUAL), (b - a) / np.maximum(wider, EQUAL), 0)


def _between(x: np.ndarray, codes: np.ndarray) -> float:
    centred = x - x.mean(axis=0)
    batches = np.arange(codes.max() + 1) == codes[:, None]  # (cells, batches)
    between = np.square(batches.T @ centred).sum(axis=1) / batches.sum(axis=0)  # (batches,)
    total = np.square(centred).sum()
    return float(between.sum() / total) if total > 0 else 0.0


def _fractions_of_other(latent_a: np.ndarray, latent_b: np.ndarray) -> np.ndarray:
    a, b = matched(latent_a, latent_b)
    n, both = len(a), np.concatenate([a, b])
    of, cells = np.repeat([0, 1], n), np.arange(2 * n)
    left_out = np.stack([cells, (cells + n) % (2 * n)], axis=1)  # itself, and its partner
    k = min(K, 2 * n - 2)
    fractions = np.empty(2 * n)
    for part, votes, _ in votes_of_nearest(both, both, of, 2, [k], left_out):
        fractions[part] = votes[np.arange(len(votes)), 0, 1 - of[part]] / k
    return fractions
