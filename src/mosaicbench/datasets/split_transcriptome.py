"""One transcriptome cut into two sets of genes: real cells whose true pairing is known, as if two assays had measured them.

A gene that both sides measure gives each molecule to one of them at random, so that no number stands in both.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from mosaicbench.data import readers
from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.datasets.pbmc68k_split import stratified_half
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from mudata import MuData

CARD = {
    "label": "Split transcriptome",
    "summary": "the user's RNA counts, genes cut at random into two modalities, with any share of genes in both",
    "labels": "the user's: the obs column that the key cell_type names",
    "licence": "the user's",
    "citation": "the user's",
}


def load(raw: Path | None, *, path: str, cell_type: str | None = None, overlap: float = 0.0, seed: int = 0) -> MuData:
    """Return the cells with modalities ``left`` and ``right``.

    Parameters
    ----------
    raw
        Folder that a relative path starts from; None for the working directory.
    path
        An ``.h5ad`` with counts in ``layers["counts"]`` or ``X``.
    cell_type
        Name of an obs column; without it all cells are unlabelled.
    overlap
        Share of the genes that both sides measure; the others are divided between them, of every two neighbours in order of
        mean expression one each.
    seed
        Draws the genes and the molecules.

    Raises
    ------
    UserError
        When the file or the column is absent, its values are no counts, or `overlap` is not between 0 and 1.
    """
    import anndata

    if not 0 <= overlap <= 1:
        raise UserError(f"overlap: must lie between 0 and 1, found {overlap}")
    source = readers.opened((Path() if raw is None else Path(raw)) / path, anndata.read_h5ad)
    counts = sparse.csc_matrix(source.layers.get("counts", source.X), dtype=np.float32)
    if np.any(counts.data < 0) or np.any(counts.data != np.round(counts.data)):
        raise UserError(f"path: {path} holds no counts; molecules cannot be divided between two modalities")
    if cell_type is not None and cell_type not in source.obs:
        raise UserError(f"cell_type: no obs column {cell_type!r} in {path}; there are {', '.join(source.obs)}")
    random = np.random.default_rng(seed)
    in_left = stratified_half(np.asarray(counts.mean(axis=0)).ravel(), random)
    shared = np.zeros(len(in_left), dtype=bool)
    shared[random.permutation(len(in_left))[: round(overlap * len(in_left))]] = True
    of_left = _part(counts, np.where(shared, 0.5, in_left), random)
    sides = {"left": (of_left, in_left | shared), "right": (counts - of_left, ~in_left | shared)}
    return assembled(
        {name: Measurement(x[:, genes], source.var_names[genes], "rna") for name, (x, genes) in sides.items()},
        cells=source.obs_names,
        cell_type=[""] * source.n_obs if cell_type is None else source.obs[cell_type].astype(str),
        batch=["all"] * source.n_obs,
    )


def _part(counts: sparse.csc_matrix, chance: np.ndarray, random: np.random.Generator) -> sparse.csc_matrix:
    """Return the molecules that fall to one side, each by its gene's chance."""
    part = counts.copy()
    part.data = random.binomial(counts.data.astype(np.int64), np.repeat(chance, np.diff(counts.indptr))).astype(np.float32)
    return part
