"""prepare: a source becomes a dataset."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import warnings
from itertools import permutations
from pathlib import Path

import numpy as np

from mosaicbench import __version__
from mosaicbench.catalog import catalog
from mosaicbench.data import lock
from mosaicbench.data.assemble import check_options, source_values
from mosaicbench.data.checks import DataWarning
from mosaicbench.data.labels_qc import curated
from mosaicbench.data.pairing import patterns
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import LINKS, links_between, measured_in, write_dataset


def main(
    *, dataset: str, loader: str, options: dict, output: Path, raw: Path | None = None
) -> None:
    """Load a dataset, curate it, record its origin and what was dropped, and write it.

    Parameters
    ----------
    dataset
        The dataset's id.
    loader
        The file of ``mosaicbench.datasets`` that reads it.
    options
        Keywords of the loader and of ``data.labels_qc.curated``; the loader's come first.
    output
        The file to write.
    raw
        The folder of fetched files, which must be unchanged; None for other loaders.
    """
    loaders = catalog.names("datasets")
    if loader not in loaders:
        there = ", ".join(loaders)
        raise UserError(f"dataset {dataset}: unknown loader {loader!r}; there are {there}")
    load = importlib.import_module(catalog.module("datasets", loader)).load
    own, every = inspect.signature(load).parameters, inspect.signature(curated).parameters
    general = set(every) - {*own, "dataset", "raw"}
    of_loader = {key: value for key, value in options.items() if key not in general}
    of_all = {key: value for key, value in options.items() if key in general}
    check_options(load, of_loader, f"dataset {dataset}, options")
    if raw is not None:
        lock.check(raw)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        loaded = load(raw, **of_loader)
        by_loader = {
            key: loaded.uns.pop(key)
            for key in ("cells_dropped", "dropped", "labels_matched")
            if key in loaded.uns
        }
        loaded = curated(loaded, raw, **of_all)
    warned = _passed_on(caught)
    notes = loaded.uns.pop("curation")
    if "labels_matched" in by_loader:
        notes = {"labels_matched": int(by_loader["labels_matched"])} | notes
    not_everywhere = int(by_loader.get("cells_dropped", 0))
    dropped = {"not in every modality": not_everywhere, **by_loader.get("dropped", {})}
    dropped |= notes.pop("dropped")
    loaded.uns[KEY] = {
        "noun": "dataset",
        "dataset": dataset,
        "version": __version__,
        "loader": loader,
        "options": json.dumps(options, sort_keys=True),
        "cells_dropped": not_everywhere,
        "dropped": json.dumps(dropped),
        "warnings": json.dumps(warned),
        **notes,
    }
    write_dataset(output, loaded)
    for line in [*_described(loaded, dropped, notes), *(f"warning: {text}" for text in warned)]:
        print(f"{dataset}: {line}", file=sys.stderr)


def _passed_on(caught: list[warnings.WarningMessage]) -> list[str]:
    """Return the texts of data warnings; emit all others again."""
    for warning in caught:
        if not issubclass(warning.category, DataWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return [str(warning.message) for warning in caught if issubclass(warning.category, DataWarning)]


def _described(dataset: object, dropped: dict[str, int], notes: dict) -> list[str]:
    known = [name for name in dataset.obs["cell_type"] if name != ""]
    batches = len(set(dataset.obs["batch"]))
    lines = [f"{len(set(known))} cell types in {len(known)} labelled cells, {batches} batches"]
    if "labels_matched" in notes:
        lines.append(f"{notes['labels_matched']} cells are in the table of labels")
    lines += [f"dropped {cells} cells: {reason}" for reason, cells in dropped.items() if cells]
    several = patterns(measured_in(dataset))
    for pattern, cells in several if len(several) > 1 else ():
        where = " and ".join(pattern) + " alone" * (len(pattern) == 1)
        lines.append(f"{len(cells)} cells measured in {where}")
    for modality, cells in dataset.mod.items():
        zeros = 100 * (1 - source_values(cells).nnz / np.prod(cells.shape, dtype=float))
        shape = f"{cells.n_obs} cells x {cells.n_vars} features"
        lines.append(f"{modality}: {shape}, {zeros:.1f} % zeros, {cells.uns['values']}")
    origins = dataset.uns.get(LINKS, {})
    for first, second in permutations(dataset.mod, 2):
        if (pair := f"{first}-{second}") in origins:
            links = links_between(dataset, first, second)
            genes, others = ((links != 0).sum(axis=axis) > 0 for axis in (1, 0))
            counted = (
                f"{genes.sum()} of {links.shape[0]} {first} and {others.sum()} of "
                f"{links.shape[1]} {second} features"
            )
            lines.append(f"links {pair}: {links.nnz} between {counted} ({origins[pair]})")
    return lines
