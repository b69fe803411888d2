"""Generate: virtual cells from the prior of a fitted model, in modalities that were perhaps never measured together."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench import catalog, files, scorer
from mosaicbench.errors import UserError
from mosaicbench.report import theme
from mosaicbench.report.virtual_cells import virtual_cells
from mosaicbench.verbs.fit import method_class

MARKERS = 2  # per cell type and modality
MARKER_COLUMNS = ["modality", "marker_of", "feature", "cell_type", "real", "generated"]


def run(*, fitted: Path, view: Path, cells: int, seed: int, display: Path, output: Path) -> None:
    """Fit a run's method once more, draw cells from its prior, and hold them against the query cells.

    Weights are not kept with a run: the same view, hyperparameters and seed give the same model.

    Parameters
    ----------
    fitted
        The folder of the run.
    view
        The folder of the view that it was fitted on.
    cells, seed
        How many to draw, and what draws them.
    display
        ``display.yaml``.
    output
        The folder to write into: ``generated.h5mu`` (values in each modality's space; ``obs["cell_type"]`` is the type whose
        mean real profile is most alike), ``cells.tsv`` (a layout of real and virtual cells), ``markers.tsv`` (mean standardised
        values of marker features by cell type), ``realism.tsv`` (by modality) and ``virtual_cells.{svg,png,tsv}``.

    Raises
    ------
    UserError
        When the run failed, its method has no prior to draw from, or fewer than six cells are asked for.
    """
    record = files.read_record(fitted / "run.json")
    if record["status"] not in ("ok", "collapsed"):
        raise UserError(f"{fitted}: this run has the status {record['status']!r}; there is no model to draw from")
    if cells < 6:
        raise UserError(f"--cells: at least 6 are needed to compare them with real ones, found {cells}")
    train, solution = files.read_view(view / "train.h5mu", "train"), files.read_view(view / "solution.h5mu", "solution")
    generated = _drawn(record, train, cells, seed)
    real = {modality: files.standardised(solution[modality]) for modality in generated}
    labels = np.asarray(next(iter(solution.mod.values())).obs["cell_type"], dtype=object)

    layout_of_real, layout_of_virtual = _side_by_side(real), _side_by_side(generated)
    types = _nearest_types(layout_of_real, labels, layout_of_virtual)
    names = np.array([f"virtual-{cell:06d}" for cell in range(cells)], dtype=object)
    tables = {
        "cells": pd.concat(
            [
                pd.DataFrame({"origin": "real", "cell": solution.obs_names, "cell_type": labels}),
                pd.DataFrame({"origin": "generated", "cell": names, "cell_type": types}),
            ],
            ignore_index=True,
        ),
        "markers": _markers(real, labels, generated, types, {m: files.feature_names(solution[m]) for m in real}),
        "realism": pd.DataFrame([{"modality": m, "realism_auc": _realism(real[m], x)} for m, x in generated.items()]),
    }
    tables["cells"][["x", "y"]] = _layout(np.concatenate([layout_of_real, layout_of_virtual]), seed)

    identity = {key: record[key] for key in ("dataset", "scenario", "run", "seed")}
    files.write_generated(output / "generated.h5mu", files.generated_table(generated, train, names, types, identity))
    for name, table in tables.items():
        files.write_table(output / f"{name}.tsv", table)
    known = theme.read_theme(display, pd.DataFrame({"run": [record["run"]], "method": [record["method"]]}))
    with theme.style():
        theme.save(*virtual_cells(**tables, run=record["run"], theme=known), output / "virtual_cells")


def _drawn(record: dict, train, cells: int, seed: int) -> dict[str, np.ndarray]:
    """Return modality -> (cells, features) standardised values of virtual cells."""
    name = record["method"]
    method = method_class(importlib.import_module(catalog.module("methods", name)))
    if not hasattr(method, "generate"):
        raise UserError(f"method {name!r} has no prior to draw cells from; take a run of one of the VAEs")
    print(f"fitting {record['run']} again", file=sys.stderr)
    model = method(**record["hyperparameters"])
    uses = catalog.card("methods", name)["uses"]
    model.fit(files.as_view(train, labels="labels" in uses, links="links" in uses), record["seed"])
    return model.generate(cells, seed)


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


def _markers(real: dict, labels: np.ndarray, generated: dict, types: np.ndarray, feature_names: dict) -> pd.DataFrame:
    """Return the mean of every type's markers in every type: those that lie highest above the other types, in real cells."""
    rows, known = [], sorted(set(labels) - {""})
    for modality, x in real.items():
        for marker_of in known if len(known) > 1 else []:
            inside = labels == marker_of
            above = x[inside].mean(axis=0) - x[~inside].mean(axis=0)
            for place in np.argsort(-above, kind="stable")[:MARKERS]:
                for cell_type in known:
                    made = generated[modality][types == cell_type, place]
                    row = (modality, marker_of, feature_names[modality][place], cell_type)
                    rows.append((*row, x[labels == cell_type, place].mean(), made.mean() if len(made) else np.nan))
    return pd.DataFrame(rows, columns=MARKER_COLUMNS)


def _realism(real: np.ndarray, generated: np.ndarray) -> float:
    """Return how well a classifier tells as many virtual from as many real cells."""
    cells = min(len(real), len(generated))
    ones = np.ones(real.shape[1])
    return scorer.ask("realism_auc", truth=real[:cells], imputed=generated[:cells], train_std=ones)


def _layout(x: np.ndarray, seed: int) -> np.ndarray:
    from umap import UMAP

    return UMAP(random_state=seed, n_jobs=1).fit_transform(x)
