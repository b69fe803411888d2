"""Principal component regression: how much less of the variance the batches explain than before."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import dense
from mosaicbench.metrics._checks import Undefined, finite
from mosaicbench.metrics._graph import codes_of, with_batch

CARD = {
    "label": "PCR",
    "group": "mixing",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "(R0 - R) / R0, with R the share of the latent's variance that the batches explain over its principal "
    "components, and R0 that of the modality's own values, of cells with a batch; 0 where it is no less (as in scib-metrics).",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {
        "perfect_is_best": "best is a limit",
        "noise_never_improves": "does not measure agreement",
        "collapse_is_not_rewarded": "is not defined without variance",
    },
}


def pcr(latent: np.ndarray, values: np.ndarray, batches: np.ndarray) -> float:
    """Return it from (cells, dims) latents, (cells, features) values of the same cells, and (cells,) batches."""
    rows = with_batch(batches)
    values, latent = finite("values", dense(values))[rows], finite("latent", latent)[rows]
    if not np.any(np.ptp(latent, axis=0) > 0):
        raise Undefined("the latent has no variance to explain")
    codes = codes_of(np.asarray(batches, dtype=object)[rows])
    before, after = _explained(values, codes), _explained(latent, codes)
    if before == 0:
        raise Undefined("the batches explain nothing of the values")
    return max(0.0, (before - after) / before)


def _explained(x: np.ndarray, codes: np.ndarray) -> float:
    """Return the share of the variance of x, (cells, features), that lies between batches.

    That is what the regressions of all its principal components on the batches explain, each weighed by its variance.
    """
    centred = x - x.mean(axis=0)
    batches = np.arange(codes.max() + 1) == codes[:, None]  # (cells, batches)
    between = np.square(batches.T @ centred).sum(axis=1) / batches.sum(axis=0)  # (batches,)
    total = np.square(centred).sum()
    return float(between.sum() / total) if total > 0 else 0.0
