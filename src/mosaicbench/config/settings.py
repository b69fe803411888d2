"""From a user's config to settings: checked, completed, and settled before any job runs."""

from __future__ import annotations

import copy
import os
from collections import defaultdict
from dataclasses import replace
from itertools import chain
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.catalog.search_spaces import TUNED
from mosaicbench.config import external, references, registry
from mosaicbench.config.checking import Mistake, faults, read_yaml, refuse
from mosaicbench.config.recorded import SETTLED, Run, Settings, pairing, settings_of, splits_of
from mosaicbench.config.schema import ALL, Config
from mosaicbench.errors import UserError

STANZAS = ("datasets", "scenarios", "runs")  # sections with names that the user chose as keys


def read(path: Path) -> Settings:
    """Load the config of a YAML file, or ``results/config.json``."""
    return load(read_yaml(path))


def load(config: object) -> Settings:
    """Check `config` and return the settings of its benchmark.

    All mistakes are in one error: unknown keys or names (with the nearest valid one), wrong types,
    missing files.
    """
    if not isinstance(config, dict):
        refuse(faults(Config, config))
    config = {key: value for key, value in config.items() if key != SETTLED}
    mistakes = faults(Config, config)
    config, sound = _completed(config, mistakes)
    known = registry.shipped()
    try:
        if config["registry"]:
            known = registry.load(config["registry"])
    except UserError as error:
        mistakes.append(("registry", str(error)))
    refuse([*mistakes, *references.mistakes(config, sound, known)])

    runs = {name: _run(name, stanza, config) for name, stanza in sound["runs"].items()}
    for name in _tuned(config.get("tuning"), runs):
        runs[name + TUNED] = replace(runs[name], name=name + TUNED, tuned_from=name)
    raw = f"{config['pathvars'].get('resources', 'resources')}/raw"
    datasets = {}
    for name, stanza in sound["datasets"].items():
        datasets[name] = _dataset(name, stanza, known, raw)
        if (labels_from := datasets[name]["labels_from"]) is not None:
            config["datasets"][name] = stanza | {"labels_from": labels_from}
    scenarios = config["scenarios"]
    applicable, not_applicable = [], []
    for dataset, scenario in splits_of(datasets, scenarios):
        for run in runs.values():
            reason = _why_not(run, scenarios[scenario]) or external.why_not(
                run.hyperparameters, dataset, scenario
            )
            row = {"dataset": dataset, "scenario": scenario, "run": run.name}
            if reason is not None:
                not_applicable.append(row | {"method": run.method, "reason": reason})
                continue
            applicable.append(tuple(row.values()))
            external.embedding(run, dataset)  # refuses a missing file
            if run.method == catalog.EXTERNAL:  # so does this
                external.files(run, dataset, scenario, config["seeds"])
    if not applicable:
        runs_of = defaultdict(dict)
        for row in not_applicable:
            runs_of[row["scenario"], row["reason"]][row["run"]] = None
        reasons = [
            f"{', '.join(runs)} in scenario {scenario!r}: {reason}"
            for (scenario, reason), runs in runs_of.items()
        ]
        wrong = (
            f"no run applies in any scenario ({'; '.join(reasons)}); add a run that applies "
            "(docs/methods.md), or another scenario"
        )
        refuse([("runs", wrong)])
    return settings_of(config, datasets, runs.values(), applicable, not_applicable)


def _completed(config: dict, mistakes: list[Mistake]) -> tuple[dict, dict[str, dict]]:
    """Return the config with all defaults, and section -> its stanzas without mistakes, {} for null."""

    def is_sound(key: str) -> bool:
        return not any(f"{wrong}.".startswith(f"{key}.") for wrong, _ in mistakes)

    config = copy.deepcopy(config)
    chosen = {
        key: config[key]
        for key in Config.model_fields
        if key in config and key not in STANZAS and is_sound(key)
    }
    model = Config.model_validate({"datasets": {"any": None}} | chosen)
    complete = model.model_dump(exclude=set(STANZAS)) | {
        key: chosen.get(key, {}) for key in ("preprocess", "pathvars")
    }
    if "tuning" not in chosen:
        del complete["tuning"]
    for key in STANZAS:
        given = config.get(key)
        default = {} if key == "datasets" else getattr(model, key)
        complete[key] = given if isinstance(given, dict) else default
    return complete, {
        key: {name: one or {} for name, one in complete[key].items() if is_sound(f"{key}.{name}")}
        for key in STANZAS
    }


def _run(name: str, stanza: dict, config: dict) -> Run:
    method = references.method_of(name, stanza)
    if method == catalog.EXTERNAL:
        return Run(name, method, stanza)
    given = {key: value for key, value in stanza.items() if key != "method"}
    if "wraps" in catalog.card("methods", method):  # the package's authors set its budget
        return Run(name, method, given)
    known = catalog.hyperparameters(method)
    budget = {key: value for key, value in config["training"].items() if key in known}
    return Run(name, method, budget | given)


def _tuned(tuning: dict | None, runs: dict[str, Run]) -> list[str]:
    if not tuning:
        return []
    if tuning["runs"] != ALL:
        return [name for name in runs if name in tuning["runs"]]
    why_not = references.why_untuned
    return [name for name, run in runs.items() if not why_not(run.method, run.hyperparameters)]


def _dataset(name: str, stanza: dict, known: dict, raw: str) -> dict:
    source = stanza.get("from", name if "path" not in stanza else None)
    source = source if source in known else None
    entry = known.get(source, {"options": {}, "files": {}})
    given = {key: value for key, value in stanza.items() if key not in references.ABOUT}
    options, folder = entry["options"] | given, f"{raw}/{source}" if entry["files"] else None
    files = entry["files"].items()
    needed = [f"{folder}/{file}" for file, facts in files if not facts.get("optional")]
    loader = registry.loader_of(name, stanza, known)
    return {
        "loader": loader,
        "options": options,
        "inputs": needed or _own_inputs(options),
        "raw": folder,
        "entry": source,
        "labels_from": stanza.get("labels_from", entry.get("labels_from")),
        "cells": _cells(loader, options, entry),
    }


def _cells(loader: str, options: dict, entry: dict) -> int | None:
    parameter = catalog.parameters("datasets", loader).get("cells")
    drawn = parameter and parameter.default  # of simulated data
    if stated := options.get("cells") or entry.get("shape", {}).get("cells") or drawn:
        return stated
    cells = [_cells_in_header(file) for file in references.named_files(options)["path"]]
    return sum(cells) if cells and None not in cells else None


def _cells_in_header(file: str) -> int | None:
    import h5py

    try:
        with h5py.File(file) as opened:
            if "obs" not in opened:
                return len(opened["matrix/barcodes"])
            obs = opened["obs"]
            return len(obs[obs.attrs["_index"]])
    except (OSError, KeyError, TypeError):
        return None


def _own_inputs(options: dict) -> list[str]:
    inputs = []
    for file in chain(*references.named_files(options).values()):
        inputs += references.parts_of_folder(Path(file)) if os.path.isdir(file) else [file]
    return inputs


def _why_not(run: Run, stanza: dict) -> str | None:
    scenarios = catalog.card("methods", run.method)["scenarios"]
    kind, described = pairing(stanza)
    if kind != "as_measured" and kind not in scenarios:
        return f"needs {' or '.join(scenarios)} cells, this scenario is {described}"
    if not {run.name, run.tuned_from} & set(stanza.get("runs", [run.name])):
        return "left out of this scenario by the config"
    return None
