"""What a method may see: cells as plain arrays, grouped by what was observed.

Absence is absence. A modality that was not measured in a cell is not in the dict of that cell's block; there are no masks
and no zeros that stand for "missing", so a method cannot mistake one for the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


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
    """

    names: np.ndarray
    values: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    batches: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities observed in these cells."""
        return tuple(self.values)

    def only(self, *modalities: str) -> Cells:
        """Return the same cells as if nothing but `modalities` had been measured in them."""
        return replace(self, values={modality: self.values[modality] for modality in modalities})

    def take(self, rows: np.ndarray) -> Cells:
        """Return the cells at `rows` (integer positions or a boolean mask)."""
        return Cells(
            names=self.names[rows],
            values={modality: x[rows] for modality, x in self.values.items()},
            labels=None if self.labels is None else self.labels[rows],
            batches=None if self.batches is None else self.batches[rows],
        )


@dataclass(frozen=True)
class View:
    """The train cells of one dataset, scenario and seed, as blocks that share what was observed.

    Attributes
    ----------
    blocks
        One per pattern of observed modalities; no cell is in two blocks.
    features
        modality -> number of features, in the dataset's order of modalities.
    """

    blocks: tuple[Cells, ...]
    features: dict[str, int]

    @property
    def modalities(self) -> tuple[str, ...]:
        """All modalities of the dataset, in its order."""
        return tuple(self.features)

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
    return Cells(
        names=np.concatenate([part.names for part in parts]),
        values={modality: np.concatenate([part.values[modality] for part in parts]) for modality in first.values},
        labels=None if first.labels is None else np.concatenate([part.labels for part in parts]),
        batches=None if first.batches is None else np.concatenate([part.batches for part in parts]),
    )


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
