"""Figure and finding of docs/results/sensitivity.md, from docs/results/sensitivity.tsv.

python docs/site/which_defaults.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from blocks import replaced, table
from family import SCORES
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mosaicbench.report.page.verdict import CHANCE
from mosaicbench.report.theme import QUIET, style

REPOSITORY = Path(__file__).parents[2]
TABLE = REPOSITORY / "docs/results/sensitivity.tsv"
PAGE = REPOSITORY / "docs/results/sensitivity.md"
FIGURE = REPOSITORY / "docs/results/pictures/sensitivity.png"
STAYS, NEAR = "the first stays", "another is first, not separable"
CHANGES = "another is first, and separable"
KINDS = {
    STAYS: (QUIET, True),
    NEAR: ("#b3541e", False),
    CHANGES: ("#b3541e", True),
}  # colour, filled


def main() -> None:
    """Write the figure, the finding and the table of the page."""
    rows = pd.read_csv(TABLE, sep="\t")
    with style():
        drawn(rows).savefig(FIGURE, dpi=150)
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


def refreshed(text: str, rows: pd.DataFrame) -> str:
    """Return the page with a new finding and a new table."""
    text = replaced(text, "finding", f"\n{finding(rows)}\n")
    return replaced(text, "changes", f"\n{changes(rows)}\n")


def kind_of(row: pd.Series) -> str:
    """Return which of `KINDS` a row is."""
    if row["first"] == row["first_after"]:
        return STAYS
    return CHANGES if row["low"] > 0 else NEAR


def drawn(rows: pd.DataFrame) -> Figure:
    """Return a panel per question, a line per level, a dot per dataset: Kendall's tau."""
    lines = rows[["default", "level"]].drop_duplicates().apply(": ".join, axis=1).tolist()[::-1]
    places = {line: place for place, line in enumerate(lines)}
    figure = Figure(figsize=(9.6, 1.4 + 0.24 * len(lines)), layout="constrained")
    panels = figure.subplots(1, len(SCORES), sharey=True)
    for axes, (question, title) in zip(panels, SCORES.items(), strict=True):
        for _, of_line in rows[rows["question"] == question].groupby(["default", "level"]):
            middle = places[f"{of_line['default'].iloc[0]}: {of_line['level'].iloc[0]}"]
            heights = middle + np.linspace(-0.24, 0.24, len(of_line))
            for height, (_, row) in zip(heights, of_line.iterrows(), strict=True):
                color, filled = KINDS[kind_of(row)]
                face = color if filled else "none"
                axes.plot(row["tau"], height, "o", ms=4, mec=color, mfc=face)
        axes.set_title(title)
        axes.set_xlim(right=1.04)
        axes.set_yticks(range(len(lines)), lines)
        axes.grid(axis="x")
    handles = [
        Line2D([], [], ls="", marker="o", ms=4, mec=color, mfc=color if filled else "none")
        for color, filled in KINDS.values()
    ]
    panels[1].set_xlabel("Kendall's tau between the orders of the runs, by default and changed")
    figure.legend(handles, list(KINDS), loc="outside lower center", ncols=3)
    return figure


def finding(rows: pd.DataFrame) -> str:
    """Return a sentence per question, from the rows."""
    lines = []
    for question, title in SCORES.items():
        asked = rows[rows["question"] == question]
        chance = asked.loc[asked["default"] == CHANCE, "tau"]
        others = asked[asked["default"] != CHANCE]
        kinds = others.apply(kind_of, axis=1)
        means = others.groupby(["default", "level"])["tau"].mean().sort_values()
        (default, level), least = means.index[0], means.iloc[0]
        lines.append(
            f"- **{title}**: {len(others)} comparisons. The first run stays in {(kinds == STAYS).sum()}, changes within"
            f" its interval in {(kinds == NEAR).sum()}, and beyond it in {(kinds == CHANGES).sum()}. Other seeds"
            f" alone: tau {chance.mean():.2f}. The least tau, {least:.2f}, is that of {default}: {level}."
        )
    commits = ", ".join(f"`{commit}`" for commit in sorted(set(rows["commit"])))
    return "\n".join([*lines, f"- Fitted by {commits}."])


def changes(rows: pd.DataFrame) -> str:
    """Return a table of the comparisons in which another run is first, and separable."""
    found = rows[rows.apply(kind_of, axis=1) == CHANGES]
    header = [
        "default: changed to",
        "question",
        "dataset",
        "first",
        "then first",
        "ahead by [from]",
        "tau",
    ]
    lines = [
        [
            f"{row['default']}: {row['level']}",
            SCORES[row["question"]],
            row["dataset"],
            f"`{row['first']}`",
            f"`{row['first_after']}`",
            f"{row['lead']:.3f} [{row['low']:.3f}]",
            f"{row['tau']:.2f}",
        ]
        for _, row in found.iterrows()
    ]
    return table(header, lines)


if __name__ == "__main__":
    main()
