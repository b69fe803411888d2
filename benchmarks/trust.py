"""Is an estimate without truth right? Unpaired runs of the reference results answer, each dataset left out in turn.

    python benchmarks/trust.py --results results/reference

A minute on one core. `--results` has pieces of the reference results with their latents (several folders may be
given, the first that has a run counts); their splits are made again where they were deleted. Writes

docs/benchmarks/trust_estimate.tsv   a row per run and seed: features, true scores, and what was estimated from the other datasets
src/mosaicbench/data/trust.tsv       the calibration that mosaicbench ships, from all datasets
docs/results/pictures/trust_estimate.png

The calibration is an isotonic regression of the true score on the index of `scoring.trust`. Half the width of the 90 % interval
is the largest, over datasets, 90 % quantile of the error of a dataset that was left out; for a row of the table, all of that is
done without the row's dataset.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from mosaicbench import cli
from mosaicbench.catalog import catalog
from mosaicbench.commands._trust import of_fit
from mosaicbench.files.splits import read_split, said_of_cells
from mosaicbench.files.tables import read_table
from mosaicbench.fitting.record import git_commit
from mosaicbench.scoring import trust

LEVEL, SEEDS = 0.9, (0, 1, 2)
KEY = ["dataset", "run", "seed"]
TRUE = {"foscttm": False, "label_transfer_skill": True}  # score -> whether it grows with the index
SCORES = ("foscttm", "label_transfer_accuracy", "types_matched")
FEATURES = ["columns", *trust.FEATURES, "index"]
ENDS = ("estimate", "low", "high")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def main() -> None:
    """Write the table, the calibration and the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, nargs="+", default=[Path("results/reference")])
    given = parser.parse_args()
    finished = chain(*(sorted(folder.glob("*.unpaired.*/tables")) for folder in given.results))
    parts = [pd.DataFrame(rows_of(tables.parent)) for tables in finished]
    rows = pd.concat(parts).drop_duplicates(KEY).sort_values(KEY, ignore_index=True)
    rows = left_out(rows).assign(commit=git_commit())
    rows.to_csv("docs/benchmarks/trust_estimate.tsv", sep="\t", index=False, float_format="%.4f")
    knots = pd.concat([curve(rows, score) for score in TRUE])
    knots.to_csv(trust.CALIBRATION, sep="\t", index=False, float_format="%.4f")
    draw(rows, Path("docs/results/pictures/trust_estimate.png"))


def rows_of(piece: Path) -> Iterator[dict]:
    """Yield a row per run and seed of a piece: what can be observed, and the truth."""
    scores = read_table(piece / "tables/scores.tsv")
    scores = scores[scores["metric"].isin(SCORES)]
    scores = scores.pivot_table(index=["run", "seed"], columns="metric", values="value")
    dataset, scenario, _ = piece.name.split(".")
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(piece / "datasets", Path(place, "datasets"))
        config = shutil.copy(piece / "config.json", place)
        seeds = map(str, SEEDS)
        cli.main(
            ["split", "--config", config, "--split", f"{dataset}/{scenario}", "--seed", *seeds]
        )
        for seed in SEEDS:
            split = Path(place, "splits", dataset, scenario, f"seed-{seed}")
            labels = said_of_cells(read_split(split / "solution.h5mu", "solution"), "cell_type")
            share = pd.Series(labels[labels != ""]).value_counts(normalize=True).max()
            for fit in sorted(piece.glob(f"runs/*/*/*/seed-{seed}/latents.h5ad")):
                run = fit.parts[-3]
                (found,) = of_fit(split, fit.parent).values() or ({},)
                if "index" not in found or (run, seed) not in scores.index:
                    continue
                row = {"dataset": dataset, "run": run, "seed": seed}
                row |= {name: found[name] for name in FEATURES} | {"share": share}
                row |= scores.loc[run, seed].to_dict()
                row["kind"] = catalog.card("methods", run)["kind"]
                row["label_transfer_skill"] = (row["label_transfer_accuracy"] - share) / (1 - share)
                yield row


def fitted(rows: pd.DataFrame, score: str) -> IsotonicRegression:
    """Return the monotone curve of a score over the index."""
    curve = IsotonicRegression(increasing=TRUE[score], out_of_bounds="clip")
    return curve.fit(rows["index"], rows[score])


def without_own_dataset(rows: pd.DataFrame, score: str) -> pd.Series:
    """Return what the curve of all other datasets says of each row."""
    said = pd.Series(np.nan, rows.index)
    for dataset in rows["dataset"].unique():
        own = rows["dataset"] == dataset
        said[own] = fitted(rows[~own], score).predict(rows.loc[own, "index"])
    return said


def half_width(rows: pd.DataFrame, score: str) -> float:
    """Return the largest quantile of errors of a dataset that was left out."""
    errors = (without_own_dataset(rows, score) - rows[score]).abs()
    return errors.groupby(rows["dataset"]).quantile(LEVEL).max()


def left_out(rows: pd.DataFrame) -> pd.DataFrame:
    """Add estimates and intervals that know nothing of a row's dataset."""
    datasets = rows["dataset"].unique()
    for score in TRUE:
        half = {d: half_width(rows[rows["dataset"] != d], score) for d in datasets}
        middle, half = without_own_dataset(rows, score), rows["dataset"].map(half)
        low = middle - half if score != "foscttm" else (middle - half).clip(lower=0)
        of_score = (middle, low, (middle + half).clip(upper=1))
        for end, values in zip(ENDS, of_score, strict=True):
            rows[f"{score}_{end}"] = values
    return rows


def curve(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """Return a score's part of the calibration."""
    found = fitted(rows, score)
    knots = {"score": score, "index": found.X_thresholds_, "estimate": found.y_thresholds_}
    return pd.DataFrame(knots | {"half_width": half_width(rows, score)})


def draw(rows: pd.DataFrame, into: Path) -> None:
    """Draw estimated against true scores, with the intervals; exchanges of types are crosses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), layout="constrained")
    labels = {"foscttm": "FOSCTTM", "label_transfer_skill": "label transfer, 0 is chance"}
    colours = dict(zip(rows["dataset"].unique(), COLOURS, strict=False))
    controls = rows["kind"] == "control"
    exchanged = ~controls & (rows["types_matched"] <= 0.5)
    groups = {"runs": (~controls & ~exchanged, "o"), "exchanged types": (exchanged, "x")}
    groups["controls"] = controls, "+"
    for panel, score in zip(figure.subplots(1, 2), TRUE, strict=True):
        for dataset, colour in colours.items():
            for name, (chosen, marker) in groups.items():
                part = rows[chosen & (rows["dataset"] == dataset)]
                middle = part[f"{score}_estimate"]
                ends = middle - part[f"{score}_low"], part[f"{score}_high"] - middle
                look = {"ms": 5, "elinewidth": 0.4, "color": colour, "alpha": 0.6}
                label = f"{dataset.removesuffix('_small')}, {name}"
                panel.errorbar(part[score], middle, ends, ls="", marker=marker, label=label, **look)
        panel.axline((0, 0), slope=1, color="#999999", lw=0.8)
        panel.set(xlabel=f"true {labels[score]}", ylabel="estimated, this dataset left out")
    panel.legend(fontsize=6, frameon=False, loc="lower right", ncols=2)
    into.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(into, dpi=110)


if __name__ == "__main__":
    main()
