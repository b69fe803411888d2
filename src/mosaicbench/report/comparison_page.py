"""What differs between two benchmarks, as text for a terminal and as a page."""

from __future__ import annotations

import pandas as pd

from mosaicbench.report import difference, tables
from mosaicbench.report.difference import BETTER, BEYOND, CHANGES, WORSE
from mosaicbench.report.html_tables import Cell, Column, Grid, grid, key, many, named
from mosaicbench.report.page import render
from mosaicbench.report.theme import Theme

NOTEWORTHY = (BETTER, WORSE, BEYOND)
MARKS = {BETTER: "best", WORSE: "warn"}


def as_text(
    scores: pd.DataFrame, statuses: pd.DataFrame, fits: pd.DataFrame, config: pd.DataFrame, made: pd.DataFrame, *, most: int
) -> str:
    """Return what differs as text: counts, then every difference beyond the intervals, at most `most` lines of each kind."""
    parts = [_counted(scores)]
    shown = scores[scores["change"].isin(NOTEWORTHY)]
    if len(shown):
        lines = pd.DataFrame({name: shown[name] for name in difference.KEYS})
        for side in ("a", "b"):
            lines[side.upper()] = [_value(line, side) for _, line in shown.iterrows()]
        lines["B - A"] = [f"{value:+.3g}" for value in shown["difference"]]
        lines["change"] = shown["change"]
        parts.append(_table("Beyond the intervals", lines, most))
    parts += [
        _table(title, table, most)
        for title, table in (
            ("Fits that ended otherwise", statuses.drop(columns=["message_a", "message_b"])),
            ("Seeds that only one of them has", fits),
            ("The configs differ in", config),
            ("The fits were made with other", made),
        )
        if len(table)
    ]
    return "\n\n".join(parts)


def page(
    scores: pd.DataFrame,
    statuses: pd.DataFrame,
    fits: pd.DataFrame,
    config: pd.DataFrame,
    made: pd.DataFrame,
    *,
    folders: tuple[str, str],
    theme: Theme,
) -> str:
    """Return what differs as HTML.

    Parameters
    ----------
    scores, statuses, fits, config, made
        As :mod:`mosaicbench.report.difference` gives them; `made` are the facts of ``circumstances``.
    folders
        Where the two benchmarks lie.
    theme
        Labels, colours and order, of the runs of both.
    """
    shown = scores[scores["change"].isin(NOTEWORTHY)]
    return render(
        "compare.html.j2",
        title="Two benchmarks side by side",
        folders=dict(zip("AB", folders, strict=True)),
        counted=_counted(scores),
        changes=CHANGES,
        beyond=_scores("Scores beyond their intervals", shown, theme) if len(shown) else None,
        scores=_scores("All scores", scores, theme) if len(scores) else None,
        statuses=_statuses(statuses, theme) if len(statuses) else None,
        fits=_fits(fits, theme) if len(fits) else None,
        config=_facts("Configs", config) if len(config) else None,
        made=_facts("Circumstances", made) if len(made) else None,
    )


def _counted(scores: pd.DataFrame) -> str:
    counts = scores["change"].value_counts()
    said = ", ".join(f"{counts[change]} {change}" for change in CHANGES if change in counts)
    return f"{len(scores)} scores: {said}." if len(scores) else "Neither has a score."


def _value(line: pd.Series, side: str) -> str:
    mean, low, high = (line[f"{measure}_{side}"] for measure in ("mean", "low", "high"))
    if pd.isna(mean):
        return tables.NOT_GIVEN
    ends = "" if pd.isna(low) else f" ({' to '.join(tables.number(line['metric'], end) for end in (low, high))})"
    return tables.number(line["metric"], mean) + ends


def _table(title: str, table: pd.DataFrame, most: int) -> str:
    text = table.head(most).to_string(index=False, na_rep=tables.NOT_GIVEN, max_colwidth=60)
    return f"{title}\n{text}" + (f"\n… and {len(table) - most} more" if len(table) > most else "")


def _places(line: pd.Series, theme: Theme) -> list[Cell | str]:
    return [named(line["run"], theme), theme.label("datasets", line["dataset"]), theme.label("scenarios", line["scenario"])]


def _place_columns() -> list[Column]:
    return [Column("Run"), Column("Dataset", choices=True), Column("Scenario", choices=True)]


def _scores(label: str, scores: pd.DataFrame, theme: Theme) -> Grid:
    rows = []
    for _, line in scores.iterrows():
        sides = [Cell(_value(line, side), sort=key(line[f"mean_{side}"]), about=_about(line, side)) for side in ("a", "b")]
        gap = Cell("" if pd.isna(line["difference"]) else f"{line['difference']:+.3g}", sort=key(line["difference"]))
        change = Cell(line["change"], about=CHANGES[line["change"]], mark=MARKS.get(line["change"], ""))
        rows.append([*_places(line, theme), theme.label("metrics", line["metric"]), *sides, gap, change])
    columns = [*_place_columns(), Column("Score", choices=True), Column("A (95 %)"), Column("B (95 %)")]
    return grid(label, [*columns, Column("B − A", descending=True), Column("Change", choices=True)], rows)


def _about(line: pd.Series, side: str) -> str:
    return (
        ""
        if pd.isna(line[f"mean_{side}"])
        else f"{many(int(line[f'seeds_{side}']), 'seed')}, interval: {line[f'interval_{side}']}"
    )


def _statuses(statuses: pd.DataFrame, theme: Theme) -> Grid:
    rows = []
    for _, line in statuses.iterrows():
        cells = [Cell(line[f"status_{side}"].replace("_", " "), why=line[f"message_{side}"]) for side in ("a", "b")]
        rows.append([*_places(line, theme), tables.NOT_GIVEN if pd.isna(line["seed"]) else str(line["seed"]), *cells])
    return grid("Fits that ended otherwise", [*_place_columns(), "Seed", "A", "B"], rows)


def _fits(fits: pd.DataFrame, theme: Theme) -> Grid:
    rows = [
        [*_places(line, theme), *(line[side] or tables.NOT_GIVEN for side in ("seeds_a", "seeds_b"))]
        for _, line in fits.iterrows()
    ]
    return grid("Seeds that only one of them has", [*_place_columns(), "Only in A", "Only in B"], rows)


def _facts(label: str, facts: pd.DataFrame) -> Grid:
    columns = ["What", Column("A", words=True), Column("B", words=True)]
    return grid(label, columns, facts[difference.FACT_COLUMNS].to_numpy().tolist())
