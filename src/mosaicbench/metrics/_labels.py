"""Cell types, batches and phases of the cell cycle, as masks, codes or scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mosaicbench.metrics._checks import (
    Matrix,
    NotApplicable,
    Undefined,
    dense,
    finite,
    same_cells,
)

# Genes of the two later phases of the cell cycle (Tirosh et al. 2016).
GENES = {
    "S": "MCM5 PCNA TYMS FEN1 MCM2 MCM4 RRM1 UNG GINS2 MCM6 CDCA7 DTL PRIM1 UHRF1 HELLS RFC2 RPA2 NASP RAD51AP1 GMNN WDR76 "
    "SLBP CCNE2 UBR7 POLD3 MSH2 ATAD2 RAD51 RRM2 CDC45 CDC6 EXO1 TIPIN DSCC1 BLM CASP8AP2 USP1 CLSPN POLA1 CHAF1B BRIP1 E2F8",
    "G2M": "HMGB2 CDK1 NUSAP1 UBE2C BIRC5 TPX2 TOP2A NDC80 CKS2 NUF2 CKS1B MKI67 TMPO CENPF TACC3 SMC4 CCNB2 CKAP2L CKAP2 "
    "AURKB BUB1 KIF11 ANP32E TUBB4B GTSE1 KIF20B HJURP CDCA3 CDC20 TTK CDC25C KIF2C RANGAP1 NCAPD2 DLGAP5 CDCA2 CDCA8 ECT2 "
    "KIF23 HMMR AURKA PSRC1 ANLN LBR CKAP5 CENPE CTCF NEK2 G2E3 GAS2L3 CBX5 CENPA",
}
FEWEST = 3  # genes of each phase


def known(labels: np.ndarray) -> np.ndarray:
    """Return which labels are known, (cells,) bool, at least one; "" is unknown."""
    if not all(isinstance(label, str) for label in labels):
        raise ValueError('labels must be text, "" where unknown')
    rows = labels != ""
    if not rows.any():
        raise ValueError("no cell has a label")
    return rows


def label_subset(latent: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the latents and label codes of the cells with a label, (cells, dims) and (cells,).

    Undefined with fewer than two types.
    """
    latent = finite(latent)
    same_cells(latent, labels)
    rows = known(labels)
    codes = codes_of(labels[rows])
    if codes.max() == 0:
        raise NotApplicable("all labelled query cells are of one type")
    return latent[rows], codes


def with_batch(batches: np.ndarray) -> np.ndarray:
    """Return which cells have a batch, (cells,) bool."""
    return batches != ""


def batch_codes(batches: np.ndarray) -> np.ndarray:
    """Return :func:`codes_of` batches; undefined if a cell has no batch, or all have one."""
    if not with_batch(batches).all():
        raise Undefined("some cells of this graph have no batch")
    codes = codes_of(batches)
    if codes.max(initial=0) == 0:
        raise Undefined("all query cells are of one batch")
    return codes


def codes_of(names: np.ndarray) -> np.ndarray:
    """Return the place of each name by first appearance: the wording of names never matters."""
    if not all(isinstance(name, str) for name in names):
        raise ValueError("names of labels and batches must be text")
    _, first, codes = np.unique(names.astype(str), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def genes_of_phases(names: Sequence[str]) -> dict[str, np.ndarray] | None:
    """Return phase -> columns of its genes, by symbol in any case; None with too few of a phase."""
    upper = [name.upper() for name in names]
    columns = {}
    for phase, genes in GENES.items():
        columns[phase] = np.flatnonzero(np.isin(upper, genes.split()))
        if len(columns[phase]) < FEWEST:
            return None
    return columns


def phase_scores(values: Matrix, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return the mean standardised value of each phase's genes, (cells, phases)."""
    scores = []
    for of_phase in columns.values():
        x = np.asarray(dense(values[:, of_phase]), dtype=np.float64)
        spread = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1)
        scores.append(((x - x.mean(axis=0)) / spread).mean(axis=1))
    return np.stack(scores, axis=1)
