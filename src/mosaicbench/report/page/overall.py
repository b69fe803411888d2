"""Overall scores and mean ranks in the report."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    arranged,
    in_words,
    interval_column,
    label_column,
    number_cell,
    run_column,
    table,
    text_of,
    trait_columns,
)
from mosaicbench.report.page.summary import by_scenario
from mosaicbench.report.tables.text import FEWER
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import ALL, HEADLINE, NO_INTERVAL, RUN
from mosaicbench.stats.overall import GROUPS, RANKS
from mosaicbench.stats.sanity import signs_of


def scoreboards(overall: pd.DataFrame, sanity_checks: pd.DataFrame, theme: Theme) -> list[dict]:
    """Return a board per scenario: ranked runs, incomplete ones, controls, and what is missing."""
    boards = []
    for scenario, lines in by_scenario(_signed(overall, sanity_checks), theme):
        of_scenario = overall[overall["scenario"] == scenario]
        by_dataset = of_scenario.pivot(index="run", columns="dataset", values="score")
        boards.append(_board(scenario, lines, by_dataset, theme))
    return boards


def _signed(rows: pd.DataFrame, sanity_checks: pd.DataFrame) -> pd.DataFrame:
    signs = signs_of(sanity_checks)
    return rows.assign(signs=[signs.get(tuple(names), "") for names in rows[RUN].to_numpy()])


def _board(scenario: str, lines: pd.DataFrame, by_dataset: pd.DataFrame, theme: Theme) -> dict:
    together = [name for name in str(lines["datasets"].iloc[0]).split(", ") if name]
    datasets = theme.order("datasets", by_dataset.columns.difference([ALL]))
    several = datasets if len(datasets) > 1 else []
    lines = lines.set_index("run", drop=False).loc[theme.order("runs", lines["run"])]
    lines = lines.assign(
        lacks=[_missing_in_words(text, len(together), theme) for text in lines["missing"]],
        competes=lines["run"].map(theme.run_metadata.competes).astype(bool),
    ).join(by_dataset[several].add_prefix("in "))
    ran = lines[lines["of_seeds"] > 0]
    complete = ran["complete"].astype(bool)
    incomplete = ran[ran["competes"] & ~complete]
    title = theme.label("scenarios", scenario).capitalize()
    if several:
        one = theme.label("datasets", together[0])
        title += f", {f'mean over {len(together)} datasets' if len(together) > 1 else one}"
    ranked = ran[ran["competes"] & complete].sort_values("rank", kind="stable")
    sections = {
        "Every question answered": ranked,
        "Some questions unanswered: ranked only in the others": incomplete,
        "Controls": ran[~ran["competes"]],
    }
    lacking = zip(incomplete["run"], incomplete["lacks"], strict=True)
    return {
        "title": title,
        "grid": table(f"Overall scores, {title}", _columns(several, theme), sections),
        "absent": theme.labels("runs", lines.loc[lines["of_seeds"] == 0, "run"]),
        "apart": theme.labels("datasets", set(datasets) - set(together)),
        "missing": ", ".join(f"{theme.label('runs', run)} ({lacks})" for run, lacks in lacking),
        "interval": ", ".join(sorted(set(lines["interval"]) - {NO_INTERVAL})) or NO_INTERVAL,
    }


def _columns(datasets: list[str], theme: Theme) -> list[Column]:
    def reason(row: dict) -> str:
        return f"it lacks {row['lacks']}" if row["lacks"] else ""

    def unranked(row: dict) -> str:
        return reason(row) if row["competes"] else "controls are not ranked"

    def score(row: dict) -> Cell:
        cell = number_cell(row["score"], why=reason(row))
        is_whole = row["complete"] or not row["competes"] or pd.isna(row["score"])
        return cell if is_whole else replace(cell, text=f"{cell.text} {FEWER}", why=reason(row))

    columns = [
        run_column(theme),
        Column("Rank", "rank", ".0f", unranked),
        Column("Overall ↑", score, descending=True),
        interval_column(),
    ]
    for (name, metrics), rank in zip(GROUPS.items(), RANKS, strict=True):
        label, about = in_words(name).capitalize(), theme.labels("metrics", metrics)
        columns += [
            Column(f"{label} ↑", name, "z.3f", reason, about, descending=True),
            Column("Rank in it", rank, ".0f", reason),
        ]
    for name in datasets:
        label, why = theme.label("datasets", name), "not applicable, or without a score"
        columns.append(Column(label, f"in {name}", "z.3f", why, descending=True))
    about = "how many of the scores that make up the overall score"
    return [
        *columns,
        Column("Scores", lambda row: f"{row['metrics']}/{row['of_metrics']}", about=about),
        Column("Seeds", lambda row: f"{row['seeds']}/{row['of_seeds']}"),
        *trait_columns(theme),
    ]


def _missing_in_words(missing: object, datasets: int, theme: Theme) -> str:
    """Return "d: foscttm, nmi; e: seed 2 diverged" in words, short if all miss the same."""
    if not isinstance(missing, str) or not missing:
        return ""
    words: dict[str, str] = {}
    for part in missing.split("; "):
        *place, names = part.rsplit(": ", 1)
        words["".join(place)] = _in_groups(names.split(", "), theme)
    everywhere = len(words) == datasets or "" in words  # a single dataset has no name here
    if everywhere and len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(
        f"{theme.label('datasets', name)}: {what}" if name else what for name, what in words.items()
    )


def _in_groups(names: list[str], theme: Theme) -> str:
    whole = {group: metrics for group, metrics in GROUPS.items() if set(metrics) <= set(names)}
    rest = set(names).difference(*whole.values())
    labels = [theme.label("metrics", name) for name in names if name in rest]
    return ", ".join([*map(in_words, whole), *labels])


def ranks(table_of_ranks: pd.DataFrame, sanity_checks: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return a row per scenario, headline score and run, the first rank first."""
    rows = table_of_ranks[table_of_ranks["metric"].isin(HEADLINE)]
    rows = _signed(rows.assign(dataset=ALL), sanity_checks)
    scenarios = theme.order("scenarios", rows["scenario"])
    places = rows["scenario"].map(scenarios.index), rows["metric"].map(HEADLINE.index)

    def rank(row: dict) -> Cell:
        text = f"{row['rank']:.2f} of {row['ranked']:.0f}"
        return number_cell(row["rank"], text, why=text_of(row, "note"))

    columns = [
        run_column(theme),
        label_column(theme, "scenario"),
        label_column(theme, "metric", "Score"),
        Column("Mean rank", rank),
        interval_column(decimals=2),
        Column("Datasets x seeds", lambda row: f"{row['blocks']:.0f}/{row['of_blocks']:.0f}"),
        Column("Note", "note", words=True),
    ]
    return table("Mean ranks", columns, arranged(rows, *places, rows["rank"]))
