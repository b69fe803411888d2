"""10x Multiome of PBMC: RNA and ATAC, from one Cell Ranger ARC file or SIMBA's 100 cells of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mosaicbench.data.assemble import assembled
from mosaicbench.data.read import (
    annotated,
    coordinates,
    labels_joined,
    measurement,
    on_chromosomes,
    raw_file,
    rds_table,
    tenx_h5,
)

CARD = {
    "label": "10x Multiome PBMC",
    "summary": "RNA and ATAC of blood nuclei, granulocytes removed by sorting; counts, peaks on chromosomes",
    "labels": "SCENT's transfer from the Hao 2021 reference by RNA alone: RNA has an advantage; none for the 3k set",
    "licence": "CC-BY-4.0 (to be verified); the copy of 100 cells BSD-3-Clause (pinellolab/simba); labels MIT",
    "citation": "10x Genomics, PBMC from a healthy donor, granulocytes removed through cell sorting; labels: SCENT; copy of 100 "
    "cells: Chen et al. 2023, Nature Methods (SIMBA)",
}

LABELS = "pbmc_multimodal.meta.rds"
# Its cells have SCENT's names, with the ending "_rna" or "_atac".
OF_SIMBA = "10xpbmc_{}_subset.h5ad"


def load(raw: Path, *, cell_type: str = "predicted.id") -> MuData:
    """Return the nuclei with modalities ``rna`` and ``atac``.

    Parameters
    ----------
    raw
        Folder of the ARC file, or of 10xpbmc_rna_subset.h5ad and 10xpbmc_atac_subset.h5ad; and of
        SCENT's table of labels.
    cell_type
        Column of that table. Cells that it does not list are unlabelled; without the table all are.
    """
    of_simba = (Path(raw) / OF_SIMBA.format("rna")).is_file()
    modalities = _of_simba(raw) if of_simba else _of_ten_x(raw)
    names = modalities["rna"].obs_names
    types, matched = np.full(len(names), "", dtype=object), 0
    if (path := Path(raw) / LABELS).is_file():
        table = rds_table(path)
        barcode = _column_of_barcodes(table, names)
        types, matched = labels_joined(names, table, barcode=barcode, column=cell_type, where=path)
    dataset = assembled(
        {kind: measurement(modalities[kind], kind, names) for kind in ("rna", "atac")},
        cells=names,
        cell_type=types,
    )
    dataset.uns["labels_matched"] = matched
    return dataset


def _of_ten_x(raw: Path) -> dict[str, AnnData]:
    modalities = tenx_h5(raw_file(raw, "*_filtered_feature_bc_matrix.h5"))
    return modalities | {"atac": on_chromosomes(modalities["atac"])}


def _of_simba(raw: Path) -> dict[str, AnnData]:
    modalities = {kind: annotated(raw_file(raw, OF_SIMBA.format(kind))) for kind in ("rna", "atac")}
    for kind, cells in modalities.items():
        cells.obs_names = cells.obs_names.str.removesuffix(f"_{kind}")
    rna, atac = modalities.values()
    rna.var = rna.var[["gene_ids"]]
    atac.var = coordinates(atac.var_names).set_axis(atac.var_names, axis=0)
    return modalities


def _column_of_barcodes(table: pd.DataFrame, names: pd.Index) -> str | None:
    columns = {None: table.index} | dict(table.items())
    return max(columns, key=lambda column: columns[column].isin(names).sum())
