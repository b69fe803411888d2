"""All runs and scores at a glance, on a scale from chance to the oracle."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mosaicbench.report import statistics, tables
from mosaicbench.report.figures._panels import absence, label_rows, name_view
from mosaicbench.report.theme import INK, QUIET, Theme, empty

CARD = {
    "label": "Overview",
    "caption": (
        "Means over seeds, and over directions, as printed; the colour is the mean on a scale from 0, chance (where a metric "
        "has none, the strongest control that knows nothing), to 1, the oracle control of the view (where it gives none, the "
        "best possible value). What lies outside is coloured as the nearer end. Competitors never set the scale. A white cell "
        "has no value: a dash for not applicable or not given, a cross for failed."
    ),
    "needs": ["scores", "runs"],
    "per": "view",
}
METRICS = (
    "foscttm",
    "recall_at_10",
    "label_transfer_accuracy",
    "label_transfer_balanced_accuracy",
    "label_transfer_macro_f1",
    "imputation_pearson_per_feature",
    "imputation_pearson_per_cell",
    "imputation_skill",
)
COLUMNS = ["metric", "run", "mean", "sd", "seeds", "zero", "zero_is", "one", "one_is", "scaled", "shown"]
COLOURS = "YlGnBu"
DARKEST = 0.92


def overview_heat(*, scores: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> tuple[Figure, pd.DataFrame]:
    """Draw the scaled means of one view.

    Parameters
    ----------
    scores, runs
        The rows of one view.
    theme
        Labels, colours and order.

    Returns
    -------
    tuple
        The figure, and one row per metric and run: the mean, both ends of the scale and what they are, the scaled mean.
    """
    summary = tables.headline(scores)
    metrics = [metric for metric in METRICS if metric in set(summary["metric"])]
    rows = theme.order("runs", runs["run"])
    if not metrics:
        return empty("No run of this view has a score to draw."), pd.DataFrame(columns=COLUMNS)
    means = summary.set_index(["metric", "run"])
    drawn = []
    for metric in metrics:
        of_metric = summary[summary["metric"] == metric].set_index("run")["mean"]
        ends = statistics.ends(of_metric, metric, theme.methods, theme.cards)
        for run in rows:
            cell = {"metric": metric, "run": run, "seeds": 0, "shown": absence(runs, run)} | ends
            if (metric, run) in means.index:
                total = means.loc[(metric, run)]
                width = ends["one"] - ends["zero"]
                scaled = (total["mean"] - ends["zero"]) / width if width else np.nan
                fewer = total["directions"] < total["of_directions"]
                shown = tables.number(metric, total["mean"]) + (tables.FEWER if fewer else "")
                cell |= {"mean": total["mean"], "sd": total["sd"], "seeds": total["seeds"], "scaled": scaled, "shown": shown}
            drawn.append(cell)
    drawn = pd.DataFrame(drawn, columns=COLUMNS)

    figure = Figure(figsize=(2.4 + 0.82 * len(metrics), 1.5 + 0.26 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for cell in drawn.itertuples():
        column, row = metrics.index(cell.metric), rows.index(cell.run)
        colour = "white" if np.isnan(cell.scaled) else colormaps[COLOURS](np.clip(cell.scaled, 0, 1) * DARKEST)
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
        ink = QUIET if np.isnan(cell.scaled) else INK if cell.scaled < 0.55 else "white"
        axes.text(column, row, cell.shown, ha="center", va="center", color=ink, fontsize=7 if cell.seeds else 6)
    label_rows(axes, theme, rows)
    axes.set_xlim(-0.5, len(metrics) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(metrics)), [theme.label("metrics", metric) for metric in metrics])
    axes.tick_params(axis="x", length=0, labeltop=True, labelbottom=False, labelcolor=INK, labelrotation=35)
    for label in axes.get_xticklabels():
        label.set(ha="left", va="bottom", rotation_mode="anchor")
    axes.spines[:].set_visible(False)
    name_view(figure, theme, runs)
    bar = figure.colorbar(_colours(), ax=axes, location="bottom", shrink=0.5, aspect=30, pad=0.02, ticks=[0, 1])
    bar.ax.set_xticklabels(["0: chance or strongest negative control", "1: oracle"])
    bar.outline.set_visible(False)
    return figure, drawn


def _colours() -> ScalarMappable:
    """Return the colour scale of the cells; its dark end is left out, so that white text can be read on all of it."""
    colours = colormaps[COLOURS](np.linspace(0, DARKEST, 128))
    return ScalarMappable(norm=Normalize(0, 1), cmap=ListedColormap(colours))
