"""How things look and what they are called: ``config/display.yaml``, cards, matplotlib's settings."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mosaicbench.catalog.run_metadata import KINDS, RunMetadata, run_metadata_of
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import atomic
from mosaicbench.files.tables import write_table
from mosaicbench.workflow.layout import project_file

DISPLAY = project_file("config/display.yaml")
MARKERS = {"model": "o", "baseline": "s", "control": "D"}
NAMED = ("methods", "runs", "metrics", "datasets", "scenarios", "modalities", "groups", "losses")
SPARE = "#777777"
OWN_MARK = " (own)"  # after the label of a method of this project, and of its runs
EXTERNAL_MARK = " (external)"  # after the label of a run that was computed outside the benchmark
TUNED_MARK = " (tuned)"  # after the label of the run whose settings were searched for
INK, QUIET, FAINT = "#222222", "#666666", "#E4E4E4"
DPI = 150
FONT_SIZE = 8  # points, of all texts of all figures
DECIMALS = 5  # of positions: the solver of layouts differs from draw to draw in the 13th
SAVED = {  # kind of picture -> keywords of `savefig`: no date, no software; light PNG compression
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
}
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STYLE = {
    "font.size": FONT_SIZE,
    "axes.titlesize": FONT_SIZE,
    "figure.labelsize": FONT_SIZE,
    "figure.titlesize": FONT_SIZE,
    "axes.axisbelow": True,
    "axes.edgecolor": "#BBBBBB",
    "axes.formatter.use_mathtext": False,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica", "sans-serif"],
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "mosaicbench",
    "text.color": INK,
    "text.hinting": "none",  # hinted text of a PNG is wider than the laid-out text of an SVG
    "text.parse_math": False,  # a dollar in a cell type's name is a dollar
    "text.usetex": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
}


@dataclass(frozen=True)
class Theme:
    """Labels, colours and order, from ``display.yaml`` and the cards of runs, metrics, datasets."""

    display: dict[str, dict]
    run_metadata: RunMetadata

    # --- labels ---

    def label(self, room: str, name: str) -> str:
        """Return the label of an id: from display.yaml, else from its card, else the id.

        Marks follow the labels of this project's own methods and of external runs.
        """
        label = self._unmarked(room, name)
        if room in ("methods", "runs") and self.run_metadata.is_own(name):
            return label + OWN_MARK
        if room == "runs" and self.run_metadata.is_external(name):
            return label + EXTERNAL_MARK
        return label

    def _unmarked(self, room: str, name: str) -> str:
        if listed := self.display[room].get(name, {}).get("label"):
            return listed
        if room != "runs":
            return self.run_metadata.cards.get(room, {}).get(name, {}).get("label") or name
        if (base := self.run_metadata.tuned_from(name)) is not None:
            return self._unmarked("runs", base) + TUNED_MARK
        return name if self.run_metadata.is_ablation(name) else self._unmarked("methods", name)

    def labels(self, room: str, names: Iterable[str]) -> str:
        """Return the labels of the distinct names in display order: "A, B"."""
        return ", ".join(self.label(room, name) for name in self.order(room, names))

    def loss(self, name: str) -> str:
        """Return "Negative log-likelihood, RNA" for "nll_rna"."""
        start = self._start_of_loss(name)
        if start is None:
            return name.replace("_", " ")
        parts = name.removeprefix(start).split("_")
        rest = " ".join(self.label("modalities", part) for part in parts if part)
        return ", ".join(filter(None, [self.label("losses", start), rest]))

    def direction(self, direction: str) -> str:
        """Return "RNA → ADT" for "rna->adt"."""
        return " → ".join(self.label("modalities", name) for name in direction.split("->"))

    def split(self, dataset: str, scenario: str) -> str:
        """Return the title of a split."""
        return f"{self.label('datasets', dataset)}, {self.label('scenarios', scenario)}"

    # --- order ---

    def order(self, room: str, names: Iterable[str]) -> list[str]:
        """Return the distinct names in display order: unlisted names last, sorted.

        Runs are ordered by kind, then by method, ablations after their method.
        """
        names, run_metadata = dict.fromkeys(names), self.run_metadata
        listed = list(self.display[room])
        if room == "runs":
            methods = self.order("methods", map(run_metadata.method, names))

        def place(name: str) -> tuple:
            if room == "runs":
                kind = KINDS.index(run_metadata.kind(name))
                method = methods.index(run_metadata.method(name))
                return kind, method, run_metadata.is_ablation(name), name
            entry = self._start_of_loss(name) if room == "losses" else name
            return listed.index(entry) if entry in listed else len(listed), name

        return sorted(names, key=place)

    def directions(self, names: Iterable[str]) -> list[str]:
        """Return distinct directions in the order of their sources, then targets."""
        distinct = dict.fromkeys(names)
        places = self.order("modalities", "->".join(distinct).split("->"))
        return sorted(distinct, key=lambda name: [places.index(part) for part in name.split("->")])

    def _start_of_loss(self, name: str) -> str | None:
        starts = [start for start in self.display["losses"] if f"{name}_".startswith(f"{start}_")]
        return max(starts, key=len, default=None)

    # --- colours and shapes ---

    def colour(self, run: str) -> str:
        """Return a run's colour, the same in every figure: its method's, unless listed itself."""
        method = self.run_metadata.method(run)
        entry = self.display["runs"].get(run, {})
        return entry.get("colour") or self._of_method(run, "colour") or self._spare_colour(method)

    def marker(self, run: str, *, size: float) -> dict:
        """Return matplotlib's keywords for a run's points: the kind's shape, open for ablations."""
        return {
            "marker": self._of_method(run, "marker") or MARKERS[self.run_metadata.kind(run)],
            "ms": size,
            "mfc": "white" if self.run_metadata.is_ablation(run) else self.colour(run),
            "mec": self.colour(run),
            "linestyle": "none",
        }

    def line(self, run: str) -> dict:
        """Return matplotlib's keywords for a run's line: dotted for an ablation.

        The line of a method with a marker of its own is dashed.
        """
        style = "--" if self._of_method(run, "marker") else "-"
        if self.run_metadata.is_ablation(run):
            style = ":"
        return {"color": self.colour(run), "linestyle": style}

    def palette(self, room: str, names: Iterable[str]) -> dict[str, str]:
        """Return name -> colour: modalities in display order, cell types and other names sorted."""
        ordered = self.order("modalities", names) if room == "modalities" else sorted(set(names))
        spare = _shaded(self.display["colours"]["cell_type"])
        listed = self.display.get(room, {})
        return {
            name: listed.get(name, {}).get("colour") or spare[place % len(spare)]
            for place, name in enumerate(ordered)
        }

    def _of_method(self, run: str, key: str) -> str | None:
        return self.display["methods"].get(self.run_metadata.method(run), {}).get(key)

    def _spare_colour(self, method: str) -> str:
        cards = self.run_metadata.cards["methods"]
        kind = cards.get(method, {}).get("kind")
        unlisted = sorted(
            name
            for name, card in cards.items()
            if card.get("kind") == kind and "colour" not in self.display["methods"].get(name, {})
        )
        colours = self.display["colours"].get(kind, [SPARE])
        return colours[unlisted.index(method) % len(colours)] if method in unlisted else SPARE


def read_theme(runs: pd.DataFrame, display: Path = DISPLAY) -> Theme:
    """Read ``display.yaml``, and the cards of a table of runs.

    Raise a `UserError` if the file is not YAML or has an unknown key.
    """
    return Theme(display=_read_display(display), run_metadata=run_metadata_of(runs))


def style() -> rc_context:
    """Return the context in which to make and save every figure."""
    return rc_context(STYLE)


def empty(sentence: str, *, title: str = "") -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = Figure(figsize=(7, 1.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.text(0.5, 0.5, sentence, ha="center", va="center", color=QUIET, wrap=True)
    if title:
        axes.text(0.02, 0.92, title, ha="left", va="top", fontweight="bold")
    return figure


def not_drawn(label: str, error: Exception) -> tuple[Figure, pd.DataFrame]:
    """Return a note with the reason, and its table, for a figure that could not be drawn."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    note = empty(f"This figure could not be drawn ({reason}).", title=label)
    return note, pd.DataFrame({"not_drawn": [reason]})


def save(figure: Figure, drawn: pd.DataFrame, stem: Path) -> None:
    """Write ``stem.svg``, ``stem.png`` and ``stem.tsv``; the same figure gives the same bytes."""
    _settle(figure)
    pictures = {}
    for kind, options in SAVED.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, **options)
        pictures[kind] = buffer.getvalue()
    pictures["svg"] = NOT_IN_XML.sub("\ufffd", pictures["svg"].decode()).encode()
    for kind, picture in pictures.items():
        with atomic(stem.with_name(f"{stem.name}.{kind}")) as temporary:
            temporary.write_bytes(picture)
    write_table(stem.with_name(f"{stem.name}.tsv"), drawn)


def _settle(figure: Figure) -> None:
    """Lay a figure out once for all its pictures.

    Positions are rounded, as the solver's last digits differ from draw to draw.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0, 0)  # matplotlib would search a place for the empty label
    if (engine := figure.get_layout_engine()) is None:
        return
    FigureCanvasSVG(figure)  # the layout uses the text sizes of this canvas
    engine.execute(figure)
    figure.set_layout_engine(None)
    for part in figure.subfigs:
        part._redo_transform_rel_fig(Bbox(np.round(part.bbox_relative.get_points(), DECIMALS)))
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, DECIMALS))


def _shaded(colours: list[str]) -> list[str]:
    rgb = to_rgba_array(colours)[:, :3]
    return [*colours, *map(to_hex, 0.45 * rgb + 0.55), *map(to_hex, 0.5 * rgb)]


def _read_display(path: Path) -> dict[str, dict]:
    try:
        display = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error})") from error
    rooms = (*NAMED, "colours")
    _check_keys(path, display, rooms, f"the keys are {', '.join(rooms)}")
    complete = {room: display.get(room) or {} for room in rooms}
    keys, remedy = ("label", "colour", "marker"), "write {label: …, colour: …, marker: …}"
    for room in NAMED:
        for name, entry in complete[room].items():
            _check_keys(f"{path}: {room}.{name}", entry, keys, remedy)
    complete["colours"].setdefault("cell_type", [SPARE])
    return complete


def _check_keys(place: object, entry: object, keys: Iterable[str], remedy: str) -> None:
    if not isinstance(entry, dict):
        raise UserError(f"{place}: not a mapping; {remedy}")
    if unknown := set(entry) - set(keys):
        raise UserError(f"{place}: unknown keys {sorted(unknown)}; {remedy}")
