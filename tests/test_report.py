"""Tables, figures and the report, on synthetic results of two datasets, two scenarios, fifteen runs and three seeds."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from PIL import Image

from mosaicbench import catalog
from mosaicbench.commands import draw, report, tabulate
from mosaicbench.errors import UserError
from mosaicbench.figures.sweep import sweep
from mosaicbench.files.runs import read_record, write_record
from mosaicbench.files.scores import FEATURE_COLUMNS, SCORE_COLUMNS, CellScores, read_scores, write_cells, write_scores
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report import embedded_figures, html, projections, reference_sections, tables, theme
from mosaicbench.report.sweep import sweep_table

DISPLAY = Path(__file__).parents[1] / "config/display.yaml"
PUBLISHED = Path(__file__).parents[1] / "config/published.yaml"
OF_CELLS = ("umap", "umap_joint", "marker_dots", "label_confusion", "imputation_umap", "imputation_scatter")
OF_CELLS += ("imputation_distributions", "virtual_cells")
PER_VIEW = ("overview_heat", "scores_by_run", "imputation_per_feature", "runtime", "score_by_resources", "training_curves")
PER_VIEW += OF_CELLS
DRAWN_ONCE = (*OF_CELLS, "score_by_resources", "training_curves")  # of one view, to save time
FIGURES = ("mean_ranks", "sweep", *PER_VIEW)
MODALITIES = {"pair": ("rna", "adt"), "triple": ("rna", "atac", "adt")}
SPACES = {"rna": "lognorm", "atac": "lsi", "adt": "clr"}
SCENARIOS = ("paired", "unpaired")
SEEDS = (0, 1, 2)
SWEEP = {"label": "modalities", "log": True, "metrics": {"foscttm": None, "imputation_skill": ["rna->adt", "rna->atac"]}}
SWEEP["series"] = {"a series": {"pair": 2, "triple": 3}}
VALUES = {"mvae-1": 0.1, "mvae-4": 0.4, "oracle": 0.0}
HOSTILE = "<script>alert('&\"')</script>"

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
    "recall_at_10": ("alignment", 1.0, "higher", None),
    "label_transfer_accuracy": ("label_transfer", 1.0, "higher", None),
    "imputation_pearson_per_feature": ("imputation", 1.0, "higher", 0.0),
    "imputation_pearson_per_cell": ("imputation", 1.0, "higher", None),
    "imputation_skill": ("imputation", 1.0, "higher", 0.0),
    "active_units": ("sanity", None, None, None),
    "fit_seconds": ("resources", 0.0, "lower", None),
    "peak_host_mb": ("resources", 0.0, "lower", None),
}


def _status(dataset: str, scenario: str, run: str, seed: int) -> str:
    if (dataset, scenario, run) == ("pair", "unpaired", "mmvaepp") or (dataset, scenario, run, seed) == (
        "triple",
        "paired",
        "vae_mlp",
        2,
    ):
        return "diverged"
    return "collapsed" if run == "constant" else "ok"


def _applies(scenario: str, run: str) -> bool:
    return scenario == "paired" or run not in ("cca", "procrustes")


def _record(dataset: str, scenario: str, run: str, seed: int, random: np.random.Generator) -> dict:
    status = _status(dataset, scenario, run, seed)
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
        "message": {"diverged": "cost is not finite in epoch 3", "collapsed": "no latent dimension varies"}.get(status, ""),
        "hyperparameters": {},
        "seconds": {} if failed else {"read": 1.5, "fit": fit},
        "peak_host_mb": None if failed else 900 + 300 * (kind == "model") + random.normal(0, 5),
        "peak_device_mb": None,
        "device": "cpu",
        "threads": 1,
        "versions": {"python": "3.11.2", "torch": "2.13.0"},
        "git_commit": "0123456789ab",
    }


def _scores(record: dict, random: np.random.Generator) -> pd.DataFrame:
    if record["status"] == "diverged":
        rows = [("status", "run", "-", np.nan)]
        return _identified(pd.DataFrame(rows, columns=["metric", "direction", "space", "value"]), record)
    _, skill, single, imputes = KNOWN[record["method"]]
    rows = [("fit_seconds", "run", "-", record["seconds"]["fit"]), ("peak_host_mb", "run", "-", record["peak_host_mb"])]
    for source, target in permutations(MODALITIES[record["dataset"]], 2):
        direction = f"{source}->{target}"

        def near(value: float) -> float:
            return float(np.clip(value + random.normal(0, 0.02), -1, 1))

        if single:
            rows.append(("foscttm", direction, "-", 0.5 * (1 - skill) + abs(random.normal(0, 0.01)) * (skill < 1)))
            rows.append(("recall_at_10", direction, "-", near(0.02 + 0.4 * skill)))
            rows.append(("label_transfer_accuracy", direction, "-", near(0.2 + 0.7 * skill)))
        if imputes:
            rows.append(("imputation_pearson_per_feature", direction, SPACES[target], 1.0 if skill == 1 else near(0.6 * skill)))
            rows.append(
                ("imputation_pearson_per_cell", direction, SPACES[target], 1.0 if skill == 1 else near(0.5 + 0.4 * skill))
            )
            rows.append(("imputation_skill", direction, SPACES[target], 1.0 if skill == 1 else near(0.5 * skill)))
    if single:
        rows.append(("active_units", "joint", "-", float(round(20 * skill))))
    return _identified(pd.DataFrame(rows, columns=["metric", "direction", "space", "value"]), record)


def _features(record: dict, random: np.random.Generator) -> pd.DataFrame:
    _, skill, _, imputes = KNOWN[record["method"]]
    parts = [pd.DataFrame(columns=["metric", "direction", "space", "feature", "value"])]
    for source, target in permutations(MODALITIES[record["dataset"]], 2):
        if imputes and record["status"] != "diverged":
            values = np.clip(random.normal(0.6 * skill, 0.2, 30), -1, 1)
            values[:3] = np.nan
            parts.append(
                pd.DataFrame(
                    {"metric": "imputation_pearson_per_feature", "direction": f"{source}->{target}", "space": SPACES[target]}
                    | {"feature": [f"f{number}" for number in range(30)], "value": values}
                )
            )
    table = pd.concat(parts[1:] or parts, ignore_index=True)
    return table.assign(**{key: record[key] for key in ("dataset", "scenario", "run", "seed")})[FEATURE_COLUMNS]


def _cells(records: list[dict], scores: pd.DataFrame, random: np.random.Generator) -> CellScores:
    """Return scores of 30 cells per seed whose means are the run's scores."""
    values = {}
    of_cells = scores["metric"].isin(["foscttm", "label_transfer_accuracy", "imputation_pearson_per_cell"])
    for row in scores[of_cells].itertuples():
        noise = random.normal(0, 0.05, 30)
        values[row.seed, row.metric, row.direction, row.space] = row.value + noise - noise.mean()
    first = records[0]
    return CellScores(
        dataset=first["dataset"],
        scenario=first["scenario"],
        run=first["run"],
        cells={seed: np.array([f"cell-{30 * seed + i}" for i in range(30)]) for seed in {key[0] for key in values}},
        values=values,
    )


def _identified(table: pd.DataFrame, record: dict) -> pd.DataFrame:
    return table.assign(**{key: record[key] for key in ("dataset", "scenario", "run", "seed", "status")})[SCORE_COLUMNS]


def _projections(dataset: str, scenario: str, runs: list[str], random: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Return what `project` and `generate` gather of the cells of one view: every table of their contract."""
    cells, modalities = 60, MODALITIES[dataset]
    types = np.array([f"type {t}" for t in random.integers(0, 5, cells)])
    names = [f"c{cell}" for cell in range(cells)]
    contract = projections.COLUMNS | projections.VIRTUAL_COLUMNS
    found: dict[str, list] = {name: [] for name in contract}
    for run in runs:
        for source in ("joint", *modalities):
            xy = {"x": random.normal(0, 1, cells), "y": random.normal(0, 1, cells)}
            named = {"run": run, "source": source, "modality": source, "cell": names, "cell_type": types, "batch": "b"}
            found["projection"].append(pd.DataFrame(named | {"leiden": random.integers(0, 3, cells)} | xy))
        for modality in modalities:
            if SPACES[modality] != "lsi":
                named = {"run": run, "modality": modality, "space": SPACES[modality], "cells": 20, "cell_type": "type 1"}
                dots = [(leiden, marks) for leiden in range(3) for marks in range(3)]
                values = {"mean": random.random(9), "above": random.random(9), "share": 0.8}
                values |= {"feature": [f"f{marks}" for _, marks in dots], "marks": [marks for _, marks in dots]}
                found["markers"].append(pd.DataFrame(named | values | {"leiden": [leiden for leiden, _ in dots]}))
        for source, target in permutations(modalities, 2):
            carried = {"cell_type": ["type 0", "type 0", "type 1"], "transferred": ["type 0", "type 1", "type 1"]}
            direction = f"{source}->{target}"
            found["transfers"].append(pd.DataFrame(carried | {"run": run, "direction": direction, "cells": [9, 3, 12]}))
            for place, r in (("best", 0.9), ("median", 0.5), ("worst", -0.1)):
                named = {"run": run, "direction": direction, "space": SPACES[target], "feature": f"{place} feature"}
                values = {"cell": names, "measured": random.random(cells), "imputed": random.random(cells)}
                found["imputed_values"].append(pd.DataFrame(named | {"place": place, "r": r} | values))
            named = {"run": run, "direction": direction, "modality": target, "cell": names, "cell_type": types}
            found["imputed_layout"].append(pd.DataFrame(named | {"x": random.random(cells), "y": random.random(cells)}))
    for modality in modalities:
        named = {"run": "measured", "direction": "measured", "modality": modality, "cell": names, "cell_type": types}
        found["imputed_layout"].append(pd.DataFrame(named | {"x": random.random(cells), "y": random.random(cells)}))
    for run in runs[:1]:
        origin = np.repeat(["real", "generated"], cells // 2)
        xy = {"x": random.normal(0, 1, cells), "y": random.normal(0, 1, cells)}
        named = {"run": run, "origin": origin, "cell": names, "cell_type": types}
        found["virtual_cells"].append(pd.DataFrame(named | xy))
        for modality in modalities:
            named = {"run": run, "modality": modality, "marker_of": "type 1", "feature": "f1"}
            means = {"cell_type": sorted(set(types)), "real": random.random(5), "generated": random.random(5)}
            found["virtual_markers"].append(pd.DataFrame(named | means))
            found["virtual_realism"].append(pd.DataFrame([{"run": run, "modality": modality, "realism_auc": 0.9}]))
    view = {"dataset": dataset, "scenario": scenario, "seed": 0}
    return {name: tables.joined([part.assign(**view) for part in found[name]], columns) for name, columns in contract.items()}


def _history(record: dict) -> pd.DataFrame:
    epochs = np.arange(1, 11)
    if KNOWN[record["method"]][0] != "model" or record["status"] == "diverged":
        return pd.DataFrame(columns=["epoch", "cost"])
    costs = {"cost": 100 / epochs, "nll_rna": 90 / epochs, "kl": 10 / epochs, "validation_cost": 110 / epochs}
    return pd.DataFrame({"epoch": epochs, "progress": epochs / 10} | costs)


def synthetic(folder: Path) -> SimpleNamespace:
    """Write the files that a benchmark leaves; the same bytes every time."""
    random = np.random.default_rng(0)
    found = SimpleNamespace(scores=[], records=[], features=[], cells=[], histories=[], not_applicable=[], folder=folder)
    found.views = [f"{dataset}/{scenario}" for dataset in MODALITIES for scenario in SCENARIOS]
    for dataset, scenario, run in ((d, s, r) for d in MODALITIES for s in SCENARIOS for r in METHODS):
        if not _applies(scenario, run):
            reason = "needs paired cells"
            found.not_applicable.append(
                {"dataset": dataset, "scenario": scenario, "run": run, "method": METHODS[run], "reason": reason}
            )
            continue
        here = folder / "runs" / dataset / scenario / run
        records = [_record(dataset, scenario, run, seed, random) for seed in SEEDS]
        for record in records:
            write_record(here / f"seed-{record['seed']}" / "run.json", record)
            found.records.append(here / f"seed-{record['seed']}" / "run.json")
            write_table(here / f"seed-{record['seed']}" / "history.tsv", _history(record))
            found.histories.append(here / f"seed-{record['seed']}" / "history.tsv")
        scores = pd.concat([_scores(record, random) for record in records])
        write_scores(here / "scores.tsv", scores)
        parts = [_features(record, random) for record in records]
        write_table(here / "features.tsv", tables.joined(parts, FEATURE_COLUMNS))
        write_cells(here / "cells.npz", _cells(records, scores, np.random.default_rng(1)))
        found.cells.append(here / "cells.npz")
        found.scores.append(here / "scores.tsv")
        found.features.append(here / "features.tsv")
    for view in [*found.views, "nowhere/paired"]:
        dataset, scenario = view.split("/")
        runs = ["vae_poe", "mvae", "mmvaepp"] if dataset in MODALITIES else []
        runs = [run for run in runs if _status(dataset, scenario, run, 0) == "ok"]
        projected = _projections(dataset if runs else "pair", scenario, runs, random)
        for name, table in projected.items():
            write_table(folder / "projections" / view / f"{name}.tsv", table if runs else table.iloc[:0])
    return found


def cards(room: str) -> dict[str, dict]:
    """Return made-up cards, so that these tests know which method is a control and what chance is."""
    if room == "methods":
        return {name: {"label": name.upper(), "kind": kind, "summary": f"About {name}."} for name, (kind, *_) in KNOWN.items()}
    if room == "metrics":
        keys = ("group", "best", "better", "chance")
        return {
            name: {"label": name, "definition": f"What {name} is.", "doi": "10.1/x"} | dict(zip(keys, values, strict=True))
            for name, values in METRICS.items()
        }
    return {"pair": {"label": "Pair", "licence": "none"}} if room == "datasets" else catalog.cards(room)


ALL_CARDS = {room: cards(room) for room in ("methods", "metrics", "datasets")}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> SimpleNamespace:
    """Everything that the three verbs make of the synthetic results."""
    folder = tmp_path_factory.mktemp("results")
    found = synthetic(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "cards", cards)
        _tabulate(found, folder / "tables")
        for figure in FIGURES:
            _draw(found, figure, folder / "figures", ["pair/unpaired"] if figure in DRAWN_ONCE else None)
        _report(found, folder / "report.html")
    found.tables = tables.read_tables(folder / "tables")
    found.html = (folder / "report.html").read_text(encoding="utf-8")
    found.theme = theme.Theme(display=theme._read_display(DISPLAY), cards=ALL_CARDS, methods=METHODS)
    return found


def _tabulate(found: SimpleNamespace, output: Path) -> None:
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
        results=found.folder,
        output=output,
    )


def _draw(found: SimpleNamespace, figure: str, output: Path, views: list[str] | None = None) -> None:
    draw.main(
        figure=figure,
        tables=found.folder / "tables",
        projections=found.folder / "projections",
        display=DISPLAY,
        views=found.views if views is None else views,
        output=output,
    )


def _report(found: SimpleNamespace, output: Path) -> None:
    report.main(
        tables=found.folder / "tables",
        figures=found.folder / "figures",
        display=DISPLAY,
        config={"title": "A synthetic benchmark", "seeds": [0, 1, 2]},
        views=found.views,
        output=output,
        results=found.folder,
    )


def _score_table(rows: list[tuple]) -> pd.DataFrame:
    """Return scores of dataset d, scenario s from (run, seed, metric, direction, value, status)."""
    columns = ["run", "seed", "metric", "direction", "value", "status"]
    return pd.DataFrame(rows, columns=columns).assign(dataset="d", scenario="s", space="-")[SCORE_COLUMNS]


def _run_table(rows: list[tuple]) -> pd.DataFrame:
    """Return runs of dataset d, scenario s from (run, method, seed, status)."""
    table = pd.DataFrame(rows, columns=["run", "method", "seed", "status"]).assign(
        dataset="d", scenario="s", message="", device="cpu"
    )
    return tables.checked_runs(table.assign(seconds=np.nan, peak_host_mb=np.nan, peak_device_mb=np.nan))


# --- tables --------------------------------------------------------------------------------------------------------------


def test_comparison_is_the_mean_and_t_interval_over_seeds_that_gave_a_value():
    scores = _score_table(
        [("mvae", seed, "foscttm", "rna->adt", value, "ok") for seed, value in enumerate([0.1, 0.2, 0.3, np.nan])]
        + [("mvae", 4, "status", "run", np.nan, "diverged"), ("mvae", 0, "active_units", "joint", 7.0, "ok")]
        + [("mmvaepp", 0, "status", "run", np.nan, "crashed"), ("mmvaepp", 1, "status", "run", np.nan, "crashed")]
    )
    found = tables.comparison(scores).set_index(["run", "metric"])
    row = found.loc[("mvae", "foscttm")]
    half = 4.302652729911275 * 0.1 / 3**0.5  # t quantile of two degrees of freedom
    assert (row["seeds"], row["failed"]) == (3, 1)
    np.testing.assert_allclose([row["mean"], row["sd"], row["low"], row["high"]], [0.2, 0.1, 0.2 - half, 0.2 + half])
    once = found.loc[("mvae", "active_units")]
    assert once["mean"] == 7.0
    assert once["seeds"] == 1
    assert once[["sd", "low", "high"]].isna().all()
    lost = found.loc[("mmvaepp", "status")]
    assert np.isnan(lost["mean"])
    assert (lost["seeds"], lost["failed"]) == (0, 2)
    assert len(found) == 3


@pytest.mark.parametrize("rows", [[], [("mvae", 0, "status", "run", np.nan, "crashed")]])
def test_tables_can_be_made_where_nothing_succeeded(rows):
    scores, runs = tables.checked_scores(_score_table(rows)), _run_table([("mvae", "mvae", 0, "crashed")])
    assert tables.comparison(scores)["failed"].tolist() == [1] * len(rows)
    assert set(tables.overview(scores, runs, ALL_CARDS).loc[0, list(tables.HEADLINE)]) == {"✗ crashed"}
    assert tables.gates(scores, runs, ALL_CARDS).empty
    assert not tables.best(tables.headline(scores), runs, ALL_CARDS).any()


def test_overview_averages_directions_within_a_seed_before_seeds():
    values = {("rna->adt", 0): 0.1, ("adt->rna", 0): 0.3, ("rna->adt", 1): 0.2, ("adt->rna", 1): 0.6}
    scores = _score_table([("mvae", seed, "foscttm", direction, v, "ok") for (direction, seed), v in values.items()])
    runs = _run_table([("mvae", "mvae", 0, "ok"), ("mvae", "mvae", 1, "ok")])
    row = tables.overview(scores, runs, ALL_CARDS).iloc[0]
    assert row["foscttm"] == "0.300 ± 0.141"  # of 0.2 and 0.4
    assert (row["seeds"], row["status"], row["kind"]) == ("2/2", "ok", "model")


def test_overview_leaves_out_a_seed_that_lacks_a_direction():
    scores = _score_table(
        [("mvae", 0, "foscttm", "rna->adt", 0.1, "ok"), ("mvae", 0, "foscttm", "adt->rna", 0.3, "ok")]
        + [("mvae", 1, "foscttm", "rna->adt", 0.0, "ok"), ("mvae", 1, "foscttm", "adt->rna", np.nan, "ok")]
    )
    row = tables.headline(scores).iloc[0]
    assert (row["mean"], row["seeds"]) == (0.2, 1)


def test_overview_marks_a_mean_over_fewer_directions_and_it_never_wins():
    scores = _score_table(
        [("mvae", 0, "foscttm", "rna->adt", 0.1, "ok")]
        + [("cca", 0, "foscttm", direction, 0.2, "ok") for direction in ("rna->adt", "adt->rna")]
    )
    runs = _run_table([("mvae", "mvae", 0, "ok"), ("cca", "cca", 0, "ok")])
    overview = tables.overview(scores, runs, ALL_CARDS).set_index("run")["foscttm"]
    assert (overview["mvae"], overview["cca"]) == ("0.100 †", "0.200")
    summary = tables.headline(scores)
    assert summary.loc[tables.best(summary, runs, ALL_CARDS), "run"].tolist() == ["cca"]


def test_best_follows_the_card_and_leaves_controls_aside():
    rows = [("oracle", 0.0, 0.9), ("mvae", 0.1, 0.8), ("cca", 0.3, 0.85)]
    scores = _score_table([(run, 0, "foscttm", "rna->adt", low, "ok") for run, low, _ in rows])
    scores = pd.concat([scores, _score_table([(run, 0, "recall_at_10", "rna->adt", high, "ok") for run, _, high in rows])])
    summary = tables.headline(scores)
    won = summary[tables.best(summary, _run_table([(run, run, 0, "ok") for run, *_ in rows]), ALL_CARDS)]
    assert dict(zip(won["metric"], won["run"], strict=True)) == {"foscttm": "mvae", "recall_at_10": "cca"}


def test_failed_and_missing_never_become_zero(results):
    overview = results.tables["overview"].set_index(["dataset", "scenario", "run"])
    assert set(overview.loc[("pair", "unpaired", "mmvaepp"), list(tables.HEADLINE)]) == {"✗ diverged"}
    assert set(overview.loc[("pair", "unpaired", "cca"), list(tables.HEADLINE)]) == {"–"}
    assert overview.loc[("pair", "unpaired", "cca"), "seeds"] == "–"
    assert overview.loc[("pair", "paired", "ridge"), "foscttm"] == "–"
    partly = overview.loc[("triple", "paired", "vae_mlp")]
    assert (partly["seeds"], partly["status"]) == ("2/3", "ok ×2, diverged ×1")
    scores = results.tables["scores"]
    mine = scores[(scores["run"] == "vae_mlp") & (scores["dataset"] == "triple") & (scores["scenario"] == "paired")]
    mean = mine[mine["metric"] == "foscttm"].groupby("seed")["value"].mean().mean()
    assert partly["foscttm"].startswith(f"{mean:.3f} ± ")
    assert overview.loc[("pair", "paired", "constant"), "status"] == "collapsed"
    assert overview.loc[("pair", "paired", "constant"), "foscttm"].startswith("0.5")


def test_every_run_of_every_view_has_one_row(results):
    assert (
        results.tables["overview"]
        .groupby(["dataset", "scenario"])["run"]
        .apply(set)
        .map(lambda runs: runs == set(METHODS))
        .all()
    )
    assert len(results.tables["overview"]) == len(results.views) * len(METHODS)
    absent = results.tables["runs"].query("status == 'not_applicable'")
    assert absent["seed"].isna().all()
    assert set(absent["message"]) == {"needs paired cells"}
    assert results.tables["runs"]["seconds"].dropna().gt(1.5).all()  # the sum over phases, of which reading takes 1.5


def test_gate_catches_identical_seeds_of_methods_but_not_of_controls():
    def scores(values: dict[int, float], run: str) -> list[tuple]:
        measured = [(run, seed, "foscttm", "rna->adt", value, "ok") for seed, value in values.items()]
        return measured + [(run, seed, "fit_seconds", "run", 1.0 + seed, "ok") for seed in values]

    table = _score_table(
        scores({0: 0.2, 1: 0.3, 2: 0.2}, "mvae") + scores({0: 0.5, 1: 0.5}, "constant") + scores({0: 0.1, 1: 0.4}, "cca")
    )
    runs = _run_table([(run, run, 0, "ok") for run in ("mvae", "constant", "cca")])
    found = tables.gates(table, runs, ALL_CARDS)
    assert found["run"].tolist() == ["mvae"]
    assert found["seeds"].tolist() == ["0, 2"]


def test_gate_passes_distinct_seeds(results):
    assert list(results.tables["gates"].columns) == tables.GATE_COLUMNS
    assert "identical seeds" not in set(results.tables["gates"]["gate"])


def test_tabulate_warns_and_refuses_a_record_of_another_method(results, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalog, "cards", cards)
    scores = read_scores(next(path for path in results.scores if path.parts[-4:-1] == ("pair", "paired", "mvae")))
    same = pd.concat([scores[scores["seed"] == 0], scores[scores["seed"] == 0].assign(seed=1)])
    write_scores(tmp_path / "scores.tsv", same)
    mine = [path for path in results.records if path.parts[-5:-2] == ("pair", "paired", "mvae")][:2]
    common = {"records": mine, "features": [], "not_applicable": [], "output": tmp_path / "tables", "cells": []}
    common |= {"histories": [path.with_name("history.tsv") for path in mine]}
    common |= {"kinds": {"paired": "paired"}, "reference": None, "sweep": None, "published": PUBLISHED}
    tabulate.main(scores=[tmp_path / "scores.tsv"], methods={"mvae": "mvae"}, **common)
    assert "pair/paired/mvae: identical seeds: seeds 0, 1 gave identical values" in capsys.readouterr().err
    assert tables.read_tables(tmp_path / "tables")["gates"]["gate"].tolist() == ["identical seeds"]
    with pytest.raises(UserError, match="'mvae'.*'mmvaepp'"):
        tabulate.main(scores=[], methods={"mvae": "mmvaepp"}, **common)


def test_every_table_is_there_and_says_what_its_intervals_are(results):
    unread = {"expenses", "phases", "scaling"}  # by figures and the report
    assert set(results.tables) | unread == {path.stem for path in (results.folder / "tables").glob("*.tsv")}
    headline = results.tables["headline"].set_index(["dataset", "scenario", "run", "metric"])
    assert headline.loc[("pair", "paired", "mvae", "foscttm"), "interval"] == "bootstrap cells x seeds"
    assert headline.loc[("pair", "paired", "mvae", "recall_at_10"), "interval"] == "t over seeds"
    overall = results.tables["overall"].set_index(["dataset", "scenario", "run"])
    assert not overall.loc[("triple", "paired", "vae_mlp"), "complete"]
    assert np.isnan(overall.loc[("triple", "paired", "vae_mlp"), "rank"])
    assert "seed 2 diverged" in overall.loc[("(all)", "paired", "vae_mlp"), "missing"]
    ranked = overall.loc["pair"].loc["paired"]["rank"].dropna()
    assert sorted(ranked) == list(range(1, len(ranked) + 1))
    assert "oracle" not in ranked.index
    assert "ridge" not in ranked.index  # it has no latents, so it lacks two groups of three


# --- theme ---------------------------------------------------------------------------------------------------------------


def test_an_ablation_takes_its_methods_colour_and_methods_differ(results):
    known = results.theme
    assert known.colour("mvae-beta4") == known.colour("mvae")
    assert known.label("runs", "mvae-beta4") == "mvae-beta4"
    assert len({known.colour(method) for method in KNOWN}) == len(KNOWN)
    order = known.order("runs", reversed(METHODS))
    assert [known.kind(run) for run in order] == sorted((known.kind(run) for run in order), key=theme.KINDS.index)
    assert order.index("mvae-beta4") == order.index("mvae") + 1


@pytest.mark.parametrize("text", ["methods: [", "colors: {}", "methods: {mvae: {color: red}}", "methods: {mvae: MVAE}", "3"])
def test_a_bad_display_file_is_refused_by_name(tmp_path, text):
    (tmp_path / "display.yaml").write_text(text)
    with pytest.raises(UserError, match=r"display\.yaml"):
        theme.read_theme(tmp_path / "display.yaml", pd.DataFrame({"run": [], "method": []}))


# --- figures -------------------------------------------------------------------------------------------------------------


def test_the_figures_tested_here_are_all_that_there_are():
    assert set(catalog.names("figures")) == set(FIGURES)
    assert all((Path(__file__).parents[1] / f"workflow/report/{name}.rst").is_file() for name in FIGURES)
    for name in FIGURES:
        assert list(catalog.parameters("figures", name)) == [*catalog.card("figures", name)["needs"], "theme"]


@pytest.mark.parametrize("figure", PER_VIEW)
def test_a_figure_ships_its_numbers_and_draws_the_same_bytes_twice(results, tmp_path, monkeypatch, figure):
    monkeypatch.setattr(catalog, "cards", cards)
    _draw(results, figure, tmp_path, ["pair/unpaired"])
    first, second = (folder / "pair/unpaired" for folder in (results.folder / "figures", tmp_path))
    for kind in ("svg", "png", "tsv"):
        assert (first / f"{figure}.{kind}").read_bytes() == (second / f"{figure}.{kind}").read_bytes()
    assert len(read_table(second / f"{figure}.tsv")) >= 10
    assert "<text" in (second / f"{figure}.svg").read_text()
    assert sorted(path.name for path in second.iterdir()) == sorted(f"{figure}.{kind}" for kind in ("svg", "png", "tsv"))


@pytest.mark.parametrize("figure", PER_VIEW)
def test_a_figure_without_data_says_so(results, tmp_path, monkeypatch, figure):
    monkeypatch.setattr(catalog, "cards", cards)
    _draw(results, figure, tmp_path, ["nowhere/paired"])
    assert re.search("No (run|model)", (tmp_path / f"nowhere/paired/{figure}.svg").read_text())
    assert read_table(tmp_path / f"nowhere/paired/{figure}.tsv").empty


def test_scores_by_run_draws_every_seed_and_says_what_is_absent(results):
    drawn = read_table(results.folder / "figures/pair/unpaired/scores_by_run.tsv")
    foscttm = drawn[drawn["metric"] == "foscttm"].set_index("run")
    assert sorted(foscttm.loc["mvae", "seed"]) == [0, 1, 2]
    assert foscttm.loc["mmvaepp", "shown"] == "✗ diverged"
    assert foscttm.loc["cca", "shown"] == "–"
    assert np.isnan(foscttm.loc["mmvaepp", "value"])
    assert set(foscttm["chance"]) == {0.5}
    winner = foscttm[foscttm["best"]].index.unique()
    competing = foscttm[[run not in ("oracle", "random_latent", "shuffled", "constant") for run in foscttm.index]]
    assert winner.tolist() == [competing["mean"].idxmin()]


def test_heat_is_scaled_from_chance_to_the_oracle(results):
    drawn = read_table(results.folder / "figures/pair/paired/overview_heat.tsv").set_index(["metric", "run"])
    assert drawn.loc[("foscttm", "oracle"), "scaled"] == 1.0
    cell = drawn.loc[("foscttm", "mvae")]
    assert (cell["zero"], cell["zero_is"], cell["one_is"]) == (0.5, "chance", "oracle")
    np.testing.assert_allclose(cell["scaled"], (cell["mean"] - 0.5) / (cell["one"] - 0.5))
    negative = drawn.loc["recall_at_10"].loc[["random_latent", "shuffled", "constant"], "mean"]
    assert drawn.loc[("recall_at_10", "mvae"), "zero_is"] == negative.idxmax()
    assert drawn.loc[("foscttm", "ridge"), "shown"] == "–"
    assert np.isnan(drawn.loc[("foscttm", "ridge"), "scaled"])


def test_mean_ranks_says_so_where_nobody_can_be_ranked(results):
    from mosaicbench.figures.mean_ranks import mean_ranks

    alone = results.tables["ranks"].assign(ranked=1)
    for ranks in (alone, alone.iloc[:0]):
        figure, drawn = mean_ranks(ranks=ranks, theme=results.theme)
        assert drawn.empty
        assert "No run can be ranked" in figure.axes[0].texts[0].get_text()


def test_mean_ranks_draws_what_the_table_says(results):
    drawn = read_table(results.folder / "figures/mean_ranks.tsv").set_index(["scenario", "metric", "run"])
    ranks = results.tables["ranks"].set_index(["scenario", "metric", "run"])
    assert drawn.index.isin(ranks.index).all()
    pd.testing.assert_series_equal(drawn["rank"], ranks.loc[drawn.index, "rank"])
    assert np.isnan(drawn.loc[("paired", "foscttm", "vae_mlp"), "rank"])  # a seed of it failed
    assert drawn.loc[("paired", "foscttm", "mvae"), "rank"] < drawn.loc[("paired", "foscttm", "pca_joint"), "rank"]


def test_imputation_quantiles_are_over_features_of_the_mean_over_seeds(results):
    drawn = read_table(results.folder / "figures/triple/paired/imputation_per_feature.tsv")
    assert len(drawn["direction"].unique()) == 6
    row = drawn.set_index(["direction", "run"]).loc[("rna->adt", "mvae")]
    features = tables.of_view(results.tables["features"], "triple", "paired")
    mine = features[(features["run"] == "mvae") & (features["direction"] == "rna->adt")]
    expected = mine.pivot(index="feature", columns="seed", values="value").mean(axis=1).dropna()
    np.testing.assert_allclose(row["median"], np.median(expected))
    assert (row["features"], row["undefined"]) == (27, 3)


# --- report --------------------------------------------------------------------------------------------------------------


def _sections(page: str) -> dict[str, str]:
    return dict(re.findall(r'<section id="([a-z0-9-]+)">(.*?)</section>', page, flags=re.DOTALL))


def _outside(page: str) -> str:
    """Return a page without its pictures."""
    return re.sub(r"src='data:image/[^']+'", "src='data:'", page)


def test_report_needs_no_network_and_is_light(results):
    outside = _outside(results.html)
    assert not re.search(r"(src|url|@import)\s*[=(]?\s*[\"']?\s*(https?:)?//", outside)
    assert set(re.findall(r"https?://[a-z.]+/", outside)) == {"https://doi.org/"}  # links, which nobody follows by itself
    assert "default-src 'none'" in outside
    assert set(re.findall(r"<img [^>]*src='(.{5})", results.html)) == {"data:"}
    assert len(results.html) < 15_000_000


def test_the_script_of_the_page_is_the_one_that_its_policy_names(results):
    (script,) = re.findall(r"<script>(.*?)</script>", results.html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in results.html


def test_the_vendored_script_is_the_one_whose_sum_and_version_are_stated(results):
    assets = Path(html.__file__).parent / "assets"
    said = (assets / "README.md").read_text()
    assert hashlib.sha256((assets / "sortable.min.js").read_bytes()).hexdigest() in said
    version = re.search(r"`sortable-tablesort` ([0-9.]+)", said).group(1)
    assert f"sortable-tablesort {version} by" in results.html
    assert "public domain" in (assets / "sortable.LICENSE.txt").read_text()


def test_every_figure_that_was_drawn_is_shown_with_caption_rows_and_alternative(results):
    drawn = [path.relative_to(results.folder) for path in (results.folder / "figures").rglob("*.svg")]
    assert {path.stem for path in drawn} == set(FIGURES)
    assert results.html.count("<img ") == len(drawn)
    assert all(re.findall(r'<img [^>]*alt="[^"]{10,}"', figure) for figure in re.findall(r"<img [^>]*>", results.html))
    for path in drawn:
        assert f'<a href="{path.with_suffix(".tsv")}">' in results.html
    for name in FIGURES:
        caption = re.sub("`(.*?)`", r"<code>\1</code>", str(escape(catalog.card("figures", name)["caption"])))
        assert results.html.count(caption) == sum(path.stem == name for path in drawn)


def test_a_picture_is_an_svg_unless_it_is_heavy_and_a_full_page_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_figures, "LARGEST_SVG", 1000)
    red = np.zeros((20, 30, 3), dtype=np.uint8) + np.array([200, 30, 40], dtype=np.uint8)
    for name in ("heavy", "light"):
        Image.fromarray(red).save(tmp_path / f"{name}.png")
    (tmp_path / "heavy.svg").write_text("<svg>" + "<path/>" * 1000 + "</svg>")
    (tmp_path / "light.svg").write_text("<?xml version='1.0'?><svg><!-- no --><text fill='#123'>100%\n&amp; more</text></svg>")
    cards = {name: {"label": name, "caption": ""} for name in ("heavy", "light", "not_drawn")}
    heavy, light = embedded_figures.Pictures(tmp_path, cards).of()
    head, content = heavy["uri"].split(",")
    assert head == "data:image/png;base64"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")), red)
    assert light["uri"] == (
        "data:image/svg+xml;charset=utf-8,<svg><text fill=&#39;%23123&#39;>100%25 &amp;amp; more</text></svg>"
    )
    monkeypatch.setattr(embedded_figures, "LARGEST_TOTAL", len(heavy["uri"]))
    assert [picture["uri"] is None for picture in embedded_figures.Pictures(tmp_path, cards).of()] == [False, True]


def test_report_holds_every_run_every_reason_and_the_best_in_bold(results):
    sections = _sections(results.html)
    for place in range(len(results.views)):
        headline = sections[f"view-{place + 1}"].split("</table>")[0]
        assert re.findall(r'data-run="([^"]+)"', headline) == results.theme.order("runs", METHODS)
    for text in ("✗ diverged", "0123456789ab", "2.13.0", "About ridge.", 'href="https://doi.org/10.1/x"'):
        assert text in results.html
    for text in ("cost is not finite in epoch 3", "needs paired cells", "logs/fit/pair/unpaired/mmvaepp/seed-0.log"):
        assert text in sections["absent"]
    assert html.REMEDIES["diverged"][:20] in sections["absent"]
    row = re.search(r'<tr data-run="oracle">.*?</tr>', sections["view-1"], flags=re.DOTALL).group()
    assert 'class="best"' not in row
    assert 'class="best"' in sections["view-1"]


def test_a_dash_and_a_cross_say_why_and_sort_after_every_number(results):
    sections = _sections(results.html)

    def cells(view: int, run: str) -> list[str]:
        row = re.search(rf'<tr data-run="{run}">(.*?)</tr>', sections[f"view-{view}"], flags=re.DOTALL).group(1)
        return re.findall(r"<td[^>]*>.*?</td>", row)

    assert results.views[1] == "pair/unpaired"
    diverged, absent = cells(2, "mmvaepp")[2], cells(2, "cca")[2]
    assert 'data-sort=""' in diverged
    assert 'title="diverged: cost is not finite in epoch 3 (seeds 0, 1, 2)"' in diverged
    assert ">✗ diverged<" in diverged
    assert 'data-sort=""' in absent
    assert 'title="not applicable: needs paired cells"' in absent
    assert "not given by this method" in cells(1, "ridge")[2]
    assert "not given by this method" in cells(1, "constant")[4]  # that it collapsed is not the reason
    mean = (
        results.tables["headline"].set_index(["dataset", "scenario", "run", "metric"]).loc["pair", "paired", "mvae", "foscttm"]
    )
    assert f'data-sort="{mean["mean"]}"' in cells(1, "mvae")[2]


def test_summary_says_who_leads_which_controls_were_run_and_what_failed(results):
    summary = _sections(results.html)["summary"]
    overall = results.tables["overall"].query("dataset == '(all)' and scenario == 'paired'").set_index("run")
    leader = overall["rank"].idxmin()
    assert f"{leader.upper()} (model) has the highest overall score of {overall['rank'].notna().sum()} ranked runs" in summary
    assert "ORACLE" in summary
    assert "4 fits diverged: VAE_MLP, MMVAEPP" in summary
    assert "collapsed:" not in summary  # a control is meant to


def test_summary_says_plainly_where_a_wrapped_package_is_best(results):
    places = [tuple(view.split("/")) for view in results.views]
    best = html._best(results.tables, results.theme)
    assert html._packages(results.tables, places, results.theme) == ""  # none took part

    def said(*wrapped):
        methods = {name: card | ({"wraps": {}} if name in wrapped else {}) for name, card in ALL_CARDS["methods"].items()}
        known = replace(results.theme, cards=ALL_CARDS | {"methods": methods})
        return html._packages(results.tables, places, known)

    contests = len(best[["dataset", "scenario", "metric"]].drop_duplicates())
    winner = best["run"].mode()[0]
    won = best[best["run"] == winner]
    assert said(winner).startswith(f"Wrapped packages have the best mean in {len(won)} of these {contests}: {winner.upper()}")
    assert said(winner).count(f"{winner.upper()} in ") == len(won[["dataset", "scenario"]].drop_duplicates())
    loser = next(run for run in METHODS if run not in set(best["run"]))
    assert said(loser) == f"No wrapped package has the best mean in any of these {contests}."


@pytest.mark.parametrize(
    ("second", "words"), [((0.5, 0.4, 0.6), "Not apart from the leader"), ((0.1, 0.0, 0.2), "no interval reaches the leader")]
)
def test_a_leader_is_apart_only_where_no_interval_reaches_it(results, second, words):
    rows = [("mvae", 1.0, 0.7, 0.6, 0.8), ("pca_joint", 2.0, *second)]
    ranked = pd.DataFrame(rows, columns=["run", "rank", "score", "low", "high"])
    ranked.loc[1, "high"] = max(second)
    said = html._leader(ranked, results.theme)
    assert words in said
    assert "The best baseline is PCA_JOINT" in said


def test_hyperparameters_are_those_of_the_records(results):
    records = [read_record(path) for path in results.records]
    for record in records:
        record["hyperparameters"] = {"beta": 4.0 if record["run"] == "mvae-beta4" else 1.0, "novel": record["seed"]}
    described = {about["id"]: about for about in reference_sections.methods(results.tables["runs"], records, results.theme)}
    shown = described["mvae"]["hyperparameters"]
    assert [column.label for column in shown.columns] == ["Hyperparameter", "Default", "mvae", "mvae-beta4"]
    rows = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in shown.sections[""]}
    assert rows["beta"] == ["1.0", "1.0", "4.0"]
    assert rows["novel"] == ["–", "0, 1, 2", "0, 1, 2"]
    assert rows["learning_rate"][1:] == ["–", "–"]


def test_provenance_names_every_machine_and_every_commit(results):
    records = [read_record(path) for path in results.records[:3]]
    records[0] |= {"hardware": {"cpu": "Some CPU", "cores": 8, "memory_mb": 16384}, "git_commit": "another"}
    records[0]["arithmetic"] = {"tf32": False}
    found = reference_sections.provenance(results.tables["runs"], records)
    assert found["commits"] == 2
    assert found["facts"]["Code (commit)"] == "another (1 fit), 0123456789ab (2 fits)"
    assert found["facts"]["Training computed with"] == "tf32 False"
    machines = [[cell.text for cell in row.cells] for row in found["machines"].sections[""]]
    assert machines == [["Some CPU", "8", "16 GiB", "cpu", "1", "1"], ["–", "–", "–", "cpu", "1", "2"]]


def test_report_escapes_what_it_is_given(results, tmp_path):
    def hostile(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(**{c: table[c].replace({"mvae": HOSTILE}) for c in ("run", "method", "dataset") if c in table})

    read = {name: hostile(table) for name, table in results.tables.items()}
    read["runs"] = read["runs"].assign(message=HOSTILE, device=HOSTILE)
    read["gates"] = pd.DataFrame([["pair", "paired", *[HOSTILE] * 5]], columns=tables.GATE_COLUMNS)
    read["published"] = read["published"].assign(method=HOSTILE, remark=HOSTILE)
    record = read_record(results.records[0]) | {"device": HOSTILE, "hyperparameters": {HOSTILE: HOSTILE}}
    page = html.page(
        read=read,
        figures=tmp_path,
        figure_cards={},
        theme=theme.Theme(display=results.theme.display, cards=ALL_CARDS, methods=METHODS | {HOSTILE: HOSTILE}),
        config={"title": HOSTILE, "key": HOSTILE},
        views=results.views,
        records=[record],
    )
    assert page.count("<script") == 1  # the page's own
    assert page.count("&lt;script&gt;") > 10
    assert HOSTILE not in page


def test_report_shows_overall_scores_ranks_tests_gates_and_published_numbers(results):
    sections = _sections(results.html)
    assert {"overall", "ranks", "gates", "published", "view-1"} <= set(sections)
    bodies = re.findall(r"<tbody>(.*?)</tbody>", sections["overall"].split("</table>")[0], flags=re.DOTALL)
    complete, incomplete, controls = bodies
    assert "MVAE" in complete
    assert "VAE_MLP" not in complete
    assert "RIDGE" not in complete
    assert "VAE_MLP" in incomplete
    missing = re.search(r"Missing: (.*?)</p>", sections["overall"], flags=re.DOTALL).group(1)
    assert "VAE_MLP (triple: seed 2 diverged)" in missing
    assert "RIDGE (alignment, Label transfer accuracy)" in missing
    assert "†" in incomplete
    assert "ORACLE" in controls
    assert "Not applicable: CCA, PROCRUSTES" in sections["overall"]
    assert "bootstrap datasets x seeds" in sections["overall"]
    assert "<img" in sections["ranks"]
    assert "no value for triple seed 2" in sections["ranks"]
    assert "Paired tests" in sections["view-1"]
    assert "p (Holm)" in sections["view-1"]
    assert "***" not in results.html
    assert "None agrees with a result here" in sections["published"]
    assert "the protein file was loaded as both modalities" in sections["published"]
    assert sections["published"].count("UniVI") >= 10


def test_report_marks_what_cannot_be_told_from_chance(results, tmp_path):
    row = {"dataset": "pair", "scenario": "paired", "run": "mvae", "gate": "chance", "metric": "foscttm", "seeds": "0, 1, 2"}
    gates = pd.DataFrame([row | {"message": "no better than guessing"}], columns=tables.GATE_COLUMNS)
    page = html.page(
        read=results.tables | {"gates": gates},
        figures=tmp_path,
        figure_cards={},
        theme=results.theme,
        config={},
        views=results.views,
        records=[],
    )
    assert len(re.findall(r'title="no better than guessing">[^<]* ≈<', page)) == 1
    assert "no better than guessing" in _sections(page)["gates"]
    assert "in 1 place:" in page


@pytest.mark.parametrize("status", ["ok", "crashed"])
def test_report_of_one_seed_of_one_run(tmp_path, monkeypatch, status):
    """The least that can be reported: no interval, no rank, no test, or nothing but a failure."""
    monkeypatch.setattr(catalog, "cards", cards)
    record = _record("pair", "paired", "mvae", 0, np.random.default_rng(0)) | {"status": status}
    scores = _scores(record, np.random.default_rng(0))
    if status == "crashed":
        scores = _identified(
            pd.DataFrame([("status", "run", "-", np.nan)], columns=["metric", "direction", "space", "value"]), record
        )
    where = tmp_path / "runs/pair/paired/mvae/seed-0/run.json"
    write_record(where, record)
    write_scores(tmp_path / "scores.tsv", scores)
    write_cells(tmp_path / "cells.npz", _cells([record], scores, np.random.default_rng(0)))
    write_table(tmp_path / "features.tsv", pd.DataFrame(columns=FEATURE_COLUMNS))
    found = SimpleNamespace(folder=tmp_path, views=["pair/paired"], not_applicable=[], records=[where])
    found.histories = [where.with_name("history.tsv")]
    write_table(found.histories[0], _history(record | {"status": "diverged"}))
    found.scores, found.cells, found.features = ([tmp_path / name] for name in ("scores.tsv", "cells.npz", "features.tsv"))
    _tabulate(found, tmp_path / "tables")
    for figure in ("mean_ranks", "scores_by_run", "overview_heat"):
        _draw(found, figure, tmp_path / "figures")
    _report(found, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert ("✗ crashed" in page) == (status == "crashed")
    read = tables.read_tables(tmp_path / "tables")
    assert read["paired_tests"].empty
    assert read["ranks"]["rank"].isna().all()
    assert len(read["overall"]) == 1


def test_a_run_without_a_competitor_is_the_best_of_nothing(results):
    summary = tables.headline(results.tables["scores"])
    alone = summary[summary["run"].isin(["mvae", "oracle", "random_latent"])]
    pair = summary[summary["run"].isin(["mvae", "pca_joint", "oracle"])]
    assert not tables.best(alone, results.tables["runs"], ALL_CARDS).any()
    assert tables.best(pair, results.tables["runs"], ALL_CARDS).any()


# --- sweeps --------------------------------------------------------------------------------------------------------------


def _swept(sweep, rows):
    """Return the table of a sweep over scores (dataset, scenario, run, seed, metric, direction, value, status)."""
    columns = ["dataset", "scenario", "run", "seed", "metric", "direction", "value", "status"]
    scores = pd.DataFrame(rows, columns=columns).assign(space="-")[SCORE_COLUMNS]
    return sweep_table({"label": "n", "log": False} | sweep, scores, tables.comparison(scores))


def test_a_swept_dataset_stands_at_its_value_with_every_seed(results):
    table = results.tables["sweep"]
    assert list(table.columns) == tables.SWEEP_COLUMNS
    foscttm = table[table["metric"] == "foscttm"]
    assert set(foscttm["panel"]) == {f"a series, {scenario}" for scenario in SCENARIOS}
    assert dict(zip(foscttm["dataset"], foscttm["x"], strict=True)) == {"pair": 2, "triple": 3}
    means = tables.seed_means(results.tables["scores"]).set_index(["dataset", "scenario", "run", "metric", "seed"])["value"]
    own = foscttm.dropna(subset="value").set_index(["dataset", "scenario", "run", "metric", "seed"])["value"]
    assert len(own) > 50
    np.testing.assert_allclose(own, means.loc[own.index], equal_nan=True)
    headline = results.tables["headline"].set_index(["dataset", "scenario", "run", "metric"])["mean"]
    for row in foscttm.dropna(subset="mean").itertuples():
        assert row.mean == pytest.approx(headline[row.dataset, row.scenario, row.run, "foscttm"])


def test_a_failed_seed_of_a_sweep_is_a_row_without_a_value(results):
    table = results.tables["sweep"]
    failed = table[table["status"].isin(tables.FAILED)]
    runs = results.tables["runs"]
    assert set(failed["run"]) == set(runs.loc[runs["status"].isin(tables.FAILED), "run"])
    assert failed["value"].isna().all()


def test_directions_of_a_sweep_are_panels_of_their_own(results):
    table = results.tables["sweep"]
    skill = table[table["metric"] == "imputation_skill"]
    assert set(skill["direction"]) == {"rna->adt", "rna->atac"}
    assert set(skill.loc[skill["direction"] == "rna->atac", "dataset"]) == {"triple"}


def test_swept_runs_are_one_line_and_all_others_level_ones():
    rows = [("d", "s", run, seed, "foscttm", "a->b", value, "ok") for seed in (0, 1) for run, value in VALUES.items()]
    table = _swept({"metrics": {"foscttm": ["a->b"]}, "series": {"weights": {"mvae-1": 1, "mvae-4": 4}}}, rows)
    assert set(table["panel"]) == {"d, s"}
    assert set(zip(table["line"], table["x"].fillna(-1), strict=True)) == {("weights", 1), ("weights", 4), ("oracle", -1)}
    assert table.groupby("run")["value"].first().to_dict() == VALUES


def test_a_collapsed_seed_of_a_sweep_says_so():
    rows = [(f"d{x}", "s", "mvae", 0, "foscttm", "a->b", 0.5, "collapsed" if x > 1 else "ok") for x in (1, 2)]
    table = _swept({"metrics": {"foscttm": None}, "series": {"series": {"d1": 1, "d2": 2}}}, rows)
    assert dict(zip(table["x"], table["status"], strict=True)) == {1: "ok", 2: "collapsed"}


def test_a_series_in_which_no_run_exists_has_no_rows():
    rows = [(f"d{x}", "s", "mvae", 0, "foscttm", "a->b", 0.5, "ok") for x in (1, 2)]
    table = _swept({"metrics": {"foscttm": None}, "series": {"one": {"d1": 1, "d2": 2}, "none": {"d3": 1, "d4": 2}}}, rows)
    assert set(table["panel"]) == {"one"}
    assert table["x"].tolist() == [1, 2]


def test_lines_of_one_colour_differ_in_their_stroke():
    methods = {"mvae": "mvae", "mvae_sup": "mvae_sup", "ridge": "ridge"}
    rows = [(f"d{x}", "s", run, 0, "foscttm", "a->b", 0.1 * x, "ok") for x in (1, 2) for run in methods]
    table = _swept({"metrics": {"foscttm": None}, "series": {"series": {"d1": 1, "d2": 2}}}, rows)
    runs = pd.DataFrame({"run": list(methods), "method": list(methods.values())})
    figure, _ = sweep(sweep=table, runs=runs, theme=theme.read_theme(DISPLAY, runs))
    strokes = {handle.get_label(): (handle.get_color(), handle.get_linestyle()) for handle in figure.legends[0].get_lines()[:3]}
    colours = {colour for colour, _ in strokes.values()}
    assert len(colours) == 2
    assert len(set(strokes.values())) == 3


def test_without_a_sweep_its_table_is_empty():
    assert list(sweep_table(None, pd.DataFrame(), pd.DataFrame()).columns) == tables.SWEEP_COLUMNS
