"""The default benchmark's paired runs again, with one default of config/sensitivity.yaml changed at a time.

    python benchmarks/sensitivity.py --cores 2    # run what is not there; then write the table

Set OMP_NUM_THREADS=1 and NUMBA_NUM_THREADS=1. Each level has its results in results/sensitivity. A
row of docs/results/sensitivity.tsv is a default, its other level, a question and a dataset: Kendall's
tau between the orders of the runs, and the first of each.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

import pandas as pd
import yaml
from reference import made
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mosaicbench.catalog import catalog
from mosaicbench.config import recorded
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.files.runs import latents_of, read_latents
from mosaicbench.files.scores import read_scores
from mosaicbench.files.splits import query_names, read_split
from mosaicbench.files.tables import write_table
from mosaicbench.fitting.record import git_commit
from mosaicbench.stats.common import half_width
from mosaicbench.stats.means import complete_seed_means
from mosaicbench.workflow.layout import Results

REPOSITORY = Path(__file__).parents[1]
LIST = REPOSITORY / "config/sensitivity.yaml"
TABLE = REPOSITORY / "docs/results/sensitivity.tsv"
RESULTS = Path("results/sensitivity")
BASE = "base"
QUESTIONS = ("foscttm", "label_transfer_accuracy", "imputation_skill")
REGRESSION = "logistic_regression"
MEANS = ["dataset", "run", "seed", "metric", "value"]
COLUMNS = ["default", "level", "question", "dataset", "runs", "tau", "first", "first_after"]
COLUMNS += ["lead", "low", "commit"]


def config_of(listed: dict, changes: dict) -> dict:
    """Return the base's config with the changes of a level."""
    changes = dict(changes)
    latent, own = changes.pop("latent", None), changes.pop("runs", {})
    runs = {}
    for run in listed["base"]["runs"]:
        widths = {"latent": latent} if latent and "latent" in catalog.hyperparameters(run) else {}
        runs[run] = widths | own.get(run, {})
    return listed["base"] | changes | {"runs": runs}


def folder_of(default: str, level: str) -> Path:
    """Return the results folder of a level."""
    return RESULTS / re.sub(r"\W+", "_", f"{default} {level}").strip("_")


def run(config: dict, folder: Path, cores: str) -> None:
    """Run a config to its tables, if that has not been done."""
    paths = {"results": str(folder), "logs": f"logs/sensitivity/{folder.name}"}
    file = folder.with_suffix(".yaml")
    write_text(file, yaml.safe_dump(config | {"pathvars": paths}, sort_keys=False))
    if not made(file, folder, cores):
        raise UserError(f"logs/sensitivity/{folder.name}: not all jobs ended; run it again")


# --- scores ---


def means_of(folder: Path) -> pd.DataFrame:
    """Return a benchmark's means over directions, columns `MEANS`."""
    return complete_seed_means(read_scores(folder / "tables/scores.tsv"))[MEANS]


def means_by_regression(folder: Path) -> pd.DataFrame:
    """Return the accuracy of label transfer by a logistic regression instead of the nearest cells, columns `MEANS`."""
    bench, results, rows = recorded.read(folder / "config.json"), Results(folder), []
    for dataset, scenario, run in bench.applicable:
        for seed in bench.seeds:
            split = Path(results.split(dataset, scenario, seed))
            fit = Path(results.fit(dataset, scenario, run, seed))
            values = accuracies(split, fit)
            if values:
                rows.append([dataset, run, seed, REGRESSION, sum(values) / len(values)])
    return pd.DataFrame(rows, columns=MEANS)


def accuracies(split: Path, fit: Path) -> list[float]:
    """Return the accuracy of each direction: fitted to train latents of one modality, asked of query latents of another."""
    train, solution = (read_split(split / f"{name}.h5mu", name) for name in ("train", "solution"))
    latents, found = read_latents(fit / "latents.h5ad"), []
    for source in solution.mod:
        names, known = latents_of(latents, source, "train")
        if not len(names):
            continue
        types = train[source].obs["cell_type"].reindex(names).to_numpy(str)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(known[types != ""], types[types != ""])
        for target in set(solution.mod) - {source}:
            names, asked = latents_of(latents, target, "query")
            cells = query_names(solution)[target]
            of_cell = solution[target].obs["cell_type"].set_axis(cells.to_numpy(str))
            types = of_cell.reindex(names).to_numpy(str)
            labelled = types != ""
            found.append(float((model.predict(asked[labelled]) == types[labelled]).mean()))
    return found


# --- ranks ---


def compared(before: pd.DataFrame, after: pd.DataFrame, question: str, metric: str) -> pd.DataFrame:
    """Return a row per dataset: how the order of the runs by a question's score changes to that by `metric`.

    Parameters
    ----------
    before, after
        Columns `MEANS`.

    Returns
    -------
    pandas.DataFrame
        `runs` that have both scores, Kendall's `tau`, the `first` before and after, the `lead` of the new
        first over the old one after the change, at least 0, and the `low` end of its 95 % interval over seeds.
    """
    old, new = _table(before, question), _table(after, metric)
    rows = []
    for dataset in new.index.unique("dataset"):
        both = [table.loc[dataset] for table in (old, new)]
        runs = both[0].columns[both[0].notna().all() & both[1].notna().all()]
        ranked = [table[runs].mean() for table in both]
        first, first_after = (means.idxmax() for means in ranked)
        lead = both[1][first_after] - both[1][first]
        half = half_width(lead.to_numpy()) if first != first_after else 0.0
        rows.append(
            {
                "question": question,
                "dataset": dataset,
                "runs": len(runs),
                "tau": kendalltau(*ranked).statistic,
                "first": first,
                "first_after": first_after,
                "lead": lead.mean(),
                "low": lead.mean() - half,
            }
        )
    return pd.DataFrame(rows)


def _table(means: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return values, more is better: a row per dataset and seed, a column per run."""
    sign = (
        1 if metric == REGRESSION or catalog.card("metrics", metric)["better"] == "higher" else -1
    )
    rows = means[means["metric"] == metric].assign(value=lambda table: sign * table["value"])
    return rows.pivot(index=["dataset", "seed"], columns="run", values="value")


def table_of(listed: dict) -> pd.DataFrame:
    """Return `COLUMNS` of all levels, whose results exist."""
    base = RESULTS / BASE
    before = pd.concat([means_of(base), means_by_regression(base)])
    parts = []
    for default, levels in listed["settings"].items():
        for level in levels:
            after = means_of(folder_of(default, level))
            for question in QUESTIONS:
                part = compared(before, after, question, question)
                parts.append(part.assign(default=default, level=level))
    for default, levels in listed["scores"].items():
        for level, replaced in levels.items():
            for question, metric in replaced.items():
                part = compared(before, before, question, metric)
                parts.append(part.assign(default=default, level=level))
    numbers = dict.fromkeys(("tau", "lead", "low"), 4)
    return pd.concat(parts).round(numbers).assign(commit=git_commit())[COLUMNS]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="all")
    given = parser.parse_args()
    os.chdir(REPOSITORY)
    listed = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    run(listed["base"], RESULTS / BASE, given.cores)
    for default, levels in listed["settings"].items():
        for level, changes in levels.items():
            run(config_of(listed, changes), folder_of(default, level), given.cores)
    write_table(TABLE, table_of(listed))


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"sensitivity: {error}")
