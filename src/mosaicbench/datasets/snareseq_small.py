"""SNARE-seq of the adult mouse cortex, the nuclei of most genes and open peaks: RNA and ATAC, inside the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.data import embedded

if TYPE_CHECKING:
    from mudata import MuData

CARD = {
    "label": "SNARE-seq cortex, small",
    "summary": "1,519 nuclei of the mouse cortex in four batches: 1,663 genes and 11,184 peaks near them; counts",
    "labels": "the data's authors', 15 types through scMoMaT; \"Mis\", their unassigned class, and rare types have no label",
    "licence": "MIT (PeterZZQ/scMoMaT); public in GEO",
    "citation": "Chen et al. 2019, Nature Biotechnology 37:1452, GSE126074; Zhang et al. 2023, Nature Communications 14:384",
}


def load(raw: Path | None, *, cell_type: str = "merged") -> MuData:
    """Return the nuclei with modalities ``rna`` and ``atac``, with the links of peaks and genes that scMoMaT published.

    Parameters
    ----------
    raw
        Not used: the data are part of the package.
    cell_type
        "merged", or "published" for the 15 types.
    """
    return embedded.load("snareseq_small", cell_type=cell_type)
