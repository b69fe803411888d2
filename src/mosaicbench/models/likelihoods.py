"""Decoders: each returns a distribution, its negative log-likelihood, expected and drawn values.

=================  ======================  ====================================================
decoder            of                      p(x | z)
=================  ======================  ====================================================
Gaussian           standardised values     Normal, one learned sd per feature
negative binomial  counts of RNA, protein  mean: library size x fraction(z); dispersions of features
Bernoulli          accessible peaks        logit rises with the log of the cell's library size
=================  ======================  ====================================================

Decoders of counts start at the train cells' average. Counts are expected and drawn at the train
cells' median library size, since that of an absent modality is unknown, and become values as
measured counts do: log-normalised, centred log-ratios, or TF-IDF and LSI.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, NegativeBinomial, Normal
from torch.nn.functional import softplus

from mosaicbench.contract import Normalization
from mosaicbench.models.minibatch import Counts, Minibatch
from mosaicbench.models.networks import mlp

TARGET_SUM = 1e4  # counts per cell in log-normalised values
TABLED_COUNTS = 40  # an expectation over counts is summed up to here; the rest is taken at its mean
CACHED = 2**17  # numbers that are computed on at once, where memory is slower than arithmetic
LARGEST_LOGIT = 80.0  # of a peak: its odds stay finite, and so does the loss of a closed peak


class GaussianDecoder(nn.Module):
    """z (cells, latent) -> p(x | z), a Normal (cells, features), one learned sd a feature.

    The sd has a floor, which bounds the likelihood.
    """

    reads_counts = False
    smallest_sd = 0.1

    def __init__(self, latent: int, hidden: int, features: int):
        super().__init__()
        self.network = mlp(latent, hidden, features)
        self.spread = nn.Parameter(torch.zeros(features))

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
    """z -> p(counts | z, library size), a negative binomial of mean library size x fraction(z).

    Fractions sum to one over the features and the rest, all that was not chosen as a feature.
    """

    reads_counts = True

    def __init__(self, latent: int, hidden: int, normalization: Normalization):
        super().__init__()
        fraction = normalization.fraction
        fractions = np.maximum(np.append(fraction, max(1 - fraction.sum(), 0)), 1e-8)
        self.network = _beginning_at(np.log(fractions), mlp(latent, hidden, len(fractions)))
        self.inverse_dispersion = nn.Parameter(torch.zeros(len(fraction)))
        self.normalization = normalization

    def forward(self, z: Tensor, library_size: Tensor | float) -> NegativeBinomial:
        """Return the distribution of each cell's counts, (cells, features)."""
        log_fraction = torch.log_softmax(self.network(z), -1)[:, :-1]
        log_mean = log_fraction + torch.log(torch.as_tensor(library_size, device=z.device))
        r = self._positive_inverse_dispersion()
        return NegativeBinomial(r, logits=log_mean - torch.log(r), validate_args=False)

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality's counts, (cells,) nats."""
        r = self._positive_inverse_dispersion()
        logits, rest = self.network(z).split([len(r), 1], -1)
        library_size = x.library_size[modality].clamp_min(1)
        return negative_binomial_nll(x.counts[modality], logits, rest, library_size, r)

    def _positive_inverse_dispersion(self) -> Tensor:
        return softplus(self.inverse_dispersion) + 1e-2

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised values, (cells, features)."""
        return expected_values(self._usual(z), self.normalization)

    def drawn(self, z: Tensor, columns: Tensor) -> Tensor:
        """Return a draw of each cell's standardised values, (cells, columns)."""
        return drawn_of_counts(self._usual(z), self.normalization, columns)

    def _usual(self, z: Tensor) -> NegativeBinomial:
        return self(z, self.normalization.library_size)


class BernoulliDecoder(nn.Module):
    """z -> p(accessible | z, library size) of every peak; logits rise with the log library size."""

    reads_counts = True

    def __init__(self, latent: int, hidden: int, normalization: Normalization):
        super().__init__()
        accessible = np.clip(normalization.accessible, 1e-4, 1 - 1e-4)
        logits = np.log(accessible / (1 - accessible))
        self.network = _beginning_at(logits, mlp(latent, hidden, len(logits)))
        self.normalization = normalization

    def forward(self, z: Tensor, library_size: Tensor | float) -> Bernoulli:
        """Return the distribution of each cell's accessible peaks, (cells, peaks)."""
        depth = self._depth(torch.as_tensor(library_size, device=z.device))
        return Bernoulli(logits=self.network(z) + depth, validate_args=False)

    def nll(self, z: Tensor, x: Minibatch, modality: str) -> Tensor:
        """Return the negative log-likelihood of a modality's accessible peaks, (cells,) nats."""
        depth = self._depth(x.library_size[modality].clamp_min(1))
        return bernoulli_nll(x.counts[modality], self.network(z), depth)

    def _depth(self, library_size: Tensor) -> Tensor:
        return torch.log(library_size / self.normalization.library_size)

    def expected(self, z: Tensor) -> Tensor:
        """Return the expected standardised LSI coordinates, (cells, components)."""
        return expected_lsi(self._usual(z).mean, self.normalization)

    def drawn(self, z: Tensor, columns: Tensor) -> Tensor:
        """Return a draw of each cell's standardised LSI coordinates, (cells, columns)."""
        return expected_lsi(self._usual(z).sample(), self.normalization, columns)

    def _usual(self, z: Tensor) -> Bernoulli:
        return self(z, self.normalization.library_size)


# --- expected and drawn values ---


def expected_values(counts: NegativeBinomial, normalization: Normalization) -> Tensor:
    """Return the expected standardised values of counts at the median library size."""
    return expected_of_mixture([(1.0, counts)], normalization)


def expected_of_mixture(
    parts: list[tuple[Tensor | float, NegativeBinomial]], normalization: Normalization
) -> Tensor:
    """Return the expected standardised values of counts drawn from a mixture, (cells, features).

    Parameters
    ----------
    parts
        Weight and negative binomial of cells with the median library size; weights that sum to less
        than one leave the rest at zero counts.
    """

    def of_log1p(factor: Tensor) -> Tensor:
        return sum(weight * expected_log1p(counts, factor) for weight, counts in parts)

    if normalization.kind == "lsi":  # a peak is accessible with any count
        accessible = sum(weight * (1 - _at_zero(counts)) for weight, counts in parts)
        return expected_lsi(accessible, normalization)
    if normalization.kind == "lognorm":
        values = of_log1p(torch.tensor(TARGET_SUM / normalization.library_size))
    else:
        log_geometric_mean = of_log1p(torch.tensor(1.0)).mean(-1, keepdim=True)  # (cells, 1)
        values = of_log1p(torch.exp(-log_geometric_mean))
    return _standardised(values, normalization)


def expected_lsi(
    accessible: Tensor, normalization: Normalization, columns: Tensor | slice = slice(None)
) -> Tensor:
    """Return standardised LSI coordinates given each peak's probability to be accessible, or draws.

    The TF-IDF of a peak is that probability times its mean where it is accessible.
    """
    loadings = _float(normalization.loadings, accessible)[:, columns]  # (peaks, columns)
    tf_idf = accessible * _float(normalization.mean_if_accessible, accessible)
    return _standardised(tf_idf @ loadings, normalization, columns)


def _at_zero(counts: NegativeBinomial) -> Tensor:
    return torch.exp(-counts.total_count * torch.log1p(counts.mean / counts.total_count))


def expected_log1p(counts: NegativeBinomial, factor: Tensor) -> Tensor:
    """Return E[log(1 + factor x)] of counts x, (cells, features).

    Probabilities are summed up to a bound; the rest is taken at its own mean.
    """
    inverse_dispersion, mean, probability = counts.total_count, counts.mean, _at_zero(counts)
    factor = factor.to(mean.device)
    odds = mean / (mean + inverse_dispersion)
    expected, left, left_mean = torch.zeros_like(mean), 1 - probability, mean.clone()
    for k in range(1, TABLED_COUNTS):
        probability = probability * odds * (inverse_dispersion + k - 1) / k
        expected += probability * torch.log1p(factor * k)
        left -= probability
        left_mean -= probability * k
    beyond = left_mean.clamp_min(0) / left.clamp_min(1e-6)
    return expected + left.clamp_min(0) * torch.log1p(factor * beyond)


def drawn_of_normal(mean: Tensor, sd: Tensor, columns: Tensor) -> Tensor:
    """Return draws of some columns of Normals of (cells, features) means and (features,) sds."""
    mean = mean[:, columns]
    return mean + sd[columns] * torch.randn_like(mean)


def drawn_of_counts(
    counts: NegativeBinomial, normalization: Normalization, columns: Tensor
) -> Tensor:
    """Return the standardised values, at positions `columns`, of drawn counts, (cells, columns)."""
    kind = normalization.kind
    inverse_dispersion, logits = torch.broadcast_tensors(counts.total_count, counts.logits)
    if kind == "lognorm":
        inverse_dispersion, logits = inverse_dispersion[:, columns], logits[:, columns]
    drawn = NegativeBinomial(inverse_dispersion, logits=logits, validate_args=False).sample()
    if kind == "lsi":
        return expected_lsi((drawn > 0).float(), normalization, columns)
    if kind == "lognorm":
        values = torch.log1p(drawn * (TARGET_SUM / normalization.library_size))
    else:
        log_geometric_mean = torch.log1p(drawn).mean(-1, keepdim=True)  # (cells, 1)
        values = torch.log1p(drawn[:, columns] * torch.exp(-log_geometric_mean))
    return _standardised(values, normalization, columns)


def _standardised(
    values: Tensor, normalization: Normalization, columns: Tensor | slice = slice(None)
) -> Tensor:
    mean, std = (_float(x, values)[columns] for x in (normalization.mean, normalization.std))
    return (values - mean) / std


def _float(array: np.ndarray, like: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(array), dtype=torch.float32, device=like.device)


def _beginning_at(logits: np.ndarray, network: nn.Sequential) -> nn.Sequential:
    with torch.no_grad():
        network[-1].bias += _float(logits, network[-1].bias)
    return network


# --- negative log-likelihoods, (cells,) nats, with their gradients in closed form ---


def negative_binomial_nll(
    x: Counts, logits: Tensor, rest: Tensor, library_size: Tensor, inverse_dispersion: Tensor
) -> Tensor:
    """Return -log NB(x | library size x fraction, inverse dispersion), (cells,) nats.

    Parameters
    ----------
    x, logits
        Of (cells, features).
    rest
        (cells, 1) or (1, 1) logit of all that is no feature; fractions are the softmax over both.
    library_size
        (cells, 1); without gradient.
    inverse_dispersion
        (features,), or (cells, features).
    """
    rest = rest.expand(len(logits), 1)
    return _FractionError.apply(x, logits, rest, library_size, inverse_dispersion)


class _FractionError(torch.autograd.Function):
    """The nats of `negative_binomial_nll`.

    With mean m and inverse dispersion r, a count of 0 has r log(1 + m / r) nats; only others need a lgamma.
    """

    @staticmethod
    def forward(ctx, x: Counts, logits: Tensor, rest: Tensor, total: Tensor, r: Tensor) -> Tensor:
        log_sum = torch.logaddexp(torch.logsumexp(logits, -1, keepdim=True), rest)  # (cells, 1)
        log_mean = logits - (log_sum - torch.log(total))
        of_log_mean = _seen(log_mean, x)  # (non-zeros,)
        mean = log_mean.exp_()
        at_zero = (mean / r).log1p_()  # (cells, features)
        of_r = _each(r, x)
        more = _each(r, x, torch.lgamma) - torch.lgamma(x.values + of_r)
        more += torch.lgamma(x.values + 1)
        more += x.values * (torch.log(of_r + _seen(mean, x)) - of_log_mean)
        ctx.x = x
        ctx.save_for_backward(mean, at_zero, r, of_r, total, torch.exp(rest - log_sum))
        return _added(at_zero * r, x, more).sum(-1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, Tensor, None, Tensor]:
        mean, at_zero, r, of_r, total, fraction_of_rest = ctx.saved_tensors
        x = ctx.x
        gradient = gradient[:, None]
        explained = mean / (mean + r)
        unexplained = x.values * (1 - _seen(explained, x))
        of_log_mean = _added(explained * r, x, -unexplained)
        # Fractions sum to one: what one gains, the others lose.
        summed = of_log_mean.sum(-1, keepdim=True)
        of_logits = of_log_mean.addcmul_(mean, summed / total, value=-1).mul_(gradient)
        of_rest = -fraction_of_rest * summed * gradient
        more = unexplained / of_r + _each(r, x, torch.digamma) - torch.digamma(x.values + of_r)
        of_dispersion = _added(at_zero - explained, x, more).mul_(gradient)
        return None, of_logits, of_rest, None, of_dispersion.sum_to_size(r.shape)


def _each(r: Tensor, x: Counts, function: Callable[[Tensor], Tensor] = torch.clone) -> Tensor:
    """Return function(r) of each count, (non-zeros,), once per feature if all cells share r."""
    return function(r).index_select(0, x.columns) if r.dim() == 1 else function(_seen(r, x))


def _seen(values: Tensor, x: Counts) -> Tensor:
    # Of (cells, features) those at the counts above 0, (non-zeros,).
    return values.reshape(-1).index_select(0, x.places)


def _added(values: Tensor, x: Counts, more: Tensor) -> Tensor:
    # In place at the counts above 0; unlike `put_` this has a deterministic form.
    values.view(-1).index_add_(0, x.places, more)
    return values


def bernoulli_nll(x: Counts, logits: Tensor, depth: Tensor) -> Tensor:
    """Return -log Bernoulli(x > 0 | logits + depth), summed over features, (cells,) nats.

    Parameters
    ----------
    x, logits
        Of (cells, features).
    depth
        (cells, 1); without gradient.
    """
    return _OpenError.apply(x, logits, depth)


class _OpenError(torch.autograd.Function):
    """sum log(1 + exp(logit)) - sum logit where accessible; a few cells at a time."""

    @staticmethod
    def forward(ctx, x: Counts, logits: Tensor, depth: Tensor) -> Tensor:
        chance, nats = torch.empty_like(logits), torch.empty_like(logits[:, 0])
        rows = max(1, CACHED // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
        pieces = (part.split(rows) for part in (logits, depth, chance, nats))
        for logit, shift, odds, closed in zip(*pieces, strict=True):
            torch.add(logit, shift, out=odds).clamp_max_(LARGEST_LOGIT).exp_()
            odds_and_one = odds + 1
            odds.div_(odds_and_one)
            torch.sum(odds_and_one.log_(), -1, out=closed)
        ctx.x = x
        ctx.save_for_backward(chance)
        of_accessible = _seen(logits, x) + depth[x.cells, 0]  # (accessible peaks,)
        of_accessible.clamp_max_(LARGEST_LOGIT)
        return nats.index_add_(0, x.cells, of_accessible, alpha=-1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, None]:
        (chance,) = ctx.saved_tensors
        return None, _added(chance * gradient[:, None], ctx.x, -gradient[ctx.x.cells]), None


def gaussian_nll(x: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    """Return -log N(x | mean, sd), (cells,) nats; without gradient to `x`.

    Of (cells, features) x and mean, and (features,) sd.
    """
    constant = 0.5 * math.log(2 * math.pi) * x.shape[-1]
    return _GaussianError.apply(x, mean, sd) + torch.log(sd).sum() + constant


class _GaussianError(torch.autograd.Function):
    """Without autograd, which takes half the time of a decoder's step."""

    @staticmethod
    def forward(ctx, x: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
        precision_root = sd.reciprocal()  # (features,)
        error = (mean - x).mul_(precision_root)  # (cells, features), in standard deviations
        ctx.save_for_backward(error, precision_root)
        return 0.5 * torch.linalg.vector_norm(error, dim=-1).square()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        error, precision_root = ctx.saved_tensors
        of_mean = (error * precision_root).mul_(gradient[:, None])
        of_sd = -(error.square().mT @ gradient[:, None])[:, 0] * precision_root
        return None, of_mean, of_sd
