"""Figure and finding of docs/results/budgets.md, from docs/results/budgets.tsv.

python docs/site/budgets.py
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pandas as pd
from blocks import replaced, table
from family import SCORES
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mosaicbench.catalog import catalog
from mosaicbench.report.theme import QUIET, style

REPOSITORY = Path(__file__).parents[2]
TABLE = REPOSITORY / "docs/results/budgets.tsv"
PAGE = REPOSITORY / "docs/results/budgets.md"
FIGURE = REPOSITORY / "docs/results/pictures/budgets.png"
# Epochs of the authors' code, on their data; scMODAL's 10,000 steps are about 3,300 epochs here.
AUTHORS = {"vae_poe": 1000, "vae_mlp": 1000, "mmvaepp": 100, "mmaavi": 300, "scmodal": 3300}
AUTHORS |= dict.fromkeys(("dmmvae_base", "dmmvae_experts", "dmmvae_encadv", "dmmvae_outadv"), 10)
DATA = ["data", "scenario"]
FEWEST = 3  # methods that a rank correlation takes
EPOCHS = (3, 10, 30, 100, 300, 1000)
COLORS = ("#3b6ea5", "#b3541e", "#4a8f5c", "#8a5aa8")


def main() -> None:
    """Write the figure, the finding and the table of the page."""
    rows = pd.read_csv(TABLE, sep="\t")
    rows = rows[rows["against"].isna() & rows["metric"].isin(SCORES)]
    rows = rows.assign(data=rows["data"].str.split(",").str[0])  # the scenario has its own column
    found = levels(rows)
    with style():
        drawn(rows, found).savefig(FIGURE, dpi=110)
    text = PAGE.read_text(encoding="utf-8")
    blocks = {"finding": finding(found, rows), "ranks": ranked(rows), "levels": tabled(found)}
    for name, block in blocks.items():
        text = replaced(text, name, f"\n{block}\n")
    PAGE.write_text(text, encoding="utf-8")


def levels(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per dataset, scenario, method and score: where it levels off, and what the default gives up.

    Returns
    -------
    pandas.DataFrame
        `best`, the mean of the best budget; `epochs`, the smallest budget whose mean is within the 95 % interval of
        the best one; `default` and `epochs_default`, mean and kept epoch of the default rule; `behind`, the best less
        the default, more is worse; `near`, whether the default is within the interval of the best.
    """
    found = []
    for (*place, metric, method), part in rows.groupby([*DATA, "metric", "method"], sort=False):
        swept = part.dropna(subset="x").sort_values("x")
        own = part[part["x"].isna() & (part["run"] == method)]
        if swept.empty or own.empty:
            continue
        sign = -1 if catalog.card("metrics", metric)["better"] == "lower" else 1
        best = swept.loc[(sign * swept["mean"]).idxmax()]
        half = (best["high"] - best["low"]) / 2
        near = swept[sign * (best["mean"] - swept["mean"]) <= half]
        behind = sign * (best["mean"] - own["mean"].iloc[0])
        found.append(
            [*place, metric, method, best["mean"], near["x"].iloc[0]]
            + [own["mean"].iloc[0], own["epoch_kept"].iloc[0], behind, behind <= half]
        )
    names = ["metric", "method", "best", "epochs", "default", "epochs_default", "behind", "near"]
    return pd.DataFrame(found, columns=[*DATA, *names])


def drawn(rows: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """Return a row of panels per method, a column per score, a line per dataset; `found` as of :func:`levels`."""
    methods = list(rows.dropna(subset="x")["method"].unique())
    places = rows[DATA].drop_duplicates().apply(tuple, axis=1).tolist()
    colors = {name: COLORS[at] for at, name in enumerate(dict.fromkeys(data for data, _ in places))}
    figure = Figure(figsize=(9.6, 0.6 + 1.25 * len(methods)), layout="constrained")
    panels = figure.subplots(len(methods), len(SCORES), sharex=True, squeeze=False)
    for line, method in zip(panels, methods, strict=True):
        for axes, metric in zip(line, SCORES, strict=True):
            of_panel = rows[(rows["method"] == method) & (rows["metric"] == metric)]
            for (data, _), part in of_panel.groupby(DATA, sort=False):
                swept = part.dropna(subset="x").sort_values("x")
                axes.plot(swept["x"], swept["mean"], color=colors[data], lw=1.2)
                axes.fill_between(
                    swept["x"], swept["low"], swept["high"], color=colors[data], alpha=0.15, lw=0
                )
                own = part[part["x"].isna() & (part["run"] == method)]
                axes.plot(own["epoch_kept"], own["mean"], "D", color=colors[data], ms=4)
                of_line = (found[["data", "metric", "method"]] == [data, metric, method]).all(
                    axis=1
                )
                level = swept[swept["x"].isin(found.loc[of_line, "epochs"])]
                axes.plot(level["x"], level["mean"], "o", color=colors[data], mfc="white", ms=6)
            if method in AUTHORS:
                axes.axvline(AUTHORS[method], color=QUIET, ls=":", lw=1.2)
            axes.set_xscale("log")
            axes.set_xticks(EPOCHS, [f"{epochs:,}" for epochs in EPOCHS])
            axes.minorticks_off()
            axes.grid(axis="both")
        line[0].set_ylabel(textwrap.fill(catalog.card("methods", method)["label"], 14), fontsize=8)
    for axes, title in zip(panels[0], SCORES.values(), strict=True):
        axes.set_title(title)
    handles = [Line2D([], [], color=color) for color in colors.values()]
    handles.append(Line2D([], [], ls="", marker="o", ms=6, mfc="white", color=QUIET))
    handles.append(Line2D([], [], ls="", marker="D", ms=4, color=QUIET))
    handles.append(Line2D([], [], ls=":", color=QUIET))
    for axes in panels[-1]:
        axes.set_xlabel("epochs")
    names = [*colors, "levels off", "default rule: the kept epoch", "epochs of the authors' code"]
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def finding(found: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Return a sentence per score, from the rows of :func:`levels`."""
    lines = []
    for metric, title in SCORES.items():
        part = found[found["metric"] == metric]
        far = part[~part["near"]].sort_values("behind", ascending=False)
        worst = "; ".join(
            f"`{row['method']}` on {row['data']} by {row['behind']:.3f}"
            for _, row in far.head(3).iterrows()
        )
        lines.append(
            f"- **{title}**: the default is within the interval of the best budget in {part['near'].sum()} of {len(part)} pairs"
            f" of method and dataset{'; furthest behind it: ' + worst if len(far) else ''}. Half of them level off by"
            f" {part['epochs'].median():.0f} epochs; the default keeps epoch {part['epochs_default'].median():.0f} in the median."
        )
    commits = ", ".join(f"`{commit}`" for commit in sorted(set(rows["commit"])))
    return "\n".join([*lines, f"- Fitted by {commits}."])


def ranked(rows: pd.DataFrame) -> str:
    """Return the table of how far ranks with a budget are those with the default rule, of all methods with both."""
    swept, own = rows.dropna(subset="x"), rows[rows["x"].isna() & (rows["run"] == rows["method"])]
    lines = []
    for epochs in sorted(set(swept["x"])):
        line = [f"{epochs:,.0f}"]
        for metric in SCORES:
            taus, same = [], []
            for place, part in swept[(swept["x"] == epochs) & (swept["metric"] == metric)].groupby(
                DATA
            ):
                default = own[(own[[*DATA, "metric"]] == [*place, metric]).all(axis=1)]
                pair = part.set_index("method")["mean"], default.set_index("method")["mean"]
                pair = pd.concat(pair, axis=1, join="inner", keys=["swept", "default"])
                if len(pair) < FEWEST:
                    continue
                taus.append(pair["swept"].corr(pair["default"], method="kendall"))
                lower = catalog.card("metrics", metric)["better"] == "lower"
                first = pair.idxmin() if lower else pair.idxmax()
                same.append(first["swept"] == first["default"])
            line.append(f"{sum(taus) / len(taus):.2f}; {sum(same)} of {len(same)}" if taus else "")
        lines.append(line)
    return table(["epochs", *SCORES.values()], [line for line in lines if any(line[1:])])


def tabled(found: pd.DataFrame) -> str:
    """Return the table of the page: FOSCTTM of each method and dataset."""
    header = ["method", "dataset, scenario", "levels off at", "best", "default", "kept epoch"]
    lines = [
        [
            f"`{row['method']}`",
            f"{row['data']}, {row['scenario']}",
            f"{row['epochs']:.0f}",
            f"{row['best']:.3f}",
            f"{row['default']:.3f}",
            f"{row['epochs_default']:.0f}",
        ]
        for _, row in found[found["metric"] == "foscttm"].iterrows()
    ]
    return table(header, lines)


if __name__ == "__main__":
    main()
