"""The user's cells with a model's latents, types and imputed values, for scanpy and muon."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.normalize import counts_from_lognorm
from mosaicbench.files._h5 import KEY, quiet_mudata
from mosaicbench.files.atomic import atomic
from mosaicbench.files.models import KeptModel
from mosaicbench.inference.embedding import JOINT, Applied
from mosaicbench.inference.measured import OwnCells

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

EMBEDDING = "X_mosaicbench"
COPIED = 4096  # rows of imputed values that are held in memory at a time


def table(
    kept: KeptModel, own: OwnCells, applied: Applied, *, values: bool, key: str = EMBEDDING
) -> MuData:
    """Return the user's cells with latents, types and imputed modalities; `values` fills these in.

    Latents are in ``obsm[key]``. A modality gets the model's name.
    """
    import mudata

    ours = {match.theirs: name for name, match in applied.matched.items()}
    modalities = {}
    for name, measured in own.modalities.items():
        modalities[ours.get(name, name)] = _modality(measured, applied, ours.get(name), key)
    for direction, (names, x) in applied.imputed.items():
        modalities[direction] = _imputed(kept, direction, names, x if values else None)
    with quiet_mudata():
        whole = mudata.MuData(modalities)
    obs = own.obs.set_axis(own.obs.index.astype(str))
    whole.obs = obs.reindex(whole.obs_names)
    _as_they_were(whole, own, obs.index)
    _of_all_cells(whole, applied, key)
    fractions = {
        name: f"{match.found.sum()} of {len(match.found)}"
        for name, match in applied.matched.items()
    }
    whole.uns[KEY] = {
        "noun": "applied",
        "method": kept.facts["method"],
        "versions": kept.facts["versions"],
        "trained_on": {key: str(value) for key, value in kept.facts["identity"].items()},
        "licence": kept.facts["licence"],
        "features_found": fractions,
        "remarks": "; ".join(applied.remarks),
    }
    return whole


def write(path: Path, kept: KeptModel, own: OwnCells, applied: Applied, key: str) -> None:
    """Write that table; copy values from file to file, imputed ones in chunks, to save memory."""
    with atomic(path) as temporary:
        with quiet_mudata():
            table(kept, own, applied, values=False, key=key).write_h5mu(temporary)
        with h5py.File(temporary, "r+") as file:
            ours = {match.theirs: name for name, match in applied.matched.items()}
            for name, measured in own.modalities.items():
                if measured.group is not None:
                    _copy_values(own.file[measured.group], file[f"mod/{ours.get(name, name)}"])
            for direction, (_, x) in applied.imputed.items():
                _fill(kept, file[f"mod/{direction}"], direction, x)


def _modality(measured: object, applied: Applied, ours: str | None, key: str) -> AnnData:
    from anndata import AnnData

    if measured.held is not None:
        cells = measured.held.copy()
        cells.obs_names, cells.var_names = cells.obs_names.astype(str), cells.var_names.astype(str)
    else:
        cells = AnnData(obs=measured.obs.set_axis(measured.obs.index.astype(str)), var=measured.var)
    if ours in applied.latents:
        cells.obsm[key] = applied.latents[ours]
    if ours in applied.types:
        cells.obs = cells.obs.assign(**_as_columns(applied.types[ours].reindex(cells.obs_names)))
    return cells


def _as_they_were(whole: MuData, own: OwnCells, names: pd.Index) -> None:
    """Add the user's uns, and obsm and obsp in the order of the new rows if none is new."""
    whole.uns.update(deepcopy(own.whole.get("uns", {})))
    rows = names.get_indexer(whole.obs_names)
    if (rows < 0).any():
        return
    for name, values in own.whole.get("obsm", {}).items():
        if name not in own.modalities:  # else a mask of cells
            is_table = isinstance(values, pd.DataFrame)
            whole.obsm[name] = values.iloc[rows] if is_table else values[rows]
    for name, values in own.whole.get("obsp", {}).items():
        values = values.tocsr() if sparse.issparse(values) else values
        whole.obsp[name] = values[rows][:, rows]


def _as_columns(types: pd.DataFrame) -> dict[str, object]:
    return {
        "mosaicbench_cell_type": types["cell_type"].astype("category"),
        "mosaicbench_agreement": types["agreement"],
    }


def _imputed(kept: KeptModel, direction: str, names: pd.Index, x: object | None) -> AnnData:
    from anndata import AnnData

    target = direction.split("->")[1]
    facts, features = kept.facts["modalities"][target], kept.facts["modalities"][target]["features"]
    if facts["normalization"] == "lsi":
        width = len(kept.split[f"{target}/mean"])
        features = [f"LSI_{component + 2}" for component in range(width)]
    cells = AnnData(
        X=x,
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=features),
        uns={"normalization": facts["normalization"], "imputed": direction},
    )
    if x is not None and _has_counts(facts):
        cells.layers["counts"] = _counts(kept, target, x)
    return cells


def _has_counts(facts: dict) -> bool:
    return facts["normalization"] == "lognorm" and facts["values"] == "counts"


def _counts(kept: KeptModel, target: str, x: np.ndarray) -> np.ndarray:
    """Return expected counts of cells with the median library size of the train cells."""
    library_size = np.full(len(x), float(kept.split[f"{target}/library_size"]))
    return np.maximum(counts_from_lognorm(x, library_size), 0).astype(np.float32)


def _of_all_cells(whole: MuData, applied: Applied, key: str) -> None:
    """Add a cell's joint latents and type, else those of its first modality."""
    order = sorted(applied.latents, key=lambda source: source != JOINT)
    source_of = pd.Series("", index=whole.obs_names, dtype=object)
    for source in reversed(order):
        source_of[applied.names[source]] = source
    if applied.latents and (source_of != "").all():
        width = next(iter(applied.latents.values())).shape[1]
        z = np.zeros((whole.n_obs, width), dtype=np.float32)
        for source, latents in applied.latents.items():
            rows = np.flatnonzero(source_of == source)
            z[rows] = latents[applied.names[source].get_indexer(whole.obs_names[rows])]
        whole.obsm[key] = z
        whole.obs["mosaicbench_source"] = source_of.astype("category")
    if applied.types:
        parts = [
            types[(source_of[types.index] == source).to_numpy()]
            for source, types in applied.types.items()
        ]
        whole.obs = whole.obs.assign(**_as_columns(pd.concat(parts).reindex(whole.obs_names)))


def _copy_values(source: h5py.Group, place: h5py.Group) -> None:
    """Copy matrices and annotations from file to file, except those that the model added."""
    for name in ("X", "layers", "raw"):
        if name in source:
            place.pop(name, None)
            source.copy(source[name], place, name)
    for part in ("obsm", "varm", "obsp", "varp", "uns"):
        for name in source.get(part, ()):
            if name not in place[part]:
                source.copy(source[part][name], place[part], name)


def _fill(kept: KeptModel, place: h5py.Group, direction: str, x: object) -> None:
    target = direction.split("->")[1]
    layers = {"X": place}
    if _has_counts(kept.facts["modalities"][target]):
        layers["counts"] = place["layers"]
    for name, group in layers.items():
        group.pop(name, None)
        written = group.create_dataset(name, shape=x.shape, dtype="float32")
        written.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        for first in range(0, x.shape[0], COPIED):
            piece = np.asarray(x[first : first + COPIED])
            written[first : first + COPIED] = piece if name == "X" else _counts(kept, target, piece)
