"""The Python API: ``import mosaicbench as mb``; ``mb.integrate``, ``mb.apply``, ``mb.score``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np
    import pandas as pd
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
    """Fit a method to cells in memory; return a copy with latents, types and imputed values.

    Parameters
    ----------
    mdata
        Cells with raw counts in ``layers["counts"]`` or ``X``; the method is fitted to those with
        every modality.
    method, seed, hyperparameters
        The method's id, the random seed, and changes to its defaults.
    keep
        A folder to save the model in, for :func:`apply`.
    impute
        Whether to impute the modalities that cells lack.
    **options
        As in a stanza of the config's `datasets`: cell_type, batch, values, kinds.

    Returns
    -------
    MuData
        With ``obsm["X_mosaicbench"]`` of all cells and in every modality,
        ``obs["mosaicbench_cell_type"]`` and ``obs["mosaicbench_agreement"]`` where cell types are
        given, and a modality per imputed direction, as "rna->atac".

    Raises
    ------
    errors.UserError
        When the method is unknown, or cannot be fitted to these cells.
    """
    from mosaicbench.inference.training import trained

    folder = None if keep is None else Path(keep)
    model = trained(
        mdata, method, hyperparameters=hyperparameters or {}, seed=seed, folder=folder, **options
    )
    return model.apply(mdata, impute=impute)


def apply(
    model: str | Path, mdata: MuData | AnnData, *, impute: bool = True, min_fraction: float = 0.5
) -> MuData:
    """Return a copy of cells in memory with the output of a saved model, as :func:`integrate`.

    Parameters
    ----------
    model
        The folder of a model, or of a run that saved it.
    mdata
        Cells with some of its modalities.
    impute
        Whether to impute the modalities that cells lack.
    min_fraction
        Fraction of a modality's features that the cells must have.

    Raises
    ------
    errors.UserError
        When the model or the cells cannot be used.
    """
    from mosaicbench.inference.model import Model

    return Model.read(model).apply(mdata, impute=impute, min_fraction=min_fraction)


def score(
    mdata: MuData,
    *,
    embeddings: str | Mapping[str, np.ndarray] = "X_mosaicbench",
    graph: str | None = None,
    cell_type: str = "cell_type",
    batch: str = "batch",
    groups: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return scores of embeddings of any origin.

    Parameters
    ----------
    mdata
        Cells with types and batches in ``obs``.
    embeddings
        A key of ``obsm`` of the modalities; or modality, or "joint", -> (cells, latent).
    graph
        A key of ``obsp`` of the modalities or of all cells: metrics of graphs score it, instead of
        embeddings.
    cell_type, batch
        Columns of ``mdata.obs``; without one, the metrics that need it are left out.
    groups
        Of metrics (`mosaicbench list metrics`); by default alignment, label_transfer, biology and
        mixing.

    Returns
    -------
    pandas.DataFrame
        Columns metric, direction (a modality, or an ordered pair), value.

    Raises
    ------
    errors.UserError
        When there is no such embedding, or its cells are others.
    """
    from mosaicbench.scoring.external import (
        GROUPS,
        known_of,
        scores_of_embeddings,
        scores_of_graphs,
    )

    obs = known_of(mdata.obs, cell_type=cell_type, batch=batch)
    groups = GROUPS if groups is None else groups
    if graph is not None:
        places = {**mdata.mod, "joint": mdata}
        graphs = {
            name: (x.obs_names.astype(str), x.obsp[graph])
            for name, x in places.items()
            if graph in x.obsp
        }
        if not graphs:
            raise UserError(
                f"neither a modality nor all cells have obsp[{graph!r}]; run scanpy.pp.neighbors"
            )
        return scores_of_graphs(graphs, obs, groups=groups)
    if isinstance(embeddings, str):
        embeddings = {
            name: cells.obsm[embeddings]
            for name, cells in mdata.mod.items()
            if embeddings in cells.obsm
        }
    if not embeddings:
        raise UserError(
            "no modality has such an embedding; give a key of obsm, or coordinates by modality"
        )
    if unknown := sorted(set(embeddings) - {*mdata.mod, "joint"}):
        raise UserError(
            f"embeddings: there is no modality {unknown[0]!r}; there are {', '.join(mdata.mod)}, "
            "and joint"
        )
    named = {
        name: ((mdata if name == "joint" else mdata[name]).obs_names.astype(str), z)
        for name, z in embeddings.items()
    }
    return scores_of_embeddings(named, obs, groups=groups)
