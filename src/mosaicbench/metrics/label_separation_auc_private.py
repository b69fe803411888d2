"""Separation of the cell types by the private block alone."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics.label_separation_auc import label_separation_auc

CARD = {
    "label": "Separation by the private block (AUC)",
    "group": "disentanglement",
    "best": 1.0,
    "better": "higher",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "definition": "As the separation of cell types, from the private latent of the modality; for the joint source from the "
    "private latents of all modalities side by side. Where the types are what modalities share, 0.5 says that nothing shared "
    "went astray.",
    "doi": "10.48550/arXiv.2403.06338",
}


def label_separation_auc_private(private_latent: np.ndarray, labels: np.ndarray) -> float:
    """Return it from (cells, dims) private latents and (cells,) labels; errors as for ``label_separation_auc``."""
    return label_separation_auc(private_latent, labels)
