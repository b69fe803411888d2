"""Separation of the cell types by the shared and the private block together."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import dense
from mosaicbench.metrics._checks import finite
from mosaicbench.metrics.label_separation_auc import label_separation_auc

CARD = {
    "label": "Separation by all blocks (AUC)",
    "group": "disentanglement",
    "best": 1.0,
    "better": "higher",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "As the separation of cell types, from the shared and the private latent side by side: what the method knows "
    "of the types in any block.",
    "doi": "10.48550/arXiv.2403.06338",
}


def label_separation_auc_all(latent: np.ndarray, private_latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) latents and (cells,) labels; errors as for ``label_separation_auc``."""
    blocks = [finite(name, dense(z)) for name, z in (("latent", latent), ("private_latent", private_latent))]
    return label_separation_auc(np.concatenate(blocks, axis=1), labels)
