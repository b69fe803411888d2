"""Write docs/results/peers.md, wrapped packages beside this project's methods, from the reference results in the package.

python docs/site/peers.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from blocks import replaced, table
from family import SCORES, SEEDS, commits_of, contests, drawn, metadata_of, sees_labels

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files import reference
from mosaicbench.report.theme import style
from mosaicbench.stats.common import RUN, SPLIT
from mosaicbench.stats.means import headline

RESULTS = Path(__file__).parents[1] / "results"
PAGE, FIGURE = RESULTS / "peers.md", RESULTS / "pictures/peers.png"
PACKAGE, OWN = KINDS = ("package", "own")
HEADER = ["run", "FOSCTTM ↓", "label transfer ↑", "imputation skill ↑", "CPU s of a fit", "seeds"]


def main() -> None:
    """Write the figure, the finding and the tables of the page."""
    stored = reference.read()
    with style():
        figure = drawn(compared(stored), ("best package", "best method of this project"))
        figure.savefig(FIGURE, dpi=150)
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), stored), encoding="utf-8")


def kind_of(run: str, metadata: RunMetadata) -> str | None:
    """Return "package" or "own"; None of controls and of runs that see labels."""
    card = metadata.card(run)
    if metadata.kind(run) == "control" or "labels" in card["inputs"] or sees_labels(run):
        return None
    return PACKAGE if "wraps" in card else OWN


def compared(stored: reference.Reference) -> pd.DataFrame:
    """Return the contests of the best package with the best method of this project, per split and score."""
    return contests(stored, KINDS, kind_of)


def refreshed(text: str, stored: reference.Reference) -> str:
    """Return the page with a new finding, new tables and a new list of what has not been run."""
    rows = compared(stored)
    text = replaced(text, "finding", f"\n{findings(rows)}\n- Fitted by {commits_of(stored)}.\n")
    text = replaced(text, "splits", f"\n{tables(stored, rows)}\n")
    return replaced(text, "absent", f"\n{absent(stored)}\n")


def findings(rows: pd.DataFrame) -> str:
    """Return a sentence per score, counted from the rows."""
    lines = []
    for metric, title in SCORES.items():
        of_score = rows[rows["metric"] == metric]
        ahead, behind = of_score[of_score["low"] > 0], of_score[of_score["high"] < 0]
        lines.append(
            f"- **{title}**: on {len(of_score)} splits the best package is ahead on {len(ahead)}{_by(ahead, PACKAGE)}, the best "
            f"method of this project on {len(behind)}{_by(behind, OWN)}, and"
            f" {len(of_score) - len(ahead) - len(behind)} are not separable."
        )
    return "\n".join(lines)


def _by(rows: pd.DataFrame, kind: str) -> str:
    counts = ", ".join(f"`{run}` {n}" for run, n in rows[kind].value_counts().items())
    return f" ({counts})" if counts else ""


def tables(stored: reference.Reference, rows: pd.DataFrame) -> str:
    """Return a table per split: all packages, and the methods of this project that are best in one of the scores."""
    records = pd.DataFrame(stored.records)
    seconds = records["cpu_seconds"].map(lambda spent: sum((spent or {}).values()))
    seconds = records.assign(seconds=seconds).groupby(RUN)["seconds"].mean()
    scores = stored.scores[stored.scores["metric"].isin(list(SCORES))]
    means = headline(scores[scores["seed"] < SEEDS])
    star = (means["directions"] < means["of_directions"]).map({True: "*", False: ""})
    means = means.assign(text=means["mean"].map("{:.3f}".format) + star)
    means = means.pivot(index=RUN, columns="metric", values=["mean", "text", "seeds"])
    metadata, parts = metadata_of(stored), []
    for split, of_split in rows.sort_values(["scenario", "cells"]).groupby(SPLIT, sort=False):
        here = means.loc[split]
        shown = here[[_is_shown(run, metadata, of_split[OWN]) for run in here.index]]
        shown = shown.sort_values(("mean", "foscttm"))
        lines = [
            [
                f"`{run}`" + (" (package)" if "wraps" in metadata.card(run) else ""),
                *row["text"][list(SCORES)].fillna("–"),
                f"{seconds[(*split, run)]:,.0f}",
                f"{row['seeds'].max():.0f}",
            ]
            for run, row in shown.iterrows()
        ]
        cells = f"{of_split['cells'].iloc[0]:,} train cells"
        parts.append(f"### {', '.join(split)}, {cells}\n\n{table(HEADER, lines)}")
    return "\n\n".join(parts)


def _is_shown(run: str, metadata: RunMetadata, best: pd.Series) -> bool:
    return "wraps" in metadata.card(run) or run in set(best)


def absent(stored: reference.Reference) -> str:
    """Return a sentence on the wrapped packages that no stored run is of."""
    there = {record["method"] for record in stored.records}
    names = [name for name, card in catalog.cards("methods").items() if "wraps" in card]
    missing = ", ".join(f"`{name}`" for name in names if name not in there)
    return (
        f"No stored run is of: {missing}." if missing else "Every wrapped package has a stored run."
    )


if __name__ == "__main__":
    main()
