"""Made-up results of two datasets, two scenarios, eleven runs and three seeds, and what the commands make of them."""

from __future__ import annotations

import json
import shutil
from itertools import permutations, product
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.commands import draw, report, tabulate
from mosaicbench.files._h5 import KEY
from mosaicbench.files.best import write_best
from mosaicbench.files.datasheet import COLUMNS, DATASHEET
from mosaicbench.files.runs import write_record
from mosaicbench.files.scores import (
    FEATURE_COLUMNS,
    SCORE_COLUMNS,
    CellScores,
    write_cells,
    write_scores,
)
from mosaicbench.files.tables import write_table, write_tables
from mosaicbench.files.trials import write_trials
from mosaicbench.report import projections, theme
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.stats.common import joined
from mosaicbench.workflow.layout import Results

OF_CELLS = (
    "umap",
    "umap_joint",
    "marker_dots",
    "label_confusion",
    "imputation_umap",
    "virtual_cells",
)
PER_SPLIT = (
    "scores_by_run",
    "imputation",
    "calibration",
    "resources",
    "distances",
    "training_curves",
    *OF_CELLS,
)
DRAWN = dict.fromkeys(PER_SPLIT, ["pair/unpaired"])  # of one split, to save time
DRAWN |= dict.fromkeys(("imputation", "calibration"), ["pair/unpaired", "triple/paired"])
FIGURES = ("sweep", "tuning_trials", *PER_SPLIT)
COARSE = 40  # dots per inch, to save time
MODALITIES = {"pair": ("rna", "adt"), "triple": ("rna", "atac", "adt")}
NORMALIZATIONS = {"rna": "lognorm", "atac": "lsi", "adt": "clr"}
SCENARIOS = ("paired", "unpaired")
SEEDS = (0, 1, 2)
SWEEP = {
    "label": "modalities",
    "log": True,
    "metrics": {"foscttm": None, "imputation_skill": ["rna->adt", "rna->atac"]},
    "series": {"a series": {"pair": 2, "triple": 3}},
}

# method -> kind, skill, gives latents of single modalities, imputes
KNOWN = {
    "vae_poe": ("model", 0.7, True, True),
    "vae_mlp": ("model", 0.6, True, True),
    "mvae": ("model", 0.8, True, True),
    "mmvaepp": ("model", 0.85, True, True),
    "cca": ("baseline", 0.55, True, False),
    "ridge": ("baseline", 0.6, False, True),
    "oracle": ("control", 1.0, True, True),
    "random_latent": ("control", 0.0, True, False),
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
    "imputation_pearson_per_feature_ceiling": ("reference", None, None, None),
    "imputation_skill_ceiling": ("reference", None, None, None),
    "active_units": ("sanity", None, None, None),
    "fit_seconds": ("resources", 0.0, "lower", None),
    "peak_host_mb": ("resources", 0.0, "lower", None),
    "coverage_50": ("calibration", 0.5, "nearer", None),
    "coverage_90": ("calibration", 0.9, "nearer", None),
}


LONG = ["metric", "direction", "normalization", "value"]
WARNING = "40 cells of <adt> were never stained"


def made_datasheet(file):
    """Write what a dataset says about itself: a datasheet of two modalities, and a warning."""
    row = dict.fromkeys(COLUMNS, "") | {"dataset": file.stem, "cells": 1200, "features": 46}
    row |= {"linked_features": 33, "depth": 807.5, "cells_of_dataset": 1200, "cells_in_all": 1160}
    row |= {"cell_types": 2, "cells_by_type": "B cell: 700; T cell: 500", "batches": 1}
    rows = [row | {"modality": "rna", "source": "rna.h5ad, X"}, row | {"modality": "adt"}]
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as opened:
        opened[f"uns/{KEY}/{DATASHEET}"] = json.dumps(rows)
        opened[f"uns/{KEY}/warnings"] = json.dumps([WARNING])
    return file


def status_of(dataset, scenario, run, seed):
    lost = ("pair", "unpaired", "mmvaepp"), ("triple", "paired", "vae_mlp", 2)
    if (dataset, scenario, run) in lost or (dataset, scenario, run, seed) in lost:
        return "diverged"
    return "collapsed" if run == "constant" else "ok"


def applies(scenario, run):
    return scenario == "paired" or run != "cca"


def made_record(dataset, scenario, run, seed, random):
    status = status_of(dataset, scenario, run, seed)
    kind = KNOWN[METHODS[run]][0]
    base = {"model": 20.0, "baseline": 0.8, "control": 0.004}[kind]
    fit = base * float(np.exp(random.normal(0, 0.2)))
    failed = status == "diverged"
    messages = {
        "diverged": "loss is not finite in epoch 3",
        "collapsed": "no latent dimension varies",
    }
    return {
        "dataset": dataset,
        "scenario": scenario,
        "run": run,
        "method": METHODS[run],
        "seed": seed,
        "status": status,
        "message": messages.get(status, ""),
        "hyperparameters": {},
        "seconds": {} if failed else {"read": 1.5, "fit": fit},
        "peak_host_mb": None if failed else 900 + 300 * (kind == "model") + random.normal(0, 5),
        "peak_device_mb": None,
        "device": "cpu",
        "threads": 1,
        "versions": {"python": "3.11.2", "torch": "2.13.0"},
        "git_commit": "0123456789ab",
    }


def made_scores(record, random):
    if record["status"] == "diverged":
        return identified([("status", "run", "-", np.nan)], record)
    _, skill, single, imputes = KNOWN[record["method"]]
    of_run = {"fit_seconds": record["seconds"]["fit"], "peak_host_mb": record["peak_host_mb"]}
    rows = [(name, "run", "-", value) for name, value in of_run.items()]

    def near(value):
        return float(np.clip(value + random.normal(0, 0.02), -1, 1))

    for source, target in permutations(MODALITIES[record["dataset"]], 2):
        of_latents, of_values = {}, {}
        if single:
            noise = abs(random.normal(0, 0.01)) * (skill < 1)
            of_latents = {
                "foscttm": 0.5 * (1 - skill) + noise,
                "recall_at_10": near(0.02 + 0.4 * skill),
                "label_transfer_accuracy": near(0.2 + 0.7 * skill),
            }
            for name in ("foscttm", "label_transfer_accuracy"):
                of_latents[f"{name}_cosine"] = 0.9 * of_latents[name]
        if imputes:
            expected = {"pearson_per_feature": 0.6 * skill, "pearson_per_cell": 0.5 + 0.4 * skill}
            for name, value in (expected | {"skill": 0.5 * skill}).items():
                of_values[f"imputation_{name}"] = 1.0 if skill == 1 else near(value)
            of_values["imputation_skill_ceiling"] = 0.5
            of_values["imputation_pearson_per_feature_ceiling"] = 0.9
            of_values |= {"coverage_50": 0.5 * skill, "coverage_90": 0.9}
        direction, normalization = f"{source}->{target}", NORMALIZATIONS[target]
        rows += [(name, direction, "-", value) for name, value in of_latents.items()]
        rows += [(name, direction, normalization, value) for name, value in of_values.items()]
    if single:
        rows.append(("active_units", "joint", "-", float(round(20 * skill))))
    return identified(rows, record)


def identified(rows, record):
    names = {key: record[key] for key in ("dataset", "scenario", "run", "seed", "status")}
    return pd.DataFrame(rows, columns=LONG).assign(**names)[SCORE_COLUMNS]


def made_features(record, random):
    _, skill, _, imputes = KNOWN[record["method"]]
    parts = []
    for source, target in permutations(MODALITIES[record["dataset"]], 2):
        if imputes and record["status"] != "diverged":
            values = np.clip(random.normal(0.6 * skill, 0.2, 30), -1, 1)
            values[:3] = np.nan
            r = {"metric": "imputation_pearson_per_feature", "value": values}
            r["feature"] = [f"f{number}" for number in range(30)]
            bins = {"metric": "pit_histogram"}
            bins["feature"] = [f"{low / 10:.1f} to {(low + 1) / 10:.1f}" for low in range(10)]
            # a method that knows less is overconfident
            bins["value"] = [50 + 10 * abs(low - 4.5) * (1 - skill) for low in range(10)]
            named = {"direction": f"{source}->{target}", "normalization": NORMALIZATIONS[target]}
            parts += [pd.DataFrame(bins | named), pd.DataFrame(r | named)]
    names = {key: record[key] for key in ("dataset", "scenario", "run", "seed")}
    return joined([part.assign(**names) for part in parts], FEATURE_COLUMNS)


def made_cells(records, scores, random):
    """Return scores of 30 cells per seed whose means are the run's scores."""
    values, cells = {}, {}
    metrics = ["foscttm", "label_transfer_accuracy", "imputation_pearson_per_cell"]
    for row in scores[scores["metric"].isin(metrics)].itertuples():
        noise = random.normal(0, 0.05, 30)
        key = row.seed, row.metric, row.direction, row.normalization
        values[key] = row.value + noise - noise.mean()
        cells[row.seed] = np.array([f"cell-{30 * row.seed + i}" for i in range(30)])
    place = {key: records[0][key] for key in ("dataset", "scenario", "run")}
    return CellScores(**place, cells=cells, values=values)


def made_projections(dataset, scenario, runs, random):
    """Return what `layout` writes of the cells of one split: every table of their contract."""
    cells, modalities = 60, MODALITIES[dataset]
    types = np.array([f"type {t}" for t in random.integers(0, 5, cells)], dtype=object)
    zero, one = "type 0", "type 1"
    of_cells = {"cell": [f"c{cell}" for cell in range(cells)], "cell_type": types}
    found: dict[str, list] = {name: [] for name in projections.COLUMNS}

    def add(table, **columns):
        found[table].append(pd.DataFrame(columns))

    def place():
        return {"x": random.normal(0, 1, cells), "y": random.normal(0, 1, cells)}

    for run in runs:
        for source in ("joint", *modalities):
            named = {"run": run, "source": source, "modality": source, "batch": "b"}
            clusters = random.integers(0, 3, cells)
            add("projection", **named, **of_cells, **place(), leiden=clusters)
        for modality in modalities:
            if NORMALIZATIONS[modality] != "lsi":
                leiden, marks = np.repeat(range(3), 3), np.tile(range(3), 3)
                named = {"run": run, "modality": modality, "leiden": leiden, "marks": marks}
                named |= {"normalization": NORMALIZATIONS[modality], "cells": 20, "cell_type": one}
                values = {"mean": random.random(9), "above": random.random(9), "share": 0.8}
                add("markers", **named, **values, feature=[f"f{mark}" for mark in marks])
        for source, target in permutations(modalities, 2):
            named = {"run": run, "direction": f"{source}->{target}"}
            types_of = {"cell_type": [zero, zero, one], "transferred": [zero, one, one]}
            add("transfers", **named, **types_of, cells=[9, 3, 12])
            add("imputed_layout", **named, **of_cells, **place(), modality=target)
            for extreme, r in (("best", 0.9), ("median", 0.5), ("worst", -0.1)):
                of_feature = {"feature": f"{extreme} feature", "place": extreme, "r": r}
                of_feature |= {"normalization": NORMALIZATIONS[target], "cell": of_cells["cell"]}
                values = {"measured": random.random(cells), "imputed": random.random(cells)}
                add("imputed_values", **named, **of_feature, **values)
    for modality in modalities:
        named = {"run": "measured", "direction": "measured", "modality": modality}
        add("imputed_layout", **named, **of_cells, **place())
    for run in runs[:1]:
        origin = np.repeat(["real", "generated"], cells // 2)
        add("virtual_cells", run=run, origin=origin, **of_cells, **place())
        for modality in modalities:
            named = {"run": run, "modality": modality}
            kinds = sorted(set(types))
            means = {"real": random.random(len(kinds)), "generated": random.random(len(kinds))}
            marker = {"marker_of": one, "feature": "f1", "cell_type": kinds}
            add("virtual_markers", **named, **marker, **means)
            add("virtual_realism", **named, realism_auc=[0.9])
    split = {"dataset": dataset, "scenario": scenario, "seed": 0}
    return {
        table: joined([part.assign(**split) for part in found[table]], columns)
        for table, columns in projections.COLUMNS.items()
    }


def made_history(record):
    epochs = np.arange(1, 11)
    if KNOWN[record["method"]][0] != "model" or record["status"] == "diverged":
        return pd.DataFrame(columns=["epoch", "loss"])
    heights = {"loss": 100, "nll_rna": 90, "kl": 10, "validation_loss": 110}
    losses = {name: height / epochs for name, height in heights.items()}
    saved = (epochs == 10).astype(float)
    return pd.DataFrame({"epoch": epochs, "progress": epochs / 10, "kept": saved} | losses)


def synthetic(folder):
    """Write the files that a benchmark leaves; the same bytes every time."""
    random = np.random.default_rng(0)
    lists = ("scores", "records", "not_applicable", "places")
    found = SimpleNamespace(folder=folder, seeds=SEEDS, **{name: [] for name in lists})
    found.splits = [f"{dataset}/{scenario}" for dataset, scenario in product(MODALITIES, SCENARIOS)]
    for dataset, scenario, run in product(MODALITIES, SCENARIOS, METHODS):
        place = {"dataset": dataset, "scenario": scenario, "run": run}
        if not applies(scenario, run):
            absent = {"method": METHODS[run], "reason": "needs paired cells"}
            found.not_applicable.append(place | absent)
            continue
        found.places.append(place)
        records = [made_record(*place.values(), seed, random) for seed in SEEDS]
        scores = pd.concat([made_scores(record, random) for record in records])
        features = joined([made_features(record, random) for record in records], FEATURE_COLUMNS)
        write_run(found, folder / "runs" / dataset / scenario / run, records, scores, features)
    for split in [*found.splits, "nowhere/paired"]:
        dataset, scenario = split.split("/")
        runs = ["vae_poe", "mvae"] if dataset in MODALITIES else []
        of_split = made_projections(dataset if runs else "pair", scenario, runs, random)
        tables = {name: table if runs else table.iloc[:0] for name, table in of_split.items()}
        write_tables(folder / "projections" / split, tables)
    return found


def write_run(found, here, records, scores, features):
    """Write the files of all seeds of a run, and add their paths to `found`."""
    for record in records:
        of_seed = here / f"seed-{record['seed']}"
        write_record(of_seed / "run.json", record)
        write_table(of_seed / "history.tsv", made_history(record))
        found.records.append(of_seed / "run.json")
    write_scores(here / "scores.tsv", scores)
    write_table(here / "features.tsv", features)
    write_cells(here / "cells.npz", made_cells(records, scores, np.random.default_rng(1)))
    found.scores.append(here / "scores.tsv")


def cards(room):
    """Return made-up cards, which say which method is a control and what chance is."""
    if room == "datasets":
        return {"pair": {"label": "Pair", "licence": "none"}}
    made = {}
    if room == "methods":
        for name, (kind, *_) in KNOWN.items():
            made[name] = {"label": name.upper(), "kind": kind, "summary": f"About {name}."}
    elif room == "metrics":
        keys = ("group", "best", "better", "chance")
        for name, values in METRICS.items():
            label = catalog.card("metrics", name)["label"]
            made[name] = {"label": label, "definition": f"What {name} is.", "doi": "10.1/x"}
            made[name] |= dict(zip(keys, values, strict=True))
    return made or catalog.cards(room)


ALL_CARDS = {room: cards(room) for room in ("methods", "metrics", "datasets")}
ROSTER = RunMetadata(cards=ALL_CARDS, methods=METHODS)


def finished(folder):
    """Return everything that `tabulate`, `draw` and `report` make of the synthetic results."""
    results = synthetic(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "cards", cards)
        patch.setattr(theme, "DPI", COARSE)
        tabulate_results(results, folder / "tables")
        for figure in FIGURES:
            draw_figure(results, figure, folder / "figures", DRAWN.get(figure))
        write_report(results, folder / "report.html")
    results.tables = read_tables(folder / "tables")
    results.html = (folder / "report.html").read_text(encoding="utf-8")
    results.theme = theme.Theme(display=theme._read_display(theme.DISPLAY), run_metadata=ROSTER)
    return results


def copied(results, folder):
    """Return the results with a copy of their files, in a folder that is made."""
    shutil.copytree(results.folder, folder)
    paths = {}
    for name in ("scores", "records"):
        files = getattr(results, name)
        paths[name] = [folder / file.relative_to(results.folder) for file in files]
    return SimpleNamespace(**vars(results) | paths | {"folder": folder})


def tabulate_results(found, output):
    made_datasheet(found.folder / "datasets/pair.h5mu")
    tabulate.main(
        not_applicable=found.not_applicable,
        methods=METHODS,
        kinds={scenario: scenario for scenario in SCENARIOS},
        reference=None,
        sweep=SWEEP,
        results=found.folder,
        output=output,
        places=found.places,
        fits=[place | {"seed": seed} for place in found.places for seed in found.seeds],
        datasets=["pair"],
        cannot_learn=[("pair", "no pairs"), ("triple", "no pairs")],
        cannot_learn_without_pairs=[("pair", "of a dataset without pairs")],
        searches=[made_search(found.folder, dataset) for dataset in MODALITIES],
    )


def made_search(folder, dataset):
    """Write a search for settings, with an ablation as the tuned run; return its place."""
    place = {"dataset": dataset, "scenario": "paired", "run": "mvae-beta4", "seed": 0}
    output = Path(Results(folder).tuning(**place))
    facts = {"status": "ok", "seconds": 2.0, "cpu_seconds": 1.5, "message": ""}
    trials = [
        facts | {"trial": n, "objective": value, "beta": beta}
        for n, (value, beta) in enumerate([(0.40, 1.0), (0.52, 4.0), (None, 9.0)])
    ]
    write_trials(output / "trials.tsv", trials, ["beta"])
    best = place | {"of": "mvae", "method": "mvae", "metric": "mean", "trials": 3, "ended": 2}
    best |= {"best_trial": 1, "best": 0.52, "default": 0.4, "hyperparameters": {"beta": 4.0}}
    write_best(output / "best.json", best)
    return place


def as_pairs(splits):
    return [tuple(split.split("/")) for split in splits]


def draw_figure(found, figure, output, splits=None):
    draw.main(
        figures=[figure],
        results=found.folder,
        splits=as_pairs(found.splits if splits is None else splits),
        output=output,
    )


def write_report(found, output):
    report.main(
        config={"seeds": [0, 1, 2]},
        splits=as_pairs(found.splits),
        output=output,
        results=found.folder,
    )
