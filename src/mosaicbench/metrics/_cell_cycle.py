"""How far each cell is in the cell cycle, from the genes that tell its two later phases (Tirosh et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from mosaicbench.metrics._blocks import dense

GENES = {
    "S": "MCM5 PCNA TYMS FEN1 MCM2 MCM4 RRM1 UNG GINS2 MCM6 CDCA7 DTL PRIM1 UHRF1 HELLS RFC2 RPA2 NASP RAD51AP1 GMNN WDR76 "
    "SLBP CCNE2 UBR7 POLD3 MSH2 ATAD2 RAD51 RRM2 CDC45 CDC6 EXO1 TIPIN DSCC1 BLM CASP8AP2 USP1 CLSPN POLA1 CHAF1B BRIP1 E2F8",
    "G2M": "HMGB2 CDK1 NUSAP1 UBE2C BIRC5 TPX2 TOP2A NDC80 CKS2 NUF2 CKS1B MKI67 TMPO CENPF TACC3 SMC4 CCNB2 CKAP2L CKAP2 "
    "AURKB BUB1 KIF11 ANP32E TUBB4B GTSE1 KIF20B HJURP CDCA3 CDC20 TTK CDC25C KIF2C RANGAP1 NCAPD2 DLGAP5 CDCA2 CDCA8 ECT2 "
    "KIF23 HMMR AURKA PSRC1 ANLN LBR CKAP5 CENPE CTCF NEK2 G2E3 GAS2L3 CBX5 CENPA",
}
FEWEST = 3  # genes of each phase


def genes_of_phases(names: Sequence[str]) -> dict[str, np.ndarray] | None:
    """Return phase -> columns of its genes among features, by symbol in any case; None with fewer than three of a phase."""
    upper = [name.upper() for name in names]
    wanted = {phase: set(genes.split()) for phase, genes in GENES.items()}
    found = {
        phase: np.flatnonzero([name in genes for name in upper]) for phase, genes in wanted.items()
    }
    return found if min(map(len, found.values())) >= FEWEST else None


def phase_scores(
    values: np.ndarray | sparse.csr_matrix, columns: dict[str, np.ndarray]
) -> np.ndarray:
    """Return the mean over each phase's genes of their standardised values, (cells, phases), from (cells, features) values."""
    scores = []
    for of_phase in columns.values():
        x = np.asarray(dense(values[:, of_phase]), dtype=np.float64)
        spread = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1)
        scores.append(((x - x.mean(axis=0)) / spread).mean(axis=1))
    return np.stack(scores, axis=1)
