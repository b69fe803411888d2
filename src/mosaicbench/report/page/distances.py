"""What the report says of the distance between latents: which verdicts depend on it."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report.page.cells import many
from mosaicbench.report.theme import Theme
from mosaicbench.statistics.common import DISTANCE, DISTANCES

WORDS = {"euclidean": "Euclidean", "cosine": "cosine"}


def verdicts(table: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per score: in how many views another run is best by another distance, and where.

    Parameters
    ----------
    table
        Columns ``distances.DISTANCE_COLUMNS``.
    """
    sentences = []
    for score, rows in table.groupby("metric", sort=False):
        label, differ = theme.label("metrics", score), rows[rows["differs"]]
        turned = f"{rows['turned'].sum()} of {many(int(rows['pairs'].sum()), 'pair')} of runs change their order"
        begin = f"{label}: by {' and '.join(WORDS.values())} distance the best run"
        if differ.empty:
            sentences.append(f"{begin} is the same in {_of_views(len(rows))}; {turned}.")
            continue
        where = "; ".join(_change(row, theme) for row in differ.to_dict("records"))
        sentences.append(
            f"{begin} differs in {len(differ)} of {many(len(rows), 'view')}; {turned}. {where}."
        )
    return sentences


def _of_views(count: int) -> str:
    return "the one view" if count == 1 else f"all {count} views"


def _change(row: dict, theme: Theme) -> str:
    """Return who is best by each distance in one view, the headline's first."""
    order = sorted(DISTANCES, key=lambda distance: distance != DISTANCE)
    best = [
        ", ".join(theme.label("runs", run) for run in row[f"best_{distance}"].split(", "))
        for distance in order
    ]
    words = ", ".join(
        f"{WORDS[distance]} {names}" for distance, names in zip(order, best, strict=True)
    )
    return f"{theme.view(row['dataset'], row['scenario'])}: {words}"
