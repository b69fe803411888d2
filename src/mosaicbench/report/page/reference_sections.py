"""What was read, published numbers, cards of methods, metrics and datasets, and the provenance."""

from __future__ import annotations

import json
from collections import defaultdict

import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.catalog.cards import NO_QUALITY
from mosaicbench.report.page.cells import Cell, Column, Grid, in_words, label_column, table
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
    agree = numbers["comparable"]

    def column(label: str, macro: str, **look: object) -> Column:
        return Column(label, lambda row: sentence(macro, row=row, theme=theme), **look)

    def score(row: dict) -> Cell:
        labels = f" ({row['labels']})" if row["labels"] else ""
        return Cell(row["metric"] + labels, about=row["definition"])

    def value(row: dict) -> Cell:
        return Cell(sentence("their_value", row=row), sort=row["value"])

    def cells(row: dict) -> Cell:
        return Cell("" if row["n"] == "" else f"{row['n']:,.0f}", sort=row["n"])

    def remark(row: dict) -> Cell | str:
        if row["verdict"] == "invalid":
            return Cell(f"Invalid: {row['remark']}", mark="warn")
        return row["remark"]

    theirs = [
        column("Dataset", "their_dataset", choices=True),
        Column("Method", "method", choices=True),
        Column("Score", score, choices=True),
        column("Direction", "their_direction"),
        Column("Published", value, descending=True),
        Column("n", cells, descending=True),
    ]
    beside = [
        column("Ours", "our_value"),
        column("Run", "our_run"),
        Column("Scenario", lambda row: theme.label("scenarios", row["our_scenario"]), choices=True),
    ]
    differing = Column(
        "Does not agree in", lambda row: Cell(row["differs"], why=row["reason"]), words=True
    )
    remarks = Column("Remark", remark, words=True)
    return {
        "beside": table("Published numbers beside ours", [*theirs, *beside, remarks], rows[agree]),
        "apart": table(
            "Published numbers that are not comparable", [*theirs, differing, remarks], rows[~agree]
        ),
    }


# --- methods, metrics, datasets ------------------------------------------------------------------


def methods(runs: pd.DataFrame, records: list[dict], theme: Theme) -> list[dict]:
    """Return every method that ran: its card, and the hyperparameters of its runs' records."""
    of_method = defaultdict(list)
    for run in theme.order("runs", runs["run"]):
        of_method[theme.run_metadata.method(run)].append(run)
    return [
        {
            "id": method,
            "runs": names,
            "card": theme.run_metadata.card(names[0]),
            "hyperparameters": _hyperparameters(method, names, records),
        }
        for method, names in of_method.items()
    ]


def _hyperparameters(method: str, runs: list[str], records: list[dict]) -> Grid | None:
    used = defaultdict(dict)  # (name, run) -> its distinct values
    for run in runs:
        for record in records:
            for name, value in record["hyperparameters"].items() if record["run"] == run else ():
                used[name, run][json.dumps(value)] = None
    if not used:
        return None
    known = catalog.hyperparameters(method) if method in catalog.names("methods") else {}
    defaults = {name: json.dumps(one.default) for name, one in known.items()}

    def column(run: str) -> Column:
        def cell(row: dict) -> Cell:
            if (row["name"], run) not in used:
                return Cell(NOT_GIVEN, why="the records of this run do not have it")
            value = ", ".join(used[row["name"], run])
            return Cell(value, mark="" if value == row["default"] else "best")

        return Column(run, cell)

    names = dict.fromkeys([*defaults, *(name for name, _ in used)])
    rows = pd.DataFrame({"name": list(names)})
    rows["default"] = rows["name"].map(defaults).fillna(NOT_GIVEN)
    columns = [Column("Hyperparameter", "name"), Column("Default", "default"), *map(column, runs)]
    return table(f"Hyperparameters of {method}", columns, rows)


def metrics(scores: pd.DataFrame, theme: Theme) -> dict[str, list[str]]:
    """Return group -> its metrics that have scores."""
    return in_groups(theme.order("metrics", set(scores["metric"]) - {"status"}), theme)


def in_groups(metrics: list[str], theme: Theme) -> dict[str, list[str]]:
    """Return group -> its metrics; groups that say nothing about quality come last."""
    groups = defaultdict(list)
    for name in metrics:
        groups[theme.run_metadata.group(name)].append(name)
    return dict(sorted(groups.items(), key=lambda group: group[0] in NO_QUALITY))


def labels_from(config: dict, dataset: str) -> list[str] | None:
    """Return the modalities from which a dataset's cell types were derived, None if unknown."""
    return ((config.get("datasets") or {}).get(dataset) or {}).get("labels_from")


def datasets(
    runs: pd.DataFrame, config: dict, theme: Theme, registered: dict[str, dict]
) -> list[dict]:
    """Return every dataset of the runs: its facts, the origin of its types, unverified files."""
    descriptions = []
    for name in theme.order("datasets", runs["dataset"]):
        entry = registered.get(name, {})
        card = theme.run_metadata.cards["datasets"].get(name, entry)
        facts = {
            in_words(key): _text(value)
            for key, value in card.items()
            if key not in ("label", "unverified") and value not in ("", (), [])
        }
        origin = labels_from(config, name)
        if origin is not None:
            facts["labels from"] = theme.labels("modalities", origin) or "none of the modalities"
        if files := entry.get("unverified"):
            facts["unverified"] = sentence("unverified", files=files)
        descriptions.append({"id": name, "label": theme.label("datasets", name), "facts": facts})
    return descriptions


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(entry)}" for key, entry in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)


# --- provenance ----------------------------------------------------------------------------------


def provenance(runs: pd.DataFrame, records: list[dict]) -> dict[str, object]:
    """Return facts, versions and machines; a fact that differs between fits lists each value."""
    seeds = sorted(runs["seed"].dropna().unique())
    commits = [str(record["git_commit"]) for record in records]
    facts = {
        "Seeds": ", ".join(map(str, seeds)) or NOT_GIVEN,
        "Code (commit)": distinct(commits),
    }
    trained = []
    for record in records:
        if arithmetic := record.get("arithmetic"):
            trained.append(", ".join(f"{name} {value}" for name, value in arithmetic.items()))
    if trained:
        facts["Training computed with"] = distinct(trained)
    versions = pd.DataFrame([record["versions"] for record in records], dtype=object)
    rows = [(name, distinct(versions[name])) for name in sorted(versions)]
    columns = [Column("Package", "name"), Column("Version of the runs", "version", words=True)]
    packages = pd.DataFrame(rows, columns=["name", "version"])
    return {
        "facts": facts,
        "commits": len(set(commits)),
        "versions": table("Versions", columns, packages),
        "machines": _machines(records),
    }


def _machines(records: list[dict]) -> Grid | None:
    rows = [record | (record.get("hardware") or {}) for record in records]
    machines = pd.DataFrame(rows, columns=list(HARDWARE), dtype=object)
    memory = machines["memory_mb"].map(lambda mb: f"{mb / 1024:.0f} GiB", na_action="ignore")
    machines = machines.assign(memory_mb=memory)
    machines = machines.where(machines.notna(), NOT_GIVEN).astype(str)
    fits = machines.groupby(list(HARDWARE), sort=False).size().reset_index(name="fits")
    columns = [Column(label, name) for name, label in HARDWARE.items()]
    return table("Machines", [*columns, Column("Fits", "fits", ".0f", descending=True)], fits)


# --- what was read ---


NO_DEPTH = "these values are no counts"
TEXTS = {  # if any dataset has one
    "features_left_out": "Features left out",
    "source": "Values from",
}
DETAILS = {
    "cells_by_type": "Cells by type",
    "labels": "Labels from",
    "cells_by_batch": "Cells by batch",
    "cells_left_out": "Cells left out",
    "links": "Links",
}


def datasheets(sheets: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return the table of what was read, a row per modality; None without a datasheet."""

    def number(label: str, key: str, about: str = "") -> Column:
        return Column(label, key, ",.0f", why=NO_DEPTH, about=about, descending=True)

    columns = [
        label_column(theme, "dataset"),
        Column("Modality", lambda row: theme.label("modalities", row["modality"])),
        number("Cells", "cells", "measured in this modality"),
        number("In all", "cells_in_all", "cells measured in all modalities"),
        number("Features", "features"),
        number("Linked", "linked_features", "features linked to one of another modality"),
        number("Median counts", "depth", "of a cell"),
        number("Cell types", "cell_types"),
        number("Batches", "batches"),
    ]
    columns += [
        Column(label, key, words=key == "source")
        for key, label in TEXTS.items()
        if sheets[key].any()
    ]
    return table("Datasets as they were read", columns, sheets)


def details(sheets: pd.DataFrame, theme: Theme) -> list[tuple[str, dict[str, str]]]:
    """Return label, and name -> text of what is too long for the table, of each dataset."""
    datasets = sheets.drop_duplicates("dataset").set_index("dataset")
    texts = datasets[list(DETAILS)].rename(columns=DETAILS).to_dict("index")
    return [(theme.label("datasets", name), facts) for name, facts in texts.items()]


def warnings(found: pd.DataFrame, theme: Theme) -> dict[str, str]:
    """Return warning -> labels of its datasets."""
    of_warning = found.groupby("warning", sort=False)["dataset"]
    return {text: theme.labels("datasets", names) for text, names in of_warning}
