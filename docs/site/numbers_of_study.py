"""The numbers of a study as one table: means, differences by seed or draw, and the epoch of the selected weights.

    python docs/site/numbers_of_study.py private_variation departures

    python docs/site/numbers_of_study.py --scenarios transform vaeomics

The second command compares scenarios instead: each run with itself in the study's first scenario, by direction.

Sentences of pages and cards quote ``docs/results/STUDY.tsv``, and tests compare them with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from provenance import commit_of

from mosaicbench.catalog import catalog
from mosaicbench.errors import UserError
from mosaicbench.files.tables import write_table
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.stats.common import CONTESTS, half_width
from mosaicbench.stats.means import seed_means
from mosaicbench.workflow.layout import Results

REPOSITORY = Path(__file__).parents[2]
PAGES, CONFIGS = REPOSITORY / "docs/results", REPOSITORY / "config/studies"
PER_CELL = ["imputation_cosine_per_cell", "imputation_pearson_per_cell"]
OF_BLOCKS = ["label_separation_auc", "label_separation_auc_private"]
METRICS = [*CONTESTS, *PER_CELL, *OF_BLOCKS, "kl_term", "active_units"]
UNAFFECTED = ["oracle", "label_oracle", "shuffled", "random_latent", "constant"]  # by a transform
INTERVAL = ["mean", "low", "high", "n"]
PLACE = ["data", "scenario", "x", "metric", "direction"]
COLUMNS = [*PLACE, "run", "method", "setting", "against", *INTERVAL, "ahead", "epoch_kept"]
RUN_PLACE = ["dataset", "run", "metric", "direction"]
BETWEEN = [*RUN_PLACE, "scenario", "against", *INTERVAL]


def numbers(
    tables: Mapping[str, pd.DataFrame], stanzas: Mapping[str, Mapping | None]
) -> pd.DataFrame:
    """Return means and differences over the repetitions of each run: seeds, and in a sweep also datasets of equal value.

    Parameters
    ----------
    tables
        "scores", "sweep" and "history" of :data:`workflow.layout.TABLES`.
    stanzas
        The config's `runs`.

    Returns
    -------
    pandas.DataFrame
        Columns ``COLUMNS``. `x` is the swept value, NA without a sweep; `setting` has the config's hyperparameters. If
        `against` is empty, `mean` is that of the run, with its 95 % t interval over `n` repetitions. Otherwise it is the mean
        difference from the run `against` on the same repetitions, and `ahead` counts those in which the run is better: in a
        sweep between methods of equal settings, otherwise between settings of a method, each against the first.
    """
    methods, settings, first, firsts = {}, {}, {}, {}
    for run, stanza in stanzas.items():
        options = dict(stanza or {})
        methods[run] = options.pop("method", run)
        settings[run] = ", ".join(f"{key}: {value}" for key, value in options.items())
        group = settings[run] if len(tables["sweep"]) else methods[run]
        first[run] = firsts.setdefault(group, run)
    values = _values(tables)
    values, rows = values[values["run"].isin(methods)], []
    for (*place, run), part in values.groupby([*PLACE, "run"], sort=False, dropna=False):
        of_run, facts = part.set_index("repetition"), [*place, run, methods[run], settings[run]]
        kept = of_run["epoch"].mean()
        rows.append([*facts, "", *_interval(of_run["value"]), np.nan, kept])
        same = (values[PLACE].eq(place) | values[PLACE].isna()).all(axis=1)
        others = values[same & (values["run"] == first[run])].set_index("repetition")["value"]
        gaps = (of_run["value"] - others).dropna()
        if first[run] != run and len(gaps):
            sign = -1 if catalog.card("metrics", place[3])["better"] == "lower" else 1
            ahead = int((sign * gaps > 0).sum())
            rows.append([*facts, first[run], *_interval(gaps), ahead, kept])
    return pd.DataFrame(rows, columns=COLUMNS)


def between_scenarios(tables: Mapping[str, pd.DataFrame], scenarios: Sequence[str]) -> pd.DataFrame:
    """Return means over seeds of each run in each scenario and direction, and differences from the first of `scenarios`.

    Parameters
    ----------
    tables
        "scores" of :data:`workflow.layout.TABLES`.
    scenarios
        Of the config; with equal seeds they have the same query cells.

    Returns
    -------
    pandas.DataFrame
        Columns ``BETWEEN``. If `against` is empty, `mean` is that of the run, with its 95 % t interval over `n` seeds;
        otherwise the mean difference from the scenario `against` on the same seeds.
    """
    scores = tables["scores"].dropna(subset="value")
    scores = scores[scores["metric"].isin(METRICS) & ~scores["run"].isin(UNAFFECTED)]
    rows, start = [], scenarios[0]
    for place, part in scores.groupby(RUN_PLACE, sort=False):
        values = part.pivot(index="seed", columns="scenario", values="value")
        for scenario in part["scenario"].unique():
            rows.append([*place, scenario, "", *_interval(values[scenario].dropna())])
            if scenario != start and start in values:
                gaps = (values[scenario] - values[start]).dropna()
                if len(gaps):
                    rows.append([*place, scenario, start, *_interval(gaps)])
    return pd.DataFrame(rows, columns=BETWEEN)


def _values(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per place, run and repetition: its value, and the epoch of the selected weights."""
    if len(tables["sweep"]):
        values = tables["sweep"].rename(columns={"panel": "data"})
    else:
        values = seed_means(tables["scores"]).assign(direction="mean", x=np.nan)
        values = values[values["metric"].isin(CONTESTS)].assign(data=values["dataset"])
    history = tables["history"]
    kept = history[(history["loss"] == "kept") & (history["value"] == 1)]
    epochs = kept[["dataset", "scenario", "run", "seed", "epoch"]]
    values = values.dropna(subset="value").merge(epochs, how="left")
    return values.assign(repetition=values["dataset"] + " " + values["seed"].astype(str))


def _interval(values: pd.Series) -> tuple[float, float, float, int]:
    """Return the mean of values, its 95 % t interval (NA for one value), and their number."""
    mean = float(values.mean())
    half = float(half_width(values.to_numpy())) if len(values) > 1 else np.nan
    return mean, mean - half, mean + half, len(values)


def main(studies: list[str], results: Path, *, scenarios: bool = False) -> None:
    """Write the table of each study beside its page."""
    for name in studies:
        folder = Results(results / name)
        config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
        tables = read_tables(folder.tables, ("scores", "sweep", "history", "runs"))
        if scenarios:
            table = between_scenarios(tables, list(config["scenarios"]))
        else:
            table = numbers(tables, config["runs"]).round({"epoch_kept": 1})
        table = table.round({"mean": 4, "low": 4, "high": 4}).assign(
            commit=commit_of(results / name)
        )
        write_table(PAGES / f"{name}.tsv", table)
        print(f"Written: docs/results/{name}.tsv")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", metavar="STUDY")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results/studies"),
        metavar="DIR",
        help="default: results/studies",
    )
    parser.add_argument(
        "--scenarios", action="store_true", help="compare scenarios instead of runs"
    )
    arguments = parser.parse_args()
    try:
        main(arguments.studies, arguments.results, scenarios=arguments.scenarios)
    except (UserError, OSError) as error:
        sys.exit(f"numbers_of_study: {error}")
