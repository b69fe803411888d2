"""One view in the report: its headline scores, all its scores, and its paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mosaicbench.cards import NO_QUALITY
from mosaicbench.report.page.cells import (
    absent_cell,
    behind_mean,
    interval,
    many,
    metric_column,
    number_cell,
    run_cell,
    trait_cells,
    trait_columns,
)
from mosaicbench.report.page.embedded_figures import EmbeddedFigures
from mosaicbench.report.page.failures import messages, reason
from mosaicbench.report.page.html_tables import Cell, Column, Grid, Row, grid, row
from mosaicbench.report.page.recommendations import DETECTABLE, NEEDED
from mosaicbench.report.page.reference_sections import metric as metric_in_words
from mosaicbench.report.page.summary import endings
from mosaicbench.report.tables.contract import of_view
from mosaicbench.report.tables.text import NOT_GIVEN, absence, mean_with_sd
from mosaicbench.report.theme import Theme
from mosaicbench.statistics.common import CONTESTS, HEADLINE, LEVEL, TABLED
from mosaicbench.statistics.paired import BEST, decisive, level
from mosaicbench.statistics.sentinels import signs_of
from mosaicbench.statistics.spread import MOST_SEEDS

CIRCULAR = "↻"  # of a label score, where cell types were derived from a modality that methods see
LABEL_GROUPS = ("label_transfer", "label_prediction", "biology")
TABLES = ("headline", "runs", "overview", "gates", "paired_tests")


def view_section(
    number: int,
    place: tuple[str, ...],
    tables: Mapping[str, pd.DataFrame],
    figures: EmbeddedFigures,
    theme: Theme,
    *,
    labels_from: list[str] | None = None,
) -> dict:
    """Return what the report holds of one view (dataset, scenario).

    `number` counts the views from 0; `labels_from` are the modalities that the cell types were derived from, None if unknown.
    """
    of_tables = {name: of_view(tables[name], *place) for name in TABLES}
    runs = theme.order("runs", of_tables["runs"]["run"])
    title = theme.view(*place)
    return {
        "anchor": f"view-{number + 1}",
        "title": title,
        "statuses": endings(of_tables["runs"]),
        "circular": _circularity(labels_from, theme),
        "headline": _headline(of_tables, runs, title, theme, circular=bool(labels_from))
        if runs
        else None,
        "columns": [metric_in_words(metric, theme) for metric in TABLED],
        "families": _families(of_tables, runs, title, theme, circular=bool(labels_from)),
        "tests": _tests(of_tables["paired_tests"], title, theme),
        "first_two": first_two(of_tables["paired_tests"], theme),
        "figures": figures.of(*place),
    }


# --- scores --------------------------------------------------------------------------------------------------------------


def _circularity(labels_from: list[str] | None, theme: Theme) -> str:
    """Return what label scores cannot tell, where cell types were made of what methods see; "" where nothing is known of it."""
    if not labels_from:
        return ""
    names = " and ".join(theme.label("modalities", modality) for modality in labels_from)
    return (
        f"The cell types of this dataset were derived from its {names}: what a score with this sign asks of them is circular "
        "in part, for it also rewards agreement with the procedure that made the labels."
    )


def _columns(metrics: Sequence[str], theme: Theme, *, circular: bool) -> list[Column]:
    """Return the columns of metrics; those of label scores have the sign of circular ones where types come from a modality."""
    columns = {metric: metric_column(metric, theme) for metric in metrics}
    return [
        replace(column, label=f"{column.label}\N{NO-BREAK SPACE}{CIRCULAR}")
        if circular and theme.roster.group(metric) in LABEL_GROUPS
        else column
        for metric, column in columns.items()
    ]


def _headline(
    tables: Mapping[str, pd.DataFrame], runs: list[str], title: str, theme: Theme, *, circular: bool
) -> Grid:
    """Return the headline scores of every run of a view."""
    summary = tables["headline"].set_index(["run", "metric"])
    is_level = level(tables["headline"], tables["paired_tests"], theme.roster).set_axis(
        summary.index
    )
    at_chance = tables["gates"][tables["gates"]["gate"] == "chance"].set_index(["run", "metric"])[
        "message"
    ]
    signs = {run: sign for (*_, run), sign in signs_of(tables["gates"]).items()}
    overview = tables["overview"].set_index("run")
    rows = []
    for run in runs:
        cells = [run_cell(run, theme, signs.get(run, "")), theme.roster.kind(run)]
        for metric in TABLED:
            key, text = (run, metric), overview.loc[run, metric]
            if key not in summary.index:
                cells.append(absent_cell(text, why=reason(run, metric, tables["runs"], theme)))
                continue
            line = summary.loc[key]
            mark = "best" if is_level[key] else "faint" if key in at_chance.index else ""
            text, why = (f"{text} ≈", at_chance[key]) if key in at_chance.index else (text, "")
            cells.append(Cell(text, sort=line["mean"], why=why, about=behind_mean(line), mark=mark))
        status = overview.loc[run, "status"]
        why = messages(run, tables["runs"]) if status != "ok" else ""
        cells += [*trait_cells(run, theme), overview.loc[run, "seeds"]]
        cells.append(
            Cell(
                status.replace("_", " "),
                sort=status,
                why=why,
                mark="" if status == "ok" else "warn",
            )
        )
        rows.append(row(*cells, run=run))
    columns = ["Run", Column("Kind", choices=True), *_columns(TABLED, theme, circular=circular)]
    columns += [
        *trait_columns(),
        Column("Seeds", about="how many of the seeds that ran gave scores"),
        Column("Status", choices=True),
    ]
    return grid(f"Headline scores, {title}", columns, rows)


def _families(
    tables: Mapping[str, pd.DataFrame], runs: list[str], title: str, theme: Theme, *, circular: bool
) -> list[dict]:
    """Return all scores of a view, a table for each group of metrics; those that say nothing about quality come last."""
    summary = tables["headline"].set_index(["run", "metric"])
    groups: dict[str, list[str]] = {}
    for metric in theme.order("metrics", summary.index.get_level_values("metric")):
        groups.setdefault(theme.roster.group(metric), []).append(metric)
    families = []
    for group, metrics in sorted(groups.items(), key=lambda family: family[0] in NO_QUALITY):
        rows = [_family_row(run, metrics, summary, tables["runs"], theme) for run in runs]
        label = group.replace("_", " ").capitalize()
        columns = [
            "Run",
            Column("Kind", choices=True),
            *_columns(metrics, theme, circular=circular),
        ]
        table = grid(f"{label}, {title}", columns, [entry for entry in rows if entry is not None])
        families.append({"label": label, "count": len(metrics), "grid": table})
    return families


def _family_row(
    run: str, metrics: list[str], summary: pd.DataFrame, runs: pd.DataFrame, theme: Theme
) -> Row | None:
    """Return a run's scores of one group; None where it has none and did not fail."""
    text = absence(runs, run)
    if text == NOT_GIVEN and not any((run, metric) in summary.index for metric in metrics):
        return None
    cells = [run_cell(run, theme), theme.roster.kind(run)]
    for metric in metrics:
        if (run, metric) in summary.index:
            line = summary.loc[(run, metric)]
            cells.append(
                Cell(mean_with_sd(metric, line), sort=line["mean"], about=behind_mean(line))
            )
        else:
            cells.append(absent_cell(text, why=reason(run, metric, runs, theme)))
    return row(*cells, run=run)


# --- paired tests --------------------------------------------------------------------------------------------------------


def _tests(paired: pd.DataFrame, title: str, theme: Theme) -> Grid | None:
    """Return the paired tests of the headline scores, of these cells beside new ones; None where there are none."""
    rows = []
    for metric in [name for name in HEADLINE if name in set(paired["metric"])]:
        of_metric = paired[paired["metric"] == metric]
        for against in of_metric["against"].unique():
            pairs = of_metric[of_metric["against"] == against].set_index("run")
            rows += [
                _test(pairs.loc[run], run, metric, theme)
                for run in theme.order("runs", pairs.index)
            ]
    columns = ["Run", Column("Score", choices=True), Column("Against", choices=True)]
    columns += [
        Column(
            "Effect",
            about="the run's mean minus the other's, in units of the score",
            descending=True,
        ),
        "Better",
    ]
    columns += [
        "Splits",
        Column("Cells", about="distinct query cells"),
        "95 %, these cells",
        "p (Holm), these cells",
    ]
    columns += [
        "95 %, new cells",
        "p (Holm), new cells",
        Column("Detectable, these cells", about=DETECTABLE),
    ]
    columns += [
        Column("Detectable, new cells", about=DETECTABLE),
        Column("Splits for it", about=NEEDED),
    ]
    return grid(f"Paired tests, {title}", [*columns, Column("Note", words=True)], rows)


def _test(pair: pd.Series, run: str, metric: str, theme: Theme) -> list[Cell | str]:
    return [
        run_cell(run, theme),
        theme.label("metrics", metric),
        f"{theme.label('runs', pair['against'])} ({pair['role']})",
        number_cell(pair["effect"], f"{pair['effect']:+z.3f}"),
        "yes" if pair["better"] == run else "no",
        f"{int(pair['seeds'])}",
        number_cell(
            pair["cells"] or np.nan,
            f"{pair['cells']:.0f}",
            why="this score has no value for a single cell",
        ),
        interval(pair["low"], pair["high"]),
        number_cell(pair["p_holm"], _p(pair["p_holm"]), why=pair["note"]),
        interval(pair["low_new"], pair["high_new"]),
        number_cell(pair["p_new_holm"], _p(pair["p_new_holm"]), why=pair["note"]),
        number_cell(pair["detectable"]),
        number_cell(pair["detectable_new"]),
        number_cell(
            pair["seeds_needed"],
            f"{pair['seeds_needed']:.0f}",
            why=f"none up to {MOST_SEEDS}, or not known",
        ),
        pair["note"] if isinstance(pair["note"], str) else "",
    ]


def first_two(paired: pd.DataFrame, theme: Theme) -> list[str]:
    """Return one sentence per headline score: the first two runs, whether they are told apart, and what could be.

    Parameters
    ----------
    paired
        The paired tests of one view.
    """
    with_best = paired[paired["role"].astype(str).str.startswith(BEST)]
    sentences = []
    for metric in [name for name in CONTESTS if name in set(with_best["metric"])]:
        of_metric = with_best[with_best["metric"] == metric].dropna(subset="effect")
        if len(of_metric):
            size, is_ahead = of_metric["effect"].abs(), of_metric["better"] == of_metric["run"]
            second = of_metric.loc[size.where(is_ahead, -size).idxmax()]
            order = ["run", "against"] if second["better"] == second["run"] else ["against", "run"]
            names = " before ".join(theme.label("runs", run) for run in second[order])
            by = f"by {abs(second['effect']):.3f}"
            sentences.append(
                f"{theme.label('metrics', metric)}: {names} {by}. {_told_apart(second)}"
            )
    return sentences


def _told_apart(test: pd.Series) -> str:
    if pd.isna(test["p_holm"]):
        return f"No test: {test['note'] or 'not enough splits'}."
    words = []
    for name, of in {"": "these cells", "_new": "new cells of this kind"}.items():
        if pd.notna(p := test[f"p{name}_holm"]):
            apart = "Told apart" if p < 1 - LEVEL else "Not told apart"
            least = f"smallest detectable difference {test[f'detectable{name}']:.3f}"
            words.append(f"{apart} on {of} (p {_p(p)} after correction, {least}).")
    if decisive(test.to_frame().T).iloc[0] < 1 - LEVEL or pd.isna(test["p_new_holm"]):
        return " ".join(words)
    if pd.isna(test["seeds_needed"]):
        return " ".join(
            [
                *words,
                f"No number of splits up to {MOST_SEEDS} would do, since all divide the same cells.",
            ]
        )
    more = max(1, int(test["seeds_needed"] - test["seeds"]))
    return " ".join(
        [*words, f"{many(more, 'more split')} would, if difference and spread stay as they are."]
    )


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
