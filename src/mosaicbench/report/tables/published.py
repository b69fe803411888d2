"""Published numbers beside ours, if dataset, scenario, definition, direction and split agree."""

from __future__ import annotations

import pandas as pd
import yaml

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.report.tables.contract import PUBLISHED_COLUMNS
from mosaicbench.workflow.layout import project_file

NUMBERS = ["value", "value_to", "sd", "precision", "n", "ours", "ours_sd", "ours_seeds"]
SPLITS = {
    "transductive": "fitted on the cells that are scored, ours are held out",
    "leaky": "a transform was fitted on the cells that are scored, ours are held out",
    "unstated": "their split is not stated, ours is held out",
}


def read_published() -> dict:
    """Read ``config/published.yaml``: definitions, references and numbers."""
    return yaml.safe_load(project_file("config/published.yaml").read_text(encoding="utf-8"))


def beside_ours(
    published: dict,
    comparison: pd.DataFrame,
    kinds: dict[str, str],
    run_metadata: RunMetadata,
) -> pd.DataFrame:
    """Return a row per published number, with ours if both mean the same.

    `published` is the content of ``published.yaml``, `comparison` our means by direction, `kinds`
    scenario -> its kind: of several scenarios of a kind, the one named like its kind counts, else
    the first.

    If `comparable`, `run` is our run of the same method, or else (`same_method` "no") our best
    model or baseline. Otherwise `ours` is NA, `differs` names what does not agree and `reason` says
    how.
    """
    rows = []
    for number in published["numbers"]:
        metric = number["metric"]
        card = run_metadata.metric(metric)
        ours, reasons = _ours(number, comparison, kinds, run_metadata)
        row = {column: number.get(column) for column in PUBLISHED_COLUMNS} | {
            "definition": published["definitions"].get(metric) or card["definition"],
            "reference": published["references"][number["reference"]],
            "comparable": not reasons,
            "differs": ", ".join(reasons),
            "reason": "; ".join(reasons.values()),
            "remark": number["reason"],
        }
        rows.append(row | ours)
    return pd.DataFrame(rows, columns=PUBLISHED_COLUMNS).astype(dict.fromkeys(NUMBERS, float))


def _ours(
    number: dict, comparison: pd.DataFrame, kinds: dict[str, str], run_metadata: RunMetadata
) -> tuple[dict[str, object], dict[str, str]]:
    metric, kind = number["metric"], number["scenario"]
    of_dataset = comparison[comparison["dataset"] == number["dataset"]]
    of_kind = of_dataset[of_dataset["scenario"].map(kinds) == kind]
    of_metric = of_kind[of_kind["metric"] == metric].dropna(subset="mean")
    scenarios = set(of_metric["scenario"])
    scenario = next((name for name in (kind, *kinds) if name in scenarios), None)
    of_metric = of_metric[of_metric["scenario"] == scenario]
    reasons = {}
    if of_dataset.empty:
        reasons["dataset"] = "dataset not in these results"
    elif of_kind.empty:
        reasons["scenario"] = f"no {kind} scenario of the dataset in these results"
    if not run_metadata.metric(metric):
        reasons["definition"] = "another definition than any score here"
    elif not of_kind.empty and of_metric.empty:
        reasons["definition"] = "the score is not in these results"
    if number["split"] != "held_out":
        reasons["split"] = SPLITS[number["split"]]
    if number["direction"] == "unstated":
        reasons["direction"] = "their direction is not stated"
    if number.get("labels"):
        reasons["labels"] = f"labels at level {number['labels']}, ours may be others"
    if number["verdict"] != "usable":
        reasons["verdict"] = f"verdict: {number['verdict']}"
    if reasons:
        return {}, reasons
    lower = run_metadata.better(metric) == "lower"
    competing = run_metadata.competing(of_metric)
    values = _in_direction(competing, number["direction"], worst="max" if lower else "min")
    if values.empty:
        return {}, {"direction": "no run here gives the score in this direction"}
    same = [run for run in values.index if run_metadata.method(run) == number.get("method_id")]
    run = same[0] if same else values["mean"].idxmin() if lower else values["mean"].idxmax()
    ours = {"run": run, "our_scenario": scenario, "same_method": "yes" if same else "no"}
    names = ("ours", "ours_sd", "ours_seeds")
    return ours | dict(zip(names, values.loc[run], strict=True)), {}


def _in_direction(rows: pd.DataFrame, direction: str, *, worst: str) -> pd.DataFrame:
    if direction not in ("mean", "worst"):
        of_direction = rows[rows["direction"] == direction]
        return of_direction.groupby("run", sort=False)[["mean", "sd", "seeds"]].first()
    runs = rows.groupby("run", sort=False)
    means = runs["mean"].agg("mean" if direction == "mean" else worst)
    return pd.DataFrame({"mean": means, "sd": float("nan"), "seeds": runs["seeds"].min()})
