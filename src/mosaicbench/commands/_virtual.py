"""Virtual cells from the prior of a fitted model, in modalities that were perhaps never measured together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.commands._umap import Neighbourhood
from mosaicbench.files.models import read_model
from mosaicbench.files.runs import read_record
from mosaicbench.files.sampled import generated_table, write_generated
from mosaicbench.files.splits import (
    complete_cells,
    feature_names,
    identity_of,
    standardised_values,
)
from mosaicbench.fitting.keeping import revived
from mosaicbench.fitting.method import implementation
from mosaicbench.report.projections import COLUMNS, VIRTUAL, WHOSE
from mosaicbench.scoring import scorer
from mosaicbench.stats.common import joined

if TYPE_CHECKING:
    from mudata import MuData

CELLS = 500  # of each run
MARKERS = 2  # per cell type and modality
FEWEST = 6  # cells that a classifier can tell from others


def virtual_cells(
    folders: list[Path], train: MuData, solution: MuData, seed: int, output: Path
) -> dict[str, pd.DataFrame]:
    """Draw cells from the priors of some runs' models, and hold them against the query cells.

    Parameters
    ----------
    folders
        Folders of runs whose models are kept, of one split and seed; one that failed has no model, and no rows.
    train, solution
        The parts of that split.
    seed
        What draws the cells.
    output
        The folder to write into: ``{run}.h5mu``, values in each modality's space, ``obs["cell_type"]`` the type whose mean real
        profile is most alike.

    Returns
    -------
    dict
        The tables of ``report.projections.VIRTUAL``: a layout of real and virtual cells, mean standardised values of marker
        features by cell type, how well a classifier tells the one from the other.
    """
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in VIRTUAL}
    for folder in folders:
        record = read_record(folder / "run.json", identity_of(train))
        if record["status"] not in ("ok", "collapsed"):
            continue
        print(f"drawing cells of {record['run']}", file=sys.stderr)
        method = implementation(catalog.module("methods", record["method"]), record["method"])
        generated = revived(read_model(folder), method).generate(CELLS, seed)
        whose = {key: record[key] for key in WHOSE}
        names = np.array([f"virtual-{cell:06d}" for cell in range(CELLS)], dtype=object)
        types, parts = _held_against(solution, generated, names, seed)
        for name, part in parts.items():
            found[name].append(part.assign(**whose))
        table = generated_table(generated, train, names, types, whose)
        write_generated(output / f"{record['run']}.h5mu", table)
    return {name: joined(parts, COLUMNS[name]) for name, parts in found.items()}


def _held_against(
    solution: MuData, generated: dict[str, np.ndarray], names: np.ndarray, seed: int
) -> tuple[np.ndarray, dict[str, pd.DataFrame]]:
    """Return the types of virtual cells, and the tables that compare them with the query cells that have all modalities."""
    complete = complete_cells(solution)
    if len(complete) < FEWEST:
        needed = f"at least {FEWEST} query cells with all modalities"
        print(
            f"virtual cells are compared with {needed}, found {len(complete)}: no comparison is made",
            file=sys.stderr,
        )
        return np.full(len(names), "", dtype=object), {}
    real = {modality: standardised_values(solution[modality][complete]) for modality in generated}
    labels = np.asarray(
        next(iter(solution.mod.values())).obs.loc[complete, "cell_type"], dtype=object
    )
    layout_of_real, layout_of_virtual = _side_by_side(real), _side_by_side(generated)
    types = _nearest_types(layout_of_real, labels, layout_of_virtual)
    both = [
        pd.DataFrame({"origin": "real", "cell": complete, "cell_type": labels}),
        pd.DataFrame({"origin": "generated", "cell": names, "cell_type": types}),
    ]
    layout = pd.concat(both, ignore_index=True)
    layout[["x", "y"]] = Neighbourhood.of(
        np.concatenate([layout_of_real, layout_of_virtual])
    ).layout(seed)
    return types, {
        "virtual_cells": layout,
        "virtual_markers": _markers(
            real, labels, generated, types, {m: feature_names(solution[m]) for m in real}
        ),
        "virtual_realism": pd.DataFrame(
            [
                {"modality": m, "realism_auc": _realism(real[m], x, seed)}
                for m, x in generated.items()
            ]
        ),
    }


def _side_by_side(values: dict[str, np.ndarray]) -> np.ndarray:
    """Return (cells, all features), every modality weighing the same."""
    return np.concatenate([x / np.sqrt(x.shape[1]) for x in values.values()], axis=1)


def _nearest_types(real: np.ndarray, labels: np.ndarray, virtual: np.ndarray) -> np.ndarray:
    """Return the type whose mean real profile points most in each virtual cell's direction, "" where no type is known.

    The direction, since what is expected lies nearer to the mean of all cells than any cell does.
    """
    known = sorted(set(labels) - {""})
    if not known:
        return np.full(len(virtual), "", dtype=object)
    profiles = np.array([real[labels == name].mean(axis=0) for name in known])
    profiles /= np.maximum(np.linalg.norm(profiles, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.array(known, dtype=object)[(virtual @ profiles.T).argmax(axis=1)]


def _markers(
    real: dict, labels: np.ndarray, generated: dict, types: np.ndarray, feature_names: dict
) -> pd.DataFrame:
    """Return the mean of every type's markers in every type: those that lie highest above the other types, in real cells."""
    rows, known = [], sorted(set(labels) - {""})
    for modality, x in real.items():
        means, made = (
            pd.DataFrame(values).groupby(of_cells).mean().reindex(known)
            for values, of_cells in ((x, labels), (generated[modality], types))
        )
        for marker_of in known if len(known) > 1 else []:
            inside = labels == marker_of
            above = x[inside].mean(axis=0) - x[~inside].mean(axis=0)
            for place in np.argsort(-above, kind="stable")[:MARKERS]:
                feature = feature_names[modality][place]
                named = {"modality": modality, "marker_of": marker_of, "feature": feature}
                values = {"real": means[place], "generated": made[place]}
                rows.append(pd.DataFrame(named | {"cell_type": known} | values))
    return joined(rows, COLUMNS["virtual_markers"][len(WHOSE) :])


def _realism(real: np.ndarray, generated: np.ndarray, seed: int) -> float:
    """Return how well a classifier tells as many virtual from as many real cells, drawn at random: files may be sorted."""
    cells = min(len(real), len(generated))
    drawn = np.sort(np.random.default_rng(seed).choice(len(real), cells, replace=False))
    ones = np.ones(real.shape[1])
    return scorer.ask("realism_auc", truth=real[drawn], imputed=generated[:cells], train_std=ones)
