"""Compare: the scores of two results folders side by side, seed by seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench.catalog.run_metadata import RunMetadata, run_metadata_of
from mosaicbench.errors import UserError
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.report.tables.contract import RUN_COLUMNS, checked_runs, checked_scores
from mosaicbench.stats.common import RUN, half_width
from mosaicbench.workflow.layout import Results

KEYS = [*RUN, "metric"]
COLUMNS = [*KEYS, "a", "b", "difference", "low", "high", "seeds", "change"]
BEYOND = ("better", "worse", "differs")


def main(*, a: Path, b: Path, output: Path | None) -> None:
    """Print the scores of results folders that differ beyond chance; with `output`, write every score."""
    first, second = _tables(a), _tables(b)
    run_metadata = run_metadata_of(pd.concat([first["runs"], second["runs"]]))
    table = compared(first["scores"], second["scores"], run_metadata)
    counts = table["change"].value_counts()
    words = ", ".join([f"{len(table)} scores", *[f"{n} {word}" for word, n in counts.items()]])
    print(f"A: {a}\nB: {b}\n{words}")
    beyond = table[table["change"].isin(BEYOND)]
    if len(beyond):
        print("\nBeyond chance (so are about one in twenty of unchanged scores):")
        print(beyond.to_string(index=False, float_format="{:.3g}".format))
    if output is not None:
        write_table(output, table)


def compared(a: pd.DataFrame, b: pd.DataFrame, run_metadata: RunMetadata) -> pd.DataFrame:
    """Return one row per score of two benchmarks, with the paired difference over seeds.

    Of ``COLUMNS``, `difference` is b less a with its 95 % t interval over `seeds`; a seed is the same
    split in both. `change` is "better", "worse" or "differs" (of a metric without a better direction)
    where the interval excludes 0, else "within"; "no test" with fewer than two seeds in both; "same"
    where no seed differs; "only in A" and "only in B".
    """
    parts = [*KEYS, "direction", "normalization", "seed"]
    sides = [side[[*parts, "value"]].dropna(subset="value") for side in (a, b)]
    both = sides[0].merge(sides[1], on=parts, how="outer", suffixes=("_a", "_b"), sort=False)
    both["gap"] = both["value_b"] - both["value_a"]
    gaps = both.groupby([*KEYS, "seed"], sort=False)["gap"].mean().dropna().groupby(KEYS)
    table = both.groupby(KEYS, sort=False)[["value_a", "value_b"]].mean()
    table = table.set_axis(["a", "b"], axis=1).assign(difference=gaps.mean(), seeds=gaps.size())
    table["half"] = gaps.agg(lambda x: half_width(x.to_numpy()) if len(x) > 1 else np.nan)
    table["same"] = gaps.agg(lambda x: not x.any())
    table = table.reset_index().fillna({"seeds": 0}).astype({"seeds": int})
    half, difference = table["half"], table["difference"]
    gain = np.sign(difference) * table["metric"].map(run_metadata.sign)
    changes = {
        "only in B": table["a"].isna(),
        "only in A": table["b"].isna(),
        "same": table["same"].eq(True),
        "no test": table["seeds"] < 2,
        "within": difference.abs() <= half,
        "better": gain > 0,
        "worse": gain < 0,
    }
    change = np.select(list(changes.values()), list(changes), "differs")
    table = table.assign(low=difference - half, high=difference + half, change=change)
    return table[COLUMNS]


def _tables(folder: Path) -> dict[str, pd.DataFrame]:
    results = Results(folder)
    if not results.table("scores").is_file():
        raise UserError(
            f"{folder}: has no tables/scores.tsv; name the results folder of a complete benchmark"
        )
    return {
        "scores": checked_scores(read_table(results.table("scores"), SCORE_COLUMNS)),
        "runs": checked_runs(read_table(results.table("runs"), RUN_COLUMNS)),
    }
