"""Separation: how well a linear classifier tells the cell types apart from the latent."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined
from mosaicbench.metrics._graph import labelled
from mosaicbench.metrics._ranges import within_range

CARD = {
    "group": "disentanglement",
    "best": 1.0,
    "better": "higher",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "doi": "10.48550/arXiv.2403.06338",
    "lacks": {"cell_order": "divides the cells into folds", "perfect_is_best": "best is a limit"},
    "variants": {
        "label_separation_auc": {
            "label": "Separation of cell types (AUC)",
            "definition": "Mean over cell types with at least three query cells of the area under the ROC curve of a linear "
            "classifier (least squares) on the standardised latent, one type against the others, 3-fold over the query cells "
            "with a label.",
        },
        "label_separation_auc_all": {
            "takes": {"latent": "all_blocks"},
            "label": "Separation by all blocks (AUC)",
            "definition": "As the separation of cell types, from the shared and the private latent side by side: what the "
            "method knows of the types in any block.",
        },
        "label_separation_auc_private": {
            "takes": {"latent": "private_latent"},
            "label": "Separation by the private block (AUC)",
            "definition": "As the separation of cell types, from the private latent of the modality; for the joint source from "
            "the private latents of all modalities side by side. Where the types are what modalities share, 0.5 says that "
            "nothing shared went astray.",
        },
    },
}


def label_separation_auc(latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels.

    Raises
    ------
    ValueError
        When the arrays differ in length or a value is not finite.
    Undefined
        When fewer than two types have three cells.
    """
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    z, codes = labelled(latent, labels)
    (z,) = within_range(z)
    spread = np.where(np.ptp(z, axis=0) > 0, z.std(axis=0), 1)
    z = (
        z - z.mean(axis=0)
    ) / spread  # the penalty of the regression is then the same for latents of any scale
    areas = []
    for code in [
        code
        for code, cells in enumerate(np.bincount(codes))
        if cells >= 3 and len(codes) - cells >= 3
    ]:
        own = codes == code
        for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(z, own):
            areas.append(
                roc_auc_score(own[test], Ridge(1e-3).fit(z[train], own[train]).predict(z[test]))
            )
    if not areas:
        raise Undefined("no cell type has three query cells and three others")
    return float(np.mean(areas))
