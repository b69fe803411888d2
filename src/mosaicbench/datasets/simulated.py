"""Cells with known shared and private factors, measured as RNA, ATAC and surface-protein counts.

A cell has shared factors s, drawn around the centre of its type, and for each modality private
factors w_m. The rate of feature j of modality m in a cell of batch b is

    log r_mj = base_mj + s . A_mj + w_m . B_mj + effect_mjb

and the counts are: rna, negative binomial around library size x normalised rate; atac, Poisson
around depth x normalised rate; adt, negative binomial around depth x (own rate + ambient
background). Leaving a modality out changes nothing in the others.

With `private_features`, a modality's usual features follow the shared factors alone, and as many
further ones as this key says follow the private factors alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from mudata import MuData
from scipy import sparse

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.errors import UserError

CARD = {
    "label": "Simulated",
    "summary": "all is simulated: known shared and private factors drive RNA, ATAC and protein counts, with batch effects",
    "labels": "simulated: the type whose centre the cell's shared factors were drawn around; no modality has an advantage",
    "licence": "none needed: drawn from a random number generator",
    "citation": "none: simulated by this package",
    "simulated": True,
}

STREAMS = {"rna": 1, "atac": 2, "adt": 3}
TOTAL = {"rna": 0.3, "atac": 0.06}  # counts per feature in a cell of usual depth
BASE = {"rna": (0, 1.5), "atac": (0, 0.8), "adt": (2.5, 0.8)}  # log rates: mean, deviation
DEPTH = {"rna": 0.4, "atac": 0.4, "adt": 0.3}  # deviation of cells' log depths
INVERSE_DISPERSION = {"rna": 2.0, "adt": 5.0}
BLOCK = 2**24  # counts drawn in one call; another value draws other numbers

LogRate = Callable[[slice], np.ndarray]


def load(
    raw: Path | None,
    *,
    cells: Annotated[int, "at least 10"] = 1000,
    modalities: Sequence[Literal["rna", "atac", "adt"]] = ("rna", "atac", "adt"),
    n_rna: Annotated[int, "at least 2"] = 1000,
    n_atac: Annotated[int, "at least 2"] = 3000,
    n_adt: Annotated[int, "at least 2"] = 50,
    fragments: Annotated[float, "above 0"] | None = None,
    cell_types: Annotated[int, "at least 1"] = 6,
    batches: Annotated[int, "at least 1"] = 2,
    shared: Annotated[int, "at least 1"] = 6,
    private: Annotated[int, "at least 0"] = 4,
    private_features: dict[str, Annotated[int, "at least 0"]] | None = None,
    seed: Annotated[int, "at least 0"] = 0,
) -> MuData:
    """Return simulated counts, with the truth in ``obsm``.

    Parameters
    ----------
    raw
        Not used.
    cells, n_rna, n_atac, n_adt
        Numbers of cells and of features per modality (features that no cell shows are dropped).
    fragments
        Counts of ATAC in a cell of usual depth; 0.06 for each peak by default. Cells of a 10x Multiome
        have some 12,000 in their peaks, nuclei of SNARE-seq some 120.
    modalities
        Which of "rna", "atac", "adt" to measure.
    cell_types, batches
        Numbers of cell types (of unequal size) and of batches.
    shared, private
        Numbers of shared factors, and of private factors of each modality.
    private_features
        modality -> number of further features that private factors alone drive.
    seed
        Draws everything.

    Returns
    -------
    MuData
        ``obsm["shared_factors"]`` (cells, shared), and in every modality ``obsm["private_factors"]``
        (cells, private) and ``var["shared_driven"]``: whether any shared factor drives the feature.
    """
    further = {} if private_features is None else private_features
    if unknown := sorted(set(further) - set(modalities)):
        raise UserError(
            f"private_features: no modality {unknown[0]!r}; there are {', '.join(modalities)}"
        )

    rng = np.random.default_rng([seed, 0])
    types, s = typed_factors(cells, cell_types, shared, rng)
    batch = rng.integers(batches, size=cells)

    usual = {"rna": n_rna, "atac": n_atac, "adt": n_adt}
    measured, private_factors, driven = {}, {}, {}
    for modality in modalities:
        features = usual[modality] + further.get(modality, 0)
        stream = np.random.default_rng([seed, STREAMS[modality]])
        w = stream.standard_normal((cells, private))  # (cells, private)
        of_shared = loadings(shared, features, stream)
        of_private = loadings(private, features, stream)
        if modality in further:
            of_shared[:, usual[modality] :] = 0
            of_private[:, : usual[modality]] = 0
        effect = 0.3 * stream.standard_normal((batches, features))
        log_rate = partial(_log_rate, ((s, of_shared), (w, of_private)), effect, batch)
        names = [f"{modality}-{feature:05d}" for feature in range(features)]
        total = fragments if modality == "atac" else None
        mean = expected_counts(modality, log_rate, (cells, features), stream, total)
        counts = _drawn(modality, mean, (cells, features), stream)
        measured[modality] = Measurement(counts, names, modality)
        private_factors[modality] = w
        driven[modality] = pd.Series(np.any(of_shared != 0, axis=0), index=names)

    dataset = assembled(
        measured,
        cells=[f"cell-{cell:06d}" for cell in range(cells)],
        cell_type=[f"type-{label:02d}" for label in types],
        batch=[f"batch-{label:02d}" for label in batch],
    )
    return with_truth(dataset, s, private_factors, driven)


def with_truth(
    dataset: MuData, s: np.ndarray, private: dict[str, np.ndarray], driven: dict[str, pd.Series]
) -> MuData:
    """Add shared factors, and each modality's private factors and features that shared ones drive."""
    dataset.obsm["shared_factors"] = s.astype(np.float32)
    for modality, cells in dataset.mod.items():
        cells.obsm["private_factors"] = private[modality].astype(np.float32)
        cells.var["shared_driven"] = driven[modality].loc[cells.var_names].to_numpy()
    return dataset


def typed_factors(
    cells: int, cell_types: int, shared: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return cell types of unequal size, and standardised factors around their centres."""
    proportions = 0.8 ** np.arange(cell_types)
    types = rng.choice(cell_types, size=cells, p=proportions / proportions.sum())
    centres = 1.8 * rng.standard_normal((cell_types, shared))
    s = centres[types] + rng.standard_normal((cells, shared))  # (cells, shared)
    return types, (s - s.mean(axis=0)) / s.std(axis=0)


def loadings(factors: int, features: int, rng: np.random.Generator) -> np.ndarray:
    """Return (factors, features) effects on the log rate; each factor moves about a fifth of the features."""
    return 0.8 * rng.standard_normal((factors, features)) * (rng.random((factors, features)) < 0.2)


def _log_rate(
    factors: Sequence[tuple[np.ndarray, np.ndarray]],
    effect: np.ndarray,
    batch: np.ndarray,
    rows: slice,
) -> np.ndarray:
    return sum(f[rows] @ loadings for f, loadings in factors) + effect[batch[rows]]


def expected_counts(
    modality: str,
    log_rate: LogRate,
    shape: tuple[int, int],
    rng: np.random.Generator,
    total: float | None = None,
) -> Callable[[slice], np.ndarray]:
    """Return what gives the mean counts of some cells; ``total`` is that of a cell of usual depth."""
    cells, features = shape
    mean, deviation = BASE[modality]
    base = mean + deviation * rng.standard_normal(features)
    ambient = np.exp(1.5 + 0.5 * rng.standard_normal(features)) if modality == "adt" else None
    depth = np.exp(DEPTH[modality] * rng.standard_normal((cells, 1)))
    if ambient is not None:
        return lambda rows: depth[rows] * (np.exp(base + log_rate(rows)) + ambient)
    depth = (TOTAL[modality] * features if total is None else total) * depth
    return lambda rows: depth[rows] * normalised(base + log_rate(rows))


def overdispersed(modality: str, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rates around these means, with the gamma noise of the modality's counts."""
    if modality not in INVERSE_DISPERSION:
        return mean
    inverse = INVERSE_DISPERSION[modality]
    return mean * rng.gamma(inverse, 1 / inverse, size=mean.shape)


def _drawn(
    modality: str,
    mean: Callable[[slice], np.ndarray],
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> sparse.csr_matrix:
    cells, features = shape
    size = max(1, BLOCK // features)
    blocks = []
    for first in range(0, cells, size):
        rates = overdispersed(modality, mean(slice(first, first + size)), rng)
        blocks.append(sparse.csr_matrix(rng.poisson(rates), dtype=np.float32))
    return sparse.vstack(blocks, format="csr")


def normalised(log_rate: np.ndarray) -> np.ndarray:
    """Return rates that sum to one in each cell."""
    rate = np.exp(log_rate - log_rate.max(axis=1, keepdims=True))
    return rate / rate.sum(axis=1, keepdims=True)
