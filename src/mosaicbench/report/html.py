"""The report: one HTML file that opens from disk, with its style and pictures inside and no reference to the network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mosaicbench.report import statistics, tables
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
        scoreboards=_scoreboards(read["overall"], theme),
        groups=_groups(theme),
        ranks=_ranks(read["ranks"], theme),
        gates=_gates(read["gates"], theme),
        published=_published(read["published"], theme),
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
    names = ("headline", "runs", "overview", "gates", "paired_tests")
    of_view = {name: tables.of_view(read[name], dataset, scenario) for name in names}
    summary = of_view["headline"]
    winners = summary[tables.best(summary, of_view["runs"], theme.cards)]
    best = set(zip(winners["run"], winners["metric"], strict=True))
    gates = of_view["gates"]
    at_chance = gates[gates["gate"] == "chance"]
    chance = set(zip(at_chance["run"], at_chance["metric"], strict=True))
    overview = of_view["overview"].set_index("run")
    rows = []
    for run in theme.order("runs", overview.index):
        line = overview.loc[run]
        cells = [
            {"text": line[metric], "best": (run, metric) in best, "chance": (run, metric) in chance}
            for metric in tables.HEADLINE
        ]
        rows.append(
            {"run": run, "label": theme.label("runs", run), "colour": theme.colour(run), "kind": line["kind"], "cells": cells}
            | {
                "uses": _uses(run, theme),
                "seeds": line["seeds"],
                "status": line["status"].replace("_", " "),
                "ok": line["status"] == "ok",
            }
        )
    return {
        "anchor": f"view-{place + 1}",
        "title": theme.view(dataset, scenario),
        "columns": [_metric(metric, theme) for metric in tables.HEADLINE],
        "rows": rows,
        "tests": _tests(of_view["paired_tests"], theme),
        "figures": pictures.all_of(figure_cards, "view", (dataset, scenario)),
    }


def _uses(run: str, theme: Theme) -> str:
    """Return what a run was given beside the cells' values: "pairs, labels"."""
    card = theme.cards["methods"].get(theme.methods.get(run, run), {})
    given = [*card.get("uses", ()), *(["the query cells (transductive)"] if card.get("transductive", False) else [])]
    return ", ".join(given) or tables.NOT_GIVEN


def _tests(paired: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return, for each headline score, its paired tests: runs in display order, over seeds beside over cells."""
    found = []
    for metric in [name for name in tables.HEADLINE if name in set(paired["metric"])]:
        of_metric = paired[paired["metric"] == metric]
        rows = []
        for against in of_metric["against"].unique():
            pairs = of_metric[of_metric["against"] == against]
            for run in theme.order("runs", pairs["run"]):
                rows.append(_test(pairs[pairs["run"] == run].set_index("test"), run, against, metric, theme))
        found.append(_metric(metric, theme) | {"rows": rows, "seeds": int(of_metric["seeds"].max())})
    return found


def _test(pair: pd.DataFrame, run: str, against: str, metric: str, theme: Theme) -> dict:
    seeds = pair.loc[statistics.OVER_SEEDS]
    cells = pair.loc[statistics.OVER_CELLS] if statistics.OVER_CELLS in pair.index else None
    return {
        "run": theme.label("runs", run),
        "against": theme.label("runs", against),
        "role": seeds["role"],
        "effect": _signed(seeds["effect"]),
        "better": "" if seeds["better"] != run else "better",
        "interval": _interval(seeds["low"], seeds["high"]),
        "p": _p(seeds["p"]),
        "p_holm": _p(seeds["p_holm"]),
        "seeds": int(seeds["seeds"]),
        "note": seeds["note"] if isinstance(seeds["note"], str) else "",
        "cells": tables.NOT_GIVEN if cells is None else f"{int(cells['n'])}",
        "cells_interval": tables.NOT_GIVEN if cells is None else _interval(cells["low"], cells["high"]),
        "cells_p_holm": tables.NOT_GIVEN if cells is None else _p(cells["p_holm"]),
    }


def _signed(value: float) -> str:
    return tables.NOT_GIVEN if pd.isna(value) else f"{value:+z.3f}"


def _interval(low: float, high: float, *, decimals: int = 3) -> str:
    return tables.NOT_GIVEN if pd.isna(low) or pd.isna(high) else f"{low:z.{decimals}f} to {high:z.{decimals}f}"


def _p(value: float) -> str:
    return tables.NOT_GIVEN if pd.isna(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _scoreboards(overall: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return one board per scenario: complete runs by rank, then incomplete ones, controls, and what did not apply."""
    boards = []
    for scenario in theme.order("scenarios", overall["scenario"]):
        of_scenario = overall[overall["scenario"] == scenario]
        datasets = theme.order("datasets", (name for name in of_scenario["dataset"] if name != statistics.ALL))
        total = statistics.ALL if statistics.ALL in set(of_scenario["dataset"]) else datasets[0]
        by_dataset = of_scenario.set_index(["dataset", "run"])
        whole = of_scenario[of_scenario["dataset"] == total]
        ranked = int(whole["rank"].notna().sum())
        sections: dict[str, list[dict]] = {"ranked": [], "incomplete": [], "control": []}
        absent = []
        for run in theme.order("runs", whole["run"]):
            line = by_dataset.loc[(total, run)]
            if not line["of_seeds"]:
                absent.append(theme.label("runs", run))
                continue
            section = "control" if line["kind"] == "control" else "ranked" if line["complete"] else "incomplete"
            row = {"run": run, "label": theme.label("runs", run), "colour": theme.colour(run), "order": line["rank"]}
            row |= {"rank": tables.NOT_GIVEN if pd.isna(line["rank"]) else f"{int(line['rank'])} of {ranked}"}
            row |= {"score": _three(line["score"]), "interval": _interval(line["low"], line["high"])}
            row |= {"groups": [_three(line[name]) for name in statistics.GROUPS]}
            row |= {
                "datasets": [_three(by_dataset.loc[(name, run), "score"]) for name in datasets] if len(datasets) > 1 else []
            }
            row |= {"metrics": f"{line['metrics']}/{line['of_metrics']}", "seeds": f"{line['seeds']}/{line['of_seeds']}"}
            row |= {"uses": _uses(run, theme), "missing": _short(line["missing"], theme)}
            sections[section].append(row)
        sections["ranked"].sort(key=lambda row: row["order"])
        boards.append(
            {"scenario": theme.label("scenarios", scenario), "sections": sections, "absent": ", ".join(absent)}
            | {"datasets": [theme.label("datasets", name) for name in datasets] if len(datasets) > 1 else []}
            | {"interval": ", ".join(sorted(set(whole["interval"]) - {tables.NO_INTERVAL})) or tables.NO_INTERVAL}
        )
    return boards


def _three(value: float) -> str:
    return tables.NOT_GIVEN if pd.isna(value) else f"{value:z.3f}"


def _short(missing: object, theme: Theme) -> str:
    """Return what is missing in words: a group where all of it is, and once where every dataset misses the same."""
    if not isinstance(missing, str) or not missing:
        return ""
    parts = [part.rsplit(": ", 1) for part in missing.split("; ")]
    words = {tuple(part[:-1]): _in_groups(part[-1].split(", "), theme) for part in parts}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(": ".join([*(theme.label("datasets", name) for name in place), what]) for place, what in words.items())


def _in_groups(names: list[str], theme: Theme) -> str:
    left, found = list(names), []
    for group, metrics in statistics.GROUPS.items():
        if set(metrics) <= set(left):
            found.append(group.replace("_", " "))
            left = [name for name in left if name not in metrics]
    return ", ".join([*found, *(theme.label("metrics", name) for name in left)])


def _groups(theme: Theme) -> list[dict]:
    return [
        {
            "label": name.replace("_", " ").capitalize(),
            "metrics": ", ".join(theme.label("metrics", metric) for metric in metrics),
        }
        for name, metrics in statistics.GROUPS.items()
    ]


def _ranks(ranks: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return one row per scenario, headline score and run, the ranked first."""
    rows = []
    shown = ranks[ranks["metric"].isin(tables.HEADLINE)]
    for scenario in theme.order("scenarios", shown["scenario"]):
        of_scenario = shown[shown["scenario"] == scenario]
        for metric in [name for name in tables.HEADLINE if name in set(of_scenario["metric"])]:
            of_metric = of_scenario[of_scenario["metric"] == metric].sort_values("rank", kind="stable")
            for row in of_metric.to_dict("records"):
                rows.append(
                    {"scenario": theme.label("scenarios", scenario), "metric": theme.label("metrics", metric)}
                    | {"run": theme.label("runs", row["run"]), "interval": _interval(row["low"], row["high"], decimals=2)}
                    | {"rank": tables.NOT_GIVEN if pd.isna(row["rank"]) else f"{row['rank']:.2f} of {int(row['ranked'])}"}
                    | {"blocks": f"{int(row['blocks'])}/{int(row['of_blocks'])}", "datasets": int(row["datasets"])}
                    | {"note": row["note"] if isinstance(row["note"], str) else ""}
                )
    return rows


def _gates(gates: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return one row per run and gate, with a finding per metric."""
    rows = []
    for (dataset, scenario, run, gate), found in gates.groupby([*tables.RUN, "gate"], sort=False):
        findings = [
            {"metric": "" if metric == "all" else theme.label("metrics", metric), "message": message}
            for metric, message in zip(found["metric"], found["message"], strict=True)
        ]
        rows.append(
            {"view": theme.view(dataset, scenario), "run": theme.label("runs", run), "gate": gate, "findings": findings}
        )
    return rows


def _published(published: pd.DataFrame, theme: Theme) -> dict[str, list[dict]]:
    """Return the published numbers that stand beside ours, and those that may not, by dataset."""
    rows = []
    for row in published.to_dict("records"):
        known = {key: "" if pd.isna(value) else value for key, value in row.items()}
        value = f"{row['value']:g}" + (f" to {row['value_to']:g}" if known["value_to"] != "" else "")
        value += f" ± {row['sd']:g}" if known["sd"] != "" else ""
        value += f" (read to ±{row['precision']:g})" if known["precision"] != "" else ""
        ours = (
            "" if known["ours"] == "" else f"{row['ours']:.3f}" + (f" ± {row['ours_sd']:.3f}" if known["ours_sd"] != "" else "")
        )
        rows.append(
            known
            | {"value": value, "ours": ours, "n": f"{int(row['n']):,}" if known["n"] != "" else ""}
            | {
                "dataset": theme.label("datasets", row["dataset"]),
                "run": theme.label("runs", known["run"]) if known["run"] else "",
            }
            | {"direction": theme.direction(row["direction"]) if "->" in row["direction"] else row["direction"]}
            | {"comparable": str(row["comparable"]) == "True"}
        )
    beside = [row for row in rows if row["comparable"]]
    return {"beside": beside, "apart": [row for row in rows if not row["comparable"]]}


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
