"""Write docs/results/family.md, deep against linear methods, from the reference results in the package.

    python docs/site/family.py

Per dataset, scenario and score: the deep and the linear run with the best mean, and their difference by seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import yaml
from blocks import replaced, table
from matplotlib.figure import Figure

from mosaicbench.catalog.run_metadata import RunMetadata, run_metadata_of
from mosaicbench.files import reference
from mosaicbench.report.theme import QUIET, style
from mosaicbench.stats.common import RUN, SPLIT, half_width
from mosaicbench.stats.means import complete_seed_means

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/results/family.md"
FIGURE = REPOSITORY / "docs/results/pictures/family.png"
SEEDS = yaml.safe_load((REPOSITORY / "config/reference.yaml").read_text())["seeds"]
SCORES = {
    "foscttm": "Alignment (FOSCTTM)",
    "label_transfer_accuracy": "Label transfer (accuracy)",
    "imputation_skill": "Imputation (skill)",
}
LINEAR = ("cca", "pca_joint", "procrustes", "ridge")  # `linear` scores as CCA and ridge
HEADER = ["dataset, scenario, train cells", "best deep", "best linear"]
HEADER += ["difference [95 %]", "deep methods ahead"]
COLORS = {"deep": "#3b6ea5", "linear": "#b3541e", "not separable": QUIET}


def main() -> None:
    """Write the figure, and the findings and the table of the page."""
    stored = reference.read()
    compared = contests(stored)
    with style():
        drawn(compared).savefig(FIGURE, dpi=150)
    text = refreshed(PAGE.read_text(encoding="utf-8"), compared, commits_of(stored))
    PAGE.write_text(text, encoding="utf-8")


def metadata_of(stored: reference.Reference) -> RunMetadata:
    """Return what is known of the stored runs."""
    runs = pd.DataFrame(stored.records, columns=["run", "method"])
    return run_metadata_of(runs.drop_duplicates())


def commits_of(stored: reference.Reference) -> str:
    """Return the commits that fitted."""
    commits = {commit for one in stored.pieces for commit in one["commit"].split(", ")}
    return ", ".join(f"`{commit}`" for commit in sorted(commits))


def kind_of(run: str, metadata: RunMetadata) -> str | None:
    """Return "deep" or "linear"; None of controls, nearest neighbours, wrapped packages and runs that see labels."""
    if "wraps" in metadata.card(run):
        return None
    if run in LINEAR or run.startswith("linked_"):
        return "linear"
    return "deep" if metadata.kind(run) == "model" and not sees_labels(run) else None


def sees_labels(run: str) -> bool:
    """Say whether a run is of a supervised form."""
    return run.endswith(("_sup", "_ss"))


def contests(
    stored: reference.Reference,
    kinds: tuple[str, str] = ("deep", "linear"),
    kind_of: Callable[[str, RunMetadata], str | None] = kind_of,
    scores: Iterable[str] = SCORES,
) -> pd.DataFrame:
    """Return a row per split and score: both best runs with their means, and deep less linear, more is better for deep.

    `low` and `high` are the ends of the 95 % interval over common seeds, NaN of one seed; `ahead` of `deep_runs` have a
    better mean than the best linear run. A run of one seed is not compared. Of other `kinds`, their names stand for "deep" and "linear".
    """
    metadata = metadata_of(stored)
    means = complete_seed_means(stored.scores[stored.scores["seed"] < SEEDS])
    means = means[means["metric"].isin(list(scores))]
    means = means[means.groupby([*RUN, "metric"])["seed"].transform("nunique") > 1]
    means = means.assign(kind=[kind_of(run, metadata) for run in means["run"]])
    cells = {tuple(one[key] for key in SPLIT): one["cells"] for one in stored.records}
    rows = []
    for (*split, metric), of_split in means.dropna(subset="kind").groupby([*SPLIT, "metric"]):
        if set(of_split["kind"]) == set(kinds):
            best = contest(of_split, metadata.sign(metric), kinds)
            rows.append(
                dict(zip(SPLIT, split, strict=True))
                | {"metric": metric, "cells": cells[tuple(split)]["train"]}
                | best
            )
    return pd.DataFrame(rows)


def contest(
    rows: pd.DataFrame, sign: float, kinds: tuple[str, str] = ("deep", "linear")
) -> dict[str, object]:
    """Return the best run of each kind and their difference; `rows` are seeds of the runs of one split and metric."""
    one, other = kinds
    means = rows.groupby(["kind", "run"])["value"].mean() * sign
    best, other_best = (means[kind].idxmax() for kind in kinds)
    by_seed = rows.pivot(index="seed", columns="run", values="value")
    difference = ((by_seed[best] - by_seed[other_best]) * sign).dropna()
    half = half_width(difference.to_numpy()) if len(difference) > 1 else float("nan")
    return {
        one: best,
        f"{one}_mean": means[one].max() * sign,
        other: other_best,
        f"{other}_mean": means[other].max() * sign,
        "difference": difference.mean(),
        "low": difference.mean() - half,
        "high": difference.mean() + half,
        "ahead": int((means[one] > means[other].max()).sum()),
        f"{one}_runs": len(means[one]),
        "seeds": len(difference),
    }


def verdict(row: pd.Series) -> str:
    """Return who is ahead: "deep" or "linear" if the interval excludes 0."""
    return "deep" if row["low"] > 0 else "linear" if row["high"] < 0 else "not separable"


def drawn(
    compared: pd.DataFrame, sides: tuple[str, str] = ("best deep method", "best linear method")
) -> Figure:
    """Return a panel per score, a line per split: the difference and its interval, right of 0 if the first of `sides` is ahead."""
    splits = compared.drop_duplicates(SPLIT).sort_values(["scenario", "cells"], ascending=False)
    names = [name_of(row) for _, row in splits.iterrows()]
    figure = Figure(figsize=(9.6, 1.1 + 0.26 * len(names)), layout="constrained")
    for axes, (metric, title) in zip(
        figure.subplots(1, 3, sharey=True), SCORES.items(), strict=True
    ):
        rows = compared[compared["metric"] == metric]
        for _, row in rows.iterrows():
            place, color = names.index(name_of(row)), COLORS[verdict(row)]
            axes.plot(row["difference"], place, "o", color=color, markersize=4)
            axes.hlines(place, row["low"], row["high"], color=color, linewidth=1.4)
        axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.set_title(title)
        axes.set_yticks(range(len(names)), names)
        axes.grid(axis="x")
        axes.locator_params(axis="x", nbins=5)
    first, other = sides
    figure.supxlabel(f"{other} ahead   ←   difference   →   {first} ahead", fontsize=8)
    return figure


def name_of(row: pd.Series) -> str:
    """Return dataset, scenario and number of train cells."""
    return f"{row['dataset']}, {row['scenario']}, {row['cells']:,}"


def refreshed(text: str, compared: pd.DataFrame, commits: str) -> str:
    """Return the page with new findings and a new table."""
    text = replaced(text, "finding", f"\n{findings(compared)}\n- Fitted by {commits}.\n")
    return replaced(text, "contests", f"\n{tables(compared, SCORES, HEADER)}\n")


def tables(
    compared: pd.DataFrame,
    scores: dict[str, str],
    header: list[str],
    kinds: tuple[str, str] = ("deep", "linear"),
) -> str:
    """Return a table per score, a row per split; its last column, which a shorter header leaves out, counts runs ahead."""
    parts = []
    for metric, title in scores.items():
        rows = compared[compared["metric"] == metric].sort_values(["scenario", "cells"])
        lines = [
            [
                name_of(row),
                *(f"`{row[kind]}` {row[f'{kind}_mean']:.3f}" for kind in kinds),
                f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]",
                f"{row['ahead']} of {row[f'{kinds[0]}_runs']}",
            ][: len(header)]
            for _, row in rows.iterrows()
        ]
        parts.append(f"### {title}\n\n{table(header, lines)}")
    return "\n\n".join(parts)


def findings(compared: pd.DataFrame) -> str:
    """Return a sentence per score, counted from the rows."""
    lines = []
    for metric, title in SCORES.items():
        rows = compared[compared["metric"] == metric]
        counts = rows.apply(verdict, axis=1).value_counts()
        deep, linear, neither = (counts.get(name, 0) for name in COLORS)
        share = rows["ahead"].sum() / rows["deep_runs"].sum()
        lines.append(
            f"- **{title}**: on {len(rows)} splits the best deep method is ahead on {deep}, the best linear one on {linear}, and "
            f"{neither} are not separable. Of all deep methods {100 * share:.0f} % have a better mean than the best linear one."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
