"""The scaled scores in the page, from which the reader's browser makes overall scores and ranks."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.report.page.cells import in_words
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import GROUPS, Tables
from mosaicbench.stats.overall import METRICS, scaled_by_seed, together

RESAMPLES = 1000  # of the seeds, as in assets/choose.js


@dataclass(frozen=True)
class Board:
    """The scaled scores of one scenario.

    `values` are (datasets, metrics, runs, seeds), from 0, chance, to 1, the oracle; NaN without a
    score. `seeds` are (datasets, runs), the number of seeds that the run had to have.
    """

    datasets: list[str]
    metrics: list[str]
    runs: list[str]
    values: np.ndarray
    seeds: np.ndarray


def boards(scores: pd.DataFrame, runs: pd.DataFrame, run_metadata: RunMetadata) -> dict[str, Board]:
    """Return scenario -> its board; `scores` and `runs` are those of ``stats.overall.overall``."""
    found = {}
    for scenario, rows in scaled_by_seed(scores, run_metadata).groupby("scenario", sort=False):
        of_runs = runs[(runs["scenario"] == scenario) & (runs["status"] != "not_applicable")]
        axes = {
            "dataset": list(rows["dataset"].unique()),
            "metric": [metric for metric in METRICS if metric in set(rows["metric"])],
            "run": list(of_runs["run"].unique()),
            "seed": sorted(of_runs["seed"].unique()),
        }
        places = pd.MultiIndex.from_product(axes.values())
        values = rows.set_index(list(axes))["scaled"].reindex(places).to_numpy()
        values = values.reshape([len(names) for names in axes.values()])
        seeds = pd.crosstab(of_runs["dataset"], of_runs["run"])
        seeds = seeds.reindex(index=axes["dataset"], columns=axes["run"], fill_value=0)
        datasets, metrics, names, _ = axes.values()
        found[scenario] = Board(datasets, metrics, names, values, seeds.to_numpy())
    return found


def chooser(tables: Tables, theme: Theme) -> list[dict[str, str]]:
    """Return the title and the JSON of each scenario's board.

    `tables` are those of ``tabulate``; "overall" names the datasets that count by default.
    """
    found, shown = boards(tables["scores"], tables["runs"], theme.run_metadata), []
    for scenario in theme.order("scenarios", found):
        facts = json.dumps(_facts(scenario, found[scenario], tables, theme), allow_nan=False)
        title = theme.label("scenarios", scenario).capitalize()
        shown.append({"title": title, "json": facts.replace("<", "\\u003c")})
    return shown


def _facts(scenario: str, board: Board, tables: Tables, theme: Theme) -> dict:
    usual, checks = together(tables["overall"], scenario), tables["sanity_checks"]
    of_run = checks[checks["scenario"] == scenario].groupby("run")["check"].unique()
    question_of = {metric: name for name, metrics in GROUPS.items() for metric in metrics}
    questions = list(dict.fromkeys(question_of[metric] for metric in board.metrics))
    runs = theme.order("runs", board.runs)
    at = [board.runs.index(run) for run in runs]
    values = np.where(np.isnan(board.values), None, board.values.astype(object))
    return {
        "scenario": scenario,
        "questions": questions,
        "labels": {name: in_words(name).capitalize() for name in questions},
        "datasets": [
            {"id": name, "label": theme.label("datasets", name), "usual": name in usual}
            for name in board.datasets
        ],
        "metrics": [
            {"id": name, "label": theme.label("metrics", name), "question": question_of[name]}
            for name in board.metrics
        ],
        "runs": [
            {
                "id": run,
                "label": theme.label("runs", run),
                "method": theme.run_metadata.method(run),
                "competes": theme.run_metadata.competes(run),
                "colour": theme.colour(run),
                "checks": ", ".join(of_run.get(run, [])),
            }
            for run in runs
        ],
        "seeds": board.seeds[:, at].tolist(),
        "values": values[:, :, at].tolist(),
    }
