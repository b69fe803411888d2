"""A model of one's own cells, without a benchmark: fitted to all of them, and kept."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.data.split import all_cells
from mosaicbench.errors import Diverged, NotApplicable, UserError
from mosaicbench.files._h5 import quiet_mudata
from mosaicbench.files.splits import as_cells, as_split, complete_cells
from mosaicbench.fitting.keeping import keep
from mosaicbench.fitting.method import Implementation
from mosaicbench.inference.model import Model

if TYPE_CHECKING:
    from mudata import MuData


def trained(
    cells: Path | MuData,
    implementation: Implementation,
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
        An ``.h5mu``, a 10x ``.h5`` or a Matrix Market folder; or a MuData.
    implementation
        The method.
    folder
        Where the model is kept; None keeps it nowhere.
    **options
        Of ``datasets/own_files.py``: cell_type, batch, values, kinds.

    Raises
    ------
    UserError
        When the cells cannot be read, or the method cannot be fitted to them.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as place:
            return trained(
                cells,
                implementation,
                hyperparameters=hyperparameters,
                seed=seed,
                folder=Path(place),
                **options,
            )
    if files := [
        place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()
    ]:
        raise UserError(f"{folder}: no model can be kept here, {files[0]} is a file; name a folder")
    if "solution" in implementation.card["inputs"] or "wraps" in implementation.card:
        raise UserError(
            f"{implementation.card['label']} cannot be kept for other cells; take one of mosaicbench's own methods"
        )
    if "paired" not in implementation.card["scenarios"]:
        raise UserError(
            f"{implementation.card['label']} is for cells that are never paired; take a method that handles paired cells"
        )
    dataset = _dataset(cells, options)
    train = all_cells(
        dataset,
        dataset_name=cells.name if isinstance(cells, Path) else "cells in memory",
        seed=seed,
    )
    if (kind := train.uns["mosaicbench"]["kind"]) not in implementation.card["scenarios"]:
        raise UserError(
            f"{implementation.card['label']} does not handle these cells, which are {kind}: not every cell is in every modality; take "
            "a method that does (docs/methods.md), or give only the cells that are in every modality"
        )
    shown = {word: word in implementation.card["inputs"] for word in ("labels", "links", "counts")}
    try:
        method = implementation.create(**hyperparameters)
    except TypeError as error:
        raise UserError(
            f"hyperparameters: {error}; `mosaicbench list methods` names the methods"
        ) from error
    try:
        method.fit(as_split(train, labels=shown["labels"], links=shown["links"]), seed)
    except NotApplicable as reason:
        raise UserError(
            f"{implementation.card['label']} cannot be fitted to these cells: {reason}"
        ) from reason
    except Diverged as reason:
        change = (
            "a smaller learning_rate"
            if hasattr(method, "learning_rate")
            else "other hyperparameters"
        )
        raise UserError(
            f"{implementation.card['label']}: training diverged ({reason}); give {change}, or another seed"
        ) from reason
    identity = train.uns["mosaicbench"] | {"run": implementation.name}
    keep(
        folder,
        method,
        implementation,
        train,
        _latents(method, implementation, train, shown),
        identity=identity,
        licence="the user's",
    )
    return Model.read(folder)


def _dataset(cells: Path | MuData, options: dict) -> MuData:
    load = importlib.import_module("mosaicbench.datasets.own_files").load
    if isinstance(cells, Path):
        return load(None, path=str(cells), **options)
    with tempfile.TemporaryDirectory() as place, quiet_mudata():
        path = Path(place) / "cells.h5mu"
        cells.write_h5mu(path)
        return load(None, path=str(path), **options)


def _latents(
    method: object, implementation: Implementation, train: MuData, shown: dict[str, bool]
) -> dict:
    """Return (source, "train") -> (names, latents), as a run of the benchmark has them."""
    gives, latents = implementation.card["outputs"], {}
    sources = {modality: [modality] for modality in train.mod} if "single" in gives else {}
    if "joint" in gives and len(complete_cells(train)):
        sources["joint"] = list(train.mod)
    for source, modalities in sources.items():
        names = complete_cells(train) if source == "joint" else None
        of_source = as_cells(train, modalities, names, **shown)
        try:
            latents[source, "train"] = (of_source.names, method.embed(of_source))
        except NotApplicable:  # the model will say so of any cells
            continue
    return latents
