"""Which run to take for each question: what it must beat, which runs tie with it, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files.scores import CellScores
from mosaicbench.report.tables.contract import RECOMMENDATION_COLUMNS, checked_recommendations
from mosaicbench.stats.common import FOSCTTM, RUN, SPLIT, TRANSFER, Sizes, Tables
from mosaicbench.stats.means import headline, signed_means
from mosaicbench.stats.overall import ends, together
from mosaicbench.stats.paired import BEST, paired_tests, tied_with_best
from mosaicbench.stats.sanity import named_by_checks, signs_of

PARTNER, LABELS, IMPUTATION, SPEED = "partner", "labels", "imputation", "speed"
METRICS = {PARTNER: FOSCTTM, LABELS: TRANSFER, IMPUTATION: "imputation_pearson_per_feature"}
BARS = METRICS | {IMPUTATION: "imputation_skill"}  # question -> metric of the trivial control
TRIVIAL = {PARTNER: "label_oracle", IMPUTATION: "celltype_mean"}  # else chance, or the scale's 0
FLOOR = "label_floor"  # the metric with the label oracle's score, if that control did not run
ALL_DIRECTIONS = "-"
RESOURCES = ["seconds", "peak_host_mb"]


def recommended(
    tables: Tables,
    cells: Iterable[CellScores],
    run_metadata: RunMetadata,
    sizes: Sizes,
) -> pd.DataFrame:
    """Return a row per split and question: partners, labels, imputation by direction, and speed.

    A run is not recommended if a sanity check names it in the split, or if it does not beat the
    trivial control of its question: knowing each cell's type (partners), chance (labels), the mean
    of each cell's type (imputation).

    Of ``contract.RECOMMENDATION_COLUMNS``, `run` has the best mean of the allowed runs, or is "";
    `beaten` is the trivial control; `barred` are the runs that checks name, `qualified` those that
    may be recommended; if none is, `nearest` is the best of the others. `tied_with` are runs that
    the paired tests do not separate from it; `detectable` and `seeds_needed` are those of
    ``paired_tests``, the median over the comparisons and the most of `tied_with`. The row of speed
    has the fastest of the others.
    """
    ended = tables["runs"][tables["runs"]["status"].isin(["ok", "collapsed"])]
    used = ended.groupby(RUN)[RESOURCES].mean().astype(float)
    barred, signs = named_by_checks(tables["sanity_checks"]), signs_of(tables["sanity_checks"])
    cells, rows = list(cells), []
    for split, scores in tables["scores"].groupby(SPLIT, sort=False):
        names = dict(zip(SPLIT, split, strict=True))
        of_split = [run for run in cells if (run.dataset, run.scenario) == split]
        named = set()
        for place, of_question, values in _questions(scores, of_split):
            answer = _answer(
                place["question"], of_question, values, barred.get(split, ()), run_metadata, sizes
            )
            if answer is not None:
                named |= {answer["run"], *answer["tied_with"].split(", ")}
                answer["signs"] = signs.get((*split, answer["run"]), "")
                rows.append(names | place | answer)
        seconds = used["seconds"].reindex([(*split, run) for run in sorted(named)]).dropna()
        if len(seconds):
            speed = {"question": SPEED, "direction": ALL_DIRECTIONS, "metric": "seconds"}
            rows.append(names | speed | {"run": seconds.idxmin()[-1]})
    table = pd.DataFrame(rows, columns=RECOMMENDATION_COLUMNS).drop(columns=RESOURCES)
    return checked_recommendations(table.merge(used.reset_index(), on=RUN, how="left"))


def _questions(
    scores: pd.DataFrame, cells: list[CellScores]
) -> Iterator[tuple[dict[str, str], pd.DataFrame, list[CellScores]]]:
    for question in (PARTNER, LABELS):
        place = {"question": question, "direction": ALL_DIRECTIONS}
        of_question = scores["metric"].isin([METRICS[question], FLOOR])
        yield place, scores[of_question], cells
    of_question = scores[scores["metric"].isin([METRICS[IMPUTATION], BARS[IMPUTATION]])]
    imputed = of_question.loc[of_question["metric"] == METRICS[IMPUTATION], "direction"]
    for direction in imputed.unique():
        of_cells = []
        for run in cells:
            values = {key: value for key, value in run.values.items() if key[2] == direction}
            of_cells.append(replace(run, values=values))
        place = {"question": IMPUTATION, "direction": direction}
        yield place, of_question[of_question["direction"] == direction], of_cells


def _answer(
    question: str,
    scores: pd.DataFrame,
    cells: list[CellScores],
    barred: Iterable[str],
    run_metadata: RunMetadata,
    sizes: Sizes,
) -> dict | None:
    metric, summary = METRICS[question], headline(scores)
    of_metric = summary[summary["metric"] == metric]
    runs = list(run_metadata.competing(of_metric)["run"])
    if len(runs) < 2:
        return None
    scores_of_metric = scores[scores["metric"] == metric]
    _, query_cells = sizes.get(tuple(scores[SPLIT].iloc[0]), (0, np.nan))

    def with_best(runs: list[str]) -> pd.DataFrame:
        """Return the paired tests of these runs with the best of them."""
        chosen = scores_of_metric[scores_of_metric["run"].isin(runs)]
        tests = paired_tests(chosen, cells, run_metadata, sizes=sizes)
        return tests[tests["role"].astype(str).str.startswith(BEST)]

    bar, tests = _bar(question, summary, run_metadata), with_best(runs)
    row = {
        "metric": metric,
        "run": "",
        "tied_with": "",
        "cells": query_cells,
        "barred": ", ".join(run for run in runs if run in barred),
        "detectable": tests["detectable"].median(),
        "detectable_new": tests["detectable_new"].median(),
        **bar,
    }
    means = summary[summary["metric"] == bar["beaten_metric"]].set_index("run")["mean"]
    gains = run_metadata.sign(bar["beaten_metric"]) * (means - bar["beaten_value"])
    gains = gains.reindex([run for run in runs if run not in barred])
    allowed = list(gains.index[(gains > 0) | np.isnan(bar["beaten_value"])])
    row["qualified"] = ", ".join(allowed)
    summary = headline(scores_of_metric[scores_of_metric["run"].isin(allowed)])
    signed = signed_means(summary, run_metadata)
    if signed.isna().all():
        if gains.notna().any():
            row |= {"nearest": gains.idxmax(), "nearest_value": means[gains.idxmax()]}
        return row
    winner = summary.loc[signed.idxmax()]
    tests = tests if allowed == runs else with_best(allowed)
    level_runs = summary.loc[tied_with_best(summary, tests, run_metadata), "run"]
    others = [run for run in level_runs if run != winner["run"]]
    return row | {
        **winner[["run", "mean", "low", "high", "seeds"]],
        "tied_with": ", ".join(others),
        "seeds_needed": tests.set_index("run").loc[others, "seeds_needed"].max(skipna=False),
    }


@dataclass(frozen=True)
class Verdict:
    """The answer to one question over all datasets of a scenario.

    `run` has the best mean rank among the runs that may be recommended on every dataset, "" if none
    may; `means` are its scores on the datasets of `rows`, `ranked` counts the runs with the score
    on all of them.
    """

    scenario: str
    rows: pd.DataFrame
    run: str = ""
    means: tuple[float, ...] = ()
    rank: float = np.nan
    ranked: int = 0


def verdicts(tables: Tables, run_metadata: RunMetadata) -> list[Verdict]:
    """Return the answer to each question over the datasets that count in its scenario.

    `tables` are "recommendations", "scores" and "overall" of `tabulate`.
    """
    asked = tables["recommendations"]
    asked, found = asked[asked["question"] != SPEED], []
    keys = ["scenario", "question", "direction"]
    for (scenario, question, direction), rows in asked.groupby(keys, sort=False):
        rows = rows[rows["dataset"].isin(together(tables["overall"], scenario))]
        if rows.empty:
            continue
        scores = tables["scores"]
        scores = scores[(scores["scenario"] == scenario) & (scores["metric"] == METRICS[question])]
        if direction != ALL_DIRECTIONS:
            scores = scores[scores["direction"] == direction]
        summary = headline(scores[scores["dataset"].isin(rows["dataset"])])
        signed = summary.assign(signed=signed_means(summary, run_metadata))
        signed = signed.pivot(index="dataset", columns="run", values="signed")
        signed = signed.loc[rows["dataset"]].dropna(axis="columns")  # (datasets, runs)
        ranks = signed.rank(axis="columns", ascending=False).mean()
        everywhere = set.intersection(*(set(names.split(", ")) for names in rows["qualified"]))
        may = [run for run in ranks.index if run in everywhere]
        if not may:
            found.append(Verdict(scenario, rows))
            continue
        firsts = rows["run"].value_counts().reindex(may, fill_value=0)
        order = np.lexsort([-firsts, ranks[may]])  # of equal ranks, the one that is best more often
        run = may[order[0]]
        means = tuple(run_metadata.sign(METRICS[question]) * signed[run])
        found.append(Verdict(scenario, rows, run, means, ranks[run], len(ranks)))
    return found


def _bar(question: str, summary: pd.DataFrame, run_metadata: RunMetadata) -> dict[str, object]:
    metric = BARS[question] if BARS[question] in set(summary["metric"]) else METRICS[question]
    means = summary[summary["metric"] == metric].set_index("run")["mean"]
    scale = ends(means, metric, run_metadata)
    values = pd.Series({scale["zero_is"]: scale["zero"]})
    if question == PARTNER:
        values[FLOOR] = summary.loc[summary["metric"] == FLOOR, "mean"].mean()
    controls = means[means.index.map(run_metadata.method) == TRIVIAL.get(question)]
    values = pd.concat([controls, values[::-1]]).dropna()  # of equals, the control that took part
    hardest = (run_metadata.sign(metric) * values).idxmax() if len(values) else ""
    return {
        "beaten": hardest,
        "beaten_metric": metric,
        "beaten_value": values.get(hardest, np.nan),
    }
