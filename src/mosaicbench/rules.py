"""Which rule of the workflow makes what, and how many jobs each rule has when nothing is there yet."""

from __future__ import annotations

import re
from collections import Counter

from mosaicbench import catalog

RULE_OF_KIND = {"model": "fit_model", "baseline": "fit_baseline", "control": "fit_baseline"}


def number_of_jobs(settings) -> dict[str, int]:
    """Return rule -> number of its jobs, raw files included; `settings` are of a checked config (``settings.Settings``)."""
    seeds, counts = len(settings.seeds), Counter()
    counts["fetch"] = len(
        {
            path
            for dataset in settings.datasets.values()
            if dataset["raw"]
            for path in dataset["inputs"]
        }
    )
    counts["prepare"] = len(settings.datasets)
    counts["cut"] = len(settings.views) * (1 if settings.config["few_jobs"] else seeds)
    fitted_together = {run for runs in settings.fitted_together.values() for run in runs}
    for _, scenario, run in settings.applicable:
        if run not in fitted_together:
            fitting = rule_of_fit(settings, scenario, run)
            counts[fitting] += seeds if fitting == "fit_model" else 1
    counts.update(
        _rule_of_part(part) for part in _jobs_of_parts(settings, settings.fitted_together)
    )
    counts["score"] = len(_jobs_of_scoring(settings))
    searches = len(settings.tuned_seeds)
    counts["divide"] = len({place[:2] for place in settings.tuned}) * searches
    counts.update(
        rule_of_tuning(settings.runs[run].method)
        for _, _, run in settings.tuned
        for _ in range(searches)
    )
    counts["record_config"] = 1
    counts["keep_best"] = int(bool(settings.candidates))
    counts.update(jobs_over_all(settings))
    return {rule: count for rule, count in counts.items() if count}


def rule_of_fit(settings, scenario: str, run: str) -> str:
    """Return the rule that fits a run on views of a scenario."""
    for part, runs in settings.fitted_together.items():
        if run in runs:
            return _rule_of_part(part)
    stacked = (
        settings.seeds_at_once
        and run in settings.stackable
        and settings.scenarios[scenario]["kind"] == "paired"
    )
    return "fit_seeds" if stacked else rule_of(settings.runs[run].method)


def rule_of(method: str) -> str:
    """Return the rule that makes the runs of a method, each seed for itself."""
    return (
        "adopt"
        if method == catalog.ELSEWHERE
        else RULE_OF_KIND[catalog.card("methods", method)["kind"]]
    )


def rule_of_tuning(method: str) -> str:
    """Return the rule that searches for settings of a method."""
    return rule_of(method).replace("fit", "tune")


def jobs_over_all(settings) -> dict[str, int]:
    """Return rule -> number of its jobs, of what is made of all views together."""
    projected, drawn = settings.laid_out_together, settings.drawn_together
    return {"project": len(projected), "tabulate": 1, "draw": len(drawn), "report": 1}


def _rule_of_part(part: str) -> str:
    """Return the rule that fits several runs of a view together, whatever its number."""
    return "fit" + re.sub(r"_\d+$", "", part)


def _jobs_of_scoring(settings) -> set[tuple[str, str, str]]:
    """Return dataset, scenario and part of every job that scores."""
    return {
        (dataset, scenario, part)
        for part, (runs, scenarios) in settings.scored_together.items()
        for dataset, scenario, run in settings.applicable
        if run in runs and scenario in scenarios
    }


def _jobs_of_parts(settings, parts: dict[str, list[str]]) -> list[str]:
    """Return the part, of those that have several runs of a view in one job, of each such job."""
    part_of = {run: part for part, runs in parts.items() for run in runs}
    there = {
        (dataset, scenario, part_of[run])
        for dataset, scenario, run in settings.applicable
        if run in part_of
    }
    return [part for _, _, part in there]
