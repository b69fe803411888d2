"""Plan: estimate what a benchmark will take, from what a finished one took."""

from __future__ import annotations

import inspect
import math
import shutil
from contextlib import suppress
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.config import registry, settings
from mosaicbench.data import normalize
from mosaicbench.data.headers import of_dataset
from mosaicbench.data.own_files import kind_of
from mosaicbench.errors import UserError
from mosaicbench.files.datasheet import read_datasheet
from mosaicbench.files.tables import read_table
from mosaicbench.workflow import resources
from mosaicbench.workflow.layout import Results


def main(*, config: Path, table: Path, shapes: list[tuple[str, tuple[int, int]]]) -> None:
    """Print hours of one core by work, the memory of the largest job, and the disk.

    `table` is ``tables/resources.tsv`` of a finished benchmark; `shapes` are (dataset, (cells,
    features)), for sizes that neither the registry, the config nor the header of a file has.
    """
    bench = settings.read(config)
    sizes = _sizes(bench)
    for name, (cells, features) in shapes:
        sizes[name] = cells, {"all": features}
    for dataset in bench.datasets:
        if dataset not in sizes:
            raise UserError(
                f"the size of dataset {dataset!r} is not known; give it: "
                f"--shape {dataset}=CELLS,FEATURES"
            )
    plan = resources.planned(bench, read_table(table, resources.COLUMNS), sizes)
    hours = plan.groupby("work", sort=False)[["jobs", "hours"]].sum()
    hours = hours.sort_values("hours", ascending=False)
    total = hours["hours"].sum()
    largest = plan.loc[plan["mb"].idxmax()]
    print(f"{'work':22}{'times':>8}{'hours':>10}")
    for work, row in hours.iterrows():
        print(f"{work:22}{row['jobs']:>8.0f}{row['hours']:>10.3g}")
    print(f"{'all':22}{'':8}{total:>10.3g}\n")
    spent = f"{math.ceil(60 * total)} min" if total < 2 else f"{total:.3g} hours"
    print(f"time    {spent} of one core, as if no training stopped early; a GPU shortens models'")
    print(
        f"memory  {largest['mb'] / 1000:.3g} GB in the largest job "
        f"({largest['work']} on {largest['dataset']}, {largest['scenario']})"
    )
    print(
        f"disk    {plan['disk_gb'].sum():.3g} GB; {shutil.disk_usage('.').free / 1e9:.3g} GB are free here"
    )
    left_out = {row["reason"]: {} for row in bench.not_applicable}
    for row in bench.not_applicable:
        left_out[row["reason"]][row["run"]] = None
    for reason, runs in left_out.items():
        print(f"left out: {', '.join(runs)}: {reason}")
    print(f"Scaled from {table} in proportion to cells and epochs.")


def _sizes(bench: settings.Settings) -> dict[str, tuple[int, dict[str, int]]]:
    """Return dataset -> cells, and modality -> features.

    Sources are the prepared dataset, else the registry or the config, else the files.
    """
    known = registry.load(bench.config["registry"] or registry.REGISTRY)
    sizes = {}
    for name, dataset in bench.datasets.items():
        prepared = Results(bench.results).dataset(name)
        if prepared.is_file():
            rows, _ = read_datasheet(prepared)
            features = {
                row["modality"]: _features(row["kind"], row["features"], bench.preprocess)
                for row in rows
            }
            sizes[name] = rows[0]["cells_of_dataset"], features
            continue
        shape = known.get(dataset["entry"], {}).get("shape", {})
        if dataset["loader"] == "simulated":
            keys = catalog.parameters("datasets", "simulated").items()
            drawn = {key: one.default for key, one in keys} | dataset["options"]
            shape = {m: drawn[f"n_{m}"] for m in drawn["modalities"]}
        if "path" in dataset["options"]:
            with suppress(UserError):  # then a person has to say the size
                sizes[name] = _shape_of_files(dataset["options"], bench.preprocess)
        elif cells := dataset["cells"]:
            features = {
                m: _features(m, n, bench.preprocess) for m, n in shape.items() if m != "cells"
            }
            sizes[name] = min(cells, shape.get("cells") or cells), features
    return sizes


def _shape_of_files(options: dict, preprocess: dict) -> tuple[int, dict[str, int]]:
    kinds, modalities = options.get("kinds") or {}, options.get("modalities") or {}
    every, features = set(), {}
    for modality, parts in of_dataset(options["path"], kinds, modalities).items():
        every.update(*(cells.obs_names for cells in parts.values()))
        fewest = min(cells.n_vars for cells in parts.values())
        features[modality] = _features(kind_of(modality, kinds), fewest, preprocess)
    return min(len(every), options.get("cells") or len(every)), features


def _features(modality: str, measured: int | None, options: dict) -> int:
    key = "components" if modality == "atac" else "features"
    kind = normalize.KINDS.get(modality)
    parameters = inspect.signature(kind.fit).parameters if kind else {}
    default = parameters[key].default if key in parameters else None
    return min(filter(None, (options.get(modality, {}).get(key, default), measured)), default=100)
