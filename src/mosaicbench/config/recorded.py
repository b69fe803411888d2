"""The settled config of a benchmark: what the Snakefile schedules by, and what each job reads from ``results/config.json``.

Without pydantic: a job that runs in a wrapped package's own Python reads the recorded config, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.errors import UserError

BEST_OF_SPLIT = "best"  # in `save_models`
SETTLED = "settled"  # the key of ``config.json`` that no person writes


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
        id -> loader; options of the loader; inputs, the files that it reads; raw, the folder of those that are fetched; entry,
        the id in the registry of what it is or is made from; labels_from, the modalities that its labels come from; cells, their
        number. The last four may be None.
    scenarios
        id -> kind and its options.
    runs
        id -> method and hyperparameters, the training budget included where the method has one; of an external run, its stanza.
    applicable
        (dataset, scenario, run) of every run that takes part.
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

    @cached_property
    def splits(self) -> list[tuple[str, str]]:
        """Every dataset with every scenario that is not for other datasets."""
        return splits_of(self.datasets, self.scenarios)

    @cached_property
    def runs_of_splits(self) -> dict[tuple[str, str], list[str]]:
        """Split -> its runs."""
        found: dict[tuple[str, str], list[str]] = {}
        for dataset, scenario, run in self.applicable:
            found.setdefault((dataset, scenario), []).append(run)
        return found

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

    def recorded(self) -> dict:
        """Return what ``config.json`` holds: the config with all defaults, and what was settled from it."""
        settled = {
            "datasets": self.datasets,
            "runs": [asdict(run) for run in self.runs.values()],
            "applicable": self.applicable,
            "not_applicable": self.not_applicable,
        }
        return self.config | {SETTLED: settled}


def settings_of(
    config: dict,
    datasets: dict[str, dict],
    runs: Iterable[Run],
    applicable: list[tuple[str, str, str]],
    not_applicable: list[dict],
) -> Settings:
    """Return the settings of a complete config and of what was settled from it."""
    return Settings(
        config=config,
        datasets=datasets,
        scenarios=config["scenarios"],
        runs={run.name: run for run in runs},
        seeds=config["seeds"],
        limits=config["limits"],
        preprocess=config["preprocess"],
        groups=config["metrics"]["groups"],
        projected=config["report"]["umap_runs"],
        applicable=applicable,
        not_applicable=not_applicable,
    )


def read(path: Path) -> Settings:
    """Read ``config.json``, which the workflow wrote, without checking the config again.

    Raises
    ------
    UserError
        When there is no such file, or the workflow did not write it.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        settled = config.pop(SETTLED)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path}: not the config that a benchmark recorded ({type(error).__name__}: {error}); "
            "`mosaicbench run` writes it before its first job"
        ) from error
    return settings_of(
        config,
        settled["datasets"],
        [Run(**run) for run in settled["runs"]],
        [tuple(place) for place in settled["applicable"]],
        settled["not_applicable"],
    )


def splits_of(datasets: Iterable[str], scenarios: dict[str, dict]) -> list[tuple[str, str]]:
    """Return (dataset, scenario) of each pair that the scenario does not leave out."""
    datasets = list(datasets)
    return [
        (dataset, scenario)
        for dataset, scenario in product(datasets, scenarios)
        if dataset in scenarios[scenario].get("datasets", datasets)
    ]
