"""One split in the report: notes on its design, its headline scores, all scores, paired tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    arranged,
    behind_mean,
    in_words,
    interval,
    label_column,
    number_cell,
    number_column,
    run_column,
    table,
    text_column,
    text_of,
    trait_columns,
    with_arrow,
)
from mosaicbench.report.page.failures import messages, reason
from mosaicbench.report.page.recommendations import DETECTABLE, NEEDED
from mosaicbench.report.page.reference_sections import in_groups, labels_from
from mosaicbench.report.page.render import sentence
from mosaicbench.report.page.summary import endings
from mosaicbench.report.tables.contract import of_split
from mosaicbench.report.tables.text import CROSS, NOT_GIVEN, absence, mean_with_sd
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import CONTESTS, HEADLINE, LEVEL, TABLED
from mosaicbench.stats.paired import BEST, MOST_SEEDS, decisive, tied_with_best
from mosaicbench.stats.sanity import signs_of

CIRCULAR = "↻"  # marks a label score if cell types were derived from a modality that methods see
LABEL_GROUPS = ("label_transfer", "label_prediction", "biology")
TABLES = ("headline", "runs", "overview", "sanity_checks", "paired_tests")
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

    `number` counts the splits from 0; `audit` is the ``audit.tsv`` of one seed, None without one.
    """
    tables = {name: of_split(tables[name], *place) for name in TABLES}
    title = theme.split(*place)
    origin = labels_from(config, place[0]) or ()
    headline, families = _scores(tables, title, theme, circular=bool(origin))
    return {
        "anchor": f"split-{number + 1}",
        "title": title,
        "design": notes(audit, place[0], config.get("scenarios") or {}, theme),
        "statuses": endings(tables["runs"]),
        "circular": " and ".join(theme.label("modalities", name) for name in origin),
        "headline": headline,
        "families": families,
        "tests": _tests(tables["paired_tests"], title, theme),
        "first_two": first_two(tables["paired_tests"], theme),
        "figures": figures,
    }


def notes(
    audit: pd.DataFrame | None, dataset: str, scenarios: Mapping[str, Mapping], theme: Theme
) -> list[str]:
    """Return what a reader of the scores must know of the split's design, a sentence each.

    `scenarios` are the config's, some of which may hold whole groups out.
    """
    if audit is None:
        return []
    sentences = []
    for row in audit[audit["role"].isin(["division", "design"])].to_dict("records"):
        if match := ON_BOTH_SIDES.fullmatch(row["what"]):
            shared, several, column = match.groups()
            apart = [
                theme.label("scenarios", name)
                for name, stanza in scenarios.items()
                if (stanza.get("split") or {}).get("by") == column
                and dataset in stanza.get("datasets", [dataset])
            ]
            if int(shared):
                facts = {"shared": shared, "several": several, "column": column}
                sentences.append(sentence("shared_groups", **facts, apart=apart))
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
    order = theme.order("runs", runs["run"])
    rows = tables["overview"].set_index("run", drop=False).loc[order]
    rows = rows.assign(
        signs=[signs.get(run, "") for run in order], absent=[absence(runs, run) for run in order]
    )
    summary = tables["headline"].set_index(["run", "metric"])
    lines = summary.to_dict("index")
    is_tied = tied_with_best(tables["headline"], tables["paired_tests"], theme.run_metadata)
    tied = set(summary.index[is_tied.to_numpy(dtype=bool)])
    at_chance = checks[checks["check"] == "chance"].set_index(["run", "metric"])["message"]

    def absent(row: dict, metric: str) -> Cell:
        why = reason(row["run"], metric, runs, theme)
        mark = "warn" if row["absent"].startswith(CROSS) else ""
        return Cell(row["absent"], sort="", why=why, mark=mark)

    def any_cell(row: dict, metric: str) -> Cell:
        line = lines.get((row["run"], metric))
        if line is None:
            return absent(row, metric)
        return number_cell(line["mean"], mean_with_sd(metric, line), about=behind_mean(line))

    def headline_cell(row: dict, metric: str) -> Cell:
        key = row["run"], metric
        cell = any_cell(row, metric)
        if key not in lines:
            return cell
        if key in at_chance.index:
            cell = replace(cell, text=f"{cell.text} ≈", why=at_chance[key], mark="faint")
        return replace(cell, mark="best") if key in tied else cell

    def columns(metrics: Iterable[str], cell: Callable[[dict, str], Cell]) -> list[Column]:
        first = [
            run_column(theme),
            Column("Kind", lambda row: theme.run_metadata.kind(row["run"]), choices=True),
        ]
        return first + [_of_metric(metric, cell, theme, circular=circular) for metric in metrics]

    def status(row: dict) -> Cell:
        if row["status"] == "ok":
            return Cell("ok", sort="ok")
        why = messages(row["run"], runs)
        return Cell(in_words(row["status"]), sort=row["status"], why=why, mark="warn")

    about = "how many of the seeds that ran gave scores"
    headline = table(
        f"Headline scores, {title}",
        [
            *columns(TABLED, headline_cell),
            *trait_columns(theme),
            Column("Seeds", lambda row: row["seeds"], about=about),
            Column("Status", status, choices=True),
        ],
        rows,
    )
    families = []
    scored = theme.order("metrics", summary.index.unique("metric"))
    for group, metrics in in_groups(scored, theme).items():
        given = {run for run, metric in lines if metric in metrics}
        shown = rows[rows["run"].isin(given) | (rows["absent"] != NOT_GIVEN)]
        label = in_words(group).capitalize()
        grid = table(f"{label}, {title}", columns(metrics, any_cell), shown.drop(columns="signs"))
        families.append({"label": label, "count": len(metrics), "grid": grid})
    return headline, families


def _of_metric(
    metric: str, cell: Callable[[dict, str], Cell], theme: Theme, *, circular: bool
) -> Column:
    """Return the column of a metric; the first click sorts from the best value on."""
    card = theme.run_metadata.metric(metric)
    is_circular = circular and theme.run_metadata.group(metric) in LABEL_GROUPS
    sign = f"\N{NO-BREAK SPACE}{CIRCULAR}" if is_circular else ""
    return Column(
        with_arrow(metric, theme) + sign,
        partial(cell, metric=metric),
        about=card.get("definition", ""),
        descending=theme.run_metadata.better(metric) != "lower",
    )


# --- paired tests --------------------------------------------------------------------------------


def _tests(paired: pd.DataFrame, title: str, theme: Theme) -> Grid | None:
    """Return the paired tests of the headline scores, on these cells and on new ones."""
    rows = paired[paired["metric"].isin(HEADLINE)]
    against = rows.groupby("metric")["against"].transform(lambda names: pd.factorize(names)[0])
    runs = rows["run"].map(theme.order("runs", rows["run"]).index)
    rows = arranged(rows, rows["metric"].map(HEADLINE.index), against, runs)
    rows = rows.replace({"cells": {0: np.nan}})

    def p_value(label: str, key: str) -> Column:
        return Column(
            label, lambda row: number_cell(row[key], _p(row[key]), why=text_of(row, "note"))
        )

    def reference(row: dict) -> str:
        return f"{theme.label('runs', row['against'])} ({row['role']})"

    no_cells = "this score has no value for a single cell"
    about = "the run's mean minus the other's, in units of the score"
    few = f"none up to {MOST_SEEDS}, or unknown"
    columns = [
        run_column(theme),
        label_column(theme, "metric", "Score"),
        Column("Against", reference, choices=True),
        number_column("Effect", "effect", "+z.3f", about=about, descending=True),
        Column("Better", lambda row: "yes" if row["better"] == row["run"] else "no"),
        Column("Splits", lambda row: f"{row['seeds']:.0f}"),
        number_column("Cells", "cells", ".0f", why=no_cells, about="distinct query cells"),
        Column("95 %, these cells", lambda row: interval(row["low"], row["high"])),
        p_value("p (Holm), these cells", "p_holm"),
        Column("95 %, new cells", lambda row: interval(row["low_new"], row["high_new"])),
        p_value("p (Holm), new cells", "p_new_holm"),
        number_column("Detectable, these cells", "detectable", about=DETECTABLE),
        number_column("Detectable, new cells", "detectable_new", about=DETECTABLE),
        number_column("Splits for it", "seeds_needed", ".0f", why=few, about=NEEDED),
        text_column("Note", "note", words=True),
    ]
    return table(f"Paired tests, {title}", columns, rows)


def first_two(paired: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per headline score: its first two runs and whether tests separate them.

    Parameters
    ----------
    paired
        The paired tests of one split.
    """
    with_best = paired[paired["role"].astype(str).str.startswith(BEST)].dropna(subset="effect")
    sentences = []
    for metric in CONTESTS:
        of_metric = with_best[with_best["metric"] == metric]
        if len(of_metric):
            size, is_ahead = of_metric["effect"].abs(), of_metric["better"] == of_metric["run"]
            second = of_metric.loc[size.where(is_ahead, -size).idxmax()]
            order = ["run", "against"] if second["better"] == second["run"] else ["against", "run"]
            facts = {
                "test": second,
                "order": [theme.label("runs", run) for run in second[order]],
                "score": theme.label("metrics", metric),
                "decided": decisive(second.to_frame().T).iloc[0] < 1 - LEVEL,
                "apart": 1 - LEVEL,
                "most": MOST_SEEDS,
                "p": _p,
            }
            sentences.append(sentence("first_two", **facts))
    return sentences


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
