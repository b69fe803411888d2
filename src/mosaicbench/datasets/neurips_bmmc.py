"""NeurIPS 2021 bone marrow: CITE-seq or Multiome of cells of several donors, measured at several sites."""

from __future__ import annotations

from pathlib import Path

from mudata import MuData

from mosaicbench.data.assemble import assembled
from mosaicbench.data.read import (
    annotated,
    measured_by_type,
    obs_columns,
    opened,
    raw_file,
    unpacked,
)

CARD = {
    "label": "NeurIPS 2021 BMMC",
    "summary": "bone marrow cells of several donors and sites: RNA and 134 surface proteins, or RNA and ATAC; counts",
    "labels": "the authors', annotated per modality and brought to a consensus",
    "licence": "none stated; public in GEO",
    "citation": "Luecken et al. 2021, NeurIPS Datasets and Benchmarks, GSE194122",
}

KINDS = {"GEX": "rna", "ATAC": "atac", "ADT": "adt"}  # as var["feature_types"] has them
GROUPS = ("Site", "DonorID")  # columns that a scenario may split by


def load(raw: Path, *, cell_type: str = "cell_type", batch: str = "batch") -> MuData:
    """Return the cells with modality ``rna``, and ``adt`` or ``atac``.

    Parameters
    ----------
    raw
        Folder of the packed ``.h5ad``, which is unpacked to a temporary file while it is read.
    cell_type, batch
        Columns of ``obs``; a batch is a donor at a site, such as s1d1.
    """
    path = raw_file(raw, "GSE194122_openproblems_neurips2021_*_BMMC_processed.h5ad.gz")
    whole = opened(path, lambda file: unpacked(file, annotated))
    types_of_cells, batches = obs_columns(whole, [cell_type, batch], path)
    groups = {column: whole.obs[column] for column in GROUPS if column in whole.obs}
    return assembled(
        measured_by_type(whole, whole.layers["counts"], KINDS),
        cells=whole.obs_names,
        cell_type=types_of_cells,
        batch=batches,
        groups=groups,
    )
