"""What the wrapped models of scvi-tools share: which modality is which, batches, training, and counts back to values.

Query cells go straight through the trained module, with the means of posteriors: the package's own accessors draw samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.distributions import NegativeBinomial

from mosaicbench.contract import Cells, Normalization, Split
from mosaicbench.errors import NotApplicable
from mosaicbench.peers._package import apart, history

if TYPE_CHECKING:
    from scipy import sparse

AT_ONCE = 512  # cells in the module at once
QUADRATURE = 5  # nodes of the integral over a log-normal rate


def modality_in(train: Split, normalization: str, what: str) -> str | None:
    """Return the modality with counts whose values are in `space`, None if there is none.

    Raises
    ------
    NotApplicable
        When several are.
    """
    found = [
        m
        for m, normalization in train.normalizations.items()
        if normalization.kind == normalization
    ]
    if len(found) > 1:
        raise NotApplicable(f"it knows one modality of {what}, here are {' and '.join(found)}")
    return found[0] if found else None


def modalities_in(train: Split, known: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Return word -> the modality with counts in its space, of the words of `known`: word -> space, what it is called."""
    found = {word: modality_in(train, *asked) for word, asked in known.items()}
    return {word: modality for word, modality in found.items() if modality is not None}


@contextmanager
def scvi_apart(seed: int) -> Iterator[None]:
    """Let scvi-tools draw from the seed, also its split into training and validation cells; see `apart`."""
    with apart(seed):
        import scvi

        before = scvi.settings.seed
        scvi.settings.seed = seed
        try:
            yield
        finally:
            scvi.settings.seed = before


def trained(model, **options: object) -> list[dict[str, float]]:
    """Train `model` with the package's own options but for `options`; return its history."""
    model.train(enable_progress_bar=False, **options)
    columns = {"loss": "elbo_train", "validation_loss": "elbo_validation"}
    told = {
        name: model.history[column].iloc[:, 0].to_numpy()
        for name, column in columns.items()
        if column in model.history
    }
    return history(**told)


class Batches:
    """Codes of batches; a batch that no train cell is of is read as the largest."""

    key: ClassVar[str] = "batch"

    def __init__(self, names: np.ndarray, coded: list[str]):
        found, sizes = np.unique(names.astype(str), return_counts=True)
        self.largest = found[sizes.argmax()]
        self.codes = {name: code for code, name in enumerate(coded)}

    def of(self, names: np.ndarray, suffix: str = "") -> Tensor:
        """Return (cells, 1) codes."""
        named = [f"{name}{suffix}" for name in names]
        codes = [self.codes.get(name, self.codes[f"{self.largest}{suffix}"]) for name in named]
        return torch.tensor(codes)[:, None]


def negative_binomial(mean: Tensor, inverse_dispersion: Tensor) -> NegativeBinomial:
    """Return the distribution with these parameters, both (cells, features)."""
    r = inverse_dispersion.expand_as(mean)
    return NegativeBinomial(
        r, logits=torch.log(mean + 1e-8) - torch.log(r + 1e-8), validate_args=False
    )


def protein_counts(
    py: dict[str, Tensor], efficiency: Tensor | float = 1.0
) -> list[tuple[Tensor, NegativeBinomial]]:
    """Return weights and parts of the mixture of background and foreground, the log-normal background rate integrated out.

    Parameters
    ----------
    py
        What a protein decoder of scvi-tools gives: `back_alpha`, `back_beta` (moments of the log rate), `fore_scale`, `mixing`
        (logit of the background) and `r`.
    efficiency
        Factor of a batch.
    """
    nodes, weights = np.polynomial.hermite.hermgauss(QUADRATURE)
    background = torch.sigmoid(py["mixing"])
    parts = []
    for node, weight in zip(np.sqrt(2) * nodes, weights / np.sqrt(np.pi), strict=True):
        rate = torch.exp(py["back_alpha"] + py["back_beta"] * node) * efficiency
        parts.append((weight * background, negative_binomial(rate, py["r"])))
        parts.append(
            (weight * (1 - background), negative_binomial(rate * py["fore_scale"], py["r"]))
        )
    return parts


def dense(counts: sparse.csr_matrix) -> Tensor:
    """Return counts as the modules take them."""
    return torch.as_tensor(counts.toarray(), dtype=torch.float32)


@contextmanager
def inferring() -> Iterator[None]:
    """Leave the generators alone: a module draws samples even where only means are taken from it."""
    with torch.inference_mode(), torch.random.fork_rng():
        yield


def in_pieces(cells: Cells) -> list[Cells]:
    """Return blocks of so many cells as go through a module at once."""
    return [
        cells.take(np.arange(first, min(first + AT_ONCE, len(cells))))
        for first in range(0, len(cells), AT_ONCE)
    ]


def piecewise(function: Callable[[Cells], Tensor | np.ndarray], cells: Cells) -> np.ndarray:
    """Return function(block) of all `cells`, in blocks of so many as go through a module at once, (cells, ...)."""
    return np.concatenate(
        [torch.as_tensor(function(few)).cpu().numpy() for few in in_pieces(cells)]
    )


def standardised(x: Tensor, normalization: Normalization) -> Tensor:
    """Return values in the units of the train cells' standard deviations, (cells, features)."""
    mean, std = (
        torch.as_tensor(part, dtype=x.dtype, device=x.device)
        for part in (normalization.mean, normalization.std)
    )
    return (x - mean) / std
