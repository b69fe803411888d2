"""How expenses grow with the number of cells, over datasets that differ in nothing else: exponents of power laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

ALL_PHASES = "all"
MEASURES = ("seconds", "cpu_seconds", "host_mb", "device_mb")
MEMORY = ("host_mb", "device_mb")
BEFORE_DATA = "import"  # the phase whose memory no data take
FIT = ["dataset", "scenario", "run", "seed"]
COLUMNS = [
    "scenario",
    "run",
    "method",
    "phase",
    "measure",
    "datasets",
    "least_cells",
    "most_cells",
    "at_least",
    "at_most",
]
COLUMNS += ["exponent", "last_exponent"]


def exponents(
    phases: pd.DataFrame, jobs: pd.DataFrame, sizes: Sequence[Mapping[str, int]]
) -> pd.DataFrame:
    """Return how expenses grow, one row per scenario, run, phase and measure.

    Parameters
    ----------
    phases
        Columns ``tables.contract.PHASE_COLUMNS``; seeds are averaged.
    jobs
        Jobs that are no fits, columns ``resources.JOB_COLUMNS``: each counts as a phase called after its rule.
    sizes
        Groups of datasets, dataset -> number of cells.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. The exponent is the slope of log(expense) over log(cells) by least squares, `last_exponent` that
        between the two largest datasets, where constant expenses weigh least; `at_least` and `at_most` are the expenses of the
        smallest and largest. The phase "all" has the sum of a run's seconds and its most memory. A run's memory is what exceeds
        that of its imports; that of other jobs is all they had, so that only `last_exponent` tells much of it.
        NA where fewer than two datasets have an expense above 0.
    """
    other_jobs = jobs.rename(columns={"rule": "phase"}).assign(run="-", method="-", seed=0)
    parts = [_of_group(phases, other_jobs, dict(group)) for group in sizes]
    return (
        pd.concat(parts, ignore_index=True)[COLUMNS].round(3)
        if parts
        else pd.DataFrame(columns=COLUMNS)
    )


def _of_group(
    phases: pd.DataFrame, other_jobs: pd.DataFrame, cells: dict[str, int]
) -> pd.DataFrame:
    """Return the exponents over one group of datasets, dataset -> number of cells."""
    keys = ["scenario", "run", "method", "phase"]
    of_phases = phases[phases["dataset"].isin(cells)].copy()
    imports = of_phases[of_phases["phase"] == BEFORE_DATA].set_index(FIT)["host_mb"]
    fits = pd.MultiIndex.from_frame(of_phases[FIT])
    of_phases["host_mb"] = of_phases["host_mb"].to_numpy() - imports.reindex(fits).to_numpy()
    fit = ["dataset", "seed", *keys[:-1]]
    how = {measure: "max" if measure in MEMORY else "sum" for measure in MEASURES}
    of_fits = of_phases.groupby(fit, sort=False).agg(how).reset_index().assign(phase=ALL_PHASES)
    of_jobs = other_jobs[other_jobs["dataset"].isin(cells)]
    long = pd.concat([of_phases, of_fits, of_jobs]).melt(
        [*fit, "phase"], list(MEASURES), "measure", "expense"
    )
    long = long.astype({"expense": float})
    means = (
        long.groupby(["dataset", *keys, "measure"], sort=False)["expense"]
        .mean()
        .dropna()
        .reset_index()
    )
    means = means.assign(cells=means["dataset"].map(cells)).sort_values("cells", kind="stable")
    rows = []
    for names, by_size in means.groupby([*keys, "measure"], sort=False):
        positive = by_size[by_size["expense"] > 0]
        x, y = (
            np.log(positive["cells"].to_numpy(dtype=float)),
            np.log(positive["expense"].to_numpy()),
        )
        slope = np.polyfit(x, y, 1)[0] if len(x) > 1 else np.nan
        last = (y[-1] - y[-2]) / (x[-1] - x[-2]) if len(x) > 1 else np.nan
        ends = [*by_size["cells"].iloc[[0, -1]], *by_size["expense"].iloc[[0, -1]]]
        rows.append([*names, len(by_size), *ends, slope, last])
    return pd.DataFrame(rows, columns=COLUMNS)
