"""A few cells on the device: what was observed in them, and what else is known of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from mosaicbench.view import Cells


@dataclass(frozen=True)
class Minibatch(Mapping[str, Tensor]):
    """Cells that share what was observed; as a mapping, modality -> (cells, features) standardised values.

    Attributes
    ----------
    observed
        That mapping.
    counts, totals
        modality -> (cells, counted features) raw counts, and (cells, 1) counts of the whole modality; only of the modalities
        whose counts a method reads.
    labels
        (cells,) positions among the view's cell types, -1 where unknown; None where labels are not shown.
    """

    observed: dict[str, Tensor]
    counts: dict[str, Tensor] = field(default_factory=dict)
    totals: dict[str, Tensor] = field(default_factory=dict)
    labels: Tensor | None = None

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
        return replace(self, observed={modality: self.observed[modality] for modality in modalities})

    def take(self, rows: Tensor) -> Minibatch:
        """Return the cells at `rows`."""
        parts = {name: {m: x[rows] for m, x in getattr(self, name).items()} for name in ("observed", "counts", "totals")}
        return Minibatch(**parts, labels=None if self.labels is None else self.labels[rows])


def on_device(cells: Cells, device: torch.device, *, counts: Collection[str] = (), cell_types: Sequence[str] = ()) -> Minibatch:
    """Return all of `cells` as tensors on `device`.

    Parameters
    ----------
    counts
        The modalities whose counts are wanted.
    cell_types
        What label codes stand for; without any, labels are left out.

    Raises
    ------
    ValueError
        When counts are wanted of a modality that has none.
    """
    if without := sorted(set(counts) & set(cells.values) - set(cells.counts)):
        raise ValueError(f"a likelihood of counts needs counts, and {', '.join(without)} has none")
    counted = [modality for modality in cells.values if modality in counts]
    codes = {name: code for code, name in enumerate(cell_types)}
    return Minibatch(
        observed={modality: torch.from_numpy(x).to(device) for modality, x in cells.values.items()},
        counts={m: torch.from_numpy(cells.counts[m].toarray().astype(np.float32)).to(device) for m in counted},
        totals={m: torch.from_numpy(cells.totals[m].astype(np.float32)[:, None]).to(device) for m in counted},
        labels=torch.tensor([codes.get(label, -1) for label in cells.labels], device=device) if cell_types else None,
    )
