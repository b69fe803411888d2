"""10x PBMC 10k with 14 proteins, totalVI's copy, with BREM-SC's cell types: a small download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from mudata import MuData
from scipy import sparse

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.read import labels_joined, opened, raw_file, text_table

CARD = {
    "label": "PBMC 10k CITE-seq",
    "summary": "6,855 blood cells: 4,000 variable genes and 14 surface proteins; counts",
    "labels": 'BREM-SC\'s, gated on proteins: ADT has an advantage; "unknown" cells have no label',
    "licence": "10x Genomics demonstration data; labels GPL-3 (tarot0410/BREMSC)",
    "citation": "10x Genomics pbmc_10k_protein_v3; Gayoso et al. 2021, Nature Methods 18:272; Wang et al. 2020, NAR 48:5814",
}


def load(raw: Path) -> MuData:
    """Return the cells with modalities ``rna`` and ``adt``.

    Parameters
    ----------
    raw
        Folder of pbmc10k_harmo_rna.csv.gz, pbmc10k_harmo_pro.csv.gz (features x cells) and
        truth_10X10k.csv.
    """
    rna, adt = (
        opened(raw_file(raw, f"pbmc10k_harmo_{name}.csv.gz"), _table) for name in ("rna", "pro")
    )
    path = raw_file(raw, "truth_10X10k.csv")
    types, matched = labels_joined(
        rna.columns, text_table(path), barcode="Barcode", column="trueType", where=path
    )
    dataset = assembled(
        {
            kind: Measurement(sparse.csr_matrix(x.to_numpy().T), x.index, kind)
            for kind, x in (("rna", rna), ("adt", adt))
        },
        cells=rna.columns,
        cell_type=["" if name == "unknown" else name for name in types],
    )
    dataset.uns["labels_matched"] = matched
    return dataset


def _table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col=0).astype(np.float32)
