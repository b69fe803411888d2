"""Read own files: the modalities, the matrix of a modality's values, and the tables of cells."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data import orientation, peaks, read
from mosaicbench.data.assemble import Measurement
from mosaicbench.data.checks import MOST, warn
from mosaicbench.data.own_features import annotation, no_feature, without_others
from mosaicbench.data.own_values import refuse_missing, with_values
from mosaicbench.errors import UserError, nearest
from mosaicbench.files._h5 import quiet_mudata, without_values
from mosaicbench.files.dataset import VALUES

if TYPE_CHECKING:
    from anndata import AnnData

FILE = "__file__"  # a column of obs: the number of a cell's file in the list of its modality
LEFT_OUT = "__left_out__"  # a key of uns: the number of features that are not in all files
# Parts of a file that are no RNA, ATAC or proteins, as muon and 10x call them.
FOREIGN = (
    r"(?i)airr|[tb]cr|vdj.*|hto|hashtags?|cmo|.*multiplex.*|gdo|guides?|crispr.*|custom|antigen.*"
)
TABLES = (".csv", ".tsv", ".txt")
FORMATS = ".h5mu, .h5ad, 10x .h5, .zarr, .csv, .tsv or .txt (also .gz), or a Matrix Market folder"


def read_modalities(
    folder: Path,
    path: str | dict[str, str | list[str]],
    *,
    kinds: dict[str, str],
    modalities: dict[str, str],
    values: str | dict[str, str],
    layers: dict[str, str],
    union: bool,
) -> tuple[dict[str, AnnData], pd.DataFrame]:
    """Return modality -> cells with their values in ``X``, and the table of cells of no modality.

    Parameters
    ----------
    folder
        Folder that relative paths start from.
    path, kinds, modalities, values, layers
        As of ``datasets.own_files.load``.
    union
        Whether peaks of several files are merged.
    """
    files, shared_obs = chosen(folder, path, kinds, modalities)
    known = {modality: kind_of(modality, kinds) for modality in files}
    for modality, parts in files.items():
        kind = known[modality]
        scale = values.get(modality, "counts") if isinstance(values, dict) else values
        if scale == "lognorm" and kind not in ("rna", "continuous"):
            raise UserError(
                f"values: lognorm is possible for RNA only, but modality {modality!r} is of kind "
                f'{kind!r}; give its counts, and say values: {{the RNA modality: "lognorm"}}'
            )
        for file, cells in parts.items():
            parts[file] = with_values(
                modality,
                cells,
                file,
                kind=kind,
                scale=kind if kind == "continuous" else scale,
                layer=layers.get(modality),
            )
    orientation.turned(files, known)
    return {m: _whole(m, parts, union=union) for m, parts in files.items()}, shared_obs


def chosen(
    folder: Path,
    path: str | dict[str, str | list[str]],
    kinds: dict[str, str],
    modalities: dict[str, str],
    *,
    read_values: bool = True,
) -> tuple[dict[str, dict[str, AnnData]], pd.DataFrame]:
    """Return modality -> file -> its cells, and the table of all cells; warn of what is not read."""
    held = {}
    if isinstance(path, str):
        held[path] = parts, _ = parts_of(folder / path, values=read_values)
        own = [part for part, cells in parts.items() if not is_foreign(part, cells, kinds)]
        path = dict.fromkeys(modalities or own, path)
    files: dict[str, dict[str, AnnData]] = {modality: {} for modality in path}
    used = set()
    for modality, names in path.items():
        for name in [names] if isinstance(names, str) else names:
            if name not in held:
                held[name] = parts_of(folder / name, values=read_values)
            parts, _ = held[name]
            part = modalities.get(modality) or _of_kind(parts, name, modality, kinds)
            if part not in parts:
                raise UserError(
                    f"modalities.{modality}: {name} has no {part!r}{nearest(part, parts)}"
                )
            used.add((name, part))
            files[modality][f"{name}, {part}" if len(parts) > 1 else name] = parts[part]
    unread = []
    for name, (parts, _) in held.items():
        rest = [part for part in parts if (name, part) not in used]
        unread += [f"{part} ({_counted(parts[part])}) of {name}" for part in rest]
    if len(files) < 2:
        raise UserError(
            f"path: a benchmark needs at least two modalities, found {', '.join(files) or 'none'} in "
            f"{', '.join(held)}{' beside ' * bool(unread)}{', '.join(unread)}; give a file for each, "
            "path: {rna: FILE, adt: FILE}, or one with both in its feature types"
        )
    if unread:
        warn(
            f"path: {', '.join(unread)} not read; modalities: {{OUR NAME: THEIR NAME}} chooses what is"
        )
    shared_obs = pd.concat([table for _, table in held.values()])
    return files, shared_obs[~shared_obs.index.duplicated()]


def _of_kind(parts: dict[str, AnnData], name: str, modality: str, kinds: dict[str, str]) -> str:
    kind = kind_of(modality, kinds)
    fitting = [part for part in parts if part == modality] or [
        part for part in parts if len(parts) == 1 or read.KINDS.get(part.lower()) == kind
    ]
    if len(fitting) != 1:
        raise UserError(
            f"path: {name} has {', '.join(parts)}, but nothing of the kind {kind!r} alone for modality "
            f"{modality!r}; choose one by modalities: {{{modality}: NAME}}"
        )
    return fitting[0]


def is_foreign(part: str, cells: AnnData, kinds: dict[str, str]) -> bool:
    """Return whether a part of a file is no modality here: empty, or of hashtags, guides, receptors."""
    is_tags = all(map(no_feature, cells.var_names.astype(str)))
    return part not in kinds and (is_tags or bool(re.fullmatch(FOREIGN, part)))


def _counted(cells: AnnData) -> str:
    called = {no_feature(name) for name in cells.var_names.astype(str)}
    return f"{cells.n_vars:,} {(len(called) == 1 and called.pop()) or 'features'}"


def parts_of(file: Path, *, values: bool = True) -> tuple[dict[str, AnnData], pd.DataFrame]:
    """Return what a file or folder holds, by modality, and a MuData's own table of cells.

    With ``values=False``, cells and features have their names and tables alone.
    """
    name = file.name.lower()
    if name.endswith((".h5ad.gz", ".h5mu.gz", ".h5.gz")):
        return read.opened(file, lambda file: read.unpacked(file, partial(parts_of, values=values)))
    if name.endswith((".h5mu", ".zarr", ".h5ad")):
        if name.endswith(".zarr"):
            whole = read.opened(file, lambda folder: _zarr(folder, values))
        else:
            whole = read.annotated(file, values=values)
        if hasattr(whole, "mod"):
            return dict(whole.mod), whole.obs
        return _of_anndata(file, whole), pd.DataFrame()
    if name.removesuffix(".gz").endswith(TABLES):
        return {"rna": read.table_of_counts(file, values=values)}, pd.DataFrame()
    if name.endswith(".h5"):
        whole = read.opened(file, lambda file: read.tenx(file, values=values))
        return read.by_feature_type(whole), pd.DataFrame()
    if not file.is_dir():
        raise UserError(f"path: {file} is neither {FORMATS}; save the counts as one of these")
    return read.by_feature_type(read.mex_folder(file, values=values)), pd.DataFrame()


def _zarr(folder: Path, values: bool) -> object:
    import anndata
    import mudata

    if not values:
        return without_values(folder)
    with quiet_mudata():
        return mudata.read_zarr(folder) if (folder / "mod").is_dir() else anndata.read_zarr(folder)


def _of_anndata(file: Path, whole: AnnData) -> dict[str, AnnData]:
    """Return its features by type, and the table of proteins that totalVI's users keep in ``obsm``."""
    from anndata import AnnData

    parts = read.by_feature_type(whole)
    for key, table in whole.obsm.items():
        if "adt" not in parts and "protein" in key.lower() and isinstance(table, pd.DataFrame):
            names = pd.DataFrame(index=table.columns.astype(str))
            parts["adt"] = AnnData(sparse.csr_matrix(table), obs=whole.obs, var=names)
            warn(
                f"path: {file.name}: {len(names)} columns of obsm[{key!r}] are read as modality 'adt'"
            )
    return parts


def _whole(modality: str, parts: dict[str, AnnData], *, union: bool) -> AnnData:
    import anndata

    first, *others = parts.values()
    if not others:
        return first
    file_of: dict[str, str] = {}
    for number, (name, part) in enumerate(parts.items(), start=1):
        part.var_names_make_unique()
        part.obs[FILE] = str(number)
        for cell in part.obs_names:
            if cell in file_of:
                raise UserError(
                    f"path: modality {modality!r} has a cell {cell!r} in {file_of[cell]} and in "
                    f"{name}; put the sample in front of every cell name, in the files of all "
                    "modalities alike"
                )
            file_of[cell] = name
    sources = " and ".join(part.uns["source"] for part in parts.values())
    has_peaks = first.uns["kind"] == "atac"
    if has_peaks and union:
        whole = peaks.merged(modality, parts)
    else:
        whole = anndata.concat(list(parts.values()), join="inner", merge="same")
    whole.uns |= first.uns | {"source": sources}
    hint = "; peaks: union merges overlapping peaks" * has_peaks
    if whole.n_vars == 0:
        raise UserError(
            f"path: the files of modality {modality!r} have no feature in common: "
            f"{', '.join(parts)}{hint}"
        )
    lost = len(set().union(*(part.var_names for part in parts.values()))) - whole.n_vars
    if lost and not (has_peaks and union):
        whole.uns[LEFT_OUT] = {"not in all files": lost}
        most = whole.n_vars > MOST * min(part.n_vars for part in parts.values())
        few = "" if most else f", so less than half of them is kept{hint}"
        warn(
            f"modality {modality!r}: {lost} features are not in all of its {len(parts)} files and "
            f"are left out{few}"
        )
    return whole


def kind_of(modality: str, kinds: dict[str, str]) -> str:
    """Return the kind of a modality, by `kinds` or by its name."""
    kind = kinds.get(modality, read.KINDS.get(modality.lower()))
    if kind not in VALUES:
        raise UserError(
            f"kinds: {'cannot tell' if kind is None else f'{kind!r} is not'} the kind of modality "
            f'{modality!r}; say kinds: {{{modality}: rna}}, or "atac", "adt" or "continuous", or choose '
            "among the modalities of a file, modalities: {rna: ITS NAME, adt: ITS NAME}"
        )
    return kind


def measurement(
    modality: str, cells: AnnData, names: pd.Index, features: dict[str, list[str]]
) -> Measurement:
    """Return a modality's values in the order of `names`, of all cells, without what is no feature.

    Parameters
    ----------
    modality, cells
        As of :func:`read_modalities`.
    names
        (cells,) of all modalities.
    features
        "drop" and "keep" -> names or patterns.
    """
    refuse_missing(modality, cells)
    about = cells.uns
    if again := cells.var_names.duplicated().sum():
        warn(
            f"modality {modality!r}: {again} feature names occur again; they get an ending, '-1' "
            "and so on"
        )
        cells.var_names_make_unique()
    cells, left_out = without_others(modality, cells, about["kind"], features)
    matrix = cells.X
    rows = cells.obs_names.get_indexer(names)
    in_it, rows = names[rows >= 0], rows[rows >= 0]
    if np.any(np.diff(rows) != 1):
        matrix = matrix[rows]
    return Measurement(
        matrix,
        cells.var_names,
        about["kind"],
        about["values"],
        annotation(cells.var),
        None if len(in_it) == len(names) else in_it,
        source=about["source"],
        features_left_out=about.get(LEFT_OUT, {}) | left_out,
    )
