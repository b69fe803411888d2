"""What was read of a dataset, counted: its datasheet (``files.datasheet``)."""

from __future__ import annotations

import json
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.data.assemble import source_values
from mosaicbench.data.pairing import patterns
from mosaicbench.files.dataset import LINKS, links_between, measured_in
from mosaicbench.files.datasheet import counted

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

NO_LABEL = "no label"


def datasheet(dataset: MuData, *, name: str, labels: str, left_out: dict[str, int]) -> list[dict]:
    """Return a row per modality, keys ``files.datasheet.COLUMNS``.

    Parameters
    ----------
    dataset
        As ``prepare`` writes it.
    name
        Its id.
    labels
        Where cell types come from.
    left_out
        reason -> cells that it applies to.
    """
    links, linked = _links(dataset)
    sets = {" and ".join(names): len(cells) for names, cells in patterns(measured_in(dataset))}
    types, batches = (dataset.obs[column].astype(str) for column in ("cell_type", "batch"))
    counts = types.value_counts()
    known = counts.drop("", errors="ignore").to_dict()
    of_dataset = {
        "cells_of_dataset": dataset.n_obs,
        "cells_in_all": sets.get(" and ".join(dataset.mod), 0),
        "measured_in": counted(sets),
        "cells_left_out": counted(left_out),
        "cell_types": len(known),
        "cells_by_type": counted(known | {NO_LABEL: int(counts.get("", 0))}),
        "labels": labels if known else "",
        "batches": batches.nunique(),
        "cells_by_batch": counted(batches.value_counts()),
        "links": links,
    }
    return [
        {
            "dataset": name,
            "modality": modality,
            "kind": cells.uns["kind"],
            "values": cells.uns["values"],
            "source": cells.uns.get("source", ""),
            "cells": cells.n_obs,
            "features": cells.n_vars,
            "linked_features": int(linked[modality].sum()),
            "depth": _depth(cells),
            "features_left_out": counted(json.loads(cells.uns.get("features_left_out", "{}"))),
            **of_dataset,
        }
        for modality, cells in dataset.mod.items()
    ]


def _depth(cells: AnnData) -> float | None:
    if cells.uns["values"] != "counts":
        return None
    return float(np.median(np.asarray(source_values(cells).sum(axis=1))))


def _links(dataset: MuData) -> tuple[str, dict[str, np.ndarray]]:
    linked = {m: np.zeros(cells.n_vars, dtype=bool) for m, cells in dataset.mod.items()}
    origins, found = dataset.uns.get(LINKS, {}), []
    for first, second in permutations(dataset.mod, 2):
        if (pair := f"{first}-{second}") not in origins:
            continue
        links = links_between(dataset, first, second)
        parts = []
        for axis, modality in ((1, first), (0, second)):
            has = np.asarray((links != 0).sum(axis=axis)).ravel() > 0
            linked[modality] |= has
            parts.append(f"{has.sum()} of {len(has)} {modality}")
        found.append(
            f"{pair}: {links.nnz} between {' and '.join(parts)} features ({origins[pair]})"
        )
    return "; ".join(found), linked
