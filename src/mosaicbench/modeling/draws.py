"""Draws of measured values: what a likelihood's noise looks like in the value space in which imputations are scored.

Counts are drawn for cells with the train cells' median total, for that of an absent modality is not known, and go the way of
measured ones: log-normalised, centred by their log-ratio, or through TF-IDF and LSI. Every function has one draw per row.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.distributions import NegativeBinomial

from mosaicbench.view import Scale

PER_CELL = 1e4  # counts per cell in log-normalised values


def drawn_of_normal(mean: Tensor, sd: Tensor, columns: Tensor) -> Tensor:
    """Return draws of the wanted columns of Normals, (cells, columns), from (cells, features) means and (features,) sds."""
    mean = mean[:, columns]
    return mean + sd[columns] * torch.randn_like(mean)


def drawn_of_counts(counts: NegativeBinomial, scale: Scale, columns: Tensor) -> Tensor:
    """Return the standardised values of drawn counts, (cells, columns).

    Parameters
    ----------
    counts
        Of (cells, counted features) of cells with the median total.
    columns
        The values that are wanted.
    """
    inverse_dispersion, logits = torch.broadcast_tensors(counts.total_count, counts.logits)
    if scale.space == "lognorm":
        inverse_dispersion, logits = inverse_dispersion[:, columns], logits[:, columns]
    drawn = NegativeBinomial(inverse_dispersion, logits=logits, validate_args=False).sample()
    if scale.space == "lsi":
        return drawn_lsi((drawn > 0).float(), scale, columns)
    if scale.space == "lognorm":
        values = torch.log1p(drawn * (PER_CELL / scale.total))
    else:
        log_geometric_mean = torch.log1p(drawn).mean(-1, keepdim=True)  # (cells, 1)
        values = torch.log1p(drawn[:, columns] * torch.exp(-log_geometric_mean))
    return _standardised(values, scale, columns)


def drawn_lsi(opened: Tensor, scale: Scale, columns: Tensor) -> Tensor:
    """Return the standardised LSI coordinates of drawn open peaks, (cells, columns); a peak has its mean TF-IDF where open."""
    loadings = _float(scale.loadings, opened)[:, columns]  # (peaks, columns)
    return _standardised((opened * _float(scale.when_open, opened)) @ loadings, scale, columns)


def _standardised(values: Tensor, scale: Scale, columns: Tensor) -> Tensor:
    return (values - _float(scale.mean, values)[columns]) / _float(scale.std, values)[columns]


def _float(array: np.ndarray, like: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(array), dtype=torch.float32, device=like.device)
