"""What should not be read as a result: findings about the scores of models and baselines, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.files.scores import CellScores
from mosaicbench.stats.cells import cell_means
from mosaicbench.stats.common import ALL, GROUPS, HEADLINE, RUN, SPLIT, half_width, joined
from mosaicbench.stats.control_checks import failed_controls
from mosaicbench.stats.overall import METRICS
from mosaicbench.stats.score_scale import ends
from mosaicbench.stats.summary import seed_means

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

CHECK_COLUMNS = [*RUN, "check", "metric", "seeds", "message"]
STOPPED = "stopped by the budget"
TOLERANCE = 1e-9
NORM_RATIO = "latent_norm_ratio"
MOST_RATIO = 3.0  # of the lengths of two modalities' latents, before it is named
MARKS = {
    STOPPED: "⊣",
    "normalizations": "≠",
}  # gate -> sign of the runs that it names; every other gate forbids to recommend them


def sanity_checks(
    scores: pd.DataFrame,
    cells: Iterable[CellScores],
    run_metadata: RunMetadata,
    sizes: Mapping[tuple[str, str], tuple[int, int]],
) -> pd.DataFrame:
    """Return every finding, columns ``GATE_COLUMNS``, controls that are out of their place first; no rows when all is well.

    `sizes` are the train and query cells of each dataset and scenario.
    """
    controls = pd.DataFrame(failed_controls(scores, run_metadata, sizes), columns=CHECK_COLUMNS)
    parts = [
        controls,
        identical_seeds(scores, run_metadata),
        stopped_by_budget(scores),
        suspicious_scores(scores, cells, run_metadata),
    ]
    return joined([*parts, normalizations(scores, run_metadata)], CHECK_COLUMNS)


def in_words(findings: pd.DataFrame, label: Callable[[str], str] = str) -> str:
    """Return the findings of one gate about one run as one sentence, however many scores it is about.

    Parameters
    ----------
    findings
        Rows of :func:`sanity_checks` of one run and check.
    label
        Metric -> its name for a reader.
    """
    if len(findings) == 1:
        return findings["message"].iloc[0]
    first = findings.iloc[0]
    names = ", ".join(label(metric) for metric in findings["metric"])
    return f"in {len(findings)} scores ({names}); {label(first['metric'])}: {first['message']}"


def named_by_checks(findings: pd.DataFrame) -> dict[tuple[str, str], dict[str, str]]:
    """Return (dataset, scenario) -> run -> the checks that name it and forbid to recommend it: "chance, no number"."""
    forbidding = findings[~findings["check"].isin(list(MARKS))]
    names: dict[tuple[str, str], dict[str, str]] = {}
    for (dataset, scenario, run), of_run in forbidding.groupby(RUN, sort=False):
        names.setdefault((dataset, scenario), {})[run] = ", ".join(of_run["check"].unique())
    return names


def may_win(overall: pd.DataFrame, findings: pd.DataFrame) -> pd.Series:
    """Say of each row of a table of overall scores whether its run may be called the best.

    No gate but those of :data:`MARKS` may name it in any of the row's datasets, and in one question at least its score has to
    be above that of the trivial control.
    """
    barred = named_by_checks(findings)

    def may(line: pd.Series) -> bool:
        is_named = any(
            line["run"] in barred.get((name, line["scenario"]), ())
            for name in str(line["datasets"]).split(", ")
        )
        answered = [name for name in GROUPS if pd.notna(line[name])]
        below = str(line["not_above"] or "").split(", ") if pd.notna(line["not_above"]) else []
        return not is_named and bool(set(answered) - set(below))

    return pd.Series([may(line) for _, line in overall.iterrows()], index=overall.index, dtype=bool)


def signs_of(findings: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Return (dataset, scenario, run) -> the signs of :data:`MARKS` that it carries; over all datasets those of any."""
    marking = findings[findings["check"].isin(list(MARKS))]
    signs: dict[tuple[str, str, str], str] = {}
    for row in marking.drop_duplicates([*RUN, "check"]).itertuples():
        for dataset in (row.dataset, ALL):
            key = (dataset, row.scenario, row.run)
            signs[key] = "".join(dict.fromkeys(signs.get(key, "") + MARKS[row.check]))
    return signs


def identical_seeds(scores: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return one row per set of seeds of a run whose scores are identical in every metric but resources.

    Seeds drive the split, the initialisation and the minibatches, so equal results mean that a seed is not read or that a
    result was copied.
    """
    scored = run_metadata.competing(scores[scores["metric"] != "status"]).dropna(subset="value")
    scored = scored[scored["metric"].map(run_metadata.group) != "resources"]
    rows = []
    for names, of_run in scored.groupby(RUN, sort=False):
        seeds_of: dict[frozenset, list] = {}
        for seed, part in of_run.groupby("seed"):
            results = frozenset(
                zip(
                    part["metric"],
                    part["direction"],
                    part["normalization"],
                    part["value"],
                    strict=True,
                )
            )
            seeds_of.setdefault(results, []).append(seed)
        for results, seeds in seeds_of.items():
            if len(seeds) > 1:
                listed = _listed(seeds)
                message = f"seeds {listed} gave identical values in all {len(results)} scores: is the seed read, was a result copied?"
                rows.append([*names, "identical seeds", "all", listed, message])
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


def stopped_by_budget(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run of which any seed was still improving when its epochs were used up."""
    stopped = scores[(scores["metric"] == "stopped_by_budget") & (scores["value"] == 1)]
    rows = []
    for names, of_run in stopped.groupby(RUN, sort=False):
        message = "training reached max_epochs before its validation cost had levelled off: raise max_epochs of `training`"
        rows.append([*names, STOPPED, "stopped_by_budget", _listed(of_run["seed"]), message])
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


def suspicious_scores(
    scores: pd.DataFrame, cells: Iterable[CellScores], run_metadata: RunMetadata
) -> pd.DataFrame:
    """Return one row per run and metric whose scores are suspicious.

    "chance": a headline score that cannot be told from chance, or from the strongest negative control, in at least one seed.
    Each seed is asked on its own, so that few seeds raise no alarm: where single cells have scores, whether the mean gain over
    the same cells is above 0 (95 % t interval over cells); else whether the seed's score is better at all.
    "perfect": a score as good as can be, which real data do not allow: were both modalities read from one file? "impossible": a
    score outside its metric's bounds. "no number": a run that ended well but has none.
    """
    cells_of = {(run.dataset, run.scenario, run.run): run for run in cells}
    rows = [*_impossible(scores, run_metadata), *_chance_or_perfect(scores, cells_of, run_metadata)]
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


def normalizations(scores: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return one row per run whose latents are more than three times as long in one modality as in another, with any seed."""
    ratios = run_metadata.competing(
        scores[(scores["metric"] == NORM_RATIO) & (scores["value"] > MOST_RATIO)]
    )
    rows = []
    for names, of_run in ratios.groupby(RUN, sort=False):
        worst = of_run.loc[of_run["value"].idxmax()]
        message = (
            f"latents are up to {worst['value']:.3g} times as long in one modality as in the other ({worst['direction']}): "
            "Euclidean scores compare scales as much as cells, so read those by cosine distance beside them"
        )
        rows.append(
            [*names, "normalizations", NORM_RATIO, _listed(sorted(set(of_run["seed"]))), message]
        )
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


def _impossible(scores: pd.DataFrame, run_metadata: RunMetadata) -> Iterable[dict]:
    competing = run_metadata.competing(scores[scores["metric"] != "status"])
    for (*names, metric), group in competing.groupby([*RUN, "metric"], sort=False):
        low, high = run_metadata.bounds(metric)
        values, seeds = group["value"].to_numpy(), group["seed"].to_numpy()
        outside = (values < low - TOLERANCE) | (values > high + TOLERANCE)
        absent = np.isnan(values) & run_metadata.is_quality(metric)
        row = dict(zip(RUN, names, strict=True)) | {"metric": metric}
        if outside.any():
            worst = ", ".join(f"{value:.6g}" for value in pd.unique(values[outside])[:3])
            message = (
                f"{worst} is outside the bounds {low} to {high}: is the metric or its input wrong?"
            )
            yield row | {
                "check": "impossible",
                "seeds": _listed(seeds[outside]),
                "message": message,
            }
        if absent.any():
            message = "the run ended well, but the score is not a number"
            yield row | {"check": "no number", "seeds": _listed(seeds[absent]), "message": message}


def _chance_or_perfect(
    scores: pd.DataFrame, cells_of: Mapping[tuple, CellScores], run_metadata: RunMetadata
) -> Iterable[dict]:
    means = seed_means(scores).dropna(subset="value")
    tested = [
        metric
        for metric in run_metadata.qualities(means["metric"])
        if metric in {*HEADLINE, *METRICS}
    ]
    for (*split, metric), group in means[means["metric"].isin(tested)].groupby(
        [*SPLIT, "metric"], sort=False
    ):
        table = group.pivot(index="seed", columns="run", values="value")  # (seeds, runs)
        scale = ends(table.mean(), metric, run_metadata)
        best = run_metadata.best(metric)
        for run in filter(run_metadata.competes, table):
            values = table[run].dropna()
            row = dict(zip(SPLIT, split, strict=True)) | {"run": run, "metric": metric}
            perfect = values[values == best]
            if len(perfect):
                message = f"exactly {best:g}, the best possible: were both modalities read from one file, or the solution seen?"
                yield row | {
                    "check": "perfect",
                    "seeds": _listed(perfect.index),
                    "message": message,
                }
            sides = [cells_of.get((*split, name)) for name in (run, scale["zero_is"])]
            if found := _seeds_at_chance(
                table, run, metric, scale, sides, run_metadata.sign(metric)
            ):
                yield row | {
                    "check": "chance",
                    "seeds": _listed(found),
                    "message": _at_chance(table[run], found, scale),
                }


def _seeds_at_chance(
    table: pd.DataFrame,
    run: str,
    metric: str,
    scale: dict,
    sides: list[CellScores | None],
    sign: float,
) -> list[int]:
    """Return the seeds in which a run cannot be told from chance, or from the control at 0.

    Parameters
    ----------
    table
        (seeds, runs), means over directions.
    run, metric, scale
        What is asked of which run, and what chance is: ``scale.ends``.
    sides
        The scores of single cells of the run and of the control; None where there are none.
    sign
        What makes more better.
    """
    is_control = scale["zero_is"] in table
    zero = table[scale["zero_is"]] if is_control else pd.Series(scale["zero"], index=table.index)
    gains = (sign * (table[run] - zero)).dropna()
    own, other = (cell_means(side, metric, gains.index) for side in sides)
    found = []
    for seed, gain in gains.items():
        lower = gain
        if own and (other or not is_control):
            by_cell = sign * (own[seed] - (other[seed] if is_control else zero[seed]))
            by_cell = by_cell[~np.isnan(by_cell)]
            lower = by_cell.mean() - half_width(by_cell) if len(by_cell) > 1 else gain
        if not lower > 0:
            found.append(seed)
    return found


def _at_chance(values: pd.Series, seeds: list[int], scale: dict) -> str:
    """Return in words that a run is at chance, in all seeds or in some; `values` are those of every seed."""
    is_run = scale["zero_is"] not in ("chance", "")
    zero = f"the control {scale['zero_is']}" if is_run else "chance"
    if len(seeds) == values.notna().sum():
        return f"{values.mean():.3f}, no better than {zero} ({scale['zero']:.3f}) in any seed"
    named = ", ".join(f"{seed} ({values[seed]:.3f})" for seed in seeds)
    return f"no better than {zero} ({scale['zero']:.3f}) in seed{'s' if len(seeds) > 1 else ''} {named}"


def _listed(seeds: Iterable[object]) -> str:
    return ", ".join(str(seed) for seed in dict.fromkeys(seeds))
