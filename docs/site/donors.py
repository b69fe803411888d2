"""Write docs/results/donors.md from the reference results: random cells, whole donors and another condition as the query.

    python docs/site/donors.py

Per score, the means of all deep and linear methods in each scenario, and Kendall's tau of their order with that of random cells.
"""

from __future__ import annotations

from pathlib import Path

import family
import pandas as pd
from blocks import replaced, table
from scipy.stats import kendalltau

from mosaicbench.files import reference
from mosaicbench.report.theme import Theme, read_theme
from mosaicbench.stats.means import complete_seed_means

PAGE = Path(__file__).parents[1] / "results/donors.md"
DATASET = "covid_citeseq_small"
RANDOM = "paired"
SCENARIOS = {RANDOM: "random cells", "donor": "one donor", "severe": "donors with severe COVID-19"}


def main() -> None:
    """Write the findings and the tables of the page."""
    theme = read_theme(pd.DataFrame(columns=["run", "method"]))
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(refreshed(text, reference.read(), theme), encoding="utf-8")


def refreshed(text: str, stored: reference.Reference, theme: Theme) -> str:
    """Return the page with a sentence and a table per score."""
    sentences, tables = [], []
    for metric, title in family.SCORES.items():
        found = means(stored, metric, theme)
        sign = theme.run_metadata.sign(metric)
        sentences.append(f"- **{title}**: {sentence(found, sign)}")
        order = (sign * found[RANDOM]).sort_values(ascending=False).index
        rows = [
            [f"`{run}`", *(f"{found.loc[run, name]:.3f}" for name in SCENARIOS)] for run in order
        ]
        tables.append(f"### {title}\n\n{table(['run', *SCENARIOS.values()], rows)}")
    commits = {
        one["git_commit"]
        for one in stored.records
        if one["dataset"] == DATASET and one["scenario"] in SCENARIOS
    }
    sentences.append(f"- Fitted by {', '.join(f'`{commit}`' for commit in sorted(commits))}.")
    return replaced(
        text, "finding", "\n{}\n\n{}\n".format("\n".join(sentences), "\n\n".join(tables))
    )


def means(stored: reference.Reference, metric: str, theme: Theme) -> pd.DataFrame:
    """Return run x scenario -> the mean over seeds of the deep and linear methods that have it in all scenarios."""
    scores = stored.scores
    ours = (scores["dataset"] == DATASET) & (scores["metric"] == metric)
    seeds = complete_seed_means(scores[ours & (scores["seed"] < family.SEEDS)])
    found = seeds.pivot_table(index="run", columns="scenario", values="value")
    compared = [family.kind_of(run, theme.run_metadata) is not None for run in found.index]
    return found.loc[compared, [*SCENARIOS]].dropna()


def sentence(found: pd.DataFrame, sign: float) -> str:
    """Return the first method of each scenario, and tau of the order with that of random cells."""
    parts = []
    for name, words in SCENARIOS.items():
        run = (sign * found[name]).idxmax()
        tau = kendalltau(found[RANDOM], found[name]).statistic
        with_random = "" if name == RANDOM else f", tau {tau:.2f}"
        parts.append(f"{words} `{run}` {found.loc[run, name]:.3f}{with_random}")
    return f"the first of {len(found)} methods is, with {'; '.join(parts)}."


if __name__ == "__main__":
    main()
