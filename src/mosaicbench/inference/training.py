"""A model of the user's cells, without a benchmark: fitted to all of them, and saved."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.catalog import catalog
from mosaicbench.config.checking import faults, refuse
from mosaicbench.config.references import of_hyperparameters
from mosaicbench.config.schema import Seed
from mosaicbench.data.split import all_cells
from mosaicbench.errors import Diverged, NotApplicable, UserError
from mosaicbench.files._h5 import KEY, quiet_mudata
from mosaicbench.files.atomic import make_folder
from mosaicbench.files.splits import as_cells, as_split, complete_cells
from mosaicbench.fitting.keeping import keep
from mosaicbench.fitting.method import Implementation, implementation
from mosaicbench.inference.measured import as_mudata
from mosaicbench.inference.model import Model

if TYPE_CHECKING:
    from mudata import MuData


def trained(
    cells: Path | MuData,
    method: str,
    *,
    hyperparameters: dict,
    seed: int,
    folder: Path | None,
    **options: object,
) -> Model:
    """Fit a method to all cells that have every modality, and return its model.

    Parameters
    ----------
    cells
        An ``.h5mu`` or 10x ``.h5``; or a MuData.
    method
        Its id.
    folder
        Where to save the model; None saves it nowhere.
    **options
        Of ``datasets/own_files.py``: cell_type, batch, values, kinds.

    Raises
    ------
    UserError
        When the method, a hyperparameter or the seed is wrong (before cells are read), the cells
        cannot be read, or the method cannot be fitted to them.
    """
    card = catalog.card("methods", method)  # refuses an unknown method
    mistakes = [*of_hyperparameters("hyperparameters", method, hyperparameters)]
    refuse([*mistakes, *faults(Seed, seed, "seed")], what="")
    label = card["label"]
    if "solution" in card["inputs"] or "wraps" in card:
        raise UserError(f"{label} cannot be saved for other cells; take a method of mosaicbench")
    if "paired" not in card["scenarios"]:
        raise UserError(f"{label} is for cells that are never paired; take a method for pairs")
    if folder is not None:
        make_folder(folder)
    train = all_cells(
        _dataset(cells, options),
        dataset_name=cells.name if isinstance(cells, Path) else "cells in memory",
        seed=seed,
    )
    if (kind := train.uns[KEY]["kind"]) not in card["scenarios"]:
        raise UserError(
            f"{label} does not handle these cells, which are {kind}: not every cell is in every "
            "modality; take another method (docs/methods.md), or give only complete cells"
        )
    implemented = implementation(catalog.module("methods", method), method)
    fitted = implemented.create(**hyperparameters)
    inputs = {name: name in card["inputs"] for name in ("labels", "links", "counts")}
    try:
        fitted.fit(as_split(train, labels=inputs["labels"], links=inputs["links"]), seed)
    except NotApplicable as reason:
        raise UserError(f"{label} cannot be fitted to these cells: {reason}") from reason
    except Diverged as reason:
        smaller = hasattr(fitted, "learning_rate")
        change = "a smaller learning_rate" if smaller else "other hyperparameters"
        raise UserError(
            f"{label}: training diverged ({reason}); give {change}, or another seed"
        ) from reason
    latents = _latents(fitted, implemented, train, inputs)
    identity = train.uns[KEY] | {"run": method}
    with tempfile.TemporaryDirectory() as place:
        folder = folder or Path(place)
        keep(folder, fitted, implemented, train, latents, identity=identity, licence="the user's")
        return Model.read(folder)


def _dataset(cells: Path | MuData, options: dict) -> MuData:
    load = importlib.import_module("mosaicbench.datasets.own_files").load
    if isinstance(cells, Path):
        return load(None, path=str(cells), **options)
    whole = as_mudata(cells)
    whole = whole.copy() if whole.is_view else whole  # mudata writes no view
    with tempfile.TemporaryDirectory() as place, quiet_mudata():
        path = Path(place) / "cells.h5mu"
        whole.write_h5mu(path)
        return load(None, path=str(path), **options)


def _latents(
    method: object, implemented: Implementation, train: MuData, inputs: dict[str, bool]
) -> dict:
    """Return (source, "train") -> (names, latents), as a run of the benchmark has them."""
    outputs, complete, latents = implemented.card["outputs"], complete_cells(train), {}
    sources = {m: ([m], None) for m in train.mod} if "single" in outputs else {}
    if "joint" in outputs and len(complete):
        sources["joint"] = (list(train.mod), complete)
    for source, (modalities, names) in sources.items():
        of_source = as_cells(train, modalities, names, **inputs)
        try:
            latents[source, "train"] = (of_source.names, method.embed(of_source))
        except NotApplicable:  # the model will say so of any cells
            continue
    return latents
