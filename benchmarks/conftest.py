"""What the benchmarks share: a clock that busy neighbours disturb least, generated cells, and what a number is held against."""

from __future__ import annotations

import os
import resource

import numpy as np
import pytest

THREADS = os.environ["OMP_NUM_THREADS"]  # set by `make bench`, before numpy and torch are imported
ROLES = ("ours", "peer", "limit")


def cpu_seconds() -> float:
    """Return CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@pytest.fixture
def measure(benchmark):
    """Return a function that times a call and says what it is: ``measure(function, role=…, unit=…, size=…, goal=…)``."""
    benchmark._timer = cpu_seconds

    def measured(
        function,
        *,
        role: str,
        size: int,
        unit: str,
        goal: float | None = None,
        rounds: int = 3,
        **what,
    ):
        assert role in ROLES
        benchmark.extra_info.update(
            {"role": role, "size": size, "unit": unit, "goal": goal, "threads": THREADS} | what
        )
        return benchmark.pedantic(function, rounds=rounds, iterations=1, warmup_rounds=1)

    return measured


@pytest.fixture(scope="session")
def dataset():
    """5,000 simulated cells: 3,000 genes, 10,000 peaks, 100 proteins."""
    from mosaicbench.datasets import simulated

    return simulated.load(None, cells=5000, n_rna=3000, n_atac=10000, n_adt=100)


@pytest.fixture(scope="session")
def latents():
    """Two latents of 10,000 cells, 32 dimensions, of which each cell's own are near each other; and 12 types."""
    random = np.random.default_rng(0)
    first = random.standard_normal((10_000, 32))
    return (
        first,
        first + 0.5 * random.standard_normal(first.shape),
        random.integers(12, size=10_000).astype(str).astype(object),
    )
