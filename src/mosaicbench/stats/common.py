"""Columns, headline scores and quantiles that all statistics share."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mosaicbench.catalog.run_metadata import RESOURCES

SPLIT = ["dataset", "scenario"]
RUN = [*SPLIT, "run"]
FAILED = ("diverged", "out_of_memory", "timeout", "crashed")
DISTANCE = "euclidean"  # between latents, in the headline scores; docs/metrics.md says why
DISTANCES = {"euclidean": "", "cosine": "_cosine"}  # distance -> suffix of its scores
BY_DISTANCE = {  # score that has a form for each distance -> distance -> the form's name
    score: {distance: f"{score}{end}" for distance, end in DISTANCES.items()}
    for score in ("foscttm", "recall_at_10", "label_transfer_accuracy", "label_transfer_macro_f1")
}
FOSCTTM, RECALL, TRANSFER, MACRO_F1 = (forms[DISTANCE] for forms in BY_DISTANCE.values())
HEADLINE = (
    FOSCTTM,
    TRANSFER,
    "imputation_pearson_per_feature",
    "imputation_pearson_per_cell",
    "imputation_skill",
    "fit_seconds",
    "peak_host_mb",
)
GROUPS = {  # of the overall score
    "alignment": (FOSCTTM, RECALL),
    "label_transfer": (TRANSFER, MACRO_F1),
    "imputation": ("imputation_pearson_per_feature", "imputation_skill"),
}
TABLED = []  # headline scores, each beside its form by the other distance
for metric in HEADLINE:
    TABLED += BY_DISTANCE.get(metric, {"": metric}).values()
CONTESTS = [metric for metric in HEADLINE if metric not in RESOURCES]
CEILING = "_ceiling"  # ends the name of the score that bounds another
ALL = "(all)"  # the dataset of a row over all datasets: an id cannot have brackets
LEVEL = 0.95
T_OVER_SEEDS = "t over seeds"
NO_INTERVAL = "none"

Tables = Mapping[str, pd.DataFrame]
Sizes = Mapping[tuple[str, str], tuple[int, int]]  # split -> numbers of train and query cells


def t_quantile(n: object) -> object:
    """Return half the width of the 95 % t interval of a mean of `n` values, in standard errors."""
    return stdtrit(n - 1, 0.5 + LEVEL / 2)


def half_width(x: np.ndarray) -> float:
    """Return half the width of the 95 % t interval of a mean, of at least two values."""
    return float(t_quantile(len(x)) * (x.std(ddof=1) / np.sqrt(len(x))))


def pooled(table: pd.DataFrame, simulated: Collection[str]) -> pd.DataFrame:
    """Return the rows of real datasets; simulated ones only of scenarios without a real one."""
    is_simulated = table["dataset"].isin(list(simulated))
    are_all = is_simulated.groupby(table["scenario"]).transform("all").astype(bool)
    return table[~is_simulated | are_all]


def joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Return the rows of all parts, if any, under `columns`."""
    filled = [part for part in parts if len(part)] or [pd.DataFrame(columns=columns)]
    return pd.concat(filled, ignore_index=True)[columns]
