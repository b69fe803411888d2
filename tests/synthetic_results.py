"""Made-up results of two datasets, two scenarios, fifteen runs and three seeds, and what the commands make of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.commands import draw, report, tabulate
from mosaicbench.files.best import write_best
from mosaicbench.files.runs import write_record
from mosaicbench.files.scores import (
    FEATURE_COLUMNS,
    SCORE_COLUMNS,
    CellScores,
    write_cells,
    write_scores,
)
from mosaicbench.files.tables import write_table
from mosaicbench.files.trials import write_trials
from mosaicbench.report import projections, theme
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.stats.common import joined

DISPLAY = Path(__file__).parents[1] / "config/display.yaml"
PUBLISHED = Path(__file__).parents[1] / "config/published.yaml"
OF_CELLS = (
    "umap",
    "umap_joint",
    "marker_dots",
    "label_confusion",
    "imputation_umap",
    "imputation_umap_clusters",
    "virtual_cells",
)
PER_SPLIT = (
    "overview_heat",
    "scores_by_run",
    "imputation",
    "calibration",
    "resources",
    "distances",
    "training_curves",
    *OF_CELLS,
)
DRAWN_ONCE = (*OF_CELLS, "distances", "training_curves")  # of one split, to save time
DRAWN_TWICE = (
    "imputation",
    "calibration",
    "resources",
    "scores_by_run",
)  # of a split of each dataset
DRAWN = dict.fromkeys(DRAWN_ONCE, ["pair/unpaired"]) | dict.fromkeys(
    DRAWN_TWICE, ["pair/unpaired", "triple/paired"]
)
FIGURES = ("mean_ranks", "sweep", "tuning_trials", *PER_SPLIT)
MODALITIES = {"pair": ("rna", "adt"), "triple": ("rna", "atac", "adt")}
NORMALIZATIONS = {"rna": "lognorm", "atac": "lsi", "adt": "clr"}
SCENARIOS = ("paired", "unpaired")
SEEDS = (0, 1, 2)
SWEEP = {
    "label": "modalities",
    "log": True,
    "metrics": {"foscttm": None, "imputation_skill": ["rna->adt", "rna->atac"]},
}
SWEEP["series"] = {"a series": {"pair": 2, "triple": 3}}

# method -> kind, skill, gives latents of single modalities, imputes
KNOWN = {
    "vae_poe": ("model", 0.7, True, True),
    "vae_mlp": ("model", 0.6, True, True),
    "mvae": ("model", 0.8, True, True),
    "mmvaepp": ("model", 0.85, True, True),
    "pca_joint": ("baseline", 0.5, True, True),
    "cca": ("baseline", 0.55, True, False),
    "procrustes": ("baseline", 0.45, True, False),
    "knn_impute": ("baseline", 0.5, False, True),
    "ridge": ("baseline", 0.6, False, True),
    "oracle": ("control", 1.0, True, True),
    "random_latent": ("control", 0.0, True, False),
    "shuffled": ("control", 0.0, True, True),
    "constant": ("control", 0.0, True, False),
    "train_mean": ("control", 0.0, False, True),
}
METHODS = {method: method for method in KNOWN} | {"mvae-beta4": "mvae"}
METRICS = {
    "foscttm": ("alignment", 0.0, "lower", 0.5),
    "foscttm_cosine": ("alignment", 0.0, "lower", 0.5),
    "recall_at_10": ("alignment", 1.0, "higher", None),
    "label_transfer_accuracy": ("label_transfer", 1.0, "higher", None),
    "label_transfer_accuracy_cosine": ("label_transfer", 1.0, "higher", None),
    "imputation_pearson_per_feature": ("imputation", 1.0, "higher", 0.0),
    "imputation_pearson_per_cell": ("imputation", 1.0, "higher", None),
    "imputation_skill": ("imputation", 1.0, "higher", 0.0),
    "active_units": ("sanity", None, None, None),
    "fit_seconds": ("resources", 0.0, "lower", None),
    "peak_host_mb": ("resources", 0.0, "lower", None),
    "coverage_50": ("calibration", 0.5, "nearer", None),
    "coverage_90": ("calibration", 0.9, "nearer", None),
}


def status_of(dataset: str, scenario: str, run: str, seed: int) -> str:
    if (dataset, scenario, run) == ("pair", "unpaired", "mmvaepp") or (
        dataset,
        scenario,
        run,
        seed,
    ) == (
        "triple",
        "paired",
        "vae_mlp",
        2,
    ):
        return "diverged"
    return "collapsed" if run == "constant" else "ok"


def applies(scenario: str, run: str) -> bool:
    return scenario == "paired" or run not in ("cca", "procrustes")


def made_record(
    dataset: str, scenario: str, run: str, seed: int, random: np.random.Generator
) -> dict:
    status = status_of(dataset, scenario, run, seed)
    kind = KNOWN[METHODS[run]][0]
    base = {"model": 20.0, "baseline": 0.8, "control": 0.004}[kind]
    fit = base * float(np.exp(random.normal(0, 0.2)))
    failed = status == "diverged"
    return {
        "dataset": dataset,
        "scenario": scenario,
        "run": run,
        "method": METHODS[run],
        "seed": seed,
        "status": status,
        "message": {
            "diverged": "loss is not finite in epoch 3",
            "collapsed": "no latent dimension varies",
        }.get(status, ""),
        "hyperparameters": {},
        "seconds": {} if failed else {"read": 1.5, "fit": fit},
        "peak_host_mb": None if failed else 900 + 300 * (kind == "model") + random.normal(0, 5),
        "peak_device_mb": None,
        "device": "cpu",
        "threads": 1,
        "versions": {"python": "3.11.2", "torch": "2.13.0"},
        "git_commit": "0123456789ab",
    }


def made_scores(record: dict, random: np.random.Generator) -> pd.DataFrame:
    if record["status"] == "diverged":
        rows = [("status", "run", "-", np.nan)]
        return identified(
            pd.DataFrame(rows, columns=["metric", "direction", "normalization", "value"]), record
        )
    _, skill, single, imputes = KNOWN[record["method"]]
    rows = [
        ("fit_seconds", "run", "-", record["seconds"]["fit"]),
        ("peak_host_mb", "run", "-", record["peak_host_mb"]),
    ]
    for source, target in permutations(MODALITIES[record["dataset"]], 2):
        direction = f"{source}->{target}"

        def near(value: float) -> float:
            return float(np.clip(value + random.normal(0, 0.02), -1, 1))

        if single:
            rows.append(
                (
                    "foscttm",
                    direction,
                    "-",
                    0.5 * (1 - skill) + abs(random.normal(0, 0.01)) * (skill < 1),
                )
            )
            rows.append(("recall_at_10", direction, "-", near(0.02 + 0.4 * skill)))
            rows.append(("label_transfer_accuracy", direction, "-", near(0.2 + 0.7 * skill)))
            rows += [
                (f"{metric}_cosine", direction, "-", 0.9 * value)
                for metric, _, _, value in (rows[-3], rows[-1])
            ]
        if imputes:
            rows.append(
                (
                    "imputation_pearson_per_feature",
                    direction,
                    NORMALIZATIONS[target],
                    1.0 if skill == 1 else near(0.6 * skill),
                )
            )
            rows.append(
                (
                    "imputation_pearson_per_cell",
                    direction,
                    NORMALIZATIONS[target],
                    1.0 if skill == 1 else near(0.5 + 0.4 * skill),
                )
            )
            rows.append(
                (
                    "imputation_skill",
                    direction,
                    NORMALIZATIONS[target],
                    1.0 if skill == 1 else near(0.5 * skill),
                )
            )
            rows += [
                ("coverage_50", direction, NORMALIZATIONS[target], 0.5 * skill),
                ("coverage_90", direction, NORMALIZATIONS[target], 0.9),
            ]
    if single:
        rows.append(("active_units", "joint", "-", float(round(20 * skill))))
    return identified(
        pd.DataFrame(rows, columns=["metric", "direction", "normalization", "value"]), record
    )


def made_features(record: dict, random: np.random.Generator) -> pd.DataFrame:
    _, skill, _, imputes = KNOWN[record["method"]]
    parts = [pd.DataFrame(columns=["metric", "direction", "normalization", "feature", "value"])]
    for source, target in permutations(MODALITIES[record["dataset"]], 2):
        if imputes and record["status"] != "diverged":
            values = np.clip(random.normal(0.6 * skill, 0.2, 30), -1, 1)
            values[:3] = np.nan
            bins = [f"{low / 10:.1f} to {(low + 1) / 10:.1f}" for low in range(10)]
            named = {"direction": f"{source}->{target}", "normalization": NORMALIZATIONS[target]}
            values_of_bins = [
                50 + 10 * abs(low - 4.5) * (1 - skill) for low in range(10)
            ]  # a method that knows less is too sure
            parts.append(
                pd.DataFrame(
                    named | {"metric": "pit_histogram", "feature": bins, "value": values_of_bins}
                )
            )
            parts.append(
                pd.DataFrame(
                    {
                        "metric": "imputation_pearson_per_feature",
                        "direction": f"{source}->{target}",
                        "normalization": NORMALIZATIONS[target],
                    }
                    | {"feature": [f"f{number}" for number in range(30)], "value": values}
                )
            )
    table = pd.concat(parts[1:] or parts, ignore_index=True)
    return table.assign(**{key: record[key] for key in ("dataset", "scenario", "run", "seed")})[
        FEATURE_COLUMNS
    ]


def made_cells(
    records: list[dict], scores: pd.DataFrame, random: np.random.Generator
) -> CellScores:
    """Return scores of 30 cells per seed whose means are the run's scores."""
    values = {}
    of_cells = scores["metric"].isin(
        ["foscttm", "label_transfer_accuracy", "imputation_pearson_per_cell"]
    )
    for row in scores[of_cells].itertuples():
        noise = random.normal(0, 0.05, 30)
        values[row.seed, row.metric, row.direction, row.normalization] = (
            row.value + noise - noise.mean()
        )
    first = records[0]
    return CellScores(
        dataset=first["dataset"],
        scenario=first["scenario"],
        run=first["run"],
        cells={
            seed: np.array([f"cell-{30 * seed + i}" for i in range(30)])
            for seed in {key[0] for key in values}
        },
        values=values,
    )


def identified(table: pd.DataFrame, record: dict) -> pd.DataFrame:
    return table.assign(
        **{key: record[key] for key in ("dataset", "scenario", "run", "seed", "status")}
    )[SCORE_COLUMNS]


def made_projections(
    dataset: str,
    scenario: str,
    runs: list[str],
    random: np.random.Generator,
    name: Callable[[str], str] = str,
) -> dict[str, pd.DataFrame]:
    """Return what `project` gathers of the cells of one split: every table of their contract.

    `name` says what cell types, features, batches and cells are called instead of "type 1", "f1", "b" and "c1".
    """
    cells, modalities = 60, MODALITIES[dataset]
    types = np.array([name(f"type {t}") for t in random.integers(0, 5, cells)], dtype=object)
    names = [name(f"c{cell}") for cell in range(cells)]
    contract = projections.COLUMNS
    found: dict[str, list] = {name: [] for name in contract}
    for run in runs:
        for source in ("joint", *modalities):
            xy = {"x": random.normal(0, 1, cells), "y": random.normal(0, 1, cells)}
            named = {
                "run": run,
                "source": source,
                "modality": source,
                "cell": names,
                "cell_type": types,
                "batch": name("b"),
            }
            found["projection"].append(
                pd.DataFrame(named | {"leiden": random.integers(0, 3, cells)} | xy)
            )
        for modality in modalities:
            if NORMALIZATIONS[modality] != "lsi":
                named = {
                    "run": run,
                    "modality": modality,
                    "normalization": NORMALIZATIONS[modality],
                    "cells": 20,
                    "cell_type": name("type 1"),
                }
                dots = [(leiden, marks) for leiden in range(3) for marks in range(3)]
                values = {"mean": random.random(9), "above": random.random(9), "share": 0.8}
                values |= {
                    "feature": [name(f"f{marks}") for _, marks in dots],
                    "marks": [marks for _, marks in dots],
                }
                found["markers"].append(
                    pd.DataFrame(named | values | {"leiden": [leiden for leiden, _ in dots]})
                )
        for source, target in permutations(modalities, 2):
            zero, one = name("type 0"), name("type 1")
            carried = {"cell_type": [zero, zero, one], "transferred": [zero, one, one]}
            direction = f"{source}->{target}"
            found["transfers"].append(
                pd.DataFrame(carried | {"run": run, "direction": direction, "cells": [9, 3, 12]})
            )
            for place, r in (("best", 0.9), ("median", 0.5), ("worst", -0.1)):
                named = {
                    "run": run,
                    "direction": direction,
                    "normalization": NORMALIZATIONS[target],
                    "feature": name(f"{place} feature"),
                }
                values = {
                    "cell": names,
                    "measured": random.random(cells),
                    "imputed": random.random(cells),
                }
                found["imputed_values"].append(
                    pd.DataFrame(named | {"place": place, "r": r} | values)
                )
            named = {
                "run": run,
                "direction": direction,
                "modality": target,
                "cell": names,
                "cell_type": types,
            }
            found["imputed_layout"].append(
                pd.DataFrame(named | {"x": random.random(cells), "y": random.random(cells)})
            )
    for modality in modalities:
        named = {
            "run": "measured",
            "direction": "measured",
            "modality": modality,
            "cell": names,
            "cell_type": types,
        }
        found["imputed_layout"].append(
            pd.DataFrame(named | {"x": random.random(cells), "y": random.random(cells)})
        )
    for run in runs[:1]:
        origin = np.repeat(["real", "generated"], cells // 2)
        xy = {"x": random.normal(0, 1, cells), "y": random.normal(0, 1, cells)}
        named = {"run": run, "origin": origin, "cell": names, "cell_type": types}
        found["virtual_cells"].append(pd.DataFrame(named | xy))
        for modality in modalities:
            named = {
                "run": run,
                "modality": modality,
                "marker_of": name("type 1"),
                "feature": name("f1"),
            }
            kinds = sorted(set(types))
            means = {
                "cell_type": kinds,
                "real": random.random(len(kinds)),
                "generated": random.random(len(kinds)),
            }
            found["virtual_markers"].append(pd.DataFrame(named | means))
            found["virtual_realism"].append(
                pd.DataFrame([{"run": run, "modality": modality, "realism_auc": 0.9}])
            )
    split = {"dataset": dataset, "scenario": scenario, "seed": 0}
    return {
        name: joined([part.assign(**split) for part in found[name]], columns)
        for name, columns in contract.items()
    }


def made_history(record: dict) -> pd.DataFrame:
    epochs = np.arange(1, 11)
    if KNOWN[record["method"]][0] != "model" or record["status"] == "diverged":
        return pd.DataFrame(columns=["epoch", "loss"])
    losses = {
        "loss": 100 / epochs,
        "nll_rna": 90 / epochs,
        "kl": 10 / epochs,
        "validation_loss": 110 / epochs,
    }
    losses |= {"kept": (epochs == 10).astype(float)}
    return pd.DataFrame({"epoch": epochs, "progress": epochs / 10} | losses)


def synthetic(folder: Path) -> SimpleNamespace:
    """Write the files that a benchmark leaves; the same bytes every time."""
    random = np.random.default_rng(0)
    found = SimpleNamespace(
        scores=[],
        records=[],
        features=[],
        cells=[],
        histories=[],
        not_applicable=[],
        folder=folder,
        places=[],
        seeds=SEEDS,
    )
    found.splits = [f"{dataset}/{scenario}" for dataset in MODALITIES for scenario in SCENARIOS]
    for dataset, scenario, run in (
        (d, s, r) for d in MODALITIES for s in SCENARIOS for r in METHODS
    ):
        if not applies(scenario, run):
            reason = "needs paired cells"
            found.not_applicable.append(
                {
                    "dataset": dataset,
                    "scenario": scenario,
                    "run": run,
                    "method": METHODS[run],
                    "reason": reason,
                }
            )
            continue
        here = folder / "runs" / dataset / scenario / run
        found.places.append({"dataset": dataset, "scenario": scenario, "run": run})
        records = [made_record(dataset, scenario, run, seed, random) for seed in SEEDS]
        for record in records:
            write_record(here / f"seed-{record['seed']}" / "run.json", record)
            found.records.append(here / f"seed-{record['seed']}" / "run.json")
            write_table(here / f"seed-{record['seed']}" / "history.tsv", made_history(record))
            found.histories.append(here / f"seed-{record['seed']}" / "history.tsv")
        scores = pd.concat([made_scores(record, random) for record in records])
        write_scores(here / "scores.tsv", scores)
        parts = [made_features(record, random) for record in records]
        write_table(here / "features.tsv", joined(parts, FEATURE_COLUMNS))
        write_cells(here / "cells.npz", made_cells(records, scores, np.random.default_rng(1)))
        found.cells.append(here / "cells.npz")
        found.scores.append(here / "scores.tsv")
        found.features.append(here / "features.tsv")
    for split in [*found.splits, "nowhere/paired"]:
        dataset, scenario = split.split("/")
        runs = ["vae_poe", "mvae", "mmvaepp"] if dataset in MODALITIES else []
        runs = [run for run in runs if status_of(dataset, scenario, run, 0) == "ok"]
        projected = made_projections(
            dataset if runs else next(iter(MODALITIES)), scenario, runs, random
        )
        for name, table in projected.items():
            write_table(
                folder / "projections" / split / f"{name}.tsv", table if runs else table.iloc[:0]
            )
    return found


def cards(room: str) -> dict[str, dict]:
    """Return made-up cards, so that these tests know which method is a control and what chance is."""
    if room == "methods":
        return {
            name: {"label": name.upper(), "kind": kind, "summary": f"About {name}."}
            for name, (kind, *_) in KNOWN.items()
        }
    if room == "metrics":
        keys = ("group", "best", "better", "chance")
        return {
            name: {
                "label": catalog.card("metrics", name)["label"],
                "definition": f"What {name} is.",
                "doi": "10.1/x",
            }
            | dict(zip(keys, values, strict=True))
            for name, values in METRICS.items()
        }
    return (
        {"pair": {"label": "Pair", "licence": "none"}}
        if room == "datasets"
        else catalog.cards(room)
    )


ALL_CARDS = {room: cards(room) for room in ("methods", "metrics", "datasets")}
ROSTER = RunMetadata(cards=ALL_CARDS, methods=METHODS)


def finished(folder: Path) -> SimpleNamespace:
    """Return everything that `tabulate`, `draw` and `report` make of the synthetic results."""
    results = synthetic(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "cards", cards)
        tabulate_results(results, folder / "tables")
        for figure in FIGURES:
            draw_figure(results, figure, folder / "figures", DRAWN.get(figure))
        write_report(results, folder / "report.html")
    results.tables = read_tables(folder / "tables")
    results.html = (folder / "report.html").read_text(encoding="utf-8")
    results.theme = theme.Theme(display=theme._read_display(DISPLAY), run_metadata=ROSTER)
    return results


def tabulate_results(found: SimpleNamespace, output: Path) -> None:
    tabulate.main(
        scores=found.scores,
        records=found.records,
        features=found.features,
        cells=found.cells,
        histories=found.histories,
        not_applicable=found.not_applicable,
        methods=METHODS,
        kinds={scenario: scenario for scenario in SCENARIOS},
        reference=None,
        sweep=SWEEP,
        published=PUBLISHED,
        display=DISPLAY,
        results=found.folder,
        output=output,
        places=found.places,
        seeds=found.seeds,
        searches=[made_search(found.folder, dataset) for dataset in MODALITIES],
    )


def made_search(folder: Path, dataset: str) -> tuple[dict, Path]:
    """Write what a search for the settings of an ablation leaves, as if it were a tuned run; return whose it is, and where."""
    place = {"dataset": dataset, "scenario": "paired", "run": "mvae-beta4", "seed": 0}
    output = folder / "tuning" / dataset
    facts = {"status": "ok", "seconds": 2.0, "cpu_seconds": 1.5, "message": ""}
    settings = [(0.40, 1.0), (0.52, 4.0), (None, 9.0)]
    trials = [
        facts | {"trial": n, "objective": value, "beta": beta}
        for n, (value, beta) in enumerate(settings)
    ]
    write_trials(output / "trials.tsv", trials, ["beta"])
    best = place | {
        "of": "mvae",
        "method": "mvae",
        "metric": "mean",
        "trials": 3,
        "ended": 2,
        "best_trial": 1,
    }
    write_best(
        output / "best.json",
        best | {"best": 0.52, "default": 0.4, "hyperparameters": {"beta": 4.0}},
    )
    return place, output


def draw_figure(
    found: SimpleNamespace,
    figure: str,
    output: Path,
    splits: list[str] | None = None,
    display: Path = DISPLAY,
) -> None:
    draw.main(
        figures=[figure],
        tables=found.folder / "tables",
        projections=found.folder / "projections",
        display=display,
        splits=found.splits if splits is None else splits,
        output=output,
    )


def write_report(found: SimpleNamespace, output: Path) -> None:
    report.main(
        tables=found.folder / "tables",
        figures=found.folder / "figures",
        display=DISPLAY,
        config={"title": "A synthetic benchmark", "seeds": [0, 1, 2]},
        splits=found.splits,
        output=output,
        results=found.folder,
    )
