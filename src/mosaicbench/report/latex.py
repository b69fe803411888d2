"""Tables for a paper: standings as LaTeX, with booktabs; what is missing a dash, what failed a cross.

Bold are the best value and all that cannot be told from it.
"""

from __future__ import annotations

import re
import textwrap

import pandas as pd

from mosaicbench.report.tables.standings import OVERALL
from mosaicbench.report.tables.text import CROSS, FEWER, NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.statistics.common import ALL, NO_INTERVAL

GROUPS = (
    OVERALL,
    "alignment",
    "label_transfer",
    "imputation",
    "calibration",
    "biology",
    "mixing",
    "disentanglement",
    "realism",
    "resources",
)
USES = {
    "uses_pairs": "pairs",
    "uses_links": "links",
    "uses_labels": "labels",
    "transductive": "query",
}
SIGNS = {"yes": r"$\bullet$", "no": "", "unknown": "--"}  # of what a run uses
SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
}
SPECIAL |= {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
SPECIAL |= {
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    '"': "''",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "†": r"\dag{}",
}
SPECIAL |= {
    "✗": r"$\times$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
}
SPECIAL |= {
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "λ": r"$\lambda$",
}
ARROWS = {"lower": r" $\downarrow$", "higher": r" $\uparrow$"}
UNESCAPED = re.compile(r"[^\x00-\xff]")  # what pdflatex cannot set without a font for it
BETWEEN = re.compile(r"[\x00-\x20\x7f\x85]+")  # a blank line would end the cell of a table
BREAK = r"\\"
WIDEST = 6  # scores in one table


def document(places: list[str]) -> str:
    """Return a document that sets the tables of :func:`tables_of` in the files `places`, to be compiled beside them."""
    head = [
        r"\documentclass[a4paper,landscape]{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{booktabs,graphicx}",
    ]
    head += [r"\usepackage[margin=15mm]{geometry}", r"\begin{document}"]
    return "\n".join(
        [*head, *[rf"\input{{{place}}}\clearpage" for place in places], r"\end{document}", ""]
    )


def tables_of(standings: pd.DataFrame, theme: Theme) -> str:
    """Return one table per group of scores, and per so many of them as fit a page, of one view or scenario.

    Parameters
    ----------
    standings
        The rows of one dataset and scenario of ``contract.STANDING_COLUMNS``.
    theme
        Labels and order.

    Returns
    -------
    str
        LaTeX that needs the packages booktabs and graphicx.
    """
    first = standings.iloc[0]
    parts = ["% needs \\usepackage{booktabs,graphicx}"]
    for group in [name for name in GROUPS if name in set(standings["group"])]:
        of_group = standings[standings["group"] == group]
        metrics = list(dict.fromkeys(of_group["metric"]))
        for start in range(0, len(metrics), WIDEST):
            chosen = metrics[start : start + WIDEST]
            label = f"tab:{first['dataset']}-{first['scenario']}-{group}{f'-{start // WIDEST + 1}' if start else ''}"
            parts.append(
                _table(
                    of_group[of_group["metric"].isin(chosen)],
                    chosen,
                    group,
                    re.sub(r"[^\w:-]", "", label),
                    theme,
                )
            )
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a text in which nothing is a command, in one line; a letter that LaTeX may lack becomes a question mark."""
    return UNESCAPED.sub(
        "?", "".join(SPECIAL.get(letter, letter) for letter in BETWEEN.sub(" ", text))
    )


def _table(
    standings: pd.DataFrame, metrics: list[str], group: str, label: str, theme: Theme
) -> str:
    cells_of = standings.set_index(["run", "metric"])
    runs = theme.order("runs", standings["run"])
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{_caption(standings, group, theme)}}}",
        rf"\label{{{label}}}",
    ]
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    lines += [rf"\begin{{tabular}}{{l{'c' * len(USES)}l{'c' * len(metrics)}}}", r"\toprule"]
    headings = ["", *[rf"\rotatebox{{90}}{{{name}}}" for name in USES.values()], "status"]
    headings += [_heading(metric, group, theme) for metric in metrics]
    lines += [" & ".join(headings) + r" \\", r"\midrule"]
    for place, run in enumerate(runs):
        if place and theme.roster.kind(runs[place - 1]) != theme.roster.kind(run):
            lines.append(r"\midrule")
        first = cells_of.loc[(run, metrics[0])]
        cells = [escaped(theme.label("runs", run)), *[SIGNS[first[trait]] for trait in USES]]
        cells += [escaped(str(first["status"]).replace("_", " "))] + [
            _cell(cells_of.loc[(run, name)]) for name in metrics
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", r"\end{table}"])


def _heading(metric: str, group: str, theme: Theme) -> str:
    label = theme.label("groups", metric) if group == OVERALL else theme.metric_of(group, metric)
    lines = textwrap.wrap(label, 15)
    better = "higher" if group == OVERALL else theme.roster.better(metric)
    return rf"\shortstack{{{BREAK.join(map(escaped, lines))}{ARROWS.get(better, '')}}}"


def _cell(standing: pd.Series) -> str:
    """Return the mean, bold if it is the best or cannot be told from it, its rank raised, and its interval below."""
    mean, _, interval = standing["shown"].partition(" [")
    interval, _, mark = interval.partition("]")
    text = escaped(mean)
    if pd.isna(standing["mean"]):
        return text
    text = rf"\textbf{{{text}}}" if standing["level"] else text
    text += escaped(mark.strip())
    if not pd.isna(standing["rank"]):
        text += rf"$^{{{standing['rank']:.3g}}}$"
    if not interval:
        return text
    return rf"\shortstack{{\rule{{0pt}}{{2.4ex}}{text}{BREAK}{{\scriptsize {escaped(interval.replace(', ', ' to '))}}}}}"


def _caption(standings: pd.DataFrame, group: str, theme: Theme) -> str:
    first, over_all = standings.iloc[0], standings["dataset"].iloc[0] == ALL
    scenario = theme.label("scenarios", first["scenario"])
    where = (
        f"all datasets, {scenario}" if over_all else theme.view(first["dataset"], first["scenario"])
    )
    what = (
        "Scaled scores, from 0 (chance) to 1 (oracle)"
        if group == OVERALL
        else theme.label("groups", group)
    )
    n = int(standings["seeds"].max())
    text = f"{what}: {where}; mean over {n} {'seeds and datasets' if over_all else 'seeds'}"
    kinds = sorted({kind for kind in standings["interval"].dropna() if kind != NO_INTERVAL})
    text += f", with 95 % intervals ({'; '.join(kinds)})" if kinds else ""
    text += (
        f". Bold: best of models and baselines, and all that cannot be told from it ({_told_by(group, over_all)}). Raised: "
        + ("mean rank." if over_all and group != OVERALL else "rank.")
    )
    text += f" {NOT_GIVEN}: not applicable or not given; {CROSS}: failed; {FEWER}: of fewer directions or "
    return escaped(text + "metrics. Dots: what a run uses; query: transductive.")


def _told_by(group: str, over_all: bool) -> str:
    """Return in words what tells runs apart: see ``standings``."""
    if group == OVERALL:
        return "the interval reaches that of the best"
    if over_all:
        return "mean ranks within Nemenyi's critical difference"
    return "paired tests from splits and cells, on new cells of this kind, corrected for the pick of the best, 5 %"
