"""SNARE-seq of the mouse cortex, scMoMaT's copy: all twelve batches, labelled, linked peaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mudata import MuData
from scipy import sparse

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.links import with_links
from mosaicbench.data.read import check_columns, coordinates, opened, raw_file, text_table
from mosaicbench.errors import UserError

CARD = {
    "label": "SNARE-seq cortex",
    "summary": "10,309 nuclei of the mouse cortex in twelve batches: 1,677 variable genes, 25,734 peaks near them; counts",
    "labels": "the data's authors', 23 types or the 15 that scMoMaT's authors made of them",
    "licence": "MIT (PeterZZQ/scMoMaT); public in GEO",
    "citation": "Chen et al. 2019, Nature Biotechnology 37:1452, GSE126074; Zhang et al. 2023, Nature Communications 14:384",
}

ORIGIN = "GxR.npz of scMoMaT: peak in the gene's body or promoter (mm10)"


def load(
    raw: Path, *, cell_type: str = "cluster (remapped)", batches: Sequence[str] | None = None
) -> MuData:
    """Return the nuclei with modalities ``rna`` and ``atac``; the batch is a library, 09A to 09L.

    Parameters
    ----------
    raw
        Folder of GxC1.npz, RxC1.npz, GxR.npz, genes.txt, regions.txt and meta_c1.csv.
    cell_type
        Column of meta_c1.csv: "cluster (remapped)", or "Ident" for 23 types.
    batches
        The libraries to take, such as 09A; all twelve if left out.
    """
    cells = text_table(raw_file(raw, "meta_c1.csv"), index_col=0)
    check_columns("cell_type: meta_c1.csv", cells, cell_type)
    genes, peaks = (
        raw_file(raw, name).read_text(encoding="utf-8").split()
        for name in ("genes.txt", "regions.txt")
    )
    rna, atac, near = (
        opened(raw_file(raw, name), sparse.load_npz) for name in ("GxC1.npz", "RxC1.npz", "GxR.npz")
    )
    taken = np.ones(len(cells), dtype=bool)
    if batches is not None:
        if unknown := sorted(set(batches) - set(cells["Batch"])):
            there = ", ".join(sorted(set(cells["Batch"])))
            raise UserError(f"batches: there is no {unknown[0]!r}; there are {there}")
        taken = cells["Batch"].isin(batches).to_numpy()
    cells = cells[taken]
    dataset = assembled(
        {
            "rna": Measurement(rna.T.tocsr()[taken], genes, "rna"),
            "atac": Measurement(
                atac.T.tocsr()[taken], peaks, "atac", annotation=coordinates(peaks)
            ),
        },
        cells=cells.index,
        cell_type=cells[cell_type],
        batch=cells["Batch"],
    )
    near = near.tocoo()
    ends = [
        dataset[modality].var_names.get_indexer(np.array(names, dtype=object)[positions])
        for modality, names, positions in (("rna", genes, near.row), ("atac", peaks, near.col))
    ]
    kept = (ends[0] >= 0) & (ends[1] >= 0)
    links = ends[0][kept], ends[1][kept], np.ones(kept.sum(), dtype=np.int8)
    return with_links(dataset, {("rna", "atac"): (links, ORIGIN)})
