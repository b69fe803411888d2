"""Read an external run: a user's latents and imputed values become a run like any other."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mosaicbench.files.identity import digest_of
from mosaicbench.files.runs import (
    imputed_values,
    is_collapsed,
    latents_table,
    write_history,
    write_imputed,
    write_latents,
    write_record,
)
from mosaicbench.files.splits import read_split
from mosaicbench.fitting.external import Names, imputed_from, latents_from
from mosaicbench.fitting.record import git_commit, versions

METHOD = "external"
UNKNOWN = (
    "computed elsewhere: whether it has seen the query cells, and what it took, cannot be known"
)
NOT_MEASURED = {
    **dict.fromkeys(("seconds", "cpu_seconds", "gpu_seconds", "host_mb", "device_mb"), {}),
    **dict.fromkeys(("peak_host_mb", "peak_device_mb", "threads")),
    "device": "",
    "hardware": {},
    "arithmetic": {},
    "resumed_after": [],
}


def main(*, dataset: str, scenario: str, run: str, seeds: list[dict]) -> None:
    """Write latents.h5ad, imputed.h5mu, history.tsv and run.json for every seed.

    `seeds` have seed; split and output, folders; and latents, imputed or both, files with one row of
    finite values for each query cell.
    """
    place = {"dataset": dataset, "scenario": scenario, "run": run, "method": METHOD}
    for entry in seeds:
        _read(place | {"seed": entry["seed"]}, entry)


def _read(identity: dict, entry: dict) -> None:
    files = {part: Path(entry[part]) for part in ("latents", "imputed") if part in entry}
    train, query, solution = (
        read_split(Path(entry["split"], f"{part}.h5mu"), part, identity)
        for part in ("train", "query", "solution")
    )
    names = Names.of(train, query, solution)
    latents, remarks = latents_from(files["latents"], names) if "latents" in files else ({}, [])
    imputed, more = imputed_from(files["imputed"], names, query) if "imputed" in files else ({}, [])
    collapsed = bool(latents) and is_collapsed(latents)
    if collapsed:
        remarks = ["no latent dimension varies over the query cells", *remarks]
    remarks += more
    for remark in remarks:
        print(f"remark: {identity['run']}, seed {identity['seed']}: {remark}", file=sys.stderr)

    output = Path(entry["output"])
    output.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(output / "model", ignore_errors=True)  # of an earlier fit
    write_latents(output / "latents.h5ad", latents_table(latents, identity=identity))
    write_imputed(output / "imputed.h5mu", imputed_values(imputed, query, identity=identity))
    write_history(output / "history.tsv", [])
    record = {
        "status": "collapsed" if collapsed else "ok",
        "message": "; ".join([UNKNOWN, *remarks]),
        "hyperparameters": {
            part: {"file": str(path), "sha256": digest_of(path)} for part, path in files.items()
        },
        "cells": {"train": train.n_obs, "query": query.n_obs},
        "versions": versions(),
        "git_commit": git_commit(),
    }
    write_record(output / "run.json", identity | NOT_MEASURED | record)
