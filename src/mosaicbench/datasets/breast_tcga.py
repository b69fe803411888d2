"""breast.TCGA of mixOmics: a small part of TCGA's breast cancer, expression of genes, microRNAs and proteins of 220 tumours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.raw import found, r_matrix
from mosaicbench.data.readers import opened
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from mudata import MuData

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
PARTS = ("data.train", "data.test")  # the authors' division, which becomes the batch


def load(raw: Path, *, modalities: Sequence[str] = ("rna", "mirna")) -> MuData:
    """Return the tumours measured in every modality; all modalities are continuous.

    Parameters
    ----------
    raw
        Folder of ``breast.TCGA.rda``, a list of the authors' train and test part: matrices (tumours, features) and subtypes.
    modalities
        Which of "rna", "mirna", "protein" to take. Proteins were measured in the tumours of the train part only.

    Raises
    ------
    UserError
        When a modality is unknown, or the file is absent or of another layout.
    """
    if unknown := sorted(set(modalities) - set(MATRICES)):
        raise UserError(
            f"modalities: unknown {unknown[0]!r}; breast_tcga knows {', '.join(MATRICES)}"
        )
    path = found(raw, "breast.TCGA.rda")
    parts = {
        part: content
        for part, content in _parts(path).items()
        if all(MATRICES[m] in content for m in modalities)
    }
    measured, subtypes = (
        {},
        np.concatenate([np.asarray(content["subtype"]).astype(str) for content in parts.values()]),
    )
    for modality in modalities:
        name = MATRICES[modality]
        table = pd.concat(
            [r_matrix(content[name], path, name) for content in parts.values()], join="inner"
        )
        if len(table) != len(subtypes):
            raise UserError(
                f"{path}: {len(table)} tumours have {name}, and {len(subtypes)} a subtype"
            )
        measured[modality] = Measurement(
            table.to_numpy(np.float32), table.columns, "continuous", "continuous"
        )
        tumours = table.index
    batch = np.concatenate(
        [[part.removeprefix("data.")] * len(content["subtype"]) for part, content in parts.items()]
    )
    return assembled(measured, cells=tumours, cell_type=subtypes, batch=batch)


def _parts(path: Path) -> dict[str, dict]:
    import rdata

    content = opened(path, rdata.read_rda).get("breast.TCGA")
    if not isinstance(content, dict) or not all(
        "subtype" in content.get(part, {}) for part in PARTS
    ):
        raise UserError(
            f"{path}: expected a list breast.TCGA of {' and '.join(PARTS)}, each with a subtype; this is another file"
        )
    return {part: content[part] for part in PARTS}
