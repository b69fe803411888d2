"""prepare: a source becomes a dataset."""

from __future__ import annotations

import importlib
import inspect
import json
import warnings
from pathlib import Path

from mudata import MuData

from mosaicbench import __version__
from mosaicbench.catalog import catalog
from mosaicbench.data import lock
from mosaicbench.data.checks import DataWarning, check_prepared
from mosaicbench.data.datasheet import datasheet
from mosaicbench.data.labels_qc import curated
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import write_dataset
from mosaicbench.files.datasheet import DATASHEET, lines


def main(
    *, dataset: str, loader: str, options: dict, output: Path, raw: Path | None = None
) -> None:
    """Load a dataset as :func:`prepared` does, write it, and print its datasheet."""
    ready = prepared(dataset=dataset, loader=loader, options=options, raw=raw)
    write_dataset(output, ready)
    print(*described(ready), sep="\n")


def prepared(*, dataset: str, loader: str, options: dict, raw: Path | None = None) -> MuData:
    """Return a dataset that is curated and says in ``uns`` where it comes from.

    `options` are keywords of the loader and of ``data.labels_qc.curated``. `raw` is the folder of
    fetched files, which must be unchanged.

    Raises
    ------
    UserError
        When the files cannot be read or used.
    """
    load = importlib.import_module(catalog.module("datasets", loader)).load
    own, every = inspect.signature(load).parameters, inspect.signature(curated).parameters
    general = set(every) - {*own, "dataset", "raw"}
    of_loader = {key: value for key, value in options.items() if key not in general}
    of_all = {key: value for key, value in options.items() if key in general}
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
        check_prepared(loaded)
    warned = _passed_on(caught)
    notes = loaded.uns.pop("curation")
    if "labels_matched" in by_loader:
        notes = {"labels_matched": int(by_loader["labels_matched"])} | notes
    not_everywhere = int(by_loader.get("cells_dropped", 0))
    dropped = {"not in every modality": not_everywhere, **by_loader.get("dropped", {})}
    dropped |= notes.pop("dropped")
    labels = _origin_of_labels(loader, options, notes.get("labels_matched"))
    sheet = datasheet(loaded, name=dataset, labels=labels, left_out=dropped)
    loaded.uns[KEY] = {
        "noun": "dataset",
        "dataset": dataset,
        "version": __version__,
        "loader": loader,
        "options": json.dumps(options, sort_keys=True),
        "cells_dropped": not_everywhere,
        "dropped": json.dumps(dropped),
        "warnings": json.dumps(warned),
        DATASHEET: json.dumps(sheet),
        **notes,
    }
    return loaded


def described(dataset: MuData) -> list[str]:
    """Return the lines of a prepared dataset's datasheet and warnings."""
    about = dataset.uns[KEY]
    return lines(json.loads(about[DATASHEET]), json.loads(about["warnings"]))


def _origin_of_labels(loader: str, options: dict, matched: int | None) -> str:
    if table := options.get("labels"):
        return f"{table['path']}, column {table['column']!r}, {matched} cells"
    if "path" in options and "cell_type" in options:
        return f"obs column {options['cell_type']!r}"
    labels = catalog.card("datasets", loader)["labels"]
    return labels if matched is None else f"{labels}; {matched} cells are in the table of labels"


def _passed_on(caught: list[warnings.WarningMessage]) -> list[str]:
    for warning in caught:
        if not issubclass(warning.category, DataWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return [str(warning.message) for warning in caught if issubclass(warning.category, DataWarning)]
