"""Published numbers beside ours, only where dataset, scenario, definition, direction and split agree; elsewhere the reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pandas as pd
import yaml

from mosaicbench import layout
from mosaicbench.errors import UserError
from mosaicbench.report import tables

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
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; it holds the published numbers") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error})") from error
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(found), key=lambda error: list(map(str, error.path)))
    if errors:
        place = ".".join(map(str, errors[0].absolute_path)) or "top level"
        raise UserError(f"{path}: {place}: {errors[0].message}")
    for place, number in enumerate(found["numbers"]):
        if number["reference"] not in found["references"]:
            raise UserError(f"{path}: numbers.{place}: there is no reference {number['reference']!r}")
    return found


def beside_ours(
    published: Mapping, comparison: pd.DataFrame, runs: pd.DataFrame, kinds: Mapping[str, str], cards: tables.Cards
) -> pd.DataFrame:
    """Return one row per published number, with ours where both mean the same.

    Parameters
    ----------
    published
        As :func:`read_published` gives it.
    comparison
        ``tables.comparison``: our means by direction.
    runs
        The table of runs.
    kinds
        scenario -> its kind ("paired").
    cards
        room -> id -> card, for "metrics" and "methods".

    Returns
    -------
    pandas.DataFrame
        Columns ``tables.PUBLISHED_COLUMNS``. Where `comparable`, `run` is our run of the same method if there is one, else our
        best model or baseline, and `same_method` says which; else `ours` is NA, `differs` names what does not agree
        and `reason` says how. `remark` is the file's own.

    Raises
    ------
    UserError
        When a number's metric has neither a definition in the file nor a card.
    """
    rows = []
    for number in published["numbers"]:
        metric = number["metric"]
        definition = published["definitions"].get(metric) or cards["metrics"].get(metric, {}).get("definition")
        if definition is None:
            whose = f"{number['method']} on {number['dataset']}"
            raise UserError(f"published number of {whose}: the metric {metric!r} is defined nowhere")
        ours, reasons = _ours(number, comparison, runs, kinds, cards)
        known = {column: number.get(column) for column in tables.PUBLISHED_COLUMNS}
        known |= {"definition": definition, "reference": published["references"][number["reference"]]}
        known |= {"comparable": ours is not None, "differs": ", ".join(reasons), "reason": "; ".join(reasons.values())}
        known |= {"remark": number["reason"]}
        rows.append(known | (ours or {}))
    found = pd.DataFrame(rows, columns=tables.PUBLISHED_COLUMNS)
    return found.astype(dict.fromkeys(NUMBERS, float))


def _ours(
    number: Mapping, comparison: pd.DataFrame, runs: pd.DataFrame, kinds: Mapping[str, str], cards: tables.Cards
) -> tuple[dict | None, dict[str, str]]:
    """Return our value, or None and everything that does not agree: what -> why."""
    of_dataset = comparison[comparison["dataset"] == number["dataset"]]
    of_kind = of_dataset[of_dataset["scenario"].map(kinds) == number["scenario"]]
    of_metric = of_kind[of_kind["metric"] == number["metric"]].dropna(subset="mean")
    reasons = {}
    if of_dataset.empty:
        reasons["dataset"] = "dataset not in these results"
    elif of_kind.empty:
        reasons["scenario"] = f"no {number['scenario']} scenario of the dataset in these results"
    if number["metric"] not in cards["metrics"]:
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
        return None, reasons
    competing = of_metric[of_metric["run"].map(lambda run: _kind_of(run, runs, cards)) != "control"]
    values = _in_direction(competing, number["direction"], cards["metrics"][number["metric"]].get("better"))
    if values.empty:
        return None, {"direction": "no run here gives the score in this direction"}
    methods = dict(zip(runs["run"], runs["method"], strict=True))
    same = [run for run in values.index if methods.get(run) == number.get("method_id")]
    lower = cards["metrics"][number["metric"]].get("better") == "lower"
    run = same[0] if same else values["mean"].idxmin() if lower else values["mean"].idxmax()
    chosen = values.loc[run]
    found = {"run": run, "same_method": "yes" if same else "no", "ours": chosen["mean"]}
    return found | {"ours_sd": chosen["sd"], "ours_seeds": int(chosen["seeds"])}, {}


def _in_direction(rows: pd.DataFrame, direction: str, better: str | None) -> pd.DataFrame:
    """Return run -> mean, sd and seeds in one direction; of `mean` and `worst` over directions there is no sd here."""
    if direction not in ("mean", "worst"):
        return rows[rows["direction"] == direction].groupby("run", sort=False)[["mean", "sd", "seeds"]].first()
    how = "mean" if direction == "mean" else "max" if better == "lower" else "min"
    grouped = rows.groupby("run", sort=False)
    return pd.DataFrame({"mean": grouped["mean"].agg(how), "sd": float("nan"), "seeds": grouped["seeds"].min()})


def _kind_of(run: str, runs: pd.DataFrame, cards: tables.Cards) -> str:
    method = dict(zip(runs["run"], runs["method"], strict=True)).get(run, run)
    return cards["methods"].get(method, {}).get("kind", "model")
