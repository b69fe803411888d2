"""One line per run: its kind, its inputs, how it ended, and its headline scores."""

from __future__ import annotations

import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.report.tables.contract import OVERVIEW_COLUMNS
from mosaicbench.report.tables.rankings import identities
from mosaicbench.report.tables.text import NOT_GIVEN, mean_with_sd
from mosaicbench.stats.common import RUN, TABLED
from mosaicbench.stats.means import headline


def overview(scores: pd.DataFrame, runs: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return a row per run of each split, with a formatted column per headline metric and distance.

    Columns ``contract.OVERVIEW_COLUMNS``: "0.123 ± 0.004" is the mean and standard deviation over
    seeds, "–" not applicable or not given, "✗ diverged" a run that failed with every seed, "†" a
    mean over fewer directions than another run gave.
    """
    means = headline(scores)
    means = means[means["metric"].isin(TABLED)]
    texts = [mean_with_sd(line["metric"], line) for line in means.to_dict("records")]
    texts = means.assign(text=texts).pivot(index=RUN, columns="metric", values="text")
    table = identities(runs, run_metadata).set_index(RUN)
    table = table.join(texts.reindex(columns=list(TABLED)))
    counts = table["seeds"].astype(str) + "/" + table["of_seeds"].astype(str)
    table["seeds"] = counts.where(table["of_seeds"] > 0, NOT_GIVEN)
    for metric in TABLED:
        table[metric] = table[metric].fillna(table["absent"])
    return table.reset_index()[OVERVIEW_COLUMNS]
