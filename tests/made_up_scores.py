"""Tables of made-up scores, small enough to know what any statistic of them is."""

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files.scores import CellScores
from mosaicbench.report.tables.contract import checked_runs, checked_scores

CARDS = {
    "methods": {
        **{
            name: {"kind": "model", "inputs": ("pairs",)} for name in ("mvae", "mmvaepp", "vae_poe")
        },
        **{name: {"kind": "baseline", "inputs": ("pairs", "labels")} for name in ("cca", "ridge")},
        **{
            name: {"kind": "control", "inputs": ()}
            for name in ("oracle", "constant", "random_latent", "train_mean")
        },
        "label_oracle": {"kind": "control", "inputs": ("solution", "labels")},
        "celltype_mean": {"kind": "control", "inputs": ("solution", "labels")},
        "linear": {"kind": "baseline", "inputs": ("pairs",)},
    },
    "metrics": {
        "foscttm": {
            "group": "alignment",
            "best": 0.0,
            "better": "lower",
            "chance": 0.5,
            "bounds": [0.0, 1.0],
        },
        "recall_at_10": {
            "group": "alignment",
            "best": 1.0,
            "better": "higher",
            "chance": None,
            "bounds": [0.0, 1.0],
        },
        "label_transfer_accuracy": {
            "group": "label_transfer",
            "best": 1.0,
            "better": "higher",
            "chance": None,
        },
        "imputation_skill": {
            "group": "imputation",
            "best": 1.0,
            "better": "higher",
            "chance": 0.0,
            "bounds": [None, 1.0],
        }
        | {"definition": "ours"},
        "active_units": {"group": "sanity", "best": None, "better": None, "chance": None},
        "fit_seconds": {"group": "resources", "best": 0.0, "better": "lower", "chance": None},
    },
}
ROSTER = RunMetadata(cards=CARDS, methods={})
SEEDS = {
    ("mvae", "foscttm"): [0.10, 0.12, 0.11, 0.13],
    ("mmvaepp", "foscttm"): [0.20, 0.19, 0.24, 0.22],
    ("cca", "foscttm"): [0.15, 0.18, 0.16, 0.14],
    ("oracle", "foscttm"): [0.0, 0.0, 0.0, 0.0],
}


def scores_of(values: dict, *, dataset="d", scenario="paired") -> pd.DataFrame:
    """Return a table of scores from (run, metric[, direction]) -> values by seed; None is a seed that failed."""
    rows = []
    for (run, metric, *direction), by_seed in values.items():
        for seed, value in enumerate(by_seed):
            if value is None:
                rows.append((run, seed, "status", "run", np.nan, "diverged"))
            else:
                rows.append(
                    (run, seed, metric, direction[0] if direction else "rna->adt", value, "ok")
                )
    table = pd.DataFrame(
        rows, columns=["run", "seed", "metric", "direction", "value", "status"]
    ).drop_duplicates()
    return checked_scores(table.assign(dataset=dataset, scenario=scenario, normalization="-"))


def runs_of(scores: pd.DataFrame, *, not_applicable=()) -> pd.DataFrame:
    """Return the table of runs that belongs to scores; a run's method is its name."""
    runs = scores[["dataset", "scenario", "run", "seed", "status"]].drop_duplicates()
    split = {"dataset": scores["dataset"].iloc[0], "scenario": scores["scenario"].iloc[0]}
    absent = pd.DataFrame(
        [split | {"run": run, "seed": None, "status": "not_applicable"} for run in not_applicable]
    )
    runs = pd.concat([runs, absent]) if len(absent) else runs
    runs = runs.assign(
        method=runs["run"],
        message="",
        device="cpu",
        seconds=np.nan,
        peak_host_mb=np.nan,
        peak_device_mb=np.nan,
    )
    return checked_runs(runs)


def cells_of(run: str, values: dict, *, names=None, dataset="d", scenario="paired") -> CellScores:
    """Return per-cell scores from (seed, metric) -> (cells,)."""
    sizes = {seed: len(x) for (seed, _), x in values.items()}
    names = names or {
        seed: np.array([f"c{seed}-{i}" for i in range(n)]) for seed, n in sizes.items()
    }
    blocks = {
        (seed, metric, "rna->adt", "-"): np.asarray(x, dtype=np.float32)
        for (seed, metric), x in values.items()
    }
    return CellScores(dataset=dataset, scenario=scenario, run=run, cells=names, values=blocks)
