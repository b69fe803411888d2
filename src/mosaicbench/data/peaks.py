"""Peaks of several files as one set: overlapping intervals become one, with the sum of their counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.checks import warn
from mosaicbench.data.links import peak_coordinates
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData


def merged(modality: str, parts: dict[str, AnnData]) -> AnnData:
    """Return all cells with the merged peaks of all files, and warn of how many merged.

    Parameters
    ----------
    modality
        Its name, for messages.
    parts
        File -> cells x peaks; places are in ``var`` or in the names ("chr1:10-20", half-open).

    Raises
    ------
    UserError
        When the place of a peak is unknown.
    """
    import bioframe
    from anndata import AnnData

    places = []
    for file, cells in parts.items():
        places.append(peak_coordinates(cells).assign(file=file, name=cells.var_names))
    peaks = pd.concat(places, ignore_index=True)
    unknown = peaks[(peaks["chrom"] == "") | (peaks["start"] < 0)]
    for file, name in unknown[["file", "name"]].to_numpy()[:1]:
        raise UserError(
            f"peaks: union needs the place of each peak, but {file} does not say that of {name!r}; name "
            "peaks chr1:10-20, or give chrom, start and end in var"
        )
    bare = peaks.assign(chrom=peaks["chrom"].str.removeprefix("chr"))
    clusters = bioframe.cluster(bare, min_dist=None)["cluster"].to_numpy()
    by_cluster = peaks.groupby(clusters)
    table = by_cluster.agg(chrom=("chrom", "first"), start=("start", "min"), end=("end", "max"))
    table.index = table["chrom"] + ":" + table["start"].astype(str) + "-" + table["end"].astype(str)
    ones = np.ones(len(peaks), dtype=np.float32)
    in_cluster = sparse.csr_matrix((ones, (np.arange(len(peaks)), clusters)))
    counts = sparse.block_diag([cells.X for cells in parts.values()], format="csr") @ in_cluster
    shared = peaks["file"][by_cluster["file"].transform("nunique") > 1].value_counts()
    counted = [f"{shared.get(file, 0):,} of {parts[file].n_vars:,} of {file}" for file in parts]
    warn(
        f"modality {modality!r}: the peaks of {len(parts)} files become {len(table):,} merged peaks, as "
        f"peaks: union asks; {', '.join(counted)} overlap with those of another file"
    )
    obs = pd.concat([cells.obs for cells in parts.values()], join="inner")
    return AnnData(sparse.csr_matrix(counts), obs=obs, var=table)
