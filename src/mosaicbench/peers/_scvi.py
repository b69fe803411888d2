"""What models of scvi-tools and like packages share: batches, training, and counts back to values.

Query cells go through the trained module with posterior means; the packages' own accessors draw
samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.distributions import NegativeBinomial

from mosaicbench.contract import Cells, History, Normalization
from mosaicbench.peers._package import apart, history

AT_ONCE = 512  # cells that go through a module together
QUADRATURE = 5  # nodes of the integral over a log-normal rate


@contextmanager
def scvi_apart(seed: int) -> Iterator[None]:
    """Run scvi-tools as `apart` does; the seed also draws its validation cells."""
    with apart(seed):
        import scvi

        before = scvi.settings.seed
        scvi.settings.seed = seed
        try:
            yield
        finally:
            scvi.settings.seed = before


def trained(model, **options: object) -> History:
    """Train a model of scvi-tools with these options, else the package's; return its history.

    The trained module is on the CPU, as the cells that it is asked about are.
    """
    model.train(enable_progress_bar=False, **options)
    model.to_device("cpu")
    losses, validation = (model.history[f"elbo_{of}"].squeeze(1) for of in ("train", "validation"))
    return history(loss=losses, validation_loss=validation)


class Batches:
    """Codes of batches; a batch without a code is read as the largest that has one.

    `names`: (cells,) batches of the train cells; `coded`: the package's names, in the order of its
    codes.
    """

    def __init__(self, names: np.ndarray, coded: list[str]):
        unique, sizes = np.unique(names.astype(str), return_counts=True)
        self.by_size = unique[np.argsort(-sizes, kind="stable")]
        self.codes = {name: code for code, name in enumerate(coded)}

    def of(self, names: np.ndarray, suffix: str = "") -> Tensor:
        """Return the codes of cells' batches, (cells, 1), among names of `coded` with this suffix."""
        ended = [f"{name}{suffix}" for name in self.by_size]
        largest = next(self.codes[name] for name in ended if name in self.codes)
        return torch.tensor([self.codes.get(f"{name}{suffix}", largest) for name in names])[:, None]


def measured(modalities: tuple[str, ...]) -> str:
    """Return how the name of a batch goes on with the modalities that were measured."""
    return f" with {' + '.join(modalities)}"


def batches_with(blocks: list[Cells]) -> list[str]:
    """Return the batches of the cells of all blocks, with the modalities that were measured."""
    names = []
    for block in blocks:
        names += [f"{name}{measured(block.modalities)}" for name in block.batches]
    return names


def all_of(blocks: list[Cells], part: str) -> np.ndarray:
    """Return the "names" or "batches" of the cells of all blocks, (cells,)."""
    return np.concatenate([getattr(block, part) for block in blocks])


def code_of(groups: list[tuple[frozenset[str], int]], observed: frozenset[str]) -> int | None:
    """Return the code of the group with exactly `observed` measured, else of the first with more.

    `groups`: modalities measured in a group of train cells, and its code, from the largest on.
    """
    more = [(modalities != observed, code) for modalities, code in groups if observed <= modalities]
    return min(more, key=lambda one: one[0])[1] if more else None


def negative_binomial(mean: Tensor, inverse_dispersion: Tensor) -> NegativeBinomial:
    """Return the distribution with these parameters, both (cells, features)."""
    r = inverse_dispersion.expand_as(mean)
    logits = torch.log(mean + 1e-8) - torch.log(r + 1e-8)
    return NegativeBinomial(r, logits=logits, validate_args=False)


def protein_counts(
    py: dict[str, Tensor], efficiency: Tensor | float = 1.0
) -> list[tuple[Tensor, NegativeBinomial]]:
    """Return weights and parts of the mixture of background and foreground counts of proteins.

    The log-normal rate of the background is integrated out. `py` is the output of a protein decoder of
    scvi-tools; its `mixing` is the logit of the background. `efficiency`: factor of a batch.
    """
    nodes, weights = np.polynomial.hermite.hermgauss(QUADRATURE)
    background = torch.sigmoid(py["mixing"])
    parts = []
    for node, weight in zip(np.sqrt(2) * nodes, weights / np.sqrt(np.pi), strict=True):
        rate = torch.exp(py["back_alpha"] + py["back_beta"] * node) * efficiency
        foreground = negative_binomial(rate * py["fore_scale"], py["r"])
        parts.append((weight * background, negative_binomial(rate, py["r"])))
        parts.append((weight * (1 - background), foreground))
    return parts


def median_total(normalization: Normalization) -> float:
    """Return the counts that the chosen features have in a cell with the median total."""
    return float(normalization.library_size * normalization.fraction.sum())


def dense(counts: sparse.csr_matrix) -> Tensor:
    """Return (cells, features) float32."""
    return torch.as_tensor(counts.toarray(), dtype=torch.float32)


def side_by_side(
    cells: Cells, widths: dict[str, int], read: Callable[[Cells, str], np.ndarray]
) -> np.ndarray:
    """Return `read(cells, modality)` of all modalities, 0 if not measured, (cells, features).

    `widths`: modality -> features, in the order of the columns.
    """
    parts = [
        read(cells, m) if m in cells.values else np.zeros((len(cells), width))
        for m, width in widths.items()
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


@contextmanager
def inferring() -> Iterator[None]:
    """Restore torch's generators afterwards: a module draws samples even if only means are used."""
    with torch.inference_mode(), torch.random.fork_rng():
        yield


def piecewise(function: Callable[[Cells], Tensor | np.ndarray], cells: Cells) -> np.ndarray:
    """Return function(block) of all cells, in blocks of at most `AT_ONCE`, (cells, ...)."""
    parts, rows = [], np.arange(len(cells))
    for few in np.split(rows, rows[AT_ONCE::AT_ONCE]):
        parts.append(torch.as_tensor(function(cells.take(few))).cpu().numpy())
    return np.concatenate(parts)


def standardised(x: Tensor, normalization: Normalization) -> Tensor:
    """Return values in the units of the train cells' standard deviations, (cells, features)."""
    mean = torch.as_tensor(normalization.mean, dtype=x.dtype, device=x.device)
    return (x - mean) / torch.as_tensor(normalization.std, dtype=x.dtype, device=x.device)


class Blockwise:
    """Embeds and imputes block by block; a subclass has `_z` and `_expected` of a block."""

    @inferring()
    def embed(self, cells: Cells) -> np.ndarray:
        """Return the posterior means given the observed modalities, (cells, latent)."""
        return piecewise(self._z, cells)

    @inferring()
    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the expected values of `target`, (cells, features), standardised."""
        return piecewise(lambda few: self._expected(few, target), cells)
