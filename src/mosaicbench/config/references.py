"""What a config says of other parts of itself, of methods, metrics and loaders: that each name is there and fits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.catalog.cards import NO_QUALITY
from mosaicbench.catalog.search_spaces import TUNED
from mosaicbench.config import external, registry
from mosaicbench.config.checking import Mistake, Options, Text, faults, options, refused_together
from mosaicbench.config.schema import (
    ALL,
    BEST_OF_SPLIT,
    FOLDER_NAME,
    LEFT_OUT,
    MEAN,
    Names,
)
from mosaicbench.errors import nearest

ABOUT = ("from", "loader", "labels_from")  # keys of a dataset that its loader does not take
ENDINGS = (".mtx", ".tsv")


class External(Options):
    """A run that was computed elsewhere: its files, and the splits that they are of."""

    latents: Text | list[Text] = LEFT_OUT
    imputed: Text | list[Text] = LEFT_OUT
    datasets: Names = LEFT_OUT
    scenarios: Names = LEFT_OUT


def unknown(key: str, noun: str, names: Iterable[str], known: Iterable[str]) -> Iterator[Mistake]:
    """Yield what is wrong with names that are not among those that are known."""
    for name in names:
        if name not in known:
            yield key, f"there is no {noun} {name!r}{nearest(name, known)}"


@cache
def _hyperparameters(method: str) -> type[Options]:
    return options(method, catalog.hyperparameters(method))


def of_hyperparameters(key: str, method: str, given: dict) -> Iterator[Mistake]:
    """Yield what is wrong with the hyperparameters of a method, one by one, or else together."""
    wrong = faults(_hyperparameters(method), given, key)
    yield from wrong
    known = catalog.hyperparameters(method).items()
    values = {name: one.default for name, one in known} | given
    for why in [] if wrong else refused_together(catalog.refusals(method), values):
        yield key, why


def of_run(name: str, stanza: dict, config: dict) -> Iterator[Mistake]:
    """Yield what is wrong with the stanza of a run."""
    key, method = f"runs.{name}", stanza.get("method", name)
    if external.is_meant(stanza):
        yield from faults(External, stanza, key)
        for section in ("datasets", "scenarios"):
            yield from unknown(
                f"{key}.{section}", section[:-1], stanza.get(section, ()), config[section]
            )
    elif not isinstance(method, str):
        yield f"{key}.method", f"should be text, found {method!r}"
    elif method not in catalog.names("methods"):
        yield from unknown(key, "method", [method], catalog.names("methods"))
    else:
        given = {name: value for name, value in stanza.items() if name != "method"}
        yield from of_hyperparameters(key, method, given)


def of_dataset(name: str, stanza: dict, known: dict) -> Iterator[Mistake]:
    """Yield what is wrong with the stanza of a dataset; `known` is the registry."""
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
    """Return the keys that a loader's datasets may have."""
    known = catalog.parameters("data", "labels_qc") | catalog.parameters("datasets", loader)
    return {key: one for key, one in known.items() if key not in ("dataset", "raw")}


def named_files(options: dict) -> dict[str, list[str]]:
    """Return key -> files that a stanza names: data, one or several per modality, and tables of labels, links and genes."""
    path = options.get("path", [])
    given = path.values() if isinstance(path, dict) else [path]
    return {
        "path": [file for one in given for file in ([one] if isinstance(one, str) else one)],
        "labels.path": [labels["path"]] if (labels := options.get("labels")) else [],
        **{key: [options[key]] for key in ("links", "gtf") if isinstance(options.get(key), str)},
    }


def parts_of_folder(folder: Path) -> list[str]:
    """Return the files of a folder that 10x wrote: a matrix, and tables of its rows and columns."""
    parts = [part for part in folder.iterdir() if part.name.removesuffix(".gz").endswith(ENDINGS)]
    return sorted(map(str, parts))


def of_files(key: str, options: dict) -> Iterator[Mistake]:
    """Yield the files of a stanza that are not there."""
    named = named_files(options)
    if "path" in options and not named["path"]:
        yield f"{key}.path", "it names no file"
    for part, files in named.items():
        for file in files:
            if (
                os.path.isdir(file) and part == "path"
            ):  # unlike Path, it takes a name that is too long
                if not parts_of_folder(Path(file)):
                    wrong = f"the folder {file} has no matrix.mtx and no .tsv files"
                    yield f"{key}.path", wrong
            elif not os.path.isfile(file):
                start = Path.cwd()
                yield (
                    f"{key}.{part}",
                    f"there is no file {file} (relative paths start at {start})",
                )


def of_report(report: dict, config: dict, methods: dict[str, str]) -> Iterator[Mistake]:
    """Yield what is wrong with the runs and the sweep that a report asks for; `methods` are those of runs without mistakes."""
    for key in ("umap_runs", "sampled_runs", "reference_run"):
        asked = [report[key]] if isinstance(report[key], str) else report[key] or []
        yield from unknown(f"report.{key}", "run", asked, config["runs"])
    for name in report["sampled_runs"]:
        card = (
            catalog.card("methods", methods[name])
            if name in methods
            else {"tested_for": "generates"}
        )
        if "generates" not in card.get("tested_for", ()):
            why = "has no prior for"
            why = "wraps a package, which is not asked for" if "wraps" in card else why
            why = "was computed elsewhere, so nothing can draw" if "external" in card else why
            yield "report.sampled_runs", f"{name!r} {why} virtual cells; take a run of a VAE"
    if report["sweep"] is not None:
        yield from of_sweep(report["sweep"], config)


def of_sweep(sweep: dict, config: dict) -> Iterator[Mistake]:
    """Yield metrics that are not scored, and series that are not of datasets, scenarios or runs alone."""
    key, cards = "report.sweep", catalog.cards("metrics")
    yield from unknown(f"{key}.metrics", "metric", sweep["metrics"], cards)
    for metric in sweep["metrics"].keys() & cards.keys():
        if (group := cards[metric]["group"]) not in config["metrics"]["groups"]:
            wrong = f"{metric!r} is in group {group!r}, which metrics.groups leaves out"
            yield f"{key}.metrics", wrong
    sections = [config[section] for section in ("datasets", "scenarios", "runs")]
    for name, values in sweep["series"].items():
        known = next((one for one in sections if set(values) & set(one)), sections[0])
        place = f"{key}.series.{name}"
        yield from unknown(place, "dataset, scenario or run as the others are,", values, known)
        for value in values.values():
            if sweep["log"] and value <= 0:
                yield place, f"{value} has no place on a logarithmic axis"


def of_kept(keep: list[str], config: dict, methods: dict[str, str]) -> Iterator[Mistake]:
    """Yield runs that have no model to keep."""
    names = [name for name in keep if name != BEST_OF_SPLIT]
    yield from unknown("save_models", "run", names, config["runs"])
    for name in names:
        method = methods.get(name)
        if method == catalog.EXTERNAL:
            yield "save_models", f"{name!r} was computed elsewhere, so it has no model"
        elif method and catalog.card("methods", method)["kind"] == "control":
            yield "save_models", f"{name!r} is a control, which has no model for other cells"


def of_tuning(tuning: dict, config: dict, methods: dict[str, str]) -> Iterator[Mistake]:
    """Yield runs and an objective that cannot be tuned."""
    objective, cards = tuning["objective"], catalog.cards("metrics")
    yield from unknown("tuning.objective", "metric", [objective], [MEAN, *cards])
    if objective in cards and (
        cards[objective]["better"] == "nearer" or cards[objective]["group"] in NO_QUALITY
    ):
        wrong = f"a larger or smaller {objective!r} is no better result; take another metric"
        yield "tuning.objective", wrong
    why_not = {
        name: why_untuned(method, config["runs"][name] or {}) for name, method in methods.items()
    }
    asked = tuning["runs"]
    if asked == ALL:
        asked = [name for name, why in why_not.items() if not why]
        if not asked:
            yield "tuning.runs", "no run of this config has anything to search"
    yield from unknown("tuning.runs", "run", asked, config["runs"])
    for name in asked:
        if why := why_not.get(name):
            yield "tuning.runs", f"{name!r} cannot be tuned: {why}"
        if name + TUNED in config["runs"]:
            wrong = "the key `tuning` makes a run of this name; call this one otherwise"
            yield f"runs.{name + TUNED}", wrong
        if not FOLDER_NAME.fullmatch(name + TUNED):
            yield "tuning.runs", f"{name!r} is too long a name to add {TUNED!r} to; shorten it"


def why_untuned(method: str, stanza: dict) -> str:
    """Return why a run cannot be tuned, "" where it can."""
    card = catalog.card("methods", method)
    if card["kind"] == "control":
        return "a control has nothing to search"
    if method == catalog.EXTERNAL:
        return "it was computed elsewhere"
    if "space" not in card:
        return f"the card of method {method!r} has no `space`"
    return "" if spaces.free(card["space"], stanza) else "its stanza states all that is searched"


def mistakes(config: dict, sound: dict[str, dict], known: dict) -> Iterator[Mistake]:
    """Yield what is wrong with a config beyond the types and ranges of its keys.

    Parameters
    ----------
    config
        With every default filled in.
    sound
        "datasets", "scenarios" and "runs" -> those stanzas of the config that are right as far as types tell.
    known
        The registry.
    """
    for name, stanza in sound["runs"].items():
        yield from of_run(name, stanza or {}, config)
    for name, stanza in sound["datasets"].items():
        yield from of_dataset(name, stanza or {}, known)
    for name, stanza in sound["scenarios"].items():
        for key in ("datasets", "runs"):
            yield from unknown(
                f"scenarios.{name}.{key}", key[:-1], stanza.get(key, ()), config[key]
            )
    unused = config["datasets"] if sound["scenarios"] == config["scenarios"] else ()
    for name in unused:
        if not any(name in one.get("datasets", [name]) for one in sound["scenarios"].values()):
            wrong = "each scenario names others in its key datasets; add it to one, or leave it out"
            yield f"datasets.{name}", wrong
    methods = {name: method_of(name, stanza or {}) for name, stanza in sound["runs"].items()}
    there = (*catalog.names("methods"), catalog.EXTERNAL)
    methods = {name: method for name, method in methods.items() if method in there}
    yield from of_report(config["report"], config, methods)
    yield from of_kept(config["save_models"], config, methods)
    if config.get("tuning"):
        yield from of_tuning(config["tuning"], config, methods)


def method_of(name: str, stanza: dict) -> str:
    """Return the method of a run; of one that was computed elsewhere, what has its place."""
    return catalog.EXTERNAL if external.is_meant(stanza) else stanza.get("method", name)
