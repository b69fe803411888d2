"""How things look and what they are called: ``config/display.yaml``, cards, and matplotlib's settings."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from mosaicbench.catalog.run_metadata import KINDS, RunMetadata, run_metadata_of
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import atomic
from mosaicbench.files.tables import write_table

MARKERS = {"model": "o", "baseline": "s", "control": "D"}
NAMED = ("methods", "runs", "metrics", "datasets", "scenarios", "modalities", "groups", "losses")
SPARE = "#777777"
MARKED = ("methods", "runs")
OWN_MARK = " (own)"  # after the name of a method that this project made up, wherever it is named
ELSEWHERE_MARK = " (elsewhere)"  # after the name of a run that was computed outside of the benchmark, wherever it is named
TUNED_MARK = " (tuned)"  # after the name of the run whose settings were searched for
INK, QUIET, FAINT = "#222222", "#666666", "#E4E4E4"
DPI = 150
SAVED = {  # kind of picture -> keywords of `savefig`: nothing of when and by what; the PNG about as small in half the time
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
}
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NOT_DRAWN = "not_drawn"  # the column of the numbers of a figure that could not be drawn; it holds the reason
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#BBBBBB",
    "axes.formatter.use_mathtext": False,
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
    "text.hinting": "none",  # else a PNG's text is wider than an SVG's, of which the layout is, and long names are cut
    "text.parse_math": False,  # names of cell types and features are literal: a dollar is a dollar
    "text.usetex": False,
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
    roster
        Every run, metric and dataset with its card.
    """

    display: Mapping[str, dict]
    run_metadata: RunMetadata

    def label(self, room: str, name: str) -> str:
        """Return the human-readable name of an id: of display.yaml, else of its card, else the id.

        A method that this project made up, and every run of it, is marked as such, whatever it is called; so is a run that was
        computed elsewhere.
        """
        label = self._unmarked(room, name)
        if room in MARKED and self.run_metadata.is_own(name):
            return label + OWN_MARK
        return label + (
            ELSEWHERE_MARK if room == "runs" and self.run_metadata.is_external(name) else ""
        )

    def _unmarked(self, room: str, name: str) -> str:
        listed = self.display[room].get(name, {}).get("label")
        if room == "runs":
            if (base := self.run_metadata.tuned_from(name)) is not None:
                return listed or self._unmarked("runs", base) + TUNED_MARK
            return listed or (
                name if self.run_metadata.is_ablation(name) else self._unmarked("methods", name)
            )
        return listed or self.run_metadata.cards.get(room, {}).get(name, {}).get("label") or name

    def metric_of(self, family: str, name: str) -> str:
        """Return a metric's label under the heading of its family, whose name it need not repeat."""
        return self.label("metrics", name).removeprefix(f"{self.label('groups', family)} ")

    def loss(self, name: str) -> str:
        """Return "Negative log-likelihood, RNA" for "nll_rna": the label of a loss, or of what its name starts with."""
        start = self._start_of_loss(name)
        if start is None:
            return name.replace("_", " ")
        rest = [
            self.label("modalities", part) for part in name[len(start) + 1 :].split("_") if part
        ]
        return ", ".join([self.label("losses", start), *([" ".join(rest)] if rest else [])])

    def direction(self, direction: str) -> str:
        """Return "RNA → ADT" for "rna->adt"."""
        return " → ".join(self.label("modalities", name) for name in direction.split("->"))

    def directions(self, names: Iterable[str]) -> list[str]:
        """Return directions in the order of their sources, then targets."""
        distinct = dict.fromkeys(names)
        places = self.order("modalities", (part for name in distinct for part in name.split("->")))
        return sorted(distinct, key=lambda name: [places.index(part) for part in name.split("->")])

    def split(self, dataset: str, scenario: str) -> str:
        """Return the title of a split."""
        return f"{self.label('datasets', dataset)}, {self.label('scenarios', scenario)}"

    def order(self, room: str, names: Iterable[str]) -> list[str]:
        """Return the distinct names in display order: runs by kind, then as listed; what is not listed comes last, sorted."""
        distinct = list(dict.fromkeys(names))
        if room == "runs":
            return self._order_of_runs(distinct)
        listed = list(self.display[room])
        entries = {
            name: self._start_of_loss(name) if room == "losses" else name for name in distinct
        }
        places = {
            name: listed.index(entry) if entry in listed else len(listed)
            for name, entry in entries.items()
        }
        return sorted(distinct, key=lambda name: (places[name], name))

    def _order_of_runs(self, runs: list[str]) -> list[str]:
        """Return runs by kind, by method, and within a method its ablations last."""
        run_metadata = self.run_metadata
        methods = self.order("methods", map(run_metadata.method, runs))
        places = {
            run: (
                KINDS.index(run_metadata.kind(run)),
                methods.index(run_metadata.method(run)),
                run_metadata.is_ablation(run),
                run,
            )
            for run in runs
        }
        return sorted(runs, key=places.get)

    def colour(self, run: str) -> str:
        """Return a run's colour, the same in every figure: its method's, unless display.yaml gives the run one of its own."""
        method = self.run_metadata.method(run)
        listed = self.display["runs"].get(run, {}).get("colour") or self.display["methods"].get(
            method, {}
        ).get("colour")
        return listed or self._spare_colour(method)

    def marker(self, run: str, *, size: float) -> dict:
        """Return matplotlib's keywords for a run's points: shape by kind unless display.yaml says, open for an ablation."""
        face = "white" if self.run_metadata.is_ablation(run) else self.colour(run)
        shape = self._marker_of_method(run) or MARKERS[self.run_metadata.kind(run)]
        return {
            "marker": shape,
            "ms": size,
            "mfc": face,
            "mec": self.colour(run),
            "linestyle": "none",
        }

    def line(self, run: str) -> dict:
        """Return matplotlib's keywords for a run's line: dotted for an ablation, dashed for a method with its own marker."""
        style = (
            ":"
            if self.run_metadata.is_ablation(run)
            else "--"
            if self._marker_of_method(run)
            else "-"
        )
        return {"color": self.colour(run), "linestyle": style}

    def _marker_of_method(self, run: str) -> str | None:
        """Return the marker that display.yaml gives a run's method."""
        return self.display["methods"].get(self.run_metadata.method(run), {}).get("marker")

    def palette(self, room: str, names: Iterable[str]) -> dict[str, str]:
        """Return name -> colour for modalities in display order, or for cell types, batches or clusters, sorted."""
        ordered = self.order("modalities", names) if room == "modalities" else sorted(set(names))
        spare = _shaded(self.display["colours"]["cell_type"])
        listed = self.display.get(room, {})
        return {
            name: listed.get(name, {}).get("colour") or spare[place % len(spare)]
            for place, name in enumerate(ordered)
        }

    def _start_of_loss(self, name: str) -> str | None:
        """Return the longest listed loss that a loss's name is, or starts with."""
        listed = [
            start
            for start in self.display["losses"]
            if name == start or name.startswith(f"{start}_")
        ]
        return max(listed, key=len, default=None)

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
    return Theme(display=_read_display(display), run_metadata=run_metadata_of(runs))


def style() -> rc_context:
    """Return the context in which every figure is made and saved."""
    return rc_context(STYLE)


def empty(sentence: str, *, title: str = "") -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = Figure(figsize=(7, 1.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.text(
        0.5,
        0.5,
        sentence,
        ha="center",
        va="center",
        color=QUIET,
        transform=axes.transAxes,
        wrap=True,
    )
    if title:
        axes.text(
            0.02, 0.92, title, ha="left", va="top", fontweight="bold", transform=axes.transAxes
        )
    return figure


def not_drawn(label: str, error: Exception) -> tuple[Figure, pd.DataFrame]:
    """Return what stands in the place of a figure that could not be drawn: the reason, as a picture and as its table."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return empty(f"This figure could not be drawn ({reason}).", title=label), pd.DataFrame(
        {NOT_DRAWN: [reason]}
    )


def save(figure: Figure, drawn: pd.DataFrame, stem: Path) -> None:
    """Write ``stem.svg``, ``stem.png`` and ``stem.tsv``; the same figure gives the same bytes.

    The suffix is added to the stem as it is, so a figure's name may hold a dot. Nothing is written where a picture cannot be
    made.
    """
    _settle(figure)
    pictures = {}
    for kind, options in SAVED.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, **options)
        pictures[kind] = buffer.getvalue()
    pictures["svg"] = NOT_IN_XML.sub("\ufffd", pictures["svg"].decode("utf-8")).encode("utf-8")
    for kind, picture in pictures.items():
        with atomic(stem.with_name(f"{stem.name}.{kind}")) as temporary:
            temporary.write_bytes(picture)
    write_table(stem.with_name(f"{stem.name}.tsv"), drawn)


def _settle(figure: Figure) -> None:
    """Lay a figure out, once for all its pictures.

    `savefig` would do so too, but draws the whole figure for it, and throws the drawing away.
    """
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if not axis.get_label_text():
            axis.set_label_coords(
                0, 0
            )  # else a place beside the ticks is looked for, though there is no label
    if (engine := figure.get_layout_engine()) is not None:
        FigureCanvasSVG(figure)  # whose sizes of text the layout is of
        engine.execute(figure)
        figure.set_layout_engine(None)


def _shaded(colours: list[str]) -> list[str]:
    """Return the colours, then paler, then darker ones of the same hues, for more names than there are colours."""
    paler = [to_hex(0.45 * np.array(to_rgb(colour)) + 0.55) for colour in colours]
    darker = [to_hex(0.5 * np.array(to_rgb(colour))) for colour in colours]
    return [*colours, *paler, *darker]


def _read_display(path: str | Path) -> dict[str, dict]:
    try:
        display = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; `config/display.yaml` holds labels, colours and order"
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(display, dict) or (unknown := set(display) - {*NAMED, "colours"}):
        fault = f"unknown keys {sorted(unknown)}" if isinstance(display, dict) else "not a mapping"
        raise UserError(f"{path}: {fault}; the keys are {', '.join(NAMED)} and colours")
    complete = {room: display.get(room) or {} for room in (*NAMED, "colours")}
    for room in NAMED:
        for name, entry in complete[room].items():
            if not isinstance(entry, dict) or (wrong := set(entry) - {"label", "colour", "marker"}):
                fault = (
                    f"unknown keys {sorted(wrong)}" if isinstance(entry, dict) else "not a mapping"
                )
                raise UserError(
                    f"{path}: {room}.{name}: {fault}; write {{label: …, colour: …, marker: …}}"
                )
    complete["colours"].setdefault("cell_type", [SPARE])
    return complete
