"""Fit all seeds of some runs of a view in one job: for fits that are over before a job of their own would have started.

What their methods need is imported once; each fit is a process forked from there, one after the other. It ends with the same
files as in a job of its own (see :mod:`.fit`), whatever befalls the others. Its record has its share of the seconds that
importing took.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path

from mosaicbench.commands import attempt as attempts
from mosaicbench.commands import fit


def main(
    *,
    runs: Sequence[dict],
    seeds: Sequence[int],
    train: Sequence[Path],
    query: Sequence[Path],
    solution: Sequence[Path],
    output: Sequence[Path],
    attempt: int,
    granted_mb: float,
    granted_minutes: float,
    max_minutes: float,
    max_memory_mb: float,
) -> None:
    """Fit as ``commands.attempt`` does, every seed of every run.

    Parameters
    ----------
    runs
        identity (dataset, scenario, run, method), method (a module's dotted name) and hyperparameters of each.
    seeds, train, query, solution
        Of each seed; the view's files. Only positive controls see the solution; without them, none is needed.
    output
        The runs' folders, all seeds of the first run first.
    max_minutes
        Of each fit; all together have that for each seed.
    max_memory_mb
        Of each fit.

    Raises
    ------
    UserError
        As ``commands.attempt`` does.
    """
    views = zip(seeds, train, query, solution or [None] * len(seeds), strict=True)
    fits = [
        {**of_run, "identity": of_run["identity"] | {"seed": seed}, "train": x, "query": y, "solution": truth, "output": folder}
        for (of_run, (seed, x, y, truth)), folder in zip(product(runs, views), output, strict=True)
    ]

    def fitted(memory_mb: float, minutes: float) -> None:
        one_after_the_other(fits, minutes=minutes, max_minutes=max_minutes, max_memory_mb=memory_mb)

    granted = {"attempt": attempt, "granted_mb": granted_mb, "granted_minutes": granted_minutes}
    limits = {"max_memory_mb": max_memory_mb, "max_minutes": max_minutes * len(seeds)}
    attempts.within(fitted, output, **granted, **limits)


def one_after_the_other(fits: Sequence[dict], *, minutes: float, max_minutes: float, max_memory_mb: float) -> None:
    """Call ``commands.fit.main`` with each of `fits`, which have `minutes` in all, none more than `max_minutes`."""
    wall, cpu = time.monotonic(), time.process_time()
    with suppress(Exception):  # then each fit says so itself
        for method in dict.fromkeys(of_fit["method"] for of_fit in fits):
            fit.import_for(method)
    imported = ((time.monotonic() - wall) / len(fits), (time.process_time() - cpu) / len(fits))
    end = wall + 60 * minutes
    for of_fit in fits:
        left = max(0.0, (end - time.monotonic()) / 60)
        fit.main(**of_fit, max_minutes=min(max_minutes, left), max_memory_mb=max_memory_mb, imported=imported)
