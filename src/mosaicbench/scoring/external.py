"""Scores of embeddings and graphs from outside: metrics that need no train cells and no record."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.catalog import catalog
from mosaicbench.errors import DataWarning, UserError
from mosaicbench.scoring import scorer
from mosaicbench.scoring.run_data import RunData

GROUPS = ("alignment", "label_transfer", "biology", "mixing")
FEWEST_CELLS = 3
FROM_GRAPH = "from_graph"  # the function of a metric's file that reads a graph, not latents


def scores_of_embeddings(
    embeddings: Mapping[str, tuple[pd.Index, np.ndarray]],
    obs: pd.DataFrame,
    *,
    groups: Collection[str] = GROUPS,
) -> pd.DataFrame:
    """Return a row per metric and source, or ordered pair of sources.

    Metrics of train cells and of resources are left out.

    Parameters
    ----------
    embeddings
        source -> names of its cells, and their (cells, latent) coordinates. A name is the same cell
        in every source; "joint" is never compared with others.
    obs
        By cell, with the columns cell_type and batch where they are known.
    groups
        Of metrics, as `mosaicbench list metrics` names them.

    Returns
    -------
    pandas.DataFrame
        Columns metric, direction, value; of the cells that every source has.

    Raises
    ------
    UserError
        When names are not unique, coordinates are not finite or of different widths, or too few
        cells are in all sources.
    """
    known = {card["group"] for card in catalog.cards("metrics").values()}
    if unknown := sorted(set(groups) - known):
        raise UserError(f"groups: there is no {unknown[0]!r}; there are {', '.join(sorted(known))}")
    obs = obs.set_axis(obs.index.astype(str))
    coordinates, lacking, cells = {}, [], obs.index
    for source, (names, z) in embeddings.items():
        coordinates[source] = (names, _checked(source, names, z))
        if absent := (~obs.index.isin(names)).sum():
            lacking.append(f"{source} lacks {absent}")
        cells = cells[cells.isin(names)]
    if len(cells) < FEWEST_CELLS:
        raise UserError(
            f"only {len(cells)} cells are in the truth and in every embedding; give them all the "
            "same cell names"
        )
    if lacking:
        warnings.warn(
            f"{len(cells)} of {len(obs)} cells are scored, those that every embedding has "
            f"({', '.join(lacking)})",
            DataWarning,
            stacklevel=2,
        )
    widths = {source: z.shape[1] for source, (_, z) in coordinates.items() if source != "joint"}
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{source}: {width}" for source, width in widths.items())
        raise UserError(f"embeddings in one space have as many dimensions, found {listed}")
    run_data = RunData(
        record={},
        batches=_column(obs.loc[cells], "batch"),
        labels=_column(obs.loc[cells], "cell_type"),
        latents={source: z[names.get_indexer(cells)] for source, (names, z) in coordinates.items()},
    )
    scores = scorer.score(run_data, groups).scores
    scores = scores.loc[scores["direction"] != "run", ["metric", "direction", "value"]]
    if scores.empty:
        raise UserError(
            "nothing can be scored: these groups of metrics need a second source, or cell types or "
            "batches; name their columns with cell_type and batch"
        )
    return scores.reset_index(drop=True)


def scores_of_graphs(
    graphs: Mapping[str, tuple[pd.Index, sparse.csr_matrix]],
    obs: pd.DataFrame,
    *,
    groups: Collection[str] = GROUPS,
) -> pd.DataFrame:
    """Return a row per graph and metric that reads graphs: with a function ``from_graph``.

    Parameters
    ----------
    graphs
        source -> names of its cells, and a (cells, cells) graph: where j is a neighbour of i, entry
        (i, j) is not 0, and is the distance for metrics that read distances.
    obs, groups
        As of :func:`scores_of_embeddings`.

    Returns
    -------
    pandas.DataFrame
        Columns metric, direction, value.

    Raises
    ------
    UserError
        When a graph is not of its cells, or one of them is not in `obs`.
    """
    obs = obs.set_axis(obs.index.astype(str))
    rows = []
    for source, (names, graph) in graphs.items():
        cells = pd.Index(names).astype(str)
        if graph.shape != (len(cells), len(cells)):
            raise UserError(
                f"graph {source!r}: expected {len(cells)} times {len(cells)} cells, found {graph.shape}"
            )
        if unknown := (~cells.isin(obs.index)).sum():
            raise UserError(
                f"graph {source!r}: {unknown} of its {len(cells)} cells are not in the truth; give "
                "the same names"
            )
        needs: dict[str, object] = {"graph": graph}
        for need, column in (("labels", "cell_type"), ("batches", "batch")):
            values = _column(obs.loc[cells], column)
            if len(set(values) - {""}) > 1:
                needs[need] = values
        for metric, card in catalog.cards("metrics").items():
            if card["group"] in groups and catalog.stands_beside(metric, FROM_GRAPH):
                parameters = catalog.parameters("metrics", metric, FROM_GRAPH)
                if set(parameters) <= set(needs):
                    given = {need: needs[need] for need in parameters}
                    rows.append((metric, source, scorer.ask(metric, FROM_GRAPH, **given)))
    return pd.DataFrame(rows, columns=["metric", "direction", "value"])


def _checked(source: str, names: pd.Index, given: object) -> np.ndarray:
    given = given.toarray() if sparse.issparse(given) else given
    try:
        z = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"embedding {source!r}: expected numbers, (cells, latent); it holds text, or rows of "
            "different lengths"
        ) from error
    if len(names) != len(z) or np.ndim(z) != 2:
        raise UserError(
            f"embedding {source!r}: expected (cells, latent) for {len(names)} cells, found shape "
            f"{np.shape(z)}"
        )
    if not names.is_unique:
        raise UserError(
            f"embedding {source!r} names a cell twice, {names[names.duplicated()][0]!r}; make the "
            "names unique"
        )
    if not np.isfinite(z).all():
        raise UserError(
            f"embedding {source!r} holds NaN or infinite values; leave out the cells that have none"
        )
    return z


def _column(obs: pd.DataFrame, name: str) -> np.ndarray:
    if name not in obs:
        return np.full(len(obs), "", dtype=object)
    return obs[name].astype(object).where(obs[name].notna(), "").astype(str).to_numpy(dtype=object)
