"""The report: what was compared and what came out, each number, picture and failure with its file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from mosaicbench import __version__
from mosaicbench.report.page import reference_sections, sections, verdict
from mosaicbench.report.page.cells import many
from mosaicbench.report.page.choose import RESAMPLES, chooser
from mosaicbench.report.page.render import embedded_figures, render
from mosaicbench.report.theme import Theme
from mosaicbench.stats.common import GROUPS, TABLED, Tables
from mosaicbench.stats.paired import MOST_SEEDS
from mosaicbench.stats.sanity import MARKS


def report_page(
    *,
    tables: Tables,
    figures: Path,
    figure_cards: dict[str, dict],
    theme: Theme,
    config: dict,
    splits: list[tuple[str, str]],
    records: list[dict],
    audits: dict[tuple[str, str], pd.DataFrame],
    registered: dict[str, dict],
    citations: str,
    ended: str = "",
    study: pd.DataFrame | None = None,
    defaults: pd.DataFrame | None = None,
) -> str:
    """Return the report as HTML; all text from files and names is escaped.

    `figures` is the output folder of ``draw``; `figure_cards` and `splits` (dataset, scenario) are
    in the order of the report; `audits` are (dataset, scenario) -> the ``audit.tsv`` of one seed;
    `registered` dataset -> its facts in the registry, and `unverified`, its files without checksum
    or length. `ended` is the day of the last fit; `study` and `defaults` are ``size.tsv`` and
    ``sensitivity.tsv`` of docs/results.
    """
    runs, checks = tables["runs"], tables["sanity_checks"]
    controls = [run for run in runs["run"].unique() if not theme.run_metadata.competes(run)]
    competing, datasets = runs["run"].nunique() - len(controls), runs["dataset"].nunique()
    of_splits = []
    for number, place in enumerate(splits):
        drawn, audit = embedded_figures(figures, figure_cards, *place), audits.get(place)
        of_splits.append(sections.split_section(number, place, tables, drawn, theme, config, audit))
    return render(
        "report.html.j2",
        title=f"mosaicbench: {many(competing, 'run')} on {many(datasets, 'dataset')}",
        ended=ended,
        hours=sum(sum(record["seconds"].values()) for record in records) / 3600,
        version=__version__,
        limits=verdict.limits(tables, theme),
        size_study=(size := verdict.study_of_size(study, verdict.cells_of(tables))),
        defaults=verdict.sensitive_defaults(defaults, few_cells=size is not None),
        cards=verdict.cards(tables, theme),
        sheets=reference_sections.datasheets(tables["datasets"], theme),
        sheet_details=reference_sections.details(tables["datasets"], theme),
        warnings=reference_sections.warnings(tables["warnings"], theme),
        recommendations=verdict.recommendations(tables["recommendations"], theme),
        fitted_on=verdict.fitted_on(records, tables["history"], theme),
        most_splits=MOST_SEEDS,
        distances=verdict.by_distance(tables["distances"], theme),
        controls=theme.labels("runs", controls),
        troubles=verdict.troubles(runs, theme),
        figures_of_all=embedded_figures(figures, figure_cards),
        boards=chooser(tables, theme),
        resamples=f"{RESAMPLES:,}",
        groups=GROUPS,
        headline_metrics=TABLED,
        theme=theme,
        tuning=sections.tuning(tables, config, theme),
        splits=of_splits,
        unsuccessful=sections.unsuccessful_runs(runs, config, theme),
        remedies={
            key: text for key, text in sections.REMEDIES.items() if key in set(runs["status"])
        },
        alarms=sections.alarms(checks, theme),
        sanity_checks=sections.sanity_checks(checks, theme),
        published=reference_sections.published(tables["published"], theme),
        methods=reference_sections.methods(runs, records, theme),
        metrics=reference_sections.metrics(tables["scores"], theme),
        datasets=reference_sections.datasets(runs, config, theme, registered),
        citations=citations,
        provenance=reference_sections.provenance(runs, records),
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        marks=MARKS if checks["check"].isin(list(MARKS)).any() else {},
    )
