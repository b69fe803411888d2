"""The gains of tuning: trials in order, tuned runs against their defaults, agreement of datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.files.trials import COLUMNS
from mosaicbench.stats.common import ALL, CONTESTS, RUN, SPLIT, joined
from mosaicbench.stats.intervals import over_datasets
from mosaicbench.stats.means import complete_seed_means
from mosaicbench.stats.paired import over_splits

TRIAL_COLUMNS = [*RUN, "seed", "trial", "status", "objective", "best_so_far"]
TRIAL_COLUMNS += ["seconds", "cpu_seconds", "cpu_hours", "settings"]
GAIN_COLUMNS = [*RUN, "against", "metric", "default", "tuned", "effect", "low", "high", "p"]
GAIN_COLUMNS += ["better", "seeds", "note"]
SETTING_COLUMNS = ["scenario", "run", "hyperparameter", "dataset", "seed", "default", "found"]
SETTING_COLUMNS += ["agree"]
AGREE = {
    "higher": "higher than the default",
    "lower": "lower than the default",
    "other": "the same other choice",
    "default": "the default",
    "": "the datasets do not agree",
}


def trials_table(searches: Sequence[tuple[Mapping, pd.DataFrame]]) -> pd.DataFrame:
    """Return every trial, with the best objective and the CPU hours up to it.

    `searches` are (``best.json``, ``trials.tsv``) of each. `settings` has all searched values,
    "latent 33; beta 0.51".
    """
    parts = []
    for best, trials in searches:
        searched = [column for column in trials if column not in COLUMNS]
        parts.append(
            trials.assign(
                **{column: best[column] for column in (*RUN, "seed")},
                best_so_far=trials["objective"].astype(float).cummax().ffill(),
                cpu_hours=trials["cpu_seconds"].cumsum() / 3600,
                settings=[in_words(row) for row in trials[searched].to_dict("records")],
            )
        )
    return joined(parts, TRIAL_COLUMNS)


def gains(
    scores: pd.DataFrame, tuned: Mapping[str, str], run_metadata: RunMetadata
) -> pd.DataFrame:
    """Return the gain of each tuned run on its defaults, per split and score, and over datasets.

    `tuned` is tuned run -> the run with the defaults. `effect` is the mean over seeds of the former
    less that of the latter, with the 95 % interval of a paired t. `better` is "tuned", "default" or,
    where the interval includes 0, "neither". Dataset "(all)" is the mean over datasets, if several.
    """
    means = complete_seed_means(scores)
    means = means[means["metric"].isin(CONTESTS)]
    rows = []
    for (*split, metric), group in means.groupby([*SPLIT, "metric"], sort=False):
        table = group.pivot(index="seed", columns="run", values="value")  # (seeds, runs)
        for run, against in tuned.items():
            if {run, against} <= set(table):
                both = table[[run, against]].dropna()
                by_seed = (both[run] - both[against]).to_numpy()
                row = dict(zip(RUN, [*split, run], strict=True)) | over_splits(by_seed)
                row |= {"against": against, "metric": metric, "seeds": len(both)}
                row |= {"tuned": both[run].mean(), "default": both[against].mean()}
                rows.append(row | {"by_seed": by_seed})
    of_splits = pd.DataFrame(rows, columns=[*GAIN_COLUMNS, "by_seed"])
    table = joined([of_splits, _over_all_datasets(of_splits)], GAIN_COLUMNS)
    low, high = table["low"].astype(float), table["high"].astype(float)
    signed = table["metric"].map(run_metadata.sign).astype(float) * low
    better = np.select([~((low > 0) | (high < 0)), signed > 0], ["neither", "tuned"], "default")
    return table.assign(better=better.astype(object))


def _over_all_datasets(of_splits: pd.DataFrame) -> pd.DataFrame:
    rows = []
    keys = ["scenario", "run", "against", "metric"]
    for names, group in of_splits.groupby(keys, sort=False):
        scored = group[group["seeds"] > 0]
        if len(scored) < 2:
            continue
        by_dataset = {row.dataset: row.by_seed[:, None] for row in scored.itertuples()}
        (low,), (high,), interval = over_datasets(by_dataset)
        means = group[["tuned", "default", "effect"]].astype(float).mean()
        row = dict(zip(keys, names, strict=True)) | means.to_dict()
        row |= {"low": low, "high": high, "seeds": scored["seeds"].min(), "note": interval}
        rows.append(row | {"dataset": ALL})
    return pd.DataFrame(rows, columns=GAIN_COLUMNS)


def settings(searches: Sequence[tuple[Mapping, pd.DataFrame]]) -> pd.DataFrame:
    """Return the best settings, and how the datasets of a scenario agree on them.

    `agree` is a key of `AGREE`, "" also with one search only.
    """
    rows = []
    for best, trials in searches:
        for name, default in trials.iloc[0].drop(COLUMNS, errors="ignore").items():
            default = None if pd.isna(default) else default
            value = best["hyperparameters"].get(name, default)
            names = [best["scenario"], best["run"], name, best["dataset"], best["seed"]]
            rows.append([*names, default, value, _side(default, value)])
    table = pd.DataFrame(rows, columns=SETTING_COLUMNS, dtype=object)
    sides = table.groupby(["scenario", "run", "hyperparameter"], sort=False)["agree"]
    several = (sides.transform("size") > 1) & (sides.transform("nunique") == 1)
    return table.assign(agree=table["agree"].where(several, ""))


def _side(default: object, value: object) -> str:
    if value == default:
        return "default"
    if default is None or value is None:
        return ""
    if isinstance(default, int | float | np.number):
        return "higher" if value > default else "lower"
    return "other"


def in_words(values: Mapping[str, object]) -> str:
    """Return "latent 33; beta 0.51", without values that are NA."""
    return "; ".join(
        f"{name} {shown(value)}" for name, value in values.items() if not pd.isna(value)
    )


def shown(value: object) -> str:
    """Return a hyperparameter's value as text."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f"{value:.4g}" if is_number else str(value)
