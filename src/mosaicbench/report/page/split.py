"""One split in the report: its headline scores, all its scores, and its paired tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from mosaicbench.report.page.cells import (
    Columns,
    absent_cell,
    arranged,
    behind_mean,
    interval,
    metric_column,
    number_column,
    run_column,
    score_column,
    text_column,
    trait_columns,
)
from mosaicbench.report.page.design import notes
from mosaicbench.report.page.embedded_figures import EmbeddedFigures
from mosaicbench.report.page.failures import messages, reason
from mosaicbench.report.page.html_tables import Cell, Column, Grid, table
from mosaicbench.report.page.recommendations import DETECTABLE, NEEDED
from mosaicbench.report.page.reference_sections import in_groups, labels_from
from mosaicbench.report.page.reference_sections import metric as metric_in_words
from mosaicbench.report.page.render import said
from mosaicbench.report.page.summary import endings
from mosaicbench.report.tables.contract import of_split
from mosaicbench.report.tables.text import NOT_GIVEN, absence, mean_with_sd
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import CONTESTS, HEADLINE, LEVEL, TABLED
from mosaicbench.stats.paired import BEST, MOST_SEEDS, decisive, tied_with_best
from mosaicbench.stats.sanity import signs_of

CIRCULAR = "↻"  # of a label score, where cell types were derived from a modality that methods see
FEW = f"none up to {MOST_SEEDS}, or not known"
LABEL_GROUPS = ("label_transfer", "label_prediction", "biology")
TABLES = ("headline", "runs", "overview", "sanity_checks", "paired_tests")


def split_section(
    number: int,
    place: tuple[str, ...],
    tables: Mapping[str, pd.DataFrame],
    figures: EmbeddedFigures,
    theme: Theme,
    config: Mapping,
    audit: pd.DataFrame | None,
) -> dict:
    """Return what the report holds of one split (dataset, scenario).

    `number` counts the splits from 0; `audit` is the ``audit.tsv`` of one of its seeds, None if there is none.
    """
    of_tables = {name: of_split(tables[name], *place) for name in TABLES}
    title = theme.split(*place)
    origin = labels_from(config, place[0]) or ()
    circular = " and ".join(theme.label("modalities", name) for name in origin)
    of_scores = (
        _Scores(of_tables, theme, circular=bool(circular)) if len(of_tables["runs"]) else None
    )
    return {
        "anchor": f"split-{number + 1}",
        "title": title,
        "design": notes(audit, place[0], config.get("scenarios") or {}, theme),
        "statuses": endings(of_tables["runs"]),
        "circular": circular,
        "headline": of_scores and of_scores.headline(title),
        "columns": [metric_in_words(metric, theme) for metric in TABLED],
        "families": of_scores.families(title) if of_scores else [],
        "tests": _tests(of_tables["paired_tests"], title, theme),
        "first_two": first_two(of_tables["paired_tests"], theme),
        "figures": figures.of(*place),
    }


# --- scores --------------------------------------------------------------------------------------------------------------


class _Scores:
    """The scores of one split, as tables of its runs in display order.

    Parameters
    ----------
    tables
        The rows of the split.
    theme
        Labels, colours and order.
    circular
        Whether cell types were derived from a modality that methods see, which the columns of label scores then say.
    """

    def __init__(self, tables: Mapping[str, pd.DataFrame], theme: Theme, *, circular: bool) -> None:
        self.tables, self.theme, self.circular = tables, theme, circular
        self.summary = tables["headline"].set_index(["run", "metric"])
        signs = {run: sign for (*_, run), sign in signs_of(tables["sanity_checks"]).items()}
        runs = theme.order("runs", tables["runs"]["run"])
        self.rows = tables["overview"].set_index("run", drop=False).loc[runs]
        self.signs = [signs.get(run, "") for run in runs]

    def headline(self, title: str) -> Grid | None:
        """Return the headline scores of every run."""
        sanity_checks = self.tables["sanity_checks"]
        at_chance = sanity_checks[sanity_checks["check"] == "chance"].set_index(["run", "metric"])[
            "message"
        ]
        is_tied = tied_with_best(
            self.tables["headline"], self.tables["paired_tests"], self.theme.run_metadata
        )
        best = set(self.summary.index[is_tied.to_numpy(dtype=bool)])

        def cell(row: dict, metric: str) -> Cell:
            key, text = (row["run"], metric), row[metric]
            if key not in self.summary.index:
                return self._absent(text, *key)
            mark = "best" if key in best else "faint" if key in at_chance.index else ""
            text, why = (f"{text} ≈", at_chance[key]) if key in at_chance.index else (text, "")
            line = self.summary.loc[key]
            return Cell(text, sort=line["mean"], why=why, about=behind_mean(line), mark=mark)

        def status(row: dict) -> Cell:
            ended, text = row["status"], row["status"].replace("_", " ")
            if ended == "ok":
                return Cell(text, sort=ended)
            return Cell(
                text, sort=ended, why=messages(row["run"], self.tables["runs"]), mark="warn"
            )

        seeds = Column("Seeds", about="how many of the seeds that ran gave scores")
        columns = self._columns(TABLED, cell) + trait_columns(self.theme)
        columns += [(seeds, lambda row: row["seeds"]), ("Status", status)]
        rows = self.rows.assign(signs=self.signs)
        return table(f"Headline scores, {title}", columns, rows, by_run=True)

    def families(self, title: str) -> list[dict]:
        """Return all scores, a table for each group of metrics; those that say nothing about quality come last."""

        def cell(row: dict, metric: str) -> Cell:
            if (row["run"], metric) not in self.summary.index:
                return self._absent(row["absent"], row["run"], metric)
            line = self.summary.loc[(row["run"], metric)]
            return Cell(mean_with_sd(metric, line), sort=line["mean"], about=behind_mean(line))

        absent = [absence(self.tables["runs"], run) for run in self.rows["run"]]
        rows, families = self.rows.assign(absent=absent), []
        scored = self.theme.order("metrics", self.summary.index.unique("metric"))
        for group, metrics in in_groups(scored, self.theme).items():
            given = self.summary.index[self.summary.index.isin(metrics, level="metric")].unique(
                "run"
            )
            shown = rows[rows["run"].isin(given) | (rows["absent"] != NOT_GIVEN)]
            label = group.replace("_", " ").capitalize()
            grid = table(f"{label}, {title}", self._columns(metrics, cell), shown, by_run=True)
            families.append({"label": label, "count": len(metrics), "grid": grid})
        return families

    def _columns(self, metrics: Iterable[str], cell: Callable[[dict, str], Cell]) -> Columns:
        """Return the columns of runs and of metrics, those of label scores with the sign of circular ones where they are."""
        kind = "Kind", lambda row: self.theme.run_metadata.kind(row["run"])
        columns = [*run_column(self.theme), kind]
        for metric in metrics:
            column = metric_column(metric, self.theme)
            if self.circular and self.theme.run_metadata.group(metric) in LABEL_GROUPS:
                column = replace(column, label=f"{column.label}\N{NO-BREAK SPACE}{CIRCULAR}")
            columns.append((column, partial(cell, metric=metric)))
        return columns

    def _absent(self, text: str, run: str, metric: str) -> Cell:
        return absent_cell(text, why=reason(run, metric, self.tables["runs"], self.theme))


# --- paired tests --------------------------------------------------------------------------------------------------------


def _tests(paired: pd.DataFrame, title: str, theme: Theme) -> Grid | None:
    """Return the paired tests of the headline scores, of these cells beside new ones; None without any."""
    rows = paired[paired["metric"].isin(HEADLINE)]
    against = rows.groupby("metric")["against"].transform(lambda names: pd.factorize(names)[0])
    runs = rows["run"].map(theme.order("runs", rows["run"]).index)
    rows = arranged(rows, rows["metric"].map(HEADLINE.index), against, runs)
    no_cells = "this score has no value for a single cell"
    effect = {
        "about": "the run's mean minus the other's, in units of the score",
        "descending": True,
    }
    columns = [
        *run_column(theme),
        *score_column(theme),
        (
            "Against",
            lambda row: f"{theme.label('runs', row['against'])} ({row['role']})",
        ),
        *number_column("Effect", "effect", "+z.3f", **effect),
        ("Better", lambda row: "yes" if row["better"] == row["run"] else "no"),
        ("Splits", lambda row: f"{row['seeds']:.0f}"),
        *number_column("Cells", "cells", ".0f", why=no_cells, about="distinct query cells"),
        ("95 %, these cells", lambda row: interval(row["low"], row["high"])),
        *number_column("p (Holm), these cells", "p_holm", _p, why="note"),
        ("95 %, new cells", lambda row: interval(row["low_new"], row["high_new"])),
        *number_column("p (Holm), new cells", "p_new_holm", _p, why="note"),
        *number_column("Detectable, these cells", "detectable", about=DETECTABLE),
        *number_column("Detectable, new cells", "detectable_new", about=DETECTABLE),
        *number_column("Splits for it", "seeds_needed", ".0f", why=FEW, about=NEEDED),
        *text_column("Note", "note"),
    ]
    return table(f"Paired tests, {title}", columns, rows.replace({"cells": {0: np.nan}}))


def first_two(paired: pd.DataFrame, theme: Theme) -> list[str]:
    """Return one sentence per headline score: the first two runs, whether the tests separate them, and what would.

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
            is_decided = decisive(second.to_frame().T).iloc[0] < 1 - LEVEL
            facts = {"apart": 1 - LEVEL, "most": MOST_SEEDS, "p": _p, "theme": theme}
            sentences.append(
                said("first_two", test=second, order=second[order], decided=is_decided, **facts)
            )
    return sentences


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
