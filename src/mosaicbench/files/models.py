"""The kept model: what a fit learned, and all that is needed to show it cells that come later.

=====================  ==================================================================================================
``model.json``         the method, its card and hyperparameters, versions, the data and their licence, names of features, and
                       the digests of the other files
``model.safetensors``  weights of networks; ``model.npz`` instead of them where a method has none
``view.npz``           the view's transforms, and types, batches and latents of the train cells
=====================  ==================================================================================================

None of them can hold code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mosaicbench.errors import ContractError
from mosaicbench.files.atomic import atomic, write_text
from mosaicbench.files.place import check_digest, check_place, digest_of

FORMAT = 3  # of these files; a model of another one is refused
FOLDER = "model"  # in a run's folder
FACTS = {
    "format",
    "method",
    "module",
    "card",
    "hyperparameters",
    "versions",
    "identity",
    "modalities",
    "licence",
}


@dataclass(frozen=True)
class KeptModel:
    """What the files of a model hold.

    Attributes
    ----------
    facts
        Of ``model.json``.
    state
        What the method learned, arrays by name.
    view
        Arrays by name: "rna/mean", "cell_types", ...
    """

    facts: dict
    state: dict[str, np.ndarray]
    view: dict[str, np.ndarray]


def write_model(folder: Path, model: KeptModel, *, weights: bool) -> None:
    """Write a model; ``model.json`` last, so that a folder that has it is whole.

    Parameters
    ----------
    weights
        Whether the state are weights of networks, for ``model.safetensors``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("model.json", "model.safetensors", "model.npz"):
        (folder / name).unlink(missing_ok=True)
    if weights:
        from safetensors.numpy import save_file

        with atomic(folder / "model.safetensors") as temporary:
            save_file(
                {name: np.ascontiguousarray(array) for name, array in model.state.items()},
                temporary,
            )
    else:
        _write_npz(folder / "model.npz", model.state)
    _write_npz(
        folder / "view.npz", model.view, np.savez_compressed
    )  # names of cells, mostly; weights would save a tenth
    parts = [folder / name for name in ("model.safetensors", "model.npz", "view.npz")]
    facts = model.facts | {
        "digests": {part.name: digest_of(part) for part in parts if part.is_file()}
    }
    write_text(
        folder / "model.json",
        json.dumps({"format": FORMAT} | facts, indent=1, sort_keys=True, default=list) + "\n",
    )


def is_kept(folder: Path) -> bool:
    """Return whether a model lies in this folder, or in that of this run."""
    return any((place / "model.json").is_file() for place in (folder, folder / FOLDER))


def read_model(folder: Path) -> KeptModel:
    """Read a model from its folder, or from the folder of the run that kept it.

    Raises
    ------
    ContractError
        When there is none, it is not whole, its files are of different models, it is of another run than its folder, or it was
        written by a version whose models are others.
    """
    folder = folder if (folder / "model.json").is_file() else folder / FOLDER
    path = folder / "model.json"
    if not path.is_file():
        raise ContractError(
            f"{folder.parent}: no model was kept here; name the run under `keep` in the config, or run `mosaicbench keep` on it"
        )
    facts = _json(path)
    if facts.get("format") != FORMAT:
        written_by = facts.get("versions", {}).get("mosaicbench", "an unknown version")
        raise ContractError(
            f"{path}: a model of format {facts.get('format')}, written by mosaicbench {written_by}; this version reads format "
            f"{FORMAT}: fit it again, or use that version"
        )
    if missing := FACTS - set(facts):
        raise ContractError(f"{path}: lacks {', '.join(sorted(missing))}; fit the run again")
    if folder.name == FOLDER and (record := folder.with_name("run.json")).is_file():
        check_place(path, facts["identity"], _json(record))
    for name in facts.get("digests", {}):
        check_digest(folder / name, facts["digests"], "fit")
    view = _read_npz(folder / "view.npz")
    in_order = [
        name for name in (key.removesuffix("/mean") for key in view) if name in facts["modalities"]
    ]  # JSON sorts them
    return KeptModel(
        facts | {"modalities": {m: facts["modalities"][m] for m in in_order}}, _state(folder), view
    )


def _json(path: Path) -> dict:
    try:
        facts = json.loads(path.read_text())
    except ValueError as error:
        raise ContractError(f"{path}: not valid JSON ({error}); fit the run again") from error
    if not isinstance(facts, dict):
        raise ContractError(f"{path}: not an object, {{...}}; fit the run again")
    return facts


def _state(folder: Path) -> dict[str, np.ndarray]:
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return _read_npz(folder / "model.npz")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(weights)
    except SafetensorError as error:
        raise ContractError(
            f"{weights}: truncated or of another kind ({error}); fit the run again"
        ) from error


def _write_npz(path: Path, arrays: dict[str, np.ndarray], save: Callable = np.savez) -> None:
    with atomic(path) as temporary:
        save(temporary, allow_pickle=False, **arrays)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError) as error:
        raise ContractError(
            f"{path}: absent, truncated or of another kind ({error}); fit the run again"
        ) from error
