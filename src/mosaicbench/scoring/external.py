"""Scores of embeddings and graphs from outside: metrics that need no train cells and no record."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.errors import UserError
from mosaicbench.scoring import scorer
from mosaicbench.scoring.run_data import RunData

if TYPE_CHECKING:
    from scipy import sparse

GROUPS = ("alignment", "label_transfer", "biology", "mixing")
FEWEST_CELLS = 3
FROM_GRAPH = "from_graph"  # the function of a metric's file that reads a graph, not latents


def known_of(obs: pd.DataFrame, *, cell_type: str, batch: str) -> pd.DataFrame:
    """Return the named columns as cell_type and batch, where they exist."""
    names = {cell_type: "cell_type", batch: "batch"}
    return obs[[column for column in names if column in obs]].rename(columns=names)


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
    cells = obs.index
    for source, (names, z) in embeddings.items():
        _check(source, names, z)
        cells = cells[cells.isin(names)]
    if len(cells) < FEWEST_CELLS:
        raise UserError(
            f"only {len(cells)} cells are in the truth and in every embedding; give them all the "
            "same cell names"
        )
    widths = {source: z.shape[1] for source, (_, z) in embeddings.items() if source != "joint"}
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{source}: {width}" for source, width in widths.items())
        raise UserError(f"embeddings in one space have as many dimensions, found {listed}")
    run_data = RunData(
        record={},
        batches=_column(obs.loc[cells], "batch"),
        labels=_column(obs.loc[cells], "cell_type"),
        latents={
            source: np.asarray(z, dtype=np.float32)[names.get_indexer(cells)]
            for source, (names, z) in embeddings.items()
        },
    )
    scores = scorer.score(run_data, groups).scores
    scores = scores.loc[scores["direction"] != "run", ["metric", "direction", "value"]]
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


def _check(source: str, names: pd.Index, z: np.ndarray) -> None:
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


def _column(obs: pd.DataFrame, name: str) -> np.ndarray:
    if name not in obs:
        return np.full(len(obs), "", dtype=object)
    return obs[name].astype(object).where(obs[name].notna(), "").astype(str).to_numpy(dtype=object)
