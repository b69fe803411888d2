"""The numbers of a study as one table: means, differences seed by seed or draw by draw, and which epoch's weights were kept.

    python docs/site/numbers_of_study.py private_variation departures

    python docs/site/numbers_of_study.py --scenarios transform vaeomics

The second command compares scenarios instead, each run with itself in the study's first scenario, by direction.

Each study's table, ``docs/results/STUDY.tsv``, is what sentences of pages and cards quote, so that a test can hold them to it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "src"))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import yaml  # noqa: E402

from mosaicbench.catalog import catalog  # noqa: E402
from mosaicbench.errors import UserError  # noqa: E402
from mosaicbench.files.tables import write_table  # noqa: E402
from mosaicbench.report.records import circumstances, read_records  # noqa: E402
from mosaicbench.report.tables.contract import read_tables  # noqa: E402
from mosaicbench.stats.common import CONTESTS, half_width  # noqa: E402
from mosaicbench.stats.means import seed_means  # noqa: E402
from mosaicbench.workflow.layout import Results  # noqa: E402

PAGES, CONFIGS = REPOSITORY / "docs/results", REPOSITORY / "config/studies"
METRICS = [
    *CONTESTS,
    "imputation_cosine_per_cell",
    "imputation_pearson_per_cell",
    "kl_term",
    "active_units",
]
OTHER_CONTROLS = [
    "oracle",
    "label_oracle",
    "shuffled",
    "random_latent",
    "constant",
]  # no transform changes them
BETWEEN = [
    "dataset",
    "run",
    "metric",
    "direction",
    "scenario",
    "against",
    "mean",
    "low",
    "high",
    "n",
]
PLACE = ["data", "scenario", "x", "metric", "direction"]
COLUMNS = [
    *PLACE,
    "run",
    "method",
    "setting",
    "against",
    "mean",
    "low",
    "high",
    "n",
    "ahead",
    "epoch_kept",
]


def numbers(
    tables: Mapping[str, pd.DataFrame], stanzas: Mapping[str, Mapping | None]
) -> pd.DataFrame:
    """Return means and differences over the repetitions of each run: seeds, and in a sweep datasets of the same value, too.

    Parameters
    ----------
    tables
        "scores", "sweep" and "history" of :data:`report.tables.contract.TABLES`.
    stanzas
        The config's `runs`.

    Returns
    -------
    pandas.DataFrame
        Columns ``COLUMNS``. `x` is the swept value, NA without a sweep; `setting` is what the config says of the run. Where
        `against` is empty, `mean` is that of the run, with its 95 % t interval over `n` repetitions; else that of the
        differences from the run `against` on the same repetitions, `ahead` in how many of them it is better. With a sweep these
        are of methods with equal settings, against the first of them; without one, of settings against their method's first.
    """
    options = {run: dict(stanza or {}) for run, stanza in stanzas.items()}
    methods = {run: given.pop("method", run) for run, given in options.items()}
    settings = {
        run: ", ".join(f"{key}: {value}" for key, value in given.items())
        for run, given in options.items()
    }
    values = _values(tables)
    values = values[values["run"].isin(methods)]
    alike = (lambda run: settings[run]) if len(tables["sweep"]) else (lambda run: methods[run])
    first = {run: next(other for other in methods if alike(other) == alike(run)) for run in methods}
    rows = []
    for (*place, run), part in values.groupby([*PLACE, "run"], sort=False, dropna=False):
        of_run = part.set_index("repetition")
        facts = [run, methods[run], settings[run]]
        kept = of_run["epoch"].mean()
        rows.append([*place, *facts, "", *_interval(of_run["value"].to_numpy()), np.nan, kept])
        if first[run] == run:
            continue
        same = (values[PLACE].eq(place) | values[PLACE].isna()).all(axis=1) & (
            values["run"] == first[run]
        )
        gaps = (of_run["value"] - values[same].set_index("repetition")["value"]).dropna().to_numpy()
        if len(gaps):
            sign = -1 if catalog.card("metrics", place[3])["better"] == "lower" else 1
            rows.append(
                [*place, *facts, first[run], *_interval(gaps), int((sign * gaps > 0).sum()), kept]
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def between_scenarios(tables: Mapping[str, pd.DataFrame], scenarios: Sequence[str]) -> pd.DataFrame:
    """Return means over seeds of each run in each scenario and direction, and differences from the first of `scenarios`.

    Parameters
    ----------
    tables
        "scores" of :data:`report.tables.contract.TABLES`.
    scenarios
        Of the config; with equal seeds they have the same query cells.

    Returns
    -------
    pandas.DataFrame
        Columns ``BETWEEN``. Where `against` is empty, `mean` is that of the run, with its 95 % t interval over `n` seeds; else
        that of the differences from the scenario `against` on the same seeds.
    """
    scores = tables["scores"].dropna(subset="value")
    scores = scores[scores["metric"].isin(METRICS) & ~scores["run"].isin(OTHER_CONTROLS)]
    rows = []
    for (*place, scenario), part in scores.groupby([*BETWEEN[:4], "scenario"], sort=False):
        values = part.set_index("seed")["value"]
        rows.append([*place, scenario, "", *_interval(values.to_numpy())])
        same = (scores[BETWEEN[:4]] == place).all(axis=1) & (scores["scenario"] == scenarios[0])
        gaps = (values - scores[same].set_index("seed")["value"]).dropna().to_numpy()
        if scenario != scenarios[0] and len(gaps):
            rows.append([*place, scenario, scenarios[0], *_interval(gaps)])
    return pd.DataFrame(rows, columns=BETWEEN)


def _values(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per place, run and repetition: its value, and the epoch whose weights were kept."""
    if len(tables["sweep"]):
        values = tables["sweep"].rename(columns={"panel": "data"})
    else:
        values = seed_means(tables["scores"]).assign(direction="mean", x=np.nan)
        values = values[values["metric"].isin(CONTESTS)].assign(data=values["dataset"])
    history = tables["history"]
    kept = history[(history["loss"] == "kept") & (history["value"] == 1)]
    values = values.dropna(subset="value").merge(
        kept[["dataset", "scenario", "run", "seed", "epoch"]], how="left"
    )
    return values.assign(repetition=values["dataset"] + " " + values["seed"].astype(str))


def _interval(values: np.ndarray) -> tuple[float, float, float, int]:
    """Return the mean of values, its 95 % t interval, NA of one value, and their number."""
    half = half_width(values) if len(values) > 1 else np.nan
    return (
        float(values.mean()),
        float(values.mean() - half),
        float(values.mean() + half),
        len(values),
    )


def read_study(name: str, results: Path, *, scenarios: bool = False) -> pd.DataFrame:
    """Return the numbers of a study from its results, with its commit; with `scenarios`, those of :func:`between_scenarios`.

    Raises
    ------
    UserError
        When the study has no config.
    errors.ContractError
        When it has no finished results.
    """
    config = CONFIGS / f"{name}.yaml"
    if not config.is_file():
        raise UserError(f"{config}: no such study; name one of {CONFIGS}")
    found = Results(results / name)
    tables = read_tables(found.tables, ("scores", "sweep", "history", "runs"))
    commit = circumstances(read_records(found, tables["runs"]))["commit"]
    said = yaml.safe_load(config.read_text(encoding="utf-8"))
    if scenarios:
        return between_scenarios(tables, list(said["scenarios"])).assign(commit=commit)
    return numbers(tables, said["runs"]).assign(commit=commit)


def main(studies: list[str], results: Path, *, scenarios: bool = False) -> None:
    """Write the table of each study beside its page."""
    for name in studies:
        table = read_study(name, results, scenarios=scenarios)
        rounded = {column: table[column].round(4) for column in ("mean", "low", "high")}
        kept = {column: table[column].round(1) for column in ("epoch_kept",) if column in table}
        write_table(PAGES / f"{name}.tsv", table.assign(**rounded, **kept))
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
