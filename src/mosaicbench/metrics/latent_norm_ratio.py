"""Scale flag: how much longer the latents of one modality are than those of the other."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, matched

CARD = {
    "label": "Ratio of latent lengths",
    "group": "sanity",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [1.0, None],
    "definition": "Root mean squared length of the latents of the modality in which it is larger over that of the other, over "
    "the query cells. Far above 1, Euclidean distances between modalities compare scales as much as cells: read the scores by "
    "cosine distance beside them.",
    "doi": "",
    "lacks": {"collapse_is_not_rewarded": "says nothing about how good a latent is"},
}


def latent_norm_ratio(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the ratio, from (cells, dims) latents whose rows match.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When there are fewer than two cells, or all latents of a modality have length 0.
    """
    shorter, longer = sorted(_rms_length(z) for z in matched(latent_a=latent_a, latent_b=latent_b))
    if shorter == 0:
        raise Undefined("all latents of a modality have length 0")
    return longer / shorter


def _rms_length(latent: np.ndarray) -> float:
    """Return the root mean squared length of (cells, dims) latents, however large or small their values are."""
    largest = float(np.abs(latent).max(initial=0))
    return largest and largest * float(np.sqrt(np.square(latent / largest).sum(axis=1).mean()))
