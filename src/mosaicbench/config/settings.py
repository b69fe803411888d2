"""From the config a person wrote to the jobs of the benchmark: checked, completed, and settled before anything runs."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.catalog.search_spaces import TUNED
from mosaicbench.config import external as elsewhere
from mosaicbench.config import references, registry
from mosaicbench.config.checking import Mistake, faults, read_yaml, refuse
from mosaicbench.config.schema import ALL, BEST_OF_SPLIT, Config
from mosaicbench.errors import UserError
from mosaicbench.workflow import together

STANZAS = ("datasets", "scenarios", "runs")  # sections whose keys are names that a person chose


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
    def splits(self) -> list[tuple[str, str]]:
        """Every dataset with every scenario that is not for other datasets."""
        return _splits(self.datasets, self.scenarios)

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
        """The controls that exist in every split: the jobs of one split fit and score them together."""
        controls = [
            name
            for name, run in self.runs.items()
            if catalog.card("methods", run.method)["kind"] == "control"
        ]
        return [
            name
            for name in controls
            if all((*split, name) in self.applicable for split in self.splits)
        ]

    @cached_property
    def fitted_together(self) -> dict[str, list[str]]:
        """The runs that one job per split fits, by the name of that job's files: controls, all others where the config asks."""
        few = self.config["few_jobs"]
        baselines, models = (
            together.of_kind(kind, self.runs) if few else [] for kind in ("baseline", "model")
        )
        return together.fitted(self.common_controls, baselines, models, self.applicable)

    @cached_property
    def scored_together(self) -> dict[str, together.Scored]:
        """The runs that one job per split scores, by the name of that job's files."""
        if self.config["few_jobs"]:
            return together.scored_by_scenario(self.applicable)
        return together.scored(self.common_controls, self.applicable)

    @cached_property
    def laid_out_together(self) -> list[list[tuple[str, str]]]:
        """The splits, (dataset, scenario), whose cells one job lays out."""
        return together.laid_out(self.splits)

    @cached_property
    def drawn_together(self) -> list[list[str]]:
        """The figures that one job draws."""
        return together.drawn(self.figures)

    @cached_property
    def kept(self) -> list[str]:
        """The runs whose models are kept, with every seed."""
        named = [name for name in self.config["save_models"] if name != BEST_OF_SPLIT]
        return list(dict.fromkeys([*named, *self.config["report"]["sampled_runs"]]))

    @cached_property
    def candidates(self) -> list[str]:
        """The runs one of which may be the best of a split: they keep the model of the first seed until that is known."""
        if BEST_OF_SPLIT not in self.config["save_models"]:
            return []
        cards = {name: catalog.card("methods", run.method) for name, run in self.runs.items()}
        return [
            name
            for name, card in cards.items()
            if card["kind"] != "control" and not {"wraps", "external"} & card.keys()
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
        return load(read_yaml(path))
    try:
        return load(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path}: not readable as JSON ({error}); the workflow writes it anew where it is deleted"
        ) from error


def load(config: object) -> Settings:
    """Check `config` and return what the benchmark is made of.

    Raises
    ------
    UserError
        With all mistakes in one message: unknown keys or names (with the nearest valid one), wrong types, missing files.
    """
    mistakes = faults(Config, config)
    if not isinstance(config, dict):
        refuse(mistakes)
    config, sound = _completed(config, mistakes)
    known = registry.load()
    try:
        known = registry.load(config["registry"]) if config["registry"] else known
    except UserError as error:
        mistakes.append(("registry", str(error)))
    refuse([*mistakes, *references.mistakes(config, sound, known)])

    runs = {name: _run(name, stanza or {}, config) for name, stanza in config["runs"].items()}
    for name in _tuned(config.get("tuning"), runs):
        runs[name + TUNED] = replace(runs[name], name=name + TUNED, tuned_from=name)
    raw = f"{config['pathvars'].get('resources', 'resources')}/raw"
    datasets = {
        name: _dataset(name, stanza or {}, known, raw)
        for name, stanza in config["datasets"].items()
    }
    for name, dataset in datasets.items():
        if dataset["labels_from"] is not None:
            said = {"labels_from": dataset["labels_from"]}
            config["datasets"][name] = (config["datasets"][name] or {}) | said
    scenarios = config["scenarios"]
    applicable, not_applicable = [], []
    for dataset, scenario in _splits(datasets, scenarios):
        for run in runs.values():
            reason = _why_not(run, scenarios[scenario]) or elsewhere.why_not(
                run.hyperparameters, dataset, scenario
            )
            row = {"dataset": dataset, "scenario": scenario, "run": run.name}
            if reason is None:
                applicable.append(tuple(row.values()))
            else:
                not_applicable.append(row | {"method": run.method, "reason": reason})
    for dataset, scenario, run in applicable:
        if runs[run].method == catalog.EXTERNAL:  # refuses a file that is not there
            elsewhere.files(run, runs[run].hyperparameters, dataset, scenario, config["seeds"])
    if config["report"]["umap_runs"] is None:
        cards = {name: catalog.card("methods", run.method) for name, run in runs.items()}
        config["report"]["umap_runs"] = [
            name
            for name, run in runs.items()
            if not run.tuned_from and cards[name]["kind"] == "model"
        ][:4]
    return Settings(
        config=config,
        datasets=datasets,
        scenarios=scenarios,
        runs=runs,
        seeds=config["seeds"],
        limits=config["limits"],
        preprocess=config["preprocess"],
        groups=config["metrics"]["groups"],
        projected=config["report"]["umap_runs"],
        applicable=applicable,
        not_applicable=not_applicable,
    )


def _completed(config: dict, mistakes: list[Mistake]) -> tuple[dict, dict[str, dict]]:
    """Return a config with its defaults, those also for what is wrong, and the stanzas that are right as far as types tell."""

    def is_sound(key: str) -> bool:
        return not any(f"{wrong}.".startswith(f"{key}.") for wrong, _ in mistakes)

    config = copy.deepcopy(config)
    chosen = {key: value for key, value in config.items() if key not in STANZAS and is_sound(key)}
    chosen = {key: value for key, value in chosen.items() if key in Config.model_fields}
    model = Config.model_validate({"datasets": {"any": None}} | chosen)
    complete = model.model_dump(exclude=set(STANZAS)) | {
        key: chosen.get(key, {}) for key in ("preprocess", "pathvars")
    }
    if "tuning" not in chosen:
        del complete["tuning"]
    for key in STANZAS:
        given = config.get(key)
        complete[key] = given if isinstance(given, dict) else getattr(model, key)
    return complete, {
        key: {name: stanza for name, stanza in complete[key].items() if is_sound(f"{key}.{name}")}
        for key in STANZAS
    }


def _run(name: str, stanza: dict, config: dict) -> Run:
    method = references.method_of(name, stanza)
    if method == catalog.EXTERNAL:
        return Run(name, method, stanza)
    given = {key: value for key, value in stanza.items() if key != "method"}
    known = catalog.hyperparameters(method)
    if "wraps" in catalog.card("methods", method):  # its documentation says how long to train it
        return Run(name, method, given)
    budget = {key: value for key, value in config["training"].items() if key in known}
    return Run(name, method, budget | given)


def _tuned(tuning: dict | None, runs: dict[str, Run]) -> list[str]:
    """Return the runs that are tuned, in the order of the runs."""
    if not tuning:
        return []
    if tuning["runs"] != ALL:
        return [name for name in runs if name in tuning["runs"]]
    return [
        name
        for name, run in runs.items()
        if not references.why_untuned(run.method, run.hyperparameters)
    ]


def _dataset(name: str, stanza: dict, known: dict, raw: str) -> dict:
    """Return the loader, its options, and the files it reads; a stanza completes or overrides the registry's entry."""
    source = stanza.get("from", name if "path" not in stanza else None)
    source = source if source in known else None
    entry = {"options": {}, "files": {}} if source is None else known[source]
    given = {key: value for key, value in stanza.items() if key not in references.ABOUT}
    options, folder = entry["options"] | given, f"{raw}/{source}" if entry["files"] else None
    needed = [
        f"{folder}/{file}"
        for file, facts in entry["files"].items()
        if not facts.get("optional", False)
    ]
    return {
        "loader": registry.loader_of(name, stanza, known),
        "options": options,
        "inputs": needed or _own_inputs(options),
        "raw": folder,
        "entry": source,
        "labels_from": stanza.get("labels_from", entry.get("labels_from")),
    }


def _own_inputs(options: dict) -> list[str]:
    """Return the files that a stanza names; of a folder, its parts."""
    return [
        part
        for files in references.named_files(options).values()
        for file in files
        for part in (references.parts_of_folder(Path(file)) if os.path.isdir(file) else [file])
    ]


def _why_not(run: Run, stanza: dict) -> str | None:
    """Return why a run does not apply to a scenario, None if it does; a tuned run applies where the one that it tunes does."""
    scenarios = catalog.card("methods", run.method)["scenarios"]
    kind, described = _pairing(stanza)
    if kind != "as_measured" and kind not in scenarios:
        return f"needs {' or '.join(scenarios)} cells, this scenario is {described}"
    if not {run.name, run.tuned_from} & set(stanza.get("runs", [run.name])):
        return "left out of this scenario by the config"
    return None


def _pairing(stanza: dict) -> tuple[str, str]:
    """Return the kind that decides which methods apply, and how to say it: a mosaic of one-modality blocks has no pair.

    What kind the cells of a natural scenario amount to is known once the dataset is prepared: a fit that does not apply says
    so.
    """
    blocks, share = stanza.get("blocks", [[1, 2]]), stanza.get("paired_fraction")
    if stanza["kind"] == "mosaic" and (share == 0 or all(len(block) == 1 for block in blocks)):
        return "unpaired", "a mosaic without a paired cell, so unpaired"
    if stanza["kind"] == "mosaic" and share == 1:
        return "paired", "a mosaic of paired cells only, so paired"
    return stanza["kind"], stanza["kind"]


def _splits(datasets: dict, scenarios: dict) -> list[tuple[str, str]]:
    return [
        (d, s)
        for d in datasets
        for s, stanza in scenarios.items()
        if d in stanza.get("datasets", datasets)
    ]
