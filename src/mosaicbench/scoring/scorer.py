"""Asks every metric that applies, and what stands behind it: its scores of single cells, features, cell types and batches.

A metric's file may define functions beside that of a metric, here ``m``:

``m_by_cell(...)``
    (cells,) scores of single cells, NaN where a cell has none, whose mean is the metric: for intervals and tests over cells.
``m_by_feature(...)``
    (features,) scores of single features.
``m_by_bin(...)``
    (bins,) counts in bins of equal width between 0 and 1, which the card's ``by_bin`` names.

A card may ask for the metric of the cells of one type or one batch alone: ``by_type``, ``by_batch``. A metric that is not
defined for the arrays it gets has a row without a value; where modalities have no query cell in common, what needs partners has
such a row, and ``Scores.without_partners`` names it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.metrics._checks import Undefined
from mosaicbench.scoring.partners import NoPartners
from mosaicbench.scoring.run_data import Question, RunData

SCORE_COLUMNS = ["metric", "direction", "normalization", "value"]
FEATURE_COLUMNS = ["metric", "direction", "normalization", "feature", "value"]


@dataclass(frozen=True)
class Scores:
    """The scores of one run and seed.

    Attributes
    ----------
    scores
        A row per metric and direction: SCORE_COLUMNS.
    features
        A row per single feature, cell type or batch: FEATURE_COLUMNS.
    cells
        (metric, direction, space) -> (cells,) float32; the mean over cells, NaN aside, is the metric's score.
    without_partners
        (metric, direction) of the scores that have no value because the modalities have no query cell in common.
    """

    scores: pd.DataFrame
    features: pd.DataFrame
    cells: dict[tuple[str, str, str], np.ndarray]
    without_partners: frozenset[tuple[str, str]] = frozenset()


NOTHING = Scores(  # of a run that failed
    pd.DataFrame([("status", "run", "-", np.nan)], columns=SCORE_COLUMNS),
    pd.DataFrame(columns=FEATURE_COLUMNS),
    {},
)


def score(evidence: RunData, groups: Collection[str]) -> Scores:
    """Return every score of one run and seed.

    Parameters
    ----------
    evidence
        What is known of the run.
    groups
        The groups of metrics to ask, as their cards name them.
    """
    metrics = [name for name, card in catalog.cards("metrics").items() if card["group"] in groups]
    rows, without_partners = [], set()
    for question, name in _suited(evidence, metrics):
        value, reason = _value(name, question)
        rows.append((name, question.about, question.normalization, value))
        if isinstance(reason, NoPartners):
            without_partners.add((name, question.about))
    tables = [
        *_features(evidence, metrics),
        *_bins(evidence, metrics),
        *_parts(evidence, metrics, "by_type"),
        *_parts(evidence, metrics, "by_batch"),
    ]
    features = (
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=FEATURE_COLUMNS)
    )
    cells = {
        (name, question.about, question.normalization): _among_all(
            values, question.rows, len(evidence.batches)
        )
        for question, name, values in _defined(evidence, metrics, "by_cell")
    }
    return Scores(
        pd.DataFrame(rows, columns=SCORE_COLUMNS), features, cells, frozenset(without_partners)
    )


def means(evidence: RunData, metrics: Collection[str]) -> dict[str, float]:
    """Return metric -> its mean over directions and sources; NaN where one of them is not defined.

    Metrics that nothing is asked about, and those that need partners where there are none, are left out.
    """
    values: dict[str, list[float]] = {}
    for question, name in _suited(evidence, list(metrics)):
        value, reason = _value(name, question)
        if not isinstance(reason, NoPartners):
            values.setdefault(name, []).append(value)
    return {name: float(np.mean(each)) for name, each in values.items()}


def ask(metric: str, beside: str = "", /, **supplied: object) -> float:
    """Return one metric, or a function beside it, of what it needs, NaN where it is not defined."""
    return _value(metric, Question("what was supplied", "-", supplied, {}), beside)[0]


def _suited(
    evidence: RunData, metrics: list[str], beside: str = ""
) -> Iterator[tuple[Question, str]]:
    """Yield each question with each metric that it suits; with those that have a function of a name beside them."""
    having = [name for name in metrics if not beside or catalog.stands_beside(name, beside)]
    needs = {name: catalog.parameters("metrics", name, beside) for name in having}
    for question in evidence.questions:
        yield from ((question, name) for name in having if question.suits(needs[name]))


def _defined(
    evidence: RunData, metrics: list[str], beside: str
) -> Iterator[tuple[Question, str, np.ndarray]]:
    """Yield what the functions of a name beside metrics say, where they are defined; the metric's own row says where not."""
    for question, name in _suited(evidence, metrics, beside):
        with suppress(Undefined):
            yield question, name, np.asarray(_called(name, question, beside))


def _called(metric: str, question: Question, beside: str = "") -> object:
    """Return what a metric, or a function beside it, says to a question."""
    needs = catalog.parameters("metrics", metric, beside)
    partners = not catalog.card("metrics", metric).get("without_partners", False)
    return catalog.function("metrics", metric, beside)(**question.values(needs, partners=partners))


def _value(metric: str, question: Question, beside: str = "") -> tuple[float, Undefined | None]:
    """Return a score, or NaN and why it is not defined."""
    try:
        return _called(metric, question, beside), None
    except Undefined as reason:
        print(f"{metric} of {question.about} is not defined: {reason}", file=sys.stderr)
        return float("nan"), reason


def _features(evidence: RunData, metrics: list[str]) -> Iterator[pd.DataFrame]:
    """Yield the scores of single features, of every metric and direction."""
    for question, name, values in _defined(evidence, metrics, "by_feature"):
        yield _table(name, question, question.features, values)


def _bins(evidence: RunData, metrics: list[str]) -> Iterator[pd.DataFrame]:
    """Yield the counts by bin, of every metric that has some and every direction."""
    for question, name, counts in _defined(evidence, metrics, "by_bin"):
        edges = np.linspace(0, 1, len(counts) + 1)
        bins = [f"{low:.1f} to {high:.1f}" for low, high in pairwise(edges)]
        yield _table(catalog.card("metrics", name)["by_bin"], question, bins, counts)


def _parts(evidence: RunData, metrics: list[str], kind: str) -> Iterator[pd.DataFrame]:
    """Yield the scores of the cells of one type or one batch alone, where a card has the key `kind`; of known type only."""
    having = [name for name in metrics if kind in catalog.card("metrics", name)]
    for question, metric in _suited(evidence, having):
        rows = slice(None) if question.rows is None else question.rows
        labels, batches = np.asarray(evidence.labels, dtype=object)[rows], evidence.batches[rows]
        of = labels if kind == "by_type" else batches
        names = sorted(set(labels) - {""}) if kind == "by_type" else dict.fromkeys(batches)
        needed = question.values(catalog.parameters("metrics", metric))
        masks = {name: (of == name) & (labels != "") for name in names}
        parts = {
            str(name): {need: x[rows] for need, x in needed.items()}
            for name, rows in masks.items()
            if rows.any()
        }
        values = [ask(metric, **part) for part in parts.values()]
        yield _table(catalog.card("metrics", metric)[kind], question, list(parts), values)


def _among_all(values: np.ndarray, rows: np.ndarray | None, cells: int) -> np.ndarray:
    """Return scores of the query cells at `rows` as scores of all of them, (cells,) float32, NaN where there is none."""
    if rows is None:
        return values.astype(np.float32)
    found = np.full(cells, np.nan, dtype=np.float32)
    found[rows] = values
    return found


def _table(
    metric: str, question: Question, names: list[str], values: Collection[float]
) -> pd.DataFrame:
    of = {"metric": metric, "direction": question.about, "normalization": question.normalization}
    return pd.DataFrame(of | {"feature": names, "value": values}, columns=FEATURE_COLUMNS)
