"""Linked features: several modalities in the same columns, though no cell is paired.

Every column belongs to one feature of a modality that all others are linked with, the hub; as a rule a gene. In the hub it is
the gene's value; in a modality whose features are linked with genes one by one (proteins), the value of the linked feature,
with the link's sign; in ATAC, the gene's activity. A gene that is linked with three proteins gives three columns.

    rna, adt: a column per link        rna, atac: a column per gene with activity
    atac, adt: a column per link of a protein with a gene that has activity; the hub, rna, is in neither

:func:`one_modality_each` hides the pairs that a split has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mosaicbench.contract import Cells, Split, concatenate
from mosaicbench.errors import NotApplicable, UserError

CLIPPED = 10.0  # standard deviations, as the values of a split


@dataclass(frozen=True)
class FromValues:
    """Linked features that are values: positions of a modality's features, with signs, both (columns,)."""

    modality: str
    columns: np.ndarray
    signs: np.ndarray

    def of(self, cells: Cells) -> np.ndarray:
        """Return (cells, columns), standardised."""
        return cells.values[self.modality][:, self.columns] * self.signs


@dataclass(frozen=True)
class FromActivity:
    """Linked features that are gene activities, log-normalised and standardised as the train cells' were.

    Attributes
    ----------
    columns
        (columns,) positions of genes.
    total
        Activity that every cell is brought to: the median of the train cells.
    mean, std
        (columns,) of the train cells' log-normalised activities.
    """

    modality: str
    columns: np.ndarray
    total: float
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fitted(cls, modality: str, columns: np.ndarray, train: Cells) -> FromActivity:
        """Return them with the moments of `train`."""
        total = float(np.median(_depth(train, modality)))
        x = _log_normalised(train, modality, columns, total)
        std = x.std(0)
        return cls(
            modality, columns, total, x.mean(0), np.where(std > 0, std, 1).astype(np.float32)
        )

    def of(self, cells: Cells) -> np.ndarray:
        """Return (cells, columns), standardised."""
        x = _log_normalised(cells, self.modality, self.columns, self.total)
        return np.clip((x - self.mean) / self.std, -CLIPPED, CLIPPED)


@dataclass(frozen=True)
class Linked:
    """The same columns in several modalities.

    Attributes
    ----------
    readers
        modality -> where its columns come from.
    axes
        (columns, components) that the columns are projected on; None keeps them.
    """

    readers: Mapping[str, FromValues | FromActivity]
    axes: np.ndarray | None = None

    @property
    def columns(self) -> int:
        """How many linked features there are."""
        return len(next(iter(self.readers.values())).columns)

    def of(self, cells: Cells, modality: str) -> np.ndarray:
        """Return the linked features of cells in which `modality` was measured, (cells, columns or components) float32."""
        x = self.readers[modality].of(cells)
        return np.asarray(x if self.axes is None else x @ self.axes, dtype=np.float32)


def linked(train: Split, modalities: Sequence[str], *, components: int | None = None) -> Linked:
    """Return the linked features of `modalities`, with moments of the train cells.

    Parameters
    ----------
    train
        A split with links.
    components
        Where there are more linked features than this, they are projected on so many principal components of all modalities'
        train cells together, each modality with the same weight. None projects on none.

    Raises
    ------
    NotApplicable
        When no modality of the split is linked with all of `modalities`, or fewer than two linked features are found.
    """
    for hub in dict.fromkeys([*modalities, *train.modalities]):
        relations = {modality: _relation(train, hub, modality) for modality in modalities}
        if all(relation is not None for relation in relations.values()):
            break
    else:
        raise NotApplicable(
            f"no links lead between {' and '.join(modalities)}; give the dataset `links` (config/README.md)"
        )
    found = Linked(
        {modality: _reader(train, modality, *own) for modality, own in _joined(relations).items()}
    )
    if found.columns < 2:
        raise NotApplicable(
            f"{found.columns} linked features between {' and '.join(modalities)}, at least 2 are needed"
        )
    if components is None or found.columns <= components:
        return found
    return replace(
        found, axes=_axes([found.of(train.observing(m), m) for m in modalities], components)
    )


def chain(train: Split, order: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the modalities in the order in which neighbours are held against each other.

    Parameters
    ----------
    order
        All modalities of the split, in any order. None takes the dataset's, but of three or more, one that has links with all
        others comes second, so that it is a neighbour of two.
    """
    modalities = train.modalities
    if order is not None:
        if sorted(order) != sorted(modalities):
            raise UserError(f"order: {list(order)} must name each of {', '.join(modalities)} once")
        return tuple(order)
    hubs = [
        m
        for m in modalities
        if all((m, other) in train.links for other in modalities if other != m)
    ]
    if len(modalities) < 3 or not hubs:
        return modalities
    first, *rest = (m for m in modalities if m != hubs[0])
    return (first, hubs[0], *rest)


def column_name(modality: str, other: str) -> str:
    """Return what `modality`'s linked features with `other` are called among the values of a cell."""
    return f"{modality}~{other}"


def beside_values(train: Split, pairs: Mapping[tuple[str, str], Linked]) -> Split:
    """Return a split whose cells, of one modality each, have linked features beside their values.

    Parameters
    ----------
    pairs
        (modality, other) -> their linked features. Those of `modality` are called ``column_name(modality, other)``.
    """
    blocks = []
    for block in train.blocks:
        (own,) = block.modalities
        found = {
            column_name(own, other): features.of(block, own)
            for pair, features in pairs.items()
            for other in pair
            if own in pair and other != own
        }
        blocks.append(replace(block, values=block.values | found))
    return replace(train, blocks=tuple(blocks))


def _relation(
    train: Split, hub: str, modality: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return features of the hub, the columns of `modality` that belong to them, and signs; None where nothing leads there."""
    gene_activity = [
        block.gene_activity[modality] for block in train.blocks if modality in block.gene_activity
    ]
    values_are_features = (
        modality not in train.normalizations or train.normalizations[modality].loadings is None
    )
    if modality == hub:
        everything = np.arange(train.features[hub])
        return (
            (everything, everything, np.ones(len(everything), np.float32))
            if values_are_features and not gene_activity
            else None
        )
    if (hub, modality) not in train.links:
        return None
    links = train.links[hub, modality].tocoo()
    if gene_activity and gene_activity[0].shape[1] == links.shape[0]:
        seen = np.flatnonzero(
            sum(np.asarray(abs(part).sum(axis=0)).ravel() for part in gene_activity)
        )
        return seen, seen, np.ones(len(seen), np.float32)
    if not values_are_features or links.shape[1] != train.features[modality]:
        return None
    return links.row, links.col, links.data.astype(np.float32)


def _joined(
    relations: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return modality -> columns and signs, a row for each way through all relations over the same feature of the hub."""
    (first, (feature, columns, signs)), *others = relations.items()
    found = {first: (columns, signs)}
    for modality, (features, columns, signs) in others:
        order = np.argsort(features, kind="stable")
        low, high = (np.searchsorted(features[order], feature, side) for side in ("left", "right"))
        left = np.repeat(np.arange(len(feature)), high - low)
        right = order[
            np.concatenate(
                [np.arange(0), *(np.arange(a, b) for a, b in zip(low, high, strict=True))]
            )
        ]
        found = {m: (c[left], s[left]) for m, (c, s) in found.items()} | {
            modality: (columns[right], signs[right])
        }
        feature = feature[left]
    return found


def _reader(
    train: Split, modality: str, columns: np.ndarray, signs: np.ndarray
) -> FromValues | FromActivity:
    cells = train.observing(modality)
    if modality in cells.gene_activity:
        return FromActivity.fitted(modality, columns, cells)
    return FromValues(modality, columns, signs)


def _depth(cells: Cells, modality: str) -> np.ndarray:
    return np.asarray(abs(cells.gene_activity[modality]).sum(axis=1)).ravel()


def _log_normalised(cells: Cells, modality: str, columns: np.ndarray, total: float) -> np.ndarray:
    scale = (total / np.maximum(_depth(cells, modality), 1)).astype(np.float32)
    x = cells.gene_activity[modality][:, columns].toarray() * scale[:, None]
    return np.sign(x) * np.log1p(np.abs(x))


def _axes(parts: Sequence[np.ndarray], components: int) -> np.ndarray:
    """Return the principal axes of centred matrices of the same columns, (columns, components), by falling variance."""
    covariance = sum(np.cov(x, rowvar=False) for x in parts)
    _, vectors = np.linalg.eigh(covariance)
    return vectors[:, ::-1][:, :components].astype(np.float32)


def one_modality_each(train: Split, seed: int) -> Split:
    """Return the split with one block per modality, in which no cell is in two; drawn by the seed where there is a choice."""
    random, shown = np.random.default_rng(seed), {modality: [] for modality in train.modalities}
    for block in train.blocks:
        turn = random.permutation(len(block)) % len(block.modalities)
        for place, modality in enumerate(block.modalities):
            shown[modality].append(block.only(modality).take(turn == place))
    return replace(train, blocks=tuple(concatenate(parts) for parts in shown.values() if parts))
