"""The sections on splits, on runs without a score, on findings of sanity checks, and on tuning."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd

from mosaicbench.report.page.cells import (
    EXTERNAL,
    Cell,
    Column,
    Grid,
    behind_mean,
    in_words,
    interval,
    label_column,
    number_cell,
    run_cell,
    run_column,
    split_columns,
    table,
    text_of,
    trait_columns,
    with_arrow,
)
from mosaicbench.report.page.reference_sections import in_groups, labels_from
from mosaicbench.report.page.render import sentence
from mosaicbench.report.page.verdict import POWER_COLUMNS, endings
from mosaicbench.report.tables.contract import of_split
from mosaicbench.report.tables.text import CROSS, NOT_GIVEN, absence, mean_with_sd
from mosaicbench.report.theme import Theme
from mosaicbench.stats import sanity
from mosaicbench.stats.common import ALL, FAILED, HEADLINE, RUN, SPLIT, TABLED, Tables
from mosaicbench.stats.sanity import CONTROL, EVERY_RUN, signs_of
from mosaicbench.stats.tuning import AGREE, shown
from mosaicbench.workflow.layout import Jobs

CIRCULAR = "↻"  # marks a label score if cell types were derived from a modality that methods see
ESTIMATED = "foscttm_estimated"
NOT_MEASURED = (
    "estimated, not measured, as no cell has both modalities; mean over seeds, in brackets the 90 % "
    "interval; docs/trust.md says how far to trust it"
)
LABEL_GROUPS = ("label_transfer", "label_prediction", "biology")
TABLES = ("headline", "runs", "overview", "rankings", "sanity_checks", "paired_tests")
ON_BOTH_SIDES = re.compile(  # data/audit.py
    r"(?P<shared>\d+) of (?P<several>\d+) groups of (?P<column>\w+) are on both sides"
)


def split_section(
    number: int,
    place: tuple[str, str],
    tables: Tables,
    figures: list[dict],
    theme: Theme,
    config: dict,
    audit: pd.DataFrame | None,
) -> dict:
    """Return the section of one split (dataset, scenario).

    `number` counts the splits from 0; `audit` is the ``audit.tsv`` of one seed.
    """
    tables = {name: of_split(tables[name], *place) for name in TABLES}
    title = theme.split(*place)
    origin = labels_from(config, place[0]) or ()
    headline, families = _scores(tables, title, theme, circular=bool(origin))
    return {
        "anchor": f"split-{number + 1}",
        "title": title,
        "design": notes(audit),
        "statuses": endings(tables["runs"]),
        "circular": " and ".join(theme.label("modalities", name) for name in origin),
        "headline": headline,
        "families": families,
        "tests": _tests(tables["paired_tests"], title, theme),
        "figures": figures,
    }


def notes(audit: pd.DataFrame | None) -> list[str]:
    """Return what a reader of the scores must know of the split's design, a sentence each."""
    if audit is None:
        return []
    sentences = []
    for row in audit[audit["role"].isin(["division", "design"])].to_dict("records"):
        if match := ON_BOTH_SIDES.fullmatch(row["what"]):
            if match["shared"] != "0":
                sentences.append(sentence("shared_groups", **match.groupdict()))
        elif row["role"] == "design":
            name = "balanced" if row["modality"] == "-" else "design"
            sentences.append(sentence(name, row=row))
    return sentences


# --- scores --------------------------------------------------------------------------------------


def _scores(
    tables: Tables, title: str, theme: Theme, *, circular: bool
) -> tuple[Grid | None, list[dict]]:
    runs, checks = tables["runs"], tables["sanity_checks"]
    signs = {run: sign for (*_, run), sign in signs_of(checks).items()}
    names = theme.order("runs", runs["run"])
    rows = tables["overview"].set_index("run", drop=False).loc[names]
    rows = rows.assign(
        signs=[signs.get(run, "") for run in names], absent=[absence(runs, run) for run in names]
    )
    key = ["run", "metric"]
    lines = tables["headline"].set_index(key).to_dict("index")
    ranked = tables["rankings"].set_index(key)
    best, level = ranked["best"], ranked["level"]
    at_chance = checks[checks["check"] == "chance"].set_index(key)["message"]

    def score(row: dict, metric: str) -> Cell:
        key = row["run"], metric
        if key not in lines:
            mark = "warn" if row["absent"].startswith(CROSS) else ""
            return Cell(row["absent"], why=reason(*key, runs, theme), mark=mark)
        text, about = mean_with_sd(metric, lines[key]), behind_mean(lines[key])
        why, mark = "", "best" if best.get(key) else "level" if level.get(key) else ""
        if key in at_chance:
            text, why, mark = f"{text} ≈", at_chance[key], mark or "faint"
        return Cell(text, lines[key]["mean"], why, about, mark)

    def column(metric: str) -> Column:
        is_circular = circular and theme.run_metadata.group(metric) in LABEL_GROUPS
        return Column(
            with_arrow(metric, theme) + (f"\N{NO-BREAK SPACE}{CIRCULAR}" if is_circular else ""),
            partial(score, metric=metric),
            about=theme.run_metadata.metric(metric).get("definition", ""),
            link=f"metric-{metric}",
            descending=theme.run_metadata.better(metric) != "lower",
        )

    def columns(metrics: Iterable[str]) -> list[Column]:
        kind = Column("Kind", lambda row: theme.run_metadata.kind(row["run"]), choices=True)
        return [run_column(theme), kind, *map(column, metrics)]

    def status(row: dict) -> Cell:
        mark = "" if row["status"] == "ok" else "warn"
        return Cell(in_words(row["status"]), row["status"], messages(row["run"], runs), mark=mark)

    seeds = Column("Seeds", "seeds", about="how many of the seeds that ran gave scores")
    last = [*trait_columns(theme), seeds, Column("Status", status, choices=True)]
    if (rows.get(ESTIMATED, pd.Series(NOT_GIVEN)) != NOT_GIVEN).any():
        last.insert(0, Column("FOSCTTM, estimated", ESTIMATED, about=NOT_MEASURED))
    headline = table(f"Headline scores, {title}", [*columns(TABLED), *last], rows)
    families = []
    scored = theme.order("metrics", tables["headline"]["metric"])
    for group, metrics in in_groups(scored, theme).items():
        given = {run for run, metric in lines if metric in metrics}
        shown = rows[rows["run"].isin(given) | (rows["absent"] != NOT_GIVEN)]
        label = in_words(group).capitalize()
        grid = table(f"{label}, {title}", columns(metrics), shown)
        families.append({"label": label, "count": len(metrics), "grid": grid})
    return headline, families


# --- paired tests --------------------------------------------------------------------------------


def _tests(paired: pd.DataFrame, title: str, theme: Theme) -> Grid | None:
    rows = paired[paired["metric"].isin(HEADLINE)]
    against = rows.groupby("metric")["against"].transform(lambda names: pd.factorize(names)[0])
    runs = rows["run"].map(theme.order("runs", rows["run"]).index)
    rows = rows.iloc[np.lexsort([runs, against, rows["metric"].map(HEADLINE.index)])]
    rows = rows.replace({"cells": {0: np.nan}})

    def p_value(label: str, key: str) -> Column:
        return Column(label, lambda row: number_cell(row[key], _p(row[key]), text_of(row, "note")))

    def reference(row: dict) -> str:
        return f"{theme.label('runs', row['against'])} ({row['role']})"

    no_cells = "this score has no value for a single cell"
    about = "the run's mean minus the other's, in units of the score"
    columns = [
        run_column(theme),
        label_column(theme, "metric", "Score"),
        Column("Against", reference, choices=True),
        Column("Effect", "effect", "+z.3f", about=about, descending=True),
        Column("Better", lambda row: "yes" if row["better"] == row["run"] else "no"),
        Column("Splits", "seeds", ".0f"),
        Column("Cells", "cells", ".0f", no_cells, "distinct query cells"),
        Column("95 %, these cells", lambda row: interval(row["low"], row["high"])),
        p_value("p (Holm), these cells", "p_holm"),
        Column("95 %, new cells", lambda row: interval(row["low_new"], row["high_new"])),
        p_value("p (Holm), new cells", "p_new_holm"),
        *POWER_COLUMNS,
        Column("Note", "note", words=True),
    ]
    return table(f"Paired tests, {title}", columns, rows)


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


# --- runs without a score, and findings ---


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


def unsuccessful_runs(runs: pd.DataFrame, config: dict, theme: Theme) -> Grid | None:
    """Return a row per run, status and reason: failed, collapsed, then not applicable."""
    order = [*FAILED, "collapsed", "not_applicable"]
    logs = Jobs((config.get("pathvars") or {}).get("logs", "logs"), "log")

    def status(row: dict) -> Cell:
        return Cell(in_words(row["status"]), mark="warn" if row["status"] in FAILED else "")

    def log(row: dict) -> str:
        if row["status"] not in FAILED:
            return NOT_GIVEN
        return logs.of_fit(*(row[name] for name in RUN), row["seeds"].split(", ")[0])

    ended = runs[runs["status"] != "ok"]
    splits = [theme.split(*names) for names in ended[SPLIT].to_numpy()]
    seeds = ended["seed"].astype(str).replace("<NA>", NOT_GIVEN)
    keys = ["run", "status", "message"]
    fits = ended.assign(seeds=seeds, splits=splits).groupby(keys, sort=False)
    rows = fits.agg(
        dict.fromkeys(SPLIT, "first")
        | dict.fromkeys(["seeds", "splits"], lambda names: ", ".join(names.unique()))
    ).reset_index()
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


def sanity_checks(findings: pd.DataFrame, theme: Theme) -> Grid | None:
    """Return a row per run and check, however many scores it concerns; None without findings."""
    keys = [*RUN, "check"]
    rows = []
    for names, of_check in findings.groupby(keys, sort=False):
        rows.append([*names, sanity.in_words(of_check, partial(theme.label, "metrics"))])

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
        f"{theme.label('runs', row.run)}, {theme.label('metrics', row.metric)}, "
        f"{theme.split(row.dataset, row.scenario)}: {row.message}"
        for row in findings[findings["check"] == CONTROL].itertuples()
    ]


# --- tuning ---


BETTER = {"tuned": "tuned", "default": "defaults", "neither": "not separable"}


def tuning(tables: Tables, config: dict, theme: Theme) -> dict | None:
    """Return the parts of the section; None if nothing was tuned."""
    trials = tables["trials"]
    if trials.empty:
        return None
    stanza = config.get("tuning") or {}
    searches = trials.groupby([*RUN, "seed"], sort=False)
    gains = tables["tuning_gains"]
    counts = gains.loc[gains["dataset"] != ALL, "better"].value_counts()
    return {
        "searches": sentence(
            "searches",
            count=len(searches),
            most=searches.size().max(),
            hours=trials["cpu_seconds"].sum() / 3600,
            objective=stanza.get("objective", "mean"),
            fraction=stanza.get("fraction", 0.2),
            failed=trials["objective"].isna().sum(),
            of_first_seed=not stanza.get("per_seed") and tables["runs"]["seed"].nunique() > 1,
            theme=theme,
        ),
        "verdict": sentence("gained", counts=counts, better=BETTER),
        "gains": table("Gains of tuning", _gain_columns(theme), gains),
        "settings": _settings(tables["tuning_settings"], theme),
    }


def _gain_columns(theme: Theme) -> list[Column]:
    def dataset(row: dict) -> str:
        name = row["dataset"]
        return "all datasets" if name == ALL else theme.label("datasets", name)

    def gap(row: dict) -> Cell:
        return number_cell(row["low"], interval(row["low"], row["high"]), text_of(row, "note"))

    difference = "tuned minus defaults, mean over seeds"
    about = "paired t over seeds; over all datasets, for these datasets"
    return [
        run_column(theme, "against", choices=True),
        Column("Dataset", dataset, choices=True),
        label_column(theme, "scenario"),
        Column("Score", lambda row: with_arrow(row["metric"], theme), choices=True),
        Column("Defaults", "default", "z.3f"),
        Column("Tuned", "tuned", "z.3f"),
        Column("Difference", "effect", "+z.3f", about=difference, descending=True),
        Column("95 % interval", gap, about=about),
        Column("Better", lambda row: BETTER[row["better"]], choices=True),
        Column("Seeds", lambda row: str(int(row["seeds"]))),
    ]


def _settings(settings: pd.DataFrame, theme: Theme) -> Grid | None:
    searches = settings.groupby(["scenario", "run", "hyperparameter"])["seed"].transform("size")

    def agreement(row: dict) -> str:
        return AGREE[text_of(row, "agree")] if row["searches"] > 1 else "one dataset"

    columns = [
        run_column(theme, choices=True),
        *split_columns(theme),
        Column("Seed", lambda row: str(row["seed"])),
        Column("Hyperparameter", "hyperparameter", choices=True),
        Column("Default", lambda row: _value(row["default"])),
        Column("Best", lambda row: _value(row["found"])),
        Column("Agreement", agreement, choices=True),
    ]
    return table("Best settings", columns, settings.assign(searches=searches))


def _value(value: object) -> Cell | str:
    if pd.isna(value):
        return Cell(NOT_GIVEN, "", "left to the method")
    try:
        return shown(float(value))  # the table holds numbers as text
    except ValueError:
        return shown(value)
