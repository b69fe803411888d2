"""Principal component regression: how much less of the variance the batches explain than before."""

from __future__ import annotations

import warnings

import numpy as np

from mosaicbench.metrics._blocks import dense
from mosaicbench.metrics._checks import Undefined, finite
from mosaicbench.metrics._graph import codes_of

CARD = {
    "label": "PCR",
    "group": "mixing",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "(R0 - R) / R0, with R the share of the latent's variance that the batches explain over its principal "
    "components, and R0 that of the modality's own values; 0 where it is no less (scib-metrics).",
    "doi": "10.1038/s41592-021-01336-8",
}


def pcr(latent: np.ndarray, values: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents, (cells, features) values of the same cells, and (cells,) batches."""
    from scib_metrics import pcr_comparison

    before, after = finite("values", dense(values)), finite("latent", latent)
    if not np.any(np.ptp(after, axis=0) > 0):
        raise Undefined("the latent has no variance to explain")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PCR comparison score is negative")
        return float(pcr_comparison(before, after, codes_of(batches), categorical=True))
