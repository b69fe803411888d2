"""Rankings as LaTeX tables for a paper; they need the packages booktabs and graphicx."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd

from mosaicbench.report.tables.rankings import OVERALL
from mosaicbench.report.tables.text import CROSS, FEWER, NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import ALL, NO_INTERVAL

SPECIAL = str.maketrans(
    {letter: f"\\{letter}" for letter in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"}
    | {"[": "{[}", "]": "{]}", "–": "--", "—": "---", "…": r"\ldots{}", "†": r"\dag{}"}
    | {"✗": r"$\times$", "×": r"$\times$", "±": r"$\pm$", "−": "$-$", "→": r"$\rightarrow$"}
    | {"≥": r"$\geq$", "≤": r"$\leq$", "α": r"$\alpha$", "β": r"$\beta$", "λ": r"$\lambda$"}
)
ARROWS = {"lower": r" $\downarrow$", "higher": r" $\uparrow$"}
NO_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{\begin{tabular}"
WIDEST = 6  # scores in one table


def escaped(text: str) -> str:
    """Return a text in one line without commands; a letter that LaTeX may lack becomes "?"."""
    known = " ".join(text.split()).translate(SPECIAL)
    return known.encode("latin-1", "replace").decode("latin-1")


def latex_tables(rankings: pd.DataFrame, theme: Theme) -> str:
    """Return the tables of one split or scenario, one per group of at most :data:`WIDEST` scores.

    A cell has the mean and its interval, bold for the best run, underlined for those that tie with it.
    `rankings` are the rows of one dataset and scenario, columns ``contract.RANKING_COLUMNS``.
    """
    tables = ["% needs \\usepackage{booktabs,graphicx}"]
    for group, of_group in rankings.groupby("group", sort=False):
        metrics = list(of_group["metric"].unique())
        for start in range(0, len(metrics), WIDEST):
            tables.append(_table(of_group, group, metrics[start : start + WIDEST], theme))
    return "\n".join(tables)


def _table(rankings: pd.DataFrame, group: str, metrics: list[str], theme: Theme) -> str:
    by_run = rankings.pivot(index="run", columns="metric", values=["shown", "best", "level"])
    by_run = by_run.loc[theme.order("runs", by_run.index)]
    marks = [by_run[mark][metrics].astype(bool) for mark in ("best", "level")]
    weights = np.select(marks, ["textbf:--rwrap;", "underline:--rwrap;"], "")
    shown = by_run["shown"][metrics].rename_axis(index=None, columns=None)
    style = shown.style.apply(lambda _: weights, axis=None).format(escaped)
    style = style.format_index(lambda run: escaped(theme.label("runs", run)), axis="index")
    style = style.format_index(lambda metric: _heading(metric, group, theme), axis="columns")
    text = style.to_latex(
        column_format="l" + "c" * len(metrics),
        hrules=True,
        position="htbp",
        position_float="centering",
        caption=_caption(rankings, group, theme),
    )
    text = text.replace(r"\begin{tabular}", NO_WIDER)
    return text.replace(r"\end{tabular}", r"\end{tabular}}")


def _heading(metric: str, group: str, theme: Theme) -> str:
    if group == OVERALL:
        label, better = theme.label("groups", metric), "higher"
    else:
        label = theme.label("metrics", metric).removeprefix(f"{theme.label('groups', group)} ")
        better = theme.run_metadata.better(metric)
    lines = r"\\".join(map(escaped, textwrap.wrap(label, 15)))
    return rf"\shortstack{{{lines}{ARROWS.get(better, '')}}}"


def _caption(rankings: pd.DataFrame, group: str, theme: Theme) -> str:
    dataset, scenario = rankings[["dataset", "scenario"]].iloc[0]
    where, over = theme.split(dataset, scenario), "seeds"
    what, evidence = theme.label("groups", group), "paired tests on new cells, 5 %"
    if dataset == ALL:
        where = f"all datasets, {theme.label('scenarios', scenario)}"
        over, evidence = "seeds and datasets", "mean ranks within the critical difference"
    if group == OVERALL:
        what, evidence = "Scores from 0 (chance) to 1 (oracle)", "overlapping intervals"
    text = f"{what}: {where}; mean over {int(rankings['seeds'].max())} {over}"
    kinds = sorted(set(rankings["interval"].dropna()) - {NO_INTERVAL})
    text += f", with 95 % intervals ({'; '.join(kinds)})" if kinds else ""
    text += f". Bold: best of models and baselines; underlined: not separable ({evidence}). "
    text += f"{NOT_GIVEN}: not applicable or not given; {CROSS}: failed; "
    return escaped(text + f"{FEWER}: of fewer directions or metrics.")
