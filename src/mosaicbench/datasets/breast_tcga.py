"""breast.TCGA of mixOmics: genes, microRNAs and proteins of 220 tumours, a small part of TCGA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from mudata import MuData

from mosaicbench.data.assemble import assembled, continuous
from mosaicbench.data.read import r_matrix, raw_file, rda_list

CARD = {
    "label": "breast.TCGA",
    "summary": "bulk samples of 220 breast tumours: expression of 200 genes and 184 microRNAs, normalised; of 150 also 142 "
    "proteins",
    "labels": "three subtypes (Basal, Her2, LumA) that TCGA called from the expression of 50 genes, so rna has an advantage",
    "licence": "of mixOmics, which contains it: GPL (>= 2)",
    "citation": "Singh et al. 2019, Bioinformatics 35:3055 (mixOmics); The Cancer Genome Atlas Network 2012, Nature 490:61",
}

MATRICES = {
    "rna": "mrna",
    "mirna": "mirna",
    "protein": "protein",
}  # modality -> its name in the file
PARTS = ("data.train", "data.test")  # the authors' split, which becomes the batch


def load(
    raw: Path, *, modalities: Sequence[Literal["rna", "mirna", "protein"]] = ("rna", "mirna")
) -> MuData:
    """Return the tumours measured in every modality; all modalities are continuous.

    Parameters
    ----------
    raw
        Folder of ``breast.TCGA.rda``, a list of the authors' train and test part: matrices
        (tumours, features) and subtypes.
    modalities
        Which modalities to take. Proteins were measured in the tumours of the train part only.
    """
    path = raw_file(raw, "breast.TCGA.rda")
    content = rda_list(path, "breast.TCGA")
    needed = {MATRICES[modality] for modality in modalities}
    parts = [part for part in PARTS if needed <= set(content[part])]
    tables = {}
    for modality in modalities:
        matrices = [r_matrix(content[part][MATRICES[modality]]) for part in parts]
        tables[modality] = pd.concat(matrices, join="inner")
    subtypes = [np.asarray(content[part]["subtype"]).astype(str) for part in parts]
    names = [part.removeprefix("data.") for part in parts]
    return assembled(
        {modality: continuous(table) for modality, table in tables.items()},
        cells=tables[modalities[0]].index,
        cell_type=np.concatenate(subtypes),
        batch=np.repeat(names, [*map(len, subtypes)]),
    )
