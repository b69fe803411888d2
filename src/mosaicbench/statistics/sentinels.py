"""What should not be read as a result: findings about the scores of models and baselines, one row each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.statistics.common import HEADLINE, RUN, VIEW, half_width, joined
from mosaicbench.statistics.overall import METRICS
from mosaicbench.statistics.scale import ends
from mosaicbench.statistics.summary import seed_means

if TYPE_CHECKING:
    from mosaicbench.report.roster import Roster

GATE_COLUMNS = [*RUN, "gate", "metric", "seeds", "message"]
TOLERANCE = 1e-9


def gates(scores: pd.DataFrame, roster: Roster) -> pd.DataFrame:
    """Return every finding, columns ``GATE_COLUMNS``; no rows when all is well."""
    return joined([identical_seeds(scores, roster), suspicious_scores(scores, roster)], GATE_COLUMNS)


def identical_seeds(scores: pd.DataFrame, roster: Roster) -> pd.DataFrame:
    """Return one row per set of seeds of a run whose scores are identical in every metric but resources.

    Seeds drive the split, the initialisation and the minibatches, so equal results mean that a seed is not read or that a
    result was copied.
    """
    scored = roster.competing(scores[scores["metric"] != "status"]).dropna(subset="value")
    scored = scored[scored["metric"].map(roster.group) != "resources"]
    rows = []
    for names, of_run in scored.groupby(RUN, sort=False):
        seeds_of: dict[frozenset, list] = {}
        for seed, part in of_run.groupby("seed"):
            results = frozenset(zip(part["metric"], part["direction"], part["space"], part["value"], strict=True))
            seeds_of.setdefault(results, []).append(seed)
        for results, seeds in seeds_of.items():
            if len(seeds) > 1:
                listed = _listed(seeds)
                message = (
                    f"seeds {listed} gave identical values in all {len(results)} scores: is the seed read, was a result copied?"
                )
                rows.append([*names, "identical seeds", "all", listed, message])
    return pd.DataFrame(rows, columns=GATE_COLUMNS)


def suspicious_scores(scores: pd.DataFrame, roster: Roster) -> pd.DataFrame:
    """Return one row per run and metric whose scores are suspicious.

    "chance": a headline score that cannot be told from chance, or from the strongest negative control on the same seeds (95 %
    interval of the gain, t over seeds). "perfect": a score as good as can be, which real data do not allow: were both
    modalities read from one file? "impossible": a score outside its metric's bounds. "no number": a run that ended well but
    has none.
    """
    return pd.DataFrame([*_impossible(scores, roster), *_chance_or_perfect(scores, roster)], columns=GATE_COLUMNS)


def _impossible(scores: pd.DataFrame, roster: Roster) -> Iterable[dict]:
    competing = roster.competing(scores[scores["metric"] != "status"])
    for (*names, metric), group in competing.groupby([*RUN, "metric"], sort=False):
        low, high = roster.bounds(metric)
        outside = group[(group["value"] < low - TOLERANCE) | (group["value"] > high + TOLERANCE)]
        absent = group[group["value"].isna()] if roster.is_quality(metric) else group.iloc[:0]
        row = dict(zip(RUN, names, strict=True)) | {"metric": metric}
        if len(outside):
            worst = ", ".join(f"{value:.6g}" for value in outside["value"].unique()[:3])
            message = f"{worst} is outside the bounds {low} to {high}: is the metric or its input wrong?"
            yield row | {"gate": "impossible", "seeds": _listed(outside["seed"]), "message": message}
        if len(absent):
            message = "the run ended well, but the score is not a number"
            yield row | {"gate": "no number", "seeds": _listed(absent["seed"]), "message": message}


def _chance_or_perfect(scores: pd.DataFrame, roster: Roster) -> Iterable[dict]:
    means = seed_means(scores).dropna(subset="value")
    tested = [metric for metric in roster.qualities(means["metric"]) if metric in {*HEADLINE, *METRICS}]
    for (*view, metric), group in means[means["metric"].isin(tested)].groupby([*VIEW, "metric"], sort=False):
        table = group.pivot(index="seed", columns="run", values="value")  # (seeds, runs)
        scale = ends(table.mean(), metric, roster)
        best = roster.best(metric)
        for run in filter(roster.competes, table):
            values = table[run].dropna()
            row = dict(zip(VIEW, view, strict=True)) | {"run": run, "metric": metric}
            perfect = values[values == best]
            if len(perfect):
                message = f"exactly {best:g}, the best possible: were both modalities read from one file, or the solution seen?"
                yield row | {"gate": "perfect", "seeds": _listed(perfect.index), "message": message}
            if message := _no_better_than_chance(table, run, scale, roster.sign(metric)):
                yield row | {"gate": "chance", "seeds": _listed(values.index), "message": message}


def _no_better_than_chance(table: pd.DataFrame, run: str, scale: dict, sign: float) -> str:
    """Return a sentence about a run whose gain over chance, or over the control at 0, may be none; else ""."""
    is_control = scale["zero_is"] in table
    zero = table[scale["zero_is"]] if is_control else scale["zero"]
    gain = (sign * (table[run] - zero)).dropna().to_numpy()
    if not len(gain) or _lower_end(gain) > 0:
        return ""
    seeds = f"{len(gain)} seed{'s' if len(gain) > 1 else ''}"
    zero_is = f"the control {scale['zero_is']}" if is_control else "chance"
    return f"{table[run].mean():.3f} over {seeds} cannot be told from {zero_is} ({scale['zero']:.3f})"


def _lower_end(x: np.ndarray) -> float:
    """Return the lower end of the 95 % t interval of a mean; of one value, the value."""
    return float(x.mean() - (half_width(x) if len(x) > 1 else 0.0))


def _listed(seeds: Iterable[object]) -> str:
    return ", ".join(str(seed) for seed in dict.fromkeys(seeds))
