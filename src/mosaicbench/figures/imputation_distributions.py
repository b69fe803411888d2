"""How measured and imputed values of a feature are distributed over cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mosaicbench.figures._features import PLACES, features_of
from mosaicbench.figures._panels import name_cells, shortened
from mosaicbench.report.projections import MEASURED
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import FAINT, INK, QUIET, Theme, empty

CARD = {
    "label": "Distributions of measured and imputed values",
    "caption": (
        "Histograms over query cells of the first seed (at most 500 at random) of the features that are imputed best, "
        "middling and worst by Pearson r, averaged over the runs shown. Top row and grey: measured; below, each run's "
        "imputed values, the tick its mean. Heights are scaled to each row's highest bar. An imputation that is too sure is "
        "narrower than what was measured; one that misses dropout has no peak at 0."
    ),
    "needs": ["imputed_values", "runs"],
    "per": "view",
}
COLUMNS = ["direction", "place", "space", "feature", "run", "low", "high", "cells", "of_cells"]
BINS = 30
ROW = 0.36  # inches


def imputation_distributions(
    *, imputed_values: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> tuple[Figure, pd.DataFrame]:
    """Draw the distributions of one view.

    Returns
    -------
    tuple
        The figure, and one row per feature, run and bar: its ends and the cells in it.
    """
    if imputed_values.empty:
        return empty("No run that was projected imputes a modality."), pd.DataFrame(columns=COLUMNS)
    rows = [MEASURED, *theme.order("runs", imputed_values["run"])]
    features = features_of(imputed_values, theme)
    directions = theme.directions(imputed_values["direction"])
    figure = Figure(
        figsize=(7.4, 0.5 + len(directions) * (0.7 + ROW * len(rows))), layout="constrained"
    )
    panels = figure.subplots(len(directions), len(PLACES), squeeze=False, sharey=True)
    drawn = []
    for direction, place, feature in features:
        axes = panels[directions.index(direction), list(PLACES).index(place)]
        of_feature = imputed_values[
            (imputed_values["direction"] == direction) & (imputed_values["place"] == place)
        ]
        bins = np.histogram_bin_edges(of_feature[["measured", "imputed"]].to_numpy(), BINS)
        measured = of_feature.drop_duplicates("cell")["measured"]
        for row, run in enumerate(rows):
            values = (
                measured if run == MEASURED else of_feature.loc[of_feature["run"] == run, "imputed"]
            )
            _histogram(
                axes,
                row,
                values,
                bins,
                QUIET if run == MEASURED else theme.colour(run),
                ground=measured,
            )
            counts = np.histogram(values, bins)[0]
            table = pd.DataFrame(
                {"low": bins[:-1], "high": bins[1:], "cells": counts, "of_cells": len(values)}
            )
            named = {
                "direction": direction,
                "place": place,
                "space": of_feature["space"].iloc[0],
                "feature": feature,
            }
            drawn.append(table.assign(**named, run=run))
        axes.set_title(f"{PLACES[place]}: {shortened(feature, most=22)}", fontweight="normal")
        axes.set_ylim(len(rows) - 0.85, -1)
        axes.spines["left"].set_visible(False)
    for axes_of_direction, direction in zip(panels, directions, strict=True):
        axes_of_direction[0].tick_params(axis="y", length=0)
        axes_of_direction[0].set_yticks(
            range(len(rows)), ["measured", *[theme.label("runs", run) for run in rows[1:]]]
        )
        for axes in axes_of_direction[1:]:
            axes.yaxis.set_visible(False)
        axes_of_direction[0].set_ylabel(theme.direction(direction), fontweight="bold")
        axes_of_direction[1].set_xlabel("value")
    name_cells(
        figure, theme, runs, imputed_values["seed"].iloc[0], imputed_values["cell"].nunique()
    )
    return figure, pd.concat(drawn, ignore_index=True)[COLUMNS]


def _histogram(
    axes: Axes, row: int, values: pd.Series, bins: np.ndarray, colour: str, *, ground: pd.Series
) -> None:
    """Draw a histogram that stands on a row's line, before the measured one in grey."""
    if values.empty:
        axes.text(
            0.02, row, NOT_GIVEN, transform=axes.get_yaxis_transform(), color=QUIET, fontsize=7
        )
        return
    for x, face in ((ground, FAINT), (values, colour)):
        counts = np.histogram(x, bins)[0]
        heights = 0.85 * counts / counts.max()
        axes.stairs(
            row - heights,
            bins,
            baseline=row,
            fill=True,
            color=face,
            alpha=0.75 if face == colour else 1,
        )
    axes.plot([values.mean()] * 2, [row, row - 0.3], color=INK, linewidth=1.2)
