"""README's figure of scores against the number of cells, and the sentence below it, both from one table.

    python docs/site/size.py                               # figure and sentence, from docs/results/size.tsv
    python docs/site/size.py --take results/studies/size   # first the table, from a finished study

The figure is docs/scores_by_cells.png; the sentence is between the marks ``size`` of README.md.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

import pandas as pd
from blocks import replaced
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mosaicbench.catalog import catalog
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.tables import read_table
from mosaicbench.report.records import read_records
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.report.theme import QUIET, Theme, read_theme, style
from mosaicbench.stats.common import RUN
from mosaicbench.workflow.layout import Results

REPOSITORY = Path(__file__).parents[2]
TABLE, FIGURE = REPOSITORY / "docs/results/size.tsv", REPOSITORY / "docs/scores_by_cells.png"
README = REPOSITORY / "README.md"
COLUMNS = ["cells", "run", "metric", "direction", "mean", "low", "high", "seeds", "commit"]
PANELS = {  # metric, direction -> name
    ("label_transfer_accuracy", "mean"): "label transfer",
    ("foscttm", "mean"): "FOSCTTM",
    ("imputation_skill", "rna->adt"): "skill of imputed proteins",
}
LINEAR = ("cca", "pca_joint", "procrustes", "ridge")  # `linear` scores as CCA and ridge
REFERENCES = ("knn_impute", "celltype_mean")  # drawn, but neither linear nor deep
PATTERNS = {"deep": "-", "linear": (0, (5, 1.5)), "neither": (0, (1, 1.2))}
WIDTH = 126  # characters of a line of README


def main(study: Path | None) -> None:
    """Write the table of a given study, then the figure and README's sentence."""
    if study is not None:
        write_text(TABLE, taken(study).to_csv(sep="\t", index=False))
    table = read_table(TABLE)
    theme = read_theme(pd.DataFrame(columns=["run", "method"]))
    with style():
        drawn(table, theme).savefig(FIGURE, dpi=150)
    write_text(README, refreshed(README.read_text(encoding="utf-8"), sentence(table, theme)))


def taken(study: Path) -> pd.DataFrame:
    """Return the means over seeds of a finished study: one row per number of cells, run, metric and direction.

    Raises
    ------
    ContractError
        When the study has no finished tables.
    """
    results = Results(study)
    tables = read_tables(results.tables)
    fits = tables["runs"][tables["runs"]["status"] != "not_applicable"]
    fits = fits.assign(commit=[record["git_commit"] for record in read_records(results, fits)])
    commits = fits.groupby(RUN)["commit"].agg(lambda column: ", ".join(sorted(set(column))))
    found = {name: (name, "first") for name in ("mean", "low", "high")}
    rows = tables["sweep"].dropna(subset="mean")
    groups = rows.groupby(["x", *RUN, "metric", "direction"], sort=False, as_index=False)
    means = groups.agg(**found, seeds=("value", "count")).round({"mean": 4, "low": 4, "high": 4})
    means = means.merge(commits.reset_index(), on=RUN).rename(columns={"x": "cells"})
    return means.astype({"cells": int})[COLUMNS]


def kind(run: str, theme: Theme) -> str | None:
    """Return "deep", "linear" or "neither", None for a run that is not drawn."""
    if run in LINEAR:
        return "linear"
    if run in REFERENCES:
        return "neither"
    return "deep" if theme.run_metadata.kind(run) == "model" else None


def drawn(table: pd.DataFrame, theme: Theme) -> Figure:
    """Return the figure: a panel per score, a line per run, bars of 95 % intervals over seeds."""
    figure = Figure(figsize=(9.6, 3.5), layout="constrained")
    runs = [run for run in theme.order("runs", table["run"].unique()) if kind(run, theme)]
    panels = figure.subplots(1, len(PANELS))
    for axes, ((metric, direction), name) in zip(panels, PANELS.items(), strict=True):
        _panel(axes, _rows(table, metric, direction), runs, theme)
        better = {"lower": " ↓", "higher": " ↑"}[theme.run_metadata.better(metric)]
        axes.set_title(name[0].upper() + name[1:] + better)
        axes.set_xlabel("cells")
    lines = [Line2D([], [], label=theme.label("runs", run), **_stroke(run, theme)) for run in runs]
    for name, pattern in PATTERNS.items():
        lines.append(Line2D([], [], color=QUIET, linestyle=pattern, label=name))
    figure.legend(handles=lines, loc="outside right center", handletextpad=0.5)
    return figure


def _rows(table: pd.DataFrame, metric: str, direction: str) -> pd.DataFrame:
    return table[(table["metric"] == metric) & (table["direction"] == direction)]


def _stroke(run: str, theme: Theme) -> dict:
    return {"color": theme.colour(run), "linestyle": PATTERNS[kind(run, theme)], "linewidth": 1.4}


def _panel(axes: Axes, rows: pd.DataFrame, runs: list[str], theme: Theme) -> None:
    sizes = sorted(rows["cells"].unique())
    for place, run in enumerate(runs):
        line = rows[rows["run"] == run].sort_values("cells")
        x = line["cells"] * 1.015 ** (place - len(runs) / 2)  # side by side
        axes.plot(x, line["mean"], marker="o", markersize=2.4, **_stroke(run, theme))
        axes.vlines(x, line["low"], line["high"], color=theme.colour(run), linewidth=0.8, alpha=0.6)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=40)
    axes.minorticks_off()
    axes.grid(axis="y")
    means = rows.loc[rows["run"].isin(runs), "mean"]
    margin = 0.12 * (means.max() - means.min())  # intervals of few seeds may reach far beyond
    axes.set_ylim(means.min() - margin, means.max() + margin)


def sentence(table: pd.DataFrame, theme: Theme) -> str:
    """Return the best linear and the best deep run of each score, for the fewest and for the most cells."""
    sizes = [table["cells"].min(), table["cells"].max()]
    few, many = (_best(table[table["cells"] == size], theme) for size in sizes)
    scores = [f"{name} {few[name][0]}, {many[name][0]}" for name in few if name in many]
    first, last = (sum(is_linear for _, is_linear in best.values()) for best in (few, many))
    return (
        f"Means over {table['seeds'].max()} seeds with 95 % intervals, of one CITE-seq dataset "
        f"([how](docs/results/size.md)). Best linear / best published deep method of {sizes[0]:,} and of {sizes[1]:,} "
        f"cells: {'; '.join(scores)}. A linear method is first in {first} and in {last} of these {len(scores)} scores."
    )


def _best(rows: pd.DataFrame, theme: Theme) -> dict[str, tuple[str, bool]]:
    """Return score -> (best linear and best published deep mean, whether the linear one is better)."""
    found = {}
    for (metric, direction), name in PANELS.items():
        means = _rows(rows, metric, direction).set_index("run")["mean"]
        sign = -1 if theme.run_metadata.better(metric) == "lower" else 1
        best = {}
        for run in (sign * means).sort_values(ascending=False).index:
            if not catalog.card("methods", run).get("in_house"):
                best.setdefault(kind(run, theme), run)
        if {"linear", "deep"} <= set(best):
            linear, deep = best["linear"], best["deep"]
            shown = [f"{means[run]:.3f} ({theme.label('runs', run)})" for run in (linear, deep)]
            found[name] = " / ".join(shown), bool(sign * means[linear] > sign * means[deep])
    return found


def refreshed(text: str, new: str) -> str:
    """Return README's text with a new sentence between its marks."""
    line = f"<!-- size -->{new}<!-- /size -->"
    filled = textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)
    block = filled.removeprefix("<!-- size -->").removesuffix("<!-- /size -->")
    return replaced(text, "size", block)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--take", type=Path, metavar="STUDY", help="first write the table from this study's results"
    )
    try:
        main(parser.parse_args().take)
    except (UserError, OSError) as error:
        sys.exit(f"size: {error}")
