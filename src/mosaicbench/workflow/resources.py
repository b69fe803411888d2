"""Seconds and memory that a benchmark took, and the estimate for another one.

The table has a row for each method, for the scoring of a fit (`SCORE`), and for everything else of a
split and seed (`OTHER`): what a job takes to start, and what 1,000 train cells add, for a model in
each epoch. A method that was not measured takes the median of its kind.
"""

from __future__ import annotations

import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.workflow.layout import Results

COLUMNS = ["work", "epochs", "start_seconds", "seconds_per_1000_cells"]
COLUMNS += ["start_mb", "mb_per_1000_cells"]
JOB_COLUMNS = ["rule", "dataset", "scenario", "seconds", "host_mb"]
SCORE, OTHER = "score", "other"
SPLIT = ["dataset", "scenario"]
FIT = [*SPLIT, "run", "method", "seed"]
QUERY = 0.2  # the fraction of query cells of a scenario without `query_fraction`


def jobs_of(results: Results) -> pd.DataFrame:
    """Return what Snakemake measured of each job that is no fit, columns `JOB_COLUMNS`."""
    folder, rows = results.resources.folder, []
    for file in sorted(folder.rglob("*.tsv")):
        rule, *split = file.relative_to(folder).with_suffix("").parts
        dataset, scenario, *_ = (
            [*split, "-", "-"] if rule in ("prepare", "split", "score") else "--"
        )
        took = pd.read_csv(file, sep="\t", na_values="-").iloc[-1]
        rows.append([rule, dataset, scenario, took["s"], took["max_rss"]])
    return pd.DataFrame(rows, columns=JOB_COLUMNS)


def measured(phases: pd.DataFrame, history: pd.DataFrame, jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the table of a finished benchmark, columns `COLUMNS`.

    `phases` and `history` are the tables of these names, `jobs` is what :func:`jobs_of` returned.
    """
    if not len(phases):
        return pd.DataFrame(columns=COLUMNS)
    phases = phases.astype({"seconds": float, "host_mb": float, "train_cells": float})
    fits = phases.groupby(FIT, sort=False).agg(
        seconds=("seconds", "sum"), mb=("host_mb", "max"), cells=("train_cells", "max")
    )
    imports = phases[phases["phase"] == "import"].set_index(FIT)[["seconds", "host_mb"]]
    fits = fits.join(imports.set_axis(["start_seconds", "start_mb"], axis=1))
    epochs = history.groupby([*SPLIT, "run", "seed"])["epoch"].nunique()
    fits = fits.reset_index().join(epochs.rename("epochs"), on=[*SPLIT, "run", "seed"])
    fits = fits.fillna({"epochs": 0})
    rows = []
    for method, of_method in fits.groupby("method", sort=False):
        largest = of_method[of_method["cells"] == of_method["cells"].max()].mean(numeric_only=True)
        start, mb = largest["start_seconds"], largest["start_mb"]
        thousands = largest["cells"] / 1000
        added = (largest["seconds"] - start) / thousands / max(1, largest["epochs"])
        rows.append([method, largest["epochs"], start, added, mb, (largest["mb"] - mb) / thousands])
    thousands = fits.groupby(SPLIT)["cells"].max() / 1000
    number = {SCORE: fits.groupby(SPLIT).size(), OTHER: fits.groupby(SPLIT)["seed"].nunique()}
    for work in (SCORE, OTHER):
        of_work = jobs[(jobs["rule"] == SCORE) == (work == SCORE)]
        added = of_work["seconds"].sum() / (number[work] * thousands).sum()
        rows.append([work, 0, 0, added, of_work["host_mb"].max(), 0])
    return pd.DataFrame(rows, columns=COLUMNS).round(6)


def planned(
    settings, resources: pd.DataFrame, shapes: dict[str, tuple[int, dict[str, int]]]
) -> pd.DataFrame:
    """Return hours, MB and GB of disk of a whole benchmark, by dataset, scenario and work.

    `settings` is a checked config, `resources` a table of columns `COLUMNS`; `shapes` are dataset ->
    number of cells, and modality -> number of features as methods see them.
    """
    costs, seeds = resources.set_index("work"), len(settings.seeds)
    rows = []

    def add(dataset, scenario, work, jobs, cells, of, epochs=None, disk=0.0):
        ran = max(1, epochs or of["epochs"]) * cells / 1000
        seconds = of["start_seconds"] + of["seconds_per_1000_cells"] * ran
        mb = of["start_mb"] + of["mb_per_1000_cells"] * cells / 1000
        rows.append([dataset, scenario, work, jobs, jobs * seconds / 3600, mb, jobs * disk])

    for dataset, scenario in settings.splits:
        cells, features = shapes[dataset]
        query = cells * settings.scenarios[scenario].get("query_fraction", QUERY)
        train, width = cells - query, sum(features.values())
        add(dataset, scenario, OTHER, seeds, train, costs.loc[OTHER], disk=cells * width / 1e9)
        for name in settings.runs_of_splits[dataset, scenario]:
            run = settings.runs[name]
            if run.method == catalog.EXTERNAL:
                continue
            card = catalog.card("methods", run.method)
            of, epochs = _like(costs, run.method), run.hyperparameters.get("max_epochs")
            latents = cells * (len(features) + 1) * (run.hyperparameters.get("latent") or 20)
            keeps = settings.config["keep_imputed"] and "impute" in card["outputs"]
            disk = 4 * (latents + keeps * query * width * (len(features) - 1)) / 1e9
            add(dataset, scenario, run.method, seeds, train, of, epochs, disk)
            add(dataset, scenario, SCORE, seeds, train, costs.loc[SCORE])
            if run.tuned_from:
                trials = settings.tuning["trials"] * len(settings.tuned_seeds)
                inner = (1 - settings.tuning["fraction"]) * train
                add(dataset, scenario, "tuning", trials, inner, of, epochs)
                add(dataset, scenario, "tuning", trials, inner, costs.loc[SCORE])
    columns = ["dataset", "scenario", "work", "jobs", "hours", "mb", "disk_gb"]
    return pd.DataFrame(rows, columns=columns)


def _like(costs: pd.DataFrame, method: str) -> pd.Series:
    if method in costs.index:
        return costs.loc[method]
    kind = catalog.card("methods", method)["kind"]
    alike = [name for name, card in catalog.cards("methods").items() if card["kind"] == kind]
    return costs.loc[costs.index.isin(alike)].median()
