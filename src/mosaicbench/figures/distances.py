"""The same scores by Euclidean and by cosine distance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mosaicbench.figures._panels import DASHED, Drawn, grid, legend_of_runs, name_split, nothing
from mosaicbench.report.page.cells import ARROWS
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import BY_DISTANCE, DISTANCES
from mosaicbench.stats.means import OF_LATENTS

CARD = {
    "label": "Euclidean and cosine distance",
    "caption": (
        "Mean scores of the same latents over seeds and directions: by Euclidean distance "
        "(horizontal) and by cosine distance (vertical). On the dashed line the distance does not "
        "matter. Cosine distance ignores the length of a latent, and so a difference in scale "
        "between modalities. If two runs are ordered differently on the two axes, the distance "
        "decides between them."
    ),
    "needs": ["headline", "runs"],
    "per": "split",
}
COLUMNS = ["metric", "run", *DISTANCES, *(f"place_{distance}" for distance in DISTANCES)]
SIDE = 2.5  # inches


def distances(*, headline: pd.DataFrame, runs: pd.DataFrame, theme: Theme) -> Drawn:
    """Draw the scores of one split by either distance; places are among models and baselines."""
    means = headline.pivot(index="run", columns="metric", values="mean")
    of_scores = {score: _both(means, score, theme) for score in OF_LATENTS}
    of_scores = {score: rows for score, rows in of_scores.items() if len(rows)}
    if not of_scores:
        return nothing("No run of this split has a score by both distances.", COLUMNS)
    figure, (panels,) = grid(SIDE * len(of_scores) + 2.2, SIDE + 0.4, 1, len(of_scores))
    for axes, (score, rows) in zip(panels, of_scores.items(), strict=True):
        values = rows[list(DISTANCES)].to_numpy()
        edge = 0.06 * np.ptp(values) or 0.01
        ends = values.min() - edge, values.max() + edge
        axes.plot(ends, ends, zorder=1, **DASHED)
        for row in rows.itertuples():
            look = theme.marker(row.run, size=5.5)
            axes.plot([row.euclidean], [row.cosine], zorder=2, alpha=0.9, **look)
        axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="Euclidean", ylabel="cosine")
        axes.grid()
        axes.set_title(
            f"{theme.label('metrics', score)} {ARROWS[theme.run_metadata.better(score)]}"
        )
    drawn = pd.concat(of_scores.values(), ignore_index=True)[COLUMNS]
    legend_of_runs(figure, theme, drawn["run"])
    name_split(figure, theme, runs)
    return figure, drawn


def _both(means: pd.DataFrame, score: str, theme: Theme) -> pd.DataFrame:
    forms = BY_DISTANCE[score]
    rows = means.reindex(columns=list(forms.values())).set_axis(list(forms), axis=1).dropna()
    competing = filter(theme.run_metadata.competes, theme.order("runs", rows.index))
    rows = rows.loc[list(competing)]
    is_lower = theme.run_metadata.better(score) == "lower"
    places = rows.rank(ascending=is_lower, method="min").add_prefix("place_").astype(int)
    return rows.join(places).rename_axis("run").reset_index().assign(metric=score)
