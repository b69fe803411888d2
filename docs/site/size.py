"""Scores against the number of cells, from the reference results in the package.

    python docs/site/size.py

Writes docs/results/size.tsv, README's figure (docs/scores_by_cells.png) and the sentence below it (between the marks ``size``),
and the findings of docs/results/size.md.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import family
import pandas as pd
from blocks import replaced
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mosaicbench.catalog import catalog
from mosaicbench.files import reference
from mosaicbench.files.atomic import write_text
from mosaicbench.files.tables import write_table
from mosaicbench.report.theme import QUIET, Theme, read_theme, style
from mosaicbench.stats.common import RUN
from mosaicbench.stats.means import comparison, headline

REPOSITORY = Path(__file__).parents[2]
TABLE, FIGURE = REPOSITORY / "docs/results/size.tsv", REPOSITORY / "docs/scores_by_cells.png"
README, PAGE = REPOSITORY / "README.md", REPOSITORY / "docs/results/size.md"
DATASETS, SCENARIO = "covid_citeseq-", "paired"  # their names go on with the number of cells
COLUMNS = ["cells", "run", "metric", "direction", "mean", "low", "high", "seeds", "commit"]
PANELS = {  # metric, direction -> name
    ("label_transfer_accuracy", "mean"): "label transfer",
    ("foscttm", "mean"): "FOSCTTM",
    ("imputation_skill", "rna->adt"): "skill of imputed proteins",
}
REFERENCES = ("knn_impute", "celltype_mean")  # drawn, but neither linear nor deep
PATTERNS = {"deep": "-", "linear": (0, (5, 1.5)), "neither": (0, (1, 1.2))}
SUMMARY = ["metric", "direction", "mean", "low", "high", "seeds"]
WIDTH = 126  # characters of a line of README


def main() -> None:
    """Write the table, the figure, README's sentence and the findings."""
    stored, theme = reference.read(), read_theme(pd.DataFrame(columns=["run", "method"]))
    table = taken(stored, theme)
    write_table(TABLE, table)
    with style():
        drawn(table, theme).savefig(FIGURE, dpi=150)
    write_text(README, refreshed(README.read_text(encoding="utf-8"), sentence(table, theme)))
    write_text(PAGE, with_findings(PAGE.read_text(encoding="utf-8"), stored))


def taken(stored: reference.Reference, theme: Theme) -> pd.DataFrame:
    """Return the means over seeds of all drawn runs: a row per number of cells, run, metric and direction."""
    scores = stored.scores
    ours = scores["dataset"].str.startswith(DATASETS) & (scores["scenario"] == SCENARIO)
    kinds = {run: kind(run, theme) for run in scores["run"].unique()}
    scores = scores[ours & (scores["seed"] < family.SEEDS) & scores["run"].map(kinds).notna()]
    parts = [headline(scores).assign(direction="mean"), comparison(scores)]
    means = pd.concat([part[[*RUN, *SUMMARY]] for part in parts])
    wanted = pd.DataFrame(PANELS.keys(), columns=["metric", "direction"])
    means = means.dropna(subset="mean").merge(wanted).round({"mean": 4, "low": 4, "high": 4})
    records = pd.DataFrame(stored.records).astype({"git_commit": str})
    commits = records.groupby(RUN)["git_commit"].agg(lambda column: ", ".join(sorted(set(column))))
    means = means.merge(commits.rename("commit").reset_index(), on=RUN)
    means["cells"] = means["dataset"].str.removeprefix(DATASETS).astype(int)
    return means.sort_values("cells", kind="stable")[COLUMNS]


def kind(run: str, theme: Theme) -> str | None:
    """Return "deep", "linear" or "neither", None for a run that is not drawn."""
    return "neither" if run in REFERENCES else family.kind_of(run, theme.run_metadata)


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
    """Return the best linear and the best deep run of each score, for the fewest and for the most cells, of several seeds."""
    table = table[table["seeds"] > 1]
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


def with_findings(text: str, stored: reference.Reference) -> str:
    """Return the page with the best deep and the best linear run of each number of cells."""
    compared = family.contests(stored)
    ours = compared["dataset"].str.startswith(DATASETS) & (compared["scenario"] == SCENARIO)
    tables = family.tables(compared[ours], family.SCORES, family.HEADER)
    return replaced(text, "finding", f"\n{tables}\n")


if __name__ == "__main__":
    main()
