"""From the config a person wrote to the jobs of the benchmark: checked, completed, and settled before anything runs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mosaicbench import (
    applies,
    catalog,
    config_checks,
    elsewhere,
    layout,
    registry,
    report_choices,
    together,
    tuning_choices,
)
from mosaicbench.errors import UserError, nearest

SCHEMA = layout.project_file("workflow/schemas/config.schema.yaml")


@dataclass(frozen=True)
class Run:
    """A labelled configuration of a method; `tuned_from` is the run whose other hyperparameters it searches, or ""."""

    name: str
    method: str
    hyperparameters: dict
    tuned_from: str = ""


@dataclass(frozen=True)
class Settings:
    """A checked config.

    Attributes
    ----------
    config
        The config with every default filled in.
    datasets
        id -> loader, options of the loader, the files that it reads, the folder of those that are fetched (or None), and the id
        of the registry's entry that it is or is made from (or None), and the modalities that its labels come from (or None).
    scenarios
        id -> kind and its options.
    runs
        id -> method and hyperparameters, the training budget included where the method knows it; of what was computed
        elsewhere, the stanza.
    applicable
        (dataset, scenario, run) of every run that exists.
    not_applicable
        dicts of dataset, scenario, run, method and reason for all others.
    """

    config: dict
    datasets: dict[str, dict]
    scenarios: dict[str, dict]
    runs: dict[str, Run]
    seeds: list[int]
    limits: dict
    preprocess: dict
    groups: list[str]
    projected: list[str]
    applicable: list[tuple[str, str, str]]
    not_applicable: list[dict]

    @property
    def results(self) -> str:
        """The folder of the results."""
        return self.config["pathvars"].get("results", "results")

    @property
    def figures(self) -> list[str]:
        """The figures of this config: some need a key of `report`, or a group of metrics, which their card names."""
        found, asked = [], self.config["report"] | {"tuning": self.tuning}
        for figure, card in catalog.cards("figures").items():
            key, group = card.get("only_with"), card.get("only_with_group")
            if (key is None or asked[key]) and (group is None or group in self.groups):
                found.append(figure)
        return found

    @property
    def views(self) -> list[tuple[str, str]]:
        """Every dataset with every scenario that is not for other datasets."""
        return _views(self.datasets, self.scenarios)

    @property
    def tuning(self) -> dict:
        """What the config says of tuning, {} where nothing is tuned."""
        return self.config.get("tuning") or {}

    @cached_property
    def tuned(self) -> list[tuple[str, str, str]]:
        """(dataset, scenario, run) of every tuned run that exists."""
        return [place for place in self.applicable if self.runs[place[2]].tuned_from]

    @property
    def tuned_seeds(self) -> list[int]:
        """The seeds on whose train cells settings are searched for."""
        return self.seeds if self.tuning.get("per_seed") else self.seeds[:1]

    @cached_property
    def common_controls(self) -> list[str]:
        """The controls that exist in every view: the jobs of one view fit and score them together."""
        controls = [
            name
            for name, run in self.runs.items()
            if catalog.card("methods", run.method)["kind"] == "control"
        ]
        return [
            name
            for name in controls
            if all((*view, name) in self.applicable for view in self.views)
        ]

    @cached_property
    def fitted_together(self) -> dict[str, list[str]]:
        """The runs that one job per view fits, by the name of that job's files: controls, all others where the config asks."""
        few = self.config["few_jobs"]
        baselines, models = (
            together.of_kind(kind, self.runs) if few else [] for kind in ("baseline", "model")
        )
        return together.fitted(self.common_controls, baselines, models, self.applicable)

    @cached_property
    def scored_together(self) -> dict[str, together.Scored]:
        """The runs that one job per view scores, by the name of that job's files."""
        if self.config["few_jobs"]:
            return together.scored_by_scenario(self.applicable)
        return together.scored(self.common_controls, self.applicable)

    @cached_property
    def laid_out_together(self) -> list[list[tuple[str, str]]]:
        """The views, (dataset, scenario), whose cells one job lays out."""
        return together.laid_out(self.views)

    @cached_property
    def drawn_together(self) -> list[list[str]]:
        """The figures that one job draws."""
        return together.drawn(self.figures)

    @cached_property
    def kept(self) -> list[str]:
        """The runs whose models are kept, with every seed."""
        named = [name for name in self.config["keep"] if name != report_choices.BEST_OF_VIEW]
        return list(dict.fromkeys([*named, *self.config["report"]["generated_runs"]]))

    @cached_property
    def candidates(self) -> list[str]:
        """The runs that keep the model of the first seed, since one of them may be the best of a view."""
        if report_choices.BEST_OF_VIEW not in self.config["keep"]:
            return []
        cards = {name: catalog.card("methods", run.method) for name, run in self.runs.items()}
        return [
            name
            for name, card in cards.items()
            if card["kind"] != "control" and not {"wraps", "elsewhere"} & card.keys()
        ]

    @property
    def sizes(self) -> list[dict[str, int]]:
        """Groups of at least three datasets whose stanzas differ in nothing but the number of `cells`: dataset -> cells."""
        groups: dict[str, dict[str, int]] = {}
        for name, dataset in self.datasets.items():
            others = {key: value for key, value in dataset["options"].items() if key != "cells"}
            if "cells" in dataset["options"]:
                key = json.dumps([dataset["loader"], others], sort_keys=True, default=str)
                groups.setdefault(key, {})[name] = dataset["options"]["cells"]
        return [group for group in groups.values() if len(set(group.values())) > 2]


def read(path: Path) -> Settings:
    """Load the config that a ``.yaml`` file holds, or ``results/config.json``."""
    if path.suffix != ".json":
        return load(config_checks.read_yaml(path))
    try:
        return load(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(
            f"{path}: not readable as JSON ({error}); the workflow writes it anew where it is deleted"
        ) from error


def load(config: dict) -> Settings:
    """Check `config` and return what the benchmark is made of.

    Raises
    ------
    UserError
        At the first mistake: an unknown key or name (with the nearest valid one), a wrong type, a missing file, a wrong card.
    """
    config = config_checks.checked(config, config_checks.read_schema(SCHEMA))
    catalog.check()
    for method in catalog.names("methods"):
        known = catalog.hyperparameters(method)
        config_checks.check_declared(f"method {method}", known, defaults=True)
        config_checks.check_space(
            f"method {method}", catalog.card("methods", method).get("space", {}), known
        )
    for loader in catalog.names("datasets"):
        config_checks.check_declared(
            f"dataset {loader}", catalog.parameters("datasets", loader), defaults=False
        )
    known = _registry(config["registry"])
    raw = f"{config['pathvars'].get('resources', 'resources')}/raw"
    for name, stanza in config["runs"].items():
        if elsewhere.is_meant(stanza or {}):
            elsewhere.check(name, stanza, config)
    runs = {
        name: _run(name, stanza or {}, config["training"])
        for name, stanza in config["runs"].items()
    }
    for name, base in tuning_choices.tuned(config.get("tuning"), runs).items():
        runs[name] = replace(runs[base], name=name, tuned_from=base)
    datasets = {
        name: _dataset(name, stanza or {}, known, raw)
        for name, stanza in config["datasets"].items()
    }
    for name, dataset in datasets.items():
        if dataset["labels_from"] is not None:
            config["datasets"][name] = (config["datasets"][name] or {}) | {
                "labels_from": dataset["labels_from"]
            }
    scenarios = config["scenarios"]
    for scenario, stanza in scenarios.items():
        config_checks.check_scenario(scenario, stanza, datasets, runs)
    if unused := sorted(set(datasets) - {dataset for dataset, _ in _views(datasets, scenarios)}):
        raise UserError(
            f"config key datasets.{unused[0]}: each scenario names others in its key datasets; add it to one, or leave it out"
        )
    applicable, not_applicable = [], []
    for dataset, scenario in _views(datasets, scenarios):
        for run in runs.values():
            reason = applies.why_not(run, scenarios[scenario]) or elsewhere.why_not(
                run.hyperparameters, dataset, scenario
            )
            if reason is None:
                applicable.append((dataset, scenario, run.name))
            else:
                row = {
                    "dataset": dataset,
                    "scenario": scenario,
                    "run": run.name,
                    "method": run.method,
                    "reason": reason,
                }
                not_applicable.append(row)
    for dataset, scenario, run in applicable:
        if runs[run].method == catalog.ELSEWHERE:
            elsewhere.files(
                run, runs[run].hyperparameters, dataset, scenario, config["seeds"]
            )  # refuses one that is not there
    models = [
        n
        for n, run in runs.items()
        if not run.tuned_from and catalog.card("methods", run.method)["kind"] == "model"
    ]
    projected = config["report"].setdefault("projected_runs", models[:4])
    report_choices.check(config, datasets, scenarios, runs)
    return Settings(
        config=config,
        datasets=datasets,
        scenarios=scenarios,
        runs=runs,
        seeds=config["seeds"],
        limits=config["limits"],
        preprocess=config["preprocess"],
        groups=config["metrics"]["groups"],
        projected=projected,
        applicable=applicable,
        not_applicable=not_applicable,
    )


def _registry(file: str | None) -> dict[str, dict]:
    """Return the project's registry, or the config's own in its place."""
    if file is None:
        return registry.load()
    try:
        return registry.load(file)
    except UserError as error:
        raise UserError(f"config key registry: {error}") from error


def _run(name: str, stanza: dict, training: dict) -> Run:
    config_checks.check_name("runs", name)
    if elsewhere.is_meant(stanza):
        return Run(name, catalog.ELSEWHERE, stanza)
    method = stanza.get("method", name)
    config_checks.check_type(f"runs.{name}.method", method, "str")
    if method not in catalog.names("methods"):
        hint = nearest(method, catalog.names("methods"))
        raise UserError(f"config key runs.{name}: there is no method {method!r}{hint}")
    known = catalog.hyperparameters(method)
    given = {key: value for key, value in stanza.items() if key != "method"}
    config_checks.check_hyperparameters(
        f"runs.{name}", method, given, known, catalog.refusals(method)
    )
    wrapped = "wraps" in catalog.card(
        "methods", method
    )  # its documentation says how long to train it
    budget = {} if wrapped else {key: value for key, value in training.items() if key in known}
    return Run(name, method, budget | given)


def _dataset(name: str, stanza: dict, known: dict, raw: str) -> dict:
    """Return the loader, its options, and the files it reads; a stanza completes or overrides the registry's entry."""
    config_checks.check_name("datasets", name)
    if not {"path", "loader", "from"} & set(stanza) and name not in known:
        hint = nearest(name, known)
        raise UserError(
            f"config key datasets.{name}: not in config/datasets.yaml and without a `path` to your own data{hint}"
        )
    for key in {"from", "loader"} & stanza.keys():
        config_checks.check_type(f"datasets.{name}.{key}", stanza[key], "str")
    source = _entry(name, stanza, known)
    entry = {"loader": None, "options": {}, "files": {}} if source is None else known[source]
    loader = registry.loader_of(name, stanza, known)
    if loader is None:
        raise UserError(
            f"config key datasets.{name}: `mosaicbench fetch {source}` brings its files, but no loader reads them yet"
        )
    if loader not in catalog.names("datasets"):
        raise UserError(
            f"config key datasets.{name}.loader: there is no {loader!r}{nearest(loader, catalog.names('datasets'))}"
        )
    options = entry["options"] | {
        key: value for key, value in stanza.items() if key not in ("loader", "from", "labels_from")
    }
    parameters = catalog.parameters("data", "labels_qc") | catalog.parameters("datasets", loader)
    parameters = {key: p for key, p in parameters.items() if key not in ("dataset", "raw")}
    for key, value in options.items():
        if key not in parameters:
            raise UserError(
                f"config key datasets.{name}: unknown key {key!r}{nearest(key, parameters)}"
            )
        config_checks.check_type(f"datasets.{name}.{key}", value, parameters[key].annotation)
    labels_from = stanza.get("labels_from", entry.get("labels_from"))
    folder = f"{raw}/{source}" if entry["files"] else None
    needed = [
        f"{folder}/{file}"
        for file, facts in entry["files"].items()
        if not facts.get("optional", False)
    ]
    inputs = needed or _own_inputs(name, options)
    return {
        "loader": loader,
        "options": options,
        "inputs": inputs,
        "raw": folder,
        "entry": source,
        "labels_from": labels_from,
    }


def _entry(name: str, stanza: dict, known: dict) -> str | None:
    """Return the id of the registry's entry that a stanza completes, None for data of one's own."""
    if "from" not in stanza:
        return name if name in known and "path" not in stanza else None
    if "path" in stanza:
        raise UserError(
            f"config key datasets.{name}: give either `from`, an entry of the registry, or a `path` to your own data"
        )
    if stanza["from"] not in known:
        hint = nearest(str(stanza["from"]), known)
        raise UserError(
            f"config key datasets.{name}.from: there is no {stanza['from']!r} in config/datasets.yaml{hint}"
        )
    return stanza["from"]


def _own_inputs(name: str, options: dict) -> list[str]:
    """Return the files that a stanza names: data, one or one per modality, and tables of labels, links and genes."""
    path = options.get("path", [])
    of_modalities = path.values() if isinstance(path, dict) else [path] if path else []
    named = {
        "path": [
            file
            for given in of_modalities
            for file in (given if isinstance(given, list) else [given])
        ]
    }
    named["labels.path"] = (
        [options["labels"]["path"]] if "path" in (options.get("labels") or {}) else []
    )
    named |= {
        key: [options[key]] if isinstance(options.get(key), str) else [] for key in ("links", "gtf")
    }
    inputs = []
    if "path" in options and not named["path"]:
        raise UserError(f"config key datasets.{name}.path: it names no file")
    for key, files in named.items():
        for file in map(Path, files):
            if (
                os.path.isdir(file) and key == "path"
            ):  # which, unlike Path, takes a name that is too long
                parts = [
                    part
                    for part in file.iterdir()
                    if part.name.removesuffix(".gz").endswith((".mtx", ".tsv"))
                ]
                if not parts:
                    raise UserError(
                        f"config key datasets.{name}.path: the folder {file} has no matrix.mtx and no .tsv files"
                    )
                inputs += sorted(map(str, parts))
            elif os.path.isfile(file):
                inputs.append(str(file))
            else:
                raise UserError(
                    f"config key datasets.{name}.{key}: there is no file {file} (relative paths start at {Path.cwd()})"
                )
    return inputs


def _views(datasets: dict, scenarios: dict) -> list[tuple[str, str]]:
    return [
        (d, s)
        for d in datasets
        for s, stanza in scenarios.items()
        if d in stanza.get("datasets", datasets)
    ]
