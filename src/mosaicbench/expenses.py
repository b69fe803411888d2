"""What a benchmark costs: measured in a finished results folder, and from that what another one will take.

The model. A job costs a constant (imports) and a part that grows with the view it reads, relative to the measured view that is
most like it: the same dataset and scenario if there is one, else the nearest in size; a method that was not measured counts as
the costliest of its kind. With r_c the ratio of train cells, r_f that of features (summed over modalities) and r_e that of
epochs, the part grows as

    models      r_c * r_e * r_f**x      x = 0.5, between 0 and 1
    all else    r_c**y * r_f**x         y = 1, between 0.5 and 1.5
    disk        r_c**w * r_f**x         w = 0.75, between 0.5 and 1; that of other views and of fits is counted (`disk`)
    memory      (r_c * r_f)**z          z = 0.5, between 0 and 1

The expected cost takes the middle and the mean of the measured jobs' seconds; low and high take the ends, and the least and the
most of them. Epochs are the measured share of those that were allowed (early stopping); high is all of them, unless the very
view was measured. Not in it: Snakemake's own time, the ends of processes, and some 5 s a submission on a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench import disk
from mosaicbench.errors import UserError
from mosaicbench.job_expenses import read_job_expenses
from mosaicbench.layout import FILES_OF_SCORES, Results
from mosaicbench.rules import jobs_over_all, rule_of, rule_of_fit, rule_of_tuning

COLUMNS = [
    "rule",
    "dataset",
    "scenario",
    "method",
    "device",
    "jobs",
    "cells",
    "features",
    "epochs",
    "max_epochs",
]
COLUMNS += [
    "seconds",
    "seconds_least",
    "seconds_most",
    "constant_seconds",
    "peak_host_mb",
    "peak_device_mb",
    "disk_mb",
]
COLUMNS += ["cpu_hours", "gpu_hours"]
PLAN_COLUMNS = ["rule", "dataset", "scenario", "method", "jobs", "low_hours", "hours", "high_hours"]
PLAN_COLUMNS += [
    "low_mb",
    "memory_mb",
    "high_mb",
    "low_disk_mb",
    "disk_mb",
    "high_disk_mb",
    "on_gpu",
]
MEASURED_AS = {
    "fit_controls": "fit_baseline",
    "fit_baselines": "fit_baseline",
    "fit_seeds": "fit_model",
    "fit_models": "fit_model",
}
MEASURED_AS |= {"divide": "cut", "tune_model": "fit_model", "tune_baseline": "fit_baseline"}
SCORES = " scores"  # after a rule of tuning: what the scores of its trials take
RANGES = {  # of the exponents of cells, features, epochs: low, expected, high
    "fit_model": ((1, 1, 1), (0, 0.5, 1), (1, 1, 1)),
    "others": ((0.5, 1, 1.5), (0, 0.5, 1), (0, 0, 0)),
    "disk": ((0.5, 0.75, 1), (0, 0.5, 1), (0, 0, 0)),
    "memory": ((0, 0.5, 1), (0, 0.5, 1), (0, 0, 0)),
}


def measured(folder: Path, records: Iterable[Path] | None = None) -> pd.DataFrame:
    """Return what every kind of job of a finished results folder cost, one row per rule, dataset, scenario and method.

    Seconds are of CPU time, so that a busy machine does not count, and for a run on a GPU of wall-clock time. They are what
    the job wrote into ``results/expenses``, or of a fit what its ``run.json`` says where that is more: all of a training that
    was resumed, but not Python's start. Seconds of another job without such a file are not known.

    Parameters
    ----------
    folder
        The results folder.
    records
        The ``run.json`` of the runs to take; all that are there if None.

    Raises
    ------
    UserError
        When no run is found.
    """
    results = Results(folder)
    paths = (
        sorted(Path(folder).glob(f"{Results('.').fit('*', '*', '*', '*')}/run.json"))
        if records is None
        else records
    )
    shape_of_view = cache(_shape_of_view)  # every run of a view asks for it
    runs = pd.DataFrame([_fit_job(path, results, shape_of_view) for path in paths])
    if not len(runs):
        raise UserError(
            f"{folder}: holds no finished run ({Results('.').fit('DATASET', 'SCENARIO', 'RUN', 'N')}/run.json)"
        )
    views = runs.drop_duplicates(["dataset", "scenario", "seed"])
    jobs = runs.to_dict("records")
    for one in views.to_dict("records"):
        place = (one["dataset"], one["scenario"], one["seed"])
        jobs.append(
            _cut_job(
                one,
                len(views[(views[["dataset", "scenario"]] == list(place[:2])).all(axis=1)]),
                results,
            )
        )
    for _, scored in runs.drop_duplicates(["dataset", "scenario", "run"]).groupby(
        ["dataset", "scenario"], sort=False
    ):
        jobs += _score_jobs(scored.to_dict("records"), results)
    for one in views.drop_duplicates("dataset").to_dict("records"):
        took, made = [results.expenses.prepare(one["dataset"])], [results.dataset(one["dataset"])]
        jobs.append(_other_job("prepare", one, took, made) | {"scenario": ""})
    largest = runs.loc[(runs["cells"] * runs["features"]).idxmax()].to_dict()
    made_of = {"project": results.projections, "tabulate": results.tables}
    made_of |= {"draw": results.figures, "report": results.report}
    for name, made in made_of.items():
        whole = largest | {"dataset": "", "scenario": ""}
        for number, file in enumerate(sorted(Path(results.expenses.folder, name).glob("*.tsv"))):
            jobs.append(
                _other_job(name, whole, [file], [made] if number == 0 else [])
            )  # the folder's size counts once
    return _joined(pd.DataFrame(jobs))


def plan(
    settings, expenses: pd.DataFrame, shapes: dict[str, tuple[int, dict[str, int]]]
) -> pd.DataFrame:
    """Return what a benchmark will take from scratch, one row per rule, dataset, scenario and method.

    Parameters
    ----------
    settings
        A checked config (``mosaicbench.settings.Settings``).
    expenses
        What :func:`measured` returned.
    shapes
        dataset -> number of cells, and modality -> number of features as methods see them; a dataset that is in `expenses` may
        be left out.

    Raises
    ------
    UserError
        When the size of a dataset is not known.
    """
    seeds = len(settings.seeds)
    jobs = []
    for dataset in settings.datasets:
        cells, features = _size(dataset, expenses, shapes)
        modalities = max(2, len(shapes.get(dataset, (0, {}))[1]))
        train, views = {}, {}
        for scenario in [s for d, s in settings.views if d == dataset]:
            stanza = settings.scenarios[scenario]
            same = expenses[
                (expenses["dataset"] == dataset)
                & (expenses["scenario"] == scenario)
                & (expenses["rule"] == "cut")
            ]
            share = 1 - stanza.get("query_fraction", 0.2)
            train[scenario] = (
                int(same["cells"].iloc[0])
                if len(same) and dataset not in shapes
                else round(share * cells)
            )
            views[scenario] = disk.Shape.of(
                stanza, train[scenario], max(cells - train[scenario], 0), features, modalities
            )
            taken = (
                disk.of_view(shapes[dataset][1], views[scenario])
                if dataset in shapes and not len(same)
                else []
            )
            jobs.append(
                ("cut", dataset, scenario, "", seeds, train[scenario], features, None, *taken)
            )
            if any(place[:2] == (dataset, scenario) for place in settings.tuned):
                jobs.append(
                    (
                        "divide",
                        dataset,
                        scenario,
                        "",
                        len(settings.tuned_seeds),
                        train[scenario],
                        features,
                        None,
                    )
                )
        jobs.append(
            ("prepare", dataset, "", "", 1, max(train.values(), default=cells), features, None)
        )
        for scenario, name in [(s, r) for d, s, r in settings.applicable if d == dataset]:
            run = settings.runs[name]
            fitting = rule_of_fit(settings, scenario, name)
            epochs = run.hyperparameters.get("max_epochs")
            taken = disk.of_run(settings, name, views[scenario])
            jobs.append(
                (
                    fitting,
                    dataset,
                    scenario,
                    run.method,
                    seeds,
                    train[scenario],
                    features,
                    epochs,
                    *taken,
                )
            )
            jobs.append(
                ("score", dataset, scenario, run.method, 1, train[scenario], features, None)
            )
            if run.tuned_from:
                trials = settings.tuning["trials"] * len(settings.tuned_seeds)
                inner = round((1 - settings.tuning["share"]) * train[scenario])
                jobs.append(
                    (
                        rule_of_tuning(run.method),
                        dataset,
                        scenario,
                        run.method,
                        trials,
                        inner,
                        features,
                        epochs,
                    )
                )
                jobs.append(
                    (
                        rule_of_tuning(run.method) + SCORES,
                        dataset,
                        scenario,
                        run.method,
                        trials,
                        inner,
                        features,
                        None,
                    )
                )
    largest = max((job[5:7] for job in jobs), key=lambda size: size[0] * size[1])
    jobs += [
        (rule, "", "", "", count, *largest, None) for rule, count in jobs_over_all(settings).items()
    ]
    like = cache(partial(_measured_like, expenses))
    rows = [row for job in jobs if (row := _planned(job, like(job[0], job[3]))) is not None]
    return pd.DataFrame(rows, columns=PLAN_COLUMNS)


def _measured_like(expenses: pd.DataFrame, rule: str, method: str) -> pd.DataFrame:
    """Return what was measured of a rule, with the method where it was."""
    like = expenses[
        expenses["rule"] == ("score" if rule.endswith(SCORES) else MEASURED_AS.get(rule, rule))
    ]
    return like[like["method"] == method] if method and (like["method"] == method).any() else like


def _planned(job: tuple, like: pd.DataFrame) -> dict | None:
    """Return a row of the plan, None where nothing like the job was measured."""
    rule, dataset, scenario, method, count, cells, features, max_epochs, *counted = (
        job  # of a view or fit, also its megabytes
    )
    trials = rule.startswith("tune")
    if not len(like):
        return None
    ratio = (like["cells"] * like["features"] / (cells * features)).to_numpy()
    strange = (
        2 * (like["dataset"] != dataset).to_numpy() + (like["scenario"] != scenario).to_numpy()
    )
    nearest_first = np.lexsort((-like["seconds"].to_numpy(), np.maximum(ratio, 1 / ratio), strange))
    base = like.iloc[nearest_first[0]]

    r_c, r_f, r_e = cells / base["cells"], features / base["features"], 1.0
    if max_epochs and base["max_epochs"] > 0:
        r_e = max_epochs / base["max_epochs"]
    most_epochs = (
        base["max_epochs"] / base["epochs"] if base["epochs"] > 0 else 1.0
    )  # if none of them stops early

    def growing(what: str) -> list[float]:
        factors = [r_c**c * r_f**f * r_e**e for c, f, e in zip(*RANGES[what], strict=True)]
        return [min(factors), factors[1], max(factors)]

    times = growing(
        "fit_model" if rule in ("fit_model", "fit_seeds", "fit_models", "tune_model") else "others"
    )
    measured_here = (base["dataset"], base["scenario"]) == (
        dataset,
        scenario,
    ) and r_c == r_f == r_e == 1
    early = [1, 1, 1 if measured_here else most_epochs]
    constant = base["constant_seconds"]
    seconds = [
        (0 if trials else min(constant, total))
        + max(total - constant, 0) * factor * more  # a search imports once
        for total, factor, more in zip(
            base[["seconds_least", "seconds", "seconds_most"]], times, early, strict=True
        )
    ]
    hours = [count * value / 3600 for value in seconds]
    memory = [base["peak_host_mb"] * factor for factor in growing("memory")]
    disk_mb = [count * megabytes * factor for megabytes in counted for factor in disk.SPREAD]
    disk_mb = disk_mb or [
        0 if trials else count * base["disk_mb"] * f for f in growing("disk")
    ]  # trials are removed
    names = {
        "rule": rule.removesuffix(SCORES),
        "dataset": dataset,
        "scenario": scenario,
        "method": method,
        "jobs": count,
    }
    numbers = dict(zip(PLAN_COLUMNS[5:14], [*hours, *memory, *disk_mb], strict=True))
    return names | numbers | {"on_gpu": base["device"] != "cpu"}


def _size(dataset: str, expenses: pd.DataFrame, shapes: dict) -> tuple[int, int]:
    """Return the numbers of cells and of features, over all modalities."""
    if dataset in shapes:
        cells, features = shapes[dataset]
        return cells, sum(features.values())
    known = expenses[expenses["dataset"] == dataset]
    if not len(known):
        raise UserError(
            f"the size of dataset {dataset!r} is not known; give it: --shape {dataset}=CELLS,FEATURES"
        )
    return round(known["cells"].max() / 0.8), int(known["features"].iloc[0])


def _fit_job(
    path: Path, results: Results, shape_of_view: Callable[[Path], tuple[int, int]]
) -> dict:
    """Return what one run and seed cost."""
    record = json.loads(path.read_text())
    view, seed = (record["dataset"], record["scenario"]), record["seed"]
    cells, features = shape_of_view(Path(results.view(*view, seed), "train.h5mu"))
    phases = record["seconds"]  # phase -> seconds
    total = sum(phases.values()) if phases else float("nan")
    whole = read_job_expenses(Path(results.expenses.fit(*view, record["run"], seed)))
    if record["device"] in ("cpu", ""):
        seconds = (
            max(whole.get("cpu_seconds", 0), sum(record.get("cpu_seconds", {}).values())) or total
        )
    else:
        seconds = whole.get("seconds", total)
    history = path.with_name("history.tsv")
    return {
        "rule": rule_of(record["method"]),
        "device": record["device"] or "cpu",
        "cells": cells,
        "features": features,
        "epochs": len(pd.read_csv(history, sep="\t")) if history.is_file() else 0,
        "max_epochs": record["hyperparameters"].get("max_epochs", 0),
        "seconds": seconds,
        "constant_seconds": seconds * phases.get("import", 0) / total,
        "peak_host_mb": record["peak_host_mb"],
        "peak_device_mb": record["peak_device_mb"],
        "disk_mb": _megabytes([path.parent]),
    } | {name: record[name] for name in ("dataset", "scenario", "run", "seed", "method")}


def _cut_job(view: dict, seeds: int, results: Results) -> dict:
    """Return what it cost to cut a view with one of its seeds: its own job's cost, or an equal share of that of all seeds."""
    place = (view["dataset"], view["scenario"])
    own, shared = results.expenses.cut(*place, view["seed"]), results.expenses.cut_of_seeds(*place)
    file, share = (own, 1) if Path(own).is_file() else (shared, seeds)
    return _other_job("cut", view, [file], [results.view(*place, view["seed"])], share=share)


def _score_jobs(runs: list[dict], results: Results) -> list[dict]:
    """Return what it cost to score each run of a view: an equal share of what the view's jobs took, or its own job's cost."""
    view = (runs[0]["dataset"], runs[0]["scenario"])
    own = {run["run"]: Path(results.expenses.score(*view, run["run"])) for run in runs}
    alone = {name: file for name, file in own.items() if file.is_file()}
    together = sorted(file for file in next(iter(own.values())).parent.glob("_*.tsv"))
    jobs = []
    for run in runs:
        files, share = (
            ([alone[run["run"]]], 1) if run["run"] in alone else (together, len(runs) - len(alone))
        )
        made = [f"{results.run(*view, run['run'])}/{name}" for name in FILES_OF_SCORES]
        jobs.append(_other_job("score", run, files, made, method=run["method"], share=share))
    return jobs


def _other_job(
    rule: str, like: dict, took: list[str | Path], made: list[str], method: str = "", share: int = 1
) -> dict:
    """Return what jobs of another rule cost, or one of so many equal shares of it; NaN where they wrote nothing of it."""
    measured_jobs = [job for file in took if (job := read_job_expenses(Path(file)))]
    nothing = float("nan")
    names = {name: like[name] for name in ("dataset", "scenario", "cells", "features")}
    return names | {
        "rule": rule,
        "method": method,
        "device": "cpu",
        "epochs": 0,
        "max_epochs": 0,
        "seconds": sum(job["cpu_seconds"] for job in measured_jobs) / share
        if measured_jobs
        else nothing,
        "constant_seconds": 0.0,
        "peak_host_mb": max((job["peak_mb"] for job in measured_jobs), default=nothing),
        "peak_device_mb": None,
        "disk_mb": _megabytes(map(Path, made)),
    }


def _joined(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per kind of job."""
    jobs = jobs.astype({"peak_device_mb": float})
    by = jobs.groupby(["rule", "dataset", "scenario", "method", "device"], sort=False)
    table = by.agg(
        jobs=("seconds", "size"),
        cells=("cells", "max"),
        features=("features", "max"),
        epochs=("epochs", "mean"),
        max_epochs=("max_epochs", "max"),
        seconds=("seconds", "mean"),
        seconds_least=("seconds", "min"),
        seconds_most=("seconds", "max"),
        constant_seconds=("constant_seconds", "mean"),
        peak_host_mb=("peak_host_mb", "max"),
        peak_device_mb=("peak_device_mb", "max"),
        disk_mb=("disk_mb", "mean"),
        cpu_hours=("seconds", "sum"),
    ).reset_index()
    table["cpu_hours"] /= 3600
    table["gpu_hours"] = table["cpu_hours"].where(table["device"] != "cpu", 0.0)
    return table[COLUMNS].round(6)


def _shape_of_view(train: Path) -> tuple[int, int]:
    """Return the numbers of train cells and of features as methods see them, 0 where the view is gone."""
    import h5py

    if not train.is_file():
        return 0, 0
    with h5py.File(train) as file:
        names = file["obs"][file["obs"].attrs["_index"]]
        cells = len(
            names["values"] if isinstance(names, h5py.Group) else names
        )  # texts of pandas 3 lie beside a mask
        return cells, sum(group["uns"]["mean"].shape[0] for group in file["mod"].values())


def _megabytes(paths: Iterable[Path]) -> float:
    every = [
        file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))
    ]
    return sum(file.stat().st_size for file in every if file.is_file()) / 1e6
