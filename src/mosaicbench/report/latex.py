"""Tables for a paper: standings as LaTeX, which needs the packages booktabs and graphicx."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd

from mosaicbench.report.tables.rankings import OVERALL
from mosaicbench.report.tables.text import CROSS, FEWER, NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import ALL, NO_INTERVAL

SPECIAL = {letter: f"\\{letter}" for letter in "&%$#_{}"}
SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"}
SPECIAL |= {"[": "{[}", "]": "{]}", "–": "--", "—": "---", "…": r"\ldots{}", "†": r"\dag{}"}
SPECIAL |= {"✗": r"$\times$", "×": r"$\times$", "±": r"$\pm$", "−": "$-$", "→": r"$\rightarrow$"}
SPECIAL |= {"≥": r"$\geq$", "≤": r"$\leq$", "α": r"$\alpha$", "β": r"$\beta$", "λ": r"$\lambda$"}
ARROWS = {"lower": r" $\downarrow$", "higher": r" $\uparrow$"}
NO_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{\begin{tabular}"
WIDEST = 6  # scores in one table


def escaped(text: str) -> str:
    """Return a text in one line in which nothing is a command; a letter that LaTeX may lack becomes a question mark."""
    known = " ".join(text.split()).translate(str.maketrans(SPECIAL))
    return known.encode("latin-1", "replace").decode("latin-1")


def latex_tables(rankings: pd.DataFrame, theme: Theme) -> str:
    """Return one table per group of scores, and per so many of them as fit a page, of one split or scenario.

    A cell has the mean and its interval, bold for the best and for all that cannot be told from it.

    Parameters
    ----------
    standings
        The rows of one dataset and scenario of ``contract.STANDING_COLUMNS``.
    theme
        Labels and order.
    """
    runs = theme.order("runs", rankings["run"].unique())
    shown = rankings.pivot(index="run", columns="metric", values="shown").loc[runs]
    bold = rankings.pivot(index="run", columns="metric", values="level").loc[runs]
    tables = []
    for group, of_group in rankings.groupby("group", sort=False):
        metrics = list(of_group["metric"].unique())
        for start in range(0, len(metrics), WIDEST):
            chosen = metrics[start : start + WIDEST]
            weight = np.where(bold[chosen], "textbf:--rwrap;", "")
            style = shown[chosen].rename_axis(index=None, columns=None).style
            style = style.apply(lambda _, weight=weight: weight, axis=None)
            style = style.format(escaped).format_index(
                lambda run: escaped(theme.label("runs", run)), axis="index"
            )
            style = style.format_index(
                lambda metric, group=group: _heading(metric, group, theme), axis="columns"
            )
            text = style.to_latex(
                column_format="l" + "c" * len(chosen),
                hrules=True,
                position="htbp",
                position_float="centering",
                caption=_caption(of_group, group, theme),
            )
            text = text.replace(r"\begin{tabular}", NO_WIDER)
            tables.append(text.replace(r"\end{tabular}", r"\end{tabular}}"))
    return "\n".join(["% needs \\usepackage{booktabs,graphicx}", *tables])


def _heading(metric: str, group: str, theme: Theme) -> str:
    is_overall = group == OVERALL
    label = theme.label("groups", metric) if is_overall else theme.metric_of(group, metric)
    lines = r"\\".join(map(escaped, textwrap.wrap(label, 15)))
    better = "higher" if is_overall else theme.run_metadata.better(metric)
    return rf"\shortstack{{{lines}{ARROWS.get(better, '')}}}"


def _caption(rankings: pd.DataFrame, group: str, theme: Theme) -> str:
    dataset, scenario = rankings[["dataset", "scenario"]].iloc[0]
    over_all = dataset == ALL
    where = theme.split(dataset, scenario)
    if over_all:
        where = f"all datasets, {theme.label('scenarios', scenario)}"
    what, told_by = theme.label("groups", group), "paired tests on new cells, 5 %"
    if group == OVERALL:
        what, told_by = "Scores from 0 (chance) to 1 (oracle)", "intervals that meet"
    elif over_all:
        told_by = "mean ranks within the critical difference"
    over = "seeds and datasets" if over_all else "seeds"
    text = f"{what}: {where}; mean over {int(rankings['seeds'].max())} {over}"
    kinds = sorted(set(rankings["interval"].dropna()) - {NO_INTERVAL})
    text += f", with 95 % intervals ({'; '.join(kinds)})" if kinds else ""
    text += (
        f". Bold: best of models and baselines, and all that cannot be told from it ({told_by})."
    )
    return escaped(
        f"{text} {NOT_GIVEN}: not applicable or not given; {CROSS}: failed; {FEWER}: of fewer directions or metrics."
    )
