"""Tables, figures and the report, on synthetic results of two datasets, two scenarios, fifteen runs and three seeds."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mosaicbench import catalog, files
from mosaicbench.errors import UserError
from mosaicbench.report import html, tables, theme
from mosaicbench.verbs import draw, report, tabulate

DISPLAY = Path(__file__).parents[1] / "config/display.yaml"
FIGURES = ("overview_heat", "scores_by_run", "umap", "imputation_per_feature", "runtime")
MODALITIES = {"pair": ("rna", "adt"), "triple": ("rna", "atac", "adt")}
SPACES = {"rna": "lognorm", "atac": "lsi", "adt": "clr"}
SCENARIOS = ("paired", "unpaired")
SEEDS = (0, 1, 2)
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
    return table.assign(**{key: record[key] for key in ("dataset", "scenario", "run", "seed")})[files.FEATURE_COLUMNS]


def _identified(table: pd.DataFrame, record: dict) -> pd.DataFrame:
    return table.assign(**{key: record[key] for key in ("dataset", "scenario", "run", "seed", "status")})[files.SCORE_COLUMNS]


def _projection(dataset: str, scenario: str, run: str, random: np.random.Generator) -> pd.DataFrame:
    cells, skill = 150, KNOWN[METHODS[run]][1]
    types = random.integers(0, 5, cells)
    centres = random.normal(0, 5, (cells, 2)) * 0.2 + np.stack([np.cos(types), np.sin(types)], 1) * 6
    parts = []
    for number, modality in enumerate(MODALITIES[dataset]):
        xy = centres + random.normal(0, 0.5, (cells, 2)) + 6 * (1 - skill) * number
        parts.append(
            pd.DataFrame(
                {"dataset": dataset, "scenario": scenario, "run": run, "seed": 0, "source": modality}
                | {
                    "cell": [f"c{cell}" for cell in range(cells)],
                    "modality": modality,
                    "cell_type": [f"type {t}" for t in types],
                }
                | {"batch": "b", "x": xy[:, 0], "y": xy[:, 1]}
            )
        )
    return pd.concat(parts, ignore_index=True)


def synthetic(folder: Path) -> SimpleNamespace:
    """Write the files that a benchmark leaves; the same bytes every time."""
    random = np.random.default_rng(0)
    found = SimpleNamespace(scores=[], records=[], features=[], projections=[], not_applicable=[], folder=folder)
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
            files.write_record(here / f"seed-{record['seed']}" / "run.json", record)
            found.records.append(here / f"seed-{record['seed']}" / "run.json")
        files.write_scores(here / "scores.tsv", pd.concat([_scores(record, random) for record in records]))
        files.write_table(here / "features.tsv", pd.concat([_features(record, random) for record in records]))
        found.scores.append(here / "scores.tsv")
        found.features.append(here / "features.tsv")
        if run in ("vae_poe", "mvae", "mmvaepp") and _status(dataset, scenario, run, 0) == "ok":
            files.write_table(here / "projection.tsv", _projection(dataset, scenario, run, random))
            found.projections.append(here / "projection.tsv")
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
            _draw(found, figure, folder / "figures")
        _report(found, folder / "report.html")
    found.tables = tables.read_tables(folder / "tables")
    found.html = (folder / "report.html").read_text(encoding="utf-8")
    found.theme = theme.Theme(display=theme._read_display(DISPLAY), cards=ALL_CARDS, methods=METHODS)
    return found


def _tabulate(found: SimpleNamespace, output: Path) -> None:
    tabulate.run(
        scores=found.scores,
        records=found.records,
        features=found.features,
        not_applicable=found.not_applicable,
        methods=METHODS,
        output=output,
    )


def _draw(found: SimpleNamespace, figure: str, output: Path, views: list[str] | None = None) -> None:
    draw.run(
        figure=figure,
        tables=found.folder / "tables",
        projections=found.projections,
        display=DISPLAY,
        views=found.views if views is None else views,
        output=output,
    )


def _report(found: SimpleNamespace, output: Path) -> None:
    report.run(
        tables=found.folder / "tables",
        figures=found.folder / "figures",
        display=DISPLAY,
        config={"title": "A synthetic benchmark", "seeds": [0, 1, 2]},
        views=found.views,
        output=output,
        record=found.records[0],
    )


if __name__ == "__main__":
    import sys

    here = Path(sys.argv[1])
    made = synthetic(here)
    catalog.cards = cards
    _tabulate(made, here / "tables")
    for name in FIGURES:
        _draw(made, name, here / "figures")
    _report(made, here / "report.html")
