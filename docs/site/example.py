"""The example report of docs, the picture of its first screen, and the scores on the pages of methods, from a finished default benchmark.

    python docs/site/example.py results

The page is the benchmark's report with the details of its first split only, and few figures, so that it stays small. The picture
needs Chromium.
"""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
from pathlib import Path

from provenance import commit_of
from scores import COLUMNS

from mosaicbench.commands import report
from mosaicbench.config import jobs, recorded
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text
from mosaicbench.report.tables.contract import read_tables
from mosaicbench.stats.common import RUN
from mosaicbench.workflow.layout import Results

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/example_report.html"
TABLE = REPOSITORY / "docs/results/default.tsv"
PICTURE = REPOSITORY / "docs/pictures/report.png"
FIGURES = ("scores_by_run", "umap")
WINDOW = {"width": 1400, "height": 900}  # pixels

sys.path.insert(0, str(REPOSITORY / "tests"))

from browser import Browser, chromium  # noqa: E402


def main(results: Path) -> None:
    """Write the page, the table, and the picture if there is a Chromium."""
    write_page(results, PAGE)
    means = read_tables(Results(results).tables)["headline"]
    means = means.loc[
        means["metric"].isin(list(COLUMNS)), [*RUN, "metric", "mean", "low", "high", "seeds"]
    ]
    means = means.round(4).assign(commit=commit_of(results))
    write_text(TABLE, means.to_csv(sep="\t", index=False))
    if chromium() is None:
        print(f"{PICTURE.name}: left as it is, since there is no Chromium", file=sys.stderr)
        return
    with Browser() as window:
        window.open(PAGE, **WINDOW)
        shot = window.call("Page.captureScreenshot", format="png")["data"]
    PICTURE.write_bytes(base64.b64decode(shot))


def write_page(results: Path, page: Path) -> None:
    """Write the report of the first split of a finished benchmark, with some of its figures."""
    job = jobs.report(recorded.read(results / "config.json"), Results(results))
    first = job["splits"][0]
    with tempfile.TemporaryDirectory() as place:
        folder, figures = Path(place), Path(place, "figures", *first)
        figures.mkdir(parents=True)
        for figure in FIGURES:
            for file in results.joinpath("figures", *first).glob(f"{figure}.*"):
                shutil.copy(file, figures)
        for part in ("tables", "runs", "splits"):
            (folder / part).symlink_to((results / part).resolve())
        written = folder / "report.html"
        report.main(**job | {"splits": [first], "results": folder, "output": written})
        shutil.move(written, page)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (UserError, OSError) as error:
        sys.exit(f"example: {error}")
