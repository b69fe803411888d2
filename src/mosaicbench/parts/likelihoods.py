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

    @property
    def free_spread(self) -> float:
        """What `spread` is where a feature that is 0, and expected to be 0, costs 0 nats: of the sd (2 pi)^(-1/2)."""
        return math.log(math.expm1(1 / math.sqrt(2 * math.pi) - self.smallest_sd))

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
        r = self._positive_inverse_dispersion()
        return NegativeBinomial(r, logits=log_mean - torch.log(r), validate_args=False)

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality's counts, (cells,) nats."""
        logits, counts = self.start + self.network(z), x.counts[modality]
        r = self._positive_inverse_dispersion().expand_as(counts)
        return negative_binomial_nll(counts, logits[:, :-1], logits[:, -1:], x.totals[modality].clamp_min(1), r)

    def _positive_inverse_dispersion(self) -> Tensor:
        return softplus(self.inverse_dispersion) + 1e-2

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised values of cells with the median total, (cells, features)."""
        return expected_values(self(z, self.scale.total), self.scale)


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
        return expected_lsi(self(z, self.scale.total).mean, self.scale)


def counting_decoder(latent: int, hidden: int, scale: Scale) -> NegativeBinomialDecoder | BernoulliDecoder:
    """Return the likelihood of a modality's counts: Bernoulli where values are LSI of peaks, else negative binomial."""
    return (BernoulliDecoder if scale.space == "lsi" else NegativeBinomialDecoder)(latent, hidden, scale)


def expected_values(counts: NegativeBinomial, scale: Scale) -> Tensor:
    """Return the expected standardised values of counts of cells with the median total, (cells, features)."""
    return expected_of_mixture([(1.0, counts)], scale)


def expected_of_mixture(parts: list[tuple[Tensor | float, NegativeBinomial]], scale: Scale) -> Tensor:
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
        closed = [torch.exp(-counts.total_count * torch.log1p(counts.mean / counts.total_count)) for _, counts in parts]
        return expected_lsi(sum(weight * (1 - at_zero) for (weight, _), at_zero in zip(parts, closed, strict=True)), scale)
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


def negative_binomial_nll(x: Tensor, logits: Tensor, rest: Tensor, total: Tensor, inverse_dispersion: Tensor) -> Tensor:
    """Return -log NB(x | total x share, inverse dispersion), summed over features, (cells,) nats; zeros cost no lgamma.

    Parameters
    ----------
    x, logits, inverse_dispersion
        (cells, features); there is no gradient to `x`.
    rest
        (cells, 1) or (1, 1) logit of everything that is no feature. Shares are the softmax over the features and it.
    total
        (cells, 1) counts of the whole modality; without gradient.
    """
    return _ShareError.apply(x, logits, rest.expand(len(x), 1), total, inverse_dispersion)


class _ShareError(torch.autograd.Function):
    """The nats of `negative_binomial_nll`, its gradient in closed form.

    With mean m = total x share and inverse dispersion r, a count of 0 costs r log(1 + m / r); only others need a lgamma.
    """

    @staticmethod
    def forward(ctx, x: Tensor, logits: Tensor, rest: Tensor, total: Tensor, r: Tensor) -> Tensor:
        log_sum = torch.logaddexp(torch.logsumexp(logits, -1, keepdim=True), rest)  # (cells, 1)
        log_mean = (logits - log_sum).add_(torch.log(total))
        mean = log_mean.exp()
        at_zero = torch.log1p(mean / r)  # (cells, features)
        seen = (x > 0).flatten().nonzero().squeeze(1)  # (non-zeros,) places
        counts, of_r, of_mean = x.take(seen), r.take(seen), mean.take(seen)
        more = torch.lgamma(of_r) - torch.lgamma(counts + of_r) + torch.lgamma(counts + 1)
        more += counts * (torch.log(of_r + of_mean) - log_mean.take(seen))
        ctx.save_for_backward(mean, at_zero, r, seen, counts, total, torch.exp(rest - log_sum))
        nats = at_zero * r
        return _with(nats, seen, nats.take(seen) + more).sum(-1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, Tensor, None, Tensor]:
        mean, at_zero, r, seen, counts, total, share_of_rest = ctx.saved_tensors
        explained = mean / (r + mean)
        of_r, of_explained = r.take(seen), explained.take(seen)
        of_log_mean = explained * r
        _with(of_log_mean, seen, of_log_mean.take(seen) - counts * (1 - of_explained))
        summed = of_log_mean.sum(-1, keepdim=True)  # shares sum to one: what one gains, the others lose
        of_logits = torch.addcmul(of_log_mean, mean, summed / total, value=-1).mul_(gradient[:, None])
        of_rest = -share_of_rest * summed * gradient[:, None]
        of_dispersion = at_zero - explained
        more = counts * (1 - of_explained) / of_r + torch.digamma(of_r) - torch.digamma(counts + of_r)
        _with(of_dispersion, seen, of_dispersion.take(seen) + more).mul_(gradient[:, None])
        return None, of_logits, of_rest, None, of_dispersion


def _with(x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """Put `values` at flat `places`, each of which occurs once, into `x`; unlike `put_` this has a deterministic form."""
    x.view(-1).index_copy_(0, places, values)
    return x


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
    error, *_ = _GaussianError.apply(x, mean, sd)
    return error + torch.log(sd).sum() + constant


class _GaussianError(torch.autograd.Function):
    """sum_f (x - mean)^2 / (2 sd^2), its gradient in closed form; autograd's own takes half the time of a decoder's step."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, mean: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        precision_root = sd.reciprocal()
        error = (mean - x).mul_(precision_root)  # (cells, features), in standard deviations
        return 0.5 * torch.linalg.vector_norm(error, dim=-1).square(), error, precision_root

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        _, *for_backward = output
        ctx.mark_non_differentiable(*for_backward)
        ctx.save_for_backward(*for_backward)
        ctx.set_materialize_grads(False)  # else zeros of the size of the data would be made for what has no gradient

    @staticmethod
    def backward(ctx, gradient: Tensor | None, *_: None) -> tuple[None, Tensor | None, Tensor | None]:
        if gradient is None:
            return None, None, None
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
