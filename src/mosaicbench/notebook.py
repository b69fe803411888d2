"""What a notebook asks for: ``import mosaicbench as mb``, then ``mb.integrate``, ``mb.apply``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench import catalog

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def integrate(
    mdata: MuData,
    *,
    method: str,
    seed: int = 0,
    hyperparameters: dict | None = None,
    keep: str | Path | None = None,
    impute: bool = True,
    **options: object,
) -> MuData:
    """Fit a method to cells in memory and return a copy of them with what it gives.

    Parameters
    ----------
    mdata
        Cells with raw counts in ``layers["counts"]`` or ``X``; the method is fitted to those that have every modality.
    method, seed, hyperparameters
        Its id, what everything random depends on, and what differs from its defaults.
    keep
        A folder for the model, to be given to :func:`apply`.
    impute
        Whether modalities that cells lack are imputed.
    **options
        As in a stanza of the config's `datasets`: cell_type, batch, values, kinds.

    Returns
    -------
    MuData
        With ``obsm["X_mosaicbench"]`` of all cells and in every modality, ``obs["mosaicbench_cell_type"]`` and
        ``obs["mosaicbench_agreement"]`` where cell types are given, and a modality per imputed direction, as "rna->atac".

    Raises
    ------
    errors.UserError
        When the method is unknown, or cannot be fitted to these cells.
    """
    from mosaicbench.applying.training import trained

    catalog.card("methods", method)  # refuses an unknown one, with the nearest
    module = importlib.import_module(catalog.module("methods", method))
    given = {} if hyperparameters is None else hyperparameters
    folder = None if keep is None else Path(keep)
    return trained(mdata, module, hyperparameters=given, seed=seed, folder=folder, **options).apply(mdata, impute=impute)


def apply(model: str | Path, mdata: MuData | AnnData, *, impute: bool = True, least_share: float = 0.5) -> MuData:
    """Return a copy of cells in memory with what a kept model gives of them, as :func:`integrate` does.

    Parameters
    ----------
    model
        The folder of a model, or of a run that kept it.
    mdata
        Cells with some of its modalities.
    impute
        Whether modalities that cells lack are imputed.
    least_share
        Share of a modality's features that must be there.

    Raises
    ------
    errors.UserError
        When the model or the cells cannot be used.
    """
    from mosaicbench.applying.model import Model

    return Model.read(model).apply(mdata, impute=impute, least_share=least_share)
