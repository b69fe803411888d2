"""What the report explains: published numbers, methods and metrics from their cards, datasets, and where it all was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from mosaicbench import catalog
from mosaicbench.report import statistics, tables
from mosaicbench.report.html_tables import ARROWS, Cell, Column, Grid, grid
from mosaicbench.report.records import distinct
from mosaicbench.report.theme import Theme

HARDWARE = {"cpu": "Processor", "cores": "Cores", "memory_mb": "Memory", "device": "Device", "threads": "Threads of a run"}


# --- published numbers ---------------------------------------------------------------------------------------------------


def published(numbers: pd.DataFrame, theme: Theme) -> dict[str, Grid | None]:
    """Return the published numbers that stand beside ours, and those that may not."""
    beside, apart = [], []
    for line in numbers.to_dict("records"):
        known = {key: "" if pd.isna(value) else value for key, value in line.items()}
        value = f"{line['value']:g}" + (f" to {line['value_to']:g}" if known["value_to"] != "" else "")
        value += f" ± {line['sd']:g}" if known["sd"] != "" else ""
        value += f" (read to ±{line['precision']:g})" if known["precision"] != "" else ""
        dataset = theme.label("datasets", line["dataset"]) + (f", {known['condition']}" if known["condition"] else "")
        score = known["metric"] + (f" ({known['labels']})" if known["labels"] else "")
        common = [dataset, known["method"], Cell(score, about=known["definition"])]
        common += [theme.direction(line["direction"]) if "->" in line["direction"] else line["direction"]]
        common += [Cell(value, sort=line["value"]), Cell(f"{int(line['n']):,}", sort=line["n"]) if known["n"] != "" else ""]
        invalid = {"mark": "warn"} if known["verdict"] == "invalid" else {}
        remark = Cell(("Invalid: " if invalid else "") + known["remark"], **invalid)
        if str(line["comparable"]) != "True":
            apart.append([*common, Cell(known["differs"], why=known["reason"]), remark])
            continue
        ours = ""
        if known["ours"] != "":
            ours = f"{line['ours']:.3f}" + (f" ± {line['ours_sd']:.3f}" if known["ours_sd"] != "" else "")
        run = theme.label("runs", known["run"]) if known["run"] else ""
        beside.append([*common, ours, run + (" (another method)" if known["same_method"] == "no" else ""), remark])
    columns = [Column("Dataset", choices=True), Column("Method", choices=True), Column("Score", choices=True), "Direction"]
    columns += [Column("Published", descending=True), Column("n", descending=True)]
    remark = Column("Remark", words=True)
    return {
        "beside": grid("Published numbers beside ours", [*columns, "Ours", "Run", remark], beside) if beside else None,
        "apart": grid("Published numbers that do not agree", [*columns, Column("Does not agree in", words=True), remark], apart)
        if apart
        else None,
    }


# --- methods, metrics, datasets ------------------------------------------------------------------------------------------


def methods(runs: pd.DataFrame, records: Sequence[Mapping], theme: Theme) -> list[dict]:
    """Return every method that ran, from its card, with the hyperparameters that its runs really had."""
    names = dict(zip(runs["run"], runs["method"], strict=True))
    used = _hyperparameters(records)
    described: dict[str, dict] = {}
    for run in theme.order("runs", names):
        described.setdefault(names[run], {"runs": []})["runs"].append(run)
    for method, about in described.items():
        card = theme.cards["methods"].get(method, {})
        about |= {key: ", ".join(card.get(key, ())) for key in ("handles", "uses", "gives")}
        about |= {key: card.get(key, "") for key in ("summary", "deviates", "paper", "doi")}
        about |= {"id": method, "label": theme.label("methods", method), "kind": theme.kind(about["runs"][0])}
        about |= {"colour": theme.colour(about["runs"][0]), "transductive": bool(card.get("transductive", False))}
        about["hyperparameters"] = _used(method, about["runs"], used)
    return list(described.values())


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
    defaults = catalog.hyperparameters(method) if method in catalog.names("methods") else {}
    names = list(dict.fromkeys([*defaults, *(name for run in runs for name in used.get(run, {}))]))
    if not names or not any(run in used for run in runs):
        return None
    rows = []
    for name in names:
        default = json.dumps(defaults[name].default) if name in defaults else tables.NOT_GIVEN
        cells: list[Cell | str] = [name, default]
        for run in runs:
            values = used.get(run, {}).get(name)
            absent = Cell(tables.NOT_GIVEN, why="no record of this run says it")
            changed = "best" if values and values != [default] else ""
            cells.append(Cell(", ".join(values), mark=changed) if values else absent)
        rows.append(cells)
    return grid(f"Hyperparameters of {method}", ["Hyperparameter", "Default", *runs], rows)


def metric(name: str, theme: Theme) -> dict:
    """Return what a metric's card says, in words."""
    card = theme.metric(name)
    ends = [f"best {card['best']}" if card.get("best") not in (None, "") else ""]
    ends += [f"chance {card['chance']}" if card.get("chance") not in (None, "") else ""]
    return {
        "id": name,
        "label": theme.label("metrics", name),
        "arrow": ARROWS.get(card.get("better"), ""),
        "ends": ", ".join(end for end in ends if end),
        "group": str(card.get("group", "")).replace("_", " "),
        "definition": card.get("definition", ""),
        "doi": card.get("doi", ""),
    }


def metrics(scores: pd.DataFrame, theme: Theme) -> dict[str, list[dict]]:
    """Return group -> its metrics, of the metrics that have scores; groups that say nothing about quality come last."""
    groups: dict[str, list[dict]] = {}
    for name in theme.order("metrics", (name for name in scores["metric"].unique() if name != "status")):
        about = metric(name, theme)
        groups.setdefault(about["group"] or "other", []).append(about)
    last = {group.replace("_", " ") for group in statistics.NO_QUALITY}
    return dict(sorted(groups.items(), key=lambda group: group[0] in last))


def datasets(runs: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return every dataset of the runs, with the facts of its card."""
    described = []
    for name in theme.order("datasets", runs["dataset"]):
        card = {
            key: value
            for key, value in theme.cards["datasets"].get(name, {}).items()
            if key != "label" and value not in ("", (), [])
        }
        facts = {key.replace("_", " "): _text(value) for key, value in card.items()}
        described.append({"id": name, "label": theme.label("datasets", name), "facts": facts})
    return described


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(entry)}" for key, entry in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)


# --- provenance ----------------------------------------------------------------------------------------------------------


def provenance(runs: pd.DataFrame, records: Sequence[Mapping]) -> dict[str, object]:
    """Return facts, and the tables of versions and machines; more than one value of a fact is said."""
    seeds = sorted(int(seed) for seed in runs["seed"].dropna().unique())
    facts = {"Seeds": ", ".join(map(str, seeds)) or tables.NOT_GIVEN}
    facts["Code (commit)"] = distinct((str(record["git_commit"]) for record in records), none=tables.NOT_GIVEN)
    trained = [record["arithmetic"] for record in records if record.get("arithmetic")]
    if trained:
        words = (", ".join(f"{name} {value}" for name, value in known.items()) for known in trained)
        facts["Training computed with"] = distinct(words, none=tables.NOT_GIVEN)
    versions: dict[str, list[str]] = {}
    for record in records:
        for name, version in record["versions"].items():
            versions.setdefault(name, []).append(str(version))
    rows = [[name, distinct(versions[name], none=tables.NOT_GIVEN)] for name in sorted(versions)]
    return {
        "facts": facts,
        "commits": len({record["git_commit"] for record in records}),
        "versions": grid("Versions", ["Package", Column("Version of the runs", words=True)], rows) if rows else None,
        "machines": _machines(records),
    }


def _machines(records: Sequence[Mapping]) -> Grid | None:
    """Return one row per distinct machine, with how many fits it did."""
    seen: dict[tuple[str, ...], int] = {}
    for record in records:
        known = {"device": record["device"], "threads": record["threads"]} | dict(record.get("hardware") or {})
        machine = tuple(_fact(name, known.get(name)) for name in HARDWARE)
        seen[machine] = seen.get(machine, 0) + 1
    rows = []
    for machine, fits in seen.items():
        cells = [Cell(text, why="the records do not say" if text == tables.NOT_GIVEN else "") for text in machine]
        rows.append([*cells, Cell(f"{fits}", sort=fits)])
    return grid("Machines", [*HARDWARE.values(), Column("Fits", descending=True)], rows) if rows else None


def _fact(name: str, value: object) -> str:
    if value in (None, ""):
        return tables.NOT_GIVEN
    return f"{value / 1024:.0f} GiB" if name == "memory_mb" else str(value)
