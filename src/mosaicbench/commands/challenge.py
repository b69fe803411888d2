"""Challenge: fit one method on the reference splits, and report it beside all stored runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.commands import draw, fit, prepare, read_external, report, score, split, tabulate
from mosaicbench.commands._processes import each
from mosaicbench.config import jobs, settings
from mosaicbench.config.checking import read_yaml
from mosaicbench.config.recorded import Settings
from mosaicbench.config.schema import Training
from mosaicbench.errors import UserError, nearest
from mosaicbench.files import reference
from mosaicbench.files._h5 import without_values
from mosaicbench.files.runs import read_record, write_history, write_record
from mosaicbench.files.scores import (
    FEATURE_COLUMNS,
    CellScores,
    read_scores,
    write_cells,
    write_scores,
)
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.stats.common import RUN
from mosaicbench.stats.intervals import prediction_interval
from mosaicbench.workflow.layout import Results, environments, project_file

FIGURES = ["scores_by_run", "resources"]
CORES = os.cpu_count() or 1
Place = tuple[str, str]  # dataset, scenario
Digests = dict[tuple[str, str, int], str]  # dataset, scenario, seed -> digest of the split


def main(
    *,
    file: Path | None = None,
    method: str | None = None,
    latents: str | None = None,
    datasets: list[str] | None = None,
    scenario: str | None = None,
    seeds: list[int] | None = None,
    against: str | None = None,
    output: Path = Path("results/challenge"),
    splits: Path | None = None,
) -> None:
    """Write ``report.html`` and ``tables`` with a new run beside the stored ones; print its place.

    The new run is one of `file`, `method` and `latents`; with `splits`, none.

    Parameters
    ----------
    seeds
        By default those that usual stored runs have. Scores with others are compared with the
        stored 95 % prediction interval of the method, without a report.
    against
        Compare with this stored run alone, and with controls.
    """
    stored = reference.read()
    listed = read_yaml(project_file("config/reference.yaml"))
    given = [one for one in (file, method, latents) if one is not None]
    if len(given) != (splits is None):
        raise UserError("name one of: a method's .py file, --method, --latents; or --splits alone")
    digests = {
        (one["dataset"], one["scenario"], one["seed"]): one["digest"] for one in stored.splits
    }
    known = sorted({record["run"] for record in stored.records})
    if against not in (None, *known):
        raise UserError(f"--against: no stored run {against!r}{nearest(against, known)}")
    runs = {"latents": {"latents": latents}} if latents else {}
    for name in catalog.add_method(file) if file else [method] if method else []:
        has = catalog.hyperparameters(name) if file else {}  # its class sets its budget
        budget = {key: has[key].default for key in Training.model_fields if key in has}
        runs[f"{name}-new" if name in known else name] = {"method": name} | budget
    config = _config(stored, listed, runs, datasets, scenario)
    config["seeds"] = sorted(seeds or range(listed["seeds"]))
    if splits is not None:
        with TemporaryDirectory() as folder:
            bench = _bench(config | {"runs": {"random_latent": None}}, Path(folder))
            each(partial(_make_split, bench, digests), bench.splits, CORES)
            hidden = shutil.ignore_patterns("solution.h5mu", "audit.tsv")
            shutil.copytree(f"{folder}/splits", splits, ignore=hidden, dirs_exist_ok=True)
        print(f"{splits}: train and query; fit, and run: mosaicbench challenge --latents PATTERN")
        return
    bench = _bench(config, output)
    # Two forks each: scoring starts threads, for which a forked fit would wait in vain.
    each(partial(_fitted, bench, digests), bench.splits, CORES)
    each(partial(_scored, bench), bench.splits, CORES)
    if set(bench.seeds) - {one["seed"] for one in stored.splits}:
        print(_predicted(bench, stored))
        return
    everything = _beside(bench, stored, against)
    results = Results(output)
    job = jobs.tabulate(everything, results)
    there = [fit for fit in job["fits"] if (results.fit(**fit) / "run.json").is_file()]
    tabulate.main(**job | {"fits": there})  # a stored run may lack a seed
    draw.main(**jobs.draw(everything, results, figures=FIGURES), processes=CORES)
    report.main(**jobs.report(everything, results))
    print(_places(results, list(runs)))
    print(f"Done. Open {results.report}; numbers are in {results.tables}.")


def _config(
    stored: reference.Reference,
    listed: dict,
    runs: dict[str, dict],
    datasets: list[str] | None,
    scenario: str | None,
) -> dict:
    there = {(one["dataset"], one["scenario"]) for one in stored.splits}
    of_stored = {name for _, name in there}
    scenarios = possible = [name for name in listed["scenarios"] if name in of_stored]
    for run in runs.values():
        kinds = catalog.card("methods", run.get("method", catalog.EXTERNAL))["scenarios"]
        possible = [name for name in possible if listed["scenarios"][name]["kind"] in kinds]
    if scenario not in (None, *scenarios):
        raise UserError(f"--scenario: no stored run has {scenario!r}{nearest(scenario, scenarios)}")
    if scenario is None and not possible:
        raise UserError(f"the method takes no scenario of the stored runs: {', '.join(scenarios)}")
    scenario = scenario or possible[0]
    names = [name for name in listed["datasets"] if (name, scenario) in there]
    for name in datasets or ():
        if name not in names:
            hint = nearest(name, names)
            raise UserError(f"--datasets: no stored run of {scenario} has {name!r}{hint}")
    inside = [name for name in names if "from" not in (listed["datasets"][name] or {})]
    return {
        "datasets": {name: listed["datasets"][name] for name in datasets or inside},
        "scenarios": {scenario: listed["scenarios"][scenario]},
        "runs": runs,
        "metrics": listed["metrics"],
        "save_models": [],
        "report": {"umap_runs": []},
    }


def _bench(config: dict, output: Path) -> Settings:
    bench = settings.load(config)
    bench.config["pathvars"]["results"] = str(output)
    return bench


def _fitted(bench: Settings, digests: Digests, place: Place) -> None:
    _make_split(bench, digests, place)
    _fit(bench, place)
    _check_ended(bench, place)


def _scored(bench: Settings, place: Place) -> None:
    score.main(**jobs.score(bench, Results(bench.results), split=place))


def _make_split(bench: Settings, digests: Digests, place: Place) -> None:
    results = Results(bench.results)
    if not results.dataset(place[0]).is_file():
        prepare.main(**jobs.prepare(bench, results, dataset=place[0]))
    folders = {seed: results.split(*place, seed) for seed in bench.seeds}
    if not all((folder / "audit.tsv").is_file() for folder in folders.values()):
        split.main(**jobs.split(bench, results, split=place))
    for seed, folder in folders.items():
        expected = digests.get((*place, seed))
        if expected not in (None, reference.digest_of_split(folder)):
            raise UserError(
                f"{folder}: its cells, features or pairs differ from those of the stored results; "
                "delete the folder and run again, with the versions of packages in "
                "envs/constraints.txt; if that does not help, leave the dataset out (--datasets)"
            )


def _fit(bench: Settings, place: Place) -> None:
    results = Results(bench.results)
    for run in bench.runs_of_splits[place]:
        card = catalog.card("methods", bench.runs[run].method)
        if "external" in card:
            read_external.main(**jobs.read_external(bench, results, split=place, runs=[run]))
        elif "environment" in card:
            python = environments() / card["environment"] / "bin/python"
            if not python.is_file():
                raise UserError(f"{python}: no such environment; run: make peers")
            jobs.record(bench, results)
            command = [python, "-m", "mosaicbench", "fit", "--config", results.config]
            command += ["--split", "/".join(place), "--run", run]
            subprocess.run(command, check=True)
        else:
            job = jobs.fit(bench, results, split=place, runs=[run])
            fit.main(**job, checkpoint_seconds=float("inf"))


def _check_ended(bench: Settings, place: Place) -> None:
    results = Results(bench.results)
    fits = product(bench.runs_of_splits[place], bench.seeds)
    records = [read_record(results.fit(*place, *fit) / "run.json") for fit in fits]
    if not any(record["status"] in ("ok", "collapsed") for record in records):
        said = dict.fromkeys(f"{one['run']}: {one['status']}: {one['message']}" for one in records)
        raise UserError(f"{'/'.join(place)}: nothing to compare; {'; '.join(said)}")


def _beside(bench: Settings, stored: reference.Reference, against: str | None) -> Settings:
    records = [
        record
        for record in stored.records
        if (record["dataset"], record["scenario"]) in bench.splits and record["seed"] in bench.seeds
    ]
    if against is not None:
        metadata = run_metadata_of(pd.DataFrame(records, columns=["run", "method"]))
        records = [
            one for one in records if one["run"] == against or not metadata.competes(one["run"])
        ]
    expand(records, stored, Results(bench.results))
    runs = {record["run"]: {"method": record["method"]} for record in records}
    config = bench.config | {"runs": runs | bench.config["runs"]}
    config["report"] = config["report"] | {"reference_run": against}
    every = settings.load(config)
    places = dict.fromkeys([*map(_place, records), *bench.applicable])
    return replace(every, applicable=list(places))


def _place(record: dict) -> tuple[str, ...]:
    return tuple(record[name] for name in RUN)


def expand(records: list[dict], stored: reference.Reference, results: Results) -> None:
    """Write stored fits as the files of a benchmark that `tabulate` reads; their splits exist."""
    fits: dict[tuple, list[dict]] = {}
    for record in records:
        fits.setdefault(_place(record), []).append(record)

    @cache
    def names_of(split: Path) -> np.ndarray:
        return np.asarray(without_values(split / "solution.h5mu").obs.index, dtype=str)

    by_run = dict(list(stored.scores.groupby(RUN, sort=False)))
    for place, of_run in fits.items():
        folder, seeds = results.run(*place), [record["seed"] for record in of_run]
        rows = by_run.get(place, stored.scores[:0])
        write_scores(folder / "scores.tsv", rows[rows["seed"].isin(seeds)])
        write_table(folder / "features.tsv", pd.DataFrame(columns=FEATURE_COLUMNS))
        values = {
            key[3:]: x for key, x in stored.cells.items() if key[:3] == place and key[3] in seeds
        }
        names = {seed: names_of(results.split(*place[:2], seed)) for seed, *_ in values}
        whose = dict(zip(RUN, place, strict=True))
        write_cells(folder / "cells.npz", CellScores(**whose, cells=names, values=values))
        for record in of_run:
            write_record(folder / f"seed-{record['seed']}/run.json", record)
            write_history(folder / f"seed-{record['seed']}/history.tsv", [])


def _places(results: Results, runs: list[str]) -> str:
    means, tests = (read_table(results.table(name)) for name in ("headline", "paired_tests"))
    ranks = read_table(results.table("ranks"))
    shown = means[means["run"].isin(runs) & means["metric"].isin(reference.OF_CELLS)]
    keys = ["dataset", "scenario", "run", "metric"]
    tests = tests[tests["role"].str.startswith("best")][[*keys, "against", "p_holm", "p_new_holm"]]
    ranks = ranks[["scenario", "run", "metric", "rank", "ranked"]]
    shown = shown[[*keys, "mean", "low", "high"]].merge(tests, on=keys, how="left")
    shown = shown.merge(ranks, on=keys[1:], how="left")
    table = shown.to_string(index=False, float_format="{:.3f}".format, na_rep="-")
    return (
        f"{table}\nrank: of the mean over datasets and seeds; p: against the run in `against`, Holm"
    )


def _predicted(bench: Settings, stored: reference.Reference) -> str:
    inside = total = 0
    for place in bench.applicable:
        method = bench.runs[place[2]].method
        of_method = stored.scores[stored.scores["run"] == method]
        new = read_scores(Results(bench.results).run(*place) / "scores.tsv")
        keys = ["dataset", "scenario", "metric", "direction", "normalization"]
        known = {key: rows["value"].to_numpy() for key, rows in of_method.groupby(keys)}
        for row in new[new["metric"].isin(reference.OF_CELLS)].to_dict("records"):
            x = known.get(tuple(row[key] for key in keys), np.empty(0))
            if len(x) > 1 and row["value"] == row["value"]:
                low, high = prediction_interval(x)
                total, inside = total + 1, inside + (low <= row["value"] <= high)
    return (
        f"The seeds are not all stored, so nothing is compared seed by seed. {inside} of {total} "
        "scores are within the 95 % prediction interval of the stored seeds of the same method."
    )
