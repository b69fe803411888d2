"""Write docs/results/donors.md from the reference results: random cells, whole donors and another condition as the query.

    python docs/site/donors.py

Per score, the means of all deep and linear methods in each scenario, and Kendall's tau of their order with that of random cells.
"""

from __future__ import annotations

from pathlib import Path

import family
import pandas as pd
from blocks import replaced, table
from matplotlib.figure import Figure
from scipy.stats import kendalltau

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files import reference
from mosaicbench.report.theme import style
from mosaicbench.stats.means import complete_seed_means

RESULTS = Path(__file__).parents[1] / "results"
PAGE, FIGURE = RESULTS / "donors.md", RESULTS / "pictures/donors.png"
DATASET = "covid_citeseq_small"
RANDOM = "paired"
SCENARIOS = {RANDOM: "random cells", "donor": "one donor", "severe": "severe COVID-19"}


def main() -> None:
    """Write the figure, and the findings and tables of the page."""
    stored = reference.read()
    with style():
        drawn(stored).savefig(FIGURE, dpi=150)
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), stored), encoding="utf-8")


def refreshed(text: str, stored: reference.Reference) -> str:
    """Return the page with a sentence and a table per score."""
    metadata, sentences, tables = family.metadata_of(stored), [], []
    for metric, title in family.SCORES.items():
        found, sign = means(stored, metric, metadata), metadata.sign(metric)
        sentences.append(f"- **{title}**: {sentence(found, sign)}")
        ordered = found.sort_values(RANDOM, ascending=sign < 0)
        rows = [[f"`{run}`", *(f"{mean:.3f}" for mean in row)] for run, row in ordered.iterrows()]
        tables.append(f"### {title}\n\n{table(['run', *SCENARIOS.values()], rows)}")
    sentences.append(f"- {cells(stored)}")
    fits = [one for one in stored.records if one["dataset"] == DATASET]
    commits = {one["git_commit"] for one in fits if one["scenario"] in SCENARIOS}
    sentences.append(f"- Fitted by {', '.join(f'`{commit}`' for commit in sorted(commits))}.")
    parts = ["\n".join(sentences), *tables]
    return replaced(text, "finding", "\n" + "\n\n".join(parts) + "\n")


def means(stored: reference.Reference, metric: str, metadata: RunMetadata) -> pd.DataFrame:
    """Return run x scenario -> the mean over seeds of the deep and linear methods that have it in all scenarios."""
    scores = stored.scores
    ours = (scores["dataset"] == DATASET) & (scores["metric"] == metric)
    seeds = complete_seed_means(scores[ours & (scores["seed"] < family.SEEDS)])
    found = seeds.pivot_table(index="run", columns="scenario", values="value")
    compared = [family.kind_of(run, metadata) is not None for run in found.index]
    return found.loc[compared, [*SCENARIOS]].dropna()


def sentence(found: pd.DataFrame, sign: float) -> str:
    """Return the first method of each scenario, and tau of the order with that of random cells."""
    parts = []
    for name, words in SCENARIOS.items():
        run = (sign * found[name]).idxmax()
        tau = kendalltau(found[RANDOM], found[name]).statistic
        with_random = "" if name == RANDOM else f" (tau {tau:.2f})"
        parts.append(f"`{run}` with {words}{with_random}")
    return f"of {len(found)} methods the first is {', '.join(parts)}."


def cells(stored: reference.Reference) -> str:
    """Return how many cells were trained on and asked of in each scenario."""
    fits = pd.DataFrame([one | one["cells"] for one in stored.records])
    fits = fits[(fits["dataset"] == DATASET) & (fits["seed"] < family.SEEDS)].groupby("scenario")
    parts = []
    for name, words in SCENARIOS.items():
        ends = [
            sorted({part.min(), part.max()})
            for _, part in fits[["train", "query"]].get_group(name).items()
        ]
        train, query = (" to ".join(f"{number:,}" for number in part) for part in ends)
        parts.append(f"{words} {train} and {query}")
    return f"Train and query cells: {'; '.join(parts)}."


def drawn(stored: reference.Reference) -> Figure:
    """Return a panel per score: the places of all methods in each scenario, the first on top."""
    metadata = family.metadata_of(stored)
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    panels = figure.subplots(1, len(family.SCORES))
    for axes, (metric, title) in zip(panels, family.SCORES.items(), strict=True):
        found = means(stored, metric, metadata)
        places = found.rank(ascending=metadata.sign(metric) < 0, method="first")
        for run, row in places.iterrows():
            axes.plot(
                row, marker="o", markersize=3, color=family.COLORS[family.kind_of(run, metadata)]
            )
        axes.set_yticks(places[RANDOM], places.index)
        axes.set_xticks(
            range(len(SCENARIOS)), [words.replace(" ", "\n") for words in SCENARIOS.values()]
        )
        axes.invert_yaxis()
        axes.set_title(title)
    return figure


if __name__ == "__main__":
    main()
