"""A few cells on the device: what was observed in them, and what else is known of them; and where the others wait."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from mosaicbench.contract import Cells

if TYPE_CHECKING:
    from scipy import sparse

DEVICE_SHARE = 0.5  # of a GPU's free memory that data may take; the rest is for networks, gradients and what others put there
HOST_SHARE = 0.125  # of the machine's memory that counts may take once more
PIECE = 4096  # cells that are computed on at once, where no minibatch says so


class Block(Protocol):
    """Cells that share what was observed, on the device or in the memory of the host."""

    cells: int

    def take(self, rows: Tensor) -> Minibatch:
        """Return the cells at `rows` on the device."""


@dataclass(frozen=True)
class Counts:
    """Raw counts, of which only those above 0 are held, cell after cell.

    Attributes
    ----------
    firsts, lengths
        (cells,) where each cell's counts begin, and how many it has.
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
        """Return the counts of the cells at `rows`, as of a dense tensor."""
        lengths = self.lengths[rows]
        firsts = lengths.cumsum(0) - lengths
        seen = int(lengths.sum())
        shift = torch.repeat_interleave(self.firsts[rows] - firsts, lengths, output_size=seen)
        at = shift + torch.arange(seen, device=rows.device)
        return Counts(
            firsts,
            lengths,
            self.columns.index_select(0, at),
            self.values.index_select(0, at),
            self.features,
        )

    @cached_property
    def cells(self) -> Tensor:
        """The cell of each count, (non-zeros,)."""
        return torch.repeat_interleave(self.lengths, output_size=len(self.values))

    @cached_property
    def places(self) -> Tensor:
        """The position of each count among all (cells, features), flattened; (non-zeros,)."""
        return self.cells * self.features + self.columns


@dataclass(frozen=True)
class Minibatch(Mapping[str, Tensor]):
    """Cells that share what was observed; as a mapping, modality -> (cells, features) standardised values.

    Attributes
    ----------
    observed
        That mapping.
    counts, totals
        modality -> raw counts of (cells, counted features), and (cells, 1) counts of the whole modality; only of the
        modalities whose counts a method reads.
    labels
        (cells,) positions among the split's cell types, -1 where unknown; None where labels are not shown.
    batches
        (cells,) positions among the train cells' batches, -1 where unknown; None where none are.
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
        """Return the same cells as if nothing but `modalities` had been measured in them."""
        return replace(
            self, observed={modality: self.observed[modality] for modality in modalities}
        )

    def take(self, rows: Tensor) -> Minibatch:
        """Return the cells at `rows`."""
        known = {name: getattr(self, name) for name in ("observed", "counts", "library_size")}
        parts = {
            name: {m: x.index_select(0, rows) for m, x in of.items()} for name, of in known.items()
        }
        codes = {name: getattr(self, name) for name in ("labels", "batches")}
        return Minibatch(
            **parts, **{name: None if x is None else x[rows] for name, x in codes.items()}
        )

    def pieces(self) -> Iterator[Minibatch]:
        """Yield all cells in order, a few thousand at a time, so that what is computed of them has a bounded size."""
        if self.cells <= PIECE:
            yield self
            return
        device = next(iter(self.observed.values())).device
        for rows in torch.arange(self.cells, device=device).split(PIECE):
            yield self.take(rows)


@dataclass(frozen=True)
class Streamed:
    """Cells that stay in the host's memory until they are drawn.

    Attributes
    ----------
    held
        The cells, with no other counts than those wanted.
    device, cell_types, batches
        As of :func:`on_device`.
    """

    held: Cells
    device: torch.device
    cell_types: Sequence[str]
    batches: Sequence[str] = ()

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.held)

    def take(self, rows: Tensor) -> Minibatch:
        """Return the cells at `rows` on the device."""
        drawn = self.held.take(rows.cpu().numpy())
        counts = list(self.held.counts)
        return on_device(
            drawn, self.device, counts=counts, cell_types=self.cell_types, batches=self.batches
        )


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


def block_of(
    cells: Cells,
    device: torch.device,
    *,
    counts: Collection[str] = (),
    cell_types: Sequence[str] = (),
    batches: Sequence[str] = (),
) -> Block:
    """Return `cells` on the device if they fit there, else to be streamed; the same numbers either way.

    Parameters and errors are those of :func:`on_device`.
    """
    counted = {modality: x for modality, x in cells.counts.items() if modality in counts}
    counts_bytes = sum(x.data.nbytes + x.indices.nbytes for x in counted.values())
    if device.type == "cuda":
        values = sum(x.nbytes for x in cells.values.values())
        fits = values + counts_bytes <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]
    else:
        fits = counts_bytes <= HOST_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if fits:
        return on_device(cells, device, counts=counts, cell_types=cell_types, batches=batches)
    print(
        f"{len(cells)} cells are streamed: all at once they would take too much memory of the {device.type}",
        file=sys.stderr,
    )
    return Streamed(replace(cells, counts=counted), device, cell_types, batches)


def by_pieces(
    function: Callable[[Minibatch], Tensor],
    cells: Cells,
    device: torch.device,
    *,
    batches: Sequence[str] = (),
) -> np.ndarray:
    """Return function(minibatch) of all `cells`, computed on the device a few thousand at a time, (cells, ...)."""
    rows = np.arange(len(cells))
    # one at a time: they are copies
    pieces = (cells.take(rows[first : first + PIECE]) for first in range(0, len(cells), PIECE))
    return np.concatenate(
        [function(on_device(piece, device, batches=batches)).cpu().numpy() for piece in pieces]
    )


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
        The modalities whose counts are wanted.
    cell_types, batches
        The names that codes of labels and of batches refer to; without any, they are left out.

    Raises
    ------
    ValueError
        When counts are wanted of a modality that has none.
    """
    if without := sorted(set(counts) & set(cells.values) - set(cells.counts)):
        raise ValueError(f"a likelihood of counts needs counts, and {', '.join(without)} has none")
    counted = [modality for modality in cells.values if modality in counts]
    return Minibatch(
        observed={modality: torch.from_numpy(x).to(device) for modality, x in cells.values.items()},
        counts={m: Counts.on_device(cells.counts[m], device) for m in counted},
        library_size={
            m: torch.from_numpy(cells.library_size[m].astype(np.float32)[:, None]).to(device)
            for m in counted
        },
        labels=_codes(cells.labels, cell_types, device) if cell_types else None,
        batches=_codes(cells.batches, batches, device) if batches else None,
    )


def _codes(names: np.ndarray | None, known: Sequence[str], device: torch.device) -> Tensor | None:
    """Return the position of each cell's name among the known ones, (cells,), -1 where it is not among them."""
    codes = {name: code for code, name in enumerate(known)}
    return (
        None
        if names is None
        else torch.tensor([codes.get(str(name), -1) for name in names], device=device)
    )
