"""Mistakes in the names of a config: datasets, scenarios, runs, methods, metrics, files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.catalog.cards import NO_QUALITY
from mosaicbench.catalog.search_spaces import TUNED
from mosaicbench.config import external, registry
from mosaicbench.config.checking import Mistake, Options, Text, faults, options, refused_together
from mosaicbench.config.recorded import BEST_OF_SPLIT, fits_model
from mosaicbench.config.schema import ALL, LEFT_OUT, MEAN, Names
from mosaicbench.errors import nearest

ABOUT = ("from", "loader", "labels_from")  # keys of a dataset that its loader does not take
ENDINGS = (".mtx", ".tsv", ".zgroup", "zarr.json")  # of a 10x folder, of a Zarr store


class External(Options):
    """An external run: its files and its splits."""

    latents: Text | list[Text] = LEFT_OUT
    imputed: Text | list[Text] = LEFT_OUT
    datasets: Names = LEFT_OUT
    scenarios: Names = LEFT_OUT


def unknown(key: str, noun: str, names: Iterable[str], known: Iterable[str]) -> Iterator[Mistake]:
    """Yield a mistake for each name that is not among the known ones."""
    for name in names:
        if name not in known:
            yield key, f"there is no {noun} {name!r}{nearest(name, known)}"


def of_hyperparameters(key: str, method: str, given: dict) -> Iterator[Mistake]:
    """Yield mistakes in single hyperparameters of a method, or else in their combination."""
    known = catalog.hyperparameters(method)
    wrong = faults(options(method, known), given, key)
    yield from wrong
    if not wrong:
        defaults = {name: one.default for name, one in known.items()}
        for why in refused_together(catalog.refusals(method), defaults | given):
            yield key, why


def of_run(name: str, stanza: dict, config: dict) -> Iterator[Mistake]:
    """Yield mistakes in the stanza of a run."""
    key, method = f"runs.{name}", stanza.get("method", name)
    if external.is_meant(stanza):
        wrong = faults(External, stanza, key)
        yield from wrong
        for section in () if wrong else ("datasets", "scenarios"):
            names = stanza.get(section, ())
            yield from unknown(f"{key}.{section}", section[:-1], names, config[section])
    elif not isinstance(method, str):
        yield f"{key}.method", f"should be text, found {method!r}"
    elif method not in catalog.names("methods"):
        yield from unknown(key, "method", [method], catalog.names("methods"))
    else:
        given = {name: value for name, value in stanza.items() if name != "method"}
        yield from of_hyperparameters(key, method, given)


def of_dataset(name: str, stanza: dict, known: dict) -> Iterator[Mistake]:
    """Yield mistakes in the stanza of a dataset; `known` is the registry."""
    key, source = f"datasets.{name}", stanza.get("from", name)
    loader = registry.loader_of(name, stanza, known)
    if {"from", "path"} <= stanza.keys():
        yield key, "give either `from`, an entry of the registry, or a `path` to your own data"
    elif "from" in stanza and source not in known:
        yield from unknown(f"{key}.from", "entry", [source], known)
    elif not {"path", "loader"} & stanza.keys() and source not in known:
        hint = nearest(name, known)
        yield key, f"not in config/datasets.yaml and without a `path` to your own data{hint}"
    elif loader is None:
        yield key, f"`mosaicbench fetch {source}` brings its files, but no loader reads them yet"
    elif loader not in catalog.names("datasets"):
        yield from unknown(f"{key}.loader", "loader", [loader], catalog.names("datasets"))
    else:
        given = {key: value for key, value in stanza.items() if key not in ABOUT}
        wrong = faults(options(loader, parameters_of(loader)), given, key)
        yield from wrong or of_files(key, given)


def parameters_of(loader: str) -> dict[str, catalog.Hyperparameter]:
    """Return the keys that datasets of a loader may have."""
    parameters = catalog.parameters("data", "labels_qc") | catalog.parameters("datasets", loader)
    return {key: one for key, one in parameters.items() if key not in ("dataset", "raw")}


def named_files(options: dict) -> dict[str, list[str]]:
    """Return key -> the files that a dataset's stanza names there."""
    path = options.get("path", [])
    data: list[str] = []
    for files in path.values() if isinstance(path, dict) else [path]:
        data += [files] if isinstance(files, str) else files
    tables = {key: [options[key]] for key in ("links", "gtf") if isinstance(options.get(key), str)}
    labels = options.get("labels")
    return {"path": data, "labels.path": [labels["path"]] if labels else [], **tables}


def parts_of_folder(folder: Path) -> list[str]:
    """Return the files of a 10x folder, or the description of a Zarr store."""
    parts = [part for part in folder.iterdir() if part.name.removesuffix(".gz").endswith(ENDINGS)]
    return sorted(map(str, parts))


def of_files(key: str, options: dict) -> Iterator[Mistake]:
    """Yield the missing files of a dataset's stanza."""
    named = named_files(options)
    if "path" in options and not named["path"]:
        yield f"{key}.path", "it names no file"
    for part, files in named.items():
        for file in files:
            if part == "path" and os.path.isdir(file):
                if not parts_of_folder(Path(file)):
                    wrong = (
                        f"the folder {file} has no matrix.mtx and no .tsv files, and is no .zarr"
                    )
                    yield f"{key}.path", wrong
            elif not os.path.isfile(file):
                yield f"{key}.{part}", f"no file {file} (relative paths start at {Path.cwd()})"
            if "}" in file.partition("{")[2]:
                wrong = (
                    f"Snakemake takes {{ and }} in {file} for a wildcard; rename the file or folder"
                )
                yield f"{key}.{part}", wrong


def of_report(report: dict, config: dict, methods: dict[str, str]) -> Iterator[Mistake]:
    """Yield mistakes in the runs and the sweep of a report; `methods` are those of correct runs."""
    for key in ("umap_runs", "sampled_runs"):
        yield from unknown(f"report.{key}", "run", report[key] or (), config["runs"])
    if (reference := report["reference_run"]) is not None:
        yield from unknown("report.reference_run", "run", [reference], config["runs"])
    for name in filter(methods.__contains__, report["sampled_runs"]):
        if "generates" not in catalog.card("methods", methods[name]).get("tested_for", ()):
            wrong = f"{name!r} cannot draw virtual cells; take a run of a VAE of this project"
            yield "report.sampled_runs", wrong
    if report["sweep"] is not None:
        yield from of_sweep(report["sweep"], config)


def of_sweep(sweep: dict, config: dict) -> Iterator[Mistake]:
    """Yield metrics that are not scored, and series of unknown datasets, scenarios or runs."""
    key, cards = "report.sweep", catalog.cards("metrics")
    yield from unknown(f"{key}.metrics", "metric", sweep["metrics"], cards)
    for metric in filter(cards.__contains__, sweep["metrics"]):
        group = cards[metric]["group"]
        if group not in config["metrics"]["groups"]:
            wrong = f"{metric!r} is in group {group!r}, which metrics.groups leaves out"
            yield f"{key}.metrics", wrong
    sections = [config[section] for section in ("datasets", "scenarios", "runs")]
    for name, values in sweep["series"].items():
        place = f"{key}.series.{name}"
        known = next((one for one in sections if values.keys() & one.keys()), sections[0])
        yield from unknown(place, "dataset, scenario or run as the others are,", values, known)
        if sweep["log"] and min(values.values()) <= 0:
            yield place, f"a logarithmic axis has no place for {min(values.values())}"


def of_saved(names: list[str], config: dict, methods: dict[str, str]) -> Iterator[Mistake]:
    """Yield runs that have no model to save."""
    runs = [name for name in names if name != BEST_OF_SPLIT]
    yield from unknown("save_models", "run", runs, config["runs"])
    for name in filter(methods.__contains__, runs):
        if not fits_model(methods[name]):
            yield "save_models", f"{name!r} is a control, probe or external run, without a model"


def of_tuning(tuning: dict, config: dict, methods: dict[str, str]) -> Iterator[Mistake]:
    """Yield runs and an objective that cannot be tuned."""
    objective, cards = tuning["objective"], catalog.cards("metrics")
    yield from unknown("tuning.objective", "metric", [objective], [MEAN, *cards])
    card = cards.get(objective, {})
    if card.get("better") == "nearer" or card.get("group") in NO_QUALITY:
        wrong = f"a larger or smaller {objective!r} is no better result; take another metric"
        yield "tuning.objective", wrong
    why_not = {run: why_untuned(m, config["runs"][run] or {}) for run, m in methods.items()}
    names = tuning["runs"]
    if names == ALL:
        names = [name for name, why in why_not.items() if not why]
        if not names:
            yield "tuning.runs", "no run of this config has anything to search"
    yield from unknown("tuning.runs", "run", names, config["runs"])
    for name in names:
        if why := why_not.get(name):
            yield "tuning.runs", f"{name!r} cannot be tuned: {why}"
        if name + TUNED in config["runs"]:
            yield f"runs.{name + TUNED}", "tuning makes a run of this name; rename this one"


def why_untuned(method: str, stanza: dict) -> str:
    """Return why a run cannot be tuned, "" if it can."""
    space = catalog.card("methods", method).get("space")
    if not space:
        return f"method {method!r} has no hyperparameters to search, no `space` in its card"
    return "" if spaces.free(space, stanza) else "its stanza states all that is searched"


def mistakes(config: dict, sound: dict[str, dict], known: dict) -> Iterator[Mistake]:
    """Yield the mistakes of a config with all defaults, beyond the types and ranges of its keys.

    `sound` are "datasets", "scenarios" and "runs" -> the stanzas with right types and ranges; `known` is
    the registry.
    """
    there, methods = (*catalog.names("methods"), catalog.EXTERNAL), {}
    for name, stanza in sound["runs"].items():
        yield from of_run(name, stanza, config)
        if (method := method_of(name, stanza)) in there:
            methods[name] = method
    for name, stanza in sound["datasets"].items():
        yield from of_dataset(name, stanza, known)
    scenarios = sound["scenarios"]
    for name, stanza in scenarios.items():
        for key in ("datasets", "runs"):
            names = stanza.get(key, ())
            yield from unknown(f"scenarios.{name}.{key}", key[:-1], names, config[key])
    for name in config["datasets"] if scenarios == config["scenarios"] else ():
        if not any(name in one.get("datasets", [name]) for one in scenarios.values()):
            wrong = "each scenario names other datasets; add it to one, or leave it out"
            yield f"datasets.{name}", wrong
    yield from of_report(config["report"], config, methods)
    yield from of_saved(config["save_models"], config, methods)
    if config.get("tuning"):
        yield from of_tuning(config["tuning"], config, methods)


def method_of(name: str, stanza: dict) -> str:
    """Return the method of a run, ``catalog.EXTERNAL`` for an external run."""
    return catalog.EXTERNAL if external.is_meant(stanza) else stanza.get("method", name)
