"""Score embeddings of any origin: `mosaicbench score --latents`."""

from __future__ import annotations

import sys
from pathlib import Path

from mosaicbench.data import read
from mosaicbench.errors import UserError
from mosaicbench.files.tables import write_table
from mosaicbench.inference.measured import known_of
from mosaicbench.inference.output import EMBEDDING
from mosaicbench.scoring.external import GROUPS, scores_of_embeddings, scores_of_graphs


def main(
    *,
    latents: list[Path],
    truth: Path | None = None,
    embedding: str | None = None,
    graph: str | None = None,
    cell_type: str | None = None,
    batch: str | None = None,
    groups: list[str] | None = None,
    output: Path | None = None,
) -> None:
    """Print the scores; with `output`, also write them.

    Parameters
    ----------
    latents
        An ``.h5ad`` per source with its name, or one ``.h5mu`` with the coordinates of its modalities;
        "joint" is compared with no other. A cell has the same name in all.
    graph
        Some metrics of graphs need a graph of distances.
    cell_type, batch
        Without such a column, the metrics that need it are left out.
    groups
        By default alignment, label_transfer, biology and mixing.
    """
    sources, (first, *others) = {}, latents
    whole = read.annotated(first) if first.suffix == ".h5mu" else None
    if truth is None and (others or whole is None):
        raise UserError("embeddings to score need --truth, unless they are in one .h5mu")
    if whole is not None and others:
        raise UserError(f"{first}: give one .h5mu alone, or an .h5ad per source")
    part, key = ("obsm", embedding) if graph is None else ("obsp", graph)
    if whole is not None:
        key = key or EMBEDDING
        for name, cells in {**whole.mod, "joint": whole}.items():
            if key in getattr(cells, part):
                sources[name] = (cells.obs_names.astype(str), getattr(cells, part)[key])
        if not sources:
            raise UserError(
                f"{first}: no modality has {part}[{key!r}]; name another with --embedding or --graph"
            )
    for path in latents if whole is None else ():
        if path.stem in sources:
            raise UserError(
                f"{path}: another file has the name {path.stem!r}; name each after its source"
            )
        cells = read.annotated(path)
        values = cells.X if key is None else getattr(cells, part).get(key)
        if values is None:
            what = "X is empty" if key is None else f"there is no {part}[{key!r}]"
            keys = ", ".join(getattr(cells, part)) or "none"
            raise UserError(f"{path}: {what}; there are {keys} (--embedding, --graph)")
        sources[path.stem] = (cells.obs_names.astype(str), values)
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
