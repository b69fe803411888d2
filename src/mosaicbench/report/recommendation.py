"""Which run to take, for each question, with the evidence: what it is not told apart from, what it costs, what would decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from mosaicbench.report.roster import Roster
from mosaicbench.statistics.common import FOSCTTM, RUN, TRANSFER, VIEW, t_quantile
from mosaicbench.statistics.paired import BEST, MOST_SEEDS, OVER_SEEDS, level, paired_tests, seeds_to_tell
from mosaicbench.statistics.summary import best, headline

if TYPE_CHECKING:
    from mosaicbench.report.theme import Theme

PARTNER, LABELS, IMPUTATION, SPEED = "partner", "labels", "imputation", "speed"
METRICS = {PARTNER: FOSCTTM, LABELS: TRANSFER, IMPUTATION: "imputation_pearson_per_feature"}
ALL_DIRECTIONS = "-"
NUMBERS = ["mean", "low", "high", "seeds", "seconds", "peak_host_mb", "more_seeds"]
COLUMNS = [*VIEW, "question", "direction", "metric", "run", "mean", "low", "high", "seeds", "level_with", "seconds"]
COLUMNS += ["peak_host_mb", "more_seeds"]


def recommended(tables: Mapping[str, pd.DataFrame], roster: Roster) -> pd.DataFrame:
    """Return a row per view and question: finding partners, transferring labels, imputing in each direction, and speed.

    Parameters
    ----------
    tables
        "scores", "headline", "paired_tests" and "runs", as `tabulate` makes them.
    roster
        Who competes, and which way a metric is better.

    Returns
    -------
    pandas.DataFrame
        Columns ``COLUMNS``. `run` has the best mean over seeds; `level_with` are the runs that the paired tests do not tell
        from it; `seconds` and `peak_host_mb` are means over the seeds that ended well; `more_seeds` is how many more would tell
        it from all of these runs by the same test, were differences and spread to stay as they are, NA where no number would.
        The row of speed has the run whose fits took least of those that another row names.
    """
    ended = tables["runs"]["status"].isin(["ok", "collapsed"])
    cost_of = tables["runs"][ended].groupby(RUN)[["seconds", "peak_host_mb"]].mean().astype(float)
    answers = [
        _answer(question, direction, *evidence, roster, cost_of) for question, direction, *evidence in _asked(tables, roster)
    ]
    found = pd.DataFrame([row for rows in answers for row in rows], columns=COLUMNS)
    views = tables["headline"][VIEW].drop_duplicates().itertuples(index=False, name=None)
    rows = [
        row
        for dataset, scenario in views
        for row in _with_fastest(found[(found["dataset"] == dataset) & (found["scenario"] == scenario)], cost_of)
    ]
    return checked_recommendations(pd.DataFrame(rows, columns=COLUMNS))


def checked_recommendations(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the contract, with names as text and numbers as floats."""
    text = {name: table[name].astype(object).where(table[name].notna(), "").map(str) for name in set(COLUMNS) - set(NUMBERS)}
    return table.assign(**text, **{name: pd.to_numeric(table[name]).astype(float) for name in NUMBERS})[COLUMNS]


def sentences(table: pd.DataFrame, theme: Theme) -> list[str]:
    """Return the table as sentences."""
    return [f"{theme.view(row['dataset'], row['scenario'])}: {sentence(row, theme)}" for row in table.to_dict("records")]


def sentence(row: Mapping[str, object], theme: Theme) -> str:
    """Return what a row says, without its view."""
    cost = "" if pd.isna(row["seconds"]) else f" A fit takes {row['seconds']:.3g} s and {row['peak_host_mb']:.0f} MB."
    called = theme.label("runs", row["run"])
    if row["question"] == SPEED:
        return f"the fastest of these is {called}.{cost}"
    interval = "" if pd.isna(row["low"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
    score = f"{theme.label('metrics', row['metric'])} {row['mean']:.3f}{interval}"
    told = f"for {question_in_words(row, theme)}, take {called} ({score})."
    if row["level_with"]:
        others = ", ".join(theme.label("runs", name) for name in row["level_with"].split(", "))
        told += f" It cannot be told from {others}; {decided_by(row)}."
    return told + cost


def question_in_words(row: Mapping[str, object], theme: Theme) -> str:
    """Return "imputing ADT from RNA"."""
    if row["question"] == IMPUTATION:
        source, target = (theme.label("modalities", name) for name in row["direction"].split("->"))
        return f"imputing {target} from {source}"
    return {PARTNER: "finding a cell's partner", LABELS: "transferring labels", SPEED: "speed"}[row["question"]]


def decided_by(row: Mapping[str, object]) -> str:
    """Return how many more seeds would tell the run from those that it is level with."""
    if row["seeds"] < 2:
        return "one seed says nothing about others"
    if pd.isna(row["more_seeds"]):
        return f"no number of seeds up to {MOST_SEEDS} would tell it from all of these"
    number = round(row["more_seeds"])
    return f"about {number} more seed{'s' if number != 1 else ''} would"


def _asked(tables: Mapping[str, pd.DataFrame], roster: Roster) -> Iterator[tuple]:
    """Yield question, direction, and of this question alone: headline scores and paired tests."""
    for question, metric in METRICS.items():
        if question == IMPUTATION:
            scores = tables["scores"][tables["scores"]["metric"] == metric]
            for direction, of_direction in scores.groupby("direction", sort=False):
                yield question, direction, headline(of_direction), paired_tests(of_direction, [], roster)
        else:
            summary, tests = (tables[name][tables[name]["metric"] == metric] for name in ("headline", "paired_tests"))
            yield question, ALL_DIRECTIONS, summary, tests


def _answer(
    question: str, direction: str, summary: pd.DataFrame, tests: pd.DataFrame, roster: Roster, cost_of: pd.DataFrame
) -> Iterator[dict]:
    """Yield the row of each view in which the question was asked."""
    summary = summary.reset_index(drop=True)
    taken, levelled = best(summary, roster), level(summary, tests, roster)
    for view, here in summary.groupby(VIEW, sort=False):
        for _, winner in here[taken[here.index]].head(1).iterrows():
            others = [run for run in here.loc[levelled[here.index], "run"] if run != winner["run"]]
            of_view = tests[(tests[VIEW] == list(view)).all(axis=1)]
            row = {"question": question, "direction": direction, "metric": METRICS[question]}
            row |= {key: winner[key] for key in (*VIEW, "run", "mean", "low", "high", "seeds")}
            row |= {"level_with": ", ".join(others), "more_seeds": _more_seeds(of_view, others)}
            yield row | _cost(view, winner["run"], cost_of)


def _cost(view: tuple, run: str, cost_of: pd.DataFrame) -> dict[str, float]:
    key = (*view, run)
    return cost_of.loc[key].to_dict() if key in cost_of.index else {"seconds": float("nan"), "peak_host_mb": float("nan")}


def _more_seeds(tests: pd.DataFrame, others: list[str]) -> float:
    """Return how many more seeds would tell the best from all the others; NaN if no number would, or nothing is known of it.

    Holm's correction is over all pairs of runs; the least p of a family, which all of these would have to pass, is multiplied
    by their number.
    """
    with_best = tests[(tests["test"] == OVER_SEEDS) & tests["role"].astype(str).str.startswith(BEST)].set_index("run")
    runs = len(with_best) + 1
    needed = []
    for run in others:
        test = with_best.loc[run]
        spread = (float(test["high"]) - float(test["low"])) / 2 / t_quantile(test["n"]) * test["n"] ** 0.5
        needed.append(seeds_to_tell(float(test["effect"]), spread, runs * (runs - 1) // 2) - test["n"])
    return max(1.0, pd.Series(needed, dtype=float).max(skipna=False)) if needed else float("nan")


def _with_fastest(answers: pd.DataFrame, cost_of: pd.DataFrame) -> list[dict]:
    """Return the rows of a view, and that of the fastest run of those that they name."""
    rows = answers.to_dict("records")
    named = {run for row in rows for run in [row["run"], *filter(None, row["level_with"].split(", "))]}
    view = tuple(rows[0][key] for key in VIEW) if rows else ()
    timed = {run: cost for run in sorted(named) if pd.notna((cost := _cost(view, run, cost_of))["seconds"])}
    if timed:
        run = min(timed, key=lambda name: timed[name]["seconds"])
        names = dict(zip(VIEW, view, strict=True)) | {"question": SPEED, "direction": ALL_DIRECTIONS, "metric": "seconds"}
        rows.append(names | {"run": run, "level_with": ""} | timed[run])
    return rows
