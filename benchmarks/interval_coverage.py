"""How often intervals hold the truth, and how often tests of equals say otherwise, where the truth is known.

    python benchmarks/interval_coverage.py [--repeats 4000]

Prints the tables of docs/statistics.md; with 4,000 repeats (1,000 of whole designs) in about five minutes.
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
DESIGNS = {  # variance of starts and the like for each run, in units of what query cells explain; weight of train cells; skewed
    "query cells alone": (np.zeros(RUNS), 0.0, False),
    "starts as much": (np.ones(RUNS), 0.0, False),
    "starts four times as much": (np.full(RUNS, 4.0), 0.0, False),
    "starts of every other run twice as much": (
        np.where(np.arange(RUNS) % 2, 2.0, 0.0),
        0.0,
        False,
    ),
    "starts as much, skewed": (np.ones(RUNS), 0.0, True),
    "train cells half as much, starts as much": (np.ones(RUNS), 0.5, False),
    "one run eight times as much": (np.where(np.arange(RUNS) == RUNS - 1, 8.0, 0.3), 0.0, False),
}


def table(title: str, head: list[str], rows: list[list[object]]) -> None:
    """Print a table in Markdown; fractions with three decimals."""
    print(f"\n{title}\n")
    cells = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row]
        for row in rows
    ]
    for line in [head, ["---"] * len(head), *cells]:
        print(f"| {' | '.join(line)} |")


def seeds_of(
    rng: np.random.Generator, repeats: int, seeds: int, regime: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over the cells of every seed, each (repeats, seeds); the true mean is 0."""
    of_seeds, of_cells = REGIMES[regime]
    noise = (
        rng.exponential(size=(repeats, seeds, CELLS)) - 1
        if "skewed" in regime
        else rng.normal(size=(repeats, seeds, CELLS))
    )
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
    """Print how often 95 % intervals of one mean hold it, and how often two equal benchmarks are called different."""
    rows = []
    for regime in REGIMES:
        for seeds in (3, 5, 10):
            means, variances = seeds_of(rng, repeats, seeds, regime)
            low, high = percentile_bootstrap(rng, means, variances)
            over_seeds, over_cells = halves(means, variances)
            centre = np.abs(means.mean(1))
            held = [
                (low <= 0) & (high >= 0),
                centre <= over_seeds,
                centre <= np.maximum(over_seeds, over_cells),
            ]
            rows.append([regime, seeds, *(float(x.mean()) for x in held)])
    head = [
        "",
        "seeds",
        "percentile bootstrap",
        "t over seeds",
        "the wider of t over seeds and over cells",
    ]
    table("Coverage of 95 % intervals", head, rows)

    rows = []
    for of_split, seeds in product((0.0, 1.0), (3, 5, 10)):
        shared = of_split * rng.normal(size=(repeats, seeds))  # what the split does to both
        sides = [shared + rng.normal(size=(repeats, seeds)) for _ in "ab"]
        (low_a, high_a), (low_b, high_b) = (
            percentile_bootstrap(rng, x, np.zeros_like(x)) for x in sides
        )
        apart = float(np.mean((low_a > high_b) | (low_b > high_a)))
        p = stats.ttest_rel(*sides, axis=1).pvalue
        rows.append(
            ["half of it" if of_split else "nothing", seeds, apart, float(np.mean(p < 0.05))]
        )
    table(
        "Two equal benchmarks called different",
        [
            "what the splits explain",
            "seeds",
            "bootstrap intervals do not meet",
            "paired t over seeds",
        ],
        rows,
    )


# --- differences between runs -------------------------------------------------------------------------------------------


def simulated_splits(
    rng: np.random.Generator, regime: str, splits: int, query: int, *, of_these_cells: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of equal runs on the query cells of splits of one dataset, and what of them is of these cells alone.

    A cell's score has what all runs share, what is of the kind of run (every other run is of one kind, so that they correlate),
    and what is of one run; a fit adds noise of its own to every cell, a start moves all cells of a split, and train cells move
    them by what they have in common. Query cells are a fifth of the dataset.

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
    own = rng.exponential(size=(cells, RUNS)) - 1 if is_skewed else rng.normal(size=(cells, RUNS))
    kept = (
        rng.normal(size=(cells, 1))
        + 0.7 * rng.normal(size=(cells, 2))[:, np.arange(RUNS) % 2]
        + 0.7 * own
    )  # (cells, runs)
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
) -> dict:
    """Return how often intervals hold the truth, how often any of equal runs is told from the best, and the power.

    Returns
    -------
    dict
        For "these" and "new" cells: (coverage of t over splits, coverage, width as a share of that of t over splits, runs told
        from the best that was picked, power at the median smallest detectable difference).
    """
    found = {}
    for target, ratio in (("these", 0.0), ("new", 0.25)):
        held_by_t, held, widths, picked, errors, least, critical = [], [], [], [], [], [], []
        for _ in range(repeats):
            scores, _ = simulated_splits(
                rng, regime, splits, query, of_these_cells=target == "these"
            )
            freedom = np.full(RUNS - 1, splits - 1.0)
            best = int(scores.mean((0, 1)).argmax())
            for against in (RUNS - 1, best):
                effects, between, within = compared(scores, against)
                within = within if cells else np.full(RUNS - 1, np.nan)
                variances, degrees = moderated(between, within, freedom, 0.25)
                standard = np.sqrt(variances * variance_factor(splits, ratio))
                p = 2 * stats.t.sf(np.abs(effects) / standard, degrees)
                if against == best:
                    picked.append((holm(pd.Series(p), picked=True) < 0.05).any())
                if against == RUNS - 1:
                    half = stats.t.ppf(0.975, degrees) * standard
                    plain = stats.t.ppf(0.975, splits - 1) * np.sqrt(
                        between * variance_factor(splits, ratio)
                    )
                    held_by_t += list(np.abs(effects) <= plain)
                    held += list(np.abs(effects) <= half)
                    widths += list(half / plain)
                    errors += list(effects)
                    least += list(detectable(standard, degrees, RUNS - 1))
                    critical += list(stats.t.ppf(1 - 0.025 / (RUNS - 1), degrees) * standard)
        power = np.mean(np.array(errors) + np.median(least) > np.array(critical))
        found[target] = tuple(
            map(
                float,
                (np.mean(held_by_t), np.mean(held), np.median(widths), np.mean(picked), power),
            )
        )
    return found


def designs(rng: np.random.Generator, repeats: int) -> None:
    """Print how well the variance model of paired tests does, in designs as they are."""
    rows = []
    cases = [
        (regime, splits, query, True)
        for regime in DESIGNS
        for splits, query in ((3, 100), (3, 300), (10, 100))
    ]
    cases += [(regime, 3, 100, False) for regime in list(DESIGNS)[:4]]
    for regime, splits, query, cells in cases:
        found = design(rng, regime, splits, query, repeats, cells=cells)
        (t, held, width, told, power), (t_new, held_new, _, told_new, power_new) = (
            found["these"],
            found["new"],
        )
        rows.append([regime + ("" if cells else "; no scores of cells"), splits, query])
        rows[-1] += [f"{a:.3f} ({b:.3f})" for a, b in ((held, t), (held_new, t_new))]
        rows[-1] += [
            f"{width:.2f}",
            *(f"{a:.3f}, {b:.3f}" for a, b in ((told, told_new), (power, power_new))),
        ]
    head = [
        "what differs between splits",
        "splits",
        "query cells",
        "coverage, these cells (t over splits)",
    ]
    head += [
        "coverage, new cells (t over splits)",
        "width against t",
        "told from the picked best, these and new cells",
    ]
    table(
        f"Differences between {RUNS} equal runs",
        [*head, "power at the detectable difference, these and new cells"],
        rows,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=4000)
    repeats = parser.parse_args().repeats
    coverage(np.random.default_rng(0), repeats)
    designs(np.random.default_rng(0), repeats // 4)
