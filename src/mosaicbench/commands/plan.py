"""Plan: before a benchmark runs, how many jobs it has and what it will take, from what a finished one took."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mosaicbench import catalog, expenses, rules
from mosaicbench.config import registry
from mosaicbench.data import preprocess
from mosaicbench.errors import UserError
from mosaicbench.files.tables import read_table, write_table

UNMEASURED = {"fetch": "waits for the network", "record_config": "none"}


def main(
    *,
    config,
    measured: Path | None,
    table: Path,
    shapes: dict[str, tuple[int, int]],
    write: Path | None,
) -> None:
    """Print the number of jobs by rule, and CPU-hours, GPU-hours, disk and memory, each as low - expected - high.

    Parameters
    ----------
    config
        A checked config (``settings.Settings``).
    measured
        The results folder of a finished benchmark; None takes `table`, the expenses that ship with the project.
    table
        A table of expenses as ``tables/expenses.tsv`` is one.
    shapes
        dataset -> numbers of cells and features, for datasets whose size nothing else tells.
    write
        Also write the expenses that were used to this file. What it already says of views with more train cells than were
        measured now stays, and is used, too.

    Raises
    ------
    UserError
        When nothing was measured, or the size of a dataset is not known.
    """
    known = expenses.measured(measured) if measured else read_table(table, expenses.COLUMNS)
    known = known[known["cells"] > 0].reset_index(drop=True)
    if not len(known):
        raise UserError(
            f"{measured or table}: no run whose view is there, so nothing tells what a run of its size costs"
        )
    if write:
        known = (
            known
            if not write.is_file()
            else _with_larger(known, read_table(write, expenses.COLUMNS))
        )
        write_table(write, known)
    sizes = _sizes(config) | {
        name: (cells, {"all": features}) for name, (cells, features) in shapes.items()
    }
    counts = rules.number_of_jobs(config)
    plan = expenses.plan(config, known, sizes)
    text = described(plan, counts, source=str(measured or table))
    if config.until_scored:
        kept = replace(config, config=config.config | {"keep_imputed": False})
        most = expenses.plan(kept, known, sizes)
        text = text.replace(
            gone := _disk(plan), f"{gone}; until all is scored at most {_disk(most)}"
        )
    print(text)


def _with_larger(known: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Return expenses, and of earlier ones those of larger views."""
    larger = earlier[
        (earlier["cells"] > known["cells"].max()) & ~earlier["dataset"].isin(set(known["dataset"]))
    ]
    return pd.concat([known, larger], ignore_index=True) if len(larger) else known


def described(plan: pd.DataFrame, counts: dict[str, int], *, source: str) -> str:
    """Return the plan as text."""
    lines = [f"{'rule':14}{'jobs':>8}   hours: expected (low to high)"]
    for rule, count in counts.items():
        hours = plan.loc[plan["rule"] == rule, ["hours", "low_hours", "high_hours"]]
        told = (
            _range(hours.sum())
            if len(hours) and hours.notna().all(axis=None)
            else UNMEASURED.get(rule, "not measured")
        )
        lines.append(f"{rule:14}{count:>8}   {told}")
    lines.append(
        f"{'all':14}{sum(counts.values()):>8}   {_range(plan[['hours', 'low_hours', 'high_hours']].sum())}"
    )
    models = plan[plan["rule"].isin(["fit_model", "fit_seeds", "tune_model"])]
    on_gpu = models.loc[models["on_gpu"], ["hours", "low_hours", "high_hours"]].sum()
    largest = plan.loc[plan["memory_mb"].idxmax()]
    what = " ".join(filter(None, largest[["rule", "method", "dataset", "scenario"]]))
    unknown = f"not measured on a GPU; of the CPU-hours, {models['hours'].sum():.3g} are of models"
    lines += [
        "",
        f"CPU-hours   {_range(plan[['hours', 'low_hours', 'high_hours']].sum())}, one core each",
        f"GPU-hours   {_range(on_gpu) if models['on_gpu'].any() or not len(models) else unknown}",
        f"disk        {_disk(plan)}",
        f"memory      {_range(largest[['memory_mb', 'low_mb', 'high_mb']] / 1000)} GB in the largest job ({what})",
        "",
        f"From {source}, scaled where another size is planned: models in proportion to cells and epochs, and to",
        "features to the power 0 to 1; all else to cells to the power 0.5 to 1.5; memory to both to the power 0 to 1.",
        "Snakemake's own time comes on top: less than a second a job, or some seconds a submission on a cluster.",
    ]
    return "\n".join(lines)


def _disk(plan: pd.DataFrame) -> str:
    return f"{_range(plan[['disk_mb', 'low_disk_mb', 'high_disk_mb']].sum() / 1000)} GB"


def _range(values: pd.Series) -> str:
    expected, low, high = values
    return f"{expected:.3g} ({low:.3g} to {high:.3g})"


def _sizes(config) -> dict[str, tuple[int, dict[str, int]]]:
    """Return dataset -> cells, and modality -> features, of those whose size stands in the registry or the config."""
    known = registry.load(config.config["registry"] or registry.REGISTRY)
    sizes = {}
    for name, dataset in config.datasets.items():
        shape = known.get(dataset["entry"], {}).get("shape") or {}
        if shape.get("cells"):
            features = {
                m: _features(m, n, config.preprocess) for m, n in shape.items() if m != "cells"
            }
            sizes[name] = (shape["cells"], features)
        elif dataset["loader"] == "simulated":
            drawn = {
                key: p.default for key, p in catalog.parameters("datasets", "simulated").items()
            } | dataset["options"]
            features = {
                m: _features(m, drawn[f"n_{m}"], config.preprocess) for m in drawn["modalities"]
            }
            sizes[name] = (drawn["cells"], features)
    return sizes


def _features(modality: str, measured: int | None, options: dict) -> int:
    """Return how many features of a modality methods see, of as many as were measured (None: not known)."""
    key = "components" if modality == "atac" else "features"
    fit = (
        inspect.signature(preprocess.KINDS[modality].fit) if modality in preprocess.KINDS else None
    )
    default = fit.parameters[key].default if fit and key in fit.parameters else None
    return min(filter(None, (options.get(modality, {}).get(key, default), measured)), default=100)
