"""Minibatches: cells on the device with what was observed in them; blocks, which they come from."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells

if TYPE_CHECKING:
    from scipy import sparse

# Of a GPU's free memory that data may take; the rest is for networks and gradients.
DEVICE_SHARE = 0.5
HOST_SHARE = 0.125  # of the machine's memory that counts may take once more
PIECE = 4096  # cells that are computed on at once outside training


@dataclass(frozen=True)
class Counts:
    """The raw counts above 0, cell after cell.

    Attributes
    ----------
    firsts, lengths
        (cells,) position of each cell's first count, and their number.
    columns, values
        (non-zeros,) the feature of each count, and the count.
    features
        The number of features.
    """

    firsts: Tensor
    lengths: Tensor
    columns: Tensor
    values: Tensor
    features: int

    @classmethod
    def on_device(cls, counts: sparse.csr_matrix, device: torch.device) -> Counts:
        """Return the counts of a sparse matrix, (cells, features)."""
        held = counts.astype(np.float32)
        held.sum_duplicates()
        held.eliminate_zeros()
        starts = torch.from_numpy(held.indptr.astype(np.int64)).to(device)
        columns, values = (torch.from_numpy(part).to(device) for part in (held.indices, held.data))
        return cls(starts[:-1], starts.diff(), columns, values, held.shape[1])

    def index_select(self, dim: int, rows: Tensor) -> Counts:
        """Return the counts of the cells at `rows`, as a dense tensor's method does."""
        lengths = self.lengths[rows]
        firsts = lengths.cumsum(0) - lengths
        number = int(lengths.sum())
        shift = torch.repeat_interleave(self.firsts[rows] - firsts, lengths, output_size=number)
        at = shift + torch.arange(number, device=rows.device)
        columns, values = (part.index_select(0, at) for part in (self.columns, self.values))
        return Counts(firsts, lengths, columns, values, self.features)

    @cached_property
    def cells(self) -> Tensor:
        """The cell of each count, (non-zeros,)."""
        return torch.repeat_interleave(self.lengths, output_size=len(self.values))

    @cached_property
    def places(self) -> Tensor:
        """The position of each count in the flattened (cells, features) matrix, (non-zeros,)."""
        return self.cells * self.features + self.columns


@dataclass(frozen=True)
class Minibatch(Mapping[str, Tensor]):
    """Cells that share what was observed; a mapping, modality -> (cells, features) values.

    Attributes
    ----------
    observed
        That mapping.
    counts, library_size
        modality -> raw counts of (cells, counted features), and (cells, 1) counts of the whole
        modality; only of the modalities whose counts a method reads.
    labels
        (cells,) positions among the split's cell types, -1 where unknown; None without labels.
    batches
        (cells,) positions among the train cells' batches, -1 where unknown; None without batches.
    """

    observed: dict[str, Tensor]
    counts: dict[str, Counts] = field(default_factory=dict)
    library_size: dict[str, Tensor] = field(default_factory=dict)
    labels: Tensor | None = None
    batches: Tensor | None = None

    def __getitem__(self, modality: str) -> Tensor:
        return self.observed[modality]

    def __iter__(self) -> Iterator[str]:
        return iter(self.observed)

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(next(iter(self.observed.values())))

    def only(self, *modalities: str) -> Minibatch:
        """Return the same cells with nothing but `modalities` observed."""
        return replace(self, observed={m: self.observed[m] for m in modalities})

    def take(self, rows: Tensor) -> Minibatch:
        """Return the cells at `rows`."""

        def of(parts: Mapping) -> dict:
            return {m: x.index_select(0, rows) for m, x in parts.items()}

        labels, batches = (None if x is None else x[rows] for x in (self.labels, self.batches))
        return Minibatch(of(self.observed), of(self.counts), of(self.library_size), labels, batches)

    def pieces(self) -> Iterator[Minibatch]:
        """Yield all cells in order, at most `PIECE` at a time."""
        device = next(iter(self.observed.values())).device
        for rows in torch.arange(self.cells, device=device).split(PIECE):
            yield self.take(rows)


@dataclass(frozen=True)
class Streamed:
    """Cells that stay in the host's memory until they are taken to the device.

    `names` holds "cell_types" and "batches" of :func:`on_device`.
    """

    held: Cells
    device: torch.device
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.held)

    def take(self, rows: Tensor) -> Minibatch:
        """Return the cells at `rows` on the device."""
        cells = self.held.take(rows.cpu().numpy())
        return on_device(cells, self.device, counts=list(cells.counts), **self.names)


@dataclass(frozen=True)
class Part:
    """Some cells of a block, which are not copied."""

    block: Block
    rows: Tensor

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.rows)

    def take(self, rows: Tensor) -> Minibatch:
        """Return the cells at `rows` of this part."""
        return self.block.take(self.rows[rows])


Block = Minibatch | Streamed | Part  # cells that share what was observed


def block_of(
    cells: Cells, device: torch.device, *, counts: Collection[str] = (), **names: Sequence[str]
) -> Block:
    """Return `cells` on the device if they fit there, else to be streamed, with equal results.

    Parameters are those of :func:`on_device`.
    """
    counted = {modality: x for modality, x in cells.counts.items() if modality in counts}
    needed = sum(x.data.nbytes + x.indices.nbytes for x in counted.values())
    if device.type == "cuda":
        needed += sum(x.nbytes for x in cells.values.values())
        room = DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]
    else:
        room = HOST_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed <= room:
        return on_device(cells, device, counts=counts, **names)
    message = f"{len(cells)} cells are streamed: the {device.type} has too little memory for all"
    print(message, file=sys.stderr)
    return Streamed(replace(cells, counts=counted), device, names)


def by_pieces(
    function: Callable[[Minibatch], Tensor],
    cells: Cells,
    device: torch.device,
    *,
    batches: Sequence[str] = (),
) -> np.ndarray:
    """Return function(minibatch) of all `cells`, (cells, ...), some thousand at a time."""
    parts = []
    for first in range(0, len(cells), PIECE):
        piece = cells.take(np.arange(first, min(first + PIECE, len(cells))))
        parts.append(function(on_device(piece, device, batches=batches)).cpu().numpy())
    return np.concatenate(parts)


def on_device(
    cells: Cells,
    device: torch.device,
    *,
    counts: Collection[str] = (),
    cell_types: Sequence[str] = (),
    batches: Sequence[str] = (),
) -> Minibatch:
    """Return all of `cells` as tensors on `device`.

    Parameters
    ----------
    counts
        The modalities whose counts are read.
    cell_types, batches
        The names that codes of labels and of batches refer to; empty for none.
    """
    counted = [modality for modality in cells.values if modality in counts]
    sizes = {m: cells.library_size[m].astype(np.float32)[:, None] for m in counted}
    return Minibatch(
        observed={m: torch.from_numpy(x).to(device) for m, x in cells.values.items()},
        counts={m: Counts.on_device(cells.counts[m], device) for m in counted},
        library_size={m: torch.from_numpy(x).to(device) for m, x in sizes.items()},
        labels=_codes(cells.labels, cell_types, device),
        batches=_codes(cells.batches, batches, device),
    )


def _codes(names: np.ndarray | None, known: Sequence[str], device: torch.device) -> Tensor | None:
    if names is None or not known:
        return None
    codes = {name: code for code, name in enumerate(known)}
    return torch.tensor([codes.get(str(name), -1) for name in names], device=device)
