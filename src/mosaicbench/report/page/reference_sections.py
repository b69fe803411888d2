"""What the report explains: published numbers, methods and metrics from their cards, datasets, and where it all was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.catalog.cards import NO_QUALITY
from mosaicbench.report.page.cells import ARROWS, arranged, number_column, text_column
from mosaicbench.report.page.html_tables import Cell, Column, Grid, grid, table
from mosaicbench.report.page.render import said
from mosaicbench.report.tables.text import NOT_GIVEN, distinct
from mosaicbench.report.theme import Theme

HARDWARE = {
    "cpu": "Processor",
    "cores": "Cores",
    "memory_mb": "Memory",
    "device": "Device",
    "threads": "Threads of a run",
}


# --- published numbers ---------------------------------------------------------------------------------------------------


def published(numbers: pd.DataFrame, theme: Theme) -> dict[str, Grid | None]:
    """Return the published numbers that stand beside ours, and those that may not."""
    rows = numbers.astype(object).where(numbers.notna(), "")
    agree = rows["comparable"].astype(str) == "True"
    columns = [
        ("Dataset", partial(_of_dataset, theme=theme)),
        *text_column("Method", "method"),
        (
            "Score",
            lambda row: Cell(
                f"{row['metric']}{_in_brackets(row['labels'])}", about=row["definition"]
            ),
        ),
        (
            "Direction",
            lambda row: (
                theme.direction(row["direction"]) if "->" in row["direction"] else row["direction"]
            ),
        ),
        (Column("Published", descending=True), _published),
        (
            Column("n", descending=True),
            lambda row: "" if row["n"] == "" else Cell(f"{int(row['n']):,}", sort=row["n"]),
        ),
    ]
    ours = [
        (
            "Ours",
            lambda row: f"{_number(row['ours'], '.3f')}{_number(row['ours_sd'], '.3f', ' ± ')}",
        ),
        ("Run", partial(_our_run, theme=theme)),
        (
            "Scenario",
            lambda row: theme.label("scenarios", row["our_scenario"]),
        ),
    ]
    differences = "Does not agree in"
    differing = [(differences, lambda row: Cell(row["differs"], why=row["reason"]))]
    remark = [("Remark", _remark)]
    titles = "Published numbers beside ours", "Published numbers that do not agree"
    return {
        "beside": table(titles[0], columns + ours + remark, rows[agree]),
        "apart": table(titles[1], columns + differing + remark, rows[~agree]),
    }


def _number(value: object, form: str = "g", before: str = "", after: str = "") -> str:
    return "" if value == "" else f"{before}{value:{form}}{after}"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _of_dataset(row: dict, *, theme: Theme) -> str:
    return ", ".join(filter(None, [theme.label("datasets", row["dataset"]), row["condition"]]))


def _published(row: dict) -> Cell:
    text = _number(row["value"]) + _number(row["value_to"], before=" to ")
    text += _number(row["sd"], before=" ± ")
    return Cell(text + _number(row["precision"], "g", " (read to ±", ")"), sort=row["value"])


def _our_run(row: dict, *, theme: Theme) -> str:
    run = theme.label("runs", row["run"]) if row["run"] else ""
    return run + (" (another method)" if row["same_method"] == "no" else "")


def _remark(row: dict) -> Cell:
    is_invalid = row["verdict"] == "invalid"
    return Cell(f"Invalid: {row['remark']}", mark="warn") if is_invalid else Cell(row["remark"])


# --- methods, metrics, datasets ------------------------------------------------------------------------------------------


def methods(runs: pd.DataFrame, records: Sequence[Mapping], theme: Theme) -> list[dict]:
    """Return every method that ran, from its card, with the hyperparameters that its runs really had."""
    used = pd.DataFrame(
        [
            (record["run"], name, json.dumps(value))
            for record in records
            for name, value in record["hyperparameters"].items()
        ],
        columns=["run", "name", "value"],
    ).drop_duplicates()
    descriptions = []
    runs_of = pd.Series(theme.order("runs", runs["run"]), dtype=object)
    for method, names in runs_of.groupby(runs_of.map(theme.run_metadata.method), sort=False):
        card = theme.run_metadata.card(names.iloc[0])
        description = {
            key: ", ".join(card.get(key, ())) for key in ("scenarios", "inputs", "outputs")
        }
        description |= {key: card.get(key, "") for key in ("summary", "deviates", "paper", "doi")}
        descriptions.append(
            description
            | {
                "id": method,
                "label": theme.label("methods", method),
                "kind": theme.run_metadata.kind(names.iloc[0]),
                "runs": list(names),
                "colour": theme.colour(names.iloc[0]),
                "transductive": bool(card.get("transductive", False)),
                "hyperparameters": _used(method, used[used["run"].isin(names)], list(names)),
            }
        )
    return descriptions


def _used(method: str, used: pd.DataFrame, runs: list[str]) -> Grid | None:
    """Return a method's hyperparameters, a column per run; None where no record says any."""
    if used.empty:
        return None
    known = catalog.hyperparameters(method) if method in catalog.names("methods") else {}
    defaults = {name: json.dumps(one.default) for name, one in known.items()}
    values = used.groupby(["name", "run"], sort=False)["value"].agg(", ".join)

    def cell(row: dict, *, run: str) -> Cell:
        value = values.get((row["name"], run))
        if value is None:
            return Cell(NOT_GIVEN, why="no record of this run says it")
        return Cell(value, mark="" if value == row["default"] else "best")

    names = dict.fromkeys([*defaults, *arranged(used, used["run"].map(runs.index))["name"]])
    rows = [{"name": name, "default": defaults.get(name, NOT_GIVEN)} for name in names]
    columns = [
        (Column("Hyperparameter"), lambda row: row["name"]),
        *text_column("Default", "default"),
    ]
    columns += [(run, partial(cell, run=run)) for run in runs]
    return table(f"Hyperparameters of {method}", columns, rows)


def metric(name: str, theme: Theme) -> dict:
    """Return what a metric's card says, in words."""
    card = theme.run_metadata.metric(name)
    ends = [f"{end} {card[end]}" for end in ("best", "chance") if card.get(end) not in (None, "")]
    return {
        "id": name,
        "label": theme.label("metrics", name),
        "arrow": ARROWS.get(theme.run_metadata.better(name), ""),
        "ends": ", ".join(ends),
        "definition": card.get("definition", ""),
        "doi": card.get("doi", ""),
    }


def metrics(scores: pd.DataFrame, theme: Theme) -> dict[str, list[dict]]:
    """Return group -> its metrics, of the metrics that have scores; groups that say nothing about quality come last."""
    scored = theme.order("metrics", set(scores["metric"]) - {"status"})
    return {
        group.replace("_", " "): [metric(name, theme) for name in names]
        for group, names in in_groups(scored, theme).items()
    }


def in_groups(metrics: list[str], theme: Theme) -> dict[str, list[str]]:
    """Return group -> its metrics; groups that say nothing about quality come last."""
    groups: dict[str, list[str]] = {}
    for name in metrics:
        groups.setdefault(theme.run_metadata.group(name), []).append(name)
    return dict(sorted(groups.items(), key=lambda group: group[0] in NO_QUALITY))


def labels_from(config: Mapping, dataset: str) -> list[str] | None:
    """Return the modalities that a dataset's cell types were derived from, None where the config does not know."""
    return ((config.get("datasets") or {}).get(dataset) or {}).get("labels_from")


def datasets(
    runs: pd.DataFrame, config: Mapping, theme: Theme, registered: Mapping[str, Mapping]
) -> list[dict]:
    """Return every dataset of the runs: facts of its card or the registry, origin of its types, files that are unverified."""
    descriptions = []
    for name in theme.order("datasets", runs["dataset"]):
        entry = dict(registered.get(name, {}))
        files = entry.pop("unverified", [])
        card = theme.run_metadata.cards["datasets"].get(name, entry)
        facts = {
            key.replace("_", " "): _text(value)
            for key, value in card.items()
            if key != "label" and value not in ("", (), [])
        }
        origin = labels_from(config, name)
        if origin is not None:
            labels = [theme.label("modalities", modality) for modality in origin]
            facts["labels from"] = ", ".join(labels) or "none of the modalities"
        if files:
            facts["unverified"] = said("unverified", files=files)
        descriptions.append({"id": name, "label": theme.label("datasets", name), "facts": facts})
    return descriptions


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(entry)}" for key, entry in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)


# --- provenance ----------------------------------------------------------------------------------------------------------


def provenance(runs: pd.DataFrame, records: Sequence[Mapping]) -> dict[str, object]:
    """Return facts, and the tables of versions and machines; where fits differ in a fact, each value is listed."""
    seeds = sorted(int(seed) for seed in runs["seed"].dropna().unique())
    facts = {"Seeds": ", ".join(map(str, seeds)) or NOT_GIVEN}
    facts["Code (commit)"] = distinct(str(record["git_commit"]) for record in records)
    trained = [record["arithmetic"] for record in records if record.get("arithmetic")]
    if trained:
        facts["Training computed with"] = distinct(
            ", ".join(f"{name} {value}" for name, value in arithmetic.items())
            for arithmetic in trained
        )
    versions = pd.DataFrame([record["versions"] for record in records], dtype=object)
    rows = [[name, distinct(versions[name].dropna().map(str))] for name in sorted(versions)]
    return {
        "facts": facts,
        "commits": len({record["git_commit"] for record in records}),
        "versions": grid("Versions", ["Package", "Version of the runs"], rows),
        "machines": _machines(records),
    }


def _machines(records: Sequence[Mapping]) -> Grid | None:
    """Return one row per distinct machine, with how many fits it did."""
    machines = []
    for record in records:
        facts = {"device": record["device"], "threads": record["threads"]}
        facts |= record.get("hardware") or {}
        machines.append([_fact(name, facts.get(name)) for name in HARDWARE])
    names = list(HARDWARE)
    fits = pd.DataFrame(machines, columns=names).groupby(names, sort=False).size()
    columns = [(label, partial(_said, name=name)) for name, label in HARDWARE.items()]
    columns += number_column("Fits", "fits", ".0f", descending=True)
    return table("Machines", columns, fits.rename("fits").reset_index())


def _fact(name: str, value: object) -> str:
    if value in (None, ""):
        return NOT_GIVEN
    return f"{value / 1024:.0f} GiB" if name == "memory_mb" else str(value)


def _said(row: dict, *, name: str) -> Cell:
    return Cell(row[name], why="the records do not say" if row[name] == NOT_GIVEN else "")
