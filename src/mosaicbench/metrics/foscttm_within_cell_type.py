"""FOSCTTM among the cells of one type, or of one batch: what an alignment knows beyond the types, or the batches."""

from __future__ import annotations

import numpy as np

from mosaicbench.metrics._checks import Undefined, matched
from mosaicbench.metrics._labels import known
from mosaicbench.metrics._matches import counts_one_way

CARD = {
    "best": 0.0,
    "better": "lower",
    "chance": 0.5,
    "bounds": [0.0, 1.0],
    "doi": "",
    "variants": {
        "foscttm_within_cell_type": {
            "label": "FOSCTTM within cell type",
            "group": "alignment",
            "definition": "Mean over labelled query cells of the fraction of other cells of the same type that lie closer "
            "(Euclidean) to the cell's latent in the first modality than its own latent in the second does; ties count "
            "half. Cells without a label, or alone in their type, are left out. Perfect labels without any more "
            "knowledge score 0.5.",
        },
        "foscttm_within_batch": {
            "takes": {"labels": "batches"},
            "label": "FOSCTTM within batch",
            "group": "mixing",
            "definition": "Mean over query cells of the fraction of other cells of the same batch that lie closer (Euclidean) "
            "to the cell's latent in the first modality than its own latent in the second does; ties count half. Cells alone "
            "in their batch are left out. An alignment that knows the batches and no more scores 0.5.",
        },
    },
}


def foscttm_within_cell_type(
    latent_a: np.ndarray, latent_b: np.ndarray, labels: np.ndarray
) -> float:
    """Return the mean fraction of cells of the same type closer than the true match, from a to b.

    Parameters
    ----------
    latent_a, latent_b
        (cells, dims); row i of both is the same cell.
    labels
        (cells,) types, or batches; "" is unknown.

    Raises
    ------
    ValueError
        When the shapes differ or a value is not finite.
    Undefined
        When no type has two cells.
    """
    a, b = matched(latent_a=latent_a, latent_b=latent_b)
    labels = np.asarray(labels, dtype=object)
    if len(labels) != len(a):
        raise ValueError(f"{len(labels)} labels do not match {len(a)} cells")
    rows = np.flatnonzero(known(labels))
    names, types = np.unique(labels[rows].astype(str), return_inverse=True)
    total, cells = 0.0, 0
    for members in (rows[types == code] for code in range(len(names))):
        if len(members) > 1:
            counts = counts_one_way(a[members], b[members])
            closer = (counts[:, 0] + counts[:, 1] / 2).sum() * (len(members) / len(counts))
            total += closer / (len(members) - 1)
            cells += len(members)
    if cells == 0:
        raise Undefined("no cell type, or batch, has two query cells")
    return float(total / cells)
