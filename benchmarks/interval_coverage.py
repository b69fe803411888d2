"""How often intervals hold the truth, and how often tests of equals say otherwise, where the truth is known.

    python benchmarks/interval_coverage.py [--repeats 4000]

Prints the tables of docs/statistics.md; 4,000 repeats take about 15 seconds.
"""

from __future__ import annotations

import argparse
from itertools import combinations, product

import numpy as np
from scipy import stats

CELLS = 300
REPLICATES = 400
REGIMES = {  # standard deviation of seeds, and of cells within a seed
    "seeds differ, cells hardly": (1.0, 0.2),
    "seeds and cells differ alike": (1.0, np.sqrt(CELLS)),
    "cells differ, seeds hardly": (0.0, 1.0),
    "cells differ, skewed": (0.0, 1.0),
}
RUNS = 12


def table(title: str, head: list[str], rows: list[list[object]]) -> None:
    """Print a table in Markdown; fractions with three decimals."""
    print(f"\n{title}\n")
    cells = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row] for row in rows]
    for line in [head, ["---"] * len(head), *cells]:
        print(f"| {' | '.join(line)} |")


def seeds_of(rng: np.random.Generator, repeats: int, seeds: int, regime: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over the cells of every seed, each (repeats, seeds); the true mean is 0."""
    of_seeds, of_cells = REGIMES[regime]
    noise = (
        rng.exponential(size=(repeats, seeds, CELLS)) - 1 if "skewed" in regime else rng.normal(size=(repeats, seeds, CELLS))
    )
    x = of_seeds * rng.normal(size=(repeats, seeds, 1)) + of_cells * noise
    return x.mean(-1), x.var(-1, ddof=1)


def percentile_bootstrap(rng: np.random.Generator, means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    """Print how often 95 % intervals of one mean hold it, and how often two equal benchmarks are called different."""
    rows = []
    for regime in REGIMES:
        for seeds in (3, 5, 10):
            means, variances = seeds_of(rng, repeats, seeds, regime)
            low, high = percentile_bootstrap(rng, means, variances)
            over_seeds, over_cells = halves(means, variances)
            centre = np.abs(means.mean(1))
            held = [(low <= 0) & (high >= 0), centre <= over_seeds, centre <= np.maximum(over_seeds, over_cells)]
            rows.append([regime, seeds, *(float(x.mean()) for x in held)])
    head = ["", "seeds", "percentile bootstrap", "t over seeds", "the wider of t over seeds and over cells"]
    table("Coverage of 95 % intervals", head, rows)

    rows = []
    for of_split, seeds in product((0.0, 1.0), (3, 5, 10)):
        shared = of_split * rng.normal(size=(repeats, seeds))  # what the split does to both
        sides = [shared + rng.normal(size=(repeats, seeds)) for _ in "ab"]
        (low_a, high_a), (low_b, high_b) = (percentile_bootstrap(rng, x, np.zeros_like(x)) for x in sides)
        apart = float(np.mean((low_a > high_b) | (low_b > high_a)))
        p = stats.ttest_rel(*sides, axis=1).pvalue
        rows.append(["half of it" if of_split else "nothing", seeds, apart, float(np.mean(p < 0.05))])
    table(
        "Two equal benchmarks called different",
        ["what the splits explain", "seeds", "bootstrap intervals do not meet", "paired t over seeds"],
        rows,
    )


def holm_rejects(p: np.ndarray) -> np.ndarray:
    """Say of each row of p values whether Holm's procedure rejects any at 5 %: whether the smallest is below 5 % / number."""
    return p.min(1) < 0.05 / p.shape[1]


def families(rng: np.random.Generator, repeats: int) -> None:
    """Print how often any of equal runs is told from another."""
    rows = []
    for seeds in (3, 5, 10):
        x = rng.normal(size=(repeats, seeds, 1)) + rng.normal(size=(repeats, seeds, RUNS))
        p = np.full((repeats, RUNS, RUNS), np.nan)
        for i, j in combinations(range(RUNS), 2):
            p[:, i, j] = p[:, j, i] = stats.ttest_rel(x[:, :, i], x[:, :, j], axis=1).pvalue
        best = x.mean(1).argmax(1)
        others = ~np.eye(RUNS, dtype=bool)
        against_best = p[np.arange(repeats), best][others[best]].reshape(repeats, RUNS - 1)
        pairs = p[:, *np.triu_indices(RUNS, 1)]
        rows.append([seeds, *(float(holm_rejects(q).mean()) for q in (against_best, p[:, 0, 1:], pairs))])
    head = ["seeds", "against the best, picked", "against a run named before", "all pairs"]
    table(f"Family-wise error of Holm's tests over seeds, {RUNS} equal runs", head, rows)


def resplits(rng: np.random.Generator, repeats: int, cells: int = 300, query: float = 0.2) -> None:
    """Print how often two methods that are equal in the population are told apart by re-splits of one dataset.

    Each method sees one feature of its own, learns a threshold between two cell types and is scored by its accuracy on query
    cells; the two features are drawn alike, so that neither is better but by the cells that happen to be in the dataset.
    """
    n = round(cells * query)
    rows = []
    for seeds in (3, 5, 10):
        plain = corrected = 0
        for _ in range(repeats):
            kind = np.arange(cells) % 2
            features = rng.normal(size=(cells, 2)) + kind[:, None]
            differences = np.empty(seeds)
            for seed in range(seeds):
                order = rng.permutation(cells)
                train, test = order[n:], order[:n]
                threshold = (features[train][kind[train] == 1].mean(0) + features[train][kind[train] == 0].mean(0)) / 2
                right = (features[test] > threshold) == kind[test, None]
                differences[seed] = right[:, 0].mean() - right[:, 1].mean()
            critical = stats.t.ppf(0.975, seeds - 1) * differences.std(ddof=1)
            plain += abs(differences.mean()) > critical * np.sqrt(1 / seeds)
            corrected += abs(differences.mean()) > critical * np.sqrt(1 / seeds + n / (cells - n))
        rows.append([seeds, plain / repeats, corrected / repeats])
    head = ["re-splits", "paired t over seeds", "with Nadeau and Bengio's correction"]
    table("Two methods that are equal in the population, told apart on one dataset", head, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4000)
    repeats = parser.parse_args().repeats
    for simulate in (coverage, families, resplits):
        simulate(np.random.default_rng(0), repeats)
