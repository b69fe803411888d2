"""The gallery of results: what a study measured goes from its tables onto its page, so that nobody types a number.

    python docs/site/gallery.py                       # every study that has results in results/studies
    python docs/site/gallery.py balance collapse      # these
    python docs/site/gallery.py --results elsewhere/studies balance

Differences and epochs are those of ``docs/site/numbers_of_study.py``.
A page, ``docs/results/STUDY.md``, is written by hand but for what stands between ``<!-- measured -->`` and its end mark.
A study without a page gets one, with the question that the comment of its config asks. `provenance.py` beside this file says on
each page which code made its numbers.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY / "docs/site")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import provenance  # noqa: E402
import yaml  # noqa: E402
from numbers_of_study import numbers  # noqa: E402
from PIL import Image  # noqa: E402

from mosaicbench.errors import UserError  # noqa: E402
from mosaicbench.files.atomic import write_text  # noqa: E402
from mosaicbench.report.page.cells import with_arrow  # noqa: E402
from mosaicbench.report.records import circumstances, read_records  # noqa: E402
from mosaicbench.report.tables.contract import of_split, read_tables  # noqa: E402
from mosaicbench.report.tables.text import NOT_GIVEN, counted, mean_with_interval  # noqa: E402
from mosaicbench.report.theme import Theme, read_theme  # noqa: E402
from mosaicbench.stats.common import CONTESTS, RUN, SPLIT, half_width  # noqa: E402
from mosaicbench.stats.means import seed_means  # noqa: E402
from mosaicbench.workflow.layout import Results  # noqa: E402

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
PAGES, CONFIGS = REPOSITORY / "docs/results", REPOSITORY / "config/studies"
FIGURES = ("sweep", "mean_ranks")  # of the whole benchmark; else the scores of the first split


def main(studies: list[str], results: Path) -> None:
    """Refresh the pages of studies.

    Raises
    ------
    UserError
        When a study has no config or no finished results, or its page has one of the two marks.
    """
    names = studies or sorted(
        path.name for path in results.iterdir() if (path / "tables/contents.tsv").is_file()
    )
    if not names:
        raise UserError(
            f"{results}: no study there has tables; run one: snakemake --cores all --configfile config/studies/NAME.yaml"
        )
    for name in names:
        page, config = PAGES / f"{name}.md", CONFIGS / f"{name}.yaml"
        if not config.is_file():
            raise UserError(
                f"{config}: no such study; there are: {', '.join(sorted(path.stem for path in CONFIGS.glob('*.yaml')))}"
            )
        text = (
            page.read_text(encoding="utf-8")
            if page.is_file()
            else new_page(name, config.read_text(encoding="utf-8"))
        )
        picture = chosen_figure(Results(results / name))
        if picture is not None:
            (PAGES / "pictures").mkdir(exist_ok=True)
            _small(picture, PAGES / f"pictures/{name}.png")
        write_text(page, refreshed(text, measured(results / name, name, picture is not None), page))
        provenance.mark_results(page.name, results / name, PAGES / provenance.MARKS.name)
        print(f"Written: {page.relative_to(REPOSITORY)}")
    provenance.refresh(PAGES / provenance.MARKS.name)


def refreshed(text: str, block: str, page: Path) -> str:
    """Return a page with a new block between the marks; a page without marks gets both at its end."""
    if text.count(BEGIN) != text.count(END) or text.count(BEGIN) > 1:
        raise UserError(
            f"{page}: needs {BEGIN} and {END} once each, or neither; mend it and run again"
        )
    marked = f"{BEGIN}\n{block}\n{END}"
    if BEGIN not in text:
        return f"{text.rstrip()}\n\n{marked}\n"
    before, rest = text.split(BEGIN)
    return f"{before}{marked}{rest.split(END)[1]}"


def new_page(name: str, config: str) -> str:
    """Return a page with a study's question, which stands in the comment that its config begins with, and its command."""
    comment = [
        line.removeprefix("#").strip() for line in config.splitlines()[: _comment_lines(config)]
    ]
    command = next(
        (place for place, line in enumerate(comment) if line.startswith("snakemake ")), len(comment)
    )
    question, remarks = " ".join(comment[:command]), " ".join(comment[command + 1 :])
    title = name.replace("_", " ").capitalize()
    asked = f"```sh\nsnakemake --cores all --configfile config/studies/{name}.yaml\n```"
    return "\n\n".join(part for part in (f"# {title}", question, asked, remarks) if part) + "\n"


def measured(folder: Path, name: str, has_picture: bool) -> str:
    """Return what a study measured, as Markdown: how it was made, its figure, and a table per split or along what varies."""
    results = Results(folder)
    tables = read_tables(results.tables)
    theme = read_theme(REPOSITORY / "config/display.yaml", tables["runs"])
    records = read_records(results, tables["runs"])
    parts = ["## Measured", made(results, tables["runs"], records)]
    if has_picture:
        parts.append(f"![What the study {name} found](pictures/{name}.png)")
    splits = list(tables["runs"][SPLIT].drop_duplicates().itertuples(index=False, name=None))
    if len(tables["sweep"]):
        parts.append(along(tables["sweep"], theme))
    else:
        parts.append(
            "Mean over seeds, and its 95 % interval; bold is the best, and what paired tests cannot tell from it."
        )
        parts += [
            f"### {theme.split(*split)}\n\n{scores_of(tables['rankings'], split, theme)}"
            for split in splits
        ]
    if changes := differences(tables["scores"], splits, theme):
        parts.append(changes)
    stanzas = (
        yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")).get("runs") or {}
    )
    compared = numbers(tables, stanzas)
    quantity = tables["sweep"]["quantity"].iloc[0] if len(tables["sweep"]) else None
    return "\n\n".join(
        [*parts, *of_runs(compared, quantity, theme), *epochs(compared, quantity, theme)]
    )


def of_runs(compared: pd.DataFrame, quantity: str | None, theme: Theme) -> list[str]:
    """Return tables of the differences between runs: of methods with equal settings in a sweep, else of settings of one."""
    gaps = compared[compared["against"] != ""]
    if quantity is None:
        what, by, columns = (
            "settings of one method, seed by seed",
            ["data", "scenario"],
            list(gaps["metric"].unique()),
        )
        header = ["run, minus run", *(with_arrow(metric, theme) for metric in columns)]
    else:
        what, by, columns = (
            "methods with equal settings, pair by pair",
            ["metric"],
            sorted(gaps["x"].dropna().unique()),
        )
        header = ["", f"run, minus run, by {quantity}", *(f"{x:g}" for x in columns)]
    parts = []
    for key, part in gaps.groupby(by, sort=False):
        title = theme.split(*key) if quantity is None else with_arrow(key[0], theme)
        rows = []
        for (data, direction, run, against), line in part.groupby(
            ["data", "direction", "run", "against"], sort=False
        ):
            cells = {
                row["metric" if quantity is None else "x"]: _gap(row)
                for row in line.to_dict("records")
            }
            where = (
                []
                if quantity is None
                else [data if direction == "mean" else f"{data}, {theme.direction(direction)}"]
            )
            pair = f"{theme.label('runs', run)} - {theme.label('runs', against)}"
            rows.append([*where, pair, *(cells.get(column, NOT_GIVEN) for column in columns)])
        parts.append(f"### {title}: differences between {what}\n\n{table(header, rows)}")
    if parts:
        parts[0] += (
            "\n\nMean difference, its 95 % t interval, and in how many of the pairs the first is better."
        )
    return parts


def _gap(row: dict) -> str:
    """Return a difference with its interval and how often it is to the better."""
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:+z.3f}, {row['high']:+z.3f}]"
    return f"{row['mean']:+z.3f}{interval}, {row['ahead']:.0f}/{row['n']}"


def epochs(compared: pd.DataFrame, quantity: str | None, theme: Theme) -> list[str]:
    """Return a table of the epochs with the weights that were kept, a row per trained run; nothing where none was trained."""
    kept = compared[(compared["against"] == "") & compared["epoch_kept"].notna()]
    if kept.empty:
        return []
    kept = kept.assign(
        place=[
            row.data if quantity is None else f"{row.data}, {row.x:g}" for row in kept.itertuples()
        ]
    )
    means = kept.groupby(["run", "place"], sort=False)["epoch_kept"].mean().to_dict()
    places = list(dict.fromkeys(kept["place"]))
    rows = [
        [
            theme.label("runs", run),
            *(
                f"{means[run, place]:.0f}" if (run, place) in means else NOT_GIVEN
                for place in places
            ),
        ]
        for run in theme.order("runs", kept["run"])
    ]
    header = [
        "run",
        *(theme.label("datasets", place) if quantity is None else place for place in places),
    ]
    return [
        f"### Epoch with the weights that were kept\n\nMean over repetitions.\n\n{table(header, rows)}"
    ]


def made(results: Results, runs: pd.DataFrame, records: list[dict]) -> str:
    """Return when, with what and at which cost a study was made."""
    facts = circumstances(records)
    day = datetime.fromtimestamp(Path(results.table("contents")).stat().st_mtime, UTC).strftime(
        "%Y-%m-%d"
    )
    fits = runs[runs["status"] != "not_applicable"]
    seeds = ", ".join(str(seed) for seed in sorted(fits["seed"].dropna().unique()))
    hours = (
        sum(pd.to_numeric(runs[column]).sum() for column in ("cpu_seconds", "gpu_seconds")) / 3600
    )
    made_with = "; ".join(
        f"{key} {facts[key]}"
        for key in ("mosaicbench", "commit", "device", "cpu", "torch")
        if key in facts
    )
    return (
        f"Tables of {day}; {made_with}. Seeds {seeds}. {len(fits)} fits ({counted(fits['status'].astype(str))}) took "
        f"{hours:.2f} hours of processor and GPU, preparation, scores and figures aside. Written by "
        "`python docs/site/gallery.py` from the study's tables."
    )


def along(sweep: pd.DataFrame, theme: Theme) -> str:
    """Return a table for each score of a sweep: a row per panel, direction and line, a column per value of what varies.

    Runs in which it does not vary have one of their own, the last.
    """
    quantity = sweep["quantity"].iloc[0]
    parts = [
        f"Along the {quantity}: the mean over seeds and its 95 % interval, where there are several; where several datasets "
        "have the same value, the mean over these and its interval (Student's t over datasets)."
    ]
    for metric, of_metric in sweep.groupby("metric", sort=False):
        columns, rows = sorted(of_metric["x"].dropna().unique()), []
        alone = ["not varied"] if of_metric["x"].isna().any() else []
        for (panel, direction, line), part in of_metric.groupby(
            ["panel", "direction", "line"], sort=False
        ):
            where = panel if direction == "mean" else f"{panel}, {theme.direction(direction)}"
            label = theme.label("runs", line) if line in set(part["run"]) else line
            values = [part[part["x"] == x] for x in columns] + [
                part[part["x"].isna()] for _ in alone
            ]
            rows.append([where, label, *(_at(value, metric) for value in values)])
        rows = [row for row in rows if set(row[2:]) != {NOT_GIVEN}]
        parts.append(
            f"### {with_arrow(metric, theme)}\n\n{table(['', quantity, *(f'{x:g}' for x in columns), *alone], rows)}"
        )
    return "\n\n".join(parts)


def _at(part: pd.DataFrame, metric: str) -> str:
    """Return the mean of one line at one value, with its interval."""
    means = part.drop_duplicates(["dataset", "scenario"])
    if means["mean"].isna().all():
        return NOT_GIVEN
    if len(means) == 1:
        return mean_with_interval(metric, *means.iloc[0][["mean", "low", "high"]])
    values = means["mean"].dropna().to_numpy(dtype=float)
    half = half_width(values) if len(values) > 1 else np.nan
    return mean_with_interval(metric, values.mean(), values.mean() - half, values.mean() + half)


def scores_of(rankings: pd.DataFrame, split: tuple[str, str], theme: Theme) -> str:
    """Return the table of a split: the runs that have a score, and the scores that any of them has."""
    here = of_split(rankings, *split)
    metrics = [
        metric
        for metric in (*CONTESTS, "fit_seconds")
        if here.loc[here["metric"] == metric, "mean"].notna().any()
    ]
    lines = here.set_index(["run", "metric"])
    rows = []
    for run in theme.order(
        "runs", here.loc[here["metric"].isin(metrics) & here["mean"].notna(), "run"]
    ):
        cells = [f"{theme.label('runs', run)}, {theme.run_metadata.kind(run)}"]
        for metric in metrics:
            line = lines.loc[(run, metric)] if (run, metric) in lines.index else None
            text = NOT_GIVEN if line is None else str(line["shown"])
            cells.append(f"**{text}**" if line is not None and bool(line["level"]) else text)
        rows.append(cells)
    return table(["run", *(with_arrow(metric, theme) for metric in metrics)], rows)


def differences(scores: pd.DataFrame, splits: list[tuple[str, str]], theme: Theme) -> str:
    """Return, where a dataset has several scenarios, what the others are from the first one, seed by seed; else ""."""
    means, parts = seed_means(scores).dropna(subset="value"), []
    for dataset in dict.fromkeys(name for name, _ in splits):
        first, *others = [scenario for name, scenario in splits if name == dataset]
        rows = []
        values = (
            means[means["dataset"] == dataset]
            .set_index([*RUN[1:], "metric", "seed"])["value"]
            .sort_index()
        )
        for run in theme.order(
            "runs", [run for run in means["run"].unique() if theme.run_metadata.competes(run)]
        ):
            for metric in CONTESTS:
                cells = [_difference(values, run, metric, first, other) for other in others]
                if any(cell != NOT_GIVEN for cell in cells):
                    rows.append([theme.label("runs", run), theme.label("metrics", metric), *cells])
        if rows:
            header = [
                "run",
                "score",
                *(
                    f"{theme.label('scenarios', other)} - {theme.label('scenarios', first)}"
                    for other in others
                ),
            ]
            parts.append(
                f"### {theme.label('datasets', dataset)}: differences between scenarios, seed by seed\n\n{table(header, rows)}"
            )
    return "\n\n".join(parts)


def _difference(values: pd.Series, run: str, metric: str, first: str, other: str) -> str:
    """Return the mean difference between two scenarios over the seeds of both, with its 95 % t interval."""
    try:
        sides = [values.loc[(scenario, run, metric)] for scenario in (first, other)]
    except KeyError:
        return NOT_GIVEN
    gaps = (sides[1] - sides[0]).dropna().to_numpy()
    if len(gaps) < 2:
        return NOT_GIVEN
    half = half_width(gaps)
    return f"{gaps.mean():+z.3f} [{gaps.mean() - half:+z.3f}, {gaps.mean() + half:+z.3f}]"


def chosen_figure(results: Results) -> Path | None:
    """Return the picture that shows most of a study, None where none was drawn."""
    folder = Path(results.figures)
    drawn = [folder / f"{name}.png" for name in FIGURES] + sorted(
        folder.glob("*/*/scores_by_run.png")
    )
    return next((path for path in drawn if path.is_file()), None)


def _small(picture: Path, to: Path) -> None:
    """Write a copy of a picture that is small enough to be kept: at most 1,400 pixels wide, of 256 colours."""
    with Image.open(picture) as image:
        image = image.convert("RGB")
        image.thumbnail((1400, 4000))
        image.quantize(256).save(to, optimize=True)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _comment_lines(config: str) -> int:
    """Return how many lines a config's first comment has."""
    lines = config.splitlines()
    return next((place for place, line in enumerate(lines) if not re.match("#", line)), len(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "studies", nargs="*", metavar="STUDY", help="default: all that have results"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results/studies"),
        metavar="DIR",
        help="default: results/studies",
    )
    arguments = parser.parse_args()
    try:
        main(arguments.studies, arguments.results)
    except (UserError, OSError) as error:
        sys.exit(f"gallery: {error}")
