"""A model of the user's cells, without a benchmark: fitted to all of them, and saved."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import pandas as pd
from anndata import AnnData
from mudata import MuData

from mosaicbench.catalog import catalog
from mosaicbench.config.checking import faults, refuse
from mosaicbench.config.checking import options as checked_options
from mosaicbench.config.references import of_hyperparameters
from mosaicbench.config.schema import Seed
from mosaicbench.data.assemble import joined
from mosaicbench.data.split import all_cells
from mosaicbench.errors import Diverged, NotApplicable, UserError
from mosaicbench.files._h5 import KEY, quiet_mudata
from mosaicbench.files.atomic import make_folder
from mosaicbench.files.splits import complete_cells
from mosaicbench.fitting.keeping import keep
from mosaicbench.fitting.method import implementation
from mosaicbench.fitting.outputs import MethodOnSplit
from mosaicbench.inference.measured import as_mudata
from mosaicbench.inference.model import Model

LOADER = "own_files"


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
    keys = catalog.parameters("datasets", LOADER)
    given = {key: value for key, value in options.items() if value is not None}
    mistakes += faults(checked_options(LOADER, keys), {"path": "cells"} | given)
    refuse([*mistakes, *faults(Seed, seed, "seed")], what="")
    label = card["label"]
    if {"solution", "embedding"} & {*card["inputs"]} or "wraps" in card:
        raise UserError(
            f"{label} cannot be saved for other cells; take another method of mosaicbench"
        )
    if "paired" not in card["scenarios"]:
        raise UserError(f"{label} is for cells that are never paired; take a method for pairs")
    if folder is not None:
        make_folder(folder)
    train = all_cells(
        dataset_of(cells, options),
        dataset_name=cells.name if isinstance(cells, Path) else "cells in memory",
        seed=int(seed),
    )
    if (kind := train.uns[KEY]["kind"]) not in card["scenarios"]:
        raise UserError(
            f"{label} does not handle these cells, which are {kind}: not every cell is in every "
            "modality; take another method (docs/methods.md), or give only complete cells"
        )
    sizes = ", ".join(f"{name} {cells.n_vars}" for name, cells in train.mod.items())
    print(f"fitting {label} to {train.n_obs} cells, features: {sizes}", file=sys.stderr)
    implemented = implementation(catalog.module("methods", method), method)
    fitted = implemented.create(**hyperparameters)
    shown = {word: word in card["inputs"] for word in ("labels", "links", "counts")}
    on_split = MethodOnSplit(fitted, implemented.card["outputs"], train, query=train, shown=shown)
    try:
        fitted.fit(on_split.split(), int(seed))
    except NotApplicable as reason:
        raise UserError(f"{label} cannot be fitted to these cells: {reason}") from reason
    except Diverged as reason:
        change = "other hyperparameters"
        if hasattr(fitted, "learning_rate"):
            change = "a smaller learning_rate"
        raise UserError(
            f"{label}: training diverged ({reason}); give {change}, or another seed"
        ) from reason
    latents = _latents(on_split)
    identity = train.uns[KEY] | {"run": method}
    with tempfile.TemporaryDirectory() as place:
        folder = folder or Path(place)
        keep(folder, fitted, implemented, train, latents, identity=identity, licence="the user's")
        return Model.read(folder)


def dataset_of(cells: Path | MuData, options: dict) -> MuData:
    """Return the user's cells as a dataset; imputed modalities are left out."""
    load = importlib.import_module(catalog.module("datasets", LOADER)).load
    if isinstance(cells, Path):
        return load(None, path=str(cells), **options)
    whole = as_mudata(cells)
    with tempfile.TemporaryDirectory() as place, quiet_mudata():
        measured = {name: x for name, x in whole.mod.items() if "imputed" not in x.uns}
        try:
            plain = joined({name: _plain(part) for name, part in measured.items()})
            plain.obs = _writable(whole.obs).reindex(plain.obs_names)
            plain.write_h5mu(Path(place) / "cells.h5mu")
        except (TypeError, ValueError) as error:
            raise UserError(
                f"cells: a modality ({', '.join(measured)}) cannot be written as .h5mu; give X and "
                "layers of numbers, such as float32, and names of letters"
            ) from error
        return load(Path(place), path="cells.h5mu", **options)


def _plain(cells: AnnData) -> AnnData:
    tables = {"obs": _writable(cells.obs), "var": _writable(cells.var)}
    plain = AnnData(cells.X, **tables, layers=dict(cells.layers))
    if cells.raw is not None:
        plain.raw = AnnData(cells.raw.X, obs=tables["obs"][[]], var=_writable(cells.raw.var))
    return plain


def _writable(table: pd.DataFrame) -> pd.DataFrame:
    texts = table.set_axis(table.index.astype(str).rename(None)).rename(columns=str)
    texts = texts.loc[:, ~texts.columns.duplicated()].copy()
    for name in texts.select_dtypes(exclude=["number", "bool"]):
        texts[name] = texts[name].map(str, na_action="ignore").astype(object).astype("category")
    return texts


def _latents(fitted: MethodOnSplit) -> dict:
    latents, sources = {}, list(fitted.train.mod) if "single" in fitted.gives else []
    if "joint" in fitted.gives and len(complete_cells(fitted.train)):
        sources.append("joint")
    for source in sources:
        cells = fitted.shown_cells("train", source)
        try:
            latents[source, "train"] = (cells.names, fitted.method.embed(cells))
        except NotApplicable:  # the model will say so of any cells
            continue
    return latents
