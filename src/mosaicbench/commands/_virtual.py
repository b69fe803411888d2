"""Virtual cells from the prior of a fitted model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from mudata import MuData

from mosaicbench.catalog import catalog
from mosaicbench.commands._umap import laid_out, neighbourhood
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

CELLS = 500  # of each run
MARKERS = 2  # per cell type and modality
FEWEST = 6  # cells that a classifier can tell from others


def virtual_cells(
    folders: list[Path], train: MuData, solution: MuData, seed: int, output: Path
) -> dict[str, pd.DataFrame]:
    """Draw cells from the priors of saved models of one split, and compare them with the query cells.

    `output` is the folder for ``{run}.h5mu``: normalized values, and ``obs["cell_type"]``, the type with
    the most similar mean profile of real cells. Return the tables of ``report.projections.VIRTUAL``.
    """
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in VIRTUAL}
    for folder in folders:
        record = read_record(folder / "run.json", identity_of(train))
        if record["status"] not in ("ok", "collapsed"):
            continue
        print(f"drawing cells of {record['run']}", file=sys.stderr)
        method = implementation(catalog.module("methods", record["method"]), record["method"])
        generated = revived(read_model(folder), method).generate(CELLS, seed)
        whose = {key: record[key] for key in WHOSE}
        names = np.array([f"virtual-{cell:06d}" for cell in range(CELLS)], dtype=object)
        types, parts = _compared(solution, generated, names, seed)
        for name, part in parts.items():
            tables[name].append(part.assign(**whose))
        table = generated_table(generated, train, names, types, whose)
        write_generated(output / f"{record['run']}.h5mu", table)
    return {name: joined(parts, COLUMNS[name]) for name, parts in tables.items()}


def _compared(
    solution: MuData, generated: dict[str, np.ndarray], names: np.ndarray, seed: int
) -> tuple[np.ndarray, dict[str, pd.DataFrame]]:
    complete = complete_cells(solution)
    if len(complete) < FEWEST:
        print(
            f"virtual cells are not compared: this takes {FEWEST} query cells with all modalities, "
            f"found {len(complete)}",
            file=sys.stderr,
        )
        return np.full(len(names), "", dtype=object), {}
    real = {modality: standardised_values(solution[modality][complete]) for modality in generated}
    labels = next(iter(solution.mod.values())).obs.loc[complete, "cell_type"]
    labels = np.asarray(labels, dtype=object)
    all_real, all_generated = _side_by_side(real), _side_by_side(generated)
    types = _nearest_types(all_real, labels, all_generated)
    columns = {
        "origin": np.repeat(["real", "generated"], [len(complete), len(names)]),
        "cell": [*complete, *names],
        "cell_type": [*labels, *types],
    }
    layout = pd.DataFrame(columns)
    rows = neighbourhood(np.concatenate([all_real, all_generated]))
    layout[["x", "y"]] = laid_out(rows, seed)
    markers, realism = [], []
    for modality, x in real.items():
        features = np.array(feature_names(solution[modality]), dtype=object)
        markers += _markers(modality, features, (x, labels), (generated[modality], types))
        auc = _realism(x, generated[modality], seed)
        realism.append({"modality": modality, "realism_auc": auc})
    return types, {
        "virtual_cells": layout,
        "virtual_markers": joined(markers, COLUMNS["virtual_markers"][len(WHOSE) :]),
        "virtual_realism": pd.DataFrame(realism),
    }


def _side_by_side(values: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([x / np.sqrt(x.shape[1]) for x in values.values()], axis=1)


def _nearest_types(real: np.ndarray, labels: np.ndarray, virtual: np.ndarray) -> np.ndarray:
    """Return the type with the mean real profile of most similar direction, "" without types.

    Expected values are too near the mean of all cells to compare distances.
    """
    known = sorted(set(labels) - {""})
    if not known:
        return np.full(len(virtual), "", dtype=object)
    profiles = np.array([real[labels == name].mean(axis=0) for name in known])
    profiles /= np.maximum(np.linalg.norm(profiles, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.array(known, dtype=object)[(virtual @ profiles.T).argmax(axis=1)]


def _markers(
    modality: str, features: np.ndarray, real: tuple, generated: tuple
) -> list[pd.DataFrame]:
    """Return the mean of every type's markers in every type, from values and types of cells.

    Markers are highest above the other types in real cells.
    """
    (x, labels), rows = real, []
    known = sorted(set(labels) - {""})
    means, made = (
        pd.DataFrame(values).groupby(types).mean().reindex(known)
        for values, types in (real, generated)
    )
    for marker_of in known if len(known) > 1 else []:
        inside = labels == marker_of
        above = x[inside].mean(axis=0) - x[~inside].mean(axis=0)
        for place in np.argsort(-above, kind="stable")[:MARKERS]:
            table = {
                "modality": modality,
                "marker_of": marker_of,
                "feature": features[place],
                "cell_type": known,
                "real": means[place],
                "generated": made[place],
            }
            rows.append(pd.DataFrame(table))
    return rows


def _realism(real: np.ndarray, generated: np.ndarray, seed: int) -> float:
    cells = min(len(real), len(generated))
    drawn = np.sort(np.random.default_rng(seed).choice(len(real), cells, replace=False))
    ones = np.ones(real.shape[1])
    return scorer.ask("realism_auc", truth=real[drawn], imputed=generated[:cells], train_std=ones)
