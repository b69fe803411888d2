"""The report: one HTML file that opens from disk, with its style and pictures inside and no reference to the network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mosaicbench.report import tables
from mosaicbench.report.theme import Theme

TEMPLATE = "report.html.j2"
QUESTION = (
    "Cells were measured in several modalities, and the benchmark hides part of what is known. How well does each method bring "
    "the modalities into one space, so that a cell's partner can be found (alignment) and cell types carry over (label "
    "transfer), and how well does it predict a modality that was not measured (imputation)?"
)
LARGEST_SVG = 300_000  # bytes; a larger one holds many points, and its PNG is lighter
LARGEST_TOTAL = 10_000_000  # bytes of pictures, before base64
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
ARROWS = {"lower": "↓", "higher": "↑"}


def page(
    *,
    read: Mapping[str, pd.DataFrame],
    figures: Path,
    figure_cards: Mapping[str, dict],
    theme: Theme,
    config: Mapping,
    views: list[str],
    record: Mapping | None,
) -> str:
    """Return the report as HTML; everything that comes from a file or a name is escaped.

    Parameters
    ----------
    read
        The tables of ``tables.read_tables``.
    figures
        The folder that ``draw`` wrote; a figure that is not there is left out.
    figure_cards
        figure -> card, in the order of the report.
    theme
        Labels, colours and order.
    config
        The configuration, shown as it is; its `title` heads the page.
    views
        "dataset/scenario" in the order of the report.
    record
        One run's ``run.json``, for versions and commit; None leaves them out.
    """
    runs = read["runs"]
    pictures = _Pictures(Path(figures))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        title=config.get("title", "mosaicbench"),
        question=config.get("question", QUESTION),
        facts=_facts(runs, views, theme),
        views=[_view(place, view, read, pictures, figure_cards, theme) for place, view in enumerate(views)],
        overall=pictures.all_of(figure_cards, "all", ()),
        absent=_absent(runs, theme),
        gates=[dict(row) | {"run": theme.label("runs", row["run"])} for row in read["gates"].to_dict("records")],
        methods=_methods(runs, theme),
        metrics=_metrics(read["scores"], theme),
        datasets=_datasets(runs, theme),
        provenance=_provenance(runs, record),
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        signs={"not_given": tables.NOT_GIVEN, "cross": tables.CROSS, "fewer": tables.FEWER},
    )


class _Pictures:
    """Turns files into data URIs until the page is as heavy as it may be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left = LARGEST_TOTAL

    def all_of(self, cards: Mapping[str, dict], per: str, place: tuple[str, ...]) -> list[dict]:
        """Return label, caption, picture and the names of the files of every figure drawn for one view, or for all."""
        found = []
        for name, card in cards.items():
            stem = "/".join((*place, name))
            if card["per"] == per and (self.folder / f"{stem}.svg").is_file():
                uri = self._uri(self.folder / f"{stem}.svg")
                files = {kind: f"figures/{stem}.{kind}" for kind in ("svg", "tsv")}
                found.append({"label": card["label"], "caption": card["caption"], "uri": uri} | files)
        return found

    def _uri(self, svg: Path) -> str | None:
        path = svg if svg.stat().st_size <= LARGEST_SVG else svg.with_name(f"{svg.name.removesuffix('.svg')}.png")
        content = path.read_bytes()
        if len(content) > self.left:
            return None
        self.left -= len(content)
        return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(content).decode()}"


def _facts(runs: pd.DataFrame, views: list[str], theme: Theme) -> dict[str, str]:
    made = runs[runs["status"] != "not_applicable"]
    seeds = sorted(int(seed) for seed in made["seed"].dropna().unique())
    kinds = pd.Series({run: theme.kind(run) for run in runs["run"].unique()}, dtype=object)
    per_kind = [f"{(kinds == kind).sum()} {kind}s" for kind in ("model", "baseline", "control") if (kinds == kind).any()]
    datasets = theme.order("datasets", dict.fromkeys(view.split("/")[0] for view in views))
    scenarios = theme.order("scenarios", dict.fromkeys(view.split("/")[1] for view in views))
    return {
        "Datasets": ", ".join(theme.label("datasets", name) for name in datasets),
        "Scenarios": ", ".join(theme.label("scenarios", name) for name in scenarios),
        "Runs": f"{len(kinds)} ({', '.join(per_kind)})",
        "Seeds": f"{len(seeds)} ({', '.join(map(str, seeds))}); each repeats the whole experiment: split, start, minibatches",
        "Fits": f"{len(made)}, of which {int(made['status'].isin(tables.FAILED).sum())} failed and "
        f"{int((made['status'] == 'collapsed').sum())} collapsed",
    }


def _view(place: int, view: str, read: Mapping, pictures: _Pictures, figure_cards: Mapping[str, dict], theme: Theme) -> dict:
    dataset, scenario = view.split("/")
    of_view = {name: tables.of_view(read[name], dataset, scenario) for name in ("scores", "runs", "overview")}
    summary = tables.headline(of_view["scores"])
    winners = summary[tables.best(summary, of_view["runs"], theme.cards)]
    best = set(zip(winners["run"], winners["metric"], strict=True))
    overview = of_view["overview"].set_index("run")
    rows = []
    for run in theme.order("runs", overview.index):
        line = overview.loc[run]
        cells = [{"text": line[metric], "best": (run, metric) in best} for metric in tables.HEADLINE]
        rows.append(
            {"run": run, "label": theme.label("runs", run), "colour": theme.colour(run), "kind": line["kind"], "cells": cells}
            | {"seeds": line["seeds"], "status": line["status"].replace("_", " "), "ok": line["status"] == "ok"}
        )
    return {
        "anchor": f"view-{place + 1}",
        "title": theme.view(dataset, scenario),
        "columns": [_metric(metric, theme) for metric in tables.HEADLINE],
        "rows": rows,
        "figures": pictures.all_of(figure_cards, "view", (dataset, scenario)),
    }


def _metric(name: str, theme: Theme) -> dict:
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


def _metrics(scores: pd.DataFrame, theme: Theme) -> list[dict]:
    names = [name for name in scores["metric"].unique() if name != "status"]
    return [_metric(name, theme) for name in theme.order("metrics", names)]


def _methods(runs: pd.DataFrame, theme: Theme) -> list[dict]:
    names = dict(zip(runs["run"], runs["method"], strict=True))
    described: dict[str, dict] = {}
    for run in theme.order("runs", names):
        method = names[run]
        card = theme.cards["methods"].get(method, {})
        empty = {"label": theme.label("methods", method), "id": method, "kind": theme.kind(run), "runs": []}
        lists = {key: ", ".join(card.get(key, ())) for key in ("handles", "uses", "gives")}
        texts = {key: card.get(key, "") for key in ("summary", "deviates", "paper", "doi")}
        described.setdefault(method, empty | lists | texts)["runs"].append(run)
    return [method | {"runs": ", ".join(method["runs"])} for method in described.values()]


def _datasets(runs: pd.DataFrame, theme: Theme) -> list[dict]:
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


def _absent(runs: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return one row per view, run, status and reason, with its seeds: failed, then collapsed, then not applicable."""
    ranks = {status: rank for rank, status in enumerate([*tables.FAILED, "collapsed", "not_applicable"])}
    shown = runs[runs["status"].isin(ranks)]
    rows = [
        {
            "view": theme.view(dataset, scenario),
            "run": theme.label("runs", run),
            "status": status.replace("_", " "),
            "seeds": ", ".join(str(seed) for seed in group["seed"].dropna()) or tables.NOT_GIVEN,
            "message": message,
            "rank": ranks[status],
        }
        for (dataset, scenario, run, status, message), group in shown.groupby([*tables.RUN, "status", "message"], sort=False)
    ]
    return sorted(rows, key=lambda row: row["rank"])


def _provenance(runs: pd.DataFrame, record: Mapping | None) -> dict[str, str]:
    found = {"Device": ", ".join(sorted(set(runs["device"]) - {""})) or tables.NOT_GIVEN}
    if record is not None:
        found |= {"Commit": str(record["git_commit"]), "Threads": str(record["threads"])}
        found |= {f"{name}": str(version) for name, version in sorted(record["versions"].items())}
    return found
