"""PBMC 68k, reduced: one transcriptome in two halves of its genes, the smallest real paired data.

Nearly all variation is shared: an upper end for alignment, on real cells.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from mudata import MuData

from mosaicbench.data.assemble import Measurement, assembled

CARD = {
    "label": "PBMC 68k, split",
    "summary": "700 blood cells, 765 variable genes cut at random into two halves; log-normalised values, no counts exist",
    "labels": "nearest purified bulk profile (Zheng 2017), from the whole transcriptome: genes of both halves took part",
    "licence": "10x Genomics demonstration data; the reduced copy is part of scanpy (BSD-3-Clause)",
    "citation": "Zheng et al. 2017, Nature Communications 8:14049, doi:10.1038/ncomms14049",
}


def stratified_half(means: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a mask of one random gene of every two neighbours in order of mean expression."""
    pairs = np.argsort(means, kind="stable")[: len(means) // 2 * 2].reshape(-1, 2)
    taken = np.zeros(len(means), dtype=bool)
    taken[pairs[np.arange(len(pairs)), rng.integers(2, size=len(pairs))]] = True
    return taken


def load(raw: Path | None, *, seed: Annotated[int, "at least 0"] = 0) -> MuData:
    """Return 700 cells with modalities ``left`` and ``right``, two disjoint halves of the genes.

    Values are the natural log of 1 + counts per 10,000, which their publisher rounded to three decimals.

    Parameters
    ----------
    raw
        Not used: the data are part of scanpy.
    seed
        Draws each gene's half.
    """
    import scanpy

    source = scanpy.datasets.pbmc68k_reduced()
    values = source.raw.X.tocsc()
    left = stratified_half(np.asarray(values.mean(axis=0)).ravel(), np.random.default_rng(seed))
    halves = {"left": np.flatnonzero(left), "right": np.flatnonzero(~left)}
    return assembled(
        {
            name: Measurement(values[:, genes], source.raw.var_names[genes], "rna", "lognorm")
            for name, genes in halves.items()
        },
        cells=source.obs_names,
        cell_type=source.obs["bulk_labels"],
        batch=["pbmc68k"] * source.n_obs,
    )
