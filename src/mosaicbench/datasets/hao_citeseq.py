"""CITE-seq of PBMC by Hao 2021: RNA and up to 228 surface proteins, 8 donors at 3 times after vaccination."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mudata import MuData

from mosaicbench.data.assemble import assembled
from mosaicbench.data.read import PARTS, labels_joined, measurement, mex, raw_file, text_table

CARD = {
    "label": "Hao CITE-seq PBMC",
    "summary": "RNA and 228 (3') or 54 (5') surface proteins of blood cells of 8 donors; counts, doublets dropped",
    "labels": "WNN clustering of RNA and protein together, so that label transfer between the two is circular",
    "licence": "none stated; public in GEO",
    "citation": "Hao et al. 2021, Cell 184:3573, GSE164378",
}

GROUPS = ("donor", "time", "lane")  # columns of the metadata that a scenario may split by
DOUBLET = "Doublet"  # a class of celltype.l2


def load(
    raw: Path,
    *,
    cell_type: Literal["celltype.l1", "celltype.l2", "celltype.l3"] = "celltype.l2",
    batch: str = "donor",
) -> MuData:
    """Return the cells with modalities ``rna`` and ``adt``, without the authors' doublets.

    Parameters
    ----------
    raw
        Folder of the matrices, their barcodes and features, and the metadata, as GEO has them.
    cell_type
        Column of the metadata: 8, 31 or more cell types.
    batch
        Column of the metadata: donor, time, lane or Batch.
    """
    modalities = {
        kind: mex(*(raw_file(raw, f"GSM*_{kind.upper()}_*-{part}.gz") for part in PARTS))
        for kind in ("rna", "adt")
    }
    path = raw_file(raw, "GSE164378_sc.meta.data_*.csv.gz")
    table = text_table(path, index_col=0)
    every = modalities["rna"].obs_names
    both = every[every.isin(modalities["adt"].obs_names)]
    doublet, _ = labels_joined(both, table, barcode=None, column="celltype.l2", where=path)
    names = both[doublet != DOUBLET]
    types, matched = labels_joined(names, table, barcode=None, column=cell_type)
    columns = {
        column: labels_joined(names, table, barcode=None, column=column)[0]
        for column in {batch, *GROUPS}
    }
    dataset = assembled(
        # Popped, so that the whole matrix does not stay in memory: RNA alone has gigabytes.
        {kind: measurement(modalities.pop(kind), kind, names) for kind in ("rna", "adt")},
        cells=names,
        cell_type=types,
        batch=columns[batch],
        groups={column: columns[column] for column in GROUPS},
    )
    dataset.uns["cells_dropped"] = len(every) - len(both)
    dataset.uns["dropped"] = {"doublets, by celltype.l2": len(both) - len(names)}
    dataset.uns["labels_matched"] = matched
    return dataset
