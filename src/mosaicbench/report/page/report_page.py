"""The report: what was compared and what came out, with every number, picture and failure traceable to its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from mosaicbench.report.page import failures, overall, reference_sections, summary
from mosaicbench.report.page.embedded_figures import EmbeddedFigures
from mosaicbench.report.page.recommendations import recommendations
from mosaicbench.report.page.render import render, said
from mosaicbench.report.page.split import CIRCULAR, split_section
from mosaicbench.report.page.tuning import tuning
from mosaicbench.report.tables.text import CROSS, FEWER, NOT_GIVEN
from mosaicbench.report.theme import Theme
from mosaicbench.stats.paired import MOST_SEEDS
from mosaicbench.stats.sanity import MARKS


def report_page(
    *,
    tables: Mapping[str, pd.DataFrame],
    figures: Path,
    figure_cards: Mapping[str, dict],
    theme: Theme,
    config: Mapping,
    splits: list[str],
    records: Sequence[Mapping],
    audits: Mapping[tuple[str, str], pd.DataFrame] | None = None,
    registered: Mapping[str, Mapping] | None = None,
    citations: str = "",
) -> str:
    """Return the report as HTML; everything that comes from a file or a name is escaped.

    Parameters
    ----------
    tables
        As ``contract.read_tables`` gives them.
    figures
        The folder that ``draw`` wrote; every figure that is there is shown.
    figure_cards
        figure -> card, in the order of the report.
    theme
        Labels, colours and order.
    config
        The configuration, shown as it is; its `title` and `question`, where it has them, head the page.
    splits
        "dataset/scenario" in the order of the report.
    records
        The ``run.json`` of the runs: hyperparameters, versions, commits and machines; none leaves them out.
    audits
        (dataset, scenario) -> the ``audit.tsv`` of one seed; a split without one says nothing about its design.
    registered
        dataset -> what the registry says of it, and `unverified`, its files for which neither a checksum nor a length is known.
    citations
        BibTeX of what was used; "" leaves it out.
    """
    embedded = EmbeddedFigures(Path(figures), figure_cards)
    runs = tables["runs"]
    places = [tuple(split.split("/")) for split in splits]
    best_rows = summary.best_runs(tables, theme)
    figures_of_all = embedded.of()
    of_splits = [
        split_section(number, place, tables, embedded, theme, config, (audits or {}).get(place))
        for number, place in enumerate(places)
    ]
    return render(
        "report.html.j2",
        title=config.get("title", "mosaicbench"),
        question=config.get("question", said("question")),
        recommendations=recommendations(tables["recommendations"], theme),
        fitted_on=summary.fitted_on(records, tables["history"], theme),
        most_splits=MOST_SEEDS,
        facts=summary.facts(runs, places, theme),
        leaders=summary.leaders(tables["overall"], theme),
        winners=summary.winners(best_rows, places, theme),
        distances=summary.verdicts(tables["distances"], theme),
        packages=summary.packages(runs, best_rows, places, theme),
        controls=summary.controls(tables["overall"], theme),
        troubles=summary.troubles(runs, theme) + embedded.not_drawn,
        figures_of_all=figures_of_all,
        scoreboards=overall.scoreboards(tables["overall"], tables["sanity_checks"], theme),
        groups=overall.groups(theme),
        tuning=tuning(tables, config, theme),
        ranks=overall.ranks(tables["ranks"], tables["sanity_checks"], theme),
        splits=of_splits,
        unsuccessful=failures.unsuccessful_runs(runs, config, theme),
        remedies=failures.remedies(runs),
        alarms=failures.alarms(tables["sanity_checks"], theme),
        sanity_checks=failures.sanity_checks(tables["sanity_checks"], theme),
        published=reference_sections.published(tables["published"], theme),
        methods=reference_sections.methods(runs, records, theme),
        metrics=reference_sections.metrics(tables["scores"], theme),
        datasets=reference_sections.datasets(runs, config, theme, registered or {}),
        citations=citations,
        provenance=reference_sections.provenance(runs, records),
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        marks=MARKS if tables["sanity_checks"]["check"].isin(list(MARKS)).any() else {},
        signs={"not_given": NOT_GIVEN, "cross": CROSS, "fewer": FEWER, "circular": CIRCULAR},
    )
