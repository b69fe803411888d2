"""Tables of docs/performance.md and docs/large_data.md from docs/benchmarks; `tables.py` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from blocks import table

from mosaicbench import __version__

FOLDER = Path(__file__).parents[1] / "benchmarks"
QUALITY = {  # score of time_to_quality.tsv -> header
    "types": "label transfer",
    "map": "mean average precision",
    "foscttm": "FOSCTTM",
    "r_rna": "r of RNA",
    "r_adt": "r of proteins",
    "r_atac": "r of ATAC",
}
COUNTED = {"totalVI", "MultiVI"}  # packages that model counts: ours does so, too
STEPS = ("prepare", "split", "fit", "score")
EXTRAPOLATED = (10_000_000, 100_000_000)  # cells


def speed() -> str:
    """Return the rates of `make bench`, a row for each that is ours."""
    rows = read(f"{__version__}.tsv")
    references = rows[rows["role"] != "ours"].drop_duplicates("group").set_index("group")
    lines = []
    for row in rows[(rows["role"] == "ours") & rows["ratio"].notna()].itertuples():
        other = references.loc[row.group]
        ours = f"{row.who}: {row.cpu_seconds:.3g}"
        lines.append(
            [row.group, ours, f"{other['who']}: {other['cpu_seconds']:.3g}", f"{row.ratio:.2g}"]
        )
    return table(
        ["work", "ours, CPU seconds", "package or limit, CPU seconds", "rate, ours / its"], lines
    )


def quality() -> str:
    """Return the ranges of ratios, then a row per dataset, package and run of ours, most levels missed first."""
    rows = read("time_to_quality.tsv")
    ours = rows["package"].isin(COUNTED).map({True: "vae_poe, counts", False: "vae_poe"})
    rows = rows[(rows["run"] == ours) | (rows["run"] == "contrastive_vae")]
    found, ratios = [], {}
    for (dataset, package, run), some in rows.groupby(["dataset", "package", "run"]):
        cells, missed = dict.fromkeys(QUALITY, ""), 0
        for score, of_score in some.set_index("level").groupby("score"):
            theirs, own = of_score.loc["package's"], of_score.loc["ours"]
            better = theirs["package_score"] > theirs["run_score"]
            both = own if better == (score != "foscttm") else theirs
            cells[score] = f"{both['ratio']:.1f}".replace("nan", "-")
            ratios.setdefault((run.partition(",")[0], package), []).append(both["ratio"])
            reached, seeds = map(int, theirs["run_reached"].split(" of "))
            if reached < seeds:
                cells[score] += f" ({theirs['run_reached']})"
                missed += 1
        first = some.iloc[0]
        seconds = f"{first['package_full_seconds']:.0f}, {first['run_full_seconds']:.1f}"
        found.append((-missed, [f"`{dataset}`", package, run, seconds, *cells.values()]))
    said = [
        f"- `{run}`, against {package}: {_two_digits(np.nanmin(all_of))} to {_two_digits(np.nanmax(all_of))}"
        for (run, package), all_of in sorted(ratios.items(), reverse=True)
    ]
    lines = [line for _, line in sorted(found, key=lambda one: one[0])]
    ranges = "\n".join(said)
    whole = table(["dataset", "package", "ours", "seconds", *QUALITY.values()], lines)
    return f"{ranges}\n\n{whole}"


def scale() -> str:
    """Return peak memory and CPU seconds of each step by number of cells, from scale.tsv."""
    rows = read("scale.tsv").set_index(["step", "data"])
    names = list(dict.fromkeys(rows.index.get_level_values("data")))
    lines = []
    for step in STEPS:
        cells = [rows.loc[(step, name)] for name in names]
        both = [f"{one['peak_gb']:.1f} GB, {one['cpu_seconds']:,.0f} s" for one in cells]
        lines.append([f"`{step}`", *both])
    headers = [f"{int(name):,} cells" if name.isdecimal() else f"`{name}`" for name in names]
    return table(["step", *headers], lines)


def extrapolated() -> str:
    """Return memory of each step and CPU hours of all, measured and on the line through the two largest sizes."""
    rows = simulated()
    measured = rows.pivot(index="data", columns="step", values="peak_gb")[list(STEPS)]
    measured["hours"] = rows.groupby("data")["cpu_seconds"].sum() / 3600
    lines = [_line(f"{cells:,} (measured)", row) for cells, row in measured.tail(2).iterrows()]
    (few, low), (many, high) = measured.tail(2).iterrows()
    slope = (high - low) / (many - few)
    for cells in EXTRAPOLATED:
        lines.append(_line(f"{cells:,}", high + slope * (cells - many)))
    return table(["cells", *(f"`{step}`" for step in STEPS), "CPU hours"], lines)


def exponents() -> str:
    """Return by which power of the cells memory and CPU seconds grew between the two largest sizes."""
    rows = simulated()
    lines = []
    for step, of_step in rows.sort_values("data").groupby("step"):
        last = np.log(of_step[["data", "peak_gb", "cpu_seconds"]].tail(2))
        grown = last.iloc[1] - last.iloc[0]
        powers = grown[["peak_gb", "cpu_seconds"]] / grown["data"]
        lines.append([f"`{step}`", *powers.map("{:.2f}".format)])
    return table(["step", "memory", "CPU seconds"], lines)


def simulated() -> pd.DataFrame:
    """Return the rows of scale.tsv of simulated cells, with their number as `data`."""
    rows = read("scale.tsv")
    return rows[rows["data"].str.isdecimal()].astype({"data": int})


def gpu() -> str:
    """Return what gpu.tsv has: an epoch of each model and size, then single numbers."""
    rows = read("gpu.tsv")
    lines = []
    for row in rows[rows["seconds"].notna()].itertuples():
        load = [f"{row.percent_of_products:.2g} %", f"{row.percent_of_bytes:.2g} %"]
        load = ["" if "nan" in one else one for one in load]
        what = [row.model, f"{row.cells:,.0f}", f"{row.minibatch:.0f}", row.data]
        lines.append([*what, f"{row.seconds:.3g}", f"{row.gb:.2f}", *load])
    header = [
        "epoch of",
        "cells",
        "minibatch",
        "data",
        "seconds",
        "GB",
        "of its products",
        "of its bytes",
    ]
    single = [[row.model, f"{row.value:,g}"] for row in rows[rows["value"].notna()].itertuples()]
    return f"{table(header, lines)}\n\n{table(['measured once', 'value'], single)}"


def read(name: str) -> pd.DataFrame:
    """Return a table of docs/benchmarks."""
    return pd.read_csv(FOLDER / name, sep="\t", dtype={"data": str})


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"


def _line(name: str, row: pd.Series) -> list[str]:
    return [name, *(f"{value:,.2g}" if value < 100 else f"{value:,.0f}" for value in row)]
