"""trust: estimate how well modalities match where nobody knows which cells do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.commands._trust import Latents, observed
from mosaicbench.data import read
from mosaicbench.data.links import linked
from mosaicbench.data.split import all_cells
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import LINKS
from mosaicbench.inference.measured import known_of
from mosaicbench.inference.output import EMBEDDING
from mosaicbench.inference.training import dataset_of
from mosaicbench.scoring import trust

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

FIRST_WIDTH = 30


def main(
    *,
    latents: Path,
    embedding: str = EMBEDDING,
    values: Path | None = None,
    cell_type: str | None = None,
    kinds: dict | None = None,
    links: Path | None = None,
    gtf: Path | None = None,
) -> None:
    """Print the estimates of every pair of modalities, and what each feature says.

    Parameters
    ----------
    latents
        In an ``.h5ad``, NaN is a cell without that modality; with a column "subset" in ``obs``, only
        cells of the query count.
    cell_type
        Column of `latents` or `values`: the share of the most frequent type is the accuracy of a
        label transfer that knows nothing.
    links, gtf
        Not needed for a dataset of mosaicbench, which has links.

    Raises
    ------
    UserError
        When a file cannot be read or has no such latents, or cells have no values.
    """
    whole = read.annotated(latents)
    if values is None and latents.suffix != ".h5mu":
        raise UserError(
            f"{latents}: has no values of features; name an .h5mu with the counts of these cells "
            "with --values: without linked features, exchanged types look like a match"
        )
    measured = whole if values is None else read.annotated(values)
    known = known_of(measured, cell_type=cell_type, batch=None)
    if LINKS not in getattr(measured, "varp", ()):
        measured = linked(dataset_of(measured, {"kinds": kinds}), table=links, gtf=gtf)
    cells = all_cells(measured, dataset_name=(values or latents).name, seed=0)
    sources = _latents(latents, whole, embedding, list(cells.mod))
    shares = known.get("cell_type", pd.Series(dtype=str)).value_counts(normalize=True)
    for pair, found in observed(sources, cells).items():
        first, second = (f"{m} ({len(sources[m][0]):,} cells)" for m in pair)
        print(f"{first} and {second}, {found['columns']} linked features")
        print(*_lines(found, shares.max() if len(shares) else None), sep="\n")
    both = set.intersection(*(set(names) for names, _ in sources.values()))
    if both:
        print(
            f"{len(both):,} cells are in all modalities: mosaicbench score --latents measures them"
        )


def _latents(path: Path, whole: AnnData | MuData, key: str, modalities: list[str]) -> Latents:
    parts = {m: (whole, f"{key}_{m}") for m in modalities}
    if hasattr(whole, "mod"):
        parts = {m: (whole[m], key) for m in modalities if m in whole.mod}
    found = {}
    for modality, (cells, name) in parts.items():
        if name in cells.obsm:
            z = np.asarray(cells.obsm[name], dtype=np.float64)
            rows = np.isfinite(z).all(axis=1)
            if "subset" in cells.obs:
                rows &= (cells.obs["subset"] == "query").to_numpy()
            found[modality] = cells.obs_names[rows].astype(str), z[rows]
    if len(found) < 2:
        expected = ", ".join(sorted({f"obsm[{name!r}]" for _, name in parts.values()}))
        raise UserError(
            f"{path}: expected latents of two modalities in {expected}, found {len(found)}; name "
            "another key with --embedding"
        )
    return found


def _lines(found: dict, share: float | None) -> list[str]:
    lines = []
    if "index" in found:
        scores = trust.estimates(found["index"])
        bad = "; as bad as exchanged types" * (scores["foscttm"][0] >= trust.BAD)
        lines = [_line("FOSCTTM", *scores["foscttm"]) + bad]
        name, skill = "label transfer, 0 is chance", scores["label_transfer_skill"]
        if share is not None:
            name, skill = "label transfer accuracy", [trust.accuracy(x, share) for x in skill]
        lines.append(_line(name, *skill))
    else:
        why = "exchanged types would look like a match; --links or --gtf may help"
        lines = [f"  no estimate, as {found['why']}: {why}"]
    if found.get("own", 1) < trust.LEAST:
        lines.append(
            f"  own is below {trust.LEAST}: linked features say little about these latents, so the "
            "estimate may be far off"
        )
    said = {name: what for name, what in trust.FEATURES.items() if name in found}
    return [*lines, *(f"  {name:<{FIRST_WIDTH}}{found[name]:.3f}  {said[name]}" for name in said)]


def _line(name: str, middle: float, low: float, high: float) -> str:
    return (
        f"  {name:<{FIRST_WIDTH}}{middle:.3f}  estimated, not measured; 90 % interval {low:.3f} to "
        f"{high:.3f}"
    )
