"""The Python API: ``import mosaicbench as mb``; ``mb.integrate``, ``mb.apply``, ``mb.score``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mosaicbench.config.checking import Strict, Text, faults, refuse
from mosaicbench.config.schema import Fraction
from mosaicbench.errors import UserError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


class _Arguments(Strict):
    """What the functions take besides cells; a wrong one is refused as a key of a config is."""

    method: Text = ""
    hyperparameters: dict[str, Any] | None = None
    keep: str | Path | None = None
    model: str | Path = ""
    impute: bool = True
    min_fraction: Fraction = 0
    key_added: Text = ""
    graph: Text | None = None
    cell_type: Text | None = None
    batch: Text | None = None
    groups: list[Text] | tuple[Text, ...] | None = None


def _check(**arguments: object) -> None:
    refuse(faults(_Arguments, arguments), what="")


def integrate(
    mdata: MuData | dict[str, AnnData],
    *,
    method: str,
    seed: int = 0,
    hyperparameters: dict | None = None,
    keep: str | Path | None = None,
    impute: bool = True,
    key_added: str = "X_mosaicbench",
    **options: object,
) -> MuData:
    """Fit a method to cells in memory; return a copy with latents, types and imputed values.

    Parameters
    ----------
    mdata
        Cells with raw counts in ``layers["counts"]`` or ``X``, as a MuData or modality -> AnnData;
        the method is fitted to those with every modality.
    method, seed, hyperparameters
        The method's id, the random seed, and changes to its defaults.
    keep
        A folder to save the model in, for :func:`apply`.
    impute
        Whether to impute the modalities that cells lack.
    key_added
        The key of ``obsm`` for the latents.
    **options
        As in a stanza of the config's `datasets`: cell_type, batch, values, kinds.

    Returns
    -------
    MuData
        With ``obsm[key_added]`` of all cells and in every modality,
        ``obs["mosaicbench_cell_type"]`` and ``obs["mosaicbench_agreement"]`` where cell types are
        given, and a modality per imputed direction, as "rna->atac".

    Raises
    ------
    errors.UserError
        When the method is unknown, or cannot be fitted to these cells.
    """
    from mosaicbench.inference.training import trained

    _check(
        method=method,
        hyperparameters=hyperparameters,
        keep=keep,
        impute=impute,
        key_added=key_added,
    )
    folder = None if keep is None else Path(keep)
    model = trained(
        mdata, method, hyperparameters=hyperparameters or {}, seed=seed, folder=folder, **options
    )
    return model.apply(mdata, impute=impute, key_added=key_added)


def apply(
    model: str | Path,
    mdata: MuData | AnnData | dict[str, AnnData],
    *,
    impute: bool = True,
    min_fraction: float = 0.5,
    key_added: str = "X_mosaicbench",
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
    key_added
        The key of ``obsm`` for the latents.

    Raises
    ------
    errors.UserError
        When the model or the cells cannot be used.
    """
    from mosaicbench.inference.model import Model

    _check(model=model, impute=impute, min_fraction=min_fraction, key_added=key_added)
    return Model.read(model).apply(
        mdata, impute=impute, min_fraction=min_fraction, key_added=key_added
    )


def score(
    mdata: MuData | dict[str, AnnData],
    *,
    embeddings: str | Mapping[str, np.ndarray | pd.DataFrame] = "X_mosaicbench",
    graph: str | None = None,
    cell_type: str | None = None,
    batch: str | None = None,
    groups: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return scores of embeddings of any origin.

    Parameters
    ----------
    mdata
        Cells with types and batches in ``obs``, of all or of a modality; or modality -> AnnData.
    embeddings
        A key of ``obsm`` of the modalities; or modality, or "joint", -> (cells, latent): an array in
        the order of its cells, or a table by their names.
    graph
        A key of ``obsp`` of the modalities or of all cells: metrics of graphs score it, instead of
        embeddings.
    cell_type, batch
        Columns of ``obs``, by default those of these names; without one, the metrics that need it
        are left out.
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
    import pandas as pd

    from mosaicbench.inference.measured import as_mudata, known_of
    from mosaicbench.scoring.external import GROUPS, scores_of_embeddings, scores_of_graphs

    _check(graph=graph, cell_type=cell_type, batch=batch, groups=groups)
    mdata = as_mudata(mdata)
    obs = known_of(mdata, cell_type=cell_type, batch=batch)
    groups = GROUPS if groups is None else groups
    places = {**mdata.mod, "joint": mdata}
    if graph is not None:
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
        key, keys = embeddings, {one for cells in mdata.mod.values() for one in cells.obsm}
        embeddings = {name: x.obsm[key] for name, x in mdata.mod.items() if key in x.obsm}
        if not embeddings:
            raise UserError(
                f"embeddings: no modality has obsm[{key!r}]{nearest(key, keys or ['none'])}"
            )
    if not isinstance(embeddings, Mapping) or not embeddings:
        raise UserError(
            "embeddings: expected a key of obsm, or coordinates by modality as {'rna': z}, found "
            f"{'none' if isinstance(embeddings, Mapping) else type(embeddings).__name__}"
        )
    if unknown := sorted(set(embeddings) - places.keys()):
        raise UserError(
            f"embeddings: there is no modality {unknown[0]!r}{nearest(unknown[0], places)}"
        )
    named = {}
    for name, z in embeddings.items():
        names = z.index if isinstance(z, pd.DataFrame) else places[name].obs_names
        named[name] = (names.astype(str), z)
    return scores_of_embeddings(named, obs, groups=groups)
