"""From the config a person wrote to the jobs of the benchmark: checked, completed, and settled before anything runs."""

from __future__ import annotations

import ast
import copy
import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import yaml

from mosaicbench import catalog
from mosaicbench.errors import UserError

REPOSITORY = Path(__file__).parents[2]
SCHEMA = REPOSITORY / "workflow/schemas/config.schema.yaml"
REGISTRY = REPOSITORY / "config/datasets.yaml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
CHECKED_TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool, "None": type(None)}


@dataclass(frozen=True)
class Run:
    """A labelled configuration of a method."""

    name: str
    method: str
    hyperparameters: dict


@dataclass(frozen=True)
class Settings:
    """A checked config.

    Attributes
    ----------
    config
        The config with every default filled in.
    datasets
        id -> loader, options of the loader, and the files that it reads.
    scenarios
        id -> kind and its options.
    runs
        id -> method and hyperparameters, the training budget included where the method knows it.
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
    def views(self) -> list[tuple[str, str]]:
        """Every dataset with every scenario."""
        return [(dataset, scenario) for dataset in self.datasets for scenario in self.scenarios]


def load(config: dict) -> Settings:
    """Check `config` and return what the benchmark is made of.

    Raises
    ------
    UserError
        At the first mistake: an unknown key or name (with the nearest valid one), a wrong type, a missing file.
    """
    config = checked(config, yaml.safe_load(SCHEMA.read_text()))
    registry = yaml.safe_load(REGISTRY.read_text())
    runs = {name: _run(name, stanza or {}, config["training"]) for name, stanza in config["runs"].items()}
    datasets = {name: _dataset(name, stanza or {}, registry) for name, stanza in config["datasets"].items()}
    scenarios = config["scenarios"]
    applicable, not_applicable = [], []
    for dataset in datasets:
        for scenario, stanza in scenarios.items():
            for run in runs.values():
                reason = _why_not(run, stanza["kind"])
                if reason is None:
                    applicable.append((dataset, scenario, run.name))
                else:
                    row = {"dataset": dataset, "scenario": scenario, "run": run.name, "method": run.method, "reason": reason}
                    not_applicable.append(row)
    models = [run.name for run in runs.values() if catalog.card("methods", run.method)["kind"] == "model"]
    projected = config["report"].setdefault("projected_runs", models[:4])
    for name in projected:
        if name not in runs:
            raise UserError(f"config key report.projected_runs: there is no run {name!r}{_nearest(name, runs)}")
    reference = config["report"]["reference_run"]
    if reference is not None and reference not in runs:
        raise UserError(f"config key report.reference_run: there is no run {reference!r}{_nearest(reference, runs)}")
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


def checked(config: dict, schema: dict) -> dict:
    """Return a copy of `config` with the schema's defaults filled in, or say what is wrong with it."""
    config = copy.deepcopy(config)
    _fill_defaults(config, schema)
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(config), key=lambda error: list(map(str, error.path)))
    if errors:
        raise UserError(_explained(errors[0]))
    return config


def _fill_defaults(config: object, schema: dict) -> None:
    """Set absent keys to the default that the schema gives them, in place, at every level that has properties."""
    if not isinstance(config, dict):
        return
    for key, part in schema.get("properties", {}).items():
        if key not in config and "default" in part:
            config[key] = copy.deepcopy(part["default"])
        if key in config:
            _fill_defaults(config[key], part)


def _explained(error: jsonschema.ValidationError) -> str:
    """Turn the first schema violation into one sentence with the key, what is wrong, and the nearest valid name."""
    key = ".".join(map(str, error.absolute_path)) or "top level"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = next(name for name in error.instance if name not in known)
        return f"config key {key}: unknown key {unknown!r}{_nearest(unknown, known)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"config key {key}: the key {missing!r} is missing; {error.schema['properties'][missing].get('description', '')}"
    if error.validator == "enum":
        return f"config key {key}: {error.instance!r} is not possible{_nearest(str(error.instance), error.validator_value)}"
    described = f" ({error.schema['description']})" if "description" in error.schema else ""
    return f"config key {key}: {error.message}{described}"


def _nearest(name: str, known: object) -> str:
    """Return what to try instead."""
    close = difflib.get_close_matches(str(name), list(map(str, known)), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(map(str, known))}"


def _run(name: str, stanza: dict, training: dict) -> Run:
    _check_name("runs", name)
    method = stanza.get("method", name)
    if method not in catalog.names("methods"):
        hint = _nearest(method, catalog.names("methods"))
        raise UserError(f"config key runs.{name}: there is no method {method!r}{hint}")
    known = catalog.hyperparameters(method)
    given = {key: value for key, value in stanza.items() if key != "method"}
    for key, value in given.items():
        if key not in known:
            raise UserError(f"config key runs.{name}: method {method!r} has no hyperparameter {key!r}{_nearest(key, known)}")
        _check_type(f"runs.{name}.{key}", value, known[key].annotation)
    budget = {key: value for key, value in training.items() if key in known}
    return Run(name, method, budget | given)


def _dataset(name: str, stanza: dict, registry: dict) -> dict:
    """Return the loader, its options, and the files it reads; a stanza completes or overrides the registry's entry."""
    _check_name("datasets", name)
    if "path" not in stanza and name not in registry and "loader" not in stanza:
        hint = _nearest(name, registry)
        raise UserError(f"config key datasets.{name}: not in config/datasets.yaml and without a `path` to your own data{hint}")
    entry = registry.get(name, {})
    loader = stanza.get("loader", "own_files" if "path" in stanza else entry.get("loader"))
    if loader not in catalog.names("datasets"):
        raise UserError(
            f"config key datasets.{name}.loader: there is no {loader!r}{_nearest(loader, catalog.names('datasets'))}"
        )
    options = entry.get("options", {}) | {key: value for key, value in stanza.items() if key != "loader"}
    known = {key: p for key, p in catalog.parameters("datasets", loader).items() if key != "raw"}
    for key, value in options.items():
        if key not in known:
            raise UserError(f"config key datasets.{name}: unknown key {key!r}{_nearest(key, known)}")
        _check_type(f"datasets.{name}.{key}", value, known[key].annotation)
    path = options.get("path", [])
    inputs = list(path.values()) if isinstance(path, dict) else [path] if path else []
    for file in inputs:
        if not Path(file).is_file():
            raise UserError(f"config key datasets.{name}.path: there is no file {file} (relative paths start at {Path.cwd()})")
    return {"loader": loader, "options": options, "inputs": inputs}


def _check_name(section: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise UserError(f"config key {section}: {name!r} becomes a folder's name; use letters, digits, '_', '-' and '.' only")


def _check_type(key: str, value: object, annotation: str) -> None:
    """Check a value against an annotation made of int, float, str, bool, None and Literal; others are left to the loader."""
    accepted: list[str] = []
    for part in annotation.split(" | "):
        if part.startswith("Literal["):
            choices = ast.literal_eval(f"({part[8:-1]},)")
            if value in choices:
                return
            accepted.append(f"one of {', '.join(map(str, choices))}")
        elif part in CHECKED_TYPES:
            if isinstance(value, CHECKED_TYPES[part]) and not (isinstance(value, bool) and part != "bool"):
                return
            accepted.append(part)
        else:
            return
    raise UserError(f"config key {key}: expected {' or '.join(accepted)}, found {value!r}")


def _why_not(run: Run, kind: str) -> str | None:
    """Return why a run does not apply to a kind of scenario, None if it does."""
    handles = catalog.card("methods", run.method)["handles"]
    if kind not in handles:
        return f"needs {' or '.join(handles)} cells, this scenario is {kind}"
    return None
