"""How the fits of a report ended, who was fitted on what, and what another distance changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mosaicbench.files.runs import STATUSES
from mosaicbench.report.page.cells import in_words, many
from mosaicbench.report.page.render import sentence
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import DISTANCE, DISTANCES, FAILED, RUN


def fitted_on(records: Sequence[Mapping], history: pd.DataFrame, theme: Theme) -> str:
    """Return which runs hold train cells out for early stopping; "" if all do alike.

    A run that holds no cell out has the loss of the fitted cells as its validation loss.
    """
    losses = history.pivot_table(
        index=[*RUN, "seed", "epoch"], columns="loss", values="value"
    ).reindex(columns=["loss", "validation_loss"])
    is_validated = losses["validation_loss"].sub(losses["loss"]).abs() > 0
    validated = set(losses.index[is_validated].get_level_values("run"))
    held_out: dict[float, set[str]] = {}
    for record in records:
        run = record["run"]
        if theme.run_metadata.competes(run):
            fraction = record["hyperparameters"].get("validation") if run in validated else 0
            held_out.setdefault(float(fraction or 0), set()).add(run)
    fractions = sorted(held_out.items(), reverse=True)
    return sentence("fitted_on", fractions=fractions, theme=theme) if len(fractions) > 1 else ""


def endings(runs: pd.DataFrame) -> str:
    """Return how fits ended and how many runs are not applicable: "6 ok, 1 diverged"."""
    counts = runs["status"].value_counts()
    words = [f"{counts[status]} {in_words(status)}" for status in STATUSES[:-1] if status in counts]
    if absent := counts.get("not_applicable"):
        words.append(f"and {many(absent, 'run')} not applicable")
    return ", ".join(words)


def verdicts(by_distance: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per score: in which splits another distance has another best run."""
    order = sorted(DISTANCES, key=lambda distance: distance != DISTANCE)
    return [
        sentence("verdict", score=score, rows=rows, order=order, theme=theme)
        for score, rows in by_distance.groupby("metric", sort=False)
    ]


def troubles(runs: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per kind of failure; a control is meant to collapse."""
    sentences = []
    for status in (*FAILED, "collapsed"):
        fits = runs[runs["status"] == status]
        fits = theme.run_metadata.competing(fits) if status == "collapsed" else fits
        if len(fits):
            labels = theme.labels("runs", fits["run"])
            sentences.append(f"{many(len(fits), 'fit')} {in_words(status)}: {labels}")
    return sentences
