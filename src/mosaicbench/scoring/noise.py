"""How much of a normalized value is the sampling of molecules: the noise of counting.

A count x of a molecule with the rate r is Poisson given r, whatever the distribution of r over
cells: overdispersion belongs to the rates, that is to what could be predicted. Every transform of
counts consists of log(1 + c x), with a factor c of the cell and feature, and linear steps. So an
estimate of v(r) = Var log(1 + c X), X ~ Poisson(r), from one count is enough: a table h(x) whose
mean over the counts of any rate is v(r), within 2 %: the delta method, corrected by the ridge
solution for rates up to 100.

The total of a cell is noisy, too; that of peaks counts as known.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData

TARGET_SUM = 1e4  # as in data.normalize
COUNTS = np.arange(160)  # larger ones need no correction
RATES = np.geomspace(0.01, 100, 160)
LOG_SCALES = np.linspace(np.log(1e-3), np.log(1e8), 200)
RIDGE = 1e-3


def has_molecules(cells: AnnData) -> bool:
    """Whether the values are a transform of counts, not binary ones, that has the form above."""
    if "counts" not in cells.layers or cells.uns.get("transform", "lsi") != "lsi":
        return False
    return cells.layers["counts"].max() > 1


def counting_noise(cells: AnnData) -> np.ndarray | sparse.csr_matrix:
    """Return the estimated variance of each normalized value given its rate, (cells, features).

    Single entries may be negative; means over cells, or over features, estimate the mean variance.
    """
    kind = cells.uns["normalization"]
    counts = sparse.coo_matrix(cells.layers["counts"], dtype=np.float64)
    x, total = counts.data, cells.obs["total"].to_numpy(dtype=np.float64)[counts.row]
    if kind == "lognorm":
        noise = _of_share(x, total)
    elif kind == "lsi":
        noise = _variance(x, TARGET_SUM / total * cells.var["weight"].to_numpy()[counts.col])
    else:
        noise = _of_log_ratio(counts)
    variance = sparse.csr_matrix((noise, (counts.row, counts.col)), shape=counts.shape)
    return variance @ cells.varm["LSI"] ** 2 if kind == "lsi" else variance


def _of_share(x: np.ndarray, total: np.ndarray) -> np.ndarray:
    scale, others = TARGET_SUM / total, (total - x) / total
    slope = scale * x / (1 + scale * x)  # of the value along log total
    # A value rises with its own count less than at a fixed total, except from 0 to 1.
    return _variance(x, scale) * (others + 1 / total) ** 2 + slope**2 * others / total


def _of_log_ratio(counts: sparse.coo_matrix) -> np.ndarray:
    features, row, x = counts.shape[1], counts.row, counts.data

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(row, values, minlength=counts.shape[0])[row]

    scale = np.exp(-sums(np.log1p(x)) / features)
    of_mean = sums(_variance(x, np.ones_like(x))) / features**2  # the variance of log g
    slope = scale * x / (1 + scale * x)  # of the value along log g
    return _variance(x, scale) * (1 - 2 / features * x / (1 + x)) + slope**2 * of_mean


def _variance(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return h(x) for every count and its factor: of small counts from the table."""
    place = np.interp(np.log(scale), LOG_SCALES, np.arange(len(LOG_SCALES)))
    lower = np.minimum(place.astype(int), len(LOG_SCALES) - 2)
    column = np.minimum(x, COUNTS[-1]).astype(int)
    table, weight = _table(), place - lower
    small = table[lower, column] * (1 - weight) + table[lower + 1, column] * weight
    return np.where(x < len(COUNTS), small, _delta(x, scale))


def _delta(x: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    return x * (scale / (1 + scale * x)) ** 2


@cache
def _table() -> np.ndarray:
    """Return h, (factors, counts); h(0) = 0, since a rate of 0 has no noise."""
    from scipy.stats import poisson

    reached = np.arange(3 * len(COUNTS))
    probabilities = poisson.pmf(reached, RATES[:, None])
    table = np.zeros((len(LOG_SCALES), len(COUNTS)))
    for place, scale in enumerate(np.exp(LOG_SCALES)):
        values = np.log1p(scale * reached)
        variance = probabilities @ values**2 - (probabilities @ values) ** 2
        start = _delta(reached, scale)
        unit = (values[COUNTS[1:]] / COUNTS[1:]) ** 2
        design = probabilities[:, COUNTS[1:]] * unit / variance[:, None]
        error = 1 - probabilities @ start / variance
        gram = design @ design.T + RIDGE * np.eye(len(error))
        correction = unit * (design.T @ np.linalg.solve(gram, error))
        table[place, 1:] = start[COUNTS[1:]] + correction
    return table
