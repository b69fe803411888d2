"""The saved model: what a fit learned, and all that is needed to apply it to later cells.

``model.json``
    The method, its card and hyperparameters, versions, the data and their licence, feature names.
``model.npz``
    What the method learned: weights of networks, or the arrays of a method without networks.
``split.npz``
    The split's transforms, and types, batches and latents of the train cells.

None of them can hold code.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mosaicbench.errors import ContractError
from mosaicbench.files.atomic import atomic, write_text
from mosaicbench.files.identity import check_place

FORMAT = 5  # of these files; a model of another one is refused
FOLDER = "model"  # in a run's folder


@dataclass(frozen=True)
class KeptModel:
    """The content of a model's files.

    Attributes
    ----------
    facts
        Of ``model.json``.
    state
        What the method learned, arrays by name.
    split
        Arrays by name: "rna/mean", "cell_types", ...
    """

    facts: dict
    state: dict[str, np.ndarray]
    split: dict[str, np.ndarray]


def write_model(folder: Path, model: KeptModel) -> None:
    """Write a model; ``model.json`` last, so that a folder with it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").unlink(missing_ok=True)
    _write_npz(folder / "model.npz", model.state)
    # Names of cells, mostly; weights would save a tenth.
    _write_npz(folder / "split.npz", model.split, np.savez_compressed)
    facts = {"format": FORMAT} | model.facts
    text = json.dumps(facts, indent=1, sort_keys=True, default=list)
    write_text(folder / "model.json", text + "\n")


def is_kept(folder: Path) -> bool:
    """Return whether this folder, or the folder of this run, has a model."""
    return any((place / "model.json").is_file() for place in (folder, folder / FOLDER))


def read_model(folder: Path) -> KeptModel:
    """Read a model from its folder, or from the folder of its run.

    Raises
    ------
    ContractError
        When it is absent, truncated, of another run than its folder, or of another format.
    """
    folder = folder if (folder / "model.json").is_file() else folder / FOLDER
    path = folder / "model.json"
    if not path.is_file():
        raise ContractError(
            f"{folder.parent}: no model was saved here; name the run under `save_models` in the "
            "config, and run the benchmark again"
        )
    try:
        facts = json.loads(path.read_text())
        if facts.get("format") != FORMAT:
            written_by = facts.get("versions", {}).get("mosaicbench", "an unknown version")
            raise ContractError(
                f"{path}: a model of format {facts.get('format')}, written by mosaicbench "
                f"{written_by}; this version reads format {FORMAT}: fit it again, or use that "
                "version"
            )
        if folder.name == FOLDER and (record := folder.with_name("run.json")).is_file():
            check_place(path, facts["identity"], json.loads(record.read_text()))
        state, split = _read_npz(folder / "model.npz"), _read_npz(folder / "split.npz")
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(
            f"{folder}: a file is absent, truncated or of another kind ({error}); fit the run again"
        ) from error
    # JSON sorts them; the split has them in their order.
    modalities = facts["modalities"]
    names = [key.removesuffix("/mean") for key in split]
    in_order = {name: modalities[name] for name in names if name in modalities}
    return KeptModel(facts | {"modalities": in_order}, state, split)


def _write_npz(path: Path, arrays: dict[str, np.ndarray], save: Callable = np.savez) -> None:
    with atomic(path) as temporary:
        save(temporary, allow_pickle=False, **arrays)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}
