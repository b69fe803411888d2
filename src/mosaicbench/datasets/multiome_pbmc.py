"""10x Multiome of PBMC: RNA and open chromatin of the same nuclei, from one Cell Ranger ARC file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.assemble import assembled
from mosaicbench.data.raw import check_matched, found, measurement, on_chromosomes
from mosaicbench.data.readers import labels_joined, rds_table, tenx_h5

if TYPE_CHECKING:
    from mudata import MuData

CARD = {
    "label": "10x Multiome PBMC",
    "summary": "RNA and ATAC of blood nuclei, granulocytes removed by sorting; counts, peaks on chromosomes",
    "labels": "SCENT's transfer from the Hao 2021 reference by RNA alone: RNA has an advantage; none for the 3k set",
    "licence": "CC-BY-4.0 (to be verified); labels MIT",
    "citation": "10x Genomics, PBMC from a healthy donor, granulocytes removed through cell sorting; labels: SCENT",
}

LABELS = "pbmc_multimodal.meta.rds"


def load(raw: Path, *, cell_type: str = "predicted.id") -> MuData:
    """Return the nuclei with modalities ``rna`` and ``atac``.

    Parameters
    ----------
    raw
        Folder of the ARC file and, where there are labels, of SCENT's table.
    cell_type
        Column of that table. Cells that it does not list are unlabelled.

    Raises
    ------
    UserError
        When a file is absent or unreadable, or the table belongs to other cells.
    """
    modalities = tenx_h5(found(raw, "*_filtered_feature_bc_matrix.h5"))
    names = modalities["rna"].obs_names
    types, matched = np.full(len(names), "", dtype=object), 0
    if (path := Path(raw) / LABELS).is_file():
        table = rds_table(path)
        barcode = _column_of_barcodes(table, names)
        types, matched = labels_joined(names, table, barcode=barcode, column=cell_type)
        check_matched(matched, len(table), len(names), path)
    dataset = assembled(
        {
            "rna": measurement(modalities["rna"], "rna", names),
            "atac": measurement(on_chromosomes(modalities["atac"]), "atac", names),
        },
        cells=names,
        cell_type=types,
        batch=["all"] * len(names),
    )
    dataset.uns["labels_matched"] = matched
    return dataset


def _column_of_barcodes(table: pd.DataFrame, names: pd.Index) -> str | None:
    """Return the column that names most cells, None for the row names: the publisher does not say where the barcodes stand."""
    counts = {None: int(table.index.isin(names).sum())}
    counts |= {column: int(table[column].isin(names).sum()) for column in table}
    return max(counts, key=counts.get)
