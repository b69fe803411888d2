"""Decoders: each returns a distribution, so that its likelihood, and what it expects to be measured, are its own business.

=================  ====================================================  ==================================================
decoder            of what                                               p(x | z)
=================  ====================================================  ==================================================
Gaussian           standardised values                                   Normal, one learned sd per feature
negative binomial  counts of RNA or protein                              mean total x share(z), one dispersion per feature
Bernoulli          whether a peak of ATAC is open                        logit rises with the log of the cell's total
=================  ====================================================  ==================================================

The counts' decoders start at the train cells' average, so that a network only has to learn what differs from it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, NegativeBinomial, Normal
from torch.nn.functional import softplus

from mosaicbench.modeling.draws import PER_CELL, drawn_lsi, drawn_of_counts, drawn_of_normal
from mosaicbench.modeling.minibatch import Minibatch
from mosaicbench.modeling.networks import mlp
from mosaicbench.modeling.nll import bernoulli_nll, gaussian_nll, negative_binomial_nll
from mosaicbench.view import Scale

TABLED_COUNTS = 40  # an expectation over counts is summed up to here; the rest stands at its mean


class GaussianDecoder(nn.Module):
    """z (cells, latent) -> p(x | z), a Normal of shape (cells, features) with one learned standard deviation per feature.

    The standard deviation has a floor: without one, a nearly constant feature would buy an unbounded likelihood.
    """

    reads_counts = False

    def __init__(self, latent: int, hidden: int, features: int, *, smallest_sd: float = 0.1):
        super().__init__()
        self.network = mlp(latent, hidden, features)
        self.spread = nn.Parameter(torch.zeros(features))
        self.smallest_sd = smallest_sd

    @property
    def free_spread(self) -> float:
        """What `spread` is where a feature that is 0, and expected to be 0, costs 0 nats: of the sd (2 pi)^(-1/2)."""
        return math.log(math.expm1(1 / math.sqrt(2 * math.pi) - self.smallest_sd))

    def forward(self, z: Tensor) -> Normal:
        """Return the distribution of each cell's standardised values."""
        return Normal(self.network(z), self._sd(), validate_args=False)

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality, (cells,) nats."""
        return gaussian_nll(x[modality], self.network(z), self._sd())

    def _sd(self) -> Tensor:
        return softplus(self.spread) + self.smallest_sd  # (features,)

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised values, (cells, features)."""
        return self(z).mean

    def drawn(self, z: Tensor, columns: Tensor) -> Tensor:
        """Return a draw of each cell's standardised values, (cells, columns)."""
        return drawn_of_normal(self.network(z), self._sd(), columns)


class NegativeBinomialDecoder(nn.Module):
    """z -> p(counts | z, total), a negative binomial whose mean is the cell's total times the shares that z decodes.

    Shares sum to one over the features and everything that was not chosen as a feature.
    """

    reads_counts = True

    def __init__(self, latent: int, hidden: int, scale: Scale):
        super().__init__()
        shares = np.append(scale.share, max(1 - scale.share.sum(), 0))
        self.network = _beginning_at(
            np.log(np.maximum(shares, 1e-8)), mlp(latent, hidden, len(shares))
        )
        self.inverse_dispersion = nn.Parameter(torch.zeros(len(shares) - 1))
        self.scale = scale

    def forward(self, z: Tensor, total: Tensor | float) -> NegativeBinomial:
        """Return the distribution of each cell's counts, (cells, features)."""
        log_share = torch.log_softmax(self.network(z), -1)[:, :-1]
        log_mean = log_share + torch.log(torch.as_tensor(total, device=z.device))
        r = self._positive_inverse_dispersion()
        return NegativeBinomial(r, logits=log_mean - torch.log(r), validate_args=False)

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality's counts, (cells,) nats."""
        r = self._positive_inverse_dispersion()
        logits, rest = self.network(z).split([len(r), 1], -1)
        return negative_binomial_nll(
            x.counts[modality], logits, rest, x.totals[modality].clamp_min(1), r
        )

    def _positive_inverse_dispersion(self) -> Tensor:
        return softplus(self.inverse_dispersion) + 1e-2

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised values of cells with the median total, (cells, features)."""
        return expected_values(self(z, self.scale.total), self.scale)

    def drawn(self, z: Tensor, columns: Tensor) -> Tensor:
        """Return a draw of each cell's standardised values, (cells, columns), at the median total."""
        return drawn_of_counts(self(z, self.scale.total), self.scale, columns)


class BernoulliDecoder(nn.Module):
    """z -> p(open | z, total) of every peak; the logit of a cell rises with the log of its total over the median total."""

    reads_counts = True

    def __init__(self, latent: int, hidden: int, scale: Scale):
        super().__init__()
        opened = np.clip(scale.opened, 1e-4, 1 - 1e-4)
        self.network = _beginning_at(
            np.log(opened / (1 - opened)), mlp(latent, hidden, len(opened))
        )
        self.scale = scale

    def forward(self, z: Tensor, total: Tensor | float) -> Bernoulli:
        """Return the distribution of each cell's open peaks, (cells, peaks)."""
        return Bernoulli(
            logits=self.network(z) + self._depth(torch.as_tensor(total, device=z.device)),
            validate_args=False,
        )

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality's open peaks, (cells,) nats."""
        return bernoulli_nll(
            x.counts[modality], self.network(z), self._depth(x.totals[modality].clamp_min(1))
        )

    def _depth(self, total: Tensor) -> Tensor:
        return torch.log(total / self.scale.total)

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised LSI coordinates of cells with the median total, (cells, components).

        A peak's expected TF-IDF is the probability that it is open times its mean where it is open.
        """
        return expected_lsi(self(z, self.scale.total).mean, self.scale)

    def drawn(self, z: Tensor, columns: Tensor) -> Tensor:
        """Return a draw of each cell's standardised LSI coordinates, (cells, columns), at the median total."""
        return drawn_lsi(self(z, self.scale.total).sample(), self.scale, columns)


def counting_decoder(
    latent: int, hidden: int, scale: Scale
) -> NegativeBinomialDecoder | BernoulliDecoder:
    """Return the likelihood of a modality's counts: Bernoulli where values are LSI of peaks, else negative binomial."""
    return (BernoulliDecoder if scale.space == "lsi" else NegativeBinomialDecoder)(
        latent, hidden, scale
    )


def expected_values(counts: NegativeBinomial, scale: Scale) -> Tensor:
    """Return the expected standardised values of counts of cells with the median total, (cells, features)."""
    return expected_of_mixture([(1.0, counts)], scale)


def expected_of_mixture(
    parts: list[tuple[Tensor | float, NegativeBinomial]], scale: Scale
) -> Tensor:
    """Return the expected standardised values of counts drawn from a mixture, (cells, features).

    Parameters
    ----------
    parts
        Weight and negative binomial of cells with the median total; what the weights lack to one is at zero counts.
    """

    def of_log1p(factor: Tensor) -> Tensor:
        return sum(weight * expected_log1p(counts, factor) for weight, counts in parts)

    if scale.space == "lsi":
        # A peak's chance to be open is that of any count.
        closed = [
            torch.exp(-counts.total_count * torch.log1p(counts.mean / counts.total_count))
            for _, counts in parts
        ]
        return expected_lsi(
            sum(weight * (1 - at_zero) for (weight, _), at_zero in zip(parts, closed, strict=True)),
            scale,
        )
    if scale.space == "lognorm":
        values = of_log1p(torch.tensor(PER_CELL / scale.total))
    else:
        log_geometric_mean = of_log1p(torch.tensor(1.0)).mean(-1, keepdim=True)  # (cells, 1)
        values = of_log1p(torch.exp(-log_geometric_mean))
    return _standardised(values, scale)


def expected_lsi(opened: Tensor, scale: Scale) -> Tensor:
    """Return the expected standardised LSI coordinates given how likely each peak is open."""
    tf_idf = opened * _float(scale.when_open).to(opened.device)
    return _standardised(tf_idf @ _float(scale.loadings).to(opened.device), scale)


def expected_log1p(counts: NegativeBinomial, factor: Tensor) -> Tensor:
    """Return E[log(1 + factor x)] of counts x, (cells, features).

    The log of the mean is not the mean of the log, and for counts near zero the two are far apart: probabilities are summed up
    to a bound, and what is left stands at its own mean.
    """
    inverse_dispersion, mean = counts.total_count, counts.mean
    odds = mean / (mean + inverse_dispersion)
    probability = torch.exp(-inverse_dispersion * torch.log1p(mean / inverse_dispersion))
    expected, left, left_mean = torch.zeros_like(mean), 1 - probability, mean.clone()
    for k in range(1, TABLED_COUNTS):
        probability = probability * odds * (inverse_dispersion + k - 1) / k
        expected += probability * torch.log1p(factor.to(mean.device) * k)
        left -= probability
        left_mean -= probability * k
    beyond = left_mean.clamp_min(0) / left.clamp_min(1e-6)
    return expected + left.clamp_min(0) * torch.log1p(factor.to(mean.device) * beyond)


def _beginning_at(logits: np.ndarray, network: nn.Sequential) -> nn.Sequential:
    """Add what a network is to begin at, (features,), to its last bias."""
    with torch.no_grad():
        network[-1].bias += _float(logits)
    return network


def _standardised(values: Tensor, scale: Scale) -> Tensor:
    return (values - _float(scale.mean).to(values.device)) / _float(scale.std).to(values.device)


def _float(array: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(array), dtype=torch.float32)
