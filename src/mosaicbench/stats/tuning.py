"""What tuning gained: trials in order, differences between a tuned run and its defaults, and what datasets agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.files.trials import COLUMNS
from mosaicbench.stats.common import ALL, CONTESTS, RUN, SPLIT
from mosaicbench.stats.intervals import over_datasets
from mosaicbench.stats.paired import over_splits
from mosaicbench.stats.summary import complete_seed_means

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

TRIAL_COLUMNS = [
    *RUN,
    "seed",
    "trial",
    "status",
    "objective",
    "best_so_far",
    "seconds",
    "cpu_seconds",
    "cpu_hours",
    "settings",
]
GAIN_COLUMNS = [
    *SPLIT,
    "run",
    "against",
    "metric",
    "default",
    "tuned",
    "effect",
    "low",
    "high",
    "p",
    "better",
    "seeds",
    "note",
]
SETTING_COLUMNS = [
    "scenario",
    "run",
    "hyperparameter",
    "dataset",
    "seed",
    "default",
    "found",
    "agree",
]
PROPOSAL_COLUMNS = [
    "scenario",
    "run",
    "against",
    "settings",
    "datasets",
    "mean_gain",
    "least_gain",
    "gains",
]
AGREE = {
    "higher": "higher than the default",
    "lower": "lower than the default",
    "other": "the same other choice",
}
AGREE |= {"default": "the default", "": "the datasets do not agree"}


def trials_table(searches: Sequence[tuple[Mapping, pd.DataFrame]]) -> pd.DataFrame:
    """Return every trial, with the best objective so far and the CPU hours until then.

    Parameters
    ----------
    searches
        (what ``best.json`` says, ``trials.tsv``) of each.

    Returns
    -------
    pandas.DataFrame
        Columns ``TRIAL_COLUMNS``; `settings` holds all that is searched, "latent 33; beta 0.51".
    """
    parts = []
    for best, trials in searches:
        names = {column: best[column] for column in (*RUN, "seed")}
        searched = [column for column in trials if column not in COLUMNS]
        told = trials.assign(
            **names,
            best_so_far=trials["objective"].astype(float).cummax().ffill(),
            cpu_hours=trials["cpu_seconds"].cumsum() / 3600,
            settings=[in_words(row) for row in trials[searched].to_dict("records")],
        )
        parts.append(told[TRIAL_COLUMNS])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=TRIAL_COLUMNS)


def gains(
    scores: pd.DataFrame, tuned: Mapping[str, str], run_metadata: RunMetadata
) -> pd.DataFrame:
    """Return what each tuned run gained on its defaults, per split and score, and per scenario over its datasets.

    Parameters
    ----------
    scores
        Columns ``files.scores.SCORE_COLUMNS``.
    tuned
        Tuned run -> the run that it tunes.
    roster
        Which way a metric is better.

    Returns
    -------
    pandas.DataFrame
        Columns ``GAIN_COLUMNS``: `effect` is the mean over seeds of the tuned run less that of the defaults, in units of the
        metric, with the 95 % interval of a paired t over seeds; `better` is "tuned", "default" or, where the interval holds 0,
        "neither". Dataset "(all)" is the mean over the datasets of a scenario, of these datasets, if several.
    """
    means = complete_seed_means(scores)
    rows = []
    for (dataset, scenario, metric), group in means[means["metric"].isin(CONTESTS)].groupby(
        [*SPLIT, "metric"], sort=False
    ):
        table = group.pivot(index="seed", columns="run", values="value")  # (seeds, runs)
        for run, against in tuned.items():
            if {run, against} <= set(table):
                both = table[[run, against]].dropna()
                names = {
                    "dataset": dataset,
                    "scenario": scenario,
                    "run": run,
                    "against": against,
                    "metric": metric,
                }
                rows.append(
                    names
                    | {"values": (both[run] - both[against]).to_numpy()}
                    | {"tuned": both[run].mean(), "default": both[against].mean()}
                )
    of_splits = [row | _tested(row["values"], row["metric"], run_metadata) for row in rows]
    return pd.DataFrame([*of_splits, *_over_all_datasets(rows, run_metadata)], columns=GAIN_COLUMNS)


def settings(searches: Sequence[tuple[Mapping, pd.DataFrame]]) -> pd.DataFrame:
    """Return the settings that were found, and whether the datasets of a scenario agree on where they lie.

    Returns
    -------
    pandas.DataFrame
        Columns ``SETTING_COLUMNS``; `agree` is a key of ``AGREE``, "" also where there is one search only.
    """
    rows = []
    for best, trials in searches:
        first = trials.iloc[0]
        for name in [column for column in trials if column not in COLUMNS]:
            default = None if pd.isna(first[name]) else first[name]
            names = {
                "scenario": best["scenario"],
                "run": best["run"],
                "hyperparameter": name,
                "dataset": best["dataset"],
            }
            found = best["hyperparameters"].get(name, default)
            rows.append(
                names
                | {
                    "seed": best["seed"],
                    "default": default,
                    "found": found,
                    "side": _side(default, found),
                }
            )
    table = pd.DataFrame(rows, columns=[*SETTING_COLUMNS[:-1], "side"], dtype=object)
    sides = table.groupby(["scenario", "run", "hyperparameter"], sort=False)["side"]
    agreed = sides.transform(
        lambda side: side.iloc[0] if len(side) > 1 and side.nunique() == 1 else ""
    )
    return table.assign(agree=agreed if len(table) else [])[SETTING_COLUMNS]


def proposals(trials: pd.DataFrame, tuned: Mapping[str, str]) -> pd.DataFrame:
    """Return, per scenario and run, the settings that beat the defaults on every dataset by most, if any do.

    Only settings that were tried on all datasets count: the random ones, which the same seed draws for each.

    Parameters
    ----------
    trials
        Columns ``TRIAL_COLUMNS``.
    tuned
        Tuned run -> the run that it tunes.

    Returns
    -------
    pandas.DataFrame
        Columns ``PROPOSAL_COLUMNS``; gains are of the objective on the inner query cells of one seed.
    """
    rows = []
    for (scenario, run), group in trials.groupby(["scenario", "run"], sort=False):
        of_first = group[group["seed"] == group["seed"].iloc[0]]
        table = of_first.pivot_table(
            index="settings", columns="dataset", values="objective", sort=False
        )  # (settings, datasets)
        defaults = of_first[of_first["trial"] == 0].set_index("dataset")["objective"]
        if table.shape[1] < 2 or defaults.isna().any():
            continue
        gained = (table - defaults).dropna()
        gained = gained[(gained > 0).all(axis=1)]
        if len(gained):
            best = gained.mean(axis=1).idxmax()
            per_dataset = gained.loc[best]
            told = {
                "settings": best,
                "datasets": len(per_dataset),
                "mean_gain": per_dataset.mean(),
                "least_gain": per_dataset.min(),
            }
            told["gains"] = "; ".join(
                f"{dataset} {gain:+.3f}" for dataset, gain in per_dataset.items()
            )
            rows.append({"scenario": scenario, "run": run, "against": tuned.get(run, run)} | told)
    return pd.DataFrame(rows, columns=PROPOSAL_COLUMNS)


def in_words(values: Mapping[str, object]) -> str:
    """Return "latent 33; beta 0.51"; what is left to the method is left out."""
    return "; ".join(
        f"{name} {shown(value)}" for name, value in values.items() if not pd.isna(value)
    )


def shown(value: object) -> str:
    """Return a hyperparameter's value as text."""
    return (
        f"{value:.4g}"
        if isinstance(value, int | float | np.number) and not isinstance(value, bool)
        else str(value)
    )


def _side(default: object, found: object) -> str:
    if found == default or default is None or found is None:
        return "default" if found == default else ""
    if isinstance(default, int | float | np.number):
        return "higher" if found > default else "lower"
    return "other"


def _tested(differences: np.ndarray, metric: str, run_metadata: RunMetadata) -> dict[str, object]:
    told = over_splits(differences)
    return told | {
        "seeds": len(differences),
        "better": _better(told["low"], told["high"], metric, run_metadata),
    }


def _better(low: float, high: float, metric: str, run_metadata: RunMetadata) -> str:
    """Return whose score is better beyond the interval."""
    if not (low > 0 or high < 0):
        return "neither"
    return "tuned" if run_metadata.sign(metric) * low > 0 else "default"


def _over_all_datasets(rows: list[dict], run_metadata: RunMetadata) -> list[dict]:
    """Return rows over the datasets of a scenario, where there are at least two that have the score."""
    found = []
    table = pd.DataFrame(
        rows, columns=[*SPLIT, "run", "against", "metric", "values", "tuned", "default"]
    )
    for names, group in table.groupby(["scenario", "run", "against", "metric"], sort=False):
        by_dataset = {
            dataset: x[:, None]
            for dataset, x in zip(group["dataset"], group["values"], strict=True)
            if len(x)
        }
        if len(by_dataset) < 2:
            continue
        low, high, interval = over_datasets(by_dataset)
        row = dict(zip(["scenario", "run", "against", "metric"], names, strict=True)) | {
            "dataset": ALL
        }
        row |= {name: group[name].mean() for name in ("tuned", "default")}
        row |= {
            "effect": float(np.mean([x.mean() for x in by_dataset.values()])),
            "low": low[0],
            "high": high[0],
            "p": np.nan,
        }
        row |= {"seeds": min(map(len, by_dataset.values())), "note": interval}
        found.append(row | {"better": _better(low[0], high[0], row["metric"], run_metadata)})
    return found
