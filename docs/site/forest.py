"""Figures of studies from their committed tables: means or differences with 95 % intervals.

    python docs/site/forest.py

For studies whose figure does not come from their report (`gallery.py`).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from scores import COLUMNS

from mosaicbench.report.theme import QUIET, Theme, read_theme, style

REPOSITORY = Path(__file__).parents[2]
PAGES = REPOSITORY / "docs/results"
IS_SHOWN = f"metric in {list(COLUMNS)}"
SPECS = {  # study -> rows of its table, columns that name a line, columns that name a panel, quantity
    "annealing": (f"against.notna() and {IS_SHOWN}", ["data", "run"], ["metric"], "difference"),
    "departures": (f"against.notna() and {IS_SHOWN}", ["data", "run"], ["metric"], "difference"),
    "transform": (
        f"scenario == 'out-of-fold' and against.notna() and {IS_SHOWN} and direction.str.contains('->')",
        ["dataset", "run"],
        ["metric", "direction"],
        "out of fold minus in sample",
    ),
    "vaeomics": (
        "against.isna() and metric in ['foscttm', 'imputation_skill'] and direction.str.contains('->')"
        " and run in ['ridge', 'vae_mlp', 'vae_poe']",
        ["dataset", "scenario", "run"],
        ["metric", "direction"],
        "mean",
    ),
    "private_variation": (
        "against.notna() and metric == 'shared_features_r2' and scenario == 'paired' and method == 'mmvaepp'"
        " and direction.str.contains('->')",
        ["run"],
        ["direction", "x"],
        "R² minus that of MMVAE",
    ),
}


def main() -> None:
    """Write all figures."""
    theme = read_theme(pd.DataFrame(columns=["run", "method"]))
    with style():
        for study in SPECS:
            _write(study, intervals(study, theme))


def _write(study: str, figure: Figure) -> None:
    figure.savefig(PAGES / f"pictures/{study}.png", dpi=110)


def intervals(study: str, theme: Theme) -> Figure:
    """Return a panel per score: a point and its interval per line."""
    rows, named, panels, quantity = SPECS[study]
    table = pd.read_csv(PAGES / f"{study}.tsv", sep="\t").query(rows, engine="python")
    table["line"] = table[named].astype(str).agg(", ".join, axis=1)
    groups = list(table.groupby(panels, sort=False))
    names = list(dict.fromkeys(table["line"]))
    size = (2.4 + 2 * len(groups), 1.1 + 0.17 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for one, (key, part) in zip(axes, groups, strict=True):
        y = part["line"].map(names.index)
        one.hlines(y, part["low"], part["high"], color=QUIET, linewidth=1)
        one.plot(part["mean"], y, "o", markersize=3.5)
        one.axvline(0, color=QUIET, linewidth=0.6)
        one.set_title(
            "\n".join(
                _label(column, value, theme) for column, value in zip(panels, key, strict=True)
            )
        )
        one.set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    figure.supxlabel(f"{quantity}, 95 % interval", fontsize="medium")
    return figure


def _label(column: str, value: object, theme: Theme) -> str:
    if column == "metric":
        return theme.label("metrics", value)
    return f"{value:g} private features" if column == "x" else str(value)


if __name__ == "__main__":
    main()
