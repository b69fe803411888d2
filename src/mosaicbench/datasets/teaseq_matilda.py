"""TEA-seq, Matilda's copy: RNA and 46 proteins of 1,262 labelled blood cells, their train half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mudata import MuData
from scipy import sparse

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.read import opened, raw_file, text_table

CARD = {
    "label": "TEA-seq, Matilda's copy",
    "summary": "RNA and 46 surface proteins of 1,262 permeabilised blood cells; counts",
    "labels": "Matilda's table, whose origin it does not tell",
    "licence": "Apache-2.0 (PYangLab/Matilda); public in GEO",
    "citation": "Swanson et al. 2021, eLife 10:e63632, GSE158013; Liu et al. 2023, Nucleic Acids Research 51:e45 (Matilda)",
}

FEATURES_AT_ONCE = 1000  # a dense block of so many features x cells is read at a time


def load(raw: Path) -> MuData:
    """Return the cells with modalities ``rna`` and ``adt`` of one batch: the well is unknown.

    Parameters
    ----------
    raw
        Folder of train_rna.h5, train_adt.h5 and train_cty.csv; its lines are in the order of the
        cells.
    """
    measured = {}
    for kind in ("rna", "adt"):
        path = raw_file(raw, f"train_{kind}.h5")
        cells, measured[kind] = opened(path, lambda file, kind=kind: _matrix(file, kind))
    types = text_table(raw_file(raw, "train_cty.csv"))["x"]
    return assembled(measured, cells=cells, cell_type=types)


def _matrix(path: Path, kind: str) -> tuple[list[str], Measurement]:
    import h5py

    with h5py.File(path) as content:
        group = content["matrix"]
        features, cells = (
            [name.decode() for name in group[key][()]] for key in ("features", "barcodes")
        )
        dense = group["data"]  # features x cells
        blocks = [
            sparse.csr_matrix(dense[first : first + FEATURES_AT_ONCE].astype(np.float32))
            for first in range(0, len(features), FEATURES_AT_ONCE)
        ]
    return cells, Measurement(sparse.vstack(blocks).T.tocsr(), features, kind)
