"""What tables and figures read from the cards of runs and metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.catalog.cards import KIND, NO_QUALITY
from mosaicbench.catalog.search_spaces import TUNED

KINDS = tuple(KIND)
TRAITS = ("transductive", "takes_labels", "takes_links", "takes_pairs")
RESOURCES = ("fit_seconds", "peak_host_mb", "peak_device_mb")


@dataclass(frozen=True)
class RunMetadata:
    """The methods of runs, and the cards of methods, metrics and datasets.

    Attributes
    ----------
    cards
        room -> id -> card; a method without a card is a model.
    methods
        run -> method; other runs are named like their method.
    seen
        run -> whether the encoder of its embedding was trained on these cells: yes, no, unknown; ""
        of a run without one.
    """

    cards: dict[str, dict[str, dict]]
    methods: dict[str, str]
    seen: dict[str, str] = field(default_factory=dict)

    # --- runs ---

    def method(self, run: str) -> str:
        """Return the method of a run."""
        return self.methods.get(run, run)

    def card(self, run: str) -> dict:
        """Return the card of a run's method, {} if it has none."""
        return self.cards.get("methods", {}).get(self.method(run), {})

    def kind(self, run: str) -> str:
        """Return "model", "baseline" or "control"."""
        return self.card(run).get("kind", "model")

    def competes(self, run: str) -> bool:
        """Return whether a run takes part in ranks, as all but controls do."""
        return self.kind(run) != "control"

    def competing(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table whose `run` competes."""
        return table[table["run"].map(self.competes).astype(bool)]

    def is_ablation(self, run: str) -> bool:
        """Return whether a run is a method with changed hyperparameters."""
        return self.method(run) != run

    def tuned_from(self, run: str) -> str | None:
        """Return the run that a tuned run started from, None for other runs."""
        base = run.removesuffix(TUNED)
        return base if base != run and self.methods.get(base) == self.method(run) else None

    def is_own(self, run: str) -> bool:
        """Return whether a run's method comes from this project; tables and figures mark it."""
        return self.card(run).get("in_house", False)

    def is_external(self, run: str) -> bool:
        """Return whether a run was computed outside of the benchmark; tables and figures mark it."""
        return self.card(run).get("external", False)

    def traits(self, run: str) -> dict[str, str]:
        """Return "yes", "no" or "unknown" for each of :data:`TRAITS`."""
        if self.is_external(run):
            return dict.fromkeys(TRAITS, "unknown")
        card = self.card(run)
        given = [f"takes_{word}" for word in card.get("inputs", ())]
        given += ["transductive"] if card.get("transductive") else []
        traits = {name: "yes" if name in given else "no" for name in TRAITS}
        return traits | ({"transductive": self.seen[run]} if self.seen.get(run) else {})

    # --- metrics ---

    def metric(self, name: str) -> dict:
        """Return a metric's card, {} if it has none."""
        return self.cards.get("metrics", {}).get(name, {})

    def group(self, name: str) -> str:
        """Return the group of a metric, such as "alignment"; "other" without a card."""
        return self.metric(name).get("group") or ("resources" if name in RESOURCES else "other")

    def better(self, name: str) -> str | None:
        """Return "lower" or "higher", None if neither is better."""
        word = self.metric(name).get("better", "lower" if name in RESOURCES else None)
        return word if word in ("lower", "higher") else None

    def sign(self, name: str) -> float:
        """Return -1 if lower is better, 1 if higher is, NaN if neither is."""
        return {"lower": -1.0, "higher": 1.0}.get(self.better(name), math.nan)

    def chance(self, name: str) -> float:
        """Return the score of guessing, NaN if the card states none."""
        return self._number(name, "chance")

    def best(self, name: str) -> float:
        """Return the best possible value, NaN if the card states none."""
        return self._number(name, "best")

    def _number(self, name: str, key: str) -> float:
        value = self.metric(name).get(key)
        return math.nan if value is None else float(value)

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest possible value, infinite if the card states none."""
        low, high = self.metric(name).get("bounds") or (None, None)
        return -math.inf if low is None else low, math.inf if high is None else high

    def is_quality(self, name: str) -> bool:
        """Return whether a better value is a better result, which is not so in ``NO_QUALITY`` groups."""
        return bool(self.better(name)) and self.group(name) not in NO_QUALITY

    def qualities(self, names: Iterable[str]) -> list[str]:
        """Return the distinct metrics among `names` for which :meth:`is_quality` holds."""
        return [name for name in dict.fromkeys(names) if self.is_quality(name)]


def run_metadata_of(runs: pd.DataFrame) -> RunMetadata:
    """Return the metadata of a table of runs, with all cards."""
    cards = {room: catalog.cards(room) for room in ("methods", "metrics", "datasets")}
    cards["methods"] |= {catalog.EXTERNAL: catalog.card("methods", catalog.EXTERNAL)}
    methods = dict(zip(runs["run"], runs["method"], strict=True))
    return RunMetadata(cards, methods, dict(zip(runs["run"], runs.get("seen", ()), strict=False)))
