"""100 cells of the 10x PBMC Multiome as SIMBA's authors keep them: to try out, not to compare methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.raw import found
from mosaicbench.data.readers import coordinates, labels_joined, opened, rds_table
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from mudata import MuData

CARD = {
    "label": "PBMC Multiome, 100 cells",
    "summary": "100 blood cells: 10,000 genes and 10,000 peaks (hg38); counts",
    "labels": "predicted.id of SCENT, transferred from the Hao 2021 reference by RNA alone: RNA has an advantage",
    "licence": "BSD-3-Clause (pinellolab/simba), labels MIT (immunogenomics/SCENT); 10x Genomics demonstration data",
    "citation": "10x Genomics, PBMC, granulocytes removed through cell sorting (10k); Chen et al. 2023, Nature Methods (SIMBA)",
}


def load(raw: Path, *, cell_type: str = "predicted.id") -> MuData:
    """Return the cells with modalities ``rna`` and ``atac``, whose names the files end in "_rna" and "_atac".

    Parameters
    ----------
    raw
        Folder of 10xpbmc_rna_subset.h5ad, 10xpbmc_atac_subset.h5ad and pbmc_multimodal.meta.rds.
    cell_type
        Column of the last one. Cells that it does not list are unlabelled.

    Raises
    ------
    UserError
        When a file is absent or unreadable, or they are not of the same cells.
    """
    import anndata

    parts = {
        kind: opened(found(raw, f"10xpbmc_{kind}_subset.h5ad"), anndata.read_h5ad)
        for kind in ("rna", "atac")
    }
    names = {kind: cells.obs_names.str.removesuffix(f"_{kind}") for kind, cells in parts.items()}
    if not names["rna"].equals(names["atac"]):
        raise UserError(
            f"{raw}: the files of RNA and ATAC do not name the same cells in the same order"
        )
    table = rds_table(found(raw, "pbmc_multimodal.meta.rds"))
    types, matched = labels_joined(names["rna"], table, barcode=None, column=cell_type)
    measured = {
        "rna": Measurement(
            parts["rna"].X, parts["rna"].var_names, "rna", annotation=parts["rna"].var[["gene_ids"]]
        ),
        "atac": Measurement(
            parts["atac"].X,
            parts["atac"].var_names,
            "atac",
            annotation=coordinates(parts["atac"].var_names),
        ),
    }
    dataset = assembled(measured, cells=names["rna"], cell_type=types, batch=["all"] * len(types))
    dataset.uns["labels_matched"] = matched
    return dataset
