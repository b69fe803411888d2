"""CLL of MOFA: bulk samples of chronic lymphocytic leukaemia, as published in MOFAdata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from mudata import MuData

from mosaicbench.data.assemble import assembled, continuous
from mosaicbench.data.read import r_matrix, raw_file, rda_list, text_table
from mosaicbench.errors import UserError

CARD = {
    "label": "CLL",
    "summary": "bulk samples of leukaemia patients: normalised expression, methylation (M-values), drug response, mutations",
    "labels": "IGHV status, of the clinical table: mutated or unmutated; patients without one are dropped",
    "licence": "none stated",
    "citation": "Dietrich et al. 2018, J Clin Invest 128:427; Argelaguet et al. 2018, Mol Syst Biol 14:e8124 (MOFAdata)",
}

MATRICES = {
    "rna": "mRNA",
    "methylation": "Methylation",
    "drugs": "Drugs",
    "mutations": "Mutations",
}  # modality -> its name in the file
STATUS = {"0": "unmutated", "1": "mutated"}


def load(
    raw: Path,
    *,
    modalities: Sequence[Literal["rna", "methylation", "drugs", "mutations"]] = (
        "rna",
        "methylation",
    ),
) -> MuData:
    """Return the patients with a known status and all modalities, which are continuous.

    Parameters
    ----------
    raw
        Folder of ``CLL_data.RData``, a list of matrices (features, patients) in which a patient who
        was not measured is a column without values, and ``sample_metadata.txt``, with the columns
        ``sample`` and ``IGHV`` (0, 1 or missing).
    modalities
        Which modalities to take; a feature without a value in any of their patients is dropped.
        Mutations are 0 or 1; IGHV status, one of them, is left out: it is the label.
    """
    path = raw_file(raw, "CLL_data.RData")
    content = rda_list(path, "CLL_data")
    tables = {modality: r_matrix(content[MATRICES[modality]]).T for modality in modalities}
    clinical = text_table(raw_file(raw, "sample_metadata.txt"), sep="\t")
    status = clinical.set_index("sample")["IGHV"].str.removesuffix(".0").map(STATUS).dropna()
    patients = pd.Index(status.index, name=None)
    for table in tables.values():
        patients = patients[patients.isin(table.index[table.notna().any(axis=1)])]
    if not len(patients):
        raise UserError(
            f"{path}: no patient with an IGHV status is measured in {' and '.join(modalities)}"
        )
    measured = {}
    for modality, table in tables.items():
        kept = table.loc[patients].dropna(axis=1).drop(columns="IGHV", errors="ignore")
        measured[modality] = continuous(kept)
    dataset = assembled(
        measured,
        cells=patients,
        cell_type=status.loc[patients],
    )
    listed = set().union(*(table.index for table in tables.values()))
    dataset.uns["cells_dropped"] = len(listed) - len(patients)
    return dataset
