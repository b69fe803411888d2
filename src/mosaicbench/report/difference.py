"""Two benchmarks side by side: which scores differ by more than their intervals allow, and what else is not the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from mosaicbench.report.records import distinct
from mosaicbench.report.tables import NOT_GIVEN, RESOURCES, RUN, Cards

KEYS = [*RUN, "metric"]
MEASURES = ["mean", "low", "high", "interval", "seeds"]
SCORE_COLUMNS = [*KEYS, "change", "difference"]
SCORE_COLUMNS += [f"{measure}_{side}" for side in ("a", "b") for measure in MEASURES]
STATUS_COLUMNS = [*RUN, "seed", "status_a", "status_b", "message_a", "message_b"]
FACT_COLUMNS = ["what", "a", "b"]
BETTER, WORSE, BEYOND = "better", "worse", "beyond"
WITHIN, SAME, NO_INTERVAL, ONLY_A, ONLY_B = "within", "same", "no interval", "only in A", "only in B"
CHANGES = {
    BETTER: "B is better, and the 95 % intervals do not meet",
    WORSE: "B is worse, and the 95 % intervals do not meet",
    BEYOND: "the 95 % intervals do not meet; the metric has no better side",
    WITHIN: "the 95 % intervals meet",
    NO_INTERVAL: "the means differ, and one of them has no interval, for want of seeds",
    SAME: "the same mean to the last digit",
    ONLY_A: "B has no such score",
    ONLY_B: "A has no such score",
}


def scores(a: pd.DataFrame, b: pd.DataFrame, cards: Cards) -> pd.DataFrame:
    """Return one row per score of two benchmarks: what changed beyond its intervals first, time and memory last.

    That two 95 % intervals do not meet is a stricter demand than that the difference's interval leaves out zero; where
    they meet, nothing is claimed.

    Parameters
    ----------
    a, b
        Columns ``tables.HEADLINE_COLUMNS``.
    cards
        room -> id -> card; of "metrics", `better` is read.

    Returns
    -------
    pandas.DataFrame
        Columns ``SCORE_COLUMNS``; `difference` is b less a, `change` a key of ``CHANGES``.
    """
    both = a[[*KEYS, *MEASURES]].merge(b[[*KEYS, *MEASURES]], on=KEYS, how="outer", suffixes=("_a", "_b"), sort=False)
    both["difference"] = both["mean_b"] - both["mean_a"]
    apart = (both["low_a"] > both["high_b"]) | (both["low_b"] > both["high_a"])
    unknown = both[["low_a", "low_b"]].isna().any(axis=1)
    sign = both["metric"].map(lambda name: {"lower": -1, "higher": 1}.get(cards["metrics"].get(name, {}).get("better"), 0))
    gain = both["difference"] * sign.astype(float)
    chosen = [both["mean_b"].isna(), both["mean_a"].isna(), both["difference"] == 0, unknown, ~apart, gain > 0, gain < 0]
    names = [ONLY_A, ONLY_B, SAME, NO_INTERVAL, WITHIN, BETTER, WORSE]
    both["change"] = np.select(chosen, names, default=BEYOND) if len(both) else ""
    places = {"cost": both["metric"].isin(RESOURCES), "place": both["change"].map(list(CHANGES).index)}
    order = both.assign(**places, size=-both["difference"].abs()).sort_values([*places, "size"], kind="stable")
    return both.loc[order.index, SCORE_COLUMNS].reset_index(drop=True)


def statuses(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Return one row per fit that both have, and that ended otherwise in B.

    Parameters
    ----------
    a, b
        Columns ``tables.RUN_COLUMNS``.
    """
    keys = [*RUN, "seed"]
    shown = [*keys, "status", "message"]
    both = a[shown].merge(b[shown], on=keys, suffixes=("_a", "_b"))
    return both.loc[both["status_a"] != both["status_b"], STATUS_COLUMNS].reset_index(drop=True)


def fits_of_one(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run of which one benchmark has seeds that the other lacks.

    Returns
    -------
    pandas.DataFrame
        Columns: dataset, scenario, run, seeds_a, seeds_b; the seeds that only that one has, as text.
    """
    keys = [*RUN, "seed"]
    both = a[a["seed"].notna()][keys].merge(b[b["seed"].notna()][keys], on=keys, how="outer", indicator="side")
    rows = []
    for names, group in both[both["side"] != "both"].groupby(RUN, sort=False):
        seeds = {side: ", ".join(map(str, group.loc[group["side"] == f"{side}_only", "seed"])) for side in ("left", "right")}
        rows.append([*names, seeds["left"], seeds["right"]])
    return pd.DataFrame(rows, columns=[*RUN, "seeds_a", "seeds_b"])


def facts(a: Mapping, b: Mapping) -> pd.DataFrame:
    """Return one row per value that two nested mappings do not share; its place is written ``runs.mvae.beta``.

    Returns
    -------
    pandas.DataFrame
        Columns ``FACT_COLUMNS``; values as JSON, "–" where there is none.
    """
    flat_a, flat_b = dict(_flat(a)), dict(_flat(b))
    places = [place for place in dict.fromkeys([*flat_a, *flat_b]) if flat_a.get(place) != flat_b.get(place)]
    rows = [[place, flat_a.get(place, NOT_GIVEN), flat_b.get(place, NOT_GIVEN)] for place in places]
    return pd.DataFrame(rows, columns=FACT_COLUMNS)


def circumstances(records: Sequence[Mapping]) -> dict[str, str]:
    """Return what the fits of a benchmark were made with: commit, device, machine and versions."""
    found: dict[str, list[str]] = {}
    for record in records:
        known = {"commit": record["git_commit"], "device": record["device"], "threads": record["threads"]}
        for part in ("hardware", "arithmetic", "versions"):
            known |= record.get(part) or {}
        for name, value in known.items():
            found.setdefault(name, []).append(str(value))
    return {name: distinct(values, none=NOT_GIVEN) for name, values in found.items()}


def _flat(value: object, place: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, entry in value.items():
            yield from _flat(entry, f"{place}.{name}" if place else str(name))
    else:
        yield place, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
