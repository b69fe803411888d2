"""Tabulate: the scores and records of all runs become tables, with statistics and checks."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import run_metadata_of
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.best import read_best
from mosaicbench.files.datasheet import COLUMNS, WARNING_COLUMNS, has_no_pairs, read_datasheet
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
from mosaicbench.report.tables.published import beside_ours, read_published
from mosaicbench.report.tables.rankings import overview, rankings
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import read_theme
from mosaicbench.stats.common import ALL, RUN, SPLIT, joined
from mosaicbench.stats.intervals import over_cells, with_cells
from mosaicbench.stats.means import comparison, headline, verdicts_by_distance
from mosaicbench.stats.overall import overall, ranks, with_ceilings
from mosaicbench.stats.paired import paired_tests
from mosaicbench.stats.resource_scaling import exponents
from mosaicbench.stats.sanity import (
    CHECK_COLUMNS,
    CONTROL,
    faults_of_splits,
    in_words,
    sanity_checks,
)
from mosaicbench.stats.sweep import sweep_table
from mosaicbench.stats.tuning import gains, settings, trials_table
from mosaicbench.workflow import resources
from mosaicbench.workflow.layout import Results

SECONDS = ("seconds", "cpu_seconds", "gpu_seconds")


def main(
    *,
    results: Path,
    output: Path,
    places: Sequence[dict[str, str]],
    fits: Sequence[dict],
    not_applicable: list[dict],
    methods: dict[str, str],
    kinds: dict[str, str],
    reference: str | None,
    sweep: dict | None,
    searches: Sequence[dict] = (),
    datasets: Sequence[str] = (),
    cannot_learn: Sequence[tuple[str, str]] = (),
    cannot_learn_without_pairs: Sequence[tuple[str, str]] = (),
    simulated: Sequence[str] = (),
    sizes: Sequence[dict[str, int]] = (),
) -> None:
    """Write every table of ``layout.FILES_OF_TABLES`` as ``.tsv``, and rankings as LaTeX.

    LaTeX goes to ``latex/{dataset}/{scenario}.tex`` and ``latex/all_datasets/{scenario}.tex``.
    Findings of sanity checks also go to stderr. In ``runs.tsv``, seconds are sums over phases.

    Parameters
    ----------
    results, output
        The results folder, and the folder of the tables.
    places, fits, searches
        dataset, scenario and run of every run; these and seed of every fit, and of every search.
    not_applicable
        dataset, scenario, run, method and reason of each run that is no part of a split.
    methods, kinds
        run -> method, in the order of the tables; scenario -> its kind.
    reference, sweep
        The config's ``report: reference_run`` and ``report: sweep``, or None.
    datasets
        Those with a datasheet.
    cannot_learn, cannot_learn_without_pairs
        Dataset and sentence of each scenario with runs that learn nothing in it, and those to add if
        no cell of the dataset has two modalities.
    simulated
        Datasets that do not count in ranks and scores over datasets.
    sizes
        Groups of datasets that differ only in their number of cells, dataset -> cells.
    """
    files = Results(results)

    def of_runs(read: Callable, file: str) -> list:
        return [read(files.run(**place) / file, place) for place in places]

    records = [read_record(files.fit(**fit) / "run.json", fit) for fit in fits]
    histories = [read_history(files.fit(**fit) / "history.tsv") for fit in fits]
    all_runs = checked_runs(_runs(records, not_applicable, methods))
    order = _order(all_runs, methods)
    all_runs = _sorted(all_runs, order)
    cell_scores = of_runs(read_cells, "cells.npz")
    all_scores = joined(of_runs(read_scores, "scores.tsv"), SCORE_COLUMNS)
    all_scores = _sorted(checked_scores(all_scores), order)
    features = joined(of_runs(read_features, "features.tsv"), FEATURE_COLUMNS)
    run_metadata = run_metadata_of(all_runs)
    widths, sizes_of_splits = over_cells(cell_scores), _sizes_of_splits(records, cell_scores)
    means, tested = (with_cells(of(all_scores), widths) for of in (comparison, headline))
    faults = [
        sanity_checks(all_scores, cell_scores, run_metadata, sizes_of_splits),
        faults_of_splits(_audits(files, fits)),
    ]
    described, warned = [], []
    for dataset in datasets:
        rows, texts = read_datasheet(files.dataset(dataset))
        described += rows
        warned += [(dataset, text) for text in texts]
        if has_no_pairs(rows):
            others = [found for found in cannot_learn_without_pairs if found not in cannot_learn]
            warned += [found for found in others if found[0] == dataset]
    tables = {
        "datasets": pd.DataFrame(described, columns=COLUMNS),
        "warnings": pd.DataFrame([*warned, *cannot_learn], columns=WARNING_COLUMNS),
        "scores": all_scores,
        "features": _sorted(features, order),
        "runs": all_runs,
        "comparison": with_ceilings(means, run_metadata),
        "headline": with_ceilings(tested, run_metadata),
        "overview": with_estimates(
            overview(all_scores, all_runs, run_metadata), kinds, fits, files
        ),
        "paired_tests": paired_tests(
            all_scores, cell_scores, run_metadata, reference=reference, sizes=sizes_of_splits
        ),
        "ranks": ranks(all_scores, run_metadata, simulated),
        "overall": overall(all_scores, all_runs, run_metadata, simulated),
        "sanity_checks": joined(faults, CHECK_COLUMNS),
        "history": _sorted(_history(records, histories), order),
        "sweep": sweep_table(sweep, all_scores, means),
        "published": beside_ours(read_published(), means, kinds, run_metadata),
        "phases": _sorted(_phases(records), order),
    }
    done = []
    for search in searches:
        folder = files.tuning(**search)
        done.append((read_best(folder / "best.json", search), read_table(folder / "trials.tsv")))
    tuned = {best["run"]: best["of"] for best, _ in done}
    tables |= {
        "trials": trials_table(done),
        "tuning_gains": gains(all_scores, tuned, run_metadata),
        "tuning_settings": settings(done),
        "distances": verdicts_by_distance(tables["headline"], run_metadata),
        "rankings": rankings(tables, run_metadata),
        "recommendations": recommended(tables, cell_scores, run_metadata, sizes_of_splits),
    }
    jobs = resources.jobs_of(files)
    tables["resources"] = resources.measured(tables["phases"], tables["history"], jobs)
    tables["scaling"] = exponents(tables["phases"], jobs, sizes)
    write_tables(Path(output), tables)
    theme = read_theme(all_runs)
    for (dataset, scenario), rows in tables["rankings"].groupby(SPLIT, sort=False):
        place = "all_datasets" if dataset == ALL else dataset
        write_text(Path(output, "latex", place, f"{scenario}.tex"), latex_tables(rows, theme))
    for (*names, check), findings in tables["sanity_checks"].groupby([*RUN, "check"], sort=False):
        word = "ALARM" if check == CONTROL else "warning"
        print(f"{word}: {'/'.join(names)}: {check}: {in_words(findings)}", file=sys.stderr)


def with_estimates(
    table: pd.DataFrame, kinds: dict[str, str], fits: Iterable[dict], results: Results
) -> pd.DataFrame:
    """Estimate FOSCTTM for runs of data as measured that have none; add no empty column."""
    of_kind = table["scenario"].map(kinds) == "as_measured"
    waiting = table[of_kind & (table["foscttm"] == NOT_GIVEN)].set_index(RUN)
    found = defaultdict(list)
    for fit in fits:
        run, seed = tuple(fit[name] for name in RUN), fit["seed"]
        split, folder = results.split(*run[:2], seed), results.fit(*run, seed)
        files = split / "query.h5mu", folder / "latents.h5ad"
        if run in waiting.index and all(file.is_file() for file in files):
            from mosaicbench.commands import _trust  # compiles when it is imported

            found[run].extend(_trust.estimates_of_fit(split, folder))
    texts = {}
    for run, each in found.items():
        if each:
            middle, low, high = np.mean(each, axis=0)
            texts[run] = f"{middle:.3f} ({low:.3f} to {high:.3f})"
    if not texts:
        return table
    names = table[RUN].apply(tuple, axis=1)
    return table.assign(foscttm_estimated=names.map(texts).fillna(NOT_GIVEN))


def _audits(results: Results, fits: Iterable[dict]) -> Iterable[pd.DataFrame]:
    splits = [results.split(fit["dataset"], fit["scenario"], fit["seed"]) for fit in fits]
    for split in dict.fromkeys(splits):
        if (split / "audit.tsv").is_file():
            yield read_table(split / "audit.tsv")


def _runs(records: list[dict], not_applicable: list[dict], methods: dict[str, str]) -> pd.DataFrame:
    rows = []
    for record in records:
        if record["method"] != methods.get(record["run"], record["method"]):
            place = "/".join(record[name] for name in RUN)
            raise UserError(
                f"runs/{place}: run {record['run']!r} was fitted with method {record['method']!r}, "
                f"its method is now {methods[record['run']]!r}; delete that folder and run again"
            )
        spent = {
            measure: round(sum(record[measure].values()), 3) if record[measure] else None
            for measure in SECONDS
        }
        rows.append(record | spent | {"seen": _seen(record["hyperparameters"])})
    for absent in not_applicable:
        rows.append(absent | {"status": "not_applicable", "message": absent["reason"]})
    return pd.DataFrame(rows, columns=RUN_COLUMNS)


def _seen(hyperparameters: dict) -> str:
    if not str(hyperparameters.get("embedding", "")).endswith(".h5ad"):
        return ""
    return {None: "unknown", True: "yes", False: "no"}[hyperparameters.get("seen")]


def _history(records: list[dict], histories: list[pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for record, history in zip(records, histories, strict=True):
        if history.empty:
            continue
        losses = history.drop(columns="progress", errors="ignore").melt("epoch", var_name="loss")
        parts.append(losses.assign(**{column: record[column] for column in (*RUN, "seed")}))
    return joined(parts, HISTORY_COLUMNS).dropna(subset="value")


def _phases(records: Iterable[dict]) -> pd.DataFrame:
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
    """Return (dataset, scenario) -> the largest numbers of train and query cells of its fits.

    Scored cells where possible: a query without pairs has several rows per cell.
    """
    scored = defaultdict(int)
    for run in cells:
        split = run.dataset, run.scenario
        scored[split] = max([scored[split], *map(len, run.cells.values())])
    rows = [record | record["cells"] for record in records]
    fits = pd.DataFrame(rows, columns=[*SPLIT, "train", "query"]).dropna()
    most = fits.groupby(SPLIT)[["train", "query"]].max().astype(int)
    return {
        split: (train, scored[split] or query) for split, train, query in most.itertuples(name=None)
    }


def _order(runs: pd.DataFrame, methods: dict[str, str]) -> dict[str, pd.Index]:
    order = {column: pd.Index(runs[column].unique()) for column in SPLIT}
    return order | {"run": pd.Index([*methods, *runs["run"]]).unique()}


def _sorted(table: pd.DataFrame, order: dict[str, pd.Index]) -> pd.DataFrame:
    def places(column: pd.Series) -> object:
        return order[column.name].get_indexer(column) if column.name in order else column

    return table.sort_values([*order, "seed"], key=places, kind="stable", ignore_index=True)
