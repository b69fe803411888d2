"""The overall score of chosen datasets, metrics, runs and weights, and how fragile its order is.

``report/page/assets/choose.js`` computes the same on the page of the report, from the same scaled
scores; ``report/test_choice.py`` compares both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mosaicbench.report.page.choose import RESAMPLES
from mosaicbench.stats.common import GROUPS
from mosaicbench.stats.intervals import mean_and_half_width

EQUAL = 1e-12  # scores that differ by less are equal
STEPS = 30  # of the lattice of weights: 496 points for three questions
HALVINGS = 50  # of the weight that is moved


@dataclass(frozen=True)
class Choice:
    """What counts: positions on the axes of a :class:`Board`, and the weight of each question."""

    datasets: list[int]
    metrics: list[int]
    runs: list[int]
    weights: dict[str, float]


@dataclass(frozen=True)
class Standing:
    """The scores of a choice, an entry per chosen run; NaN for a run that lacks a score.

    Attributes
    ----------
    score, low, high, rank
        (runs,) the weighted mean of the questions, averaged over seeds and datasets, its 95 % t
        interval over seeds, and the rank.
    questions
        question -> (runs,) mean of its metrics.
    level
        (runs,) bool: the run is first, or its difference from the first has an interval with 0 and
        no run with a better score is separable from the first.
    """

    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rank: np.ndarray
    questions: dict[str, np.ndarray]
    level: np.ndarray


@dataclass(frozen=True)
class Fragility:
    """How often each chosen run is first, (runs,); None where there is nothing to vary.

    Attributes
    ----------
    weights, datasets, seeds
        Over weights that are spread evenly, over datasets left out one at a time, and over
        resampled seeds.
    dethroned
        (weight, from, to, run): the smallest weight that, moved from one question to another, makes
        another run first. None if no such move does.
    """

    weights: np.ndarray | None
    datasets: np.ndarray | None
    seeds: np.ndarray | None
    dethroned: tuple[float, str, str, int] | None


def by_question(board, choice):
    """Return chosen dataset -> question -> (runs, seeds); NaN without all metrics."""
    found = {}
    for dataset in choice.datasets:
        present = ~np.isnan(board.values[dataset]).all(axis=(1, 2))
        of_dataset = {}
        for question, metrics in GROUPS.items():
            at = [i for i in choice.metrics if board.metrics[i] in metrics and present[i]]
            if at and choice.weights[question] > 0:
                of_dataset[question] = board.values[dataset][np.ix_(at, choice.runs)].mean(axis=0)
        if of_dataset:
            found[dataset] = of_dataset
    return found


def weighted(questions, weights):
    """Return the weighted mean over questions of each dataset, (runs, seeds)."""
    found = []
    for of_dataset in questions:
        total = sum(weights[question] for question in of_dataset)
        found.append(sum(weights[question] / total * x for question, x in of_dataset.items()))
    return found


def standing(board, choice):
    """Return the scores and ranks of a choice."""
    by_dataset = by_question(board, choice)
    questions = list(by_dataset.values())
    scores = weighted(questions, choice.weights)
    if not scores:
        none = np.full(len(choice.runs), np.nan)
        return Standing(none, none, none, none, {}, none > 0)
    complete = np.full(len(choice.runs), fill_value=True)
    for dataset, x in zip(by_dataset, scores, strict=True):
        wanted = board.seeds[dataset][choice.runs]
        complete &= (wanted > 0) & ((~np.isnan(x)).sum(axis=1) == wanted)
    scores = [np.where(complete[:, None], x, np.nan) for x in scores]
    mean, half = _of_runs(scores)
    first = np.nanargmax(mean) if complete.any() else 0
    difference, of_difference = _of_runs([x[first] - x for x in scores])
    level = complete & ~(difference - of_difference > 0)
    apart = max(mean[complete & ~level], default=-np.inf)
    names = [question for question in GROUPS if any(question in one for one in questions)]
    return Standing(
        mean,
        mean - half,
        mean + half,
        ranks_of(mean),
        {name: _mean_of_question(name, questions) for name in names},
        level & (mean > apart),
    )


def _mean_of_question(name, questions):
    scores = [of_dataset[name] for of_dataset in questions if name in of_dataset]
    return _of_runs(scores)[0]


def _of_runs(scores):
    """Return means over datasets and half their intervals, (runs,), of (runs, seeds) each."""
    return mean_and_half_width([x.T for x in scores])


def ranks_of(mean):
    """Return ranks, (runs,), 1 for the largest mean; equal ones share the best, NaN stays NaN."""
    ahead = (mean[None, :] > mean[:, None] + EQUAL).sum(axis=1)
    return np.where(np.isnan(mean), np.nan, 1.0 + ahead)


# --- how fragile the order is --------------------------------------------------------------------


def fragility(board, choice):
    """Return how often each run is first if weights, datasets or seeds were others."""
    now = standing(board, choice)
    ranked = np.flatnonzero(~np.isnan(now.score))
    if len(ranked) < 2:
        return Fragility(None, None, None, None)
    only = replace(choice, runs=[choice.runs[i] for i in ranked])
    questions = list(by_question(board, only).values())
    names = list(now.questions)

    def spread(shares):
        if shares is None:
            return None
        whole = np.full(len(choice.runs), np.nan)
        whole[ranked] = shares
        return whole

    def mean_with(weights, leave=None):
        kept = [one for i, one in enumerate(questions) if i != leave]
        return _of_runs(weighted(kept, weights))[0]

    by_weights = by_datasets = by_seeds = dethroned = None
    if len(names) > 1:
        lattice = weight_lattice(names)
        by_weights = np.mean([_first(mean_with(weights)) for weights in lattice], axis=0)
        move = smallest_move(names, choice.weights, mean_with)
        dethroned = move and (*move[:3], int(ranked[move[3]]))
    if len(questions) > 1:
        left_out = range(len(questions))
        means = [mean_with(choice.weights, leave) for leave in left_out]
        by_datasets = np.mean([_first(mean) for mean in means], axis=0)
    scores = weighted(questions, choice.weights)
    if all(x.shape[1] > 1 and not np.isnan(x).any() for x in scores):
        by_seeds = first_of_resamples(scores)
    return Fragility(spread(by_weights), spread(by_datasets), spread(by_seeds), dethroned)


def _first(mean):
    """Return 1 for the first run, (runs,), shared by equal ones."""
    first = mean > mean.max() - EQUAL
    return first / first.sum()


def weight_lattice(questions):
    """Return weights of two or three questions, spread evenly over all that sum to one."""
    found = []
    for first in range(1, STEPS):
        if len(questions) == 2:
            found.append([first, STEPS - first])
        else:
            found += [[first, second, STEPS - first - second] for second in range(1, STEPS - first)]
    return [dict(zip(questions, (x / STEPS for x in one), strict=True)) for one in found]


def smallest_move(questions, weights, mean_with):
    """Return the smallest weight, moved between two questions, that makes another run first.

    Weights sum to one; the weight is found by bisection.
    """
    total = sum(weights[question] for question in questions)
    now = {question: weights[question] / total for question in questions}
    leader = int(np.argmax(mean_with(now)))
    best = None
    for source in questions:
        for target in questions:
            if source == target:
                continue

            def moved(weight, source=source, target=target):
                changed = now | {
                    source: now[source] - weight,
                    target: now[target] + weight,
                }
                mean = mean_with(changed)
                return leader if mean[leader] > mean.max() - EQUAL else int(np.argmax(mean))

            low, high = 0.0, now[source] * (1 - EQUAL)
            if moved(high) == leader:
                continue
            for _ in range(HALVINGS):
                middle = (low + high) / 2
                low, high = (middle, high) if moved(middle) == leader else (low, middle)
            if best is None or high < best[0] - EQUAL:
                best = (high, source, target, moved(high))
    return best


def first_of_resamples(scores):
    """Return how often each run is first if the seeds of each dataset are drawn anew, (runs,)."""
    state, total = 1, np.zeros(len(scores[0]))
    for _ in range(RESAMPLES):
        mean = np.zeros(len(total))
        for x in scores:
            of_dataset = np.zeros(len(total))
            for _ in range(x.shape[1]):
                state = (1664525 * state + 1013904223) % 2**32
                of_dataset += x[:, state * x.shape[1] // 2**32]
            mean += of_dataset / x.shape[1]
        total += _first(mean)
    return total / RESAMPLES
