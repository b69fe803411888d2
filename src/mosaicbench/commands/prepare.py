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
    """Load a dataset, curate it, say where it comes from and what was dropped, and write it.

    Parameters
    ----------
    dataset
        The dataset's id.
    loader
        The file of ``mosaicbench.data`` that reads it.
    options
        Keywords of the loader, and of ``data.labels_qc.curated`` (labels, unlabelled, dropped_types, qc, cells, links, gtf,
        upstream) unless the loader has a keyword of that name itself.
    output
        The file to write.
    raw
        The folder of what was fetched, for a loader that reads it; its files must still be what was fetched.
    """
    if loader not in catalog.names("datasets"):
        raise UserError(
            f"dataset {dataset}: unknown loader {loader!r}; there are {', '.join(catalog.names('datasets'))}"
        )
    load = importlib.import_module(catalog.module("datasets", loader)).load
    own = set(inspect.signature(load).parameters)
    general = {
        key: value for key, value in options.items() if key not in own and key in _keywords(curated)
    }
    check_options(
        load,
        {key: value for key, value in options.items() if key not in general},
        f"dataset {dataset}, options",
    )
    if raw is not None:
        lock.check(raw)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        loaded = load(raw, **{key: value for key, value in options.items() if key not in general})
        not_everywhere = int(loaded.uns.pop("cells_dropped", 0))
        by_loader = dict(loaded.uns.pop("dropped", {}))
        matched = (
            {"labels_matched": int(loaded.uns.pop("labels_matched"))}
            if "labels_matched" in loaded.uns
            else {}
        )
        loaded = curated(loaded, raw, **general)
    warned = _passed_on(caught)
    notes = matched | loaded.uns.pop("curation")
    dropped = {"not in every modality": not_everywhere, **by_loader, **notes.pop("dropped")}
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


def _listed(pattern: tuple[str, ...]) -> str:
    return " and ".join(pattern) if len(pattern) > 1 else f"{pattern[0]} alone"


def _keywords(function: object) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def _passed_on(caught: list[warnings.WarningMessage]) -> list[str]:
    """Return the texts of warnings about data; let all others out again."""
    for warning in caught:
        if not issubclass(warning.category, DataWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return [str(warning.message) for warning in caught if issubclass(warning.category, DataWarning)]


def _described(dataset: object, dropped: dict[str, int], notes: dict) -> list[str]:
    """Return what a person should know of a dataset, a line each."""
    known = [name for name in dataset.obs["cell_type"] if name != ""]
    lines = [
        f"{len(set(known))} cell types in {len(known)} labelled cells, {len(set(dataset.obs['batch']))} batches"
    ]
    if "labels_matched" in notes:
        lines.append(f"{notes['labels_matched']} cells are in the table of labels")
    lines += [f"dropped {cells} cells: {reason}" for reason, cells in dropped.items() if cells]
    if len(several := patterns(measured_in(dataset))) > 1:
        lines += [
            f"{len(cells)} cells measured in {_listed(pattern)}" for pattern, cells in several
        ]
    for modality, cells in dataset.mod.items():
        zeros = 100 * (1 - source_values(cells).nnz / np.prod(cells.shape, dtype=float))
        lines.append(
            f"{modality}: {cells.n_obs} cells x {cells.n_vars} features, {zeros:.1f} % zeros, {cells.uns['values']}"
        )
    pairs = {f"{first}-{second}": (first, second) for first, second in permutations(dataset.mod, 2)}
    for pair, origin in dataset.uns.get(LINKS, {}).items():
        first, second = pairs[pair]
        found = links_between(dataset, first, second)
        genes, others = ((np.diff(side.indptr) > 0).sum() for side in (found, found.T.tocsr()))
        counted = f"{genes} of {found.shape[0]} {first} and {others} of {found.shape[1]} {second} features"
        lines.append(f"links {pair}: {found.nnz} between {counted} ({origin})")
    return lines
