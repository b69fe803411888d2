"""What was compared, how it was fitted and ended, what limits trust, and the answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.files.runs import STATUSES
from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    in_words,
    many,
    number_cell,
    run_cell,
    split_columns,
    table,
)
from mosaicbench.report.page.render import sentence
from mosaicbench.report.recommendation import SPEED, Verdict, verdicts
from mosaicbench.report.tables.text import NOT_GIVEN, mean_with_interval, number
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import DISTANCES, FAILED, FOSCTTM, RUN, TRANSFER, Tables
from mosaicbench.stats.paired import MOST_SEEDS
from mosaicbench.stats.sanity import EVERY_RUN, MARKS, STOPPED

CHANCE = "seeds (for comparison)"  # no default: what other seeds alone change
FEW_CELLS = 5000  # with fewer, the order of methods may be that of few cells
WIDTH, HEIGHT, MARGIN = 230, 96, 6  # of a panel of the study's curves


def cards(tables: Tables, theme: Theme) -> dict[str, list[dict]]:
    """Return label of a scenario -> the cards of its questions: `title`, `words` and `evidence`."""
    found = verdicts(tables, theme.run_metadata)
    means = tables["comparison"].set_index([*RUN, "metric", "direction"])
    attained = means["attained"].dropna().to_dict()
    of_scenario = {}
    for scenario in theme.order("scenarios", [verdict.scenario for verdict in found]):
        label = theme.label("scenarios", scenario).capitalize()
        of_scenario[label] = [
            _card(one, attained, theme) for one in found if one.scenario == scenario
        ]
    return of_scenario


def _card(verdict: Verdict, attained: dict[tuple, float], theme: Theme) -> dict:
    rows = verdict.rows.to_dict("records")
    ties, others = _beside(verdict, rows, theme)
    return {
        "title": sentence("question_of", row=rows[0], theme=theme),
        "words": sentence(
            "answer", verdict=verdict, rows=rows, ties=ties, others=others, theme=theme
        ),
        "evidence": _evidence(verdict, rows, attained, theme),
        "found": bool(verdict.run),
    }


def _beside(verdict: Verdict, rows: list[dict], theme: Theme) -> tuple[dict, dict]:
    ties, better = defaultdict(list), defaultdict(list)
    for row in rows:
        tied = row["tied_with"].split(", ")
        if row["run"] != verdict.run:
            better[row["run"], verdict.run not in tied].append(row["dataset"])
        elif row["tied_with"]:
            words = theme.labels("runs", tied) if len(tied) < 4 else f"{len(tied)} other runs"
            ties[words].append(row["dataset"])
    others = {
        theme.label("runs", run): (_all_of(datasets, theme), separable)
        for (run, separable), datasets in better.items()
    }
    return {words: _all_of(datasets, theme) for words, datasets in ties.items()}, others


def _all_of(datasets: Iterable[str], theme: Theme) -> str:
    *names, last = [theme.label("datasets", name) for name in theme.order("datasets", datasets)]
    return f"{', '.join(names)} and {last}" if names else last


def _evidence(
    verdict: Verdict, rows: list[dict], attained: dict[tuple, float], theme: Theme
) -> str:
    values = []
    for place, row in enumerate(rows):
        if not verdict.run and not row["nearest"]:
            continue
        if not verdict.run:
            nearest = theme.label("runs", row["nearest"])
            value = f"{nearest} {row['nearest_value']:.3f}, to beat {row['beaten_value']:.3f},"
        elif verdict.run == row["run"]:
            value = mean_with_interval(row["metric"], row["mean"], row["low"], row["high"])
        else:
            value = number(row["metric"], verdict.means[place])
        key = (row["dataset"], verdict.scenario, verdict.run, row["metric"], row["direction"])
        ceiling = f" ({100 * attained[key]:.0f} % of the ceiling)" if key in attained else ""
        values.append(f"{value}{ceiling} on {theme.label('datasets', row['dataset'])}")
    metric = rows[0]["metric" if verdict.run else "beaten_metric"]
    return f"{theme.label('metrics', metric)}: {'; '.join(values)}" if values else ""


def limits(tables: Tables, theme: Theme) -> dict[str, object]:
    """Return the numbers that limit trust: cells, query cells, seeds, stopped runs, findings."""
    runs, checks = tables["runs"], tables["sanity_checks"]
    stopped = checks[checks["check"] == STOPPED]
    named = checks.loc[~checks["check"].isin(list(MARKS)) & (checks["run"] != EVERY_RUN), "run"]
    return {
        "cells": cells_of(tables),
        "query": sorted(set(tables["recommendations"]["cells"].dropna().astype(int))),
        "seeds": runs["seed"].nunique(),
        "stopped": theme.labels("runs", stopped["run"]),
        "warnings": tables["warnings"]["warning"].nunique(),
        "findings": len(checks.drop_duplicates([*RUN, "check"])),
        "named": theme.labels("runs", filter(theme.run_metadata.competes, named)),
    }


def cells_of(tables: Tables) -> dict[str, int]:
    """Return dataset -> its cells, as its datasheet counted them."""
    sheets = tables["datasets"].drop_duplicates("dataset")
    return dict(zip(sheets["dataset"], sheets["cells_of_dataset"].astype(int), strict=True))


def study_of_size(study: pd.DataFrame | None, cells: dict[str, int]) -> dict | None:
    """Return the curves of scores against cells, and where these datasets are; None if all are large.

    `study` is ``docs/results/size.tsv``. A curve is that of the best published method of its kind
    at each number of cells.
    """
    if study is None or not cells or min(cells.values()) >= FEW_CELLS:
        return None
    sizes, here = np.sort(study["cells"].unique()), list(cells.values())
    ends = np.log([min(sizes[0], *here), sizes[-1]])

    def across(numbers: Iterable[int]) -> np.ndarray:
        return np.interp(np.log(numbers), ends, [MARGIN, WIDTH - MARGIN])

    curves = {metric: _best_of_kinds(study, metric) for metric in (TRANSFER, FOSCTTM)}
    deep_leads = curves[TRANSFER]["model"] > curves[TRANSFER]["baseline"]
    panels = []
    for metric, best in curves.items():
        low, high = best.min(axis=None), best.max(axis=None)
        lines = {}
        for kind, of_kind in best.items():
            down = np.interp(of_kind, [low, high], [HEIGHT - MARGIN, MARGIN])
            points = np.column_stack([across(sizes), down])
            lines[kind] = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        panels.append({"metric": metric, "lines": lines, "low": low, "high": high})
    return {
        "panels": panels,
        "places": across(here).round().tolist(),
        "few": sorted({min(here), max(here)}),
        "sizes": sizes.tolist(),
        "linear_to": int(sizes[~deep_leads].max()),
        "deep_from": int(sizes[deep_leads].min()),
        "width": WIDTH,
        "height": HEIGHT,
    }


def _best_of_kinds(study: pd.DataFrame, metric: str) -> pd.DataFrame:
    rows = study[(study["metric"] == metric) & (study["direction"] == "mean")]
    cards = {run: catalog.card("methods", run) for run in rows["run"].unique()}
    kinds = {run: card["kind"] for run, card in cards.items() if not card.get("in_house")}
    means = rows.groupby(["cells", rows["run"].map(kinds)])["mean"]
    lower = catalog.card("metrics", metric)["better"] == "lower"
    return (means.min() if lower else means.max()).unstack()[["baseline", "model"]]


def sensitive_defaults(study: pd.DataFrame | None, few_cells: bool) -> dict | None:
    """Return what decided who is first in the study of defaults, of small sets; None without one.

    `study` is ``docs/results/sensitivity.tsv``. `changes` are question -> the defaults, with their
    other level, that put another run first in at least half of the sets, once beyond its interval.
    """
    if study is None or not few_cells:
        return None
    study, changes = study[study["default"] != CHANCE], defaultdict(list)
    levels = study.groupby(["question", "default", "level"], sort=False)
    for (question, default, level), rows in levels:
        other = rows["first"] != rows["first_after"]
        if other.mean() >= 0.5 and (other & (rows["low"] > 0)).any():
            changes[question].append(f"{default} = {level}")
    return {"sets": study["dataset"].nunique(), "changes": dict(changes)}


# --- how runs were fitted and ended, and what another distance changes ---


def fitted_on(records: list[dict], history: pd.DataFrame, theme: Theme) -> str:
    """Return which runs hold train cells out for early stopping; "" if all do alike.

    A run that holds no cell out has the loss of the fitted cells as its validation loss.
    """
    losses = history.pivot_table(
        index=[*RUN, "seed", "epoch"], columns="loss", values="value"
    ).reindex(columns=["loss", "validation_loss"])
    is_validated = (losses["validation_loss"] - losses["loss"]).abs() > 0
    validated = set(losses.index[is_validated].get_level_values("run"))
    held_out = defaultdict(set)
    for record in records:
        run = record["run"]
        if theme.run_metadata.competes(run):
            fraction = record["hyperparameters"].get("validation") if run in validated else 0
            held_out[float(fraction or 0)].add(run)
    fractions = sorted(held_out.items(), reverse=True)
    return sentence("fitted_on", fractions=fractions, theme=theme) if len(fractions) > 1 else ""


def endings(runs: pd.DataFrame) -> str:
    """Return how fits ended and how many runs are not applicable: "6 ok, 1 diverged"."""
    counts = runs["status"].value_counts().reindex(STATUSES, fill_value=0)
    absent = counts.pop("not_applicable")
    words = [f"{count} {in_words(status)}" for status, count in counts.items() if count]
    if absent:
        words.append(f"and {many(absent, 'run')} not applicable")
    return ", ".join(words)


def by_distance(table: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per score: in which splits another distance has another best run."""
    return [
        sentence("verdict", score=score, rows=rows, order=DISTANCES, theme=theme)
        for score, rows in table.groupby("metric", sort=False)
    ]


def troubles(runs: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per kind of failure; a control is meant to collapse."""
    sentences = []
    for status in (*FAILED, "collapsed"):
        fits = runs[runs["status"] == status]
        fits = theme.run_metadata.competing(fits) if status == "collapsed" else fits
        if len(fits):
            labels = theme.labels("runs", fits["run"])
            sentences.append(f"{many(len(fits), 'fit')} {in_words(status)}: {labels}")
    return sentences


# --- the answers for each dataset ---


DETECTABLE = (
    "the smallest difference that this design detects in 80 % of such benchmarks, at 5 % over all "
    "comparisons"
)
NEEDED = (
    "the number of splits, in all, with which a difference as large as the one here is detectable "
    "on new cells"
)


def splits_to_decide(row: dict) -> Cell | str:
    """Return `seeds_needed` of a row of recommendations or paired tests, "> 100" beyond the limit."""
    if not row.get("tied_with", True):
        return NOT_GIVEN
    seeds = row["seeds_needed"]
    if pd.isna(seeds) and row["seeds"] > 1:
        return Cell(f"> {MOST_SEEDS}", sort=MOST_SEEDS + 1)
    return number_cell(seeds, f"{seeds:.0f}", "one split says nothing about others")


POWER_COLUMNS = [
    Column("Detectable, these cells", "detectable", "z.3f", about=DETECTABLE),
    Column("Detectable, new cells", "detectable_new", "z.3f", about=DETECTABLE),
    Column("Splits to decide", splits_to_decide, about=NEEDED),
]


def recommendations(rows: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return a row per split and question; None if no question has two runs to compare."""

    def take(row: dict) -> Cell:
        if not row["run"]:
            return Cell("none", mark="warn")
        return run_cell(row["run"], theme, row["signs"])

    def score(row: dict) -> Cell:
        if not row["run"]:
            return Cell(sentence("why_none", row=row, theme=theme), sort="")
        if row["question"] == SPEED:
            why = "no score: the fastest of the runs in the other rows of this split"
            return Cell(NOT_GIVEN, why=why)
        text = mean_with_interval(row["metric"], row["mean"], row["low"], row["high"])
        return Cell(f"{theme.label('metrics', row['metric'])} {text}", row["mean"])

    def column(label: str, macro: str, **look: object) -> Column:
        return Column(label, lambda row: sentence(macro, row=row, theme=theme) or NOT_GIVEN, **look)

    columns = [
        *split_columns(theme),
        column("Question", "question_of", choices=True),
        Column("Take", take),
        Column("Score", score),
        column("Beats", "bar", words=True),
        column("Not separable from", "ties", words=True),
        *POWER_COLUMNS,
        Column("Seconds of a fit", "seconds", ".3g", why="not measured"),
        Column("MB of a fit", "peak_host_mb", ".0f", why="not measured"),
    ]
    return table("Which run to take", columns, rows)
