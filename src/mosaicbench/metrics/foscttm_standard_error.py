"""The standard error that FOSCTTM has of comparing a sample of the query cells."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import fractions_closer, sampling_error

CARD = {
    "label": "FOSCTTM, error of sampling",
    "group": "sampling",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, None],
    "definition": "Standard error of FOSCTTM as an estimate of what it is over all query cells: s / sqrt(m) x sqrt(1 - m / n), "
    "with s the standard deviation over the m of n cells that were drawn; 0 where all were compared. What other query cells "
    "would change is not in it.",
    "doi": "",
    "lacks": {"collapse_is_not_rewarded": "is no score of a latent, but how well a score is known"},
}


def foscttm_standard_error(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the standard error, from a to b, (cells, dims) latents whose rows match; errors as for FOSCTTM."""
    return sampling_error(fractions_closer(latent_a, latent_b), len(latent_a))
