"""Are the ceilings of imputation right, and how near do methods come? Simulated and real cells answer.

    python benchmarks/noise_ceiling.py [--results results] [--into docs/results/noise_ceiling.tsv]

Two minutes on one core; rows that the table already has are not computed again. `--results` is a finished
default benchmark, for real cells. A row has a ceiling with its standard error (bootstrap of cells), and what it is
compared with:

simulated       what the best predictor scores, which knows the true rates of the query cells: the mean of each value
                given its rate; mean of 40 repeats, 300 cells
parts           the ceiling that independent halves or quarters of the molecules of real cells show without any model: the
                variance of a cell's values between parts is the noise. The ceiling is estimated from each part alone
from a quarter  the ceiling of all molecules, against what Spearman and Brown's formula expects from that of a quarter
best run        the highest score of any run but controls, mean over seeds

`bounds` is the share of repeats or seeds in which `compared` is at most the ceiling and 1.96 standard errors, `covers` that
in which it is also no less than the ceiling less these.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.ndimage import map_coordinates
from scipy.stats import poisson

from mosaicbench.catalog import catalog
from mosaicbench.data.normalize import TARGET_SUM, Clr, LogNormalised, Lsi, Preprocessing
from mosaicbench.datasets.simulated import (
    TOTAL,
    expected_counts,
    loadings,
    overdispersed,
    typed_factors,
)
from mosaicbench.files.splits import read_split, space_values
from mosaicbench.metrics._checks import dense
from mosaicbench.metrics.ceiling import (
    imputation_pearson_per_feature_ceiling,
    imputation_skill_ceiling,
)
from mosaicbench.metrics.imputation import imputation_pearson_per_feature, imputation_skill
from mosaicbench.scoring.noise import counting_noise, has_molecules

COLUMNS = [
    "check",
    "data",
    "modality",
    "depth",
    "metric",
    "ceiling",
    "se",
    "compared",
    "bounds",
    "covers",
]
METRICS = {
    "imputation_pearson_per_feature": imputation_pearson_per_feature,
    "imputation_skill": imputation_skill,
}
CELLS, DRAWS, REPEATS, BOOTSTRAPS = 300, 60, 40, 40
LOG_RATES, LOG_SCALES = np.linspace(-16, np.log(2000), 260), np.linspace(-5, 16, 80)
FEATURES = {"rna": 300, "atac": 600, "adt": 50}
TOTALS = {"rna": 1000 * TOTAL["rna"], "atac": 3000 * TOTAL["atac"], "adt": None}
KINDS = {"lognorm": "rna", "lsi": "atac", "clr": "adt"}
DEPTHS = (0.2, 1, 5)


def main() -> None:
    """Run the checks that the table lacks, and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--into", type=Path, default=Path("docs/results/noise_ceiling.tsv"))
    parser.add_argument(
        "--picture", type=Path, default=Path("docs/results/pictures/noise_ceiling.png")
    )
    given = parser.parse_args()
    rows = pd.DataFrame(columns=COLUMNS)
    if given.into.exists():
        rows = pd.read_csv(given.into, sep="\t")
    for modality, depth in product(FEATURES, DEPTHS):
        done = rows[(rows["check"] == "simulated") & (rows["modality"] == modality)]
        if depth not in set(done["depth"]):
            rows = added(rows, given.into, simulated(modality, depth))
    if "best run" not in set(rows["check"]):
        rows = added(rows, given.into, [*of_splits(given.results)])
    draw(rows, given.picture)


def added(rows: pd.DataFrame, into: Path, new: list[dict]) -> pd.DataFrame:
    """Append rows to the table and its file."""
    rows = pd.concat([frame for frame in (rows, pd.DataFrame(new, columns=COLUMNS)) if len(frame)])
    rows.to_csv(into, sep="\t", index=False, float_format="%.3f")
    print(rows.tail(len(new)).to_string(index=False), flush=True)
    return rows


def ceilings(
    values: np.ndarray, noise: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> dict[str, float]:
    """Return metric -> its ceiling."""
    return {
        "imputation_pearson_per_feature": imputation_pearson_per_feature_ceiling(values, noise),
        "imputation_skill": imputation_skill_ceiling(values, noise, mean, std),
    }


def with_errors(
    values: np.ndarray, noise: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Return metric -> its ceiling, and the standard error by a bootstrap of cells."""
    random, n = np.random.default_rng(0), len(values)
    drawn = [random.integers(n, size=n) for _ in range(BOOTSTRAPS)]
    again = pd.DataFrame([ceilings(values[rows], noise[rows], mean, std) for rows in drawn])
    found = ceilings(values, noise, mean, std)
    return {metric: (value, again[metric].std()) for metric, value in found.items()}


def counted(counts: np.ndarray | sparse.csr_matrix, kind: str) -> AnnData:
    """Return counts as a modality."""
    cells = AnnData(shape=counts.shape, uns={"kind": kind, "values": "counts"})
    cells.layers["counts"] = sparse.csr_matrix(counts, dtype=np.float32)
    return cells


def simulated(modality: str, depth: float) -> list[dict]:
    """Return a row per metric, of simulated cells with `depth` times the usual counts."""
    table = pd.DataFrame([row for seed in range(REPEATS) for row in repeat(modality, depth, seed)])
    same = {"check": "simulated", "data": "simulated", "modality": modality, "depth": depth}
    means = table.groupby("metric").mean().reset_index()
    return [same | row for row in means.to_dict("records")]


def repeat(modality: str, depth: float, seed: int) -> Iterator[dict]:
    """Yield metric, ceiling, its error and the score of the true rates, of newly simulated cells."""
    random = np.random.default_rng([seed, list(FEATURES).index(modality)])
    rates = depth * rates_of(modality, random)
    fitted = Preprocessing.fit(counted(random.poisson(rates[CELLS:]), modality))
    rates = rates[:CELLS]

    def values(cells: AnnData) -> np.ndarray:
        return space_values(fitted.transform(cells)).astype(np.float64)

    query = counted(random.poisson(rates), modality)
    truth = values(query)
    best = (
        expected(fitted, rates)
        if modality != "adt"
        else np.mean(
            [values(counted(random.poisson(rates), modality)) for _ in range(DRAWS)], axis=0
        )
    )
    noise = dense(counting_noise(fitted.transform(query)))
    scores = {
        "imputation_pearson_per_feature": imputation_pearson_per_feature(truth, best),
        "imputation_skill": imputation_skill(truth, best, fitted.mean, fitted.std),
    }
    for metric, (ceiling, se) in with_errors(truth, noise, fitted.mean, fitted.std).items():
        yield {"metric": metric} | judged(ceiling, se, scores[metric])


def judged(ceiling: float, se: float, compared: float) -> dict[str, float]:
    """Return the numbers of a row."""
    above = compared - ceiling
    found = {"ceiling": ceiling, "se": se, "compared": compared}
    return found | {"bounds": float(above <= 1.96 * se), "covers": float(abs(above) <= 1.96 * se)}


def expected(fitted: Preprocessing, rates: np.ndarray) -> np.ndarray:
    """Return the means of log-normalised values or LSI given all rates, (cells, features), at the expected totals."""
    scale = TARGET_SUM / rates.sum(axis=1, keepdims=True)
    steps, rates = fitted.steps, rates[:, fitted.steps.columns]
    if isinstance(steps, LogNormalised):
        return mean_log(rates, scale)
    return mean_log(rates, scale * steps.weight) @ steps.loadings


def mean_log(rates: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the mean of log(1 + scale x) over Poisson counts x of each rate."""
    places = [
        np.interp(np.log(value), grid, np.arange(len(grid)))
        for value, grid in (
            (np.maximum(rates, np.exp(LOG_RATES[0])), LOG_RATES),
            (scale, LOG_SCALES),
        )
    ]
    return rates * map_coordinates(mean_logs(), np.broadcast_arrays(*places), order=1)


@cache
def mean_logs() -> np.ndarray:
    """Return that mean, divided by the rate, for the grids of rates and scales."""
    counts, rates = np.arange(2600), np.exp(LOG_RATES)[:, None]
    values = np.log1p(np.exp(LOG_SCALES) * counts[:, None])
    return poisson.pmf(counts, rates) @ values / rates


def rates_of(modality: str, random: np.random.Generator) -> np.ndarray:
    """Return rates of molecules as `datasets.simulated` draws them, with its gamma noise, (cells, features)."""
    cells, features = 2 * CELLS, FEATURES[modality]
    _, shared = typed_factors(cells, 6, 6, random)
    log_rate = shared @ loadings(6, features, random)
    log_rate += random.standard_normal((cells, 4)) @ loadings(4, features, random)
    shape, total = (cells, features), TOTALS[modality]
    mean = expected_counts(modality, lambda rows: log_rate[rows], shape, random, total)
    return overdispersed(modality, mean(slice(None)), random)


def of_splits(results: Path) -> Iterator[dict]:
    """Yield the rows of every split of a finished benchmark."""
    scores = pd.read_csv(results / "tables/scores.tsv", sep="\t")
    runs = pd.read_csv(results / "tables/runs.tsv", sep="\t")
    cards = catalog.cards("methods")
    controls = runs.loc[[cards[name]["kind"] == "control" for name in runs["method"]], "run"]
    scores = scores[~scores["run"].isin(controls)]
    for folder in sorted((results / "splits").glob("*/*")):
        dataset, scenario = folder.parts[-2:]
        seeds = [of_seed(split, scores) for split in sorted(folder.glob("seed-*"))]
        table = pd.DataFrame([row for rows in seeds for row in rows])
        by = ["check", "depth", "modality", "metric"]
        means = table.groupby(by, sort=False).mean().reset_index()
        for row in means.to_dict("records"):
            yield {"data": f"{dataset}, {scenario}"} | row


def of_seed(split: Path, scores: pd.DataFrame) -> Iterator[dict]:
    """Yield the rows of one seed."""
    solution = read_split(split / "solution.h5mu", "solution")
    place = solution.uns["mosaicbench"]
    keys = ("dataset", "scenario", "seed")
    of_split = scores[np.all([scores[key] == place[key] for key in keys], axis=0)]
    for modality, cells in solution.mod.items():
        if not has_molecules(cells):
            continue
        mean, std = cells.uns["mean"], cells.uns["std"]
        given = with_errors(space_values(cells), dense(counting_noise(cells)), mean, std)
        of_parts = {number: parts_of(cells, number, std) for number in (2, 4)}
        about = {"modality": modality, "depth": 1.0}
        for metric in METRICS:
            to = of_split["direction"].str.endswith(f"->{modality}") & (
                of_split["metric"] == metric
            )
            best = of_split.loc[to, "value"].max()
            ceiling, se = given[metric]
            row = about | {"metric": metric}
            yield row | {"check": "best run"} | judged(ceiling, se, best)
            for number, found in of_parts.items():
                of_part = {"check": "parts", "depth": 1 / number}
                yield row | of_part | judged(*found[metric])
            value = of_parts[4][metric][0]
            power = 2 if metric.endswith("per_feature") else 1
            reliability = max(0, value) ** power
            at_all = (4 * reliability / (1 + 3 * reliability)) ** (1 / power)
            yield row | {"check": "from a quarter"} | judged(ceiling, se, at_all)


def parts_of(cells: AnnData, number: int, std: np.ndarray) -> dict[str, tuple]:
    """Return metric -> mean ceiling of the parts, its error, and what the parts show."""
    tables = [part_of(cells, part, number) for part in range(number)]
    values = np.array([space_values(table) for table in tables])
    between = values.var(axis=0, ddof=1)
    estimated, shown = [], []
    for table, x in zip(tables, values, strict=True):
        moments = x.mean(axis=0), std
        estimated.append(with_errors(x, dense(counting_noise(table)), *moments))
        shown.append(ceilings(x, between, *moments))
    return {
        metric: (
            *np.mean([found[metric] for found in estimated], axis=0),
            np.mean([found[metric] for found in shown]),
        )
        for metric in METRICS
    }


def part_of(cells: AnnData, part: int, parts: int) -> AnnData:
    """Return one of some equal parts of the molecules of each cell; the transform stays the same."""
    random, counts = np.random.default_rng(7), cells.layers["counts"].copy()
    total = cells.obs["total"].to_numpy()
    rest = np.round(total - np.asarray(counts.sum(axis=1)).ravel()).astype(int)
    of_entries = random.multinomial(counts.data.astype(int), [1 / parts] * parts)[:, part]
    of_rest = random.multinomial(rest, [1 / parts] * parts)[:, part]
    counts.data = of_entries.astype(np.float32)
    counts.eliminate_zeros()
    table = counted(counts, KINDS[cells.uns["normalization"]])
    table.obs["total"] = np.asarray(counts.sum(axis=1)).ravel() + of_rest
    columns = np.arange(cells.n_vars)
    if table.uns["kind"] == "atac":
        depth, weight = cells.var["depth"].to_numpy(), cells.var["weight"].to_numpy()
        return Lsi(columns, weight, cells.varm["LSI"], depth).transform(table)
    return (LogNormalised if table.uns["kind"] == "rna" else Clr)(columns).transform(table)


def draw(rows: pd.DataFrame, into: Path) -> None:
    """Draw the checks of the ceiling, and the best runs beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    checks, *panels = figure.subplots(1, 3)
    truths = {
        "simulated": ("best predictor that knows the rates", "o", "#0072B2"),
        "parts": ("halves, quarters of real molecules", "s", "#D55E00"),
    }
    for check, (label, marker, colour) in truths.items():
        part = rows[rows["check"] == check]
        checks.scatter(
            part["ceiling"],
            part["compared"],
            s=22,
            color=colour,
            marker=marker,
            label=label,
            alpha=0.7,
        )
    checks.axline((0, 0), slope=1, color="#999999", lw=0.8)
    checks.set(xlabel="ceiling", ylabel="truth", xlim=(0, 1), ylim=(0, 1))
    checks.legend(loc="upper left", fontsize=7, frameon=False)
    best = rows[rows["check"] == "best run"]
    names = (best["data"] + ": " + best["modality"]).unique()[::-1]
    titles = ("Pearson per feature", "skill")
    for panel, metric, title in zip(panels, METRICS, titles, strict=True):
        part = best[best["metric"] == metric].iloc[::-1]
        panel.barh(names, part["compared"], color="#0072B2", height=0.5, label="best run")
        panel.plot(part["ceiling"], names, "|", color="black", ms=12, mew=2, label="ceiling")
        panel.set(xlim=(0, 1), xlabel=title)
        panel.tick_params(axis="y", labelsize=7)
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=7, frameon=False)
    panels[1].set_yticks([])
    figure.savefig(into, dpi=110)


if __name__ == "__main__":
    main()
