"""Cell-cycle conservation: whether a latent holds as much of the cell cycle as the values that it was inferred from."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._blocks import dense
from mosaicbench.metrics._checks import Undefined, finite

CARD = {
    "label": "Cell-cycle conservation",
    "group": "biology",
    "best": 1.0,
    "better": "higher",
    "chance": None,
    "bounds": [0.0, 1.0],
    "definition": "1 - |R - R0| / R0, 0 where that is negative, with R the share of the latent's variance that scores of the S "
    "and the G2M phase explain, and R0 that of the modality's own values. A score is the mean of the standardised values of "
    "the phase's genes in measured RNA; asked only where at least three genes of each phase are among its features. scIB "
    "takes the same shares within each batch; here they are over all query cells.",
    "doi": "10.1038/s41592-021-01336-8",
    "lacks": {
        "perfect_is_best": "best is a limit: a latent and the values differ in what else varies",
        "noise_never_improves": "a latent that holds too much of the cell cycle comes nearer with noise",
        "collapse_is_not_rewarded": "is not defined without variance",
    },
}


def cell_cycle_conservation(
    latent: np.ndarray, values: np.ndarray, cell_cycle: np.ndarray
) -> float:
    """Return it from (cells, dims) latents, (cells, features) values and (cells, phases) scores of the same cells.

    Raises
    ------
    ValueError
        When the numbers of cells differ or a value is not finite.
    Undefined
        When the latent or the scores do not vary, or the scores explain nothing of the values.
    """
    z, x, scores = (
        finite("latent", latent),
        finite("values", dense(values)),
        finite("cell_cycle", cell_cycle),
    )
    if not len(z) == len(x) == len(scores):
        raise ValueError(
            f"{len(z)} latents, {len(x)} rows of values and {len(scores)} scores are not of the same cells"
        )
    if not np.any(np.ptp(z, axis=0) > 0) or not np.any(np.ptp(scores, axis=0) > 0):
        raise Undefined("the latent or the cell cycle does not vary over the query cells")
    before, after = _explained(x, scores), _explained(z, scores)
    if before == 0:
        raise Undefined("the cell cycle explains nothing of the values")
    return max(0.0, 1 - abs(after - before) / before)


def _explained(x: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of the variance of x, (cells, features), that a regression on the scores explains.

    It is the same over features as over principal components: a rotation leaves the sums of squares as they are.
    """
    centred, of_phase = x - x.mean(axis=0), scores - scores.mean(axis=0)
    directions, sizes, _ = np.linalg.svd(of_phase, full_matrices=False)
    directions = directions[:, sizes > 1e-10 * sizes.max()]  # (cells, independent scores)
    total = np.square(centred).sum()
    return float(np.square(directions.T @ centred).sum() / total) if total > 0 else 0.0
