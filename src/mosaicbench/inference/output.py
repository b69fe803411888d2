"""The user's cells with a model's latents, types and imputed values, for scanpy and muon."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scipy import sparse

from mosaicbench.files._h5 import KEY, quiet_mudata
from mosaicbench.files.atomic import atomic
from mosaicbench.files.models import KeptModel
from mosaicbench.inference.embedding import JOINT, Applied
from mosaicbench.inference.measured import OwnCells

EMBEDDING = "X_mosaicbench"
ENCODING = {"encoding-type": "array", "encoding-version": "0.2.0"}  # anndata's, of an array


def table(kept: KeptModel, own: OwnCells, applied: Applied, key: str) -> MuData:
    """Return the user's cells with latents in ``obsm[key]``, types and imputed modalities.

    A modality gets the model's name. Values that are in a file are left out.
    """
    modalities = {}
    for name, measured in own.modalities.items():
        ours = _name_of(applied, name)
        modalities[ours] = _modality(measured, applied, ours, key)
    for direction, (names, layers) in applied.imputed.items():
        modalities[direction] = _imputed(kept, direction, names, layers)
    with quiet_mudata():
        whole = MuData(modalities)
    obs = own.obs.set_axis(own.obs.index.astype(str))
    whole.obs = obs.reindex(whole.obs_names)
    _as_they_were(whole, own, obs.index)
    _of_all_cells(whole, applied, key)
    whole.uns[KEY] = {
        "noun": "applied",
        "method": kept.facts["method"],
        "versions": kept.facts["versions"],
        "trained_on": {key: str(value) for key, value in kept.facts["identity"].items()},
        "licence": kept.facts["licence"],
        "features_found": {
            name: f"{match.found.sum()} of {len(match.found)}"
            for name, match in applied.matched.items()
        },
        "remarks": "; ".join(applied.remarks),
    }
    return whole


def write(path: Path, kept: KeptModel, own: OwnCells, applied: Applied, key: str) -> None:
    """Write that table; copy values from file to file, to save memory."""
    with atomic(path) as temporary:
        with quiet_mudata():
            table(kept, own, applied, key).write_h5mu(temporary)
        with h5py.File(temporary, "r+") as file:
            for name, measured in own.modalities.items():
                if measured.group is not None:
                    place = file[f"mod/{_name_of(applied, name)}"]
                    _copy_values(own.file[measured.group], place)
            for direction, (_, layers) in applied.imputed.items():
                place = file[f"mod/{direction}"]
                for name, values in layers.items():
                    group = place if name == "X" else place["layers"]
                    group.pop(name, None)
                    values.file.copy(values, group, name)
                    group[name].attrs.update(ENCODING)


def _name_of(applied: Applied, theirs: str) -> str:
    matches = applied.matched.items()
    return next((name for name, match in matches if match.theirs == theirs), theirs)


def _modality(measured: object, applied: Applied, ours: str, key: str) -> AnnData:
    if measured.held is not None:
        cells = measured.held.copy()
        cells.obs_names, cells.var_names = cells.obs_names.astype(str), cells.var_names.astype(str)
    else:
        cells = AnnData(obs=measured.obs.set_axis(measured.obs.index.astype(str)), var=measured.var)
    if ours not in applied.matched:
        return cells
    if ours in applied.latents:
        cells.obsm[key] = applied.latents[ours].to_numpy()
    if ours in applied.types:
        cells.obs = cells.obs.assign(**_as_columns(applied.types[ours].reindex(cells.obs_names)))
    return cells


def _as_they_were(whole: MuData, own: OwnCells, names: pd.Index) -> None:
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


def _imputed(kept: KeptModel, direction: str, names: pd.Index, layers: dict) -> AnnData:
    target = direction.split("->")[1]
    facts = kept.facts["modalities"][target]
    features = facts["features"]
    if facts["normalization"] == "lsi":
        width = len(kept.split[f"{target}/mean"])
        features = [f"LSI_{component + 2}" for component in range(width)]
    held = {name: x for name, x in layers.items() if isinstance(x, np.ndarray)}
    return AnnData(
        held.pop("X", None),
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=features),
        layers=held,
        uns={"normalization": facts["normalization"], "imputed": direction},
    )


def _of_all_cells(whole: MuData, applied: Applied, key: str) -> None:
    def first_of(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        order = sorted(tables, key=lambda source: source != JOINT)
        every = pd.concat([tables[source].assign(source=source) for source in order])
        return every[~every.index.duplicated()].reindex(whole.obs_names)

    if applied.latents:
        z = first_of(applied.latents)
        source = z.pop("source")
        if source.notna().all():
            whole.obsm[key] = z.to_numpy()
            whole.obs["mosaicbench_source"] = source.astype("category")
    if applied.types:
        whole.obs = whole.obs.assign(**_as_columns(first_of(applied.types)))


def _copy_values(source: h5py.Group, place: h5py.Group) -> None:
    for name in ("X", "layers", "raw"):
        if name in source:
            place.pop(name, None)
            source.copy(source[name], place, name)
    for part in ("obsm", "varm", "obsp", "varp", "uns"):
        for name in source.get(part, ()):
            if name not in place[part]:
                source.copy(source[part][name], place[part], name)
