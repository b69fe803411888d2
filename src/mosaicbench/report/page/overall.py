"""Overall scores and mean ranks in the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from mosaicbench.report.page.cells import (
    Columns,
    arranged,
    interval_column,
    joined_labels,
    label_columns,
    number_cell,
    number_column,
    run_column,
    score_column,
    text_column,
    text_of,
    trait_columns,
)
from mosaicbench.report.page.html_tables import Cell, Column, Grid, table
from mosaicbench.report.page.summary import totals
from mosaicbench.report.tables.text import FEWER
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import ALL, HEADLINE, NO_INTERVAL
from mosaicbench.stats.overall import GROUPS, RANKS
from mosaicbench.stats.sanity import signs_of


def scoreboards(overall: pd.DataFrame, sanity_checks: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return one board per scenario: runs that answer every question by rank, then others, controls, and what did not apply."""
    signs = signs_of(sanity_checks)
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
    by_dataset = of_scenario.pivot(index="run", columns="dataset", values="score")
    datasets = theme.order("datasets", by_dataset.columns.difference([ALL]))
    several = datasets if len(datasets) > 1 else []
    lines = lines.set_index("run", drop=False).loc[theme.order("runs", lines["run"])]
    lines = lines.assign(
        signs=[signs.get((lines["dataset"].iloc[0], scenario, run), "") for run in lines["run"]],
        lacks=[_what_is_missing(text, len(together), theme) for text in lines["missing"]],
    ).join(by_dataset[several].add_prefix("in "))
    ran = lines[lines["of_seeds"] > 0]
    competes, complete = ran["run"].map(theme.run_metadata.competes), ran["complete"].astype(bool)
    incomplete = ran[competes & ~complete]
    title = theme.label("scenarios", scenario).capitalize()
    if several:
        over = f"mean over {len(together)} datasets"
        title += f", {over if len(together) > 1 else theme.label('datasets', together[0])}"
    sections = {
        "Every question answered": ran[competes & complete].sort_values("rank", kind="stable"),
        "Without an answer to every question: ranked in those that they answer": incomplete,
        "Controls": ran[~competes],
    }
    lacking = zip(incomplete["run"], incomplete["lacks"], strict=True)
    return {
        "title": title,
        "grid": table(f"Overall scores, {title}", _columns(several, theme), sections, by_run=True),
        "absent": joined_labels(theme, "runs", lines.loc[lines["of_seeds"] == 0, "run"]),
        "apart": ", ".join(
            theme.label("datasets", name) for name in datasets if name not in together
        ),
        "missing": ", ".join(f"{theme.label('runs', run)} ({lacks})" for run, lacks in lacking),
        "interval": ", ".join(sorted(set(lines["interval"]) - {NO_INTERVAL})) or NO_INTERVAL,
    }


def _columns(datasets: list[str], theme: Theme) -> Columns:
    def reason(row: dict) -> str:
        return f"it lacks {row['lacks']}" if row["lacks"] else ""

    def unranked(row: dict) -> str:
        return reason(row) if theme.run_metadata.competes(row["run"]) else "controls are not ranked"

    def score(row: dict) -> Cell:
        cell = number_cell(row["score"], why=reason(row))
        is_whole = (
            row["complete"] or not theme.run_metadata.competes(row["run"]) or pd.isna(row["score"])
        )
        return cell if is_whole else replace(cell, text=f"{cell.text} {FEWER}", why=reason(row))

    columns = run_column(theme) + number_column("Rank", "rank", ".0f", why=unranked)
    columns += [(Column("Overall ↑", descending=True), score), *interval_column("95 % interval")]
    for group, name, rank in zip(groups(theme), GROUPS, RANKS, strict=True):
        look = {"about": group["metrics"], "descending": True}
        columns += number_column(f"{group['label']} ↑", name, why=reason, **look)
        columns += number_column("Rank in it", rank, ".0f", why=reason)
    for name in datasets:
        why = "not applicable, or without a score"
        columns += number_column(
            theme.label("datasets", name), f"in {name}", why=why, descending=True
        )
    made_of = Column("Scores", about="how many of the scores that the overall score is made of")
    columns += [
        (made_of, lambda row: f"{row['metrics']}/{row['of_metrics']}"),
        ("Seeds", lambda row: f"{row['seeds']}/{row['of_seeds']}"),
    ]
    return columns + trait_columns(theme)


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


def ranks(table_of_ranks: pd.DataFrame, sanity_checks: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return one row per scenario, headline score and run, the ranked first; None where there is nothing to rank."""
    rows, signs = table_of_ranks[table_of_ranks["metric"].isin(HEADLINE)], signs_of(sanity_checks)
    scenarios = theme.order("scenarios", rows["scenario"])
    places = rows["scenario"].map(scenarios.index), rows["metric"].map(HEADLINE.index)
    rows = arranged(rows, *places, rows["rank"])
    names = zip(rows["scenario"], rows["run"], strict=True)
    columns = run_column(theme) + label_columns(theme, scenario="scenarios") + score_column(theme)
    columns += [
        (
            "Mean rank",
            lambda row: number_cell(
                row["rank"], f"{row['rank']:.2f} of {row['ranked']:.0f}", why=text_of(row, "note")
            ),
        ),
        *interval_column("95 % interval", decimals=2),
        ("Datasets x seeds", lambda row: f"{row['blocks']:.0f}/{row['of_blocks']:.0f}"),
    ]
    columns += text_column("Note", "note")
    return table(
        "Mean ranks", columns, rows.assign(signs=[signs.get((ALL, *name), "") for name in names])
    )
