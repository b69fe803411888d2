"""Who takes part: what is true of a run and of a metric, read from their cards here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.catalog.cards import KIND, NO_QUALITY
from mosaicbench.catalog.search_spaces import TUNED

KINDS = tuple(KIND)
TRAITS = ("transductive", "takes_labels", "takes_links", "takes_pairs")
RESOURCES = ("fit_seconds", "peak_host_mb", "peak_device_mb")


@dataclass(frozen=True)
class RunMetadata:
    """The runs with the cards of their methods, and the metrics with theirs.

    Attributes
    ----------
    cards
        room -> id -> card, for "methods", "metrics" and "datasets". What has no card is a model, or a metric of which nothing
        is known.
    methods
        run -> method; a run that is not there is named like its method.
    """

    cards: Mapping[str, Mapping[str, dict]]
    methods: Mapping[str, str]

    # --- runs ---

    def method(self, run: str) -> str:
        """Return the method of a run."""
        return self.methods.get(run, run)

    def card(self, run: str) -> dict:
        """Return the card of a run's method, {} where it has none."""
        return self.cards.get("methods", {}).get(self.method(run), {})

    def kind(self, run: str) -> str:
        """Return "model", "baseline" or "control"."""
        return self.card(run).get("kind", "model")

    def competes(self, run: str) -> bool:
        """Say whether a run takes part in ranks: all but controls do, which pin the ends of a scale."""
        return self.kind(run) != "control"

    def competing(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table whose `run` competes."""
        return table[
            table["run"].isin([run for run in table["run"].unique() if self.competes(run)])
        ]

    def is_ablation(self, run: str) -> bool:
        """Say whether a run is a method with other hyperparameters than its own."""
        return self.method(run) != run

    def tuned_from(self, run: str) -> str | None:
        """Return the run whose settings a run has searched for, beside which it stands; None of any other run."""
        base = run.removesuffix(TUNED)
        return base if base != run and self.methods.get(base) == self.method(run) else None

    def is_own(self, run: str) -> bool:
        """Say whether this project made up a run's method, which every table and figure then marks."""
        return self.card(run).get("in_house", False)

    def is_external(self, run: str) -> bool:
        """Say whether a run was computed outside of the benchmark, which every table and figure then marks."""
        return self.card(run).get("external", False)

    def traits(self, run: str) -> dict[str, str]:
        """Return "yes" or "no" for each of :data:`TRAITS`, "unknown" of what was computed elsewhere.

        A method is transductive only if its card says so.
        """
        if self.is_external(run):
            return dict.fromkeys(TRAITS, "unknown")
        uses = self.card(run).get("inputs", ())
        given = {name: name.removeprefix("takes_") in uses for name in TRAITS}
        given["transductive"] = bool(self.card(run).get("transductive", False))
        return {name: "yes" if given[name] else "no" for name in TRAITS}

    # --- metrics ---

    def metric(self, name: str) -> dict:
        """Return a metric's card, {} where it has none."""
        return self.cards.get("metrics", {}).get(name, {})

    def group(self, name: str) -> str:
        """Return the group of a metric: "alignment", "resources" and so on, "other" where its card does not say."""
        return self.metric(name).get("group") or ("resources" if name in RESOURCES else "other")

    def better(self, name: str) -> str | None:
        """Return "lower" or "higher", None where neither is better; of a resource, less is."""
        word = self.metric(name).get("better", "lower" if name in RESOURCES else None)
        return word if word in ("lower", "higher") else None

    def sign(self, name: str) -> float:
        """Return what makes more better: -1 where lower is better, 1 where higher is, NaN where neither is."""
        return {"lower": -1.0, "higher": 1.0}.get(self.better(name), math.nan)

    def chance(self, name: str) -> float:
        """Return what guessing scores, NaN where the card states no number."""
        return _number(self.metric(name).get("chance"))

    def best(self, name: str) -> float:
        """Return the best possible value, NaN where the card states no number."""
        return _number(self.metric(name).get("best"))

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the least and the largest possible value, infinite where the card states none."""
        low, high = self.metric(name).get("bounds") or (None, None)
        return -math.inf if low is None else low, math.inf if high is None else high

    def is_quality(self, name: str) -> bool:
        """Say whether a better value is a better result: not of resources, references, sanity values and variants."""
        return bool(self.better(name)) and self.group(name) not in NO_QUALITY

    def qualities(self, names: Iterable[str]) -> list[str]:
        """Return the distinct metrics among `names` of which :meth:`is_quality` is true."""
        return [name for name in dict.fromkeys(names) if self.is_quality(name)]


def run_metadata_of(runs: pd.DataFrame) -> RunMetadata:
    """Return the roster of a table of runs, with every card that there is."""
    cards = {room: catalog.cards(room) for room in ("methods", "metrics", "datasets")}
    cards["methods"] |= {catalog.EXTERNAL: catalog.card("methods", catalog.EXTERNAL)}
    return RunMetadata(cards=cards, methods=dict(zip(runs["run"], runs["method"], strict=True)))


def _number(value: object) -> float:
    return (
        float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else math.nan
    )
