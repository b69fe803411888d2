"""Linked features: several modalities in the same columns, though no cell is paired.

Every column belongs to one feature of the hub, a modality that all others are linked with; as a
rule a gene. The column is the gene's value in the hub; the value of the linked feature, with the
link's sign, in a modality whose features are linked with genes one by one (proteins); and the
gene's activity in ATAC.

    rna, adt: a column per link        rna, atac: a column per gene with activity
    atac, adt: a column per link of a protein with a gene that has activity; rna is the hub
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mosaicbench.contract import Cells, Split, concatenate
from mosaicbench.errors import NotApplicable, UserError

CLIPPED = 10.0  # standard deviations, as the values of a split


@dataclass(frozen=True)
class FromValues:
    """Linked features that are values: positions of features, with signs, both (columns,)."""

    modality: str
    columns: np.ndarray
    signs: np.ndarray

    def of(self, cells: Cells) -> np.ndarray:
        """Return (cells, columns), standardised."""
        return cells.values[self.modality][:, self.columns] * self.signs


@dataclass(frozen=True)
class FromActivity:
    """Linked features that are gene activities, log-normalised and standardised.

    Attributes
    ----------
    columns
        (columns,) positions of genes.
    total
        Activity that every cell is scaled to: the median of the train cells.
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
        std = np.where(std > 0, std, 1).astype(np.float32)
        return cls(modality, columns, total, x.mean(0), std)

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
        modality -> source of its columns.
    axes
        (columns, components) that the columns are projected on; None keeps them.
    """

    readers: Mapping[str, FromValues | FromActivity]
    axes: np.ndarray | None = None

    @property
    def columns(self) -> int:
        """The number of linked features."""
        return len(next(iter(self.readers.values())).columns)

    def of(self, cells: Cells, modality: str) -> np.ndarray:
        """Return the linked features of `modality`, (cells, columns or components) float32."""
        x = self.readers[modality].of(cells)
        return np.asarray(x if self.axes is None else x @ self.axes, dtype=np.float32)


def linked(train: Split, modalities: Sequence[str], *, components: int | None = None) -> Linked:
    """Return the linked features of `modalities`, with moments of the train cells.

    Parameters
    ----------
    train
        A split with links.
    components
        More linked features than this are projected on so many principal components of all
        modalities' train cells together, each modality with the same weight.

    Raises
    ------
    NotApplicable
        When no modality is linked with all of `modalities`, or fewer than two features are linked.
    """
    names = " and ".join(modalities)
    for hub in dict.fromkeys([*modalities, *train.modalities]):
        relations = {modality: _relation(train, hub, modality) for modality in modalities}
        if all(relation is not None for relation in relations.values()):
            break
    else:
        raise NotApplicable(
            f"no links lead between {names}; give the dataset `links` (config/README.md)"
        )
    readers = {}
    for modality, (columns, signs) in _joined(relations).items():
        cells = train.observing(modality)
        if modality in cells.gene_activity:
            readers[modality] = FromActivity.fitted(modality, columns, cells)
        else:
            readers[modality] = FromValues(modality, columns, signs)
    features = Linked(readers)
    if features.columns < 2:
        raise NotApplicable(
            f"{features.columns} linked features between {names}, at least 2 are needed"
        )
    if components is None or features.columns <= components:
        return features
    # Principal axes of all modalities' centred columns, by falling variance.
    parts = [features.of(train.observing(m), m) for m in modalities]
    _, vectors = np.linalg.eigh(sum(np.cov(x, rowvar=False) for x in parts))
    return replace(features, axes=vectors[:, ::-1][:, :components].astype(np.float32))


def chain(train: Split, order: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the modalities in an order in which neighbours are aligned with each other.

    Parameters
    ----------
    order
        All modalities of the split. None takes the dataset's order, but of three or more, one that
        has links with all others comes second, so that it is a neighbour of two.
    """
    modalities = train.modalities
    if order is not None:
        if sorted(order) != sorted(modalities):
            raise UserError(f"order: {list(order)} must name each of {', '.join(modalities)} once")
        return tuple(order)
    for hub in modalities if len(modalities) > 2 else ():
        first, *rest = (m for m in modalities if m != hub)
        if all((hub, other) in train.links for other in (first, *rest)):
            return (first, hub, *rest)
    return modalities


def column_name(modality: str, other: str) -> str:
    """Return the name of `modality`'s linked features with `other` among the values of a cell."""
    return f"{modality}~{other}"


def beside_values(train: Split, pairs: Mapping[tuple[str, str], Linked]) -> Split:
    """Return the split, of one modality a cell, with linked features beside the values.

    Parameters
    ----------
    pairs
        (modality, other) -> their linked features, which get the names of :func:`column_name`.
    """
    blocks = []
    for block in train.blocks:
        (modality,) = block.modalities
        values = dict(block.values)
        for pair, features in pairs.items():
            if modality in pair:
                (other,) = set(pair) - {modality}
                values[column_name(modality, other)] = features.of(block, modality)
        blocks.append(replace(block, values=values))
    return replace(train, blocks=tuple(blocks))


def _relation(
    train: Split, hub: str, modality: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    activities = [
        block.gene_activity[modality] for block in train.blocks if modality in block.gene_activity
    ]
    transform = train.normalizations.get(modality)
    values_are_features = transform is None or transform.loadings is None
    if modality == hub and values_are_features and not activities:
        return _itself(np.arange(train.features[hub]))
    if (hub, modality) not in train.links:
        return None
    links = train.links[hub, modality].tocoo()
    if activities and activities[0].shape[1] == links.shape[0]:
        total = sum(np.asarray(abs(part).sum(axis=0)).ravel() for part in activities)
        return _itself(np.flatnonzero(total))
    if not values_are_features or links.shape[1] != train.features[modality]:
        return None
    return links.row, links.col, links.data.astype(np.float32)


def _itself(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return features, features, np.ones(len(features), np.float32)


def _joined(
    relations: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return modality -> columns and signs, one per combination of links of a feature."""
    joined = None
    for modality, (features, columns, signs) in relations.items():
        parts = {"feature": features, ("columns", modality): columns, ("signs", modality): signs}
        table = pd.DataFrame(parts)
        joined = table if joined is None else joined.merge(table, on="feature")
    return {
        m: tuple(joined[name, m].to_numpy() for name in ("columns", "signs")) for m in relations
    }


def _depth(cells: Cells, modality: str) -> np.ndarray:
    return np.asarray(abs(cells.gene_activity[modality]).sum(axis=1)).ravel()


def _log_normalised(cells: Cells, modality: str, columns: np.ndarray, total: float) -> np.ndarray:
    scale = (total / np.maximum(_depth(cells, modality), 1)).astype(np.float32)
    x = cells.gene_activity[modality][:, columns].toarray() * scale[:, None]
    return np.sign(x) * np.log1p(np.abs(x))


def one_modality_each(train: Split, seed: int) -> Split:
    """Return the split with every cell in one modality, drawn by the seed: a block per modality."""
    random, parts = np.random.default_rng(seed), {modality: [] for modality in train.modalities}
    for block in train.blocks:
        turn = random.permutation(len(block)) % len(block.modalities)
        for number, modality in enumerate(block.modalities):
            parts[modality].append(block.only(modality).take(turn == number))
    return replace(train, blocks=tuple(concatenate(blocks) for blocks in parts.values() if blocks))
