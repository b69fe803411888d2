"""The scaled scores in the page, from which the reader's browser makes overall scores and ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mosaicbench.report.page.cells import in_words
from mosaicbench.report.theme import Theme
from mosaicbench.stats.choice import Board, boards
from mosaicbench.stats.common import GROUPS
from mosaicbench.stats.overall import together


def chooser(tables: Mapping[str, pd.DataFrame], theme: Theme) -> list[dict[str, str]]:
    """Return the title and the JSON of each scenario's board.

    `tables` are those of ``tabulate``; "overall" names the datasets that count by default.
    """
    found = boards(tables["scores"], tables["runs"], theme.run_metadata)
    return [
        {
            "title": theme.label("scenarios", scenario).capitalize(),
            "json": json.dumps(
                _facts(scenario, found[scenario], tables, theme), allow_nan=False
            ).replace("<", "\\u003c"),
        }
        for scenario in theme.order("scenarios", found)
    ]


def _facts(scenario: str, board: Board, tables: Mapping[str, pd.DataFrame], theme: Theme) -> dict:
    usual, checks = together(tables["overall"], scenario), tables["sanity_checks"]
    of_run = checks[checks["scenario"] == scenario].groupby("run")["check"].unique()
    question_of = {metric: name for name, metrics in GROUPS.items() for metric in metrics}
    of_metrics = [question_of[metric] for metric in board.metrics]
    questions = [name for name in GROUPS if name in of_metrics]
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
