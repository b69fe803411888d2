"""TCGA breast cancer: bulk expression and methylation of tumours, as UCSC Xena publishes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from mudata import MuData

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.read import check_columns, opened, raw_file, text_table
from mosaicbench.errors import UserError

CARD = {
    "label": "TCGA BRCA",
    "summary": "bulk samples of breast tumours: expression, log2(1 + RSEM), and methylation (M-values)",
    "labels": "oestrogen receptor status, of the clinical table: Positive or Negative; samples without one are dropped",
    "licence": "none stated; open access of TCGA",
    "citation": "The Cancer Genome Atlas Network 2012, Nature 490:61; files of UCSC Xena",
}

STATUSES = ("Positive", "Negative")
SMALLEST = 1e-3  # methylated fractions are clipped to it, so that no M-value is infinite
ROWS = 20_000  # features read at a time


def load(
    raw: Path,
    *,
    cell_type: str = "ER_Status_nature2012",
    methylation_of: str = "HumanMethylation450.gz",
) -> MuData:
    """Return the samples with a known status and ``rna`` and ``methylation``, both continuous.

    Parameters
    ----------
    raw
        Folder of ``HiSeqV2.gz`` and the methylation file, tables of features x samples with feature
        names in the first column, and ``BRCA_clinicalMatrix``, with the column ``sampleID``.
    cell_type
        The column of the clinical table that holds the status.
    methylation_of
        The file of methylated fractions. The 450k array has 485,577 sites, which need 3 GB of
        memory.

    Returns
    -------
    MuData
        Methylation as log(x / (1 - x)). A feature without a value in any sample is dropped.
    """
    path = raw_file(raw, "BRCA_clinicalMatrix")
    clinical = text_table(path, sep="\t")
    check_columns(path, clinical, cell_type)
    status = clinical.set_index("sampleID")[cell_type]
    files = {"rna": raw_file(raw, "HiSeqV2.gz"), "methylation": raw_file(raw, methylation_of)}
    samples = pd.Index(status.index[status.isin(STATUSES)])
    for file in files.values():
        samples = samples[
            samples.isin(opened(file, lambda f: pd.read_csv(f, sep="\t", nrows=0)).columns)
        ]
    if not len(samples):
        raise UserError(
            f"{raw}: no sample with a status in {cell_type} has both expression and methylation"
        )

    measured = {}
    for modality, file in files.items():
        values, names = opened(file, lambda f: _features(f, samples))
        if modality == "methylation":
            fractions = np.clip(values, SMALLEST, 1 - SMALLEST)
            values = np.log(fractions / (1 - fractions))
        measured[modality] = Measurement(values, names, "continuous", "continuous")
    return assembled(measured, cells=samples, cell_type=status.loc[samples])


def _features(file: Path, samples: pd.Index) -> tuple[np.ndarray, list[str]]:
    parts, names = [], []
    first = pd.read_csv(file, sep="\t", nrows=0).columns[0]
    for block in pd.read_csv(
        file, sep="\t", usecols=[first, *samples], index_col=first, chunksize=ROWS
    ):
        block = block[samples].dropna()
        parts.append(block.to_numpy(np.float32))
        names += list(block.index.astype(str))
    return np.concatenate(parts).T, names
