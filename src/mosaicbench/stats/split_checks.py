"""What is wrong with a whole split, as its audit says: query values of another scale, or a transform learned from them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from mosaicbench.stats.common import RUN, SPLIT

EVERY_RUN = "all runs"  # in the place of a run: what is wrong with a split concerns each
SCALE = re.compile(
    r"query values vary (\S+) times as much as train values"
)  # as data/scale.py writes it
# Of the embedded and simulated sets, with three seeds, ratios are 0.78 to 1.23; of sparse peaks in sample 0.09 to 0.66.
LOW, HIGH = 2 / 3, 3 / 2
COLUMNS = [*RUN, "check", "metric", "seeds", "message"]


def faults_of_splits(audits: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return a row per modality of a split whose query values a method cannot have been prepared for, or that has a leak.

    "scale": query values vary less than `LOW` or more than `HIGH` times as much as train values in at least one seed. "leak":
    a transform was learned from query cells, too, as the config asks for with ``fit_on: all``.

    Parameters
    ----------
    audits
        The ``audit.tsv`` of splits, one per dataset, scenario and seed.

    Returns
    -------
    pandas.DataFrame
        Columns of ``sentinels.GATE_COLUMNS``; `run` is `EVERY_RUN`.
    """
    audits = list(audits)
    if not audits:
        return pd.DataFrame(columns=COLUMNS)
    whole = pd.concat(audits, ignore_index=True)
    found = []
    for (*split, modality), rows in whole.groupby([*SPLIT, "modality"], sort=False):
        place = dict(zip(SPLIT, split, strict=True)) | {"run": EVERY_RUN, "metric": "all"}
        ratios = (
            rows[rows["role"] == "scale"]
            .set_index("seed")["what"]
            .str.extract(SCALE)[0]
            .astype(float)
        )
        outside = ratios[(ratios < LOW) | (ratios > HIGH)]
        if len(outside):
            message = (
                f"query values of {modality} vary {_range(outside)} times as much as train values, so methods meet what they "
                "were not trained on: was a transform fitted in sample (`out_of_fold: false`), or are query cells of another "
                "depth?"
            )
            found.append(
                place | {"check": "scale", "seeds": _seeds(outside.index), "message": message}
            )
        leaks = rows[rows["role"] == "fit on all"]
        if len(leaks):
            what = ", ".join(dict.fromkeys(leaks["what"]))
            message = f"of {modality}, {what} were learned from query cells, too (`fit_on: all`): scores are not of new cells"
            found.append(
                place
                | {"check": "leak", "seeds": _seeds(leaks["seed"].unique()), "message": message}
            )
    return pd.DataFrame(found, columns=COLUMNS)


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _seeds(seeds: Iterable[object]) -> str:
    return ", ".join(map(str, seeds))
