"""TEA-seq by Swanson 2021: RNA, ATAC and surface protein of the same permeabilised blood cells."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scipy import sparse

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.read import (
    csv_counts,
    labels_joined,
    measurement,
    on_chromosomes,
    opened,
    raw_file,
    tenx_h5,
)
from mosaicbench.errors import UserError

CARD = {
    "label": "TEA-seq PBMC",
    "summary": "RNA, ATAC and 46 surface proteins of permeabilised blood cells; several wells have RNA and protein only",
    "labels": "the authors' types of wells W3 to W6 (eLife, Figure 4, source data 2); well W1 has none",
    "licence": "none stated for GEO's processed files, public; labels CC-BY",
    "citation": "Swanson et al. 2021, eLife 10:e63632, GSE158013",
}

LABELS = "elife-63632-fig4-data2-v1.zip"
TABLE = "TypeLabelsUMAP.csv"


def load(
    raw: Path, *, wells: Sequence[str] = ("W3",), cell_type: str = "seurat_pbmc_cell_type"
) -> MuData:
    """Return the cells of `wells`: one has ``rna``, ``atac``, ``adt``; several ``rna``, ``adt``.

    Each well has its own peaks, which are different features. The batch is the well.

    Parameters
    ----------
    raw
        Folder of each well's ARC file and its counts of antibodies, and of the labels.
    wells
        W1, or any of W3 to W6.
    cell_type
        Column of the labels, or predicted.celltype.l2. Cells that are not in the table are
        unlabelled.
    """
    parts = {well: _well(raw, well) for well in wells}
    table = _labels(Path(raw) / LABELS) if (Path(raw) / LABELS).is_file() else None
    measured = {"rna": _joined(parts, "rna")}
    if len(parts) == 1:
        ((names, modalities),) = parts.values()
        measured["atac"] = measurement(on_chromosomes(modalities["atac"]), "atac", names)
    measured["adt"] = _joined(parts, "adt")
    types, matched = [], 0
    for well, (names, _) in parts.items():
        own, n = _types(table, well, names, cell_type, Path(raw) / LABELS)
        types.append(own)
        matched += n
    dataset = assembled(
        measured,
        cells=[f"{well}_{name}" for well, (names, _) in parts.items() for name in names],
        cell_type=np.concatenate(types),
        batch=[well for well, (names, _) in parts.items() for _ in names],
    )
    dataset.uns["cells_dropped"] = sum(
        modalities["rna"].n_obs - len(names) for names, modalities in parts.values()
    )
    dataset.uns["labels_matched"] = matched
    return dataset


def _well(raw: Path, well: str) -> tuple[pd.Index, dict[str, AnnData]]:
    modalities = tenx_h5(raw_file(raw, f"*{well}_*cellranger-arc_filtered_feature_bc_matrix.h5"))
    proteins = csv_counts(
        raw_file(raw, f"*{well}_*_adt_counts.csv.gz"), index="cell_barcode", drop=["total"]
    )
    proteins.obs_names = pd.Index([f"{name}-1" for name in proteins.obs_names])
    names = modalities["rna"].obs_names
    return names[names.isin(proteins.obs_names)], modalities | {"adt": proteins}


def _joined(parts: dict[str, tuple[pd.Index, dict[str, AnnData]]], kind: str) -> Measurement:
    own = {
        well: measurement(modalities[kind], kind, names)
        for well, (names, modalities) in parts.items()
    }
    (first, one), *others = own.items()
    for well, other in others:
        if list(other.features) != list(one.features):
            raise UserError(
                f"wells: {first} and {well} differ in their features of {kind}; take them as two "
                "datasets"
            )
    values = sparse.vstack([each.values for each in own.values()], format="csr")
    return replace(one, values=values)


def _labels(path: Path) -> pd.DataFrame:
    table = opened(path, _table_in_archive)
    parts = table["barcode"].str.extract(r"^(?P<cell>[ACGTN]+).*?(?P<well>\d+)$")
    return table.assign(cell=parts["cell"], well=parts["well"])


def _table_in_archive(path: Path) -> pd.DataFrame:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if "__MACOSX" not in name]
        (name,) = (name for name in names if name.endswith(TABLE))
        with archive.open(name) as file:
            return pd.read_csv(file, dtype=str, keep_default_na=False)


def _types(
    table: pd.DataFrame | None, well: str, names: pd.Index, column: str, path: Path
) -> tuple[np.ndarray, int]:
    if table is None:
        return np.full(len(names), "", dtype=object), 0
    own = table[table["well"] == well.lstrip("W")]
    return labels_joined(names, own, barcode="cell", column=column, suffix="-1", where=path)
