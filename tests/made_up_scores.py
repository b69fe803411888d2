"""Tables of made-up scores, small enough to know what any statistic of them is."""

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata, run_metadata_of
from mosaicbench.files.scores import SCORE_COLUMNS, CellScores
from mosaicbench.report.tables.contract import checked_runs
from mosaicbench.report.theme import NAMED, Theme

METHODS = {  # kind, inputs
    "mvae": ("model", ("pairs",)),
    "mmvaepp": ("model", ("pairs",)),
    "vae_poe": ("model", ("pairs",)),
    "cca": ("baseline", ("pairs", "labels")),
    "ridge": ("baseline", ("pairs", "labels")),
    "linear": ("baseline", ("pairs",)),
    **dict.fromkeys(("oracle", "constant", "random_latent", "train_mean"), ("control", ())),
    **dict.fromkeys(("label_oracle", "celltype_mean"), ("control", ("solution", "labels"))),
}
METRICS = {  # group, best, better, chance, bounds
    "foscttm": ("alignment", 0.0, "lower", 0.5, [0.0, 1.0]),
    "recall_at_10": ("alignment", 1.0, "higher", None, [0.0, 1.0]),
    "label_transfer_accuracy": ("label_transfer", 1.0, "higher", None, [None, None]),
    "imputation_skill": ("imputation", 1.0, "higher", 0.0, [None, 1.0]),
    "active_units": ("sanity", None, None, None, [None, None]),
    "fit_seconds": ("resources", 0.0, "lower", None, [None, None]),
}
KEYS = ("group", "best", "better", "chance", "bounds")
CARDS = {
    "methods": {name: {"kind": kind, "inputs": of} for name, (kind, of) in METHODS.items()},
    "metrics": {name: dict(zip(KEYS, values, strict=True)) for name, values in METRICS.items()},
}
CARDS["metrics"]["imputation_skill"]["definition"] = "ours"
ROSTER = RunMetadata(cards=CARDS, methods={})
SEEDS = {
    ("mvae", "foscttm"): [0.10, 0.12, 0.11, 0.13],
    ("mmvaepp", "foscttm"): [0.20, 0.19, 0.24, 0.22],
    ("cca", "foscttm"): [0.15, 0.18, 0.16, 0.14],
    ("oracle", "foscttm"): [0.0, 0.0, 0.0, 0.0],
}


def scores_of(values, *, dataset="d", scenario="paired"):
    """Return a table of scores from (run, metric[, direction]) -> values by seed; None: failed."""
    rows = []
    for (run, metric, *direction), by_seed in values.items():
        for seed, value in enumerate(by_seed):
            row = [run, seed, metric, *(direction or ["rna->adt"]), value, "ok"]
            rows.append([run, seed, "status", "run", np.nan, "diverged"] if value is None else row)
    columns = ["run", "seed", "metric", "direction", "value", "status"]
    table = pd.DataFrame(rows, columns=columns).drop_duplicates().astype({"value": float})
    return table.assign(dataset=dataset, scenario=scenario, normalization="-")[SCORE_COLUMNS]


def scores_around(means, *, seeds=3, sd=0.001, dataset="d"):
    """Return a table of scores near (metric, direction) -> run -> mean."""
    random, values = np.random.default_rng(0), {}
    for (metric, direction), of_runs in means.items():
        for run, mean in of_runs.items():
            values[run, metric, direction] = mean + sd * random.standard_normal(seeds)
    return scores_of(values, dataset=dataset)


def plain_theme(runs):
    """Return the theme of a table of runs, with the names of the cards."""
    return Theme({room: {} for room in NAMED} | {"colours": {}}, run_metadata_of(runs))


def runs_of(scores, *, not_applicable=()):
    """Return the table of runs that belongs to scores; a run's method is its name."""
    runs = scores[["dataset", "scenario", "run", "seed", "status"]].drop_duplicates()
    split = {key: scores[key].iloc[0] for key in ("dataset", "scenario")}
    for run in not_applicable:
        absent = split | {"run": run, "seed": None, "status": "not_applicable"}
        runs = pd.concat([runs, pd.DataFrame([absent])])
    unknown = dict.fromkeys(("seconds", "peak_host_mb", "peak_device_mb"), np.nan)
    return checked_runs(runs.assign(method=runs["run"], message="", device="cpu", **unknown))


def cells_of(run, values, *, names=None, dataset="d", scenario="paired"):
    """Return per-cell scores from (seed, metric) -> (cells,)."""
    names, blocks = dict(names or {}), {}
    for (seed, metric), x in values.items():
        names.setdefault(seed, np.array([f"c{seed}-{i}" for i in range(len(x))]))
        blocks[seed, metric, "rna->adt", "-"] = np.asarray(x, dtype=np.float32)
    return CellScores(dataset=dataset, scenario=scenario, run=run, cells=names, values=blocks)
