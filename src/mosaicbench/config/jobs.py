"""What the jobs of the workflow do: which runs one job fits, and the keywords of each command.

Each function that is called like a command returns the keywords of ``commands.{command}.main`` from the
recorded config and from the words by which a job is named: a split, runs, seeds. The Snakefile puts
:func:`digest` of them into a rule's params, so an edited key of the config repeats those jobs alone
whose keywords it changes; the job compares that digest with the config that it reads.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING

from mosaicbench.catalog import catalog
from mosaicbench.config import external
from mosaicbench.errors import UserError, nearest
from mosaicbench.files.atomic import write_text
from mosaicbench.files.identity import digest_of
from mosaicbench.workflow.layout import (
    FILES_OF_FIT,
    FILES_OF_SCORES,
    PACKAGE,
    PARTS_OF_SPLIT,
    TABLES,
    Results,
    environments,
    project_file,
)

if TYPE_CHECKING:
    from mosaicbench.config.recorded import Settings

SMALL = 20_000  # cells of a dataset: up to so many, to start a process costs more than its work
QUICK = 20_000  # steps of a training, each some milliseconds: up to so many, one job fits all seeds
GROUPS_OF_MEAN = ("alignment", "label_transfer", "imputation")  # of the objective "mean"
PLACE = ("dataset", "scenario", "run")
STEPS = ("prepare", "split", "fit", "read_external", "split_inner", "tune", "score")
STEPS += ("layout", "tabulate", "draw", "report")
FITTING = ("fit_model", "fit_quick_model", "fit_baseline", "fit_cheap", "read_external")
NAMES = ("dataset", "split", "runs", "seeds", "groups", "figures")  # what names a job
OF_PROJECT = ("display", "published")  # keywords that name a file of the checkout

Pair = tuple[str, str]  # dataset and scenario of a split


# --- which work one job does ---


def is_small(bench: Settings, dataset: str) -> bool:
    """Return whether jobs take on all seeds, all cheap methods and all scores of a split of this dataset.

    A dataset of an unknown number of cells is not small. With ``keep_imputed: false`` none is: Snakemake
    deletes only files that a rule names, and a job of several runs names none.
    """
    cells = bench.datasets[dataset]["cells"]
    return bench.config["keep_imputed"] and cells is not None and cells <= SMALL


def is_quick(bench: Settings, dataset: str, run: str) -> bool:
    """Return whether a model is fitted in seconds, so that one job fits all its seeds."""
    asked, cells = bench.runs[run], bench.datasets[dataset]["cells"]
    known = catalog.hyperparameters(asked.method)
    if cells is None or "wraps" in catalog.card("methods", asked.method):
        return False
    values = {name: one.default for name, one in known.items()} | asked.hyperparameters
    steps = values.get("steps") or values["max_epochs"] * math.ceil(cells / values["batch_size"])
    return steps <= QUICK


def runs_of_split(bench: Settings, split: Pair) -> list[str]:
    """Return all runs of a split."""
    return bench.runs_of_splits.get(tuple(split), [])


def cheap_runs(bench: Settings, split: Pair) -> list[str]:
    """Return the baselines and controls of a split that one job fits."""
    runs = runs_of_split(bench, split)
    return [run for run in runs if fitting(bench, *split, run) == "fit_cheap"]


def fitting(bench: Settings, dataset: str, scenario: str, run: str) -> str:
    """Return which of the rules :data:`FITTING` makes a run of a split."""
    card = catalog.card("methods", bench.runs[run].method)
    if "external" in card:
        return "read_external"
    if card["kind"] == "model":
        return "fit_quick_model" if is_quick(bench, dataset, run) else "fit_model"
    costly = "wraps" in card or bench.runs[run].tuned_from or not is_small(bench, dataset)
    return "fit_baseline" if costly else "fit_cheap"


# --- what the Snakefile asks of a job: its name, its words, its code and its files ---


def named(wildcards: Mapping[str, str]) -> dict:
    """Return the keywords that name a job, from Snakemake's wildcards."""
    found: dict = {}
    if "scenario" in wildcards:
        found["split"] = (wildcards["dataset"], wildcards["scenario"])
    elif "dataset" in wildcards:
        found["dataset"] = wildcards["dataset"]
    if "run" in wildcards:
        found["runs"] = [wildcards["run"]]
    if "seed" in wildcards:
        found["seeds"] = [int(wildcards["seed"])]
    return found


def words(command: str, bench: Settings, wildcards: Mapping[str, str]) -> list[str]:
    """Return the words by which the command line is told of a job, the digest of its settings last."""
    name = named(wildcards)
    found = ["--config", Results(bench.results).config]
    found += ["--dataset", name["dataset"]] if "dataset" in name else []
    found += ["--split", "/".join(name["split"])] if "split" in name else []
    found += ["--run", *name.get("runs", ())] if "runs" in name else []
    found += ["--seed", *map(str, name["seeds"])] if "seeds" in name else []
    return [*found, "--settings", digest(command, bench, **name)]


def digest(command: str, bench: Settings, **name: object) -> str:
    """Return 12 hexadecimal digits for the keywords of a job, wherever its results are."""
    keywords = globals()[command](bench, Results("results"), **name)
    keywords = {key: value for key, value in keywords.items() if key not in OF_PROJECT}
    text = json.dumps(keywords, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def code(
    command: str, bench: Settings, wildcards: Mapping[str, str]
) -> tuple[tuple[str, ...], ...]:
    """Return the modules that decide a job, its command's own apart, and the other files of the package that it reads."""
    name, files = named(wildcards), []
    if command == "prepare":
        modules = [("datasets", bench.datasets[name["dataset"]]["loader"])]
        files = ["data/antibody_targets.tsv"]
        cells = f"data/embedded/{modules[0][1]}.npz"
        files += [cells, "data/embedded/merged_types.tsv"] if (PACKAGE / cells).is_file() else []
    elif command in ("fit", "tune"):
        runs = name.get("runs") or cheap_runs(bench, name["split"])
        modules = [("methods", bench.runs[run].method) for run in runs]
        modules += [("metrics", metric) for metric in _judges(bench) if command == "tune"]
    elif command == "score":
        cards = catalog.cards("metrics")
        modules = [
            ("metrics", metric) for metric in cards if cards[metric]["group"] in bench.groups
        ]
    elif command == "layout":
        sampled = bench.config["report"]["sampled_runs"]
        modules = [("methods", bench.runs[run].method) for run in sampled]
    elif command == "draw":
        modules = [("figures", figure) for figure in bench.figures]
    else:
        modules = []
    if command == "report":
        pages = [*PACKAGE.glob("report/page/*.j2"), *PACKAGE.glob("report/page/assets/*.[cj]s*")]
        files = [page.relative_to(PACKAGE).as_posix() for page in pages]
    return tuple(sorted({catalog.module(*one) for one in modules})), tuple(sorted(files))


def _judges(bench: Settings) -> list[str]:
    """Return the metrics of the objective that trials are compared by."""
    objective, cards = bench.tuning.get("objective"), catalog.cards("metrics")
    groups = GROUPS_OF_MEAN if objective == "mean" else ()
    return [name for name in cards if name == objective or cards[name]["group"] in groups]


def files_of_fits(
    bench: Settings, places: Iterable, *files: str, seeds: Sequence[int]
) -> list[str]:
    """Return what a job waits for that reads these files of fits: they, or the list of all files of cheap runs."""
    results, found = Results("<results>"), {}
    for *split, run in places:
        if fitting(bench, *split, run) == "fit_cheap":
            found[results.cheap_fits(*split)] = None
        else:
            folders = [results.fit(*split, run, seed) for seed in seeds]
            found |= dict.fromkeys(f"{folder}/{file}" for folder, file in product(folders, files))
    return list(found)


def inputs_of_fit(bench: Settings, wildcards: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the files that a job of fits, or of trials, reads."""
    job = fit(bench, Results("<results>"), **named(wildcards))
    cards = [catalog.card("methods", run["method"]) for run in job["runs"]]
    parts = ["train", "query"]
    parts += ["solution"] if any("solution" in card["inputs"] for card in cards) else []
    tuned = [file for run in job["runs"] for file in run.get("tuned", ())]
    return {
        "splits": [seed[part] for seed, part in product(job["seeds"], parts)],
        "tuned": sorted(set(tuned)),
        "environment": [
            f"{relpath(environments())}/{card['environment']}/.ready"
            for card in cards
            if "environment" in card
        ],
    }


def inputs_of_external(bench: Settings, wildcards: Mapping[str, str]) -> list[str]:
    """Return the files that a job of an external run reads."""
    job = read_external(bench, Results("<results>"), **named(wildcards))
    splits = [f"{seed['split']}/{file}" for seed, file in product(job["seeds"], PARTS_OF_SPLIT)]
    parts = product(job["seeds"], external.PARTS)
    return splits + sorted({seed[part] for seed, part in parts if part in seed})


def inputs_of_score(bench: Settings, wildcards: Mapping[str, str]) -> list[str]:
    """Return the files that a job of scores reads."""
    split, runs = named(wildcards)["split"], named(wildcards).get("runs")
    places = [(*split, run) for run in runs or runs_of_split(bench, split)]
    folders = [Results("<results>").split(*split, seed) for seed in bench.seeds]
    return [
        *files_of_fits(bench, places, *FILES_OF_FIT, seeds=bench.seeds),
        *(f"{folder}/{part}.h5mu" for folder, part in product(folders, ("train", "solution"))),
    ]


def reported_tables() -> list[tuple[str, dict]]:
    """Return each table, and how the report of ``snakemake --report`` shows it: {} of the longest, which it leaves out."""
    longest = ("scores", "features", "history", "phases")
    about = {"category": "Tables", "caption": "../report/tables.rst"}
    return [
        (
            Results("<results>").table(name),
            {} if name in longest else about | {"labels": {"table": f"{name}.tsv"}},
        )
        for name in TABLES
    ]


def reported_figures(bench: Settings) -> list[tuple[str, dict]]:
    """Return each file of a figure, of each split or of all, and how that report shows it: {} of those that it leaves out."""
    found = []
    for figure in bench.figures:
        card = catalog.card("figures", figure)
        for split in bench.splits if card["per"] == "split" else [()]:
            path = Results(Results("<results>").figures).at(*split, figure)
            about = {"category": "Figures", "caption": f"../report/{figure}.rst"}
            about["subcategory"] = ", ".join(split) or "all datasets"
            found.append((f"{path}.png", {}))
            for form, shown in (("svg", "picture"), ("tsv", "table")):
                labels = {"figure": card["label"], "shown as": shown}
                found.append((f"{path}.{form}", about | {"labels": labels}))
    return found


def alarms(results: Results) -> list[str]:
    """Return a line for each control whose scores are not where theory puts them, from the table of sanity checks."""
    table = Path(results.table("sanity_checks"))
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["check"] == "control"]
    line = "ALARM: {dataset}, {scenario}: {run}, {metric}: {message}"
    return [line.format_map(row) for row in rows]


def record(bench: Settings, results: Results) -> None:
    """Write the settled config for all jobs to read; a file that says the same is left alone."""
    path, text = Path(results.config), f"{json.dumps(bench.recorded())}\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def write_list(command: str, results: Results, split: Pair, job: dict) -> None:
    """Write the SHA-256 and the path of each file that a job wrote whose rule cannot name them: of all cheap runs, of all scores."""
    if command == "fit":
        path = Path(results.cheap_fits(*split))
        folders = [Path(output) for run in job["runs"] for output in run["outputs"]]
        files = [folder / file for folder, file in product(folders, FILES_OF_FIT)]
    else:
        path = Path(results.scores_of_split(*split))
        files = [*job["scores"], *job["features"], *job["cells"]]
    lines = [f"{digest_of(file)}  {file.relative_to(path.parent).as_posix()}\n" for file in files]
    write_text(path, "".join(lines))


# --- the keywords of each command ---


def prepare(bench: Settings, results: Results, *, dataset: str) -> dict:
    """Return what `prepare` reads and writes."""
    if dataset not in bench.datasets:
        raise UserError(f"there is no dataset {dataset!r}{nearest(dataset, bench.datasets)}")
    settled = bench.datasets[dataset]
    return {
        "dataset": dataset,
        "loader": settled["loader"],
        "options": settled["options"],
        "raw": settled["raw"] and Path(settled["raw"]),
        "output": Path(results.dataset(dataset)),
    }


def split(
    bench: Settings, results: Results, *, split: Pair, seeds: Sequence[int] | None = None
) -> dict:
    """Return how `split` hides pairs, and the files it writes for each seed."""
    dataset, scenario = _checked(bench, split)
    stanza = bench.scenarios[scenario]
    options = {
        key: value for key, value in stanza.items() if key not in ("kind", "datasets", "runs")
    }
    own = options.get("preprocess", {})
    options["preprocess"] = {
        kind: bench.preprocess.get(kind, {}) | own.get(kind, {}) for kind in bench.preprocess | own
    }
    seeds = bench.seeds if seeds is None else list(seeds)
    folders = [Path(results.split(dataset, scenario, seed)) for seed in seeds]
    return {
        "dataset": Path(results.dataset(dataset)),
        "scenario": scenario,
        "kind": stanza["kind"],
        "seeds": seeds,
        "options": options,
    } | {
        part: [folder / f"{part}.h5mu" for folder in folders]
        for part in ("train", "query", "solution")
    }


def fit(
    bench: Settings,
    results: Results,
    *,
    split: Pair,
    runs: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> dict:
    """Return how `fit` describes runs, their seeds and limits; by default all cheap runs of a split."""
    names = _checked(bench, split, runs or ())
    runs = runs or cheap_runs(bench, names)
    if not runs:
        raise UserError("--run: name one; this split has no runs that one job fits together")
    seeds = bench.seeds if seeds is None else list(seeds)
    return {
        "runs": [_fitted(bench, results, names, run, seeds) for run in runs],
        "seeds": [
            {"seed": seed}
            | {
                part: f"{results.split(*names, seed)}/{part}.h5mu"
                for part in ("train", "query", "solution")
            }
            for seed in seeds
        ],
        "limits": bench.limits,
    }


def _fitted(bench: Settings, results: Results, split: Pair, run: str, seeds: Sequence[int]) -> dict:
    """Return the run of a job of fits, with what is to be saved of it and whose settings it takes."""
    asked = bench.runs[run]
    if asked.method == catalog.EXTERNAL:
        raise UserError(f"{run!r} is an external run; `mosaicbench read_external` takes it in")
    job = dict(zip(PLACE, (*split, run), strict=True)) | {
        "method": asked.method,
        "module": catalog.module("methods", asked.method),
        "hyperparameters": asked.hyperparameters,
        "outputs": [results.fit(*split, run, seed) for seed in seeds],
    }
    if run in bench.kept:
        job["keep"] = True
    elif run in bench.candidates and bench.seeds[0] in seeds:
        job["candidate"] = bench.seeds[0]
    if {"keep", "candidate"} & job.keys():
        card = catalog.card("datasets", bench.datasets[split[0]]["loader"])
        job["licence"] = card["licence"]
    if asked.tuned_from:
        job["tuned"] = [best_settings(bench, results, split, run, seed) for seed in seeds]
    return job


def best_settings(bench: Settings, results: Results, split: Pair, run: str, seed: int) -> str:
    """Return the file of the settings that were found for a seed of a tuned run."""
    of = seed if seed in bench.tuned_seeds else bench.tuned_seeds[0]
    return f"{results.tuning(*split, run, of)}/best.json"


def read_external(bench: Settings, results: Results, *, split: Pair, runs: Sequence[str]) -> dict:
    """Return the files of one external run, by seed."""
    names, (run,) = _checked(bench, split, runs), runs
    stanza = bench.runs[run].hyperparameters
    files = external.files(run, stanza, *names, bench.seeds)
    return dict(zip(PLACE, (*names, run), strict=True)) | {
        "seeds": [
            {"seed": seed, "split": results.split(*names, seed)}
            | {"output": results.fit(*names, run, seed)}
            | of_seed
            for seed, of_seed in zip(bench.seeds, files, strict=True)
        ]
    }


def split_inner(bench: Settings, results: Results, *, split: Pair, seeds: Sequence[int]) -> dict:
    """Return how `split_inner` splits the train cells of one seed."""
    (dataset, scenario), (seed,) = _checked(bench, split), seeds
    folder = Path(results.inner_split(dataset, scenario, seed))
    return {
        "split": Path(results.split(dataset, scenario, seed), "train.h5mu"),
        "fraction": bench.tuning["fraction"],
        "seed": bench.tuning["seed"],
        "by": bench.scenarios[scenario].get("split", {}).get("by"),
    } | {part: folder / f"{part}.h5mu" for part in ("train", "query", "solution")}


def tune(
    bench: Settings,
    results: Results,
    *,
    split: Pair,
    runs: Sequence[str],
    seeds: Sequence[int],
) -> dict:
    """Return what `tune` searches for one tuned run and seed."""
    names, (run,), (seed,) = _checked(bench, split, runs), runs, seeds
    asked = bench.runs[run]
    if not asked.tuned_from:
        raise UserError(f"{run!r} is not tuned; the config's `tuning` adds runs that are")
    return {
        "identity": dict(zip(PLACE, (*names, run), strict=True))
        | {"method": asked.method, "seed": seed},
        "of": asked.tuned_from,
        "hyperparameters": asked.hyperparameters,
        "split": Path(results.inner_split(*names, seed)),
        "output": Path(results.tuning(*names, run, seed)),
        "limits": bench.limits,
    } | {key: bench.tuning[key] for key in ("trials", "objective", "seed")}


def score(
    bench: Settings,
    results: Results,
    *,
    split: Pair,
    runs: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> dict:
    """Return the folders that `score` reads and the files that it writes, of some runs or of all."""
    names = _checked(bench, split, runs or ())
    runs = runs or runs_of_split(bench, split)
    scores, features, cells = (
        [Path(results.run(*names, run), file) for run in runs] for file in FILES_OF_SCORES
    )
    folders = [Path(results.run(*names, run)) for run in runs]
    return {
        "runs": [folder / f"seed-{seed}" for folder in folders for seed in bench.seeds],
        "splits": [Path(results.split(*names, seed)) for seed in bench.seeds],
        "groups": bench.groups if groups is None else list(groups),
        "scores": scores,
        "features": features,
        "cells": cells,
    }


def layout(bench: Settings, results: Results) -> dict:
    """Return the splits and runs of which `layout` makes pictures."""
    seed, sampled = bench.seeds[0], bench.config["report"]["sampled_runs"]
    there = {split: runs_of_split(bench, split) for split in bench.splits}
    return {
        "splits": [
            [Path(results.split(*split, seed))]
            + [Path(results.fit(*split, run, seed)) for run in bench.projected if run in runs]
            for split, runs in there.items()
        ],
        "seed": seed,
        "generate": [
            Path(results.fit(*split, run, seed))
            for split, runs in there.items()
            for run in sampled
            if run in runs
        ],
        "output": Path(results.projections),
    }


def tabulate(bench: Settings, results: Results) -> dict:
    """Return the files of all runs, and what `tabulate` has to know of them."""
    scores, features, cells = (
        [Path(results.run(*place), file) for place in bench.applicable] for file in FILES_OF_SCORES
    )
    fits = [Path(results.fit(*place, seed)) for place in bench.applicable for seed in bench.seeds]
    cards = catalog.cards("datasets")
    return {
        "scores": scores,
        "features": features,
        "cells": cells,
        "records": [fit / "run.json" for fit in fits],
        "histories": [fit / "history.tsv" for fit in fits],
        "not_applicable": bench.not_applicable,
        "methods": {run.name: run.method for run in bench.runs.values()},
        "kinds": {name: stanza["kind"] for name, stanza in bench.scenarios.items()},
        "reference": bench.config["report"]["reference_run"],
        "sweep": bench.config["report"]["sweep"],
        "published": project_file("config/published.yaml"),
        "display": project_file("config/display.yaml"),
        "results": Path(results.folder),
        "output": Path(results.tables),
        "places": [dict(zip(PLACE, place, strict=True)) for place in bench.applicable],
        "seeds": bench.seeds,
        "simulated": [
            name
            for name, dataset in bench.datasets.items()
            if cards.get(dataset["loader"], {}).get("simulated")
        ],
        "sizes": bench.sizes,
        "searches": [
            (
                dict(zip(PLACE, place, strict=True)) | {"seed": seed},
                Path(results.tuning(*place, seed)),
            )
            for place in bench.tuned
            for seed in bench.tuned_seeds
        ],
    }


def draw(bench: Settings, results: Results, *, figures: Sequence[str] | None = None) -> dict:
    """Return the figures that `draw` draws, and of which splits."""
    return {
        "figures": bench.figures if figures is None else list(figures),
        "tables": Path(results.tables),
        "projections": Path(results.projections),
        "display": project_file("config/display.yaml"),
        "splits": ["/".join(split) for split in bench.splits],
        "output": Path(results.figures),
    }


def report(bench: Settings, results: Results) -> dict:
    """Return what `report` shows."""
    return {
        "tables": Path(results.tables),
        "figures": Path(results.figures),
        "display": project_file("config/display.yaml"),
        "config": bench.config,
        "splits": ["/".join(split) for split in bench.splits],
        "results": Path(results.folder),
        "output": Path(results.report),
    }


def _checked(bench: Settings, split: Pair, runs: Sequence[str] = ()) -> Pair:
    """Return the names of a split that the config has, with these runs.

    Raises
    ------
    UserError
        Says which of them the config lacks, or why a run is not part of the split.
    """
    if tuple(split) not in bench.splits:
        named, there = "/".join(split), ["/".join(one) for one in bench.splits]
        raise UserError(f"--split: there is no split {named!r}{nearest(named, there)}")
    there = runs_of_split(bench, split)
    for run in runs:
        if run not in there:
            place = dict(zip(PLACE, (*split, run), strict=True))
            why = [row["reason"] for row in bench.not_applicable if place.items() <= row.items()]
            because = f" in this split: {why[0]}" if why else nearest(run, there)
            raise UserError(f"--run: there is no run {run!r}{because}")
    return tuple(split)
