"""Call every metric that applies, and the functions beside it, which score cells, features and bins.

Beside a metric ``m``, its file may define:

``m_by_cell(...)``
    (cells,) scores of single cells, NaN where a cell has none, with the metric as their mean: for
    intervals and tests over cells.
``m_by_feature(...)``
    (features,) scores of single features.
``m_by_bin(...)``
    (bins,) counts in bins of equal width between 0 and 1, under the name in the card's ``by_bin``.

With ``by_type`` or ``by_batch`` in its card, a metric is also computed for the cells of one type or
batch. A metric that is not defined for its inputs has a row without a value.
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
from mosaicbench.metrics._checks import NotApplicable, Undefined
from mosaicbench.scoring.metric_inputs import MetricInputs
from mosaicbench.scoring.run_data import RunData

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
        (metric, direction, normalization) -> (cells,) float32; the score is their mean without NaN.
    not_applicable
        (metric, direction) of scores that these data cannot have: no query cell has both modalities,
        or all are of one type.
    """

    scores: pd.DataFrame
    features: pd.DataFrame
    cells: dict[tuple[str, str, str], np.ndarray]
    not_applicable: frozenset[tuple[str, str]] = frozenset()


NOTHING = Scores(  # of a run that failed
    pd.DataFrame([("status", "run", "-", np.nan)], columns=SCORE_COLUMNS),
    pd.DataFrame(columns=FEATURE_COLUMNS),
    {},
)


def score(run_data: RunData, groups: Collection[str]) -> Scores:
    """Return every score of one run and seed, of the metrics of some groups."""
    metrics = [name for name, card in catalog.cards("metrics").items() if card["group"] in groups]
    rows, not_applicable = [], set()
    for inputs, metric in _suited(run_data, metrics):
        value, reason = _value(metric, inputs)
        rows.append((metric, inputs.direction, inputs.normalization, value))
        if isinstance(reason, NotApplicable):
            not_applicable.add((metric, inputs.direction))
    tables = [
        _table(metric, inputs, inputs.features, values)
        for inputs, metric, values in _defined(run_data, metrics, "by_feature")
    ]
    for inputs, metric, counts in _defined(run_data, metrics, "by_bin"):
        edges = np.linspace(0, 1, len(counts) + 1)
        bins = [f"{low:.1f} to {high:.1f}" for low, high in pairwise(edges)]
        tables.append(_table(catalog.card("metrics", metric)["by_bin"], inputs, bins, counts))
    tables += [*_parts(run_data, metrics, "by_type"), *_parts(run_data, metrics, "by_batch")]
    cells = {}
    for inputs, metric, values in _defined(run_data, metrics, "by_cell"):
        of_all = np.full(len(run_data.batches), np.nan, dtype=np.float32)
        of_all[slice(None) if inputs.rows is None else inputs.rows] = values
        cells[metric, inputs.direction, inputs.normalization] = of_all
    return Scores(
        pd.DataFrame(rows, columns=SCORE_COLUMNS),
        pd.concat(tables or [NOTHING.features], ignore_index=True),
        cells,
        frozenset(not_applicable),
    )


def means(run_data: RunData, metrics: Collection[str]) -> dict[str, float]:
    """Return metric -> its mean over directions and sources; NaN where one of them is not defined.

    Metrics without inputs, and those that need partners where no cell has one, are left out.
    """
    values: dict[str, list[float]] = {}
    for inputs, metric in _suited(run_data, metrics):
        value, reason = _value(metric, inputs)
        if not isinstance(reason, NotApplicable):
            values.setdefault(metric, []).append(value)
    return {metric: float(np.mean(each)) for metric, each in values.items()}


def ask(metric: str, beside: str = "", /, **needs: object) -> float:
    """Return a metric, or a function beside it, of its needs; NaN where it is not defined."""
    return _value(metric, MetricInputs("the given values", "-", needs, {}), beside)[0]


def _suited(
    run_data: RunData, metrics: Collection[str], beside: str = ""
) -> Iterator[tuple[MetricInputs, str]]:
    having = [name for name in metrics if not beside or catalog.stands_beside(name, beside)]
    needs = {name: catalog.parameters("metrics", name, beside) for name in having}
    for inputs in run_data.metric_inputs:
        yield from ((inputs, name) for name in having if inputs.suit(needs[name]))


def _defined(
    run_data: RunData, metrics: Collection[str], beside: str
) -> Iterator[tuple[MetricInputs, str, np.ndarray]]:
    for inputs, metric in _suited(run_data, metrics, beside):
        with suppress(Undefined):
            yield inputs, metric, np.asarray(_called(metric, inputs, beside))


def _called(metric: str, inputs: MetricInputs, beside: str = "") -> object:
    needs = catalog.parameters("metrics", metric, beside)
    partners = not catalog.card("metrics", metric).get("without_partners", False)
    return catalog.function("metrics", metric, beside)(**inputs.values(needs, partners=partners))


def _value(metric: str, inputs: MetricInputs, beside: str = "") -> tuple[float, Undefined | None]:
    try:
        return _called(metric, inputs, beside), None
    except Undefined as reason:
        print(f"{metric} of {inputs.direction} is not defined: {reason}", file=sys.stderr)
        return float("nan"), reason


def _parts(run_data: RunData, metrics: Collection[str], kind: str) -> Iterator[pd.DataFrame]:
    having = [name for name in metrics if kind in catalog.card("metrics", name)]
    for inputs, metric in _suited(run_data, having):
        rows = slice(None) if inputs.rows is None else inputs.rows
        labels, batches = run_data.labels[rows], run_data.batches[rows]
        of, names = labels, sorted(set(labels) - {""})
        if kind == "by_batch":
            of, names = batches, dict.fromkeys(batches)
        try:
            needs = inputs.values(catalog.parameters("metrics", metric))
        except NotApplicable:
            continue
        values = {}
        for name in names:
            part = (of == name) & (labels != "")
            if part.any():
                values[str(name)] = ask(metric, **{need: x[part] for need, x in needs.items()})
        of_parts = catalog.card("metrics", metric)[kind]
        yield _table(of_parts, inputs, list(values), list(values.values()))


def _table(
    metric: str, inputs: MetricInputs, names: Collection[str], values: Collection[float]
) -> pd.DataFrame:
    of = {
        "metric": metric,
        "direction": inputs.direction,
        "normalization": inputs.normalization,
    }
    return pd.DataFrame(of | {"feature": names, "value": values}, columns=FEATURE_COLUMNS)
