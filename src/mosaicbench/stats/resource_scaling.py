"""How resources grow with the number of cells: exponents of power laws over datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mosaicbench.stats.common import joined

ALL_PHASES = "all"
HOW = {"seconds": "sum", "cpu_seconds": "sum", "host_mb": "max", "device_mb": "max"}
BEFORE_DATA = "import"  # the phase before any data are in memory
KEYS = ["scenario", "run", "method", "phase"]
FIT = ["dataset", "seed", "scenario", "run", "method"]
COLUMNS = [*KEYS, "measure", "datasets", "least_cells", "most_cells", "at_least", "at_most"]
COLUMNS += ["exponent", "last_exponent"]


def exponents(
    phases: pd.DataFrame, jobs: pd.DataFrame, sizes: Sequence[Mapping[str, int]]
) -> pd.DataFrame:
    """Return how resources grow, one row per scenario, run, phase and measure.

    `sizes` are groups of datasets, dataset -> number of cells. The exponent is the slope of
    log(resource) over log(cells) by least squares, `last_exponent` that between the two largest
    datasets, where constants weigh least. The phase "all" has the sum of a run's seconds and its
    most memory, each of `jobs` is a phase named by its rule. A run's memory is beyond that of its
    imports.
    """
    of_jobs = jobs.rename(columns={"rule": "phase"}).assign(run="-", method="-", seed=0)
    return joined([_of_group(phases, of_jobs, group) for group in sizes], COLUMNS).round(3)


def _of_group(phases: pd.DataFrame, jobs: pd.DataFrame, cells: Mapping[str, int]) -> pd.DataFrame:
    of_phases = phases[phases["dataset"].isin(cells)].copy()
    imports = of_phases[of_phases["phase"] == BEFORE_DATA].set_index(FIT)["host_mb"]
    imports = imports.reindex(pd.MultiIndex.from_frame(of_phases[FIT]))
    of_phases["host_mb"] -= imports.to_numpy()
    of_fits = of_phases.groupby(FIT, sort=False).agg(HOW).reset_index().assign(phase=ALL_PHASES)
    every = pd.concat([of_phases, of_fits, jobs[jobs["dataset"].isin(cells)]])
    long = every.melt([*FIT, "phase"], list(HOW), "measure", "value").astype({"value": float})
    means = long.groupby(["dataset", *KEYS, "measure"], sort=False)["value"].mean()
    means = means.dropna().reset_index()
    means = means.assign(cells=means["dataset"].map(cells)).sort_values("cells", kind="stable")
    rows = []
    for names, by_size in means.groupby([*KEYS, "measure"], sort=False):
        positive = by_size[by_size["value"] > 0]
        x, y = np.log(positive[["cells", "value"]].to_numpy(dtype=float)).T
        slope = last = np.nan
        if len(x) > 1:
            slope = np.polyfit(x, y, 1)[0]
            last = (y[-1] - y[-2]) / (x[-1] - x[-2])
        ends = [*by_size["cells"].iloc[[0, -1]], *by_size["value"].iloc[[0, -1]]]
        rows.append([*names, len(by_size), *ends, slope, last])
    return pd.DataFrame(rows, columns=COLUMNS)
