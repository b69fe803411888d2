"""Chance flag: an alignment that cannot be told from no alignment."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._matches import fractions_closer

CARD = {
    "label": "Alignment at chance",
    "group": "sanity",
    "best": 0.0,
    "better": "lower",
    "chance": 1.0,
    "bounds": [0.0, 1.0],
    "definition": "1 where the mean over cells of FOSCTTM, plus two standard errors, reaches 0.5, so that the alignment is "
    "no better than chance; else 0.",
    "doi": "",
    "lacks": {
        "shuffled_is_chance": "is a test, which errs in 2 % of draws",
        "noise_never_improves": "is a flag",
    },
}


def alignment_at_chance(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return 1.0 or 0.0, from a to b, (cells, dims) latents whose rows match; errors as for FOSCTTM."""
    fractions = fractions_closer(latent_a, latent_b)
    return float(fractions.mean() + 2 * fractions.std(ddof=1) / np.sqrt(len(fractions)) >= 0.5)
