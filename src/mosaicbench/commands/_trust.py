"""What estimates of runs without truth are made from: latents, and linked features of the same cells."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.errors import NotApplicable, UserError
from mosaicbench.files.runs import latents_of, read_latents
from mosaicbench.files.splits import as_split, read_split
from mosaicbench.models.linked import linked
from mosaicbench.scoring import trust

if TYPE_CHECKING:
    from mudata import MuData

    from mosaicbench.contract import Split

Latents = Mapping[str, tuple[pd.Index, np.ndarray]]


def observed(latents: Latents, cells: MuData) -> dict[tuple[str, str], dict]:
    """Return pair of modalities -> its :func:`trust.features`, `columns`, and why without estimate.

    `cells` have the values of these latents' cells, and links: a part of a split, or a whole dataset.
    """
    split, found = as_split(cells, labels=False, links=True), {}
    for pair in combinations(latents, 2):
        values, why = None, ""
        try:
            values = linked_values(split, pair, latents)
        except NotApplicable as reason:
            why = str(reason)
        z = (latents[modality][1] for modality in pair)
        columns = 0 if values is None else values[0].shape[1]
        found[pair] = trust.features(*z, values) | {"columns": columns, "why": why}
    return found


def linked_values(
    split: Split, pair: tuple[str, str], latents: Latents
) -> tuple[np.ndarray, np.ndarray]:
    """Return the linked features of the cells with latents, (cells, columns) of each modality.

    Raises
    ------
    UserError
        When a cell has no values.
    NotApplicable
        When fewer than two features are linked.
    """
    shared, values = linked(split, pair), []
    for modality in pair:
        cells, names = split.observing(modality), latents[modality][0]
        rows = pd.Index(cells.names.astype(str)).get_indexer(names)
        if np.any(rows < 0):
            raise UserError(
                f"values of {modality}: {(rows < 0).sum()} of {len(rows)} cells with latents are "
                f"not there, first {names[rows < 0][0]!r}; give both files the same cell names"
            )
        values.append(shared.of(cells, modality)[rows])
    return tuple(values)


def of_fit(split: Path, fit: Path) -> dict[tuple[str, str], dict]:
    """Return :func:`observed` of the query cells of a run and seed."""
    query, latents = read_split(split / "query.h5mu", "query"), read_latents(fit / "latents.h5ad")
    sources = [m for m in query.mod if m in set(latents.obs["source"])]
    return observed({m: latents_of(latents, m, "query") for m in sources}, query)


def estimates_of_fit(split: Path, fit: Path) -> list[tuple[float, float, float]]:
    """Return FOSCTTM's estimate and interval for each pair of modalities with linked features."""
    pairs = of_fit(split, fit).values()
    return [trust.estimates(found["index"])["foscttm"] for found in pairs if "index" in found]
