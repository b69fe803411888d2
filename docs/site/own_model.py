"""Write docs/results/own_model.md, the contrastive VAE against every other method, from the reference results in the package.

python docs/site/own_model.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from blocks import replaced, table
from family import SCORES, commits_of, contests, drawn, sees_labels, tables

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files import reference
from mosaicbench.files.tables import read_table
from mosaicbench.report.theme import style

RESULTS = Path(__file__).parents[1] / "results"
PAGE, OFFSETS = RESULTS / "own_model.md", RESULTS / "batch_offsets.tsv"
OWN_OFFSETS = RESULTS / "own_offsets.tsv"  # stored runs before `batch_offsets`, and with it
OWN_PAIRS = RESULTS / "own_pairs.tsv"  # before and after the changes for few pairs
FIGURE = RESULTS / "pictures/own_model.png"
HEADER = ["dataset, scenario, train cells", "contrastive VAE", "best other", "gain [95 %]"]
OWN, OTHER = KINDS = ("own", "other")
ALL_SCORES = SCORES | {"imputation_pearson_per_feature": "Imputation (Pearson per feature)"}


def main() -> None:
    """Write the figure, the finding and the tables of the page."""
    stored = reference.read()
    with style():
        figure = drawn(compared(stored), ("contrastive VAE", "best other method"))
        figure.savefig(FIGURE, dpi=150)
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), stored), encoding="utf-8")


def compared(stored: reference.Reference) -> pd.DataFrame:
    """Return the contests of the own method with the best other one, per split and score."""
    return contests(stored, KINDS, kind_of, ALL_SCORES)


def refreshed(text: str, stored: reference.Reference) -> str:
    """Return the page with a new finding and new tables."""
    rows = compared(stored)
    text = replaced(text, "finding", f"\n{findings(rows)}\n- Fitted by {commits_of(stored)}.\n")
    text = replaced(text, "offsets", f"\n{offsets(read_table(OFFSETS))}\n")
    text = replaced(text, "own_offsets", f"\n{switched(read_table(OWN_OFFSETS))}\n")
    text = replaced(text, "own_pairs", f"\n{improved(read_table(OWN_PAIRS))}\n")
    return replaced(text, "contests", f"\n{tables(rows, ALL_SCORES, HEADER, KINDS)}\n")


def kind_of(run: str, metadata: RunMetadata) -> str | None:
    """Return "own" or "other"; None of controls and of runs that see labels."""
    if run == "contrastive_vae":
        return OWN
    return None if metadata.kind(run) == "control" or sees_labels(run) else OTHER


def findings(compared: pd.DataFrame) -> str:
    """Return a sentence per score, counted from the rows."""
    lines = []
    for metric, title in ALL_SCORES.items():
        rows = compared[compared["metric"] == metric]
        behind = rows[rows["high"] < 0]
        by = ", ".join(f"`{run}` {n}" for run, n in behind[OTHER].value_counts().items())
        lines.append(
            f"- **{title}**: on {len(rows)} splits ahead of the best other method on {(rows['low'] > 0).sum()}, behind on"
            f" {len(behind)}{f' ({by})' if by else ''}; its mean is the best on {(rows['difference'] > 0).sum()}."
        )
    return "\n".join(lines)


def offsets(fits: pd.DataFrame) -> str:
    """Return a table of the skill of each method's imputation, a row per dataset and direction; means over seeds."""
    means = fits.groupby(["dataset", "direction", "method"], sort=False).mean(numeric_only=True)
    text = means["skill"].map("{:.3f}".format) + " → " + means["skill_offset"].map("{:.3f}".format)
    text = text.unstack("method").fillna("")
    batches = means["batches"].groupby(level=["dataset", "direction"]).first().astype(int)
    header = ["dataset, direction", "batches", *(f"`{method}`" for method in text)]
    lines = [
        [", ".join(place), batches[place], *row]
        for place, row in zip(text.index, text.to_numpy(), strict=True)
    ]
    return table(header, lines)


def switched(fits: pd.DataFrame) -> str:
    """Return a table of the own method's skill without and with offsets of batches, a row per split; means over seeds."""
    means = fits.groupby(["dataset", "scenario"], sort=False)[["without", "with"]].mean()
    lines = [[*place, *row.map("{:.3f}".format)] for place, row in means.iterrows()]
    return table(["dataset", "scenario", "without", "with"], lines)


def improved(fits: pd.DataFrame) -> str:
    """Return a table of the own method's scores before and after its use of few pairs, a row per split; means over seeds."""
    means = fits.groupby(["scenario", "dataset", "metric"])[["before", "after"]].mean()
    text = means["before"].map("{:.3f}".format) + " → " + means["after"].map("{:.3f}".format)
    text = text.unstack("metric")[list(SCORES)]
    lines = [
        [f"{name[1]}, {name[0]}", *row]
        for name, row in zip(text.index, text.to_numpy(), strict=True)
    ]
    return table(["dataset, scenario", *SCORES.values()], lines)


if __name__ == "__main__":
    main()
