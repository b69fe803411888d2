"""The page of the reference results: a table per scenario, question and dataset, from the store of the package."""

from __future__ import annotations

import pandas as pd
import yaml
from blocks import table
from family import metadata_of

from mosaicbench.files.reference import OF_CELLS, Reference
from mosaicbench.stats.means import headline, signed_means
from mosaicbench.workflow.layout import project_file

QUESTIONS = dict(
    zip(OF_CELLS, ("Alignment", "Label transfer", "Imputation of a cell"), strict=True)
)
HEAD = """# Reference results

Means over seeds and directions with 95 % intervals over seeds, as stored in the package. Put your
method beside them with one command: `mosaicbench challenge my_method.py` ([how](anywhere.md#beside-stored-results)).
Only runs with all seeds have a rank; controls have none."""


def page(stored: Reference) -> str:
    """Return the page as Markdown."""
    listed = yaml.safe_load(project_file("config/reference.yaml").read_text(encoding="utf-8"))
    metadata = metadata_of(stored)
    scores = stored.scores[stored.scores["seed"] < listed["seeds"]]
    means = headline(scores)
    means = means.assign(signed=signed_means(means, metadata))
    by_place = {(one["dataset"], one["scenario"]): one for one in stored.records}
    commits = sorted({one["commit"] for one in stored.pieces})
    parts = [HEAD, f"Commits: {', '.join(commits)}."]
    for scenario, of_scenario in means.groupby("scenario", sort=False):
        parts.append(f"## {scenario.capitalize()}")
        for metric, question in QUESTIONS.items():
            rows = of_scenario[of_scenario["metric"] == metric]
            better = metadata.better(metric)
            parts.append(f"### {question}, {scenario}: `{metric}`, {better} is better")
            for dataset, of_dataset in rows.groupby("dataset", sort=False):
                cells = by_place[dataset, scenario]["cells"]
                sizes = " and ".join(f"{cells[part]:,} {part}" for part in ("train", "query"))
                parts += [f"{dataset}: {sizes} cells", _ranked(of_dataset, metadata.sign(metric))]
    if stored.left_out:
        rows = [[one["dataset"], one["scenario"], one["run"], f"{one['hours']} hours"]
                for one in stored.left_out]  # fmt: skip
        parts += ["## Not run", table(["dataset", "scenario", "run", "a fit would take"], rows)]
    return "\n\n".join(parts) + "\n"


def _ranked(rows: pd.DataFrame, sign: float) -> str:
    """Return the table of one dataset and metric, the best run first."""
    rows = rows.assign(
        rank=rows["signed"].rank(ascending=False, method="min"), order=rows["mean"] * sign
    )
    lines = []
    for row in rows.sort_values("order", ascending=False).to_dict("records"):
        rank = f"{row['rank']:.0f}" if row["rank"] == row["rank"] else "–"
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if row["low"] == row["low"] else "–"
        lines.append([rank, row["run"], f"{row['mean']:.3f}", interval, row["seeds"]])
    return table(["rank", "run", "mean", "95 % interval", "seeds"], lines)
