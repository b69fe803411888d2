"""Plan: before a benchmark runs, what it will take, from what a finished one took."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.config import registry
from mosaicbench.data import normalize
from mosaicbench.errors import UserError
from mosaicbench.files.tables import read_table
from mosaicbench.workflow import resources


def main(*, config, table: Path, shapes: dict[str, tuple[int, int]]) -> None:
    """Print hours of one core, by work, the memory of the largest job, and the disk: one estimate of each.

    Parameters
    ----------
    config
        A checked config (``settings.Settings``).
    table
        A table of expenses, such as ``tables/resources.tsv`` of a finished benchmark.
    shapes
        dataset -> numbers of cells and features, for datasets whose size neither the registry nor the config has.

    Raises
    ------
    UserError
        When the size of a dataset is not known.
    """
    sizes = _sizes(config) | {
        name: (cells, {"all": features}) for name, (cells, features) in shapes.items()
    }
    for dataset in config.datasets:
        if dataset not in sizes:
            raise UserError(
                f"the size of dataset {dataset!r} is not known; give it: --shape {dataset}=CELLS,FEATURES"
            )
    plan = resources.planned(config, read_table(table, resources.COLUMNS), sizes)
    hours = plan.groupby("work", sort=False)[["jobs", "hours"]].sum().sort_values("hours")
    largest = plan.loc[plan["mb"].idxmax()]
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    print(f"{'work':22}{'times':>8}{'hours':>10}")
    for work, row in hours[::-1].iterrows():
        print(f"{work:22}{row['jobs']:>8.0f}{row['hours']:>10.3g}")
    print(f"{'all':22}{'':8}{hours['hours'].sum():>10.3g}\n")
    print("Hours are of one core, as if no training stopped early; a GPU shortens those of models.")
    print(
        f"memory  {largest['mb'] / 1000:.3g} GB in the largest job"
        f" ({largest['work']} on {largest['dataset']}, {largest['scenario']})"
    )
    print(f"disk    {plan['disk_gb'].sum():.3g} GB; {free:.3g} GB are free here")
    print(f"Scaled from {table} in proportion to cells and epochs.")


def _sizes(config) -> dict[str, tuple[int, dict[str, int]]]:
    """Return dataset -> cells, and modality -> features, of those whose size the registry or the config has."""
    known = registry.load(config.config["registry"] or registry.REGISTRY)
    sizes = {}
    for name, dataset in config.datasets.items():
        shape = dict(known.get(dataset["entry"], {}).get("shape") or {})
        if dataset["loader"] == "simulated":
            drawn = {
                key: p.default for key, p in catalog.parameters("datasets", "simulated").items()
            } | dataset["options"]
            shape = {"cells": drawn["cells"]} | {m: drawn[f"n_{m}"] for m in drawn["modalities"]}
        if cells := shape.pop("cells", None):
            features = {m: _features(m, n, config.preprocess) for m, n in shape.items()}
            sizes[name] = (cells, features)
    return sizes


def _features(modality: str, measured: int | None, options: dict) -> int:
    """Return how many features of a modality methods see, of as many as were measured (None: not known)."""
    key = "components" if modality == "atac" else "features"
    fit = inspect.signature(normalize.KINDS[modality].fit) if modality in normalize.KINDS else None
    default = fit.parameters[key].default if fit and key in fit.parameters else None
    return min(filter(None, (options.get(modality, {}).get(key, default), measured)), default=100)
