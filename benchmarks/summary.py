"""Write the results of `make bench` to ``docs/benchmarks/VERSION.tsv`` and ``.svg``, as ratios within groups.

    python benchmarks/summary.py results/bench.json

A group does the same work with this package's code and with a peer's or at the machine's limit, in one process on the same
data. CPU seconds are the minimum of the rounds; the rate is work (cells, features, jobs) per CPU second; the ratio is the rate
divided by that of the peer or limit, so above 1 is faster.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench import __version__
from mosaicbench.fitting.record import git_commit

FOLDER = Path(__file__).parents[1] / "docs/benchmarks"
COLOURS = {"peer": "#0072b2", "limit": "#999999"}


def main(measured: Path) -> None:
    """Write the table and the picture."""
    found = json.loads(measured.read_text())
    table, machine = tabulated(found["benchmarks"]), found["machine_info"]
    table["machine"] = machine["cpu"].get("brand_raw", machine["machine"])
    table["commit"] = git_commit()
    path = FOLDER / __version__
    table.to_csv(f"{path}.tsv", sep="\t", index=False, na_rep="NA", float_format="%.4g")
    drawn(table).savefig(f"{path}.svg", metadata={"Date": None})
    print(table.drop(columns=["machine", "commit"]).to_string(index=False))


def tabulated(benchmarks: list[dict]) -> pd.DataFrame:
    """Return a row per measurement: group, who, role, threads, parameters, cpu_seconds, rate, unit, against, ratio, goal."""
    rows = []
    for one in benchmarks:
        info, seconds = one["extra_info"], one["stats"]["min"]
        row = {"group": one["group"], "who": info.get("who", "mosaicbench"), "role": info["role"]}
        row |= {"threads": info["threads"], "parameters": info.get("parameters")}
        row |= {"cpu_seconds": seconds, "rate": info["size"] / seconds}
        rows.append(row | {"unit": f"{info['unit']} / CPU s", "goal": info["goal"]})
    table = pd.DataFrame(rows)
    references = table[table["role"] != "ours"].groupby("group").first()
    table["against"] = table["group"].map(references["who"])
    table["ratio"] = table["rate"] / table["group"].map(references["rate"])
    return table[[*table.columns.drop("goal"), "goal"]]


def drawn(table: pd.DataFrame):
    """Return a figure of the ratios of what is ours, a bar each, on a logarithmic axis."""
    from matplotlib.figure import Figure

    ours = table[(table["role"] == "ours") & table["ratio"].notna()].iloc[::-1]
    role = table[table["role"] != "ours"].groupby("group")["role"].first()
    figure = Figure(figsize=(11, 0.42 * len(ours) + 1), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{row.group}\n{row.who} / {row.against}" for row in ours.itertuples()]
    axes.barh(
        names, ours["ratio"] - 1, left=1, color=[COLOURS[role[group]] for group in ours["group"]]
    )
    for place, row in enumerate(ours.itertuples()):
        axes.annotate(
            f"  {row.ratio:.2g}",
            (np.nanmax([row.ratio, row.goal, 1]), place),
            va="center",
            fontsize=7,
        )
        if pd.notna(row.goal):
            axes.plot([row.goal], [place], marker="|", color="black", markersize=10)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("rate over the package's (blue) or the limit's (grey); a tick is a goal")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main(Path(sys.argv[1]))
