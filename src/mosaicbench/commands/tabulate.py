"""Tabulate: the scores and records of all runs become tables, and what the numbers can bear is worked out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.best import read_best
from mosaicbench.files.runs import read_history, read_record
from mosaicbench.files.scores import (
    FEATURE_COLUMNS,
    SCORE_COLUMNS,
    CellScores,
    read_cells,
    read_features,
    read_scores,
)
from mosaicbench.files.tables import read_table, write_tables
from mosaicbench.fitting.meter import PHASES
from mosaicbench.report.latex import latex_tables
from mosaicbench.report.recommendation import recommended
from mosaicbench.report.tables.contract import (
    HISTORY_COLUMNS,
    PHASE_COLUMNS,
    RUN_COLUMNS,
    checked_runs,
    checked_scores,
)
from mosaicbench.report.tables.overview import overview
from mosaicbench.report.tables.published import beside_ours, read_published
from mosaicbench.report.tables.rankings import rankings
from mosaicbench.report.theme import read_theme
from mosaicbench.stats.common import ALL, RUN, SPLIT, joined
from mosaicbench.stats.distances import verdicts_by_distance
from mosaicbench.stats.intervals import over_cells, with_cells
from mosaicbench.stats.means import comparison, headline
from mosaicbench.stats.overall import overall
from mosaicbench.stats.paired import paired_tests
from mosaicbench.stats.ranks import ranks
from mosaicbench.stats.resource_scaling import exponents
from mosaicbench.stats.sanity import (
    CHECK_COLUMNS,
    CONTROL,
    faults_of_splits,
    in_words,
    may_win,
    sanity_checks,
)
from mosaicbench.stats.sweep import sweep_table
from mosaicbench.stats.tuning import gains, proposals, settings, trials_table
from mosaicbench.workflow import resources
from mosaicbench.workflow.layout import Results

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
    display: Path,
    results: Path,
    output: Path,
    places: Sequence[dict[str, str]],
    seeds: Sequence[int],
    simulated: Sequence[str] = (),
    sizes: Sequence[dict[str, int]] = (),
    searches: Sequence[tuple[dict, Path]] = (),
) -> None:
    """Write every table of ``contract.TABLES`` as ``.tsv`` into a folder, and three more: expenses, phases and scaling.

    The standings are also written as LaTeX: ``latex/{dataset}/{scenario}.tex``, and ``latex/all_datasets/{scenario}.tex``.

    A gate that finds something also warns on stderr, once per run. In ``runs.tsv``, seconds are sums over a record's phases.

    Parameters
    ----------
    scores, records, features, cells, histories
        ``scores.tsv``, ``features.tsv`` and ``cells.npz`` of every run, ``run.json`` and ``history.tsv`` of every run and seed,
        the last two in the same order.
    not_applicable
        One dict per run that does not exist in a split: dataset, scenario, run, method, reason.
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
    display
        ``display.yaml``.
    results
        The results folder, in which jobs wrote what they took.
    output
        The folder.
    places, seeds
        Whose the files should be: dataset, scenario and run of each of `scores`, in their order, and the seeds of every run.
    simulated
        The datasets that are simulated: no part of ranks and scores over datasets.
    sizes
        Groups of datasets that differ in nothing but their number of cells, dataset -> cells: ``scaling.tsv`` says how
        expenses grow over them.
    searches
        Of each search for a tuned run's settings: whose it should be (dataset, scenario, run, seed), and its folder.

    Raises
    ------
    UserError
        When a file is of another run or seed than its place, or was cut short; when a record's method is not the one that its
        run has now, or the published numbers break their schema.
    """
    fits = [place | {"seed": seed} for place in places for seed in seeds]
    read = {path: read_record(path, place) for path, place in zip(records, fits, strict=True)}
    all_runs = checked_runs(_runs(read, not_applicable, methods))
    order = _order(all_runs, methods)
    all_runs = _sorted(all_runs, order)
    cell_scores = [read_cells(*each) for each in zip(cells, places, strict=True)]
    own_scores = [read_scores(*each) for each in zip(scores, places, strict=True)]
    all_scores = _sorted(checked_scores(joined(own_scores, SCORE_COLUMNS)), order)
    all_features = joined(
        [read_features(*each) for each in zip(features, places, strict=True)], FEATURE_COLUMNS
    )
    run_metadata = run_metadata_of(all_runs)
    widths, sizes_of_splits = over_cells(cell_scores), _sizes_of_splits(read.values(), cell_scores)
    means = with_cells(comparison(all_scores), widths)
    of_scores = sanity_checks(all_scores, cell_scores, run_metadata, sizes_of_splits)
    tables = {
        "scores": all_scores,
        "features": _sorted(all_features, order),
        "runs": all_runs,
        "comparison": means,
        "headline": with_cells(headline(all_scores), widths),
        "overview": overview(all_scores, all_runs, run_metadata),
        "paired_tests": paired_tests(
            all_scores, cell_scores, run_metadata, reference=reference, sizes=sizes_of_splits
        ),
        "ranks": ranks(all_scores, run_metadata, simulated),
        "overall": overall(all_scores, all_runs, run_metadata, simulated),
        "sanity_checks": joined(
            [of_scores, faults_of_splits(_audits(Results(results), fits))], CHECK_COLUMNS
        ),
        "history": _sorted(_history(read.values(), histories), order),
        "sweep": sweep_table(sweep, all_scores, means),
        "published": beside_ours(read_published(published), means, kinds, run_metadata),
        "phases": _sorted(_phases(read.values()), order),
    }
    found = [
        (read_best(folder / "best.json", place), read_table(folder / "trials.tsv"))
        for place, folder in searches
    ]
    tuned = {best["run"]: best["of"] for best, _ in found}
    trials = trials_table(found)
    tables |= {
        "trials": trials,
        "tuning_gains": gains(all_scores, tuned, run_metadata),
        "tuning_settings": settings(found),
        "tuning_proposals": proposals(trials, tuned),
        "distances": verdicts_by_distance(tables["headline"], run_metadata),
        "rankings": rankings(tables, run_metadata),
        "recommendations": recommended(tables, cell_scores, run_metadata, sizes_of_splits),
        "overall": tables["overall"].assign(
            may_win=may_win(tables["overall"], tables["sanity_checks"])
        ),
    }
    jobs = resources.jobs_of(Results(results))
    tables["resources"] = resources.measured(tables["phases"], tables["history"], jobs)
    tables["scaling"] = exponents(tables["phases"], jobs, sizes)
    write_tables(Path(output), tables)
    theme = read_theme(display, all_runs)
    for (dataset, scenario), rows in tables["rankings"].groupby(SPLIT, sort=False):
        place = "all_datasets" if dataset == ALL else dataset
        write_text(Path(output, "latex", place, f"{scenario}.tex"), latex_tables(rows, theme))
    for (*names, check), findings in tables["sanity_checks"].groupby([*RUN, "check"], sort=False):
        word = "ALARM" if check == CONTROL else "warning"
        print(f"{word}: {'/'.join(names)}: {check}: {in_words(findings)}", file=sys.stderr)


def _audits(results: Results, fits: Iterable[Mapping]) -> Iterable[pd.DataFrame]:
    """Yield the ``audit.tsv`` of each split of these fits, once, where there is one."""
    for path in dict.fromkeys(
        Path(results.split(fit["dataset"], fit["scenario"], fit["seed"]), "audit.tsv")
        for fit in fits
    ):
        if path.is_file():
            yield read_table(path)


def _runs(
    records: dict[Path, dict], not_applicable: list[dict], methods: dict[str, str]
) -> pd.DataFrame:
    rows = []
    for path, record in records.items():
        if record["method"] != methods.get(record["run"], record["method"]):
            raise UserError(
                f"{path}: run {record['run']!r} was fitted with method {record['method']!r}, the configuration now says "
                f"{methods[record['run']]!r}; delete the run's folder and run again"
            )
        spent = {
            measure: round(sum(record[measure].values()), 3) if record[measure] else None
            for measure in SECONDS
        }
        rows.append({column: record[column] for column in RUN_COLUMNS} | spent)
    for absent in not_applicable:
        names = {column: absent[column] for column in (*RUN, "method")}
        rows.append(names | {"seed": None, "status": "not_applicable", "message": absent["reason"]})
    return pd.DataFrame(rows, columns=RUN_COLUMNS)


def _history(records: Iterable[dict], histories: list[Path]) -> pd.DataFrame:
    """Return the losses of every epoch, long; a run that is not trained has none."""
    parts = []
    for record, path in zip(records, histories, strict=True):
        losses = read_history(path).drop(columns="progress", errors="ignore")
        names = {column: record[column] for column in (*RUN, "seed")}
        parts.append(losses.melt("epoch", var_name="loss").assign(**names))
    return joined(parts, HISTORY_COLUMNS).dropna(subset="value")


def _phases(records: Iterable[dict]) -> pd.DataFrame:
    """Return a row for every run, seed and phase that it entered: its expenses, with the numbers of cells of its split."""
    rows = []
    for record in records:
        names = {column: record[column] for column in (*RUN, "method", "seed")}
        names |= {f"{part}_cells": record["cells"].get(part) for part in ("train", "query")}
        for phase in sorted(record["seconds"], key=PHASES.index):
            spent = {
                measure: record[measure].get(phase)
                for measure in (*SECONDS, "host_mb", "device_mb")
            }
            rows.append(names | {"phase": phase} | spent)
    return pd.DataFrame(rows, columns=PHASE_COLUMNS)


def _sizes_of_splits(
    records: Iterable[dict], cells: Iterable[CellScores]
) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (dataset, scenario) -> the most train and query cells of any of its fits.

    A query that names no cell across modalities has a row for each of them; the cells that are scored count once.
    """
    scored: dict[tuple[str, str], int] = {}
    for run in cells:
        split = run.dataset, run.scenario
        scored[split] = max([scored.get(split, 0), *map(len, run.cells.values())])
    sizes: dict[tuple[str, str], tuple[int, int]] = {}
    for record in records:
        if {"train", "query"} <= set(record["cells"]):
            split = record["dataset"], record["scenario"]
            given = record["cells"]["train"], record["cells"]["query"]
            sizes[split] = tuple(map(max, sizes.get(split, given), given))
    return {split: (train, scored.get(split) or query) for split, (train, query) in sizes.items()}


def _order(runs: pd.DataFrame, methods: dict[str, str]) -> dict[str, pd.Index]:
    """Return column -> names in order: datasets and scenarios as they first appear, runs as `methods` lists them."""
    names = {
        "dataset": runs["dataset"],
        "scenario": runs["scenario"],
        "run": [*methods, *runs["run"]],
    }
    return {column: pd.Index(of_column).unique() for column, of_column in names.items()}


def _sorted(table: pd.DataFrame, order: dict[str, pd.Index]) -> pd.DataFrame:
    return table.sort_values(
        [*order, "seed"],
        key=lambda column: (
            order[column.name].get_indexer(column) if column.name in order else column
        ),
        kind="stable",
        ignore_index=True,
    )
