"""Controls that are not where theory puts them: then the control, the metric or the scoring is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from mosaicbench.stats.common import SPLIT
from mosaicbench.stats.summary import seed_means

if TYPE_CHECKING:
    from mosaicbench.catalog.run_metadata import RunMetadata

GATE = "control"
# control -> the groups of metrics in which it knows nothing, and the property of a metric's card that says what it then scores:
# "lacks" names the metrics that do not have it.
KNOWS_NOTHING = {
    "shuffled": (("alignment", "imputation"), "shuffled_is_chance"),
    "random_latent": (("alignment",), "shuffled_is_chance"),
    "constant": (("alignment",), "shuffled_is_chance"),
    "train_mean": (("imputation",), "train_mean_is_chance"),
}
KNOWS_ALL = ("alignment", "imputation")  # groups in which the oracle gives the answer itself
NOT_THE_ANSWER = (
    "imputation_auroc_per_peak",
)  # of peaks, the oracle knows the principal components alone
FROM_BEST = 0.02  # what cells that cannot be told apart may take from the oracle
CELLS = 100  # where nobody knows how many there are
REMEDY = "the control, the metric or the scoring is wrong, so read no score of this metric here"
ERRORS = 4  # standard errors that chance may take a control away from its place


def failed_controls(
    scores: pd.DataFrame,
    run_metadata: RunMetadata,
    sizes: Mapping[tuple[str, str], tuple[int, int]],
) -> Iterable[dict]:
    """Yield one finding per control and metric that is not where it belongs.

    A negative control belongs at the chance that the metric's card states; where the card says that its answer is worse than
    chance, it may not be better. The interval around chance are four standard errors of the mean of as many values between 0
    and 1 as there are query cells in all seeds, at most ``0.5 / sqrt(cells)`` each. The oracle belongs at the best value.

    Parameters
    ----------
    scores
        All scores.
    sizes
        (dataset, scenario) -> train and query cells.
    """
    means = seed_means(scores).dropna(subset="value")
    for (*split, run, metric), group in means.groupby([*SPLIT, "run", "metric"], sort=False):
        cells = sizes.get(tuple(split), (0, CELLS))[1]
        allowed = ERRORS * 0.5 / math.sqrt(cells * len(group))
        if message := _fault(run_metadata, run, metric, group["value"].mean(), allowed):
            seeds = ", ".join(map(str, group["seed"]))
            row = dict(zip(SPLIT, split, strict=True)) | {
                "run": run,
                "check": GATE,
                "metric": metric,
            }
            yield row | {"seeds": seeds, "message": message}


def _fault(run_metadata: RunMetadata, run: str, metric: str, value: float, allowed: float) -> str:
    """Return what is wrong with a control's mean score, "" where nothing is."""
    method, group, lacks = (
        run_metadata.method(run),
        run_metadata.group(metric),
        run_metadata.metric(metric).get("exempt_from", {}),
    )
    best, chance = run_metadata.best(metric), run_metadata.chance(metric)
    if (
        method == "oracle"
        and group in KNOWS_ALL
        and "perfect_is_best" not in lacks
        and metric not in NOT_THE_ANSWER
    ):
        # of a metric without a best value the difference is not a number, and no number is larger
        if abs(value - best) > FROM_BEST:
            return f"{value:.3f}, but this control knows the solution and has to be best, {best:g}; {REMEDY}"
        return ""
    groups, place = KNOWS_NOTHING.get(method, ((), ""))
    if group not in groups:
        return ""
    knows = f"{value:.3f}, but this control knows nothing of a cell and has to be"
    if place not in lacks and abs(value - chance) > allowed:
        return f"{knows} at chance, {chance:g} (within {allowed:.3f}); {REMEDY}"
    if method == "shuffled" and run_metadata.sign(metric) * (value - chance) > allowed:
        return f"{knows} no better than chance, {chance:g} (within {allowed:.3f}); {REMEDY}"
    return ""
