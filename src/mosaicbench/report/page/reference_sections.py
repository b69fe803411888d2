"""What the report explains: published numbers, methods and metrics from their cards, datasets, and where it all was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from mosaicbench import catalog
from mosaicbench.cards import NO_QUALITY
from mosaicbench.report.page.cells import ARROWS
from mosaicbench.report.page.html_tables import Cell, Column, Grid, grid
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
    beside, apart = [], []
    for line in numbers.astype(object).where(numbers.notna(), "").to_dict("records"):
        cells = _published_cells(line, theme)
        is_invalid = line["verdict"] == "invalid"
        remark = Cell(
            f"Invalid: {line['remark']}" if is_invalid else line["remark"],
            mark="warn" if is_invalid else "",
        )
        if str(line["comparable"]) != "True":
            apart.append([*cells, Cell(line["differs"], why=line["reason"]), remark])
            continue
        sd = f" ± {line['ours_sd']:.3f}" if line["ours_sd"] != "" else ""
        ours = f"{line['ours']:.3f}{sd}" if line["ours"] != "" else ""
        run = theme.label("runs", line["run"]) if line["run"] else ""
        run += " (another method)" if line["same_method"] == "no" else ""
        beside.append([*cells, ours, run, theme.label("scenarios", line["our_scenario"]), remark])
    columns = [
        Column("Dataset", choices=True),
        Column("Method", choices=True),
        Column("Score", choices=True),
        "Direction",
    ]
    columns += [Column("Published", descending=True), Column("n", descending=True)]
    ours = ["Ours", "Run", Column("Scenario", choices=True)]
    differences, remarks = Column("Does not agree in", words=True), Column("Remark", words=True)
    return {
        "beside": grid("Published numbers beside ours", [*columns, *ours, remarks], beside),
        "apart": grid(
            "Published numbers that do not agree", [*columns, differences, remarks], apart
        ),
    }


def _published_cells(line: Mapping, theme: Theme) -> list[Cell | str]:
    """Return what was published: dataset, method, score, direction, value and number of cells."""
    value = f"{line['value']:g}" + (f" to {line['value_to']:g}" if line["value_to"] != "" else "")
    value += f" ± {line['sd']:g}" if line["sd"] != "" else ""
    value += f" (read to ±{line['precision']:g})" if line["precision"] != "" else ""
    dataset = theme.label("datasets", line["dataset"]) + (
        f", {line['condition']}" if line["condition"] else ""
    )
    score = line["metric"] + (f" ({line['labels']})" if line["labels"] else "")
    direction = (
        theme.direction(line["direction"]) if "->" in line["direction"] else line["direction"]
    )
    cells = Cell(f"{int(line['n']):,}", sort=line["n"]) if line["n"] != "" else ""
    return [
        dataset,
        line["method"],
        Cell(score, about=line["definition"]),
        direction,
        Cell(value, sort=line["value"]),
        cells,
    ]


# --- methods, metrics, datasets ------------------------------------------------------------------------------------------


def methods(runs: pd.DataFrame, records: Sequence[Mapping], theme: Theme) -> list[dict]:
    """Return every method that ran, from its card, with the hyperparameters that its runs really had."""
    roster, used = theme.roster, _hyperparameters(records)
    runs_of: dict[str, list[str]] = {}
    for run in theme.order("runs", runs["run"]):
        runs_of.setdefault(roster.method(run), []).append(run)
    descriptions = []
    for method, names in runs_of.items():
        card = roster.card(names[0])
        description = {key: ", ".join(card.get(key, ())) for key in ("handles", "uses", "gives")}
        description |= {key: card.get(key, "") for key in ("summary", "deviates", "paper", "doi")}
        description |= {
            "id": method,
            "label": theme.label("methods", method),
            "kind": roster.kind(names[0]),
            "runs": names,
        }
        description |= {
            "colour": theme.colour(names[0]),
            "transductive": bool(card.get("transductive", False)),
        }
        descriptions.append(description | {"hyperparameters": _used(method, names, used)})
    return descriptions


def _hyperparameters(records: Sequence[Mapping]) -> dict[str, dict[str, list[str]]]:
    """Return run -> hyperparameter -> the distinct values that its records give, as JSON."""
    used: dict[str, dict[str, list[str]]] = {}
    for record in records:
        for name, value in record["hyperparameters"].items():
            values = used.setdefault(record["run"], {}).setdefault(name, [])
            if (text := json.dumps(value)) not in values:
                values.append(text)
    return used


def _used(method: str, runs: list[str], used: Mapping[str, Mapping[str, list[str]]]) -> Grid | None:
    """Return a method's hyperparameters, a column per run; None where no record says any."""
    if not any(run in used for run in runs):
        return None
    defaults = catalog.hyperparameters(method) if method in catalog.names("methods") else {}
    rows = []
    for name in dict.fromkeys([*defaults, *(name for run in runs for name in used.get(run, {}))]):
        default = json.dumps(defaults[name].default) if name in defaults else NOT_GIVEN
        cells: list[Cell | str] = [name, default]
        for run in runs:
            values = used.get(run, {}).get(name)
            absent = Cell(NOT_GIVEN, why="no record of this run says it")
            changed = "best" if values and values != [default] else ""
            cells.append(Cell(", ".join(values), mark=changed) if values else absent)
        rows.append(cells)
    return grid(f"Hyperparameters of {method}", ["Hyperparameter", "Default", *runs], rows)


def metric(name: str, theme: Theme) -> dict:
    """Return what a metric's card says, in words."""
    card = theme.roster.metric(name)
    ends = [f"{end} {card[end]}" for end in ("best", "chance") if card.get(end) not in (None, "")]
    return {
        "id": name,
        "label": theme.label("metrics", name),
        "arrow": ARROWS.get(theme.roster.better(name), ""),
        "ends": ", ".join(ends),
        "group": theme.roster.group(name).replace("_", " "),
        "definition": card.get("definition", ""),
        "doi": card.get("doi", ""),
    }


def metrics(scores: pd.DataFrame, theme: Theme) -> dict[str, list[dict]]:
    """Return group -> its metrics, of the metrics that have scores; groups that say nothing about quality come last."""
    groups: dict[str, list[dict]] = {}
    for name in theme.order(
        "metrics", (name for name in scores["metric"].unique() if name != "status")
    ):
        description = metric(name, theme)
        groups.setdefault(description["group"], []).append(description)
    last = {group.replace("_", " ") for group in NO_QUALITY}
    return dict(sorted(groups.items(), key=lambda group: group[0] in last))


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
        card = theme.roster.cards["datasets"].get(name, entry)
        stated = {
            key: value
            for key, value in card.items()
            if key != "label" and value not in ("", (), [])
        }
        facts = {key.replace("_", " "): _text(value) for key, value in stated.items()}
        origin = labels_from(config, name)
        if origin is not None:
            facts["labels from"] = (
                ", ".join(theme.label("modalities", m) for m in origin) or "none of the modalities"
            )
        if files:
            facts["unverified"] = (
                f"no checksum and no length is public of {', '.join(files)}: what was first fetched was taken"
            )
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
    versions: dict[str, list[str]] = {}
    for record in records:
        for name, version in record["versions"].items():
            versions.setdefault(name, []).append(str(version))
    rows = [[name, distinct(versions[name])] for name in sorted(versions)]
    return {
        "facts": facts,
        "commits": len({record["git_commit"] for record in records}),
        "versions": grid("Versions", ["Package", Column("Version of the runs", words=True)], rows),
        "machines": _machines(records),
    }


def _machines(records: Sequence[Mapping]) -> Grid | None:
    """Return one row per distinct machine, with how many fits it did."""
    fits_of: dict[tuple[str, ...], int] = {}
    for record in records:
        facts = {"device": record["device"], "threads": record["threads"]} | dict(
            record.get("hardware") or {}
        )
        machine = tuple(_fact(name, facts.get(name)) for name in HARDWARE)
        fits_of[machine] = fits_of.get(machine, 0) + 1
    rows = []
    for machine, fits in fits_of.items():
        cells = [
            Cell(text, why="the records do not say" if text == NOT_GIVEN else "")
            for text in machine
        ]
        rows.append([*cells, Cell(f"{fits}", sort=fits)])
    return grid("Machines", [*HARDWARE.values(), Column("Fits", descending=True)], rows)


def _fact(name: str, value: object) -> str:
    if value in (None, ""):
        return NOT_GIVEN
    return f"{value / 1024:.0f} GiB" if name == "memory_mb" else str(value)
