"""Probe: whether a fresh classifier can tell from which modality a latent was inferred."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import at_least
from mosaicbench.metrics._samples import sampled

CARD = {
    "label": "Modality probe (accuracy)",
    "without_partners": True,
    "group": "realism",
    "best": 0.5,
    "better": "lower",
    "chance": None,
    "bounds": [0.5, 1.0],
    "definition": "Accuracy of a random forest that tells the modality of a cell from its latent, 3-fold, both latents of a "
    "cell in the same fold, on up to 2,000 query cells (where no cell has both, on as many of each type from either); values "
    "below 0.5 are given as 0.5. It needs no truth. 0.5 says that the modalities' latents have one distribution, not that the "
    "right cells or types meet: a constant latent has 0.5.",
    "doi": "",
    "lacks": {
        "cell_order": "divides the cells into folds",
        "collapse_is_not_rewarded": "says nothing about biology, as its definition warns",
    },
}


def modality_probe(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return it from (cells, dims) latents whose rows match; errors as for ``realism_auc``."""
    from sklearn.ensemble import RandomForestClassifier

    both = sampled(latent_a=latent_a, latent_b=latent_b)
    at_least(6, both[0])
    fold = np.random.default_rng(0).permutation(len(both[0])) % 3
    right = []
    for held_out in range(3):
        train, test = fold != held_out, fold == held_out
        forest = RandomForestClassifier(50, min_samples_leaf=5, random_state=0)
        forest.fit(np.concatenate([z[train] for z in both]), np.repeat([0, 1], train.sum()))
        right += [forest.predict(z[test]) == modality for modality, z in enumerate(both)]
    return float(max(0.5, np.concatenate(right).mean()))
