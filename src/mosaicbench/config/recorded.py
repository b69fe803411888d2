"""The settings of a benchmark, as each job reads them from ``results/config.json``.

Without pydantic: the Python of a wrapped package reads the recorded config, too.
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

BEST_OF_SPLIT = "best"  # in `save_models`: all runs that may have the best overall score of a split
SETTLED = "settled"  # the key of ``config.json`` that no person writes


@dataclass(frozen=True)
class Run:
    """A labelled configuration of a method; of a tuned run, `tuned_from` names the original."""

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
        The config with every default.
    datasets
        id -> loader, options; inputs, its files; and, or None, raw, the folder of fetched files;
        entry, the id in the registry; labels_from, the origin of its labels; cells, their number.
    runs
        id -> method and hyperparameters with the budget; of an external run, its stanza.
    applicable
        (dataset, scenario, run) of every run that takes part.
    not_applicable
        dataset, scenario, run, method and reason of all others.
    """

    config: dict
    datasets: dict[str, dict]
    scenarios: dict[str, dict]
    runs: dict[str, Run]
    seeds: list[int]
    limits: dict
    preprocess: dict
    groups: list[str]
    applicable: list[tuple[str, str, str]]
    not_applicable: list[dict]

    @property
    def results(self) -> str:
        """The folder of the results."""
        return self.config["pathvars"].get("results", "results")

    @property
    def figures(self) -> list[str]:
        """The figures; the cards of some name a key of `report`, or a group of metrics."""
        keys = self.config["report"] | {"tuning": self.tuning}
        return [
            figure
            for figure, card in catalog.cards("figures").items()
            if keys.get(card.get("only_with"), True)
            and card.get("only_with_group", self.groups[0]) in self.groups
        ]

    @cached_property
    def splits(self) -> list[tuple[str, str]]:
        """(dataset, scenario) of every split."""
        return splits_of(self.datasets, self.scenarios)

    @cached_property
    def runs_of_splits(self) -> dict[tuple[str, str], list[str]]:
        """Split -> its runs."""
        found: dict[tuple[str, str], list[str]] = {split: [] for split in self.splits}
        for dataset, scenario, run in self.applicable:
            found[dataset, scenario].append(run)
        return found

    @property
    def tuning(self) -> dict:
        """The config's section `tuning`, {} without one."""
        return self.config.get("tuning") or {}

    @cached_property
    def tuned(self) -> list[tuple[str, str, str]]:
        """(dataset, scenario, run) of every tuned run that exists."""
        return [place for place in self.applicable if self.runs[place[2]].tuned_from]

    @property
    def tuned_seeds(self) -> list[int]:
        """The seeds with a search for settings."""
        return self.seeds if self.tuning.get("per_seed") else self.seeds[:1]

    @cached_property
    def kept(self) -> list[str]:
        """The runs that save their models, of every seed."""
        names = [*self.config["save_models"], *self.config["report"]["sampled_runs"]]
        return [name for name in dict.fromkeys(names) if name != BEST_OF_SPLIT]

    @cached_property
    def candidates(self) -> list[str]:
        """The possible best runs of a split: the first seed saves its model."""
        if BEST_OF_SPLIT not in self.config["save_models"]:
            return []
        return [
            name
            for name, run in self.runs.items()
            if fits_model(run.method) and "wraps" not in catalog.card("methods", run.method)
        ]

    @property
    def sizes(self) -> list[dict[str, int]]:
        """Groups of three or more datasets that differ only in `cells`: dataset -> cells."""
        groups: dict[str, dict[str, int]] = {}
        for name, dataset in self.datasets.items():
            others = {key: value for key, value in dataset["options"].items() if key != "cells"}
            if "cells" in dataset["options"]:
                key = json.dumps([dataset["loader"], others], sort_keys=True, default=str)
                groups.setdefault(key, {})[name] = dataset["options"]["cells"]
        return [group for group in groups.values() if len(set(group.values())) > 2]

    def recorded(self) -> dict:
        """Return the content of ``config.json``."""
        return self.config | {
            SETTLED: {
                "datasets": self.datasets,
                "runs": [asdict(run) for run in self.runs.values()],
                "applicable": self.applicable,
                "not_applicable": self.not_applicable,
            }
        }


def settings_of(
    config: dict,
    datasets: dict[str, dict],
    runs: Iterable[Run],
    applicable: list[tuple[str, str, str]],
    not_applicable: list[dict],
) -> Settings:
    """Return the settings of a complete config."""
    return Settings(
        config=config,
        datasets=datasets,
        scenarios=config["scenarios"],
        runs={run.name: run for run in runs},
        seeds=config["seeds"],
        limits=config["limits"],
        preprocess=config["preprocess"],
        groups=config["metrics"]["groups"],
        applicable=applicable,
        not_applicable=not_applicable,
    )


def read(path: Path) -> Settings:
    """Read ``config.json``, which the workflow wrote, without checking the config again."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        settled = config.pop(SETTLED)
        return settings_of(
            config,
            settled["datasets"],
            [Run(**run) for run in settled["runs"]],
            [tuple(place) for place in settled["applicable"]],
            settled["not_applicable"],
        )
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    except (ValueError, KeyError, AttributeError, TypeError):
        what = "is no recorded config of this version"
    raise UserError(
        f"{path}: {what}; `mosaicbench run` writes it before the first job of a benchmark, name "
        "that one with --config"
    )


def splits_of(datasets: Iterable[str], scenarios: dict[str, dict]) -> list[tuple[str, str]]:
    """Return (dataset, scenario) of each pair that the scenario includes."""
    return [
        (dataset, scenario)
        for dataset, scenario in product(datasets, scenarios)
        if dataset in scenarios[scenario].get("datasets", datasets)
    ]


def fits_model(method: str) -> bool:
    """Return whether a run of a method has a model to save: no control, probe or external run."""
    card = catalog.card("methods", method)
    return (
        card["kind"] != "control" and "external" not in card and "embedding" not in card["inputs"]
    )


def pairing(stanza: dict) -> tuple[str, str]:
    """Return the kind that decides which methods apply, and its description.

    A mosaic may have no pair, or nothing else. A scenario as measured is unknown before the dataset
    is prepared: a fit that does not apply says so.
    """
    kind, fraction = stanza["kind"], stanza.get("paired_fraction")
    if kind == "mosaic":
        if fraction == 0 or all(len(block) == 1 for block in stanza.get("blocks", [[1, 2]])):
            return "unpaired", "a mosaic without a paired cell, so unpaired"
        if fraction == 1:
            return "paired", "a mosaic of paired cells only, so paired"
    return kind, kind
