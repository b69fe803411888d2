"""Score embeddings of any origin: `mosaicbench score --latents`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mosaicbench.data import read
from mosaicbench.errors import UserError
from mosaicbench.files.tables import write_table
from mosaicbench.inference.measured import known_of
from mosaicbench.inference.output import EMBEDDING
from mosaicbench.scoring.external import GROUPS, scores_of_embeddings, scores_of_graphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from scipy import sparse


def main(
    *,
    latents: Sequence[Path],
    truth: Path | None = None,
    embedding: str | None = None,
    graph: str | None = None,
    cell_type: str | None = None,
    batch: str | None = None,
    groups: Sequence[str] | None = None,
    output: Path | None = None,
) -> None:
    """Print the scores; with `output`, also write them.

    Parameters
    ----------
    latents
        An ``.h5ad`` per source with its name, or one ``.h5mu`` with the coordinates of its modalities;
        "joint" is compared with no other. A cell has the same name in all.
    truth
        ``.h5mu`` or ``.h5ad`` with types and batches in ``obs``; by default the one file of latents.
    embedding
        The key of ``obsm`` of the coordinates; by default they are ``X``, and "X_mosaicbench" of an
        ``.h5mu``.
    graph
        The key of ``obsp`` of a graph of neighbours, for the metrics of graphs. Some need a graph
        of distances.
    cell_type, batch
        Columns of that ``obs``, by default those of these names; without one, the metrics that need
        it are left out.
    groups
        Of metrics; by default alignment, label_transfer, biology and mixing.
    output
        A ``.tsv``.

    Raises
    ------
    UserError
        When a file cannot be read, or its cells are others.
    """
    sources, (first, *others) = {}, latents
    whole = read.annotated(first) if first.suffix == ".h5mu" else None
    if truth is None and (others or whole is None):
        raise UserError("embeddings to score need --truth, unless they are in one .h5mu")
    if whole is not None and others:
        raise UserError(f"{first}: give one .h5mu alone, or an .h5ad per source")
    if whole is not None and graph is None:
        embedding = embedding or EMBEDDING
    parts = {} if whole is None else {**whole.mod, "joint": whole}
    for name, cells in parts.items():
        if embedding in cells.obsm or graph in cells.obsp:
            values = cells.obsm[embedding] if graph is None else cells.obsp[graph]
            sources[name] = (pd.Index(cells.obs_names.astype(str)), values)
    if parts and not sources:
        wanted = f"obsm[{embedding!r}]" if graph is None else f"obsp[{graph!r}]"
        raise UserError(
            f"{first}: no modality has {wanted}; name another with --embedding or --graph"
        )
    for path in () if parts else latents:
        if path.stem in sources:
            raise UserError(
                f"{path}: another file has the name {path.stem!r}; name each after its source"
            )
        cells = read.annotated(path)
        values = (
            _coordinates(path, cells, embedding) if graph is None else _graph(path, cells, graph)
        )
        sources[path.stem] = (pd.Index(cells.obs_names.astype(str)), values)
    known = whole if truth is None else read.annotated(truth)
    obs = known_of(known, cell_type=cell_type, batch=batch)
    scored = scores_of_embeddings if graph is None else scores_of_graphs
    table = scored(sources, obs, groups=GROUPS if groups is None else groups)
    print(
        "computed elsewhere: it is unknown whether it has seen these cells, and its time",
        file=sys.stderr,
    )
    print(table.to_string(index=False))
    if output is not None:
        write_table(output, table)


def _coordinates(path: Path, cells: AnnData, embedding: str | None) -> object:
    if embedding is not None and embedding not in cells.obsm:
        keys = ", ".join(cells.obsm) or "none"
        raise UserError(f"{path}: there is no obsm[{embedding!r}]; there are {keys}")
    z = cells.X if embedding is None else cells.obsm[embedding]
    if z is None:
        raise UserError(f"{path}: X is empty; name the coordinates' key of obsm with --embedding")
    return z


def _graph(path: Path, cells: AnnData, graph: str) -> sparse.csr_matrix:
    if graph not in cells.obsp:
        keys = ", ".join(cells.obsp) or "none"
        raise UserError(f"{path}: there is no obsp[{graph!r}]; there are {keys}")
    return cells.obsp[graph]
