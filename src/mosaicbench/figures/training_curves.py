"""The training histories: every term of the loss, epoch by epoch."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mosaicbench.figures._panels import (
    Drawn,
    grid,
    handle,
    inches,
    legend_below,
    name_split,
    shape,
    wrapped,
)
from mosaicbench.report.theme import FONT_SIZE, Theme, empty

CARD = {
    "label": "Training curves",
    "caption": (
        "Every term of the loss over the epochs, in nats per cell, summed over features: a line is "
        "one seed of a run. Terms mean the same in every method, but methods sum them over "
        "different paths, so compare shapes, and heights only within a run. For discriminators, "
        "cross-entropy (nats) and accuracy are drawn too. A line ends where training stopped; a "
        "point on the validation loss marks the epoch with the saved weights: the lowest after "
        "the warm-up. scMODAL's terms are means over features, not nats, and it keeps its last "
        "weights. The vertical axis leaves out the start if that would hide the rest."
    ),
    "needs": ["history", "runs"],
    "per": "split",
}
COLUMNS = ["loss", "run", "seed", "epoch", "value"]
VALIDATION = "validation_loss"
KEPT = "kept"  # 1 in the epoch with the saved weights
BESIDE = ("_top_prediction", "_top_domain", KEPT)  # columns of a history that are not curves
WIDTH, HEIGHT = 2.45, 1.9  # inches


def training_curves(*, history: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> Drawn:
    """Draw the histories of the trained runs of one split."""
    is_drawn = ~history["loss"].astype(str).str.endswith(BESIDE)
    drawn = history[is_drawn].dropna(subset="value")[COLUMNS].reset_index(drop=True)
    if drawn.empty:
        return empty("No run of this split was trained."), drawn
    is_kept = (history["loss"] == KEPT) & (history["value"] == 1)
    kept_epochs = history[is_kept].set_index(["run", "seed"])["epoch"]
    losses = theme.order("losses", drawn["loss"])
    named = {run: theme.label("runs", run) for run in theme.order("runs", drawn["run"])}
    lines, columns = shape(len(losses))
    widest = 0.55 + max(inches(name, FONT_SIZE) for name in named.values())
    beside = min(4, len(named), max(1, int(WIDTH * columns / widest)))
    height = 0.4 + HEIGHT * lines + 0.17 * math.ceil(len(named) / beside)
    figure, panels = grid(WIDTH * columns, height, lines, columns)
    panels = panels.ravel()
    for axes, loss in zip(panels, losses, strict=False):
        of_loss = drawn[drawn["loss"] == loss]
        for run in named:
            for seed, curve in of_loss[of_loss["run"] == run].groupby("seed"):
                look = theme.line(run)
                axes.plot(curve["epoch"], curve["value"], linewidth=0.9, alpha=0.85, **look)
                if loss == VALIDATION:
                    kept = curve[curve["epoch"] == kept_epochs.get((run, seed))]
                    axes.plot(kept["epoch"], kept["value"], **theme.marker(run, size=3))
        _limit(axes, of_loss)
        axes.set_title(wrapped(theme.loss(loss), width=24))
        axes.grid(axis="y")
        axes.set_xlabel("epoch")
    for axes in panels[len(losses) :]:
        axes.set_visible(False)
    handles = [handle(name, linewidth=1.6, **theme.line(run)) for run, name in named.items()]
    legend_below(figure, handles, beside)
    name_split(figure, theme, runs)
    return figure, drawn


def _limit(axes: Axes, of_loss: pd.DataFrame) -> None:
    last = of_loss.groupby(["run", "seed"])["epoch"].transform("max")
    settled = of_loss.loc[of_loss["epoch"] >= np.minimum(0.1 * last + 1, last), "value"]
    low, high = of_loss["value"].min(), settled.max()
    edge = 0.05 * (high - low or abs(high) or 1)
    axes.set_ylim(low - edge, high + edge)
