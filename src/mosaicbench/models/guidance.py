"""The guidance graph: every feature of every modality has an embedding, and linked features have similar ones.

    v_f ~ N(0, 1),   q(v | links) from one normalised graph convolution of a table of all features,
    p(f and g are linked with sign s) = sigmoid(s v_f . v_g)

Embeddings live in the space of the cells' latent z: the rate of feature f in a cell rises with z . v_f, so that features that
are linked across modalities rise and fall together, whether or not a cell was ever measured in both modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import NegativeBinomial, Normal
from torch.nn.functional import logsigmoid, softplus

from mosaicbench.contract import Normalization, Split
from mosaicbench.models.likelihoods import (
    drawn_of_counts,
    drawn_of_normal,
    expected_values,
    gaussian_nll,
    negative_binomial_nll,
)
from mosaicbench.models.minibatch import Minibatch
from mosaicbench.models.networks import mlp
from mosaicbench.models.posteriors import normal_of

if TYPE_CHECKING:
    from scipy import sparse

NEGATIVES = 10  # pairs without a link that are shown for each one with it
FIRST_SPREAD = -3.0
LINKS_A_STEP = 1000  # links that one step draws, of more


class FeatureGraph(nn.Module):
    """links -> q(v), a Normal of shape (all features, latent), and how well draws of it tell the links.

    Parameters
    ----------
    sizes
        modality -> number of features.
    links
        (modality, modality) -> (features of the one, of the other), 1, -1 or 0; without links, every feature has an
        embedding of its own.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        links: Mapping[tuple[str, str], sparse.csr_matrix],
        latent: int,
    ):
        super().__init__()
        first = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
        self.places = {
            modality: slice(first[modality], first[modality] + size)
            for modality, size in sizes.items()
        }
        features = sum(sizes.values())
        self.table = nn.Parameter(torch.randn(features, latent) / latent**0.5)
        self.heads = nn.Linear(latent, 2 * latent)
        with torch.no_grad():
            self.heads.bias[latent:] = (
                FIRST_SPREAD  # at the prior's, embeddings would be noise that cells' latents shrink from
            )
        pairs, signs, ranges = _edges(first, sizes, links)
        self.pairs = nn.Buffer(pairs, persistent=False)  # (links, 2) features
        self.signs = nn.Buffer(signs, persistent=False)  # (links,)
        # (links, 2): first feature, and number of features, of the second one's modality
        self.ranges = nn.Buffer(ranges, persistent=False)
        self.keys = nn.Buffer(
            torch.sort(pairs[:, 0] * features + pairs[:, 1]).values, persistent=False
        )
        self.smoothing = nn.Buffer(_normalised_adjacency(pairs, signs, features), persistent=False)

    def forward(self) -> Normal:
        """Return the posterior of all embeddings, (features, latent); `places` says which rows belong to which modality."""
        hidden = (
            self.table + torch.sparse.mm(self.smoothing, self.table)
            if len(self.pairs)
            else self.table
        )
        return normal_of(self.heads(hidden))

    def nll(self, v: Tensor) -> Tensor:
        """Return the nats of telling pairs that are linked from pairs that are not, a mean over either kind: a scalar.

        Pairs that are not are a linked feature and any feature of the other's modality; a draw that is a link is left out.
        """
        chosen = torch.randperm(len(self.pairs), device=v.device)[:LINKS_A_STEP]
        pairs, signs = self.pairs[chosen], self.signs[chosen]
        linked = -logsigmoid(signs * (v[pairs[:, 0]] * v[pairs[:, 1]]).sum(-1))

        begin, size = self.ranges[chosen].repeat(NEGATIVES, 1).unbind(1)
        source = pairs[:, 0].repeat(NEGATIVES)
        drawn = begin + (torch.rand(len(source), device=v.device) * size).long()
        keys = source * len(v) + drawn
        no_link = (
            self.keys[torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)] != keys
        )
        unlinked = -logsigmoid(-signs.repeat(NEGATIVES) * (v[source] * v[drawn]).sum(-1))
        return 0.5 * (linked.mean() + (unlinked * no_link).sum() / no_link.sum().clamp_min(1))


def _edges(
    first: Mapping[str, int],
    sizes: Mapping[str, int],
    links: Mapping[tuple[str, str], sparse.csr_matrix],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the links once in each direction: features, signs, and the first feature and size of the second one's modality."""
    pairs, signs, ranges = (
        [np.zeros((0, 2), dtype=np.int64)],
        [np.zeros(0)],
        [np.zeros((0, 2), dtype=np.int64)],
    )
    for one, other in combinations(sizes, 2):
        found = links[one, other].tocoo() if (one, other) in links else None
        if found is None:
            continue
        there = np.stack([first[one] + found.row, first[other] + found.col], axis=1).astype(
            np.int64
        )
        for pair, second in ((there, other), (there[:, ::-1], one)):
            pairs.append(pair)
            signs.append(found.data)
            ranges.append(np.tile([first[second], sizes[second]], (len(pair), 1)))
    joined = (
        np.concatenate(pairs),
        np.concatenate(signs).astype(np.float32),
        np.concatenate(ranges),
    )
    return tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in joined)


def _normalised_adjacency(pairs: Tensor, signs: Tensor, features: int) -> Tensor:
    """Return D^-1/2 A D^-1/2, sparse (features, features), with A the signed links and D the number of each feature's links."""
    degree = torch.bincount(pairs[:, 0], minlength=features).clamp_min(1).float()
    weights = signs * torch.rsqrt(degree[pairs[:, 0]] * degree[pairs[:, 1]])
    return torch.sparse_coo_tensor(
        pairs.T, weights, (features, features), check_invariants=True
    ).coalesce()


class HybridDecoder(nn.Module):
    """(z, v, batch) -> p(x_m | z, v, s): what the graph says, what a network says, and what each batch does to it.

        h = w z . v_f + (1 - w) MLP(z)_f,   logit_f = start_f + softplus(a_sf) h_f + b_sf

    Counts are negative binomial: mean total x softmax of the logits, dispersion t_sf. Where there are no counts, standardised
    values are Gaussian around the logits.

    Parameters
    ----------
    graph_fraction
        w, the graph's share.
    scale
        How counts become values; None for values without counts.
    """

    def __init__(
        self,
        *,
        latent: int,
        hidden: int,
        features: int,
        batches: int,
        graph_fraction: float,
        normalization: Normalization | None,
    ):
        super().__init__()
        self.reads_counts, self.normalization, self.graph_fraction = (
            normalization is not None,
            normalization,
            graph_fraction,
        )
        self.network = mlp(latent, hidden, features)
        self.factor = nn.Parameter(torch.zeros(batches, features))
        self.shift = nn.Parameter(torch.zeros(batches, features))
        self.spread = nn.Parameter(torch.zeros(batches if self.reads_counts else 1, features))
        fraction = (
            np.zeros(features)
            if normalization is None
            else np.log(np.maximum(normalization.fraction, 1e-8))
        )
        rest = 1.0 if normalization is None else max(1 - normalization.fraction.sum(), 1e-8)
        self.start = nn.Buffer(
            torch.from_numpy(np.asarray(fraction, dtype=np.float32)), persistent=False
        )
        self.rest = nn.Buffer(torch.tensor([[float(np.log(rest))]]), persistent=False)

    def logits(self, z: Tensor, v: Tensor, batch: Tensor) -> Tensor:
        """Return the logits, (cells, features), given (cells, latent), (features, latent) and (cells, batches) weights."""
        told = torch.addmm(
            self.network(z), z, v.T, beta=1 - self.graph_fraction, alpha=self.graph_fraction
        )
        return torch.addcmul(batch @ (self.shift + self.start), batch @ softplus(self.factor), told)

    def nll(self, z: Tensor, v: Tensor, batch: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality, (cells,) nats."""
        logits = self.logits(z, v, batch)
        if not self.reads_counts:
            return gaussian_nll(x[modality], logits, self._sd())
        total = x.library_size[modality].clamp_min(1)
        return negative_binomial_nll(
            x.counts[modality], logits, self.rest, total, batch @ self._inverse_dispersion()
        )

    def expected(self, z: Tensor, v: Tensor, batch: Tensor) -> Tensor:
        """Return the expected standardised values, (cells, values); of counts, in cells with the train cells' median total."""
        logits = self.logits(z, v, batch)
        return (
            expected_values(self._counts(logits, batch), self.normalization)
            if self.reads_counts
            else logits
        )

    def drawn(self, z: Tensor, v: Tensor, batch: Tensor, columns: Tensor) -> Tensor:
        """Return a draw of each cell's standardised values, (cells, columns); of counts, at the median total."""
        logits = self.logits(z, v, batch)
        if not self.reads_counts:
            return drawn_of_normal(logits, self._sd(), columns)
        return drawn_of_counts(self._counts(logits, batch), self.normalization, columns)

    def _counts(self, logits: Tensor, batch: Tensor) -> NegativeBinomial:
        """Return the distribution of the counts of cells with the median total."""
        fraction = torch.softmax(torch.cat([logits, self.rest.expand(len(logits), 1)], -1), -1)[
            :, :-1
        ]
        r = batch @ self._inverse_dispersion()
        log_mean = torch.log(fraction.clamp_min(1e-12) * self.normalization.library_size)
        return NegativeBinomial(r, logits=log_mean - torch.log(r), validate_args=False)

    def _sd(self) -> Tensor:
        return softplus(self.spread[0]) + 0.1

    def _inverse_dispersion(self) -> Tensor:
        return softplus(self.spread) + 1e-2


def graph_sizes(train: Split, counted: bool) -> dict[str, int]:
    """Return modality -> number of features that are decoded: the counted ones, or those of values without counts."""
    known = train.normalizations if counted else {}
    return {m: len(known[m].fraction) if m in known else d for m, d in train.features.items()}
