"""TEA-seq, 1,262 permeabilised blood cells: RNA and 46 proteins, inside the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.data import embedded

if TYPE_CHECKING:
    from mudata import MuData

CARD = {
    "label": "TEA-seq, small",
    "summary": "1,262 blood cells: 9,855 genes and 46 surface proteins; counts, without the ATAC that was measured too",
    "labels": "Matilda's table, whose origin it does not tell; 11 types, of which 9 have at least 10 cells",
    "licence": "Apache-2.0 (PYangLab/Matilda); public in GEO",
    "citation": "Swanson et al. 2021, eLife 10:e63632, GSE158013; Liu et al. 2023, Nucleic Acids Research 51:e45 (Matilda)",
}


def load(raw: Path | None, *, cell_type: str = "merged") -> MuData:
    """Return the cells with modalities ``rna`` and ``adt``, all of one batch: the files do not tell the well.

    Parameters
    ----------
    raw
        Not used: the data are part of the package.
    cell_type
        "merged", or "published" for all 11 types.
    """
    return embedded.load("teaseq_small", cell_type=cell_type)
