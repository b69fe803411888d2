"""NeurIPS 2021 bone marrow, CITE-seq, the starter's 600 cells: RNA and 134 proteins of two donors, inside the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.data import embedded

if TYPE_CHECKING:
    from mudata import MuData

CARD = {
    "label": "BMMC CITE-seq, small",
    "summary": "600 bone marrow cells of two donors: 1,000 genes and 134 surface proteins; counts",
    "labels": "the authors', annotated per modality and brought to a consensus; 41 types merged to 13",
    "licence": "MIT (openproblems-bio/neurips2021_multimodal_viash); public in GEO",
    "citation": "Luecken et al. 2021, NeurIPS Datasets and Benchmarks, GSE194122",
}


def load(raw: Path | None, *, cell_type: str = "merged") -> MuData:
    """Return the cells with modalities ``rna`` and ``adt``; the batch is a donor at a site, such as s1d1.

    Parameters
    ----------
    raw
        Not used: the data are part of the package.
    cell_type
        "merged", or "published" for the 41 types.
    """
    return embedded.load("bmmc_cite_small", cell_type=cell_type)
