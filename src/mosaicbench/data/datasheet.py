"""What was read of a dataset, counted: its datasheet (``files.datasheet``)."""

from __future__ import annotations

import json
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.assemble import source_values
from mosaicbench.data.pairing import patterns
from mosaicbench.files.dataset import LINKS, links_between, measured_in

if TYPE_CHECKING:
    from mudata import MuData


def datasheet(dataset: MuData, *, name: str, labels: str, left_out: dict[str, int]) -> dict:
    """Return the datasheet of a dataset.

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
    sentences, linked = _links(dataset)
    types = _counts(dataset.obs["cell_type"])
    return {
        "dataset": name,
        "cells": dataset.n_obs,
        "measured_in": {
            " and ".join(pattern): len(cells) for pattern, cells in patterns(measured_in(dataset))
        },
        "cell_types": types,
        "labels": labels if set(types) - {""} else "",
        "batches": _counts(dataset.obs["batch"]),
        "left_out": {reason: int(cells) for reason, cells in left_out.items() if cells},
        "links": sentences,
        "modalities": {
            modality: {
                "kind": cells.uns["kind"],
                "values": cells.uns["values"],
                "source": str(cells.uns.get("source", "")),
                "cells": cells.n_obs,
                "features": cells.n_vars,
                "linked": int(linked[modality].sum()),
                "depth": _depth(cells),
                "left_out": json.loads(cells.uns.get("features_left_out", "{}")),
            }
            for modality, cells in dataset.mod.items()
        },
    }


def _counts(names: pd.Series) -> dict[str, int]:
    """Return name -> cells, most first; cells without a name, "", come last."""
    counts = names.astype(str).value_counts()
    order = np.argsort(counts.index == "", kind="stable")
    return {str(name): int(cells) for name, cells in counts.iloc[order].items()}


def _depth(cells: object) -> float | None:
    if cells.uns["values"] != "counts":
        return None
    return float(np.median(np.asarray(source_values(cells).sum(axis=1))))


def _links(dataset: MuData) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return a sentence per pair of modalities with links, and modality -> mask of linked features."""
    linked = {modality: np.zeros(cells.n_vars, dtype=bool) for modality, cells in dataset.mod.items()}
    sentences = []
    for first, second in permutations(dataset.mod, 2):
        if (origin := dataset.uns.get(LINKS, {}).get(f"{first}-{second}")) is None:
            continue
        links = links_between(dataset, first, second)
        parts = []
        for axis, modality in ((1, first), (0, second)):
            has = np.asarray((links != 0).sum(axis=axis)).ravel() > 0
            linked[modality] |= has
            parts.append(f"{has.sum():,} of {len(has):,} {modality}")
        pair = f"{first}-{second}"
        sentences.append(f"{pair}: {links.nnz:,} between {' and '.join(parts)} features ({origin})")
    return sentences, linked
