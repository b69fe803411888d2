"""Score embeddings that were made elsewhere, such as in a notebook: `mosaicbench score --latents`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anndata
import mudata
import numpy as np
import pandas as pd

from mosaicbench.errors import UserError
from mosaicbench.files._h5 import quiet_mudata, read_h5
from mosaicbench.files.tables import write_table
from mosaicbench.scoring.external import GROUPS, known_of, scores_of_embeddings, scores_of_graphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from scipy import sparse


def main(
    *,
    latents: Sequence[Path],
    truth: Path,
    embedding: str | None = None,
    graph: str | None = None,
    cell_type: str = "cell_type",
    batch: str = "batch",
    groups: Sequence[str] | None = None,
    output: Path | None = None,
) -> None:
    """Print the scores, and write them where a file is named.

    Parameters
    ----------
    latents
        An ``.h5ad`` per source, named like it ("joint" is compared with no other); a cell has the same name in all.
    truth
        ``.h5mu`` or ``.h5ad`` whose ``obs`` has what is known of the cells.
    embedding
        The key of ``obsm`` of the coordinates; by default they are ``X``.
    graph
        The key of ``obsp`` of a graph of neighbours; metrics that read graphs are asked of it, and none of coordinates. Those
        that read distances need a graph of distances.
    cell_type, batch
        Columns of that ``obs``; one that is not there leaves out the metrics that need it.
    groups
        Of metrics; by default alignment, label_transfer, biology and mixing.
    output
        A ``.tsv``.

    Raises
    ------
    UserError
        When a file cannot be read, or its cells are others.
    """
    sources = {}
    for path in map(Path, latents):
        if path.stem in sources:
            raise UserError(
                f"{path}: there is another file of the name {path.stem!r}; name each after its source"
            )
        cells = read_h5(path, anndata.read_h5ad)
        sources[path.stem] = (
            _coordinates(path, cells, embedding) if graph is None else _graph(path, cells, graph)
        )
    with quiet_mudata():
        known = read_h5(
            truth, mudata.read_h5mu if Path(truth).suffix == ".h5mu" else anndata.read_h5ad
        )
    obs = known_of(known.obs, cell_type=cell_type, batch=batch)
    scored = scores_of_embeddings if graph is None else scores_of_graphs
    table = scored(sources, obs, groups=GROUPS if groups is None else groups)
    print(
        "computed elsewhere: whether it has seen these cells, and how long it took, is not known",
        file=sys.stderr,
    )
    print(table.to_string(index=False))
    if output is not None:
        write_table(output, table)


def _coordinates(path: Path, cells: AnnData, embedding: str | None) -> tuple[pd.Index, np.ndarray]:
    if embedding is not None and embedding not in cells.obsm:
        raise UserError(
            f"{path}: there is no obsm[{embedding!r}]; there are {', '.join(cells.obsm) or 'none'}"
        )
    z = cells.X if embedding is None else cells.obsm[embedding]
    if z is None:
        raise UserError(f"{path}: X is empty; name the coordinates' key of obsm with --embedding")
    return pd.Index(cells.obs_names.astype(str)), np.asarray(
        z.todense() if hasattr(z, "todense") else z
    )


def _graph(path: Path, cells: AnnData, graph: str) -> tuple[pd.Index, sparse.csr_matrix]:
    if graph not in cells.obsp:
        raise UserError(
            f"{path}: there is no obsp[{graph!r}]; there are {', '.join(cells.obsp) or 'none'}"
        )
    return pd.Index(cells.obs_names.astype(str)), cells.obsp[graph]
