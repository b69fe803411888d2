"""Sanity checks: findings about scores that should not be read as a result, one row each."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files.datasheet import FEWEST_QUERY
from mosaicbench.files.scores import CellScores
from mosaicbench.stats.common import ALL, HEADLINE, RUN, SPLIT, Sizes, half_width, joined
from mosaicbench.stats.intervals import cell_means
from mosaicbench.stats.means import seed_means
from mosaicbench.stats.overall import METRICS, ends

CHECK_COLUMNS = [*RUN, "check", "metric", "seeds", "message"]
CONTROL, STOPPED, SCALES = "control", "stopped by the budget", "scales"  # names of checks
MARKS = {STOPPED: "⊣", SCALES: "≠"}  # check -> sign of a run; any other check forbids to recommend
EVERY_RUN = "all runs"  # named by a check of a whole split
TOLERANCE = 1e-9
NORM_RATIO = "latent_norm_ratio"
MOST_RATIO = 3.0  # of the lengths of two modalities' latents

# control -> the groups of metrics in which it has no information, and the property by which cards
# say that such an answer scores chance: `exempt_from` excludes metrics of which that is not true.
WITHOUT_INFORMATION = {
    "shuffled": (("alignment", "imputation"), "shuffled_is_chance"),
    "random_latent": (("alignment",), "shuffled_is_chance"),
    "constant": (("alignment",), "shuffled_is_chance"),
    "train_mean": (("imputation",), "train_mean_is_chance"),
}
OF_ORACLE = ("alignment", "imputation")  # groups in which the oracle gives the answer itself
NOT_OF_ORACLE = "imputation_auroc_per_peak"  # the oracle has principal components, not peaks
FROM_BEST = 0.02  # what indistinguishable cells may take from the oracle
CELLS = 100  # where the number is unknown
ERRORS = 4  # standard errors by which chance may move a control
REMEDY = "the control, the metric or the scoring is wrong, so read no score of this metric here"

RATIO = re.compile(r"query values vary (\S+) times as much as train values")  # of audit.tsv
# Ratios of the embedded and simulated sets: 0.78 to 1.23; of peaks fitted in sample: 0.09 to 0.66.
LOW, HIGH = 2 / 3, 3 / 2


def sanity_checks(
    scores: pd.DataFrame,
    cells: Iterable[CellScores],
    run_metadata: RunMetadata,
    sizes: Sizes,
) -> pd.DataFrame:
    """Return every finding, columns `CHECK_COLUMNS`; those about controls come first.

    `sizes` are the train and query cells of each dataset and scenario.
    """
    rows = [
        *failed_controls(scores, run_metadata, sizes),
        *identical_seeds(scores, run_metadata),
        *stopped_by_budget(scores),
        *impossible_scores(scores, run_metadata),
        *chance_or_perfect(scores, cells, run_metadata),
        *different_scales(scores, run_metadata),
    ]
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


# --- what findings mean for a run ---


def in_words(findings: pd.DataFrame, label: Callable[[str], str] = str) -> str:
    """Return the findings of one check about one run as one sentence, with the label of metrics."""
    first, labels = findings.iloc[0], findings["metric"].map(label)
    if first["metric"] == "all":
        return "; ".join(findings["message"].unique())
    sentence = f"{labels.iloc[0]}: {first['message']}"
    several = f"in {len(labels)} scores ({', '.join(labels)}); "
    return several + sentence if len(labels) > 1 else sentence


def named_by_checks(findings: pd.DataFrame) -> dict[tuple[str, str], dict[str, str]]:
    """Return (dataset, scenario) -> run -> the checks that forbid to recommend it, as text."""
    forbidding = findings[~findings["check"].isin(list(MARKS))]
    names = defaultdict(dict)
    for (*split, run), checks in forbidding.groupby(RUN, sort=False)["check"]:
        names[tuple(split)][run] = ", ".join(checks.unique())
    return names


def signs_of(findings: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Return (dataset, scenario, run) -> its signs of `MARKS`, also over all datasets."""
    signs = findings.assign(sign=findings["check"].map(MARKS)).dropna(subset="sign")
    signs = pd.concat([signs, signs.assign(dataset=ALL)])
    return signs.drop_duplicates([*RUN, "sign"]).groupby(RUN)["sign"].agg("".join).to_dict()


# --- checks ---


def failed_controls(
    scores: pd.DataFrame, run_metadata: RunMetadata, sizes: Sizes
) -> Iterator[list]:
    """Yield a finding per control and metric that is not where theory puts it.

    A negative control scores the chance of the metric's card, or no better if the card exempts it,
    within four standard errors of ``0.5 / sqrt(query cells in all seeds)``. The oracle scores the
    best value.
    """
    means = seed_means(scores).dropna(subset="value")
    for (*names, metric), group in means.groupby([*RUN, "metric"], sort=False):
        cells = sizes.get(tuple(names[:2]), (0, CELLS))[1]
        allowed = ERRORS * 0.5 / math.sqrt(cells * len(group))
        if message := _fault(run_metadata, names[2], metric, group["value"].mean(), allowed):
            yield [*names, CONTROL, metric, _listed(group["seed"]), message]


def _fault(run_metadata: RunMetadata, run: str, metric: str, value: float, allowed: float) -> str:
    method, group = run_metadata.method(run), run_metadata.group(metric)
    exempt = run_metadata.metric(metric).get("exempt_from", {})
    best, chance = run_metadata.best(metric), run_metadata.chance(metric)
    if method == "oracle" and group in OF_ORACLE and metric != NOT_OF_ORACLE:
        if "perfect_is_best" in exempt or not abs(value - best) > FROM_BEST:  # best may be NaN
            return ""
        expected = f"knows the solution and has to be best, {best:g}"
        return f"{value:.3f}, but this control {expected}; {REMEDY}"
    groups, scores_chance = WITHOUT_INFORMATION.get(method, ((), ""))
    if group not in groups:
        return ""
    if scores_chance not in exempt and abs(value - chance) > allowed:
        place = "at chance"
    elif method == "shuffled" and run_metadata.sign(metric) * (value - chance) > allowed:
        place = "no better than chance"
    else:
        return ""
    expected = f"knows nothing of a cell and has to be {place}, {chance:g} (within {allowed:.3f})"
    return f"{value:.3f}, but this control {expected}; {REMEDY}"


def identical_seeds(scores: pd.DataFrame, run_metadata: RunMetadata) -> Iterator[list]:
    """Yield a finding per set of seeds of a run with identical scores in all but resources."""
    scored = run_metadata.competing(scores[scores["metric"] != "status"]).dropna(subset="value")
    scored = scored[scored["metric"].map(run_metadata.group) != "resources"]
    score = ["metric", "direction", "normalization"]
    by_seed = scored.pivot(index=[*RUN, "seed"], columns=score, values="value")
    values = list(range(by_seed.shape[1]))
    by_seed = by_seed.set_axis(values, axis="columns").reset_index()
    keys = [*RUN, *values]
    by_seed = by_seed[by_seed.duplicated(keys, keep=False)]
    for names, alike in by_seed.groupby(keys, sort=False, dropna=False):
        message = (
            f"seeds {_listed(alike['seed'])} gave identical values in all "
            f"{alike[values].iloc[0].count()} scores: is the seed read, was a result copied?"
        )
        yield [*names[: len(RUN)], "identical seeds", "all", _listed(alike["seed"]), message]


def stopped_by_budget(scores: pd.DataFrame) -> Iterator[list]:
    """Yield a finding per run that was still improving, with any seed, after its last epoch."""
    stopped = scores[(scores["metric"] == "stopped_by_budget") & (scores["value"] == 1)]
    message = (
        "training reached max_epochs before its validation loss had levelled off: raise "
        "max_epochs of `training`"
    )
    for names, of_run in stopped.groupby(RUN, sort=False):
        yield [*names, STOPPED, "stopped_by_budget", _listed(of_run["seed"]), message]


def impossible_scores(scores: pd.DataFrame, run_metadata: RunMetadata) -> Iterator[list]:
    """Yield a finding per run and metric with a score outside its bounds, or without one."""
    applies = (scores["metric"] != "status") & (scores["status"] != "not_applicable")
    competing = run_metadata.competing(scores[applies])
    for (*names, metric), group in competing.groupby([*RUN, "metric"], sort=False):
        low, high = run_metadata.bounds(metric)
        values, seeds = group["value"].to_numpy(), group["seed"].to_numpy()
        outside = (values < low - TOLERANCE) | (values > high + TOLERANCE)
        absent = np.isnan(values) & run_metadata.is_quality(metric)
        if outside.any():
            worst = ", ".join(f"{value:.6g}" for value in pd.unique(values[outside])[:3])
            message = (
                f"{worst} is outside the bounds {low} to {high}: is the metric or its input wrong?"
            )
            yield [*names, "impossible", metric, _listed(seeds[outside]), message]
        if absent.any():
            message = "the run ended well, but the score is not a number"
            yield [*names, "no number", metric, _listed(seeds[absent]), message]


def chance_or_perfect(
    scores: pd.DataFrame, cells: Iterable[CellScores], run_metadata: RunMetadata
) -> Iterator[list]:
    """Yield a finding per run and metric whose scores are perfect, or no better than chance.

    "chance": in at least one seed, a score is not above chance, or the strongest negative control;
    where single cells have scores, the 95 % t interval of their mean gain must be above 0.
    """
    cells_of = {(run.dataset, run.scenario, run.run): run for run in cells}
    means = seed_means(scores).dropna(subset="value")
    tested = means["metric"].map(run_metadata.is_quality).astype(bool)
    tested &= means["metric"].isin([*HEADLINE, *METRICS])
    for (*split, metric), group in means[tested].groupby([*SPLIT, "metric"], sort=False):
        table = group.pivot(index="seed", columns="run", values="value")  # (seeds, runs)
        scale = ends(table.mean(), metric, run_metadata)
        best = run_metadata.best(metric)
        for run in filter(run_metadata.competes, table):
            perfect = table.index[table[run] == best]
            if len(perfect):
                message = (
                    f"exactly {best:g}, the best possible: were both modalities read from one "
                    "file, or the solution seen?"
                )
                yield [*split, run, "perfect", metric, _listed(perfect), message]
            sides = [cells_of.get((*split, name)) for name in (run, scale["zero_is"])]
            sign = run_metadata.sign(metric)
            if seeds := _seeds_at_chance(table, run, metric, scale, sides, sign):
                message = _at_chance(table[run].dropna(), seeds, scale)
                yield [*split, run, "chance", metric, _listed(seeds), message]


def _seeds_at_chance(
    table: pd.DataFrame,
    run: str,
    metric: str,
    scale: dict,
    sides: list[CellScores | None],
    sign: float,
) -> list[int]:
    zero = table.get(scale["zero_is"], pd.Series(scale["zero"], table.index))
    gains = (sign * (table[run] - zero)).dropna()
    of_run, of_zero = (cell_means(side, metric, gains.index) for side in sides)
    if scale["zero_is"] not in table:
        of_zero = zero
    seeds = []
    for seed, gain in gains.items():
        if of_run and len(of_zero):
            by_cell = sign * (of_run[seed] - of_zero[seed])
            by_cell = by_cell[~np.isnan(by_cell)]
            if len(by_cell) > 1:
                gain = by_cell.mean() - half_width(by_cell)
        if not gain > 0:
            seeds.append(seed)
    return seeds


def _at_chance(values: pd.Series, seeds: list[int], scale: dict) -> str:
    is_control = scale["zero_is"] not in ("chance", "")
    zero = f"the control {scale['zero_is']}" if is_control else "chance"
    zero = f"no better than {zero} ({scale['zero']:.3f})"
    if len(seeds) == len(values):
        return f"{values.mean():.3f}, {zero} in any seed"
    named = ", ".join(f"{seed} ({values[seed]:.3f})" for seed in seeds)
    return f"{zero} in {'seeds' if len(seeds) > 1 else 'seed'} {named}"


def different_scales(scores: pd.DataFrame, run_metadata: RunMetadata) -> Iterator[list]:
    """Yield a finding per run whose latents are over three times as long in one modality."""
    ratios = scores[(scores["metric"] == NORM_RATIO) & (scores["value"] > MOST_RATIO)]
    for names, of_run in run_metadata.competing(ratios).groupby(RUN, sort=False):
        worst = of_run.loc[of_run["value"].idxmax()]
        message = (
            f"latents are up to {worst['value']:.3g} times as long in one modality as in the other "
            f"({worst['direction']}): Euclidean scores compare scales as much as cells, so read "
            "those by cosine distance beside them"
        )
        yield [*names, SCALES, NORM_RATIO, _listed(sorted(of_run["seed"])), message]


def faults_of_splits(audits: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return a row per modality of a split with few query cells, another scale, or a leak.

    "scale": in at least one seed, query values vary less than `LOW` or more than `HIGH` times as
    much as train values. "leak": a transform was fitted on query cells, too. `audits` are
    ``audit.tsv``.
    """
    rows = []
    whole = joined(list(audits), [*SPLIT, "seed", "modality", "role", "what", "cells"])
    for (*split, modality), audit in whole.groupby([*SPLIT, "modality"], sort=False):
        scale = audit[audit["role"] == "scale"].set_index("seed")
        few = scale["cells"][scale["cells"] < FEWEST_QUERY]
        if len(few):
            message = (
                f"the query has only {few.min()} cells of {modality}, fewer than {FEWEST_QUERY}, so "
                "scores are mostly noise: use more cells, a larger query_fraction or more groups"
            )
            rows.append([*split, EVERY_RUN, "few cells", "all", _listed(few.index), message])
        ratios = scale["what"].str.extract(RATIO)[0].astype(float)
        outside = ratios[(ratios < LOW) | (ratios > HIGH)]
        if len(outside):
            low, high = f"{outside.min():.2f}", f"{outside.max():.2f}"
            message = (
                f"query values of {modality} vary {low if low == high else f'{low} to {high}'} "
                "times as much as train values, so methods meet what they were not trained on: was "
                "a transform fitted in sample (`out_of_fold: false`), or are query cells of "
                "another depth?"
            )
            rows.append([*split, EVERY_RUN, "scale", "all", _listed(outside.index), message])
        leaks = audit[audit["role"] == "fit on all"]
        if len(leaks):
            message = (
                f"of {modality}, {_listed(leaks['what'])} were fitted on query cells, too "
                "(`fit_on: all`): scores are not of new cells"
            )
            rows.append([*split, EVERY_RUN, "leak", "all", _listed(leaks["seed"]), message])
    return pd.DataFrame(rows, columns=CHECK_COLUMNS)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in dict.fromkeys(values))
