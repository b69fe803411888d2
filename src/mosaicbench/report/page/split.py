"""One split in the report: notes on its design, its headline scores, all scores, paired tests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    behind_mean,
    in_words,
    interval,
    label_column,
    number_cell,
    run_column,
    table,
    text_of,
    trait_columns,
    with_arrow,
)
from mosaicbench.report.page.failures import messages, reason
from mosaicbench.report.page.recommendations import DETECTABLE, NEEDED, splits_to_decide
from mosaicbench.report.page.reference_sections import in_groups, labels_from
from mosaicbench.report.page.render import sentence
from mosaicbench.report.page.verdict import endings
from mosaicbench.report.tables.contract import of_split
from mosaicbench.report.tables.text import CROSS, NOT_GIVEN, absence, mean_with_sd
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import HEADLINE, TABLED
from mosaicbench.stats.sanity import signs_of

CIRCULAR = "↻"  # marks a label score if cell types were derived from a modality that methods see
LABEL_GROUPS = ("label_transfer", "label_prediction", "biology")
TABLES = ("headline", "runs", "overview", "rankings", "sanity_checks", "paired_tests")
ON_BOTH_SIDES = re.compile(r"(\d+) of (\d+) groups of (\w+) are on both sides")  # data/audit.py


def split_section(
    number: int,
    place: tuple[str, str],
    tables: Mapping[str, pd.DataFrame],
    figures: list[dict],
    theme: Theme,
    config: Mapping,
    audit: pd.DataFrame | None,
) -> dict:
    """Return the section of one split (dataset, scenario).

    `number` counts the splits from 0; `audit` is the ``audit.tsv`` of one seed.
    """
    tables = {name: of_split(tables[name], *place) for name in TABLES}
    title = theme.split(*place)
    origin = labels_from(config, place[0]) or ()
    headline, families = _scores(tables, title, theme, circular=bool(origin))
    return {
        "anchor": f"split-{number + 1}",
        "title": title,
        "design": notes(audit),
        "statuses": endings(tables["runs"]),
        "circular": " and ".join(theme.label("modalities", name) for name in origin),
        "headline": headline,
        "families": families,
        "tests": _tests(tables["paired_tests"], title, theme),
        "figures": figures,
    }


def notes(audit: pd.DataFrame | None) -> list[str]:
    """Return what a reader of the scores must know of the split's design, a sentence each."""
    if audit is None:
        return []
    sentences = []
    for row in audit[audit["role"].isin(["division", "design"])].to_dict("records"):
        if match := ON_BOTH_SIDES.fullmatch(row["what"]):
            shared, several, column = match.groups()
            if int(shared):
                facts = {"shared": shared, "several": several, "column": column}
                sentences.append(sentence("shared_groups", **facts))
        elif row["role"] == "design":
            name = "balanced" if row["modality"] == "-" else "design"
            sentences.append(sentence(name, row=row))
    return sentences


# --- scores --------------------------------------------------------------------------------------


def _scores(
    tables: Mapping[str, pd.DataFrame], title: str, theme: Theme, *, circular: bool
) -> tuple[Grid | None, list[dict]]:
    """Return the table of headline scores, and one of all scores for each group of metrics.

    With `circular`, the columns of label scores have the sign :data:`CIRCULAR`.
    """
    runs, checks = tables["runs"], tables["sanity_checks"]
    signs = {run: sign for (*_, run), sign in signs_of(checks).items()}
    rows = tables["overview"].set_index("run", drop=False).loc[theme.order("runs", runs["run"])]
    rows = rows.assign(
        signs=rows["run"].map(signs).fillna(""), absent=[absence(runs, run) for run in rows["run"]]
    )
    key = ["run", "metric"]
    lines = tables["headline"].set_index(key).to_dict("index")
    ranked = tables["rankings"].set_index(key)
    best, level = ranked["best"], ranked["level"]
    at_chance = checks[checks["check"] == "chance"].set_index(key)["message"]

    def score(row: dict, metric: str) -> Cell:
        key = row["run"], metric
        if key not in lines:
            mark = "warn" if row["absent"].startswith(CROSS) else ""
            return Cell(row["absent"], why=reason(*key, runs, theme), mark=mark)
        text, about = mean_with_sd(metric, lines[key]), behind_mean(lines[key])
        why, mark = "", "best" if best.get(key) else "level" if level.get(key) else ""
        if key in at_chance:
            text, why, mark = f"{text} ≈", at_chance[key], mark or "faint"
        return Cell(text, lines[key]["mean"], why, about, mark)

    def column(metric: str) -> Column:
        is_circular = circular and theme.run_metadata.group(metric) in LABEL_GROUPS
        return Column(
            with_arrow(metric, theme) + (f"\N{NO-BREAK SPACE}{CIRCULAR}" if is_circular else ""),
            partial(score, metric=metric),
            about=theme.run_metadata.metric(metric).get("definition", ""),
            link=f"metric-{metric}",
            descending=theme.run_metadata.better(metric) != "lower",
        )

    def columns(metrics: Iterable[str]) -> list[Column]:
        kind = Column("Kind", lambda row: theme.run_metadata.kind(row["run"]), choices=True)
        return [run_column(theme), kind, *map(column, metrics)]

    def status(row: dict) -> Cell:
        if row["status"] == "ok":
            return Cell("ok", sort="ok")
        why = messages(row["run"], runs)
        return Cell(in_words(row["status"]), sort=row["status"], why=why, mark="warn")

    seeds = Column("Seeds", "seeds", about="how many of the seeds that ran gave scores")
    last = [*trait_columns(theme), seeds, Column("Status", status, choices=True)]
    headline = table(f"Headline scores, {title}", [*columns(TABLED), *last], rows)
    families = []
    scored = theme.order("metrics", tables["headline"]["metric"])
    for group, metrics in in_groups(scored, theme).items():
        given = {run for run, metric in lines if metric in metrics}
        shown = rows[rows["run"].isin(given) | (rows["absent"] != NOT_GIVEN)]
        label = in_words(group).capitalize()
        grid = table(f"{label}, {title}", columns(metrics), shown)
        families.append({"label": label, "count": len(metrics), "grid": grid})
    return headline, families


# --- paired tests --------------------------------------------------------------------------------


def _tests(paired: pd.DataFrame, title: str, theme: Theme) -> Grid | None:
    rows = paired[paired["metric"].isin(HEADLINE)]
    against = rows.groupby("metric")["against"].transform(lambda names: pd.factorize(names)[0])
    runs = rows["run"].map(theme.order("runs", rows["run"]).index)
    rows = rows.iloc[np.lexsort([runs, against, rows["metric"].map(HEADLINE.index)])]
    rows = rows.replace({"cells": {0: np.nan}})

    def p_value(label: str, key: str) -> Column:
        return Column(label, lambda row: number_cell(row[key], _p(row[key]), text_of(row, "note")))

    def reference(row: dict) -> str:
        return f"{theme.label('runs', row['against'])} ({row['role']})"

    no_cells = "this score has no value for a single cell"
    about = "the run's mean minus the other's, in units of the score"
    columns = [
        run_column(theme),
        label_column(theme, "metric", "Score"),
        Column("Against", reference, choices=True),
        Column("Effect", "effect", "+z.3f", about=about, descending=True),
        Column("Better", lambda row: "yes" if row["better"] == row["run"] else "no"),
        Column("Splits", "seeds", ".0f"),
        Column("Cells", "cells", ".0f", no_cells, "distinct query cells"),
        Column("95 %, these cells", lambda row: interval(row["low"], row["high"])),
        p_value("p (Holm), these cells", "p_holm"),
        Column("95 %, new cells", lambda row: interval(row["low_new"], row["high_new"])),
        p_value("p (Holm), new cells", "p_new_holm"),
        Column("Detectable, these cells", "detectable", "z.3f", about=DETECTABLE),
        Column("Detectable, new cells", "detectable_new", "z.3f", about=DETECTABLE),
        Column("Splits to decide", splits_to_decide, about=NEEDED),
        Column("Note", "note", words=True),
    ]
    return table(f"Paired tests, {title}", columns, rows)


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
