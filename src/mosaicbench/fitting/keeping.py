"""Keep a fitted method as files of a model, and make a method object of such files again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.contract import Cells, Normalization, Split, offers
from mosaicbench.errors import UserError
from mosaicbench.fitting.method import Implementation, hyperparameters_of
from mosaicbench.fitting.record import versions
from mosaicbench.models.estimators import described, restored

if TYPE_CHECKING:
    from mudata import MuData

    from mosaicbench.files.models import KeptModel

# Arrays of a `contract.Normalization`.
NORMALIZATION = ("mean", "std", "fraction", "accessible", "mean_if_accessible", "loadings")


def keep(
    folder: Path,
    method: object,
    implementation: Implementation,
    train: MuData,
    latents: dict,
    *,
    identity: dict,
    licence: str = "",
) -> None:
    """Write a fitted method, what its split learned from the train cells, and the train cells' latents.

    Parameters
    ----------
    implementation
        Its class and card.
    train
        The train cells that it was fitted to.
    latents
        (source, subset) -> (names, (cells, latent)), as the run has them.
    identity
        dataset, scenario, run, seed.
    licence
        Of the data.

    Raises
    ------
    UserError
        When the method read the solution, or holds what no file of a model can.
    """
    from mosaicbench.files.models import KeptModel, write_model
    from mosaicbench.files.splits import as_split

    if "solution" in implementation.card["inputs"]:
        raise UserError(
            f"{implementation.card['label']} knows the solution, so it has no model for other cells"
        )
    state = method.state() if offers(method, "state") else described(_learned(method))
    split = as_split(train, labels=True, links="links" in implementation.card["inputs"])
    facts = {
        "identity": identity,
        "method": implementation.name,
        "module": implementation.module,
        "card": implementation.card,
        "hyperparameters": hyperparameters_of(method),
        "versions": versions(),
        "licence": licence,
        "modalities": {name: _facts_of(cells) for name, cells in train.mod.items()},
    }
    arrays = {
        f"{name}/{key}": array
        for name, cells in train.mod.items()
        for key, array in _transform_of(cells).items()
    }
    arrays |= _outline_of(split) | _latents_of(latents, split)
    write_model(folder, KeptModel(facts, state, arrays))


def revived(kept: KeptModel, implementation: Implementation) -> object:
    """Return the method object of a kept model, as it was when `fit` had returned.

    Raises
    ------
    UserError
        When this version's method is another than the one that was kept.
    """
    try:
        method = implementation.create(**kept.facts["hyperparameters"])
        if offers(method, "load"):
            method.load(kept.state, outline(kept))
        else:
            vars(method).update(restored(kept.state))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        written_by = kept.facts["versions"].get("mosaicbench", "an unknown version")
        raise UserError(
            f"the model of {kept.facts['method']!r} was kept by mosaicbench {written_by} and does not fit this version's "
            f"method ({error}); fit it again, or use that version"
        ) from error
    return method


def outline(kept: KeptModel) -> Split:
    """Return the split that a model was fitted to, without values: all are 0 and take no memory."""
    facts, held = kept.facts["modalities"], kept.split
    features = {name: int(held[f"{name}/mean"].shape[0]) for name in facts}
    uses, blocks = kept.facts["card"]["inputs"], []
    for pattern in dict.fromkeys(held["pattern"].tolist()):
        rows = np.flatnonzero(held["pattern"] == pattern)
        values = {
            name: np.broadcast_to(np.float32(0), (len(rows), width))
            for name, width in features.items()
            if name in pattern.split("+")
        }
        labels = held["cell_types"][rows].astype(object) if "labels" in uses else None
        names, batches = held["names"][rows].astype(object), held["batches"][rows].astype(object)
        blocks.append(Cells(names=names, values=values, labels=labels, batches=batches))
    normalizations = {
        name: _normalization(fact, name, held)
        for name, fact in facts.items()
        if fact["values"] == "counts"
    }
    return Split(
        blocks=tuple(blocks), features=features, normalizations=normalizations, links=_links(held)
    )


def _learned(method: object) -> dict[str, object]:
    fields = hyperparameters_of(method)
    return {name: value for name, value in vars(method).items() if name not in fields}


def _facts_of(cells: object) -> dict:
    kind = cells.uns["kind"]
    values = "counts" if "counts" in cells.layers else {"rna": "lognorm"}.get(kind, "continuous")
    facts = {
        "kind": str(kind),
        "normalization": str(cells.uns["normalization"]),
        "values": values,
        "features": list(map(str, cells.var_names)),
    }
    facts["standardised"] = bool(cells.uns.get("standardised", True))
    if facts["normalization"] == "lsi":
        facts["transform"] = str(cells.uns["transform"])
    return facts


def _transform_of(cells: object) -> dict[str, np.ndarray]:
    from mosaicbench.files.splits import normalization_of

    arrays = {"mean": cells.uns["mean"], "std": cells.uns["std"]}
    if "counts" in cells.layers:
        normalization = normalization_of(cells)
        arrays |= {
            key: getattr(normalization, key)
            for key in NORMALIZATION
            if getattr(normalization, key) is not None
        }
        arrays["library_size"] = np.array(normalization.library_size)
    if cells.uns["normalization"] == "lsi":
        arrays["weight"] = cells.var["weight"].to_numpy()
        arrays["depth"] = cells.var["depth"].to_numpy()
        arrays["usual"] = np.asarray(cells.X.mean(axis=0), dtype=np.float32).ravel()
    return {key: np.asarray(array) for key, array in arrays.items()}


def _outline_of(split: Split) -> dict[str, np.ndarray]:
    names, types, batches, shown = (
        np.concatenate(parts) for parts in zip(*map(_columns, split.blocks), strict=True)
    )
    arrays = {"names": names, "cell_types": types, "batches": batches, "pattern": shown}
    for (first, second), links in split.links.items():
        coo = links.tocoo()
        arrays[f"links/{first}/{second}"] = np.array([coo.row, coo.col, coo.data])
        arrays[f"links/{first}/{second}/shape"] = np.array(coo.shape)
    return arrays


def _columns(block: Cells) -> tuple[np.ndarray, ...]:
    pattern = np.full(len(block), "+".join(block.modalities))
    return block.names.astype(str), block.labels.astype(str), block.batches.astype(str), pattern


def _latents_of(latents: dict, split: Split) -> dict[str, np.ndarray]:
    types = {
        name: label
        for block in split.blocks
        for name, label in zip(block.names, block.labels, strict=True)
    }
    arrays = {}
    for (source, subset), (names, z) in latents.items():
        if subset == "train":
            arrays[f"latents/{source}"] = np.asarray(z, dtype=np.float32)
            arrays[f"latents/{source}/cell_types"] = np.array(
                [types[name] for name in names], dtype=str
            )
    return arrays


def _normalization(fact: dict, name: str, held: dict[str, np.ndarray]) -> Normalization:
    arrays = {key: held.get(f"{name}/{key}") for key in NORMALIZATION}
    return Normalization(
        kind=fact["normalization"], library_size=float(held[f"{name}/library_size"]), **arrays
    )


def _links(held: dict[str, np.ndarray]) -> dict:
    from scipy import sparse

    found = {}
    for key in held:
        if key.startswith("links/") and not key.endswith("/shape"):
            _, first, second = key.split("/")
            row, column, sign = held[key]
            shape = tuple(int(size) for size in held[f"{key}/shape"])
            found[first, second] = sparse.csr_matrix(
                (sign.astype(np.int8), (row, column)), shape=shape
            )
    return found
