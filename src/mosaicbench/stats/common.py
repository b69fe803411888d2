"""The words that all statistics share: the columns that name a split and a run, and what an interval is made of."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mosaicbench.catalog.run_metadata import RESOURCES

SPLIT = ["dataset", "scenario"]
RUN = [*SPLIT, "run"]
FAILED = ("diverged", "out_of_memory", "timeout", "crashed")
DISTANCE = "euclidean"  # between latents, in the headline scores; docs/metrics.md says why
DISTANCES = {
    "euclidean": "",
    "cosine": "_cosine",
}  # distance -> what the names of its scores end in
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
GROUPS = {  # what the overall score is made of
    "alignment": (FOSCTTM, RECALL),
    "label_transfer": (TRANSFER, MACRO_F1),
    "imputation": ("imputation_pearson_per_feature", "imputation_skill"),
}
_FORMS = {
    form: dict.fromkeys([form, *forms.values()])
    for forms in BY_DISTANCE.values()
    for form in forms.values()
}
TABLED = tuple(
    score for metric in HEADLINE for score in _FORMS.get(metric, [metric])
)  # each beside that by the other distance
CONTESTS = [metric for metric in HEADLINE if metric not in RESOURCES]
ALL = "(all)"  # in the place of a dataset, over all of them: an id cannot hold brackets
LEVEL = 0.95
T_OVER_SEEDS = "t over seeds"
NO_INTERVAL = "none"


def t_quantile(n: object) -> object:
    """Return how many standard errors the 95 % t interval of the mean of `n` values reaches to each side."""
    return stdtrit(n - 1, 0.5 + LEVEL / 2)


def half_width(x: np.ndarray) -> float:
    """Return half the width of the 95 % t interval of a mean, of at least two values."""
    return float(t_quantile(len(x)) * (x.std(ddof=1) / np.sqrt(len(x))))


def pooled(table: pd.DataFrame, simulated: Collection[str]) -> pd.DataFrame:
    """Return the rows of the datasets of each scenario that are taken together: not the simulated ones, unless all are."""
    is_simulated = table["dataset"].isin(list(simulated))
    is_all = (
        is_simulated.groupby(table["scenario"]).transform("all") if len(table) else is_simulated
    )
    return table[~is_simulated | is_all]


def joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Return the rows of all parts under `columns`, also when there are none."""
    filled = [part for part in parts if len(part)]
    return (
        pd.concat(filled, ignore_index=True)[columns] if filled else pd.DataFrame(columns=columns)
    )
