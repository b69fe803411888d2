"""The scores of single cells whose means are headline scores: what a bootstrap over cells and a paired comparison need."""

from __future__ import annotations

from collections.abc import Collection
from itertools import permutations

import numpy as np

from mosaicbench.metrics._correlation import pearson_rows
from mosaicbench.metrics._matches import fractions_closer
from mosaicbench.metrics._neighbors import transfer


def per_cell(
    *,
    groups: Collection[str],
    latents: dict[str, np.ndarray],
    train_latents: dict[str, np.ndarray],
    train_labels: dict[str, np.ndarray],
    imputed: dict[str, np.ndarray],
    truth: dict[str, np.ndarray],
    spaces: dict[str, str],
    labels: np.ndarray,
) -> dict[tuple[str, str, str], np.ndarray]:
    """Return (metric, direction, space) -> (cells,) float32; the mean over cells, NaN aside, is the metric's score.

    Parameters
    ----------
    groups, latents, train_latents, train_labels, imputed, truth, spaces, labels
        As for ``scorer.score``.

    Returns
    -------
    dict
        ``foscttm``: the fraction of cells closer than the match; ``label_transfer_accuracy``: 1 where the transferred type is
        the cell's, 0 where not, NaN where it is unknown; ``imputation_pearson_per_cell``: Pearson's r over features, NaN where
        the true profile does not vary.
    """
    labels = np.asarray(labels, dtype=object)
    found = {}
    for source, target in permutations([source for source in latents if source != "joint"], 2):
        direction = f"{source}->{target}"
        if "alignment" in groups:
            found["foscttm", direction, "-"] = fractions_closer(latents[source], latents[target])
        if "label_transfer" in groups and np.any(labels != "") and np.any(train_labels[source] != ""):
            right = transfer(train_latents[source], train_labels[source], latents[target]) == labels
            found["label_transfer_accuracy", direction, "-"] = np.where(labels != "", right, np.nan)
    for direction, values in imputed.items() if "imputation" in groups else ():
        target = direction.split("->")[1]
        found["imputation_pearson_per_cell", direction, spaces[target]] = pearson_rows(truth[target], values)
    return {key: np.asarray(values, dtype=np.float32) for key, values in found.items()}
