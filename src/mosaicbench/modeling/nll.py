"""Negative log-likelihoods of a minibatch, (cells,) nats, with their gradients in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mosaicbench.modeling.minibatch import Counts

CACHED = 2**17  # numbers that are computed on at once, where memory is slower than arithmetic
LARGEST_LOGIT = 80.0  # of a peak: its odds stay finite, and so does what a peak costs that is closed nevertheless


def negative_binomial_nll(
    x: Counts, logits: Tensor, rest: Tensor, total: Tensor, inverse_dispersion: Tensor
) -> Tensor:
    """Return -log NB(x | total x share, inverse dispersion), summed over features, (cells,) nats; zeros cost no lgamma.

    Parameters
    ----------
    x, logits
        Of (cells, features).
    rest
        (cells, 1) or (1, 1) logit of everything that is no feature. Shares are the softmax over the features and it.
    total
        (cells, 1) counts of the whole modality; without gradient.
    inverse_dispersion
        (features,), or (cells, features).
    """
    return _ShareError.apply(x, logits, rest.expand(len(logits), 1), total, inverse_dispersion)


class _ShareError(torch.autograd.Function):
    """The nats of `negative_binomial_nll`, its gradient in closed form.

    With mean m = total x share and inverse dispersion r, a count of 0 costs r log(1 + m / r); only others need a lgamma.
    """

    @staticmethod
    def forward(ctx, x: Counts, logits: Tensor, rest: Tensor, total: Tensor, r: Tensor) -> Tensor:
        log_sum = torch.logaddexp(torch.logsumexp(logits, -1, keepdim=True), rest)  # (cells, 1)
        log_mean = logits - (log_sum - torch.log(total))
        of_log_mean = _seen(log_mean, x)  # (non-zeros,)
        mean = log_mean.exp_()
        at_zero = (mean / r).log1p_()  # (cells, features)
        of_r = _each(r, x)
        more = (
            _each(r, x, torch.lgamma) - torch.lgamma(x.values + of_r) + torch.lgamma(x.values + 1)
        )
        more += x.values * (torch.log(of_r + _seen(mean, x)) - of_log_mean)
        ctx.x = x
        ctx.save_for_backward(mean, at_zero, r, of_r, total, torch.exp(rest - log_sum))
        return _added(at_zero * r, x, more).sum(-1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, Tensor, None, Tensor]:
        mean, at_zero, r, of_r, total, share_of_rest = ctx.saved_tensors
        x = ctx.x
        gradient = gradient[:, None]
        explained = mean / (mean + r)
        unexplained = x.values * (1 - _seen(explained, x))
        of_log_mean = _added(explained * r, x, -unexplained)
        summed = of_log_mean.sum(
            -1, keepdim=True
        )  # shares sum to one: what one gains, the others lose
        of_logits = of_log_mean.addcmul_(mean, summed / total, value=-1).mul_(gradient)
        of_rest = -share_of_rest * summed * gradient
        more = unexplained / of_r + _each(r, x, torch.digamma) - torch.digamma(x.values + of_r)
        of_dispersion = _added(at_zero - explained, x, more).mul_(gradient)
        return None, of_logits, of_rest, None, of_dispersion.sum_to_size(r.shape)


def _each(r: Tensor, x: Counts, function: Callable[[Tensor], Tensor] = torch.clone) -> Tensor:
    """Return function(r) of each count, (non-zeros,), computed once per feature where all cells have the same r."""
    return function(r).index_select(0, x.columns) if r.dim() == 1 else function(_seen(r, x))


def _seen(values: Tensor, x: Counts) -> Tensor:
    """Return (cells, features) values where there are counts, (non-zeros,)."""
    return values.reshape(-1).index_select(0, x.places)


def _added(values: Tensor, x: Counts, more: Tensor) -> Tensor:
    """Add to (cells, features) values in place, where there are counts; unlike `put_` this has a deterministic form."""
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
    """sum log(1 + exp(logit)) - sum logit where open, its gradient in closed form; a few cells at a time, as a cache holds."""

    @staticmethod
    def forward(ctx, x: Counts, logits: Tensor, depth: Tensor) -> Tensor:
        chance, nats = torch.empty_like(logits), torch.empty_like(logits[:, 0])
        rows = max(1, CACHED // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
        for logit, shift, odds, closed in zip(
            *(part.split(rows) for part in (logits, depth, chance, nats)), strict=True
        ):
            torch.add(logit, shift, out=odds).clamp_max_(LARGEST_LOGIT).exp_()
            odds_and_one = odds + 1
            odds.div_(odds_and_one)
            torch.sum(odds_and_one.log_(), -1, out=closed)
        ctx.x = x
        ctx.save_for_backward(chance)
        of_opened = (_seen(logits, x) + depth[x.cells, 0]).clamp_max_(
            LARGEST_LOGIT
        )  # (open peaks,)
        return nats.index_add_(0, x.cells, of_opened, alpha=-1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, None]:
        (chance,) = ctx.saved_tensors
        return None, _added(chance * gradient[:, None], ctx.x, -gradient[ctx.x.cells]), None


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
    """sum_f (x - mean)^2 / (2 sd^2), its gradient in closed form; autograd's own takes half the time of a decoder's step.

    x and mean are (..., cells, features), sd (..., features): a stack of seeds has an axis in front.
    """

    @staticmethod
    def forward(x: Tensor, mean: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        precision_root = sd.reciprocal()[..., None, :]  # (..., 1, features)
        error = (mean - x).mul_(precision_root)  # (..., cells, features), in standard deviations
        return 0.5 * torch.linalg.vector_norm(error, dim=-1).square(), error, precision_root

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        _, *for_backward = output
        ctx.mark_non_differentiable(*for_backward)
        ctx.save_for_backward(*for_backward)
        ctx.set_materialize_grads(
            False
        )  # else zeros of the size of the data would be made for what has no gradient

    @staticmethod
    def backward(
        ctx, gradient: Tensor | None, *_: None
    ) -> tuple[None, Tensor | None, Tensor | None]:
        if gradient is None:
            return None, None, None
        error, precision_root = ctx.saved_tensors
        of_mean = (error * precision_root).mul_(gradient[..., None])
        of_sd = -(error.square().mT @ gradient[..., None])[..., 0] * precision_root[..., 0, :]
        return None, of_mean, of_sd

    @staticmethod
    def vmap(
        info, in_dims: tuple[int | None, ...], *inputs: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Compute on all seeds at once, by the same code: a rule that PyTorch makes itself takes a fifth of a step's time."""
        stacked = [
            part.expand(info.batch_size, *part.shape) if dim is None else part.movedim(dim, 0)
            for part, dim in zip(inputs, in_dims, strict=True)
        ]
        return _GaussianError.apply(*stacked), (0, 0, 0)
