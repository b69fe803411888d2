"""Overall scores and mean ranks in the report."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mosaicbench.report.page.cells import (
    interval_cell,
    number_cell,
    run_cell,
    trait_cells,
    trait_columns,
)
from mosaicbench.report.page.html_tables import Cell, Column, Grid, Row, grid, headed, row
from mosaicbench.report.page.summary import totals
from mosaicbench.report.tables.text import FEWER
from mosaicbench.report.theme import Theme
from mosaicbench.statistics.common import ALL, HEADLINE, NO_INTERVAL
from mosaicbench.statistics.overall import GROUPS, RANKS
from mosaicbench.statistics.sentinels import signs_of


def scoreboards(overall: pd.DataFrame, gates: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return one board per scenario: runs that answer every question by rank, then others, controls, and what did not apply."""
    signs = signs_of(gates)
    return [
        _board(scenario, lines, overall[overall["scenario"] == scenario], signs, theme)
        for scenario, lines in totals(overall, theme)
    ]


def _board(
    scenario: str,
    lines: pd.DataFrame,
    of_scenario: pd.DataFrame,
    signs: Mapping[tuple, str],
    theme: Theme,
) -> dict:
    """Return the board of one scenario; `lines` are its overall scores, `of_scenario` those by dataset too."""
    together = [name for name in str(lines["datasets"].iloc[0]).split(", ") if name]
    by_dataset = of_scenario.set_index(["dataset", "run"])["score"]
    datasets = theme.order(
        "datasets", (name for name in by_dataset.index.unique("dataset") if name != ALL)
    )
    several = datasets if len(datasets) > 1 else []
    sections: dict[str, list[tuple[float, Row]]] = {"complete": [], "incomplete": [], "control": []}
    missing, absent = [], []
    by_run = lines.set_index("run")
    for run in theme.order("runs", by_run.index):
        line = by_run.loc[run]
        if not line["of_seeds"]:
            absent.append(theme.label("runs", run))
            continue
        section = (
            "control"
            if not theme.roster.competes(run)
            else "complete"
            if line["complete"]
            else "incomplete"
        )
        lacks = _what_is_missing(line["missing"], len(together), theme)
        if section == "incomplete":
            missing.append(f"{theme.label('runs', run)} ({lacks})")
        scores = [by_dataset.loc[(name, run)] for name in several]
        named = run_cell(run, theme, signs.get((line["dataset"], scenario, run), ""))
        sections[section].append((line["rank"], _row(named, line, scores, section, lacks, theme)))
    sections["complete"].sort(key=lambda ranked: ranked[0])
    incomplete = "Without an answer to every question: ranked in those that they answer"
    headings = {
        "Every question answered": "complete",
        incomplete: "incomplete",
        "Controls": "control",
    }
    rows = {
        heading: [line for _, line in sections[section]] for heading, section in headings.items()
    }
    apart = [theme.label("datasets", name) for name in datasets if name not in together]
    title = theme.label("scenarios", scenario).capitalize()
    if several:
        title += (
            f", mean over {len(together)} datasets"
            if len(together) > 1
            else f", {theme.label('datasets', together[0])}"
        )
    return {
        "title": title,
        "grid": Grid(f"Overall scores, {title}", _columns(several, theme), rows),
        "absent": ", ".join(absent),
        "apart": ", ".join(apart),
        "missing": ", ".join(missing),
        "interval": ", ".join(sorted(set(lines["interval"]) - {NO_INTERVAL})) or NO_INTERVAL,
    }


def _columns(datasets: list[str], theme: Theme) -> tuple[Column, ...]:
    columns = ["Run", "Rank", Column("Overall ↑", descending=True), "95 % interval"]
    for group in groups(theme):
        columns += [
            Column(f"{group['label']} ↑", about=group["metrics"], descending=True),
            Column("Rank in it"),
        ]
    columns += [Column(theme.label("datasets", name), descending=True) for name in datasets]
    columns += [
        Column("Scores", about="how many of the scores that the overall score is made of"),
        "Seeds",
    ]
    return headed([*columns, *trait_columns()])


def _row(
    named: Cell, line: pd.Series, of_datasets: list[float], section: str, lacks: str, theme: Theme
) -> Row:
    """Return the row of a run, whose name is in `named`; `lacks` says which scores and seeds it lacks."""
    run = line.name
    reason = f"it lacks {lacks}" if lacks else ""
    rank = number_cell(
        line["rank"],
        f"{line['rank']:.0f}",
        why="controls are not ranked" if section == "control" else reason,
    )
    score = number_cell(line["score"], why=reason)
    questions = []
    for name, place in zip(GROUPS, RANKS, strict=True):
        questions += [
            number_cell(line[name], why=reason),
            number_cell(line[place], f"{line[place]:.0f}", why=reason),
        ]
    if section == "incomplete" and not pd.isna(line["score"]):
        score = Cell(f"{score.text} {FEWER}", sort=score.sort, why=reason)
    return row(
        named,
        rank,
        score,
        interval_cell(line["low"], line["high"]),
        *questions,
        *(number_cell(value, why="not applicable, or without a score") for value in of_datasets),
        f"{line['metrics']}/{line['of_metrics']}",
        f"{line['seeds']}/{line['of_seeds']}",
        *trait_cells(run, theme),
        run=run,
    )


def _what_is_missing(missing: object, datasets: int, theme: Theme) -> str:
    """Return what is missing in words: a group where all of it is, and once where every dataset misses the same."""
    if not isinstance(missing, str) or not missing:
        return ""
    parts = [part.rsplit(": ", 1) for part in missing.split("; ")]
    words = {tuple(part[:-1]): _in_groups(part[-1].split(", "), theme) for part in parts}
    everywhere = len(words) == datasets or () in words  # without a dataset's name there is only one
    if everywhere and len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(
        ": ".join([*(theme.label("datasets", name) for name in place), what])
        for place, what in words.items()
    )


def _in_groups(names: list[str], theme: Theme) -> str:
    """Return metrics in words, by their group's name where all of a group are among them."""
    whole = [group for group, metrics in GROUPS.items() if set(metrics) <= set(names)]
    rest = [name for name in names if not any(name in GROUPS[group] for group in whole)]
    return ", ".join(
        [
            *(group.replace("_", " ") for group in whole),
            *(theme.label("metrics", name) for name in rest),
        ]
    )


def groups(theme: Theme) -> list[dict[str, str]]:
    """Return what the overall score is made of: the label of each group, and its metrics."""
    return [
        {
            "label": name.replace("_", " ").capitalize(),
            "metrics": ", ".join(theme.label("metrics", metric) for metric in metrics),
        }
        for name, metrics in GROUPS.items()
    ]


def ranks(table: pd.DataFrame, gates: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return one row per scenario, headline score and run, the ranked first; None where there is nothing to rank."""
    rows, signs = [], signs_of(gates)
    for scenario in theme.order("scenarios", table.loc[table["metric"].isin(HEADLINE), "scenario"]):
        of_scenario = table[table["scenario"] == scenario]
        for metric in [name for name in HEADLINE if name in set(of_scenario["metric"])]:
            of_metric = of_scenario[of_scenario["metric"] == metric].sort_values(
                "rank", kind="stable"
            )
            for line in of_metric.to_dict("records"):
                note = line["note"] if isinstance(line["note"], str) else ""
                rank = number_cell(
                    line["rank"], f"{line['rank']:.2f} of {int(line['ranked'])}", why=note
                )
                rows.append(
                    [
                        run_cell(line["run"], theme, signs.get((ALL, scenario, line["run"]), "")),
                        theme.label("scenarios", scenario),
                        theme.label("metrics", metric),
                        rank,
                    ]
                    + [interval_cell(line["low"], line["high"], decimals=2)]
                    + [f"{int(line['blocks'])}/{int(line['of_blocks'])}", note]
                )
    columns = [
        "Run",
        Column("Scenario", choices=True),
        Column("Score", choices=True),
        "Mean rank",
        "95 % interval",
    ]
    return grid("Mean ranks", [*columns, "Datasets x seeds", Column("Note", words=True)], rows)
