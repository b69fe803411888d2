"""What one job does together, because to start its process takes longer than the work: the scoring of several runs."""

from __future__ import annotations

import math

from mosaicbench.layout import CONTROLS

MOST_RUNS = 10  # of one job; on a cluster, more would wait in line


def scored(controls: list[str], applicable: list[tuple[str, str, str]]) -> dict[str, list[str]]:
    """Return which runs one job per view scores, under the name of that job's files.

    Parameters
    ----------
    controls
        Those that exist in every view: they are the first part.
    applicable
        (dataset, scenario, run) of every run that exists. Further parts are of runs that exist in the same views.

    Returns
    -------
    dict
        Part ("_controls", "_1", "_2", ...) -> its runs. Each run is in one part.
    """
    views: dict[str, list[tuple[str, str]]] = {}
    for dataset, scenario, run in applicable:
        views.setdefault(run, []).append((dataset, scenario))
    alike: dict[tuple, list[str]] = {}
    for run, where in views.items():
        if run not in controls:
            alike.setdefault(tuple(where), []).append(run)
    parts = []
    for runs in alike.values():
        size = math.ceil(len(runs) / math.ceil(len(runs) / MOST_RUNS))
        parts += [runs[start : start + size] for start in range(0, len(runs), size)]
    return ({CONTROLS: controls} if controls else {}) | {f"_{number}": runs for number, runs in enumerate(parts, start=1)}
