"""The jobs of the workflow: which runs one job fits, and the keywords of each command.

A function named like a command returns the keywords of ``commands.{command}.main`` from the
recorded config and from the names of a job: a split, runs, seeds. A rule's params have their
:func:`digest`, so an edited key of the config repeats only the jobs whose keywords it changes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Collection, Iterable
from contextlib import suppress
from itertools import product
from os.path import relpath
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.config import external
from mosaicbench.config.recorded import Settings, pairing
from mosaicbench.errors import UserError, nearest
from mosaicbench.files.atomic import write_text
from mosaicbench.files.datasheet import has_no_pairs, read_datasheet
from mosaicbench.files.identity import digest_of
from mosaicbench.workflow.layout import (
    FILES_OF_FIT,
    FILES_OF_SCORES,
    PACKAGE,
    PARTS_OF_SPLIT,
    Results,
    environments,
)

SMALL = 20_000  # cells; below, starting a process takes longer than its work
QUICK = 20_000  # training steps of some milliseconds, at most; below, one job fits all seeds
FIXED = 2_000  # the same for a training that makes them all
MOST_CAUTIONS = 12  # warnings in the terminal at the end of the workflow; they may be long
GROUPS_OF_MEAN = ("alignment", "label_transfer", "imputation")  # of the objective "mean"
PARTS = ("train", "query", "solution")
STEPS = ("prepare", "split", "fit", "read_external", "split_inner", "tune", "score")
STEPS += ("embeddings", "layout", "tabulate", "draw", "report")
FITTING = ("fit_model", "fit_quick_model", "fit_baseline", "fit_cheap", "read_external")
NAMES = ("dataset", "split", "runs", "seeds", "groups", "figures")  # of a job
ANY = Results("<results>")  # as the rules of the workflow name files

Pair = tuple[str, str]  # dataset and scenario of a split


# --- which work one job does ---


def is_small(bench: Settings, dataset: str) -> bool:
    """Return whether one job splits all seeds, fits all cheap methods, or scores all runs.

    With ``keep_imputed: false`` none is: Snakemake deletes only files that a rule names.
    """
    cells = bench.datasets[dataset]["cells"]
    return bench.config["keep_imputed"] and cells is not None and cells <= SMALL


def is_quick(bench: Settings, dataset: str, run: str) -> bool:
    """Return whether a fit of a model takes seconds, so that one job fits all its seeds."""
    method, cells = bench.runs[run].method, bench.datasets[dataset]["cells"]
    if cells is None or "wraps" in catalog.card("methods", method):
        return False
    defaults = {name: one.default for name, one in catalog.hyperparameters(method).items()}
    values = defaults | bench.runs[run].hyperparameters
    if fixed := values.get("steps"):
        return fixed <= FIXED
    return values["max_epochs"] * math.ceil(cells / values["batch_size"]) <= QUICK


def cheap_runs(bench: Settings, split: Pair) -> list[str]:
    """Return the baselines and controls of a split that one job fits."""
    return [
        run for run in bench.runs_of_splits[split] if fitting(bench, *split, run) == "fit_cheap"
    ]


def fitting(bench: Settings, dataset: str, scenario: str, run: str) -> str:
    """Return which of the rules :data:`FITTING` makes a run of a split."""
    settled = bench.runs[run]
    card = catalog.card("methods", settled.method)
    if "external" in card:
        return "read_external"
    if card["kind"] == "model":
        return "fit_quick_model" if is_quick(bench, dataset, run) else "fit_model"
    read = external.embedding(settled, dataset)
    costly = "wraps" in card or settled.tuned_from or read or not is_small(bench, dataset)
    return "fit_baseline" if costly else "fit_cheap"


# --- for the Snakefile: names, arguments, code and files of a job ---


def named(wildcards: dict[str, str]) -> dict:
    """Return a job's names from Snakemake's wildcards."""
    names: dict = {}
    if "scenario" in wildcards:
        names["split"] = (wildcards["dataset"], wildcards["scenario"])
    elif "dataset" in wildcards:
        names["dataset"] = wildcards["dataset"]
    if "run" in wildcards:
        names["runs"] = [wildcards["run"]]
    if "seed" in wildcards:
        names["seeds"] = [int(wildcards["seed"])]
    return names


def words(command: str, bench: Settings, wildcards: dict[str, str]) -> list[str]:
    """Return the arguments of the command line for a job."""
    found, given = ["--config", str(Results(bench.results).config)], {**wildcards}
    if "scenario" in given:
        given["split"] = f"{given.pop('dataset')}/{given['scenario']}"
    for name in ("dataset", "split", "run", "seed"):
        if name in given:
            found += [f"--{name}", given[name]]
    return [*found, "--settings", digest(command, bench, **named(wildcards))]


def digest(command: str, bench: Settings, **name: object) -> str:
    """Return 12 hexadecimal digits for the keywords of a job, whatever its results folder."""
    keywords = globals()[command](bench, Results("results"), **name)
    text = json.dumps(keywords, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def code(command: str, bench: Settings, wildcards: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    """Return the modules and files of the package that a job uses besides its command."""
    name, used, groups, runs, files = named(wildcards), [], [], [], []
    if command == "prepare":
        loader = bench.datasets[name["dataset"]]["loader"]
        used, files = [("datasets", loader)], ["data/antibody_targets.tsv"]
        cells = f"data/embedded/{loader}.npz"
        if (PACKAGE / cells).is_file():
            files += [cells, "data/embedded/merged_types.tsv"]
    elif command in ("fit", "tune"):
        runs = name.get("runs") or cheap_runs(bench, name["split"])
    elif command == "layout":
        runs = bench.config["report"]["sampled_runs"]
    elif command == "score":
        groups = bench.groups
    elif command == "draw":
        used = [("figures", figure) for figure in bench.figures]
    elif command == "report":
        pages = [*PACKAGE.glob("report/page/*.j2"), *PACKAGE.glob("report/page/assets/*.[cj]s*")]
        files = [page.relative_to(PACKAGE).as_posix() for page in pages]
    if command == "tune" and bench.tuning["objective"] == "mean":
        groups = GROUPS_OF_MEAN
    elif command == "tune":
        used = [("metrics", bench.tuning["objective"])]
    used += [("methods", bench.runs[run].method) for run in runs]
    metrics = catalog.cards("metrics").items()
    used += [("metrics", metric) for metric, card in metrics if card["group"] in groups]
    return tuple(sorted({catalog.module(*one) for one in used})), tuple(sorted(files))


def files_of_fits(bench: Settings, places: Iterable, *files: str, seeds: list[int]) -> list[str]:
    """Return these files of the fits; of cheap runs, the list of all their files."""
    found = []
    for *split, run in places:
        if fitting(bench, *split, run) == "fit_cheap":
            found.append(str(ANY.cheap_fits(*split)))
        else:
            pairs = product(seeds, files)
            found += [f"{ANY.fit(*split, run, seed)}/{file}" for seed, file in pairs]
    return list(dict.fromkeys(found))


def inputs_of_fit(bench: Settings, wildcards: dict[str, str]) -> dict[str, list[str]]:
    """Return the input files of fits or trials."""
    job = fit(bench, ANY, **named(wildcards))
    cards = [catalog.card("methods", run["method"]) for run in job["runs"]]
    embeddings = {run["embedding"] for run in job["runs"] if "embedding" in run}
    informed = embeddings or any("solution" in card["inputs"] for card in cards)
    parts = PARTS if informed else PARTS[:2]
    tuned = {file for run in job["runs"] for file in run.get("tuned", ())}
    return {
        "splits": [seed[part] for seed, part in product(job["seeds"], parts)],
        "tuned": sorted(tuned),
        "embeddings": sorted(embeddings),
        "environment": [
            f"{relpath(environments())}/{card['environment']}/.ready"
            for card in cards
            if "environment" in card
        ],
    }


def inputs_of_external(bench: Settings, wildcards: dict[str, str]) -> list[str]:
    """Return the input files of an external run."""
    seeds = read_external(bench, ANY, **named(wildcards))["seeds"]
    splits = [f"{seed['split']}/{file}" for seed, file in product(seeds, PARTS_OF_SPLIT)]
    parts = product(seeds, external.PARTS)
    return splits + sorted({seed[part] for seed, part in parts if part in seed})


def inputs_of_score(bench: Settings, wildcards: dict[str, str]) -> list[str]:
    """Return the input files of scores."""
    name = named(wildcards)
    split, runs = name["split"], name.get("runs") or bench.runs_of_splits[name["split"]]
    parts = product(bench.seeds, ("train", "solution"))
    return [
        *files_of_fits(bench, [(*split, run) for run in runs], *FILES_OF_FIT, seeds=bench.seeds),
        *(f"{ANY.split(*split, seed)}/{part}.h5mu" for seed, part in parts),
    ]


def files_of_figures(bench: Settings) -> list[str]:
    """Return the files of all figures."""
    found = []
    for figure in bench.figures:
        per_split = catalog.card("figures", figure)["per"] == "split"
        for split, form in product(bench.splits if per_split else [()], ("png", "svg", "tsv")):
            found.append(str(ANY.figures.joinpath(*split, f"{figure}.{form}")))
    return found


def alarms(results: Results) -> list[str]:
    """Return a line for each control with scores that theory excludes, from the sanity checks."""
    table = results.table("sanity_checks")
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["check"] == "control"]
    line = "ALARM: {dataset}, {scenario}: {run}, {metric}: {message}"
    return [line.format_map(row) for row in rows]


def cannot_learn(bench: Settings, without_pairs: Collection[str] = ()) -> list[tuple[str, str]]:
    """Return dataset and sentence of each scenario without pairs with runs that learn from pairs.

    `without_pairs` are datasets of which no cell has two modalities, for scenarios as measured.
    """
    runs: dict[Pair, list[str]] = {}
    for dataset, scenario, run in bench.applicable:
        card = catalog.card("methods", bench.runs[run].method)
        kind = pairing(bench.scenarios[scenario])[0]
        unpaired = kind == "unpaired" or (kind == "as_measured" and dataset in without_pairs)
        by_pairs = {"pairs", "links"} & {*card.get("inputs", ())} == {"pairs"}
        if unpaired and by_pairs and card["kind"] != "control" and "unpaired" in card["scenarios"]:
            runs.setdefault((dataset, scenario), []).append(run)
    return [
        (
            dataset,
            f"scenario {scenario!r} has no pairs, from which alone these runs learn to align "
            f"modalities, so their scores will be those of chance: {', '.join(names)}; leave them out "
            f"by naming the others in scenarios.{scenario}.runs",
        )
        for (dataset, scenario), names in runs.items()
    ]


def cautions(bench: Settings, results: Results) -> list[str]:
    """Return the warnings of all prepared datasets and of runs, at most `MOST_CAUTIONS` lines."""
    found, without_pairs = [], []
    for dataset in bench.datasets:
        with suppress(UserError):  # it is not prepared
            rows, warnings = read_datasheet(results.dataset(dataset))
            found += [(dataset, text) for text in warnings]
            without_pairs += [dataset] * has_no_pairs(rows)
    lines = in_lines([*found, *cannot_learn(bench, without_pairs)])
    if more := lines[MOST_CAUTIONS:]:
        table = results.table("warnings")
        place = table if table.is_file() else "the logs of `prepare`"
        lines[MOST_CAUTIONS:] = [f"WARNING: {len(more)} more warnings are in {place}"]
    return lines


def in_lines(warnings: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each different warning, with its datasets, from (dataset, warning)."""
    datasets: dict[str, list[str]] = {}
    for dataset, text in warnings:
        datasets.setdefault(text, []).append(dataset)
    return [f"WARNING: {', '.join(names)}: {text}" for text, names in datasets.items()]


def record(bench: Settings, results: Results) -> None:
    """Write the settled config for all jobs to read; leave an equal file alone."""
    path, text = results.config, f"{json.dumps(bench.recorded())}\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def write_list(command: str, results: Results, split: Pair, job: dict) -> None:
    """Write SHA-256 and path of the files of a job of several runs."""
    if command == "fit":
        path, names = results.cheap_fits(*split), FILES_OF_FIT
        folders = [output for run in job["runs"] for output in run["outputs"]]
    else:
        path, names = results.scores_of_split(*split), FILES_OF_SCORES
        folders = job["outputs"]
    files = [Path(*pair) for pair in product(folders, names)]
    lines = [f"{digest_of(file)}  {file.relative_to(path.parent).as_posix()}\n" for file in files]
    write_text(path, "".join(lines))


# --- the keywords of each command ---


def prepare(bench: Settings, results: Results, *, dataset: str) -> dict:
    """Return a dataset's loader, options and file."""
    if dataset not in bench.datasets:
        raise UserError(f"there is no dataset {dataset!r}{nearest(dataset, bench.datasets)}")
    settled = bench.datasets[dataset]
    return {
        "dataset": dataset,
        "loader": settled["loader"],
        "options": settled["options"],
        "raw": settled["raw"] and Path(settled["raw"]),
        "output": results.dataset(dataset),
    }


def split(
    bench: Settings, results: Results, *, split: Pair, seeds: list[int] | None = None
) -> dict:
    """Return the options of a scenario, and the files of each seed."""
    _check(bench, split, seeds=seeds)
    dataset, scenario = split
    seeds, stanza = seeds or bench.seeds, bench.scenarios[scenario]
    changed, other = stanza.get("preprocess", {}), ("kind", "preprocess", "datasets", "runs")
    options = {key: value for key, value in stanza.items() if key not in other}
    options["preprocess"] = {
        modality: bench.preprocess.get(modality, {}) | changed.get(modality, {})
        for modality in bench.preprocess | changed
    }
    return {
        "dataset": results.dataset(dataset),
        "scenario": scenario,
        "kind": stanza["kind"],
        "seeds": seeds,
        "options": options,
        "outputs": [results.split(*split, seed) for seed in seeds],
    }


def fit(
    bench: Settings,
    results: Results,
    *,
    split: Pair,
    runs: list[str] | None = None,
    seeds: list[int] | None = None,
) -> dict:
    """Return runs, their seeds and limits; by default all cheap runs of a split."""
    _check(bench, split, runs, seeds)
    runs, seeds = runs or cheap_runs(bench, split), seeds or bench.seeds
    if not runs:
        raise UserError("--run: name one; this split has no runs that one job fits together")
    parts = {
        seed: {part: f"{results.split(*split, seed)}/{part}.h5mu" for part in PARTS}
        for seed in seeds
    }
    return {
        "runs": [_fitted(bench, results, split, run, seeds) for run in runs],
        "seeds": [{"seed": seed} | files for seed, files in parts.items()],
        "limits": bench.limits,
    }


def _fitted(bench: Settings, results: Results, split: Pair, run: str, seeds: list[int]) -> dict:
    settled = bench.runs[run]
    if settled.method == catalog.EXTERNAL:
        raise UserError(f"{run!r} is an external run; use `mosaicbench read_external`")
    job = _place(*split, run) | {
        "method": settled.method,
        "module": catalog.module("methods", settled.method),
        "hyperparameters": settled.hyperparameters,
        "outputs": [results.fit(*split, run, seed) for seed in seeds],
    }
    if read := external.embedding(settled, split[0]):
        job["embedding"] = read
        job["hyperparameters"] = settled.hyperparameters | {"embedding": read}
    if run in bench.kept:
        job["keep"] = True
    elif run in bench.candidates and bench.seeds[0] in seeds:
        job["candidate"] = bench.seeds[0]
    if {"keep", "candidate"} & job.keys():
        job["licence"] = catalog.card("datasets", bench.datasets[split[0]]["loader"])["licence"]
    if settled.tuned_from:
        searched = [seed if seed in bench.tuned_seeds else bench.tuned_seeds[0] for seed in seeds]
        job["tuned"] = [f"{results.tuning(*split, run, seed)}/best.json" for seed in searched]
    return job


def read_external(bench: Settings, results: Results, *, split: Pair, runs: list[str]) -> dict:
    """Return the files of one external run, by seed."""
    _check(bench, split, runs)
    (run,) = runs
    if bench.runs[run].method != catalog.EXTERNAL:
        raise UserError(f"{run!r} is no external run; use `mosaicbench fit`")
    files = external.files(bench.runs[run], *split, bench.seeds)
    return _place(*split, run) | {
        "seeds": [
            {
                "seed": seed,
                "split": results.split(*split, seed),
                "output": results.fit(*split, run, seed),
                **of_seed,
            }
            for seed, of_seed in zip(bench.seeds, files, strict=True)
        ]
    }


def split_inner(bench: Settings, results: Results, *, split: Pair, seeds: list[int]) -> dict:
    """Return the inner split of one seed."""
    _check(bench, split, seeds=seeds)
    if not bench.tuning:
        raise UserError("the config has no `tuning`, so no split has an inner one")
    (seed,) = seeds
    return {
        "split": results.split(*split, seed) / "train.h5mu",
        "fraction": bench.tuning["fraction"],
        "seed": bench.tuning["seed"],
        "by": bench.scenarios[split[1]].get("split", {}).get("by"),
        "output": results.inner_split(*split, seed),
    }


def tune(
    bench: Settings,
    results: Results,
    *,
    split: Pair,
    runs: list[str],
    seeds: list[int],
) -> dict:
    """Return the search for one tuned run and seed."""
    _check(bench, split, runs, seeds)
    (run,), (seed,) = runs, seeds
    settled = bench.runs[run]
    if not settled.tuned_from:
        raise UserError(f"{run!r} is not tuned; the config's `tuning` adds runs that are")
    return {
        "identity": _place(*split, run) | {"method": settled.method, "seed": seed},
        "of": settled.tuned_from,
        "hyperparameters": settled.hyperparameters,
        "split": results.inner_split(*split, seed),
        "output": results.tuning(*split, run, seed),
        "limits": bench.limits,
    } | {key: bench.tuning[key] for key in ("trials", "objective", "seed")}


def score(
    bench: Settings,
    results: Results,
    *,
    split: Pair,
    runs: list[str] | None = None,
    groups: list[str] | None = None,
) -> dict:
    """Return the folders and files of some runs or of all."""
    _check(bench, split, runs)
    runs = [(*split, run) for run in runs or bench.runs_of_splits[split]]
    return {
        "runs": [results.fit(*run, seed) for run, seed in product(runs, bench.seeds)],
        "splits": [results.split(*split, seed) for seed in bench.seeds],
        "groups": groups or bench.groups,
        "outputs": [results.run(*run) for run in runs],
    }


def layout(bench: Settings, results: Results) -> dict:
    """Return the splits and runs that figures of cells show."""
    seed, splits, sampled = bench.seeds[0], [], []
    for split in bench.splits:
        fits = {run: results.fit(*split, run, seed) for run in bench.runs_of_splits[split]}
        shown = [fits[run] for run in pictured(bench) if run in fits]
        splits.append([results.split(*split, seed), *shown])
        sampled += [fits[run] for run in bench.config["report"]["sampled_runs"] if run in fits]
    chosen = bench.config["report"]["umap_runs"] is not None
    return {
        "splits": splits,
        "seed": seed,
        "generate": sampled,
        "recommendations": None if chosen else results.table("recommendations"),
        "output": results.projections,
    }


def pictured(bench: Settings) -> list[str]:
    """Return the runs of which figures may show cells: the chosen ones, or all but controls."""
    chosen = bench.config["report"]["umap_runs"]
    if chosen is not None:
        return chosen
    kinds = {name: catalog.card("methods", run.method)["kind"] for name, run in bench.runs.items()}
    return [name for name, kind in kinds.items() if kind != "control"]


def embeddings(bench: Settings, results: Results) -> dict:
    """Return the fits of the first seed on each split."""
    seed = bench.seeds[0]
    return {
        "splits": [
            {
                "dataset": results.dataset(split[0]),
                "split": results.split(*split, seed),
                "runs": [results.fit(*split, run, seed) for run in bench.runs_of_splits[split]],
                "output": results.embeddings(*split),
            }
            for split in bench.splits
        ]
    }


def tabulate(bench: Settings, results: Results) -> dict:
    """Return the files of all runs, and the facts that the tables need."""
    return {
        "results": Path(results.folder),
        "output": results.tables,
        "places": [_place(*place) for place in bench.applicable],
        "fits": _fits(bench.applicable, bench.seeds),
        "searches": _fits(bench.tuned, bench.tuned_seeds),
        "datasets": list(bench.datasets),
        "not_applicable": bench.not_applicable,
        "methods": {run.name: run.method for run in bench.runs.values()},
        "kinds": {name: stanza["kind"] for name, stanza in bench.scenarios.items()},
        "reference": bench.config["report"]["reference_run"],
        "sweep": bench.config["report"]["sweep"],
        "cannot_learn": cannot_learn(bench),
        "cannot_learn_without_pairs": cannot_learn(bench, bench.datasets),
        "simulated": [
            name
            for name, dataset in bench.datasets.items()
            if "simulated" in catalog.card("datasets", dataset["loader"])
        ],
        "sizes": bench.sizes,
    }


def draw(bench: Settings, results: Results, *, figures: list[str] | None = None) -> dict:
    """Return the figures to draw, and their splits."""
    return {
        "results": Path(results.folder),
        "figures": figures or bench.figures,
        "splits": bench.splits,
        "output": results.figures,
    }


def report(bench: Settings, results: Results) -> dict:
    """Return the parts of the report."""
    return {
        "results": Path(results.folder),
        "config": bench.config,
        "splits": bench.splits,
        "output": results.report,
    }


def _place(dataset: str, scenario: str, run: str) -> dict[str, str]:
    return {"dataset": dataset, "scenario": scenario, "run": run}


def _fits(places: Iterable, seeds: list[int]) -> list[dict]:
    return [_place(*place) | {"seed": seed} for place, seed in product(places, seeds)]


def _check(
    bench: Settings,
    split: Pair,
    runs: list[str] | None = None,
    seeds: list[int] | None = None,
) -> None:
    if split not in bench.splits:
        name, there = "/".join(split), ["/".join(one) for one in bench.splits]
        raise UserError(f"--split: there is no split {name!r}{nearest(name, there)}")
    there = bench.runs_of_splits[split]
    for run in runs or ():
        if run not in there:
            place = _place(*split, run)
            why = [row["reason"] for row in bench.not_applicable if place.items() <= row.items()]
            because = f" in this split: {why[0]}" if why else nearest(run, there)
            raise UserError(f"--run: there is no run {run!r}{because}")
    if unknown := sorted({*(seeds or ())} - {*bench.seeds}):
        known = ", ".join(map(str, bench.seeds))
        raise UserError(
            f"--seed: the config has no seed {unknown[0]}, only {known}; add it to `seeds`, and run "
            "`mosaicbench run` again"
        )
