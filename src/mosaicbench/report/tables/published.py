"""Published numbers beside ours, only where dataset, scenario, definition, direction and split agree; elsewhere the reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pandas as pd
import yaml

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.errors import UserError
from mosaicbench.report.tables.contract import PUBLISHED_COLUMNS
from mosaicbench.workflow import layout

SCHEMA = layout.project_file("workflow/schemas/published.schema.yaml")
NUMBERS = ["value", "value_to", "sd", "precision", "n", "ours", "ours_sd", "ours_seeds"]
SPLITS = {
    "transductive": "fitted on the cells that are scored, ours are held out",
    "leaky": "a transform was fitted on the cells that are scored, ours are held out",
    "unstated": "their split is not stated, ours is held out",
}


def read_published(path: str | Path) -> dict:
    """Read and check ``published.yaml``: definitions, references and numbers.

    Raises
    ------
    UserError
        When the file is absent, is no YAML, breaks its schema, or a number names a reference or definition that is nowhere.
    """
    try:
        published = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; it holds the published numbers") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error})") from error
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(published), key=lambda error: list(map(str, error.path)))
    if errors:
        place = ".".join(map(str, errors[0].absolute_path)) or "top level"
        raise UserError(f"{path}: {place}: {errors[0].message}")
    for place, number in enumerate(published["numbers"]):
        if number["reference"] not in published["references"]:
            raise UserError(
                f"{path}: numbers.{place}: there is no reference {number['reference']!r}"
            )
    return published


def beside_ours(
    published: Mapping,
    comparison: pd.DataFrame,
    kinds: Mapping[str, str],
    run_metadata: RunMetadata,
) -> pd.DataFrame:
    """Return one row per published number, with ours where both mean the same.

    Parameters
    ----------
    published
        As :func:`read_published` gives it.
    comparison
        ``summary.comparison``: our means by direction.
    kinds
        scenario -> its kind ("paired"), in the order of the config. Of several of a kind, ours are of the one that is named
        like its kind, else of the first.
    roster
        Who competes, and what a metric is.

    Returns
    -------
    pandas.DataFrame
        Columns ``contract.PUBLISHED_COLUMNS``. Where `comparable`, `run` is our run of the same method if there is one, else
        our best model or baseline, `same_method` says which, and `our_scenario` is the scenario that it ran in; else `ours` is
        NA, `differs` names what does not agree and `reason` says how. `remark` is the file's own.

    Raises
    ------
    UserError
        When a number's metric has neither a definition in the file nor a card.
    """
    rows = []
    for number in published["numbers"]:
        metric = number["metric"]
        definition = published["definitions"].get(metric) or run_metadata.metric(metric).get(
            "definition"
        )
        if definition is None:
            whose = f"{number['method']} on {number['dataset']}"
            raise UserError(
                f"published number of {whose}: the metric {metric!r} is defined nowhere"
            )
        ours, reasons = _ours(number, comparison, kinds, run_metadata)
        row = {column: number.get(column) for column in PUBLISHED_COLUMNS}
        row |= {"definition": definition, "reference": published["references"][number["reference"]]}
        row |= {
            "comparable": not reasons,
            "differs": ", ".join(reasons),
            "reason": "; ".join(reasons.values()),
        }
        rows.append(row | {"remark": number["reason"]} | ours)
    return pd.DataFrame(rows, columns=PUBLISHED_COLUMNS).astype(dict.fromkeys(NUMBERS, float))


def _ours(
    number: Mapping, comparison: pd.DataFrame, kinds: Mapping[str, str], run_metadata: RunMetadata
) -> tuple[dict[str, object], dict[str, str]]:
    """Return our value, or nothing; and everything that does not agree: what -> why."""
    of_dataset = comparison[comparison["dataset"] == number["dataset"]]
    of_kind = of_dataset[of_dataset["scenario"].map(kinds) == number["scenario"]]
    of_metric = of_kind[of_kind["metric"] == number["metric"]].dropna(subset="mean")
    of_metric = _of_one_scenario(of_metric, number["scenario"], kinds)
    reasons = {}
    if of_dataset.empty:
        reasons["dataset"] = "dataset not in these results"
    elif of_kind.empty:
        reasons["scenario"] = f"no {number['scenario']} scenario of the dataset in these results"
    if not run_metadata.metric(number["metric"]):
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
    lower = run_metadata.better(number["metric"]) == "lower"
    values = _in_direction(
        run_metadata.competing(of_metric), number["direction"], worst="max" if lower else "min"
    )
    if values.empty:
        return {}, {"direction": "no run here gives the score in this direction"}
    same = [run for run in values.index if run_metadata.method(run) == number.get("method_id")]
    run = same[0] if same else values["mean"].idxmin() if lower else values["mean"].idxmax()
    row = {
        "run": run,
        "our_scenario": of_metric["scenario"].iloc[0],
        "same_method": "yes" if same else "no",
    }
    row |= {"ours": values.loc[run, "mean"]}
    return row | {"ours_sd": values.loc[run, "sd"], "ours_seeds": int(values.loc[run, "seeds"])}, {}


def _of_one_scenario(rows: pd.DataFrame, kind: str, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of the scenario that is named like its kind, else of the first in the order of `kinds`."""
    there = set(rows["scenario"])
    names = [name for name in (kind, *kinds) if name in there]
    return rows[rows["scenario"] == names[0]] if names else rows


def _in_direction(rows: pd.DataFrame, direction: str, *, worst: str) -> pd.DataFrame:
    """Return run -> mean, sd and seeds in one direction; of `mean` and `worst` over directions there is no sd here."""
    if direction not in ("mean", "worst"):
        return (
            rows[rows["direction"] == direction]
            .groupby("run", sort=False)[["mean", "sd", "seeds"]]
            .first()
        )
    runs = rows.groupby("run", sort=False)
    means = runs["mean"].agg("mean" if direction == "mean" else worst)
    return pd.DataFrame({"mean": means, "sd": float("nan"), "seeds": runs["seeds"].min()})
