"""Cells of one's own through a kept model, a few thousand at a time: latents, types, and values of what was not measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mosaicbench.contract import Cells
from mosaicbench.errors import NotApplicable, UserError
from mosaicbench.files.models import KeptModel
from mosaicbench.inference.matching import Matched
from mosaicbench.inference.measured import OwnCells, chunks
from mosaicbench.inference.types import types_of

AT_ONCE = (
    4 * 4096
)  # cells; models compute on 4,096 of them at a time, so that results do not depend on this number
JOINT = "joint"

Allocate = Callable[
    [str, tuple[int, int]], object
]  # direction, shape -> what takes values by assignment to a slice


@dataclass
class Applied:
    """What a model gives of the user's cells.

    Attributes
    ----------
    names
        source of latents -> names of its cells.
    latents
        source -> (cells, latent).
    types
        source -> table of cell_type and agreement; only where train cells have types.
    imputed
        direction, as "rna->atac" -> names of the cells, and values in the target's value space, (cells, features).
    matched
        modality -> what was found of it.
    remarks
        What the model could not give, and why.
    """

    names: dict[str, pd.Index] = field(default_factory=dict)
    latents: dict[str, np.ndarray] = field(default_factory=dict)
    types: dict[str, pd.DataFrame] = field(default_factory=dict)
    imputed: dict[str, tuple[pd.Index, object]] = field(default_factory=dict)
    matched: dict[str, Matched] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def embedded(
    kept: KeptModel,
    method: object,
    own: OwnCells,
    found: dict[str, Matched],
    *,
    impute: Allocate | None,
) -> Applied:
    """Embed every cell from each of its modalities and from all together, give it a type, and impute what it lacks.

    Parameters
    ----------
    kept, method
        A model and its method object.
    own, found
        The user's cells, and the model's modalities in them.
    impute
        Makes the place for the values of a direction; None imputes nothing.

    Raises
    ------
    UserError
        When the model can give nothing of such cells.
    """
    applied, gives = Applied(matched=found), kept.facts["card"]["outputs"]
    batches = _batches(own, found)
    for source, modalities in _sources(gives, list(kept.facts["modalities"]), found).items():
        names = _names_of(found, modalities)
        if len(names):
            _embed(applied, kept, method, source, modalities, names, batches)
    if impute is not None and "impute" in gives:
        taken: dict[str, pd.Index] = {}  # target -> cells that another modality has imputed
        for source, matched in found.items():
            for target in kept.facts["modalities"]:
                observed = found[target].names if target in found else pd.Index([])
                done = observed.union(taken.get(target, pd.Index([])), sort=False)
                names = matched.names[~matched.names.isin(done)]
                if source != target and len(names):
                    _impute(applied, kept, method, (source, target), names, batches, impute)
                if (
                    f"{source}->{target}" in applied.imputed
                ):  # else another modality may still be able to
                    taken[target] = names.union(taken.get(target, pd.Index([])), sort=False)
    if not applied.latents and not applied.imputed:
        needs = " and ".join(kept.facts["modalities"])
        why = f"it needs {needs} of the same cells, and these have {', '.join(found)}"
        if not {"joint", "single"} & set(gives):
            why = "it only imputes, and no cell lacks one of its modalities, or imputing was not asked for"
        reasons = "; ".join(applied.remarks) or why
        raise UserError(f"the model gives nothing of these cells: {reasons}")
    return applied


def _sources(
    gives: list[str], modalities: list[str], found: dict[str, Matched]
) -> dict[str, list[str]]:
    """Return source of latents -> the modalities that it is made of, as a run of the benchmark has them."""
    sources = {modality: [modality] for modality in found} if "single" in gives else {}
    if JOINT in gives and len(found) == len(modalities):
        sources[JOINT] = list(found)
    return sources


def _names_of(found: dict[str, Matched], modalities: list[str]) -> pd.Index:
    """Return the cells in which all of `modalities` were measured, in the first one's order."""
    names = found[modalities[0]].names
    for modality in modalities[1:]:
        names = names[names.isin(found[modality].names)]
    return names


def _cells(
    found: dict[str, Matched], modalities: list[str], names: pd.Index, batches: pd.Series
) -> Cells:
    values = {
        modality: found[modality].values(found[modality].names.get_indexer(names))
        for modality in modalities
    }
    return Cells(
        names=np.asarray(names, dtype=object),
        values=values,
        batches=batches.reindex(names).fillna("").to_numpy(dtype=object),
    )


def _embed(
    applied: Applied,
    kept: KeptModel,
    method: object,
    source: str,
    modalities: list[str],
    names: pd.Index,
    batches: pd.Series,
) -> None:
    """Add the latents and types of one source."""
    latents, tables = [], []
    try:
        for rows in chunks(len(names), AT_ONCE):
            z = np.asarray(
                method.embed(_cells(applied.matched, modalities, names[rows], batches)),
                dtype=np.float32,
            )
            latents.append(z)
            if (types := types_of(kept.split, source, z)) is not None:
                tables.append(types)
    except NotApplicable as reason:
        applied.remarks.append(f"no latents of {source}: {reason}")
        return
    except KeyError as error:
        raise UserError(
            f"the method reads {error} of cells, such as gene activities, which a kept model cannot make"
        ) from error
    applied.names[source], applied.latents[source] = names, np.concatenate(latents)
    if tables:
        applied.types[source] = pd.concat(tables).set_axis(names, axis=0)


def _impute(
    applied: Applied,
    kept: KeptModel,
    method: object,
    direction: tuple[str, str],
    names: pd.Index,
    batches: pd.Series,
    allocate: Allocate,
) -> None:
    """Add the values of one direction, in the target's value space."""
    source, target = direction
    mean, std = (kept.split[f"{target}/{moment}"] for moment in ("mean", "std"))
    place = None
    try:
        for rows in chunks(len(names), AT_ONCE):
            x = method.impute(_cells(applied.matched, [source], names[rows], batches), target)
            if place is None:
                place = allocate(f"{source}->{target}", (len(names), x.shape[1]))
            place[rows[0] : rows[-1] + 1] = (x * std + mean).astype(np.float32)
    except NotApplicable as reason:
        applied.remarks.append(f"no {source}->{target}: {reason}")
        return
    applied.imputed[f"{source}->{target}"] = (names, place)


def _batches(own: OwnCells, found: dict[str, Matched]) -> pd.Series:
    """Return the batch of each cell, by its name: the column "batch" of a modality or of all cells, "" where there is none."""
    tables = [own.obs, *(own.modalities[matched.theirs].obs for matched in found.values())]
    parts = [
        table["batch"].astype(str).set_axis(table.index.astype(str))
        for table in tables
        if "batch" in table
    ]
    together = pd.concat(parts) if parts else pd.Series(dtype=object)
    return together[~together.index.duplicated()]
