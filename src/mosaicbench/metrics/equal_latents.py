"""Self-alignment flag: cells whose latents are the same number for number in both modalities."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import matched

CARD = {
    "label": "Equal latents",
    "group": "sanity",
    "best": None,
    "better": "lower",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "Share of query cells whose latents in both modalities are equal in every dimension. Above 0 for anything "
    "but a control, the two modalities were not two measurements (one file read twice), or the latent is "
    "constant.",
    "doi": "",
}


def equal_latents(latent_a: np.ndarray, latent_b: np.ndarray) -> float:
    """Return the share, from (cells, dims) latents whose rows match.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When there are fewer than two cells.
    """
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    return float(np.all(a == b, axis=1).mean())
