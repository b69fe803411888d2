"""What differs between two benchmarks, as text for a terminal and as a page."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mosaicbench.report.page.cells import many, number_cell, run_cell, sort_key
from mosaicbench.report.page.html_tables import Cell, Column, Grid, grid
from mosaicbench.report.page.render import render
from mosaicbench.report.records import FACT_COLUMNS
from mosaicbench.report.tables.text import NOT_GIVEN, number
from mosaicbench.report.theme import Theme
from mosaicbench.statistics.difference import BETTER, BEYOND, CHANGES, KEYS, WORSE

MARKS = {BETTER: "best", WORSE: "warn"}
PLACE = [Column("Run"), Column("Dataset", choices=True), Column("Scenario", choices=True)]


@dataclass(frozen=True)
class Differences:
    """What differs between two benchmarks, A and B.

    Attributes
    ----------
    scores, statuses, fits
        As :mod:`mosaicbench.statistics.difference` gives them.
    config, circumstances
        As ``records.differing_facts`` gives them, of the configs, and of what the fits were made with.
    """

    scores: pd.DataFrame
    statuses: pd.DataFrame
    fits: pd.DataFrame
    config: pd.DataFrame
    circumstances: pd.DataFrame

    @property
    def beyond(self) -> pd.DataFrame:
        """The scores of which the interval of the difference leaves out 0."""
        return self.scores[self.scores["change"].isin((BETTER, WORSE, BEYOND))]


def comparison_text(differences: Differences, *, most: int) -> str:
    """Return what differs as text: counts, then every difference beyond chance, at most `most` lines of each kind."""
    beyond = differences.beyond
    scores = beyond[KEYS].assign(
        **{
            side.upper(): [_value(line, side) for _, line in beyond.iterrows()]
            for side in ("a", "b")
        },
        **{"B - A": [_gap(line) for _, line in beyond.iterrows()], "change": beyond["change"]},
    )
    tables = {
        "Beyond chance (about one in twenty of unchanged scores is called so)": scores,
        "Fits that ended differently": differences.statuses.drop(
            columns=["message_a", "message_b"]
        ),
        "Seeds that only one of them has": differences.fits,
        "The configs differ in": differences.config,
        "The fits were made with other": differences.circumstances,
    }
    parts = [_table(title, table, most) for title, table in tables.items() if len(table)]
    return "\n\n".join([_counts(differences.scores), *parts])


def comparison_page(differences: Differences, *, folders: tuple[str, str], theme: Theme) -> str:
    """Return what differs as HTML.

    Parameters
    ----------
    differences
        What differs.
    folders
        Where the two benchmarks lie.
    theme
        Labels, colours and order, of the runs of both.
    """
    return render(
        "comparison.html.j2",
        title="Two benchmarks side by side",
        folders=dict(zip("AB", folders, strict=True)),
        counts=_counts(differences.scores),
        changes=CHANGES,
        beyond=_scores("Scores that differ beyond chance", differences.beyond, theme),
        scores=_scores("All scores", differences.scores, theme),
        statuses=_statuses(differences.statuses, theme),
        fits=_fits(differences.fits, theme),
        config=_facts("Configs", differences.config),
        circumstances=_facts("Circumstances", differences.circumstances),
    )


def _counts(scores: pd.DataFrame) -> str:
    """Return how many scores changed in which way: "12 scores: 1 better, 11 within."."""
    counts = scores["change"].value_counts()
    words = ", ".join(f"{counts[change]} {change}" for change in CHANGES if change in counts)
    return f"{len(scores)} scores: {words}." if len(scores) else "Neither has a score."


def _value(line: pd.Series, side: str) -> str:
    mean, low, high = (line[f"{measure}_{side}"] for measure in ("mean", "low", "high"))
    if pd.isna(mean):
        return NOT_GIVEN
    ends = (
        ""
        if pd.isna(low)
        else f" ({' to '.join(number(line['metric'], end) for end in (low, high))})"
    )
    return number(line["metric"], mean) + ends


def _gap(line: pd.Series) -> str:
    """Return the difference, and its interval where there is one."""
    if pd.isna(line["difference"]):
        return ""
    ends = "" if pd.isna(line["low"]) else f" ({line['low']:+.3g} to {line['high']:+.3g})"
    return f"{line['difference']:+.3g}{ends}"


def _table(title: str, table: pd.DataFrame, most: int) -> str:
    text = table.head(most).to_string(index=False, na_rep=NOT_GIVEN, max_colwidth=60)
    return f"{title}\n{text}" + (f"\n… and {len(table) - most} more" if len(table) > most else "")


def _places(line: pd.Series, theme: Theme) -> list[Cell | str]:
    names = {"datasets": line["dataset"], "scenarios": line["scenario"]}
    return [run_cell(line["run"], theme), *(theme.label(*name) for name in names.items())]


def _scores(label: str, scores: pd.DataFrame, theme: Theme) -> Grid | None:
    rows = []
    for _, line in scores.iterrows():
        sides = [
            number_cell(line[f"mean_{side}"], _value(line, side), about=_seeds(line, side))
            for side in ("a", "b")
        ]
        gap = Cell(
            _gap(line),
            sort=sort_key(line["difference"]),
            about=f"{many(line['paired_seeds'], 'seed')} in both",
        )
        change = Cell(
            line["change"], about=CHANGES[line["change"]], mark=MARKS.get(line["change"], "")
        )
        rows.append(
            [*_places(line, theme), theme.label("metrics", line["metric"]), *sides, gap, change]
        )
    columns = [
        *PLACE,
        Column("Score", choices=True),
        Column("A (95 %)"),
        Column("B (95 %)"),
    ]
    return grid(
        label,
        [*columns, Column("B − A (95 %)", descending=True), Column("Change", choices=True)],
        rows,
    )


def _seeds(line: pd.Series, side: str) -> str:
    if pd.isna(line[f"mean_{side}"]):
        return ""
    return f"{many(int(line[f'seeds_{side}']), 'seed')}, interval: {line[f'interval_{side}']}"


def _statuses(statuses: pd.DataFrame, theme: Theme) -> Grid | None:
    rows = []
    for _, line in statuses.iterrows():
        cells = [
            Cell(line[f"status_{side}"].replace("_", " "), why=line[f"message_{side}"])
            for side in ("a", "b")
        ]
        rows.append(
            [
                *_places(line, theme),
                NOT_GIVEN if pd.isna(line["seed"]) else str(line["seed"]),
                *cells,
            ]
        )
    return grid("Fits that ended differently", [*PLACE, "Seed", "A", "B"], rows)


def _fits(fits: pd.DataFrame, theme: Theme) -> Grid | None:
    rows = [
        [*_places(line, theme), *(line[side] or NOT_GIVEN for side in ("seeds_a", "seeds_b"))]
        for _, line in fits.iterrows()
    ]
    return grid("Seeds that only one of them has", [*PLACE, "Only in A", "Only in B"], rows)


def _facts(label: str, facts: pd.DataFrame) -> Grid | None:
    columns = ["What", Column("A", words=True), Column("B", words=True)]
    return grid(label, columns, facts[FACT_COLUMNS].to_numpy().tolist())
