"""How often intervals contain the truth, and how often tests call equal runs different, in simulations.

    python benchmarks/interval_coverage.py [--repeats 4000]

Prints the tables of docs/statistics.md and docs/benchmarks; 4,000 repeats (1,000 of designs) take about five minutes.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from mosaicbench.stats.paired import detectable, holm, moderated, variance_factor

CELLS = 300
REPLICATES = 400
REGIMES = {  # standard deviation of seeds, and of cells within a seed
    "seeds differ, cells hardly": (1.0, 0.2),
    "seeds and cells differ alike": (1.0, np.sqrt(CELLS)),
    "cells differ, seeds hardly": (0.0, 1.0),
    "cells differ, skewed": (0.0, 1.0),
}
RUNS = 8
# Variance of each run's initialisations in units of that of query cells, weight of train cells, whether skewed.
DESIGNS = {
    "query cells alone": (np.zeros(RUNS), 0.0, False),
    "starts as much": (np.ones(RUNS), 0.0, False),
    "starts four times as much": (np.full(RUNS, 4.0), 0.0, False),
    "starts of every other run twice as much": (
        np.tile([0.0, 2.0], RUNS // 2),
        0.0,
        False,
    ),
    "starts as much, skewed": (np.ones(RUNS), 0.0, True),
    "train cells half as much, starts as much": (np.ones(RUNS), 0.5, False),
    "one run eight times as much": (np.array([*[0.3] * (RUNS - 1), 8.0]), 0.0, False),
}


def show(title: str, rows: list[dict[str, object]]) -> None:
    """Print a table as TSV; fractions with three decimals."""
    print(f"\n{title}\n")
    print(pd.DataFrame(rows).to_csv(sep="\t", index=False, float_format="%.3f"), end="")


def seeds_of(
    rng: np.random.Generator, repeats: int, seeds: int, regime: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over the cells of every seed, each (repeats, seeds); the true mean is 0."""
    of_seeds, of_cells = REGIMES[regime]
    shape = (repeats, seeds, CELLS)
    noise = rng.exponential(size=shape) - 1 if "skewed" in regime else rng.normal(size=shape)
    x = of_seeds * rng.normal(size=(repeats, seeds, 1)) + of_cells * noise
    return x.mean(-1), x.var(-1, ddof=1)


def percentile_bootstrap(
    rng: np.random.Generator, means: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the percentile interval over seeds and cells; a resampled mean over cells is drawn as a normal."""
    repeats, seeds = means.shape
    total = np.zeros((repeats, REPLICATES))
    for _ in range(seeds):
        drawn = rng.integers(0, seeds, (repeats, REPLICATES))
        mean, variance = (np.take_along_axis(x, drawn, axis=1) for x in (means, variances))
        total += mean + np.sqrt(variance / CELLS) * rng.normal(size=drawn.shape)
    return tuple(np.percentile(total / seeds, [2.5, 97.5], axis=1))


def halves(means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return half the width of the t interval over seeds, and of the interval over cells."""
    seeds = means.shape[1]
    over_seeds = stats.t.ppf(0.975, seeds - 1) * means.std(1, ddof=1) / np.sqrt(seeds)
    return over_seeds, 1.96 * np.sqrt(variances.mean(1) / (CELLS * seeds))


def coverage(rng: np.random.Generator, repeats: int) -> None:
    """Print how often 95 % intervals of one mean contain it, and how often two equal benchmarks are called different."""
    rows = []
    for regime, seeds in product(REGIMES, (3, 5, 10)):
        means, variances = seeds_of(rng, repeats, seeds, regime)
        low, high = percentile_bootstrap(rng, means, variances)
        over_seeds, over_cells = halves(means, variances)
        centre = np.abs(means.mean(1))
        contained = {
            "percentile bootstrap": (low <= 0) & (high >= 0),
            "t over seeds": centre <= over_seeds,
            "the wider of t over seeds and over cells": centre
            <= np.maximum(over_seeds, over_cells),
        }
        fractions = {name: float(one.mean()) for name, one in contained.items()}
        rows.append({"what differs": regime, "seeds": seeds} | fractions)
    show("Coverage of 95 % intervals", rows)

    rows = []
    for of_split, seeds in product((0.0, 1.0), (3, 5, 10)):
        shared = of_split * rng.normal(size=(repeats, seeds))  # the split's effect on both
        a, b = (shared + rng.normal(size=(repeats, seeds)) for _ in "ab")
        low_a, high_a = percentile_bootstrap(rng, a, np.zeros_like(a))
        low_b, high_b = percentile_bootstrap(rng, b, np.zeros_like(b))
        row = {"variance that the splits explain": "half of it" if of_split else "nothing"}
        row |= {"seeds": seeds}
        apart = (low_a > high_b) | (low_b > high_a)
        row |= {"bootstrap intervals do not overlap": float(apart.mean())}
        is_significant = stats.ttest_rel(a, b, axis=1).pvalue < 0.05
        rows.append(row | {"paired t over seeds": float(is_significant.mean())})
    show("Two equal benchmarks called different", rows)


# --- differences between runs -------------------------------------------------------------------------------------------


def simulated_splits(
    rng: np.random.Generator, regime: str, splits: int, query: int, *, of_these_cells: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of equal runs on the query cells of splits of one dataset, and their true means on these cells.

    A cell's score is the sum of effects of the cell on all runs, on every other run (so that runs correlate) and on one run,
    noise of a fit, an effect of the initialisation on all cells of a split, and an effect of the train cells. Query cells
    are a fifth of the dataset.

    Parameters
    ----------
    regime
        A key of :data:`DESIGNS`.
    query
        Query cells of a split.
    of_these_cells
        Whether runs are equal on the cells of this dataset, instead of on all cells of the kind.

    Returns
    -------
    tuple of numpy.ndarray
        (splits, query cells, runs) scores and (runs,) true means on this dataset.
    """
    starts, train, is_skewed = DESIGNS[regime]
    cells = 5 * query
    shape = (cells, RUNS)
    own = rng.exponential(size=shape) - 1 if is_skewed else rng.normal(size=shape)
    kept = rng.normal(size=(cells, 1)) + 0.7 * own  # (cells, runs)
    kept += 0.7 * rng.normal(size=(cells, 2))[:, np.arange(RUNS) % 2]
    pushed = train * 0.7 * rng.normal(size=(cells, RUNS))
    if of_these_cells:
        kept, pushed = kept - kept.mean(0), pushed - pushed.mean(0)
    of_starts = np.sqrt(np.asarray(starts) * 0.98 / query) * rng.normal(size=(splits, RUNS))
    scores = np.empty((splits, query, RUNS))
    for split in range(splits):
        order = rng.permutation(cells)
        tested, fitted = order[:query], order[query:]
        noise = 0.5 * rng.normal(size=(query, RUNS))
        scores[split] = kept[tested] + noise + of_starts[split] + pushed[fitted].mean(0)
    return scores, kept.mean(0) + pushed.mean(0)


def compared(scores: np.ndarray, against: int) -> tuple[np.ndarray, ...]:
    """Return effects, variances between splits and within them of (splits, cells, runs) scores, of all runs but `against`."""
    differences = np.delete(scores - scores[:, :, [against]], against, axis=2)
    of_splits = differences.mean(1)
    return (
        of_splits.mean(0),
        of_splits.var(0, ddof=1),
        differences.var(1, ddof=1).mean(0) / scores.shape[1],
    )


def design(
    rng: np.random.Generator,
    regime: str,
    splits: int,
    query: int,
    repeats: int,
    *,
    cells: bool = True,
) -> dict[str, tuple[float, ...]]:
    """Return coverage of intervals, how often any of equal runs differs significantly from the best, and power.

    Returns
    -------
    dict
        For "these" and "new" cells: (coverage of t over splits, coverage, width relative to t over splits, fraction of
        benchmarks in which a run differs from the best, power at the median smallest detectable difference).
    """
    found = {}
    for target, ratio in (("these", 0.0), ("new", 0.25)):
        factor, picked, rows = variance_factor(splits, ratio), [], []
        for _ in range(repeats):
            scores, _ = simulated_splits(
                rng, regime, splits, query, of_these_cells=target == "these"
            )
            best = int(scores.mean((0, 1)).argmax())
            for against in (RUNS - 1, best):
                effects, between, within = compared(scores, against)
                within = within if cells else np.full(RUNS - 1, np.nan)
                freedom = np.full(RUNS - 1, splits - 1.0)
                variances, degrees = moderated(between, within, freedom, 0.25)
                standard = np.sqrt(variances * factor)
                p = 2 * stats.t.sf(np.abs(effects) / standard, degrees)
                if against == best:
                    picked.append((holm(pd.Series(p), picked=True) < 0.05).any())
                if against == RUNS - 1:
                    half = stats.t.ppf(0.975, degrees) * standard
                    plain = stats.t.ppf(0.975, splits - 1) * np.sqrt(between * factor)
                    least = detectable(standard, degrees, RUNS - 1)
                    critical = stats.t.ppf(1 - 0.025 / (RUNS - 1), degrees) * standard
                    rows.append(np.stack([effects, half, plain, least, critical]))
        effects, half, plain, least, critical = np.concatenate(rows, axis=1)
        covered = [np.mean(np.abs(effects) <= plain), np.mean(np.abs(effects) <= half)]
        power = np.mean(effects + np.median(least) > critical)
        values = (*covered, np.median(half / plain), np.mean(picked), power)
        found[target] = tuple(map(float, values))
    return found


def designs(rng: np.random.Generator, repeats: int) -> None:
    """Print how well the variance model of paired tests does in realistic designs."""
    sizes = ((3, 100), (3, 300), (10, 100))
    cases = [(regime, *size, True) for regime, size in product(DESIGNS, sizes)]
    cases += [(regime, 3, 100, False) for regime in list(DESIGNS)[:4]]
    rows = []
    for regime, splits, query, cells in cases:
        found = design(rng, regime, splits, query, repeats, cells=cells)
        t, covered, width, differs, power = found["these"]
        t_new, covered_new, _, differs_new, power_new = found["new"]
        name = regime.replace("starts", "initialisations")
        name += "" if cells else "; no scores of cells"
        row = {"what differs between splits": name, "splits": splits, "query cells": query}
        row["coverage, these cells (t over splits)"] = f"{covered:.3f} ({t:.3f})"
        row["coverage, new cells (t over splits)"] = f"{covered_new:.3f} ({t_new:.3f})"
        row["width against t"] = f"{width:.2f}"
        row["differ from the best, these and new cells"] = f"{differs:.3f}, {differs_new:.3f}"
        power = f"{power:.3f}, {power_new:.3f}"
        rows.append(row | {"power at the detectable difference, these and new cells": power})
    show(f"Differences between {RUNS} equal runs", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4000)
    repeats = parser.parse_args().repeats
    coverage(np.random.default_rng(0), repeats)
    designs(np.random.default_rng(0), repeats // 4)
