"""Report: tables, figures and cards become one HTML file."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.config import registry
from mosaicbench.files.atomic import write_text
from mosaicbench.files.tables import read_table
from mosaicbench.report.citations import bibtex
from mosaicbench.report.page.report_page import report_page
from mosaicbench.report.records import day_of_last_fit, read_audits, read_records
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.report.theme import read_theme
from mosaicbench.workflow.layout import Results, project_file

FACTS = ("summary", "labels", "licence", "citation")  # for a dataset without a card
STUDY, DEFAULTS = (project_file(f"docs/results/{name}.tsv") for name in ("size", "sensitivity"))
ORDER = (
    "sweep",
    "tuning_trials",
    "scores_by_run",
    "resources",
    "distances",
    "umap",
    "umap_joint",
    "label_confusion",
    "marker_dots",
    "imputation",
    "calibration",
    "imputation_umap",
    "virtual_cells",
    "training_curves",
)


def main(*, results: Path, config: dict, splits: list[tuple[str, str]], output: Path) -> None:
    """Write the report, self-contained, with every figure of the results folder.

    `splits` are (dataset, scenario) in the order of the report; ``citations.bib`` is beside `output`.
    """
    files, names = Results(results), dict.fromkeys([*ORDER, *sorted(catalog.names("figures"))])
    contents = read_tables(files.tables)
    records = read_records(files, contents["runs"])
    registered = _registered(config)
    papers = {name: facts.get("citation", "") for name, facts in registered.items()}
    citations = bibtex(contents["runs"], contents["scores"], records, papers)
    text = report_page(
        tables=contents,
        figures=files.figures,
        figure_cards={name: catalog.card("figures", name) for name in names},
        theme=read_theme(contents["runs"]),
        config=config,
        splits=splits,
        records=records,
        audits=read_audits(files, contents["runs"]),
        registered=registered,
        citations=citations,
        ended=day_of_last_fit(files, contents["runs"]),
        study=read_table(STUDY) if STUDY.is_file() else None,
        defaults=read_table(DEFAULTS) if DEFAULTS.is_file() else None,
    )
    write_text(output, text)
    write_text(output.with_name("citations.bib"), citations)


def _registered(config: dict) -> dict[str, dict]:
    known, found = registry.load(config.get("registry") or registry.REGISTRY), {}
    for name, stanza in (config.get("datasets") or {}).items():
        stanza = stanza or {}
        entry = stanza.get("from", name)
        if entry in known and "path" not in stanza:
            found[name] = {fact: known[entry][fact] for fact in FACTS if fact in known[entry]}
            found[name]["unverified"] = [
                file.name
                for file in registry.raw_files(known, entry)
                if not file.optional and file.bytes is None and not file.digests
            ]
    return found
