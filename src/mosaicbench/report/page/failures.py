"""Why a run has no score, what to do about it, and which scores should not be read as results."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mosaicbench.report.page.cells import (
    EXTERNAL,
    arranged,
    run_cell,
    run_column,
    split_columns,
    text_column,
)
from mosaicbench.report.page.html_tables import Cell, Grid, table
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import FAILED, RUN
from mosaicbench.stats.sanity import CONTROL, EVERY_RUN, in_words
from mosaicbench.workflow.layout import Jobs

REMEDIES = {
    "diverged": "The cost stopped being finite. Lower the run's `learning_rate` in the config; the log says in which epoch.",
    "out_of_memory": "Raise `limits: memory_mb`, make the run's `latent` or the `batch_size` of `training` smaller, or choose "
    "a larger machine.",
    "timeout": "Raise `limits: minutes`, or lower `max_epochs` of `training`.",
    "crashed": "An error in the method or in what it was given: the log ends with it.",
    "collapsed": "No latent dimension varies, so every cell looks the same; its scores are right, and say nothing. Lower the "
    "weight of the divergence (`beta`), or train longer.",
    "not_applicable": "The method cannot take part in this scenario by its design, or the config left it out: nothing to mend. "
    "Where the reason names a package or links that are missing, the run takes part once they are there.",
}
NOT_IN_FILES = "computed elsewhere, and not in its files, or not defined on these data"
OUTPUTS = {  # what a method's card must give, so that it has scores of a group
    "alignment": ("single", "it gives no latents of single modalities"),
    "label_transfer": ("single", "it gives no latents of single modalities"),
    "imputation": ("impute", "it does not impute"),
    "realism": ("impute", "it does not impute"),
    "calibration": ("draws", "it has no predictive distribution to draw from"),
}


def reason(run: str, metric: str, runs: pd.DataFrame, theme: Theme) -> str:
    """Return why a run of a split has no value of a metric."""
    fits = runs[runs["run"] == run]
    if fits["status"].isin((*FAILED, "not_applicable")).all():
        return messages(run, runs)
    if theme.run_metadata.is_external(run):
        of_run = theme.run_metadata.group(metric) == "resources"
        return EXTERNAL if of_run else NOT_IN_FILES
    output, why = OUTPUTS.get(theme.run_metadata.group(metric), ("", ""))
    gives = theme.run_metadata.card(run).get("outputs")
    if output and gives is not None and output not in gives:
        return f"not given by this method: {why}"
    remarks = (
        fits.loc[(fits["status"] == "ok") & (fits["message"] != ""), "message"].dropna().unique()
    )
    return "; ".join(["not given by this method, or not defined on these data", *map(str, remarks)])


def messages(run: str, runs: pd.DataFrame) -> str:
    """Return what the records of a run say where it did not succeed: "diverged: cost is not finite (seeds 0, 1)"."""
    unsuccessful = runs[(runs["run"] == run) & (runs["status"] != "ok")]
    sentences = []
    for (status, message), group in unsuccessful.groupby(["status", "message"], sort=False):
        seeds = ", ".join(str(seed) for seed in group["seed"].dropna())
        words = f"{status.replace('_', ' ')}: {message}" if message else status.replace("_", " ")
        sentences.append(f"{words} (seed{'s' if ',' in seeds else ''} {seeds})" if seeds else words)
    return "; ".join(sentences)


def unsuccessful_runs(runs: pd.DataFrame, config: Mapping, theme: Theme) -> Grid | None:
    """Return one row per split, run, status and reason, with its seeds: failed, then collapsed, then not applicable."""
    order = [*FAILED, "collapsed", "not_applicable"]
    logs = Jobs((config.get("pathvars") or {}).get("logs", "logs"), "log")

    def log(row: dict) -> str:
        first = row["seeds"].split(", ")[0]
        return (
            logs.of_fit(*(row[name] for name in RUN), first)
            if row["status"] in FAILED
            else NOT_GIVEN
        )

    ended = runs[runs["status"].isin(order)].astype({"seed": str}).replace({"seed": {"<NA>": ""}})
    seeds = ended.groupby([*RUN, "status", "message"], sort=False)["seed"].agg(", ".join)
    rows = seeds.rename("seeds").reset_index()
    columns = [
        *run_column(theme),
        *split_columns(theme),
        (
            "Status",
            lambda row: Cell(
                row["status"].replace("_", " "), mark="warn" if row["status"] in FAILED else ""
            ),
        ),
        ("Seeds", lambda row: row["seeds"] or NOT_GIVEN),
        ("Message", lambda row: row["message"] or NOT_GIVEN),
        ("Log", log),
    ]
    rows = arranged(rows, rows["status"].map(order.index))
    return table("Failed, collapsed, not applicable", columns, rows)


def remedies(runs: pd.DataFrame) -> dict[str, str]:
    """Return status -> what to do, of the statuses that occur."""
    return {
        status.replace("_", " "): remedy
        for status, remedy in REMEDIES.items()
        if status in set(runs["status"])
    }


def sanity_checks(findings: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return one row per run and gate, whatever the number of scores it is about; None where nothing was found."""
    rows = [
        dict(zip([*RUN, "check"], names, strict=True))
        | {"finding": in_words(found, lambda metric: _label(metric, theme))}
        for names, found in findings.groupby([*RUN, "check"], sort=False)
    ]
    columns = [
        (
            "Run",
            lambda row: EVERY_RUN if row["run"] == EVERY_RUN else run_cell(row["run"], theme),
        ),
        *split_columns(theme),
        *text_column("Gate", "check"),
        *text_column("Finding", "finding"),
    ]
    return table("What the sanity checks found", columns, rows)


def alarms(table: pd.DataFrame, theme: Theme) -> list[str]:
    """Return one sentence per score of a control that is not where theory puts it: run, metric, split and value."""
    return [
        f"{theme.label('runs', row.run)}, {_label(row.metric, theme)}, {theme.label('datasets', row.dataset)}, "
        f"{theme.label('scenarios', row.scenario)}: {row.message}"
        for row in table[table["check"] == CONTROL].itertuples()
    ]


def _label(metric: str, theme: Theme) -> str:
    return "all scores" if metric == "all" else theme.label("metrics", metric)
