"""What a method may see: cells as plain arrays, grouped by what was observed.

Absence is absence. A modality that was not measured in a cell is not in the dict of that cell's block; there are no masks
and no zeros that stand for "missing", so a method cannot mistake one for the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True)
class Cells:
    """A block of cells that share what was observed.

    Attributes
    ----------
    names
        (cells,) unique names.
    values
        modality -> (cells, features) float32, in the view's value space, standardised with the train cells' mean and sd.
    labels
        (cells,) cell types, "" where unknown; None unless the method's card says that it uses labels.
    batches
        (cells,) batch names.
    counts
        modality -> (cells, counted features) raw counts, sparse; a modality without counts is not in it. The counted features
        are those of `values`, but for LSI the peaks that it was computed from. Train cells always have them, cells to embed or
        to impute from only where the method's card says that it uses counts.
    totals
        modality -> (cells,) counts of the whole modality, features that were not chosen included.
    activity
        modality -> (cells, genes) the counts of all its features that are linked with each of the chosen genes, sparse; only of
        ATAC, and only where the method's card says that it uses links.
    """

    names: np.ndarray
    values: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    batches: np.ndarray | None = None
    counts: dict[str, sparse.csr_matrix] = field(default_factory=dict)
    totals: dict[str, np.ndarray] = field(default_factory=dict)
    activity: dict[str, sparse.csr_matrix] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities observed in these cells."""
        return tuple(self.values)

    def only(self, *modalities: str) -> Cells:
        """Return the same cells as if nothing but `modalities` had been measured in them."""
        return replace(
            self,
            values={modality: self.values[modality] for modality in modalities},
            counts={modality: x for modality, x in self.counts.items() if modality in modalities},
            totals={modality: x for modality, x in self.totals.items() if modality in modalities},
            activity={modality: x for modality, x in self.activity.items() if modality in modalities},
        )

    def take(self, rows: np.ndarray) -> Cells:
        """Return the cells at `rows` (integer positions or a boolean mask)."""
        return Cells(
            names=self.names[rows],
            values={modality: x[rows] for modality, x in self.values.items()},
            labels=None if self.labels is None else self.labels[rows],
            batches=None if self.batches is None else self.batches[rows],
            counts={modality: x[rows] for modality, x in self.counts.items()},
            totals={modality: x[rows] for modality, x in self.totals.items()},
            activity={modality: x[rows] for modality, x in self.activity.items()},
        )


@dataclass(frozen=True)
class Scale:
    """How counts of one modality become its values: what the view's transform learned from the train cells.

    Attributes
    ----------
    space
        "lognorm", "clr" or "lsi".
    mean, std
        (features,) moments that standardise the values.
    total
        Median over the train cells of a cell's total count.
    share
        (counted features,) part of all train cells' counts.
    opened
        (counted features,) part of the train cells with any count.
    when_open
        (peaks,) mean TF-IDF of a peak where it is open; only for LSI.
    loadings
        (peaks, components) of LSI; None in other spaces.
    """

    space: str
    mean: np.ndarray
    std: np.ndarray
    total: float
    share: np.ndarray
    opened: np.ndarray
    when_open: np.ndarray | None = None
    loadings: np.ndarray | None = None


@dataclass(frozen=True)
class View:
    """The train cells of one dataset, scenario and seed, as blocks that share what was observed.

    Attributes
    ----------
    blocks
        One per pattern of observed modalities; no cell is in two blocks.
    features
        modality -> number of features, in the dataset's order of modalities.
    scales
        modality -> how its counts become values; a modality without counts is not in it.
    links
        (modality, modality) -> (counted features of the one, of the other), 1, -1 or 0, sparse: which features are believed to
        speak of the same gene. Both orders of a pair are in it, pairs without a link are not; empty unless the method's card
        says that it uses links.
    """

    blocks: tuple[Cells, ...]
    features: dict[str, int]
    scales: dict[str, Scale] = field(default_factory=dict)
    links: dict[tuple[str, str], sparse.csr_matrix] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """All modalities of the dataset, in its order."""
        return tuple(self.features)

    @property
    def cell_types(self) -> tuple[str, ...]:
        """The known cell types, in alphabetical order; none where labels are not shown."""
        shown = [block.labels for block in self.blocks if block.labels is not None]
        return tuple(sorted({label for labels in shown for label in labels} - {""}))

    @property
    def batches(self) -> tuple[str, ...]:
        """The train cells' batches, in alphabetical order; none where they are not known."""
        shown = [block.batches for block in self.blocks if block.batches is not None]
        return tuple(sorted({str(batch) for batches in shown for batch in batches}))

    def observing(self, *modalities: str) -> Cells:
        """Return every cell in which all of `modalities` were measured, showing only those.

        Raises
        ------
        ValueError
            When there is no such cell: the method does not apply to this scenario.
        """
        parts = [block.only(*modalities) for block in self.blocks if set(modalities) <= set(block.values)]
        if not parts:
            raise ValueError(f"no train cell has {' and '.join(modalities)} measured together")
        return concatenate(parts)


def concatenate(parts: list[Cells]) -> Cells:
    """Join blocks that show the same modalities, in order."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return Cells(
        names=np.concatenate([part.names for part in parts]),
        values={modality: np.concatenate([part.values[modality] for part in parts]) for modality in first.values},
        labels=None if first.labels is None else np.concatenate([part.labels for part in parts]),
        batches=None if first.batches is None else np.concatenate([part.batches for part in parts]),
        counts={modality: _stacked([part.counts[modality] for part in parts]) for modality in first.counts},
        totals={modality: np.concatenate([part.totals[modality] for part in parts]) for modality in first.totals},
        activity={modality: _stacked([part.activity[modality] for part in parts]) for modality in first.activity},
    )


def _stacked(parts: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    from scipy import sparse

    return sparse.vstack(parts, format="csr")


@dataclass(frozen=True)
class Truth:
    """What only the scorer and the positive controls receive.

    Attributes
    ----------
    rows
        name of a query row, in any modality -> number of the cell.
    labels
        (cells,) cell types, "" where unknown.
    values
        modality -> (cells, features) standardised values, not clipped.
    """

    rows: dict[str, int]
    labels: np.ndarray
    values: dict[str, np.ndarray]
