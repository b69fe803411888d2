"""The designs of scenarios: who is measured in what, drawn from train cells' types and the seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mosaicbench.errors import UserError


@dataclass(frozen=True)
class Measured:
    """What a scenario shows.

    Attributes
    ----------
    train
        modality -> positions, among the train cells, of those in which it was measured.
    joint
        Whether a query cell has the same name in every modality.
    balanced
        Whether hidden cell types decided who was measured in what.
    left_out
        modality -> cell types that it lacks, and positions of the train cells from which it was taken.
    """

    train: dict[str, np.ndarray]
    joint: bool
    balanced: bool = False
    left_out: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)


def paired(labels: np.ndarray, modalities: list[str], rng: np.random.Generator) -> Measured:
    """Every modality was measured in every cell (vertical integration)."""
    everywhere = np.arange(len(labels))
    return Measured(train=dict.fromkeys(modalities, everywhere), joint=True)


def unpaired(
    labels: np.ndarray,
    modalities: list[str],
    rng: np.random.Generator,
    *,
    balanced: bool = True,
) -> Measured:
    """Each train cell was measured in one modality, and query rows are not matched (diagonal).

    Parameters
    ----------
    labels, modalities, rng
        Cell types of the train cells, the dataset's modalities, the source of chance.
    balanced
        Whether every modality gets the same fraction of each type, by the types that methods do not see;
        else cells are dealt at random.
    """
    ranked = _shuffled_by_class(labels if balanced else np.zeros(len(labels)), rng)
    first = rng.integers(len(modalities))
    train = {
        m: np.sort(ranked[(first + i) % len(modalities) :: len(modalities)])
        for i, m in enumerate(modalities)
    }
    return Measured(train=train, joint=False, balanced=balanced)


def mosaic(
    labels: np.ndarray,
    modalities: list[str],
    rng: np.random.Generator,
    *,
    paired_fraction: float | None = None,
    blocks: Sequence[Sequence[str]] | None = None,
    fractions: Sequence[float] | None = None,
    balanced: bool = True,
) -> Measured:
    """Blocks of train cells differ in their modalities: stratified by type, drawn by the seed.

    Parameters
    ----------
    labels, modalities, rng, balanced
        As of :func:`unpaired`.
    paired_fraction
        This fraction of the cells has all modalities; the rest have one each, in equal numbers.
    blocks
        Instead: the modalities of each block, e.g. ``[["rna", "adt"], ["rna", "atac"]]``.
    fractions
        Relative sizes of `blocks`; equal if left out.

    Raises
    ------
    UserError
        When a modality is unknown or never measured.
    """
    if blocks is None:
        design = [tuple(modalities), *((modality,) for modality in modalities)]
        alone = (1 - paired_fraction) / len(modalities)
        sizes = np.array([paired_fraction] + [alone] * len(modalities))
    else:
        design = [tuple(block) for block in blocks]
        sizes = np.ones(len(design)) if fractions is None else np.asarray(fractions, dtype=float)
        _check_design(design, modalities)
    block_of = _blocks(labels if balanced else np.zeros(len(labels)), sizes / sizes.sum(), rng)
    train = {}
    for modality in modalities:
        numbers = [i for i, block in enumerate(design) if modality in block]
        train[modality] = np.flatnonzero(np.isin(block_of, numbers))
    return Measured(train=train, joint=True, balanced=balanced)


KINDS: dict[str, Callable[..., Measured]] = {
    "paired": paired,
    "unpaired": unpaired,
    "mosaic": mosaic,
    "as_measured": paired,  # `designed` shows each cell with the modalities that it has
}


def designed(
    kind: str,
    labels: np.ndarray,
    has: dict[str, np.ndarray],
    rng: np.random.Generator,
    hiding: dict,
) -> Measured:
    """Return who is measured in what, of train cells that may lack modalities from the start.

    A design is for cells with all modalities. Of the others, `unpaired` shows one of the modalities that
    they have, and every other kind shows them as they are.

    Parameters
    ----------
    kind, hiding
        One of `KINDS` and its options; `imbalance`: modality -> types that it lacks in train cells.
    labels
        (cells,) types of the train cells.
    has
        modality -> (cells,) mask of those that were measured in it.
    rng
        Source of chance.
    """
    options = {key: value for key, value in hiding.items() if key != "imbalance"}
    shown: dict[str, list[np.ndarray]] = {modality: [] for modality in has}
    design = Measured(train={}, joint=kind != "unpaired")
    for pattern, rows in patterns(has):
        if len(pattern) == len(has) or (kind == "unpaired" and len(pattern) > 1):
            design = KINDS[kind](labels[rows], list(pattern), rng, **options)
            parts = design.train
        else:
            parts = dict.fromkeys(pattern, np.arange(len(rows)))
        for modality, positions in parts.items():
            shown[modality].append(rows[positions])
    none = np.zeros(0, dtype=int)
    train = {m: np.sort(np.concatenate([none, *rows])) for m, rows in shown.items()}
    return _without_types(replace(design, train=train), labels, hiding.get("imbalance") or {})


def patterns(has: dict[str, np.ndarray]) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """Return each occurring set of modalities and its cells' positions; most modalities first."""
    masks = np.stack(list(has.values()), axis=1)
    sets, which = np.unique(masks, axis=0, return_inverse=True)
    order = np.lexsort((*sets.T[::-1], sets.sum(axis=1)))[::-1]
    names = list(has)
    return [
        (tuple(names[m] for m in np.flatnonzero(sets[one])), np.flatnonzero(which.ravel() == one))
        for one in order
        if sets[one].any()
    ]


def in_several(has: dict[str, np.ndarray]) -> np.ndarray:
    """Return a mask of the cells with two modalities or more."""
    return np.sum(list(has.values()), axis=0) > 1


def with_partners(has: dict[str, np.ndarray]) -> np.ndarray:
    """Return a mask of the cells that a query is drawn from: those with two modalities or more.

    Of a modality that shares no cell with another, all cells are included.
    """
    shared = in_several(has)
    alone = [mask for mask in has.values() if not np.any(mask & shared)]
    return np.any([shared, *alone], axis=0)


def check_cells(kind: str, scenario: str, dataset: str, has: dict[str, np.ndarray]) -> None:
    """Refuse a kind of scenario that needs cells with all modalities where no cell has them."""
    if kind not in ("paired", "mosaic") or np.any(np.all(list(has.values()), axis=0)):
        return
    shared = in_several(has)
    alone = [modality for modality, mask in has.items() if not np.any(mask & shared)]
    raise UserError(
        f"scenarios.{scenario}.kind: {kind} needs cells that were measured in {', '.join(has)}, and "
        f"dataset {dataset!r} has none (modalities that share no cell: {', '.join(alone) or 'none'}). "
        "Say kind: as_measured, which takes every cell as it was measured, or unpaired; or give the "
        f"same cell the same name in all files of datasets.{dataset}.path"
    )


def few_labels(
    labels: np.ndarray,
    batches: np.ndarray,
    rng: np.random.Generator,
    *,
    fraction: float,
    min_per_type: int = 1,
    batch: str | None = None,
) -> np.ndarray:
    """Return the positions, ascending, of the cells of one batch that show their types.

    Parameters
    ----------
    labels, batches, rng
        Cell types and batches of the train cells, the source of chance.
    fraction
        Cells with a label, of all train cells; 0 shows none.
    min_per_type
        Cells of every type that show it, as far as the batch has them, even beyond the fraction.
    batch
        The batch; left out, the seed draws one.
    """
    names = sorted({str(name) for name in batches} - {""}) or [""]
    if batch is not None and str(batch) not in names:
        raise UserError(
            f"label_subset.batch: no train cell has batch {batch!r}; there are {', '.join(names)}"
        )
    chosen = str(rng.choice(names) if batch is None else batch)
    if fraction == 0:
        return np.zeros(0, dtype=int)
    possible = rng.permutation(np.flatnonzero((batches.astype(str) == chosen) & (labels != "")))
    types = labels[possible].astype(str)
    rank = pd.Series(possible).groupby(types).cumcount().to_numpy()  # within the cell's type
    first = possible[np.argsort(rank >= min_per_type, kind="stable")]
    return np.sort(first[: max(round(fraction * len(labels)), int(np.sum(rank < min_per_type)))])


def _without_types(
    measured: Measured, labels: np.ndarray, imbalance: dict[str, Sequence[str]]
) -> Measured:
    train, left_out = dict(measured.train), {}
    known = labels.astype(str)
    for modality, types in imbalance.items():
        if modality not in train:
            raise UserError(
                f"imbalance: the dataset has no modality {modality!r}; there are {', '.join(train)}"
            )
        names = [str(name) for name in types]
        if unknown := sorted(set(names) - set(known)):
            raise UserError(f"imbalance.{modality}: no train cell has the type {unknown[0]!r}")
        lacks = np.isin(known[train[modality]], names)
        left_out[modality] = tuple(names), train[modality][lacks]
        train[modality] = train[modality][~lacks]
    return replace(measured, train=train, left_out=left_out)


def _check_design(design: list[tuple[str, ...]], modalities: list[str]) -> None:
    for block in design:
        if unknown := sorted(set(block) - set(modalities)):
            raise UserError(
                f"blocks: the dataset has no modality {unknown[0]!r}; there are "
                f"{', '.join(modalities)}"
            )
    if never := sorted(set(modalities).difference(*design)):
        raise UserError(f"blocks: no block has modality {never[0]!r}; prepare a dataset without it")


def _blocks(labels: np.ndarray, fractions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    block_of = np.full(len(labels), len(fractions) - 1)
    left = np.arange(len(labels))
    for block, fraction in enumerate(fractions[:-1]):
        rest = fractions[block:].sum()
        drawn = stratified(labels[left], min(1.0, fraction / rest) if rest > 0 else 0.0, rng)
        block_of[left[drawn]] = block
        left = left[~drawn]
    return block_of


def _shuffled_by_class(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return all positions in random order within their class, class after class.

    Every k-th of them, or a systematic sample, is stratified by class.
    """
    shuffled = rng.permutation(len(labels))
    _, classes = np.unique(labels[shuffled].astype(str), return_inverse=True)
    return shuffled[np.argsort(classes, kind="stable")]


def stratified(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return a mask of a `fraction` of the cells: a systematic sample of the cells by class."""
    steps = np.floor(rng.random() + fraction * np.arange(len(labels) + 1))
    mask = np.zeros(len(labels), dtype=bool)
    mask[_shuffled_by_class(labels, rng)[np.diff(steps) > 0]] = True
    return mask
