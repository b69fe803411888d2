"""The guidance graph: every feature has an embedding, and linked features have similar ones.

    v_f ~ N(0, 1),   q(v | links) from one normalised graph convolution of a table of all features,
    p(f and g are linked with sign s) = sigmoid(s v_f . v_g)

The rate of feature f in a cell with latent z rises with z . v_f, so linked features rise and fall
together, whether or not a cell was ever measured in both modalities.
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

from mosaicbench.contract import Normalization
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

NEGATIVES = 10  # pairs without a link for each pair with one
# At the prior's spread, embeddings would be noise that cells' latents shrink from.
FIRST_SPREAD = -3.0
LINKS_A_STEP = 1000  # the most links that one step draws


class FeatureGraph(nn.Module):
    """links -> q(v), a Normal of shape (all features, latent), and the likelihood of links.

    Parameters
    ----------
    sizes
        modality -> number of features.
    links
        (modality, modality) -> (features of the one, of the other), 1, -1 or 0.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        links: Mapping[tuple[str, str], sparse.csr_matrix],
        latent: int,
    ):
        super().__init__()
        edges = np.cumsum([0, *sizes.values()]).tolist()
        self.places = {m: slice(*edges[i : i + 2]) for i, m in enumerate(sizes)}
        features = edges[-1]
        self.table = nn.Parameter(torch.randn(features, latent) / latent**0.5)
        self.heads = nn.Linear(latent, 2 * latent)
        nn.init.constant_(self.heads.bias[latent:], FIRST_SPREAD)
        pairs, signs = _edges(self.places, links)
        keys = torch.sort(pairs[:, 0] * features + pairs[:, 1]).values
        self.pairs = nn.Buffer(pairs, persistent=False)  # (links, 2) features
        self.signs = nn.Buffer(signs, persistent=False)  # (links,)
        # (features,) number of features, and the first one, of each feature's modality
        widths, begins = torch.tensor([*sizes.values()]), torch.tensor(edges[:-1])
        self.widths = nn.Buffer(widths.repeat_interleave(widths), persistent=False)
        self.begins = nn.Buffer(begins.repeat_interleave(widths), persistent=False)
        self.keys = nn.Buffer(keys, persistent=False)
        self.smoothing = nn.Buffer(_normalised_adjacency(pairs, signs, features), persistent=False)

    def forward(self) -> Normal:
        """Return the posterior of all embeddings, (features, latent)."""
        hidden = self.table
        if len(self.pairs):
            hidden = hidden + torch.sparse.mm(self.smoothing, hidden)
        return normal_of(self.heads(hidden))

    def nll(self, v: Tensor) -> Tensor:
        """Return the nats of telling linked pairs from others, a mean over either kind: a scalar.

        The others pair a linked feature with a drawn feature of its partner's modality; a draw that
        is a link is left out.
        """
        chosen = torch.randperm(len(self.pairs), device=v.device)[:LINKS_A_STEP]
        pairs, signs = self.pairs[chosen], self.signs[chosen]
        linked = -logsigmoid(signs * (v[pairs[:, 0]] * v[pairs[:, 1]]).sum(-1))

        source, target = pairs.repeat(NEGATIVES, 1).unbind(1)
        position = torch.rand(len(source), device=v.device) * self.widths[target]
        drawn = self.begins[target] + position.long()
        keys = source * len(v) + drawn
        nearest = torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)
        no_link = self.keys[nearest] != keys
        unlinked = -logsigmoid(-signs.repeat(NEGATIVES) * (v[source] * v[drawn]).sum(-1))
        return 0.5 * (linked.mean() + (unlinked * no_link).sum() / no_link.sum().clamp_min(1))


def _edges(
    places: Mapping[str, slice], links: Mapping[tuple[str, str], sparse.csr_matrix]
) -> tuple[Tensor, Tensor]:
    """Return the links once in each direction, (links, 2) features, and their signs."""
    pairs, signs = [np.zeros((0, 2), int)], [np.zeros(0)]
    for one, other in combinations(places, 2):
        if (one, other) in links:
            matrix = links[one, other].tocoo()
            rows, columns = places[one].start + matrix.row, places[other].start + matrix.col
            pairs += [np.stack([rows, columns], 1), np.stack([columns, rows], 1)]
            signs += [matrix.data, matrix.data]
    signs = torch.from_numpy(np.concatenate(signs).astype(np.float32))
    return torch.from_numpy(np.concatenate(pairs)), signs


def _normalised_adjacency(pairs: Tensor, signs: Tensor, features: int) -> Tensor:
    degree = torch.bincount(pairs[:, 0], minlength=features).clamp_min(1).float()
    weights = signs * torch.rsqrt(degree[pairs[:, 0]] * degree[pairs[:, 1]])
    return torch.sparse_coo_tensor(
        pairs.T, weights, (features, features), check_invariants=True
    ).coalesce()


class HybridDecoder(nn.Module):
    """(z, v, batch) -> p(x_m | z, v, s), from the graph, a network, and the effect of each batch.

        h = w z . v_f + (1 - w) MLP(z)_f,   logit_f = start_f + softplus(a_sf) h_f + b_sf

    Counts are negative binomial, with mean library size x softmax of the logits and dispersion
    t_sf; values without counts are Gaussian around the logits.

    Parameters
    ----------
    graph_fraction
        w.
    normalization
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
        self.normalization, self.graph_fraction = normalization, graph_fraction
        self.reads_counts = normalization is not None
        self.network = mlp(latent, hidden, features)
        self.factor = nn.Parameter(torch.zeros(batches, features))
        self.shift = nn.Parameter(torch.zeros(batches, features))
        self.spread = nn.Parameter(torch.zeros(batches if self.reads_counts else 1, features))
        fraction, rest = np.ones(features), 1.0
        if normalization is not None:
            fraction = np.maximum(normalization.fraction, 1e-8)
            rest = max(1 - normalization.fraction.sum(), 1e-8)
        start = torch.from_numpy(np.log(fraction).astype(np.float32))
        self.start = nn.Buffer(start, persistent=False)
        self.rest = nn.Buffer(torch.tensor([[float(np.log(rest))]]), persistent=False)

    def logits(self, z: Tensor, v: Tensor, batch: Tensor) -> Tensor:
        """Return the logits, (cells, features), given (cells, batches) weights of batches."""
        w = self.graph_fraction
        h = torch.addmm(self.network(z), z, v.T, beta=1 - w, alpha=w)
        return torch.addcmul(batch @ (self.shift + self.start), batch @ softplus(self.factor), h)

    def nll(self, z: Tensor, v: Tensor, batch: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality, (cells,) nats."""
        logits = self.logits(z, v, batch)
        if not self.reads_counts:
            return gaussian_nll(x[modality], logits, self._sd())
        library_size, r = x.library_size[modality].clamp_min(1), batch @ self._inverse_dispersion()
        return negative_binomial_nll(x.counts[modality], logits, self.rest, library_size, r)

    def expected(self, z: Tensor, v: Tensor, batch: Tensor) -> Tensor:
        """Return the expected standardised values, (cells, values)."""
        logits = self.logits(z, v, batch)
        if not self.reads_counts:
            return logits
        return expected_values(self._counts(logits, batch), self.normalization)

    def drawn(self, z: Tensor, v: Tensor, batch: Tensor, columns: Tensor) -> Tensor:
        """Return a draw of each cell's standardised values, (cells, columns)."""
        logits = self.logits(z, v, batch)
        if not self.reads_counts:
            return drawn_of_normal(logits, self._sd(), columns)
        return drawn_of_counts(self._counts(logits, batch), self.normalization, columns)

    def _counts(self, logits: Tensor, batch: Tensor) -> NegativeBinomial:
        # Of cells with the median library size, since that of an absent modality is unknown.
        whole = torch.cat([logits, self.rest.expand(len(logits), 1)], -1)
        fraction = torch.softmax(whole, -1)[:, :-1].clamp_min(1e-12)
        r = batch @ self._inverse_dispersion()
        log_mean = torch.log(fraction * self.normalization.library_size)
        return NegativeBinomial(r, logits=log_mean - torch.log(r), validate_args=False)

    def _sd(self) -> Tensor:
        return softplus(self.spread[0]) + 0.1

    def _inverse_dispersion(self) -> Tensor:
        return softplus(self.spread) + 1e-2
