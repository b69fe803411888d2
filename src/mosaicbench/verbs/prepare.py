"""prepare: a source becomes a dataset."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np

from mosaicbench import __version__, catalog, files
from mosaicbench.data import lock
from mosaicbench.data.assemble import check_options, source_values
from mosaicbench.errors import UserError


def run(*, dataset: str, loader: str, options: dict, output: Path, raw: Path | None = None) -> None:
    """Load a dataset, say where it comes from, and write it.

    Parameters
    ----------
    dataset
        The dataset's id.
    loader
        The file of ``mosaicbench.data`` that reads it.
    options
        Keywords of the loader.
    output
        The file to write.
    raw
        The folder of what was fetched, for a loader that reads it; its files must still be what was fetched.
    """
    if loader not in catalog.names("datasets"):
        raise UserError(f"dataset {dataset}: unknown loader {loader!r}; there are {', '.join(catalog.names('datasets'))}")
    load = importlib.import_module(catalog.module("datasets", loader)).load
    check_options(load, options, f"dataset {dataset}, options")
    if raw is not None:
        lock.check(raw)
    loaded = load(raw, **options)
    provenance = {"version": __version__, "loader": loader, "options": json.dumps(options, sort_keys=True)}
    provenance["cells_dropped"] = int(loaded.uns.pop("cells_dropped", 0))
    loaded.uns[files.KEY] = {"noun": "dataset", "dataset": dataset, **provenance}
    files.write_dataset(output, loaded)

    known = [name for name in loaded.obs["cell_type"] if name != ""]
    batches = len(set(loaded.obs["batch"]))
    print(f"{dataset}: {len(set(known))} cell types in {len(known)} labelled cells, {batches} batches", file=sys.stderr)
    if provenance["cells_dropped"]:
        print(f"{dataset}: dropped {provenance['cells_dropped']} cells not found in every modality", file=sys.stderr)
    for modality, cells in loaded.mod.items():
        zeros = 100 * (1 - source_values(cells).count_nonzero() / np.prod(cells.shape, dtype=float))
        shape = f"{cells.n_obs} cells x {cells.n_vars} features"
        print(f"{dataset}: {modality}: {shape}, {zeros:.1f} % zeros, {cells.uns['values']}", file=sys.stderr)
