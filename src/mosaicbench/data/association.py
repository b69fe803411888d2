"""A dataset by design: the features that tell one cell type from the rest, beside a chosen number of those that tell least.

Märtens and Yau (2024) study private variation on real data so: what is relevant to a binary label stays the same while ever
more irrelevant features join it. The features are chosen with the label and all cells, query cells included: this makes the
dataset, as simulating it would, and is no preprocessing. Scores of that label on such data say how methods compare, not how
well the label can be predicted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from mosaicbench.data.assemble import categorical, rewrapped, source_values
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import measured_in

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

KEYS = ("cell_type", "relevant", "irrelevant")
OTHERS = "other"
PER_CELL = 1e4  # counts per cell after normalisation


def by_association(dataset: MuData, options: dict) -> MuData:
    """Return a dataset of two cell types, one and "other", with the features most and least associated with it.

    Parameters
    ----------
    dataset
        Any dataset in which cells of that type are labelled.
    options
        ``cell_type``: the type that is told from all others (unlabelled cells stay so); ``relevant``, ``irrelevant``: modality
        -> number of the most, and of the least, associated features. A modality under neither key keeps all its features.

    Returns
    -------
    MuData
        RNA counts become log-normalised values, with each cell's total over all genes; other values stay as they are. In
        ``var`` of a modality whose features were chosen, ``relevant`` says which are.

    Raises
    ------
    UserError
        When a key, type or modality is unknown, or there are fewer features than asked for.
    """
    if unknown := sorted(set(options) - set(KEYS)):
        raise UserError(f"association: unknown key {unknown[0]!r}; there are {', '.join(KEYS)}")
    if "cell_type" not in options:
        raise UserError(
            "association: the key 'cell_type' is missing; it names the type that features are to tell from others"
        )
    types, wanted = np.asarray(dataset.obs["cell_type"], dtype=object), str(options["cell_type"])
    if wanted not in set(types):
        raise UserError(
            f"association.cell_type: no cell is called {wanted!r}; there are {_listed(types)}"
        )
    numbers = {key: options.get(key, {}) for key in ("relevant", "irrelevant")}
    for key, given in numbers.items():
        if unknown := sorted(set(given) - set(dataset.mod)):
            raise UserError(
                f"association.{key}: no modality {unknown[0]!r}; there are {', '.join(dataset.mod)}"
            )

    own = np.where(types == wanted, wanted, np.where(types == "", "", OTHERS))
    modalities = dict(dataset.mod)
    for modality in {**numbers["relevant"], **numbers["irrelevant"]}:
        few, many = (int(numbers[key].get(modality, 0)) for key in ("relevant", "irrelevant"))
        modalities[modality] = _chosen(
            dataset[modality], own[measured_in(dataset)[modality]], wanted, few, many, modality
        )
    designed = rewrapped(dataset, modalities)
    designed.obs["cell_type"] = categorical(own)
    return designed


def _listed(types: np.ndarray) -> str:
    return ", ".join(sorted(set(types) - {""}))


def _chosen(
    cells: AnnData, own: np.ndarray, wanted: str, relevant: int, irrelevant: int, modality: str
) -> AnnData:
    """Return a modality's most and least associated features, in the order of the dataset."""
    if not 0 < relevant + irrelevant <= cells.n_vars:
        raise UserError(
            f"association: {relevant} relevant and {irrelevant} irrelevant features of modality {modality!r} were asked for, "
            f"it has {cells.n_vars}"
        )
    compared = _comparable(cells)
    ranked = np.argsort(-_association(compared[own != ""], own[own != ""] == wanted), kind="stable")
    columns = np.sort(np.concatenate([ranked[:relevant], ranked[len(ranked) - irrelevant :]]))
    chosen = cells[:, columns].copy()
    chosen.var["relevant"] = np.isin(columns, ranked[:relevant])
    if cells.uns["kind"] == "rna" and cells.uns["values"] == "counts":
        del chosen.layers["counts"]
        chosen.layers["lognorm"] = compared[:, columns]
        chosen.uns["values"] = "lognorm"
    return chosen


def _comparable(cells: AnnData) -> sparse.csr_matrix:
    """Return values that do not follow a cell's depth: counts are log-normalised."""
    values = source_values(cells)
    if cells.uns["values"] != "counts":
        return values
    totals = np.maximum(np.asarray(values.sum(axis=1)).ravel(), 1)
    return sparse.csr_matrix(sparse.diags((PER_CELL / totals).astype(np.float32)) @ values).log1p()


def _association(values: sparse.csr_matrix, own: np.ndarray) -> np.ndarray:
    """Return |Pearson's r| of each feature with being of the type, (features,); 0 of a feature that does not vary."""
    from sklearn.feature_selection import r_regression

    return np.abs(r_regression(values.astype(np.float64), own.astype(np.float64)))
