"""Recall: how often the true match is among the k nearest cells of the other modality."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import closer_and_tied

CARD = {
    "label": "Recall@{k}",
    "group": "alignment",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Fraction of query cells whose true match in the second modality is among the {k} cells nearest to their "
    "latent in the first; cells that are as near as the {k}th share the places that are left. Chance is {k} / n. Of more "
    "than 100,000 query cells, the fraction of 20,000 drawn by seed.",
    "doi": "",
    "variants": {
        "recall_at_1": {
            "keywords": {"k": 1},
            "definition": "Fraction of query cells whose true match in the second modality is the cell nearest to their latent "
            "in the first; cells that are equally near share the place. Chance is 1 / n. Of more than 100,000 query cells, the "
            "fraction of 20,000 drawn by seed.",
        },
        "recall_at_10": {"keywords": {"k": 10}},
        "recall_at_10_cosine": {
            "keywords": {"k": 10, "cosine": True},
            "label": "Recall@10, cosine",
            "definition": "Recall@10 by cosine distance, which the length of a latent does not change; a latent of length 0 is "
            "as far from all others.",
        },
        "recall_at_50": {"keywords": {"k": 50}},
    },
}


def recall(latent_a: np.ndarray, latent_b: np.ndarray, *, k: int, cosine: bool = False) -> float:
    """Return the mean chance of the true match to be among the k nearest, from a to b, (cells, dims) each.

    Of a match and the cells that are as far, each has the same chance of the places that closer cells leave. Errors as for
    FOSCTTM. `cosine` asks for cosine distance instead of the Euclidean one.
    """
    closer, tied = closer_and_tied(latent_a, latent_b, cosine=cosine).T
    return float(np.clip((k - closer) / (tied + 1), 0, 1).mean())
