"""What one job does together, because to start its process takes as long as the work: fits, scores, layouts, figures."""

from __future__ import annotations

import math
from typing import NamedTuple

from mosaicbench.catalog import catalog
from mosaicbench.workflow.layout import BASELINES, CONTROLS, MODELS, PROJECTIONS

MOST_RUNS = 10  # of one job; on a cluster, more would wait in line
MOST_RUNS_OF_FEW_JOBS = 20
MOST_MODELS = 2  # of one job; of more, a machine of many cores would wait for the last
MOST_SPLITS = 6  # whose cells one job lays out; on many cores, more would wait
MOST_FIGURES = 4  # so that several cores have some to draw


class Scored(NamedTuple):
    """Runs that one job per split scores, and the scenarios of these splits."""

    runs: list[str]
    scenarios: list[str]


def of_kind(kind: str, runs: dict) -> list[str]:
    """Return the runs of a kind, of name -> run of the config, that one job may fit: neither tuned nor wrapped."""
    cards = {
        name: catalog.card("methods", run.method)
        for name, run in runs.items()
        if not run.tuned_from
    }
    return [
        name
        for name, card in cards.items()
        if card["kind"] == kind and not {"wraps", "external"} & card.keys()
    ]


def fitted(
    controls: list[str],
    baselines: list[str],
    models: list[str],
    applicable: list[tuple[str, str, str]],
) -> dict[str, list[str]]:
    """Return which runs one job per split fits, all seeds of each, under the name of that job's files.

    Parameters
    ----------
    controls
        Those that exist in every split.
    baselines
        Those that are fitted together where they exist in the same splits. One that has no company has a job of its own.
    models
        As baselines, but few to a job, and one that has no company has one part of its own, with all seeds.
    applicable
        (dataset, scenario, run) of every run that exists.

    Returns
    -------
    dict
        Part ("_controls", "_baselines_1", "_baselines_2", ..., "_models_1", ...) -> its runs. Each run is in one part at most.
    """
    parts = {
        BASELINES: [runs for runs in _in_same_splits(baselines, applicable) if len(runs) > 1],
        MODELS: [
            part
            for runs in _in_same_splits(models, applicable)
            for part in _shared_out(runs, MOST_MODELS)
        ],
    }
    numbered = {
        f"{kind}_{number}": runs
        for kind, these in parts.items()
        for number, runs in enumerate(these, start=1)
    }
    return ({CONTROLS: controls} if controls else {}) | numbered


def scored(controls: list[str], applicable: list[tuple[str, str, str]]) -> dict[str, Scored]:
    """Return which runs one job per split scores, under the name of that job's files.

    Parameters
    ----------
    controls
        Those that exist in every split: they are the first part.
    applicable
        (dataset, scenario, run) of every run that exists. Further parts are of runs that exist in the same splits.

    Returns
    -------
    dict
        Part ("_controls", "_1", "_2", ...) -> its runs, with every scenario. Each run is in one part.
    """
    scenarios = list(dict.fromkeys(scenario for _, scenario, _ in applicable))
    others = list(dict.fromkeys(run for _, _, run in applicable if run not in controls))
    parts = [
        part
        for runs in _in_same_splits(others, applicable)
        for part in _shared_out(runs, MOST_RUNS)
    ]
    named = ({CONTROLS: controls} if controls else {}) | {
        f"_{number}": runs for number, runs in enumerate(parts, start=1)
    }
    return {part: Scored(runs, scenarios) for part, runs in named.items()}


def scored_by_scenario(applicable: list[tuple[str, str, str]]) -> dict[str, Scored]:
    """Return the same with controls among the other runs: part ("_1", "_2", ...) -> runs of the same splits of one scenario.

    A run that exists in several scenarios is in a part of each: in a split, the scenario says which of them scores it.
    """
    parts = []
    for scenario in dict.fromkeys(scenario for _, scenario, _ in applicable):
        here = [place for place in applicable if place[1] == scenario]
        alike = _in_same_splits(list(dict.fromkeys(run for _, _, run in here)), here)
        parts += [
            Scored(part, [scenario])
            for runs in alike
            for part in _shared_out(runs, MOST_RUNS_OF_FEW_JOBS)
        ]
    return {f"_{number}": part for number, part in enumerate(parts, start=1)}


def laid_out(splits: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return of which splits, (dataset, scenario), one job lays out the cells."""
    return _shared_out(splits, MOST_SPLITS)


def drawn(figures: list[str]) -> list[list[str]]:
    """Return which figures one job draws: those that show cells, which wait until these are laid out, or those that do not."""
    showing = [
        figure
        for figure in figures
        if set(PROJECTIONS) & catalog.parameters("figures", figure).keys()
    ]
    others = [figure for figure in figures if figure not in showing]
    return [*_shared_out(others, MOST_FIGURES), *_shared_out(showing, MOST_FIGURES)]


def _in_same_splits(runs: list[str], applicable: list[tuple[str, str, str]]) -> list[list[str]]:
    """Return the runs that exist in a split, those that exist in the same splits side by side."""
    splits: dict[str, list[tuple[str, str]]] = {}
    for dataset, scenario, run in applicable:
        splits.setdefault(run, []).append((dataset, scenario))
    alike: dict[tuple, list[str]] = {}
    for run in runs:
        if run in splits:
            alike.setdefault(tuple(splits[run]), []).append(run)
    return list(alike.values())


def _shared_out(names: list, most: int) -> list[list]:
    """Return what is named in order, in as few parts as there can be of `most` or less, and these as even as can be."""
    if not names:
        return []
    size = math.ceil(len(names) / math.ceil(len(names) / most))
    return [names[start : start + size] for start in range(0, len(names), size)]
