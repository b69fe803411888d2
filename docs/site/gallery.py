"""Write the results of a study from its tables into its page, so that nobody types a number.

    python docs/site/gallery.py                       # every study that has results in results/studies
    python docs/site/gallery.py balance collapse      # these
    python docs/site/gallery.py --results elsewhere/studies balance

A page, ``docs/results/STUDY.md``, is written by hand except for the block between the marks ``measured``. Differences and epochs
are those of `numbers_of_study.py`; `provenance.py` marks on each page which code made its numbers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import provenance
import yaml
from blocks import replaced, table
from forest import SPECS as FORESTS
from numbers_of_study import numbers
from PIL import Image

from mosaicbench.catalog.search_spaces import TUNED
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.report.page.cells import with_arrow
from mosaicbench.report.records import read_records
from mosaicbench.report.tables.contract import of_split, read_tables
from mosaicbench.report.tables.text import NOT_GIVEN, counted, distinct, mean_with_interval
from mosaicbench.report.theme import Theme, read_theme
from mosaicbench.stats.common import CONTESTS, RUN, SPLIT, half_width
from mosaicbench.stats.means import seed_means
from mosaicbench.workflow.layout import Results

REPOSITORY = Path(__file__).parents[2]
PAGES, CONFIGS = REPOSITORY / "docs/results", REPOSITORY / "config/studies"
BLOCK = "measured"


def main(studies: list[str], results: Path) -> None:
    """Refresh the pages of studies.

    Raises
    ------
    UserError
        If a study has no config or no page with both marks.
    """
    finished = sorted(path.parents[1].name for path in results.glob("*/tables/contents.tsv"))
    for name in studies or finished:
        page = PAGES / f"{name}.md"
        for needed in (CONFIGS / f"{name}.yaml", page):
            if not needed.is_file():
                raise UserError(f"{needed}: no such file; a study needs a config and a page")
        picture = None if name in FORESTS else chosen_figure(Results(results / name))
        if picture is not None:
            (PAGES / "pictures").mkdir(exist_ok=True)
            _save_small(picture, PAGES / f"pictures/{name}.png")
        block = f"\n{measured(results / name, name, picture is not None)}\n"
        write_text(page, replaced(page.read_text(encoding="utf-8"), BLOCK, block))
        provenance.mark_results(page.name, results / name, PAGES / provenance.MARKS.name)
        print(f"Written: {page.relative_to(REPOSITORY)}")
    provenance.refresh(PAGES / provenance.MARKS.name)


def with_tuned(stanzas: dict[str, dict | None], runs: Iterable[str]) -> dict[str, dict | None]:
    """Return a config's `runs` with a tuned form of each that was tuned, after all others."""
    found = dict(stanzas)
    for run in runs:
        untuned = run.removesuffix(TUNED)
        if run.endswith(TUNED) and untuned in stanzas:
            found[run] = {"method": untuned} | (stanzas[untuned] or {})
    return found


def measured(folder: Path, name: str, has_picture: bool) -> str:
    """Return the results of a study as Markdown: its origin, its figure, and a table per split or along a sweep."""
    results = Results(folder)
    tables = read_tables(results.tables)
    theme = read_theme(tables["runs"])
    parts = ["## Measured", origin(results, tables["runs"])]
    if has_picture:
        parts.append(f"![Results of the study {name}](pictures/{name}.png)")
    splits = list(tables["runs"][SPLIT].drop_duplicates().itertuples(index=False, name=None))
    sweep = tables["sweep"]
    quantity = sweep["quantity"].iloc[0] if len(sweep) else None
    if quantity:
        parts += along(sweep, theme)
    else:
        parts.append(
            "Mean over seeds, and its 95 % interval. Bold: the best, and all that do not differ from it significantly "
            "(paired tests)."
        )
        for split in splits:
            scores = scores_of(tables["rankings"], split, theme)
            parts.append(f"### {theme.split(*split)}\n\n{scores}")
    parts += differences(tables["scores"], splits, theme)
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    compared = numbers(tables, with_tuned(config.get("runs") or {}, tables["runs"]["run"]))
    parts += of_runs(compared, quantity, theme) + epochs(compared, quantity, theme)
    return "\n\n".join(parts)


def of_runs(compared: pd.DataFrame, quantity: str | None, theme: Theme) -> list[str]:
    """Return tables of differences: between methods of equal settings in a sweep, otherwise between settings of a method."""
    gaps = compared[compared["against"] != ""]
    if quantity is None:
        pairs, by, column = "settings of one method, seed by seed", ["data", "scenario"], "metric"
        columns = list(gaps["metric"].unique())
        header = ["run, minus run", *(with_arrow(metric, theme) for metric in columns)]
    else:
        gaps = gaps[gaps["x"].notna()]
        pairs, by, column = "methods with equal settings, pair by pair", ["metric"], "x"
        columns = sorted(gaps["x"].unique())
        header = ["", f"run, minus run, by {quantity}", *(f"{x:g}" for x in columns)]
    parts = []
    for key, part in gaps.groupby(by, sort=False):
        title = theme.split(*key) if quantity is None else with_arrow(key[0], theme)
        rows = []
        lines = part.groupby(["data", "direction", "run", "against"], sort=False)
        for (data, direction, run, against), line in lines:
            cells = {row[column]: _gap(row) for row in line.to_dict("records")}
            where = [] if quantity is None else [_place(data, direction, theme)]
            pair = f"{theme.label('runs', run)} - {theme.label('runs', against)}"
            rows.append([*where, pair, *(cells.get(name, NOT_GIVEN) for name in columns)])
        parts.append(f"### {title}: differences between {pairs}\n\n{table(header, rows)}")
    if parts:
        parts[0] += (
            "\n\nMean difference, its 95 % t interval, and in how many of the pairs the first run is better."
        )
    return parts


def _place(data: str, direction: str, theme: Theme) -> str:
    return data if direction == "mean" else f"{data}, {theme.direction(direction)}"


def _gap(row: dict) -> str:
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:+z.3f}, {row['high']:+z.3f}]"
    return f"{row['mean']:+z.3f}{interval}, {row['ahead']:.0f}/{row['n']}"


def epochs(compared: pd.DataFrame, quantity: str | None, theme: Theme) -> list[str]:
    """Return a table of the epochs of the selected weights, a row per trained run; [] if none was trained."""
    kept = compared[(compared["against"] == "") & compared["epoch_kept"].notna()]
    if kept.empty:
        return []
    places = kept["data"]
    if (kept.groupby("run")["x"].nunique() > 1).any():
        places = places + ", " + kept["x"].map("{:g}".format)
    means = kept.pivot_table("epoch_kept", "run", places, sort=False)
    means = means.loc[theme.order("runs", means.index)]
    heads = [theme.label("datasets", place) for place in means] if quantity is None else [*means]
    rows = []
    for run, line in means.iterrows():
        cells = [NOT_GIVEN if np.isnan(epoch) else f"{epoch:.0f}" for epoch in line]
        rows.append([theme.label("runs", run), *cells])
    shown = table(["run", *heads], rows)
    return [f"### Epoch of the selected weights\n\nMean over repetitions.\n\n{shown}"]


def origin(results: Results, runs: pd.DataFrame) -> str:
    """Return when, with what and at which cost a study was made."""
    facts = [
        {"commit": one["git_commit"], "device": one["device"]}
        | (one.get("hardware") or {})
        | (one.get("versions") or {})
        for one in read_records(results, runs)
    ]
    written = Path(results.table("contents")).stat().st_mtime
    fits = runs[runs["status"] != "not_applicable"]
    seeds = ", ".join(str(seed) for seed in sorted(fits["seed"].dropna().unique()))
    seconds = runs[["cpu_seconds", "gpu_seconds"]].apply(pd.to_numeric).to_numpy()
    named = ("mosaicbench", "commit", "device", "cpu", "torch")
    known = pd.DataFrame(facts, dtype=object).reindex(columns=named).replace("absent", np.nan)
    known = known.dropna(axis=1, how="all")
    versions = "; ".join(f"{key} {distinct(x.dropna())}" for key, x in known.items())
    return (
        f"Tables of {datetime.fromtimestamp(written, UTC):%Y-%m-%d}; {versions}. Seeds {seeds}. {len(fits)} fits "
        f"({counted(fits['status'].astype(str))}) took {np.nansum(seconds) / 3600:.2f} hours of CPU and GPU, without "
        "preparation, scores and figures. Written by `python docs/site/gallery.py` from the study's tables."
    )


def along(sweep: pd.DataFrame, theme: Theme) -> list[str]:
    """Return a table per score of a sweep: a row per panel, direction and line, a column per value of the swept quantity.

    The last column has runs in which the quantity does not vary.
    """
    quantity = sweep["quantity"].iloc[0]
    parts = [
        f"Along the {quantity}: mean over seeds and its 95 % interval; for several datasets of the same value, mean over "
        "datasets and its interval (Student's t over datasets)."
    ]
    for metric, of_metric in sweep.groupby("metric", sort=False):
        values, rows = sorted(of_metric["x"].dropna().unique()), []
        fixed = ["not varied"] if of_metric["x"].isna().any() else []
        lines = of_metric.groupby(["panel", "direction", "line"], sort=False)
        for (panel, direction, line), part in lines:
            label = theme.label("runs", line) if line in set(part["run"]) else line
            cells = [_mean(part[part["x"] == x], metric) for x in values]
            cells += [_mean(part[part["x"].isna()], metric) for _ in fixed]
            if set(cells) != {NOT_GIVEN}:
                rows.append([_place(panel, direction, theme), label, *cells])
        shown = table(["", quantity, *(f"{x:g}" for x in values), *fixed], rows)
        parts.append(f"### {with_arrow(metric, theme)}\n\n{shown}")
    return parts


def _mean(part: pd.DataFrame, metric: str) -> str:
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
    """Return the table of a split: runs with a score, and scores of any run."""
    here = of_split(rankings, *split)
    here = here[here["metric"].isin([*CONTESTS, "fit_seconds"]) & here["mean"].notna()]
    metrics = [metric for metric in (*CONTESTS, "fit_seconds") if metric in set(here["metric"])]
    lines, rows = here.set_index(["run", "metric"])[["shown", "best"]].to_dict("index"), []
    for run in theme.order("runs", here["run"]):
        cells = [f"{theme.label('runs', run)}, {theme.run_metadata.kind(run)}"]
        for metric in metrics:
            line = lines.get((run, metric), {"shown": NOT_GIVEN, "best": False})
            cells.append(f"**{line['shown']}**" if line["best"] else str(line["shown"]))
        rows.append(cells)
    return table(["run", *(with_arrow(metric, theme) for metric in metrics)], rows)


def differences(scores: pd.DataFrame, splits: list[tuple[str, str]], theme: Theme) -> list[str]:
    """Return a table per dataset of the differences of its other scenarios from its first one, seed by seed."""
    means, parts = seed_means(scores).dropna(subset="value"), []
    runs = [run for run in means["run"].unique() if theme.run_metadata.competes(run)]
    for dataset in dict.fromkeys(name for name, _ in splits):
        first, *others = [scenario for name, scenario in splits if name == dataset]
        values = means[means["dataset"] == dataset].set_index([*RUN[1:], "metric", "seed"])["value"]
        values, rows = values.sort_index(), []
        for run in theme.order("runs", runs):
            for metric in CONTESTS:
                cells = [_difference(values, run, metric, first, other) for other in others]
                if set(cells) - {NOT_GIVEN}:
                    rows.append([theme.label("runs", run), theme.label("metrics", metric), *cells])
        if rows:
            start = theme.label("scenarios", first)
            heads = [f"{theme.label('scenarios', other)} - {start}" for other in others]
            title = (
                f"{theme.label('datasets', dataset)}: differences between scenarios, seed by seed"
            )
            parts.append(f"### {title}\n\n{table(['run', 'score', *heads], rows)}")
    return parts


def _difference(values: pd.Series, run: str, metric: str, first: str, other: str) -> str:
    """Return the mean difference between two scenarios over their common seeds, with its 95 % t interval."""
    try:
        gaps = values.loc[(other, run, metric)] - values.loc[(first, run, metric)]
    except KeyError:
        return NOT_GIVEN
    gaps = gaps.dropna().to_numpy()
    if len(gaps) < 2:
        return NOT_GIVEN
    half = half_width(gaps)
    return f"{gaps.mean():+z.3f} [{gaps.mean() - half:+z.3f}, {gaps.mean() + half:+z.3f}]"


def chosen_figure(results: Results) -> Path | None:
    """Return the sweep's figure or the scores of the first split; None if none was drawn."""
    folder = Path(results.figures)
    drawn = [folder / "sweep.png", *sorted(folder.glob("*/*/scores_by_run.png"))]
    return next((path for path in drawn if path.is_file()), None)


def _save_small(picture: Path, path: Path) -> None:
    """Save a copy of at most 1,400 pixels' width and 256 colours."""
    with Image.open(picture) as image:
        image = image.convert("RGB")
        image.thumbnail((1400, 4000))
        image.quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="default: all with results")
    folder = Path("results/studies")
    parser.add_argument(
        "--results", type=Path, default=folder, metavar="DIR", help=f"default: {folder}"
    )
    arguments = parser.parse_args()
    try:
        main(arguments.studies, arguments.results)
    except (UserError, OSError) as error:
        sys.exit(f"gallery: {error}")
