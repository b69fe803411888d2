"""One transcriptome in two sets of genes: real cells with known pairs, as of two assays.

A gene that both sides measure gives each molecule to one of them at random, so that no molecule is
counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from anndata import AnnData
from mudata import MuData
from scipy import sparse

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.read import annotated, obs_columns
from mosaicbench.datasets import pbmc10k_citeseq
from mosaicbench.datasets.pbmc68k_split import stratified_half
from mosaicbench.errors import UserError

CARD = {
    "label": "Split transcriptome",
    "summary": "RNA counts of the user or of pbmc10k_citeseq, genes cut at random into two modalities that may share genes",
    "labels": "the user's: the obs column that the key cell_type names; or those of pbmc10k_citeseq",
    "licence": "the user's",
    "citation": "the user's",
}


def load(
    raw: Path | None,
    *,
    path: str | None = None,
    cell_type: str | None = None,
    overlap: Annotated[float, "at least 0 and at most 1"] = 0.0,
    seed: Annotated[int, "at least 0"] = 0,
) -> MuData:
    """Return the cells with modalities ``left`` and ``right``.

    Parameters
    ----------
    raw
        Folder that a relative path starts from, None for the working directory; without a path,
        that of the fetched files of pbmc10k_citeseq.
    path
        An ``.h5ad`` with counts in ``layers["counts"]`` or ``X``; left out, the RNA of
        pbmc10k_citeseq with its cell types.
    cell_type
        Name of an obs column of that file; without it all its cells are unlabelled.
    overlap
        Fraction of the genes that both sides measure; of the others each side gets one of every two
        neighbours in order of mean expression.
    seed
        Draws the genes and the molecules.
    """
    source, types = _published(raw) if path is None else _own(raw, path, cell_type)
    counts = sparse.csc_matrix(source.layers.get("counts", source.X), dtype=np.float32)
    if np.any(counts.data < 0) or np.any(counts.data != np.round(counts.data)):
        raise UserError(
            f"path: {path} holds no counts; molecules cannot be divided between two modalities"
        )
    random = np.random.default_rng(seed)
    in_left = stratified_half(np.asarray(counts.mean(axis=0)).ravel(), random)
    shared = np.zeros(len(in_left), dtype=bool)
    shared[random.permutation(len(in_left))[: round(overlap * len(in_left))]] = True
    of_left = _part(counts, np.where(shared, 0.5, in_left), random)
    sides = {"left": (of_left, in_left | shared), "right": (counts - of_left, ~in_left | shared)}
    return assembled(
        {
            name: Measurement(x[:, genes], source.var_names[genes], "rna")
            for name, (x, genes) in sides.items()
        },
        cells=source.obs_names,
        cell_type=types,
    )


def _published(raw: Path | None) -> tuple[AnnData, Sequence[str]]:
    if raw is None:
        raise UserError("path: give an .h5ad of your own, or say from: pbmc10k_citeseq")
    whole = pbmc10k_citeseq.load(raw)
    return whole["rna"], whole.obs["cell_type"].astype(str)


def _own(raw: Path | None, path: str, cell_type: str | None) -> tuple[AnnData, Sequence[str]]:
    source = annotated((Path() if raw is None else Path(raw)) / path)
    if cell_type is None:
        return source, [""] * source.n_obs
    return source, obs_columns(source, [cell_type], f"cell_type: {path}")[0].astype(str)


def _part(
    counts: sparse.csc_matrix, chance: np.ndarray, random: np.random.Generator
) -> sparse.csc_matrix:
    part = counts.copy()
    part.data = random.binomial(
        counts.data.astype(np.int64), np.repeat(chance, np.diff(counts.indptr))
    ).astype(np.float32)
    return part
