"""Tabulate: the scores and records of all runs become tables, and what the numbers can bear is worked out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mosaicbench import catalog, expenses
from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_record
from mosaicbench.files.scores import FEATURE_COLUMNS, SCORE_COLUMNS, read_cells, read_scores
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.meter import PHASES
from mosaicbench.report import published as published_numbers
from mosaicbench.report import scaling, statistics, tables
from mosaicbench.report.standings import standings
from mosaicbench.report.sweep import sweep_table

SECONDS = ("seconds", "cpu_seconds", "gpu_seconds")


def main(
    *,
    scores: list[Path],
    records: list[Path],
    features: list[Path],
    cells: list[Path],
    histories: list[Path],
    not_applicable: list[dict],
    methods: dict[str, str],
    kinds: dict[str, str],
    reference: str | None,
    sweep: dict | None,
    published: Path,
    results: Path,
    output: Path,
    sizes: Sequence[dict[str, int]] = (),
) -> None:
    """Write every table of ``tables.read_tables`` as ``.tsv`` into a folder, and three more: expenses, phases and scaling.

    A gate that finds something also warns on stderr, once per run. In ``runs.tsv``, seconds are sums over a record's phases.

    Parameters
    ----------
    scores, records, features, cells, histories
        ``scores.tsv``, ``features.tsv`` and ``cells.npz`` of every run, ``run.json`` and ``history.tsv`` of every run and seed,
        the last two in the same order.
    not_applicable
        One dict per run that does not exist in a view: dataset, scenario, run, method, reason.
    methods
        run -> method, in the order in which the tables list the runs.
    kinds
        scenario -> its kind.
    reference
        The run that every other is tested against; None is the best baseline of each score.
    sweep
        The config's ``report: sweep``, None without one.
    published
        ``published.yaml``.
    results
        The results folder, whose expenses are measured.
    output
        The folder.
    sizes
        Datasets that differ in nothing but their number of cells, dataset -> cells: over these, costs grow with exponents.

    Raises
    ------
    UserError
        When a record's method is not the one that its run has now, or the published numbers break their schema.
    """
    cards = {room: catalog.cards(room) for room in ("methods", "metrics")}
    runs = tables.checked_runs(_runs(records, not_applicable, methods))
    order = _places(runs, methods)
    all_scores = tables.checked_scores(tables.joined([read_scores(path) for path in scores], SCORE_COLUMNS))
    all_features = tables.joined([read_table(path, FEATURE_COLUMNS) for path in features], FEATURE_COLUMNS)
    all_scores = _sorted(all_scores, order)
    runs = _sorted(runs, order)
    of_cells = [read_cells(path) for path in cells]
    intervals = statistics.intervals_over_cells(of_cells)
    means = statistics.with_intervals(tables.comparison(all_scores), intervals)
    gates = [tables.gates(all_scores, runs, cards), statistics.sentinels(all_scores, runs, cards)]
    written = {
        "scores": all_scores,
        "features": _sorted(all_features, order),
        "runs": runs,
        "comparison": means,
        "headline": statistics.with_intervals(tables.headline(all_scores), intervals),
        "overview": tables.overview(all_scores, runs, cards),
        "paired_tests": statistics.paired_tests(all_scores, runs, of_cells, cards, reference=reference),
        "ranks": statistics.ranks(all_scores, runs, cards),
        "overall": statistics.overall(all_scores, runs, cards),
        "gates": tables.joined(gates, tables.GATE_COLUMNS),
        "history": _sorted(_history(records, histories), order),
        "sweep": sweep_table(sweep, all_scores, means),
        "published": published_numbers.beside_ours(published_numbers.read_published(published), means, runs, kinds, cards),
    }
    if records:
        written["expenses"] = expenses.measured(results, records)
    known = {name: written[name] for name in ("headline", "overall", "ranks", "runs")}
    written["standings"] = standings(**known, cards=cards)
    written["phases"] = _sorted(_phases(records), order)
    written["scaling"] = scaling.exponents(written["phases"], written.get("expenses"), sizes)
    for name, table in written.items():
        write_table(Path(output) / f"{name}.tsv", table)
    for (*names, gate), found in written["gates"].groupby([*tables.RUN, "gate"], sort=False):
        what = found["message"].iloc[0] if len(found) == 1 else ", ".join(found["metric"])
        print(f"warning: {'/'.join(names)}: {gate}: {what}", file=sys.stderr)


def _runs(records: list[Path], not_applicable: list[dict], methods: dict[str, str]) -> pd.DataFrame:
    rows = []
    for path in records:
        record = read_record(path)
        if record["method"] != methods.get(record["run"], record["method"]):
            raise UserError(
                f"{path}: run {record['run']!r} was fitted with method {record['method']!r}, the configuration now says "
                f"{methods[record['run']]!r}; delete the run's folder and run again"
            )
        spent = {measure: round(sum(record[measure].values()), 3) if record[measure] else None for measure in SECONDS}
        rows.append({column: record[column] for column in tables.RUN_COLUMNS} | spent)
    for absent in not_applicable:
        names = {column: absent[column] for column in (*tables.RUN, "method")}
        rows.append(names | {"seed": None, "status": "not_applicable", "message": absent["reason"]})
    return pd.DataFrame(rows, columns=tables.RUN_COLUMNS)


def _history(records: list[Path], histories: list[Path]) -> pd.DataFrame:
    """Return the costs of every epoch, long; a run that is not trained has none."""
    parts = []
    for record, path in zip(map(read_record, records), histories, strict=True):
        epochs = read_table(path).drop(columns="progress", errors="ignore")
        curves = epochs.melt("epoch", var_name="cost", value_name="value").dropna(subset="value")
        parts.append(curves.assign(**{column: record[column] for column in (*tables.RUN, "seed")}))
    return tables.joined(parts, tables.HISTORY_COLUMNS)


def _phases(records: list[Path]) -> pd.DataFrame:
    """Return a row for every run, seed and phase that it entered: its costs, with the numbers of cells of its view."""
    rows = []
    for record in map(read_record, records):
        names = {column: record[column] for column in (*tables.RUN, "method", "seed")}
        names |= {f"{part}_cells": record["cells"].get(part) for part in ("train", "query")}
        for phase in sorted(record["seconds"], key=PHASES.index):
            costs = {measure: record[measure].get(phase) for measure in (*SECONDS, "host_mb", "device_mb")}
            rows.append(names | {"phase": phase} | costs)
    return pd.DataFrame(rows, columns=tables.PHASE_COLUMNS)


def _places(runs: pd.DataFrame, methods: dict[str, str]) -> dict[str, dict[str, int]]:
    """Return column -> name -> place: datasets and scenarios as they first appear, runs as `methods` lists them."""
    named = {"dataset": runs["dataset"], "scenario": runs["scenario"], "run": [*methods, *runs["run"]]}
    return {column: {name: place for place, name in enumerate(dict.fromkeys(names))} for column, names in named.items()}


def _sorted(table: pd.DataFrame, places: dict[str, dict[str, int]]) -> pd.DataFrame:
    keys = pd.DataFrame({column: table[column].map(place) for column, place in places.items()}).assign(seed=table["seed"])
    return table.loc[keys.sort_values([*places, "seed"], kind="stable").index].reset_index(drop=True)
