"""How things look and what they are called: ``config/display.yaml``, cards, and matplotlib's settings."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib import rc_context
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from mosaicbench import catalog
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import atomic
from mosaicbench.files.tables import write_table

KINDS = ("model", "baseline", "control")
MARKERS = {"model": "o", "baseline": "s", "control": "D"}
NAMED = ("methods", "runs", "metrics", "datasets", "scenarios", "modalities", "groups", "costs")
SPARE = "#777777"
INK, QUIET, FAINT = "#222222", "#666666", "#E4E4E4"
DPI = 150
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#BBBBBB",
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica", "sans-serif"],
    "font.size": 8,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "mosaicbench",
    "text.color": INK,
    "xtick.color": QUIET,
    "xtick.labelsize": 7,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}


@dataclass(frozen=True)
class Theme:
    """Labels, colours and order of everything that a table or a figure shows.

    Attributes
    ----------
    display
        What ``display.yaml`` says.
    cards
        room -> id -> card, for "methods", "metrics" and "datasets".
    methods
        run -> method.
    """

    display: Mapping[str, dict]
    cards: Mapping[str, Mapping[str, dict]]
    methods: Mapping[str, str]

    def label(self, room: str, name: str) -> str:
        """Return the human-readable name of an id: of display.yaml, else of its card, else the id."""
        if room == "runs":
            own = self.display["runs"].get(name, {}).get("label")
            return own or (self.label("methods", name) if self.methods.get(name, name) == name else name)
        return self.display[room].get(name, {}).get("label") or self.cards.get(room, {}).get(name, {}).get("label") or name

    def metric_of(self, family: str, name: str) -> str:
        """Return a metric's label under the heading of its family, whose name it need not repeat."""
        return self.label("metrics", name).removeprefix(f"{self.label('groups', family)} ")

    def cost(self, name: str) -> str:
        """Return "Negative log-likelihood, RNA" for "nll_rna": the label of a cost, or of what its name starts with."""
        start = self._start_of_cost(name)
        if start is None:
            return name.replace("_", " ")
        rest = [self.label("modalities", part) for part in name[len(start) + 1 :].split("_") if part]
        return ", ".join([self.label("costs", start), *([" ".join(rest)] if rest else [])])

    def direction(self, direction: str) -> str:
        """Return "RNA → ADT" for "rna->adt"."""
        return " → ".join(self.label("modalities", name) for name in direction.split("->"))

    def directions(self, names: Iterable[str]) -> list[str]:
        """Return directions in the order of their sources, then targets."""
        found = dict.fromkeys(names)
        places = self.order("modalities", (part for name in found for part in name.split("->")))
        return sorted(found, key=lambda name: [places.index(part) for part in name.split("->")])

    def view(self, dataset: str, scenario: str) -> str:
        """Return the title of a view."""
        return f"{self.label('datasets', dataset)}, {self.label('scenarios', scenario)}"

    def kind(self, run: str) -> str:
        """Return "model", "baseline" or "control"."""
        return self.cards["methods"].get(self.methods.get(run, run), {}).get("kind", "model")

    def ablation(self, run: str) -> bool:
        """Say whether a run is a method with other hyperparameters than its own."""
        return self.methods.get(run, run) != run

    def order(self, room: str, names: Iterable[str]) -> list[str]:
        """Return the distinct names in display order: runs by kind, then as listed; what is not listed comes last, sorted."""
        found = list(dict.fromkeys(names))
        if room == "runs":
            methods = self.order("methods", [self.methods.get(run, run) for run in found])
            return sorted(
                found,
                key=lambda run: (
                    KINDS.index(self.kind(run)),
                    methods.index(self.methods.get(run, run)),
                    self.ablation(run),
                    run,
                ),
            )
        listed = list(self.display[room])
        known = {name: self._start_of_cost(name) if room == "costs" else name for name in found}
        return sorted(found, key=lambda name: (listed.index(known[name]) if known[name] in listed else len(listed), name))

    def colour(self, run: str) -> str:
        """Return a run's colour, the same in every figure: its method's, unless display.yaml gives the run one of its own."""
        method = self.methods.get(run, run)
        own = self.display["runs"].get(run, {}).get("colour")
        listed = own or self.display["methods"].get(method, {}).get("colour")
        return listed or self._spare_colour(method)

    def marker(self, run: str, *, size: float) -> dict:
        """Return matplotlib's keywords for a run's points: shape by kind unless display.yaml says, open for an ablation."""
        face = "white" if self.ablation(run) else self.colour(run)
        shape = self.display["methods"].get(self.methods.get(run, run), {}).get("marker") or MARKERS[self.kind(run)]
        return {"marker": shape, "ms": size, "mfc": face, "mec": self.colour(run), "linestyle": "none"}

    def line(self, run: str) -> dict:
        """Return matplotlib's keywords for a run's line: dotted for an ablation, dashed for a method with its own marker."""
        own = "marker" in self.display["methods"].get(self.methods.get(run, run), {})
        return {"color": self.colour(run), "linestyle": ":" if self.ablation(run) else "--" if own else "-"}

    def palette(self, room: str, names: Iterable[str]) -> dict[str, str]:
        """Return name -> colour for modalities in display order, or for cell types, batches or clusters, sorted."""
        ordered = self.order("modalities", names) if room == "modalities" else sorted(set(names))
        spare = _shaded(self.display["colours"]["cell_type"])
        listed = self.display.get(room, {})
        return {name: listed.get(name, {}).get("colour") or spare[place % len(spare)] for place, name in enumerate(ordered)}

    def metric(self, name: str) -> dict:
        """Return a metric's card, {} where it has none."""
        return self.cards["metrics"].get(name, {})

    def _start_of_cost(self, name: str) -> str | None:
        """Return the longest listed cost that a cost's name is, or starts with."""
        listed = [start for start in self.display["costs"] if name == start or name.startswith(f"{start}_")]
        return max(listed, key=len, default=None)

    def _spare_colour(self, method: str) -> str:
        kind = self.cards["methods"].get(method, {}).get("kind")
        unlisted = sorted(
            name
            for name, card in self.cards["methods"].items()
            if card.get("kind") == kind and "colour" not in self.display["methods"].get(name, {})
        )
        colours = self.display["colours"].get(kind, [SPARE])
        return colours[unlisted.index(method) % len(colours)] if method in unlisted else SPARE


def read_theme(display: str | Path, runs: pd.DataFrame) -> Theme:
    """Read display.yaml and the cards.

    Parameters
    ----------
    display
        Path of ``display.yaml``.
    runs
        The table of runs, which says the method of each.

    Raises
    ------
    UserError
        When the file is absent, is not YAML, or has a key that nothing reads.
    """
    cards = {room: catalog.cards(room) for room in ("methods", "metrics", "datasets")}
    return Theme(display=_read_display(display), cards=cards, methods=dict(zip(runs["run"], runs["method"], strict=True)))


def style() -> rc_context:
    """Return the context in which every figure is made and saved."""
    return rc_context(STYLE)


def empty(sentence: str, *, title: str = "") -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = Figure(figsize=(7, 1.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.text(0.5, 0.5, sentence, ha="center", va="center", color=QUIET, transform=axes.transAxes, wrap=True)
    if title:
        axes.text(0.02, 0.92, title, ha="left", va="top", fontweight="bold", transform=axes.transAxes)
    return figure


def save(figure: Figure, drawn: pd.DataFrame, stem: Path) -> None:
    """Write ``stem.svg``, ``stem.png`` and ``stem.tsv``; the same figure gives the same bytes.

    The suffix is added to the stem as it is, so a figure's name may hold a dot.
    """
    for kind, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        figure.set_layout_engine(None)  # its places are found: the second picture keeps them, and is not drawn twice for them
        with atomic(stem.with_name(f"{stem.name}.{kind}")) as temporary:
            temporary.write_bytes(buffer.getvalue())
    write_table(stem.with_name(f"{stem.name}.tsv"), drawn)


def _shaded(colours: list[str]) -> list[str]:
    """Return the colours, then paler, then darker ones of the same hues, for more names than there are colours."""
    paler = [to_hex(0.45 * np.array(to_rgb(colour)) + 0.55) for colour in colours]
    darker = [to_hex(0.5 * np.array(to_rgb(colour))) for colour in colours]
    return [*colours, *paler, *darker]


def _read_display(path: str | Path) -> dict[str, dict]:
    try:
        display = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; `config/display.yaml` holds labels, colours and order") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(display, dict) or (unknown := set(display) - {*NAMED, "colours"}):
        found = f"unknown keys {sorted(unknown)}" if isinstance(display, dict) else "not a mapping"
        raise UserError(f"{path}: {found}; the keys are {', '.join(NAMED)} and colours")
    complete = {room: display.get(room) or {} for room in (*NAMED, "colours")}
    for room in NAMED:
        for name, entry in complete[room].items():
            if not isinstance(entry, dict) or (wrong := set(entry) - {"label", "colour", "marker"}):
                found = f"unknown keys {sorted(wrong)}" if isinstance(entry, dict) else "not a mapping"
                raise UserError(f"{path}: {room}.{name}: {found}; write {{label: …, colour: …, marker: …}}")
    complete["colours"].setdefault("cell_type", [SPARE])
    return complete
