"""Published numbers, cards of methods, metrics and datasets, and the provenance of the results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.catalog.cards import NO_QUALITY
from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    arranged,
    in_words,
    number_column,
    table,
    text_column,
)
from mosaicbench.report.page.render import sentence
from mosaicbench.report.tables.text import NOT_GIVEN, distinct
from mosaicbench.report.theme import Theme

HARDWARE = {
    "cpu": "Processor",
    "cores": "Cores",
    "memory_mb": "Memory",
    "device": "Device",
    "threads": "Threads of a run",
}


# --- published numbers ---------------------------------------------------------------------------


def published(numbers: pd.DataFrame, theme: Theme) -> dict[str, Grid | None]:
    """Return the published numbers that are comparable with ours, and the others."""
    rows = numbers.astype(object).where(numbers.notna(), "")
    agree = rows["comparable"].astype(str) == "True"

    def dataset(row: dict) -> str:
        label = theme.label("datasets", row["dataset"])
        return ", ".join(filter(None, [label, row["condition"]]))

    def score(row: dict) -> Cell:
        labels = f" ({row['labels']})" if row["labels"] else ""
        return Cell(row["metric"] + labels, about=row["definition"])

    def direction(row: dict) -> str:
        name = row["direction"]
        return theme.direction(name) if "->" in name else name

    def value(row: dict) -> Cell:
        text = f"{row['value']:g}{_number(' to {:g}', row['value_to'])}"
        text += _number(" ± {:g}", row["sd"]) + _number(" (read to ±{:g})", row["precision"])
        return Cell(text, sort=row["value"])

    def our_run(row: dict) -> str:
        another = " (another method)" if row["same_method"] == "no" else ""
        return theme.label("runs", row["run"]) + another

    def remark(row: dict) -> Cell:
        is_invalid = row["verdict"] == "invalid"
        text = f"Invalid: {row['remark']}" if is_invalid else row["remark"]
        return Cell(text, mark="warn" if is_invalid else "")

    theirs = [
        Column("Dataset", dataset, choices=True),
        text_column("Method", "method", choices=True),
        Column("Score", score, choices=True),
        Column("Direction", direction),
        Column("Published", value, descending=True),
        Column(
            "n",
            lambda row: Cell(_number("{:,.0f}", row["n"]), sort=row["n"]),
            descending=True,
        ),
    ]
    ours = [
        Column(
            "Ours",
            lambda row: f"{row['ours']:.3f}{_number(' ± {:.3f}', row['ours_sd'])}",
        ),
        Column("Run", our_run),
        Column("Scenario", lambda row: theme.label("scenarios", row["our_scenario"]), choices=True),
    ]
    differing = Column(
        "Does not agree in", lambda row: Cell(row["differs"], why=row["reason"]), words=True
    )
    remarks = Column("Remark", remark, words=True)
    return {
        "beside": table("Published numbers beside ours", [*theirs, *ours, remarks], rows[agree]),
        "apart": table(
            "Published numbers that are not comparable",
            [*theirs, differing, remarks],
            rows[~agree].drop(columns="run"),
        ),
    }


def _number(form: str, value: object) -> str:
    return "" if value == "" else form.format(value)


# --- methods, metrics, datasets ------------------------------------------------------------------


def methods(runs: pd.DataFrame, records: Sequence[Mapping], theme: Theme) -> list[dict]:
    """Return every method that ran: its card, and the hyperparameters of its runs' records."""
    used = pd.DataFrame(
        [
            (record["run"], name, json.dumps(value))
            for record in records
            for name, value in record["hyperparameters"].items()
        ],
        columns=["run", "name", "value"],
    ).drop_duplicates()
    run_metadata = theme.run_metadata
    runs = pd.Series(theme.order("runs", runs["run"]), dtype=object)
    return [
        {
            "id": method,
            "runs": list(names),
            "card": run_metadata.card(names.iloc[0]),
            "hyperparameters": _used(method, used[used["run"].isin(names)], list(names)),
        }
        for method, names in runs.groupby(runs.map(run_metadata.method), sort=False)
    ]


def _used(method: str, used: pd.DataFrame, runs: list[str]) -> Grid | None:
    """Return a method's hyperparameters, a column per run; None without a record of them."""
    if used.empty:
        return None
    known = catalog.hyperparameters(method) if method in catalog.names("methods") else {}
    defaults = {name: json.dumps(one.default) for name, one in known.items()}
    values = used.groupby(["name", "run"], sort=False)["value"].agg(", ".join)

    def column(run: str) -> Column:
        def cell(row: dict) -> Cell:
            value = values.get((row["name"], run))
            if value is None:
                return Cell(NOT_GIVEN, why="the records of this run do not have it")
            return Cell(value, mark="" if value == row["default"] else "best")

        return Column(run, cell)

    names = dict.fromkeys([*defaults, *arranged(used, used["run"].map(runs.index))["name"]])
    rows = [(name, defaults.get(name, NOT_GIVEN)) for name in names]
    columns = [text_column("Hyperparameter", "name"), text_column("Default", "default")]
    return table(
        f"Hyperparameters of {method}",
        columns + [column(run) for run in runs],
        pd.DataFrame(rows, columns=["name", "default"]),
    )


def metrics(scores: pd.DataFrame, theme: Theme) -> dict[str, list[str]]:
    """Return group -> its metrics that have scores."""
    return in_groups(theme.order("metrics", set(scores["metric"]) - {"status"}), theme)


def in_groups(metrics: list[str], theme: Theme) -> dict[str, list[str]]:
    """Return group -> its metrics; groups that say nothing about quality come last."""
    groups: dict[str, list[str]] = {}
    for name in metrics:
        groups.setdefault(theme.run_metadata.group(name), []).append(name)
    return dict(sorted(groups.items(), key=lambda group: group[0] in NO_QUALITY))


def labels_from(config: Mapping, dataset: str) -> list[str] | None:
    """Return the modalities from which a dataset's cell types were derived, None if unknown."""
    return ((config.get("datasets") or {}).get(dataset) or {}).get("labels_from")


def datasets(
    runs: pd.DataFrame, config: Mapping, theme: Theme, registered: Mapping[str, Mapping]
) -> list[dict]:
    """Return every dataset of the runs: its facts, the origin of its types, unverified files."""
    descriptions = []
    for name in theme.order("datasets", runs["dataset"]):
        entry = dict(registered.get(name, {}))
        files = entry.pop("unverified", [])
        card = theme.run_metadata.cards["datasets"].get(name, entry)
        facts = {
            in_words(key): _text(value)
            for key, value in card.items()
            if key != "label" and value not in ("", (), [])
        }
        origin = labels_from(config, name)
        if origin is not None:
            facts["labels from"] = theme.labels("modalities", origin) or "none of the modalities"
        if files:
            facts["unverified"] = sentence("unverified", files=files)
        descriptions.append({"id": name, "label": theme.label("datasets", name), "facts": facts})
    return descriptions


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(entry)}" for key, entry in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)


# --- provenance ----------------------------------------------------------------------------------


def provenance(runs: pd.DataFrame, records: Sequence[Mapping]) -> dict[str, object]:
    """Return facts, versions and machines; a fact that differs between fits lists each value."""
    seeds = ", ".join(map(str, sorted(runs["seed"].dropna().astype(int).unique())))
    commits = [str(record["git_commit"]) for record in records]
    facts = {"Seeds": seeds or NOT_GIVEN, "Code (commit)": distinct(commits)}
    trained = [record["arithmetic"] for record in records if record.get("arithmetic")]
    if trained:
        facts["Training computed with"] = distinct(
            ", ".join(f"{name} {value}" for name, value in arithmetic.items())
            for arithmetic in trained
        )
    versions = pd.DataFrame([record["versions"] for record in records], dtype=object)
    packages = [(name, distinct(versions[name].dropna().map(str))) for name in sorted(versions)]
    columns = [
        text_column("Package", "package"),
        text_column("Version of the runs", "version", words=True),
    ]
    return {
        "facts": facts,
        "commits": len(set(commits)),
        "versions": table(
            "Versions", columns, pd.DataFrame(packages, columns=["package", "version"])
        ),
        "machines": _machines(records),
    }


def _machines(records: Sequence[Mapping]) -> Grid | None:
    """Return a row per distinct machine, with its number of fits."""

    def column(name: str, label: str) -> Column:
        def cell(row: dict) -> Cell:
            return Cell(row[name], why="not in the records" if row[name] == NOT_GIVEN else "")

        return Column(label, cell)

    machines = []
    for record in records:
        facts = {"device": record["device"], "threads": record["threads"]}
        facts |= record.get("hardware") or {}
        machines.append([_fact(name, facts.get(name)) for name in HARDWARE])
    names = list(HARDWARE)
    fits = pd.DataFrame(machines, columns=names).groupby(names, sort=False).size()
    columns = [column(name, label) for name, label in HARDWARE.items()]
    columns.append(number_column("Fits", "fits", ".0f", descending=True))
    return table("Machines", columns, fits.rename("fits").reset_index())


def _fact(name: str, value: object) -> str:
    if value in (None, ""):
        return NOT_GIVEN
    return f"{value / 1024:.0f} GiB" if name == "memory_mb" else str(value)
