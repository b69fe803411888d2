"""README's figure, scores against the number of cells, and the sentence under it: both are made of one table.

    python docs/site/size.py                               # from docs/results/size.tsv: figure and sentence
    python docs/site/size.py --take results/studies/size   # before that, the table from a finished study

The figure is docs/scores_by_cells.png; the sentence stands in README.md between ``<!-- size -->`` and its
end mark, so that nobody types a number.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "src"))

import pandas as pd  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

from mosaicbench.catalog import catalog  # noqa: E402
from mosaicbench.errors import UserError  # noqa: E402
from mosaicbench.files.atomic import write_text  # noqa: E402
from mosaicbench.files.tables import read_table  # noqa: E402
from mosaicbench.report.records import read_records  # noqa: E402
from mosaicbench.report.tables.contract import read_tables  # noqa: E402
from mosaicbench.report.theme import QUIET, Theme, read_theme, style  # noqa: E402
from mosaicbench.stats.common import RUN  # noqa: E402
from mosaicbench.workflow.layout import Results  # noqa: E402

TABLE, FIGURE, README = (
    REPOSITORY / name for name in ("docs/results/size.tsv", "docs/scores_by_cells.png", "README.md")
)
BEGIN, END = "<!-- size -->", "<!-- /size -->"
COLUMNS = ["cells", "run", "metric", "direction", "mean", "low", "high", "seeds", "commit"]
# What is drawn, and what the sentence calls it: metric, direction -> name.
PANELS = {
    ("label_transfer_accuracy", "mean"): "label transfer",
    ("foscttm", "mean"): "FOSCTTM",
    ("imputation_skill", "rna->adt"): "skill of imputed proteins",
}
LINEAR = ("cca", "pca_joint", "procrustes", "ridge", "linear")
REFERENCES = ("knn_impute", "celltype_mean")  # drawn, but neither linear nor deep
PATTERNS = {"deep": "-", "linear": (0, (5, 1.5)), "other": (0, (1, 1.2))}
WIDTH = 126  # characters of a line of README


def main(study: Path | None) -> None:
    """Write the table where a study is given, then the figure and README's sentence."""
    if study is not None:
        write_text(TABLE, taken(study).to_csv(sep="\t", index=False))
    table = read_table(TABLE)
    theme = read_theme(REPOSITORY / "config/display.yaml", pd.DataFrame(columns=["run", "method"]))
    with style():
        drawn(table, theme).savefig(FIGURE, dpi=150)
    text = README.read_text(encoding="utf-8")
    write_text(README, refreshed(text, sentence(table, theme)))


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
    commits = (
        fits.groupby(RUN)["commit"]
        .agg(lambda of_seeds: ", ".join(sorted(set(of_seeds))))
        .reset_index()
    )
    found = {
        "mean": ("mean", "first"),
        "low": ("low", "first"),
        "high": ("high", "first"),
        "seeds": ("value", "count"),
    }
    rows = tables["sweep"].dropna(subset="mean")
    means = rows.groupby(["x", *RUN, "metric", "direction"], sort=False, as_index=False).agg(
        **found
    )
    means = means.merge(commits, on=RUN).rename(columns={"x": "cells"}).astype({"cells": int})
    return means.round({"mean": 4, "low": 4, "high": 4})[COLUMNS]


def kind(run: str, theme: Theme) -> str | None:
    """Return "deep", "linear" or "other", None for what is not drawn."""
    if run in LINEAR:
        return "linear"
    if run in REFERENCES:
        return "other"
    return "deep" if theme.run_metadata.kind(run) == "model" else None


def drawn(table: pd.DataFrame, theme: Theme) -> Figure:
    """Return the figure: a panel per score, a line per run, bars of 95 % intervals over seeds."""
    figure = Figure(figsize=(9.6, 3.5), layout="constrained")
    runs = [
        run for run in theme.order("runs", table["run"].unique()) if kind(run, theme) is not None
    ]
    for axes, ((metric, direction), name) in zip(
        figure.subplots(1, len(PANELS)), PANELS.items(), strict=True
    ):
        _panel(
            axes,
            table[(table["metric"] == metric) & (table["direction"] == direction)],
            runs,
            theme,
        )
        better = {"lower": " ↓", "higher": " ↑"}[theme.run_metadata.better(metric)]
        axes.set_title(name[0].upper() + name[1:] + better)
        axes.set_xlabel("cells")
    handles = [
        Line2D([], [], label=theme.label("runs", run), **_stroke(run, theme)) for run in runs
    ]
    words = {"deep": "deep", "linear": "linear", "other": "neither"}
    handles += [
        Line2D([], [], color=QUIET, linestyle=PATTERNS[key], label=word)
        for key, word in words.items()
    ]
    figure.legend(handles=handles, loc="outside right center", handletextpad=0.5)
    return figure


def _stroke(run: str, theme: Theme) -> dict:
    return {"color": theme.colour(run), "linestyle": PATTERNS[kind(run, theme)], "linewidth": 1.4}


def _panel(axes: Axes, rows: pd.DataFrame, runs: list[str], theme: Theme) -> None:
    sizes = sorted(rows["cells"].unique())
    for place, run in enumerate(runs):
        line = rows[rows["run"] == run].sort_values("cells")
        x = line["cells"] * 1.015 ** (place - len(runs) / 2)  # side by side, for the eye
        axes.plot(x, line["mean"], marker="o", markersize=2.4, **_stroke(run, theme))
        axes.vlines(x, line["low"], line["high"], color=theme.colour(run), linewidth=0.8, alpha=0.6)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=40)
    axes.minorticks_off()
    axes.grid(axis="y")
    if len(drawn_values := rows.loc[rows["run"].isin(runs), "mean"]):
        margin = 0.12 * (
            drawn_values.max() - drawn_values.min()
        )  # intervals of few seeds may reach far beyond
        axes.set_ylim(drawn_values.min() - margin, drawn_values.max() + margin)


def sentence(table: pd.DataFrame, theme: Theme) -> str:
    """Return what the table says of its fewest and of its most cells: the best linear and the best deep run of each score."""
    sizes = sorted(table["cells"].unique())
    least, most = f"{sizes[0]:,}", f"{sizes[-1]:,}"
    few, many = (_led(table[table["cells"] == size], theme) for size in (sizes[0], sizes[-1]))
    scores = [f"{name} {few[name][0]}, {many[name][0]}" for name in few if name in many]
    seeds = table["seeds"].max()
    firsts = [sum(linear for _, linear in at.values()) for at in (few, many)]
    return (
        f"Means over {seeds} seeds with 95 % intervals, of one CITE-seq dataset ([how](docs/results/size.md)). Best "
        f"linear / best published deep method of {least} and of {most} cells: {'; '.join(scores)}. A linear method is first in "
        f"{firsts[0]} and in {firsts[1]} of these {len(scores)} scores."
    )


def _led(rows: pd.DataFrame, theme: Theme) -> dict[str, tuple[str, bool]]:
    """Return, by name of score: the best linear mean against the best deep one, and whether the linear one is better.

    This project's own model takes no part.
    """
    found = {}
    for (metric, direction), name in PANELS.items():
        means = rows[(rows["metric"] == metric) & (rows["direction"] == direction)].set_index(
            "run"
        )["mean"]
        sign = -1 if theme.run_metadata.better(metric) == "lower" else 1
        best = {}
        for side in ("linear", "deep"):
            others = [
                run
                for run in means.index
                if kind(run, theme) == side and not catalog.card("methods", run).get("in_house")
            ]
            of_side = sign * means[others]
            if len(of_side):
                best[side] = of_side.idxmax()
        if len(best) == 2:
            told = " / ".join(
                f"{means[run]:.3f} ({theme.label('runs', run)})" for run in best.values()
            )
            found[name] = told, bool(sign * means[best["linear"]] > sign * means[best["deep"]])
    return found


def refreshed(text: str, said: str) -> str:
    """Return README's text with a new sentence between its marks.

    Raises
    ------
    UserError
        When one of the marks is not there exactly once.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise UserError(f"{README}: needs {BEGIN} and {END} once each; mend it and run again")
    before, rest = text.split(BEGIN)
    whole = textwrap.fill(
        f"{BEGIN}{said}{END}", WIDTH, break_long_words=False, break_on_hyphens=False
    )
    return before + whole + rest.split(END)[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--take", type=Path, metavar="STUDY", help="write the table anew from this study's results"
    )
    try:
        main(parser.parse_args().take)
    except (UserError, OSError) as error:
        sys.exit(f"size: {error}")
