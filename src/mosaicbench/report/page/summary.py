"""The report's summary: what was run, which run leads, what the controls score, what failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from mosaicbench.catalog.run_metadata import KINDS
from mosaicbench.files.runs import STATUSES
from mosaicbench.report.page.cells import (
    Cell,
    Column,
    Grid,
    behind_mean,
    in_words,
    many,
    split_columns,
    table,
    with_arrow,
)
from mosaicbench.report.page.render import sentence
from mosaicbench.report.tables.contract import of_split
from mosaicbench.report.tables.text import NOT_GIVEN, number
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import (
    ALL,
    CONTESTS,
    DISTANCE,
    DISTANCES,
    FAILED,
    RUN,
    SPLIT,
)
from mosaicbench.stats.means import best
from mosaicbench.stats.sanity import named_by_checks

CONTROLS_OF = {  # question -> what a run has to beat in it
    "alignment": "knowing each cell's type (in alignment)",
    "label_transfer": "chance (in label transfer)",
    "imputation": "the mean of each cell's type (in imputation)",
}
FEWEST_SEEDS = 3  # with two, a t interval reaches 12.7 standard errors to each side

Split = tuple[str, str]


def facts(runs: pd.DataFrame, splits: list[Split], theme: Theme) -> dict[str, str]:
    """Return what was compared, and how the fits ended."""
    fits = runs[runs["status"] != "not_applicable"]
    kinds = [theme.run_metadata.kind(run) for run in runs["run"].unique()]
    per_kind = ", ".join(many(kinds.count(kind), kind) for kind in KINDS if kind in kinds)
    seeds = sorted(fits["seed"].dropna().unique())
    return {
        "Datasets": theme.labels("datasets", (dataset for dataset, _ in splits)),
        "Scenarios": theme.labels("scenarios", (scenario for _, scenario in splits)),
        "Runs": f"{len(kinds)} ({per_kind})",
        "Seeds": sentence("seeds", seeds=seeds, fewest=FEWEST_SEEDS),
        "Fits": f"{len(fits)}: {endings(fits)}",
    }


def fitted_on(records: Sequence[Mapping], history: pd.DataFrame, theme: Theme) -> str:
    """Return which runs hold train cells out for early stopping; "" if all do alike.

    A run that holds no cell out has the loss of the fitted cells as its validation loss.
    """
    losses = history.pivot_table(
        index=[*RUN, "seed", "epoch"], columns="loss", values="value"
    ).reindex(columns=["loss", "validation_loss"])
    is_validated = losses["validation_loss"].sub(losses["loss"]).abs() > 0
    validated = set(losses.index[is_validated].get_level_values("run"))
    held_out: dict[float, set[str]] = {}
    for record in records:
        run = record["run"]
        if theme.run_metadata.competes(run):
            fraction = record["hyperparameters"].get("validation") if run in validated else 0
            held_out.setdefault(float(fraction or 0), set()).add(run)
    fractions = sorted(held_out.items(), reverse=True)
    return sentence("fitted_on", fractions=fractions, theme=theme) if len(fractions) > 1 else ""


def endings(runs: pd.DataFrame) -> str:
    """Return how fits ended and how many runs are not applicable: "6 ok, 1 diverged"."""
    counts = runs["status"].value_counts()
    words = [f"{counts[status]} {in_words(status)}" for status in STATUSES[:-1] if status in counts]
    if absent := counts.get("not_applicable"):
        words.append(f"and {many(absent, 'run')} not applicable")
    return ", ".join(words)


def by_scenario(overall: pd.DataFrame, theme: Theme) -> Iterable[tuple[str, pd.DataFrame]]:
    """Yield each scenario with its overall scores over datasets, or those of its one dataset."""
    for scenario in theme.order("scenarios", overall["scenario"]):
        of_scenario = overall[overall["scenario"] == scenario]
        datasets = set(of_scenario["dataset"])
        dataset = ALL if ALL in datasets else theme.order("datasets", datasets)[0]
        yield scenario, of_scenario[of_scenario["dataset"] == dataset]


# --- which run leads -----------------------------------------------------------------------------


def leaders(overall: pd.DataFrame, theme: Theme) -> list[dict[str, str]]:
    """Return per scenario which run leads, by how much, and which intervals reach it."""
    entries = []
    for scenario, lines in by_scenario(overall, theme):
        ranked = lines.dropna(subset="rank").sort_values("rank", kind="stable")
        barred = [theme.label("runs", run) for run in ranked.loc[~ranked["may_win"], "run"]]
        words = leader(ranked[ranked["may_win"]], theme) + " " + sentence("barred", names=barred)
        label = theme.label("scenarios", scenario).capitalize()
        entries.append({"scenario": label, "words": words.strip()})
    return entries


def leader(ranked: pd.DataFrame, theme: Theme) -> str:
    """Return which of the ranked runs of a scenario, first to last, leads."""
    if ranked.empty:
        return sentence("nobody_leads")
    kinds = ranked["run"].map(theme.run_metadata.kind)
    ranked = ranked.assign(kind=kinds, label=[theme.label("runs", run) for run in ranked["run"]])
    first, others = ranked.iloc[0], ranked.iloc[1:]
    level = others[(others["high"] >= first["low"]) | others["high"].isna() | pd.isna(first["low"])]
    questions = str(first["not_above"]).split(", ")
    return sentence(
        "leader",
        first=first,
        others=others.to_dict("records"),
        level=level["label"],
        other_kinds=others[others["kind"] != first["kind"]].to_dict("records"),
        below=[CONTROLS_OF[name] for name in questions if name in CONTROLS_OF],
    )


def winners(tables: Mapping[str, pd.DataFrame], splits: list[Split], theme: Theme) -> Grid | None:
    """Return the best runs of each split that no sanity check names, a column per headline score."""
    barred, summary = named_by_checks(tables["sanity_checks"]), tables["headline"]
    summary = summary[summary["metric"].isin(CONTESTS)]
    is_barred = [run in barred.get(tuple(split), ()) for *split, run in summary[RUN].to_numpy()]
    summary = summary[~pd.Series(is_barred, index=summary.index, dtype=bool)]
    best_rows = summary[best(summary, theme.run_metadata)]
    if best_rows.empty:
        return None

    def column(metric: str) -> Column:
        of_metric = best_rows[best_rows["metric"] == metric]

        def cell(row: dict) -> Cell:
            lines = of_split(of_metric, row["dataset"], row["scenario"])
            if lines.empty:
                why = "fewer than two runs, without controls, have this score in this split"
                return Cell(NOT_GIVEN, why=why)
            first = lines.iloc[0]
            names = theme.labels("runs", lines["run"])
            return Cell(f"{names} {number(metric, first['mean'])}", about=behind_mean(first))

        about = theme.run_metadata.metric(metric).get("definition", "")
        return Column(with_arrow(metric, theme), cell, about=about)

    columns = [*split_columns(theme), *map(column, CONTESTS)]
    rows = pd.DataFrame(splits, columns=SPLIT)
    return table("The best run of each score and split", columns, rows)


# --- distances and failures -----------------------------------------------------------------------


def verdicts(by_distance: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per score: in which splits another distance has another best run."""
    order = sorted(DISTANCES, key=lambda distance: distance != DISTANCE)
    return [
        sentence("verdict", score=score, rows=rows, order=order, theme=theme)
        for score, rows in by_distance.groupby("metric", sort=False)
    ]


def troubles(runs: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per kind of failure; a control is meant to collapse."""
    sentences = []
    for status in (*FAILED, "collapsed"):
        fits = runs[runs["status"] == status]
        fits = theme.run_metadata.competing(fits) if status == "collapsed" else fits
        if len(fits):
            labels = theme.labels("runs", fits["run"])
            sentences.append(f"{many(len(fits), 'fit')} {in_words(status)}: {labels}")
    return sentences
