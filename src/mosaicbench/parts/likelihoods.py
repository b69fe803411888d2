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

from mosaicbench.parts.minibatch import Minibatch
from mosaicbench.parts.networks import mlp
from mosaicbench.view import Scale

PER_CELL = 1e4  # counts per cell in log-normalised values
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

    def forward(self, z: Tensor) -> Normal:
        """Return the distribution of each cell's standardised values."""
        return Normal(self.network(z), softplus(self.spread) + self.smallest_sd, validate_args=False)

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality, (cells,) nats."""
        p = self(z)
        return gaussian_nll(x[modality], p.mean, p.stddev[0])

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised values, (cells, features)."""
        return self(z).mean


class NegativeBinomialDecoder(nn.Module):
    """z -> p(counts | z, total), a negative binomial whose mean is the cell's total times the shares that z decodes.

    Shares sum to one over the features and everything that was not chosen as a feature.
    """

    reads_counts = True

    def __init__(self, latent: int, hidden: int, scale: Scale):
        super().__init__()
        shares = np.append(scale.share, max(1 - scale.share.sum(), 0))
        self.network = mlp(latent, hidden, len(shares))
        self.start = nn.Buffer(_float(np.log(np.maximum(shares, 1e-8))), persistent=False)
        self.inverse_dispersion = nn.Parameter(torch.zeros(len(shares) - 1))
        self.scale = scale

    def forward(self, z: Tensor, total: Tensor | float) -> NegativeBinomial:
        """Return the distribution of each cell's counts, (cells, features)."""
        log_share = torch.log_softmax(self.start + self.network(z), -1)[:, :-1]
        log_mean = log_share + torch.log(torch.as_tensor(total, device=z.device))
        return NegativeBinomial(
            softplus(self.inverse_dispersion) + 1e-2,
            logits=log_mean - torch.log(softplus(self.inverse_dispersion) + 1e-2),
            validate_args=False,
        )

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality's counts, (cells,) nats."""
        return -self(z, x.totals[modality].clamp_min(1)).log_prob(x.counts[modality]).sum(-1)

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised values of cells with the median total, (cells, features)."""
        counts = self(z, self.scale.total)
        if self.scale.space == "lognorm":
            values = expected_log1p(counts, torch.tensor(PER_CELL / self.scale.total))
        else:
            log_geometric_mean = expected_log1p(counts, torch.tensor(1.0)).mean(-1, keepdim=True)  # (cells, 1)
            values = expected_log1p(counts, torch.exp(-log_geometric_mean))
        return _standardised(values, self.scale)


class BernoulliDecoder(nn.Module):
    """z -> p(open | z, total) of every peak; the logit of a cell rises with the log of its total over the median total."""

    reads_counts = True

    def __init__(self, latent: int, hidden: int, scale: Scale):
        super().__init__()
        opened = np.clip(scale.opened, 1e-4, 1 - 1e-4)
        self.network = mlp(latent, hidden, len(opened))
        self.start = nn.Buffer(_float(np.log(opened / (1 - opened))), persistent=False)
        self.scale = scale

    def forward(self, z: Tensor, total: Tensor | float) -> Bernoulli:
        """Return the distribution of each cell's open peaks, (cells, peaks)."""
        depth = torch.log(torch.as_tensor(total, device=z.device) / self.scale.total)
        return Bernoulli(logits=self.start + self.network(z) + depth, validate_args=False)

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality's open peaks, (cells,) nats."""
        opened = (x.counts[modality] > 0).float()
        return -self(z, x.totals[modality].clamp_min(1)).log_prob(opened).sum(-1)

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised LSI coordinates of cells with the median total, (cells, components).

        A peak's expected TF-IDF is the probability that it is open times its mean where it is open.
        """
        tf_idf = self(z, self.scale.total).mean * _float(self.scale.when_open).to(z.device)
        return _standardised(tf_idf @ _float(self.scale.loadings).to(z.device), self.scale)


def counting_decoder(latent: int, hidden: int, scale: Scale) -> NegativeBinomialDecoder | BernoulliDecoder:
    """Return the likelihood of a modality's counts: Bernoulli where values are LSI of peaks, else negative binomial."""
    return (BernoulliDecoder if scale.space == "lsi" else NegativeBinomialDecoder)(latent, hidden, scale)


def gaussian_nll(x: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    """Return -log N(x | mean, sd), summed over features, (cells,) nats.

    Parameters
    ----------
    x, mean
        (cells, features); there is no gradient to `x`.
    sd
        (features,), the same for every cell.
    """
    constant = 0.5 * math.log(2 * math.pi) * x.shape[-1]
    return _GaussianError.apply(x, mean, sd) + torch.log(sd).sum() + constant


class _GaussianError(torch.autograd.Function):
    """sum_f (x - mean)^2 / (2 sd^2), its gradient in closed form; autograd's own takes half the time of a decoder's step."""

    @staticmethod
    def forward(ctx, x: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
        precision_root = sd.reciprocal()
        error = (mean - x).mul_(precision_root)  # (cells, features), in standard deviations
        ctx.save_for_backward(error, precision_root)
        return 0.5 * torch.linalg.vector_norm(error, dim=-1).square()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        error, precision_root = ctx.saved_tensors
        of_mean = (error * precision_root).mul_(gradient[:, None])
        of_sd = -(error.square().T @ gradient) * precision_root
        return None, of_mean, of_sd


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


def _standardised(values: Tensor, scale: Scale) -> Tensor:
    return (values - _float(scale.mean).to(values.device)) / _float(scale.std).to(values.device)


def _float(array: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(array), dtype=torch.float32)
