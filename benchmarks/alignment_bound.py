"""The lowest FOSCTTM that the counting of molecules allows, for simulated and real cells.

    python benchmarks/alignment_bound.py --results results [--into docs/results/alignment_bound.tsv]

Half a minute on one core. `--results` has the splits of a benchmark with the scenario `paired`; scores are those of the
reference results on the same splits.

The bound of one modality: a matcher knows the state of every cell, all that this modality would show without the noise of
counting, and finds the cells by what was measured. It is the Bayes classifier of a linear model: y = z + e in the first 50
principal components of train cells, each feature divided by the standard deviation of its noise, with z ~ N(0, s), e ~ N(0, n),
and n the cell's own. s is the variance of query cells that exceeds their noise; z is drawn from its posterior. The bound of a
direction is the larger of its two modalities' bounds, as the other modality can tell at most the state.

simulated    `compared` is the FOSCTTM of the same matcher with the true states of simulated cells
stored runs  `compared` is the lowest FOSCTTM of any run and seed of the reference results but controls
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from noise_ceiling import CELLS, DEPTHS, DRAWS, FEATURES, counted, expected, rates_of

from mosaicbench.catalog import catalog
from mosaicbench.data.normalize import Preprocessing
from mosaicbench.files import reference
from mosaicbench.files.splits import read_split, space_values
from mosaicbench.fitting.record import git_commit
from mosaicbench.metrics._checks import dense
from mosaicbench.scoring.noise import counting_noise, has_molecules

COMPONENTS, REPEATS = 50, 10
LEAST = 0.1  # of a noise whose mean over features is 1
FINDS, FOUND = "state finds cell", "cell finds state"


def main() -> None:
    """Write the table, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--into", type=Path, default=Path("docs/results/alignment_bound.tsv"))
    given = parser.parse_args()
    rows = [*simulated(), *of_splits(given.results)]
    table = pd.DataFrame(rows).assign(commit=git_commit())
    table.to_csv(given.into, sep="\t", index=False, float_format="%.4f")
    print(table.to_string(index=False))


class Components:
    """Coordinates in which each modality's noise of counting is nearly the same in all directions."""

    def __init__(self, train: AnnData) -> None:
        x = dense(space_values(train)).astype(np.float64)
        noise = np.asarray(counting_noise(train).mean(axis=0)).ravel()
        self.used, self.mean = noise > 0, x.mean(axis=0)
        self.scale = np.sqrt(noise[self.used])
        directions = np.linalg.svd(self._scaled(x), full_matrices=False)[2]
        self.directions = directions[:COMPONENTS].T

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        return (x - self.mean)[:, self.used] / self.scale

    def of(self, x: np.ndarray) -> np.ndarray:
        """Return the coordinates of values, (cells, components)."""
        return self._scaled(dense(x)) @ self.directions

    def noise(self, cells: AnnData) -> np.ndarray:
        """Return the variance of the coordinates by counting, of each cell times that of each component."""
        noise = dense(counting_noise(cells))[:, self.used] / self.scale**2 @ self.directions**2
        mean = np.maximum(noise.mean(axis=0), LEAST)
        return np.maximum((noise / mean).mean(axis=1, keepdims=True), LEAST) * mean


def bounds(
    y: np.ndarray, noise: np.ndarray, random: np.random.Generator, state: np.ndarray | None = None
) -> dict[str, float]:
    """Return both ways' FOSCTTM of states, drawn unless given, and measured coordinates, (cells, components)."""
    centre = y.mean(axis=0)
    signal = np.maximum(y.var(axis=0, ddof=1) - noise.mean(axis=0), 1e-9)
    if state is None:
        fraction = signal / (signal + noise)
        spread = np.sqrt(fraction * noise)
        state = centre + fraction * (y - centre) + spread * random.standard_normal(y.shape)
    z, y, total = state - centre, y - centre, signal + noise
    # log p(y_j | z_i) - log p(y_j), (states, cells)
    evidence = z @ (y / noise).T - z**2 @ (0.5 / noise).T
    evidence += (0.5 * (y**2 * (1 / total - 1 / noise) + np.log(total / noise))).sum(axis=1)
    if not np.isfinite(evidence).all():
        raise ValueError("the evidence is not finite")
    better = evidence > np.diag(evidence)[:, None]
    better_state = evidence > np.diag(evidence)
    cells = len(y) - 1
    return {FINDS: better.sum() / cells / len(y), FOUND: better_state.sum() / cells / len(y)}


def simulated() -> Iterator[dict]:
    """Yield the rows of simulated cells, means of their repeats."""
    for modality, depth in product(FEATURES, DEPTHS):
        found = pd.DataFrame([repeat(modality, depth, seed) for seed in range(REPEATS)])
        about = {"check": "simulated", "data": "simulated", "depth": depth}
        for way in (FINDS, FOUND):
            compared = found[f"{way}, true"].mean()
            row = {"direction": f"{modality}: {way}", "bound": found[way].mean()}
            yield about | row | {"compared": compared, "run": ""}


def repeat(modality: str, depth: float, seed: int) -> dict[str, float]:
    """Return the bounds of newly simulated cells, and those with their true states."""
    random = np.random.default_rng([seed, list(FEATURES).index(modality)])
    rates = depth * rates_of(modality, random)
    train = counted(random.poisson(rates[CELLS:]), modality)
    fitted = Preprocessing.fit(train)
    components, rates = Components(fitted.transform(train)), rates[:CELLS]

    def draw() -> AnnData:
        return fitted.transform(counted(random.poisson(rates), modality))

    query = draw()
    if modality == "adt":
        mean = np.mean([dense(space_values(draw())) for _ in range(DRAWS)], axis=0)
    else:
        mean = expected(fitted, rates)
    y, noise = components.of(space_values(query)), components.noise(query)
    true = bounds(y, noise, random, state=components.of(mean))
    return bounds(y, noise, random) | {f"{way}, true": value for way, value in true.items()}


def of_splits(results: Path) -> Iterator[dict]:
    """Yield a row per direction of each dataset: the mean bound over seeds, the best run and seed."""
    scores = reference.read().scores
    competes = scores["run"].map(lambda run: catalog.card("methods", run)["kind"] != "control")
    scores = scores[competes & (scores["metric"] == "foscttm") & (scores["scenario"] == "paired")]
    for folder in sorted((results / "splits").glob("*/paired")):
        dataset = folder.parent.name
        found = pd.DataFrame([of_seed(split) for split in sorted(folder.glob("seed-*"))]).mean()
        of_set = scores[scores["dataset"] == dataset]
        modalities = dict.fromkeys(modality for modality, _ in found.index)
        for source, target in permutations(modalities, 2):
            of_direction = of_set[of_set["direction"] == f"{source}->{target}"]
            best = of_direction.loc[of_direction["value"].idxmin()]
            yield {
                "check": "stored runs",
                "data": dataset,
                "depth": 1,
                "direction": f"{source}->{target}",
                "bound": max(found[source, FOUND], found[target, FINDS]),
                "compared": best["value"],
                "run": best["run"],
            }


def of_seed(split: Path) -> dict[tuple[str, str], float]:
    """Return modality, way -> bound of one split; of modalities that count molecules."""
    train = read_split(split / "train.h5mu", "train")
    solution = read_split(split / "solution.h5mu", "solution")
    found = {}
    for modality, cells in solution.mod.items():
        if has_molecules(cells):
            components = Components(train[modality])
            y, noise = components.of(space_values(cells)), components.noise(cells)
            by_way = bounds(y, noise, np.random.default_rng(0))
            found |= {(modality, way): value for way, value in by_way.items()}
    return found


if __name__ == "__main__":
    main()
