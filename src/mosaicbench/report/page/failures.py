"""Why a run has no score, what to do about it, and findings of the sanity checks."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mosaicbench.report.page.cells import (
    EXTERNAL,
    Cell,
    Column,
    Grid,
    in_words,
    run_cell,
    run_column,
    split_columns,
    table,
)
from mosaicbench.report.tables.text import NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.stats import sanity
from mosaicbench.stats.common import FAILED, RUN, SPLIT
from mosaicbench.stats.sanity import CONTROL, EVERY_RUN
from mosaicbench.workflow.layout import Jobs

REMEDIES = {
    "diverged": "The loss stopped being finite. Lower the run's `learning_rate` in the config; "
    "the log says in which epoch.",
    "out_of_memory": "Raise `limits: memory_mb`, make the run's `latent` or the `batch_size` of "
    "`training` smaller, or choose a larger machine.",
    "timeout": "Raise `limits: minutes`, or lower `max_epochs` of `training`.",
    "crashed": "An error in the method or in its input: the log ends with it.",
    "collapsed": "No latent dimension varies, so every cell looks the same; its scores are right "
    "and say nothing. Lower the weight of the divergence (`beta`), or train longer.",
    "not_applicable": "The method cannot take part in this scenario by its design, or the config "
    "left it out: nothing to mend. If the reason names a missing package or missing links, "
    "add them and the run takes part.",
}
NOT_IN_FILES = "the external run's files lack it, or it is not defined on these data"
OUTPUTS = {  # group of metrics -> the output that a method needs for it, and why it lacks it
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
    group = theme.run_metadata.group(metric)
    if theme.run_metadata.is_external(run):
        return EXTERNAL if group == "resources" else NOT_IN_FILES
    output, why = OUTPUTS.get(group, ("", ""))
    if output and output not in theme.run_metadata.card(run).get("outputs", output):
        return f"not given by this method: {why}"
    remarks = fits.loc[(fits["status"] == "ok") & (fits["message"] != ""), "message"]
    return "; ".join(["not given by this method, or not defined on these data", *remarks.unique()])


def messages(run: str, runs: pd.DataFrame) -> str:
    """Return why a run failed, as its records say: "diverged: loss is not finite (seeds 0, 1)"."""
    unsuccessful = runs[(runs["run"] == run) & (runs["status"] != "ok")]
    sentences = []
    for (status, message), group in unsuccessful.groupby(["status", "message"], sort=False):
        words = ": ".join(filter(None, [in_words(status), message]))
        if seeds := ", ".join(group["seed"].dropna().map(str)):
            words += f" (seed{'s' if ',' in seeds else ''} {seeds})"
        sentences.append(words)
    return "; ".join(sentences)


def unsuccessful_runs(runs: pd.DataFrame, config: Mapping, theme: Theme) -> Grid | None:
    """Return a row per run, status and reason: failed, collapsed, then not applicable."""
    order = [*FAILED, "collapsed", "not_applicable"]
    logs = Jobs((config.get("pathvars") or {}).get("logs", "logs"), "log")

    def status(row: dict) -> Cell:
        return Cell(in_words(row["status"]), mark="warn" if row["status"] in FAILED else "")

    def log(row: dict) -> str:
        if row["status"] not in FAILED:
            return NOT_GIVEN
        return logs.of_fit(*(row[name] for name in RUN), row["seeds"].split(", ")[0])

    ended = runs[runs["status"].isin(order)]
    splits = [theme.split(*names) for names in ended[SPLIT].to_numpy()]
    seeds = ended["seed"].astype(str).replace("<NA>", NOT_GIVEN)
    fits = ended.assign(seeds=seeds, splits=splits).groupby(
        ["run", "status", "message"], sort=False
    )
    rows = fits.agg({**dict.fromkeys(SPLIT, "first"), "seeds": _listed, "splits": _listed})
    rows = rows.reset_index()
    columns = [
        run_column(theme),
        Column("Dataset and scenario", "splits", words=True),
        Column("Status", status, choices=True),
        Column("Seeds", "seeds"),
        Column("Message", lambda row: row["message"] or NOT_GIVEN, words=True),
        Column("Log", log, words=True),
    ]
    rows = rows.sort_values("status", key=lambda names: names.map(order.index), kind="stable")
    return table("Failed, collapsed, not applicable", columns, rows)


def _listed(names: pd.Series) -> str:
    return ", ".join(dict.fromkeys(names))


def sanity_checks(findings: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return a row per run and check, however many scores it concerns; None without findings."""
    keys = [*RUN, "check"]
    rows = [
        [*names, sanity.in_words(of_check, lambda metric: _score(metric, theme))]
        for names, of_check in findings.groupby(keys, sort=False)
    ]

    def run(row: dict) -> Cell | str:
        return EVERY_RUN if row["run"] == EVERY_RUN else run_cell(row["run"], theme)

    columns = [
        Column("Run", run),
        *split_columns(theme),
        Column("Check", "check", choices=True),
        Column("Finding", "finding", words=True),
    ]
    rows = pd.DataFrame(rows, columns=[*keys, "finding"])
    return table("Findings of the sanity checks", columns, rows)


def alarms(findings: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a sentence per control's score that contradicts theory: run, metric, split, value."""
    return [
        f"{theme.label('runs', row.run)}, {_score(row.metric, theme)}, "
        f"{theme.split(row.dataset, row.scenario)}: {row.message}"
        for row in findings[findings["check"] == CONTROL].itertuples()
    ]


def _score(metric: str, theme: Theme) -> str:
    return "all scores" if metric == "all" else theme.label("metrics", metric)
