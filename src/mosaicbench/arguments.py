"""What each command takes from the command line."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mosaicbench import __version__, catalog, layout
from mosaicbench.errors import nearest


def _object(text: str) -> dict:
    """Return a JSON object from the command line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('must be an object of JSON, such as {"key": 1}')
    return value


def _one_of(known: Callable[[], tuple[str, ...]]) -> Callable[[str], str]:
    """Return what refuses any other word. It asks what is known once there is a word: to read a room's cards takes a while."""

    def checked(text: str) -> str:
        if text not in known():
            raise argparse.ArgumentTypeError(f"there is no {text!r}{nearest(text, known())}")
        return text

    return checked


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line; it imports no command."""
    whole = argparse.ArgumentParser(
        prog="mosaicbench", description="A benchmark of multimodal VAEs for single-cell data."
    )
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _add(
        commands,
        "run",
        "run the workflow in the working directory, from wherever this package is installed",
    )
    where = "a config (default: config/config.yaml where there is one, else the default benchmark)"
    run.add_argument("--configfile", type=Path, metavar="FILE", help=where)
    run.add_argument("--cores", default="all", metavar="N", help="default: all")
    run.add_argument(
        "arguments", nargs="*", metavar="-- ARGUMENT", help="Snakemake's own, such as: -- --dry-run"
    )

    fetch = _add(
        commands,
        "fetch",
        "bring a dataset's files from their publishers or from a mirror, and verify them",
    )
    fetch.add_argument("datasets", nargs="*", metavar="DATASET", help="ids of the registry")
    fetch.add_argument(
        "--list",
        dest="show",
        action="store_true",
        help="show what is there and what is missing; fetch nothing",
    )
    fetch.add_argument(
        "--file",
        dest="files",
        action="append",
        default=[],
        metavar="NAME",
        help="this file only; may be repeated",
    )
    fetch.add_argument(
        "--optional",
        action="store_true",
        help="also files that the dataset can be prepared without",
    )
    fetch.add_argument("--offline", action="store_true", help="never touch the network")
    mirror = os.environ.get("MOSAICBENCH_MIRROR")
    where = "a local folder to look into first: DATASET/FILE in it, or FILE (default: $MOSAICBENCH_MIRROR)"
    fetch.add_argument(
        "--mirror", type=Path, default=Path(mirror) if mirror else None, metavar="DIR", help=where
    )
    fetch.add_argument(
        "--raw", type=Path, default=Path("resources/raw"), metavar="DIR", help="where the files go"
    )
    known = Path(
        os.environ.get("MOSAICBENCH_REGISTRY") or layout.project_file("config/datasets.yaml")
    )
    where = "the registry (default: $MOSAICBENCH_REGISTRY, or the project's own)"
    fetch.add_argument(
        "--registry", dest="known", type=Path, default=known, metavar="FILE", help=where
    )

    prepare = _add(commands, "prepare", "turn a source into a dataset")
    prepare.add_argument("--dataset", required=True, help="its id")
    loader = _one_of(partial(catalog.names, "datasets"))
    prepare.add_argument(
        "--loader", type=loader, required=True, help="`mosaicbench list datasets` shows all"
    )
    prepare.add_argument(
        "--options", type=_object, default={}, metavar="JSON", help="keywords of the loader"
    )
    prepare.add_argument(
        "--raw", type=Path, help="the folder of what was fetched, for a loader that reads it"
    )
    prepare.add_argument("--output", type=Path, required=True)

    cut = _add(commands, "cut", "turn a dataset into a view: train, query and solution")
    cut.add_argument("--dataset", type=Path, required=True)
    cut.add_argument("--scenario", required=True, help="its id")
    cut.add_argument("--kind", required=True, help="how pairing is hidden")
    cut.add_argument(
        "--options",
        type=_object,
        default={},
        metavar="JSON",
        help="keywords of the scenario and of preprocessing",
    )
    cut.add_argument("--seeds", type=int, nargs="+", required=True)
    for part in ("train", "query", "solution"):
        cut.add_argument(
            f"--{part}", type=Path, nargs="+", required=True, help="the file to write, one per seed"
        )

    _add_arguments_of_fit(
        _add(commands, "fit", "fit methods on a view; embed and impute its query cells")
    )

    adopt = _add(
        commands, "adopt", "take in a run that was computed elsewhere, each cell found by its name"
    )
    adopt.add_argument(
        "job", type=_object, metavar="JOB", help="dataset, scenario, run and seeds, in JSON"
    )

    divide = _add(
        commands, "divide", "divide the train cells of a view once more, to choose settings on"
    )
    divide.add_argument(
        "--view",
        type=Path,
        required=True,
        metavar="FILE",
        help="train.h5mu of the view; nothing else is read",
    )
    divide.add_argument(
        "--share", type=float, default=0.2, help="of the cells, those that become the inner query"
    )
    divide.add_argument(
        "--seed", type=int, default=0, help="draws the division, together with the view's own seed"
    )
    divide.add_argument(
        "--by", metavar="COLUMN", help="leave out a group of this column, as the scenario does"
    )
    for part in ("train", "query", "solution"):
        divide.add_argument(f"--{part}", type=Path, required=True)

    tune = _add(
        commands, "tune", "search for a run's best settings on an inner view, which `divide` wrote"
    )
    what = (
        "identity, of, hyperparameters, view, output, trials, objective, seed and limits, in JSON"
    )
    tune.add_argument("job", type=_object, metavar="JOB", help=what)
    tune.add_argument("--threads", type=int)

    score = _add(commands, "score", "score runs of a view on all their seeds")
    score.add_argument(
        "--runs", type=Path, nargs="+", help="folders, one per seed; all of the first run first"
    )
    score.add_argument("--views", type=Path, nargs="+", help="folders, one per seed")
    score.add_argument(
        "--groups", type=_one_of(_groups), nargs="+", metavar="GROUP", help="groups of metrics"
    )
    score.add_argument("--scores", type=Path, nargs="+", help="a file per run")
    score.add_argument("--features", type=Path, nargs="+", help="a file per run")
    score.add_argument("--cells", type=Path, nargs="+", help="a file per run")
    score.add_argument("--threads", type=int)
    elsewhere = score.add_argument_group(
        "embeddings that were made elsewhere, in the place of runs"
    )
    elsewhere.add_argument(
        "--latents",
        type=Path,
        nargs="+",
        metavar="FILE.h5ad",
        help="one per source, named after it",
    )
    elsewhere.add_argument(
        "--truth", type=Path, metavar="FILE", help=".h5mu or .h5ad whose obs has types and batches"
    )
    elsewhere.add_argument("--embedding", metavar="KEY", help="of obsm (default: X)")
    what = "of obsp, such as distances or connectivities of scanpy: metrics that read graphs, in the place of coordinates"
    elsewhere.add_argument("--graph", metavar="KEY", help=what)
    elsewhere.add_argument("--cell-type", default="cell_type", metavar="COLUMN")
    elsewhere.add_argument("--batch", default="batch", metavar="COLUMN")
    elsewhere.add_argument("--output", type=Path, metavar="FILE.tsv")

    project = _add(
        commands,
        "project",
        "lay out runs' cells in two dimensions, and gather what else pictures of cells need",
    )
    what = (
        "a view's folder, and after it the folders of runs on it, of one seed; once for each view"
    )
    view = {
        "type": Path,
        "nargs": "+",
        "action": "append",
        "required": True,
        "metavar": ("VIEW", "RUN"),
        "help": what,
    }
    project.add_argument("--view", dest="views", **view)
    project.add_argument("--seed", type=int, required=True)
    project.add_argument(
        "--output",
        type=Path,
        required=True,
        help="a folder: a view's tables stand in its DATASET/SCENARIO",
    )
    project.add_argument(
        "--generate",
        type=Path,
        nargs="*",
        default=[],
        metavar="RUN",
        help="folders of runs on these views from whose models virtual cells are drawn",
    )
    project.add_argument("--threads", type=int)

    tabulate = _add(commands, "tabulate", "join scores into tables")
    tabulate.add_argument("--config", type=_settings, required=True, help="the recorded config")
    tabulate.add_argument("--results", type=Path, required=True, help="the results folder")
    tabulate.add_argument("--published", type=Path, required=True, help="published.yaml")
    tabulate.add_argument("--display", type=Path, required=True, help="display.yaml")
    tabulate.add_argument("--output", type=Path, required=True, help="a folder")

    draw = _add(commands, "draw", "draw figures for every view")
    figure = _one_of(partial(catalog.names, "figures"))
    draw.add_argument("--figures", type=figure, nargs="+", required=True, metavar="FIGURE")
    draw.add_argument("--tables", type=Path, required=True)
    draw.add_argument(
        "--projections", type=Path, required=True, help="the folder of what `project` wrote"
    )
    draw.add_argument("--display", type=Path, required=True)
    draw.add_argument("--views", nargs="+", required=True, metavar="DATASET/SCENARIO")
    draw.add_argument("--output", type=Path, required=True, help="a folder")

    report = _add(commands, "report", "write the HTML report")
    report.add_argument("--tables", type=Path, required=True)
    report.add_argument("--figures", type=Path, required=True)
    report.add_argument("--display", type=Path, required=True)
    report.add_argument("--config", type=Path, required=True, help="the recorded config")
    report.add_argument(
        "--results",
        type=Path,
        help="the results folder, for hyperparameters, versions and machines",
    )
    report.add_argument("--views", nargs="+", required=True, metavar="DATASET/SCENARIO")
    report.add_argument("--output", type=Path, required=True)

    plan = _add(
        commands,
        "plan",
        "tell, before a benchmark runs, its hours, memory and disk",
    )
    default = str(layout.project_file("config/config.yaml"))
    plan.add_argument(
        "config",
        type=_settings,
        nargs="?",
        default=default,
        help="a config (default: the default benchmark)",
    )
    where = "a table of expenses, such as a finished benchmark's tables/expenses.tsv (default: the one that ships)"
    default = layout.project_file("config/expenses.tsv")
    plan.add_argument("--table", type=Path, default=default, metavar="FILE", help=where)
    where = "the size of a dataset that nothing else tells; may be repeated"
    plan.add_argument(
        "--shape",
        dest="shapes",
        type=_shape,
        action="append",
        default=[],
        metavar="NAME=CELLS,FEATURES",
        help=where,
    )

    compare = _add(
        commands,
        "compare",
        "hold two results folders side by side: what changed, and whether beyond chance",
    )
    compare.add_argument("a", type=Path, metavar="A", help="a results folder")
    compare.add_argument("b", type=Path, metavar="B", help="another")
    compare.add_argument("--output", type=Path, metavar="FILE.tsv", help="also write every score")

    apply = _add(
        commands,
        "apply",
        "embed one's own cells with a kept model, give them types, impute what they lack",
    )
    apply.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="the folder of a run whose model was kept, of a model, or of results: the best run's",
    )
    where = "with a results folder of several of them"
    apply.add_argument("--view", metavar="DATASET/SCENARIO", help=where)
    apply.add_argument(
        "cells",
        type=Path,
        metavar="CELLS",
        help=".h5mu, .h5ad or 10x .h5 with some of its modalities",
    )
    _add_arguments_of_applying(apply)

    integrate = _add(
        commands,
        "integrate",
        "fit a method to one's own cells, without a benchmark, and embed them",
    )
    integrate.add_argument("cells", type=Path, metavar="CELLS", help=".h5mu or 10x .h5")
    integrate.add_argument(
        "--method", required=True, help="a method's id; `mosaicbench list methods` shows all"
    )
    integrate.add_argument("--seed", type=int, default=0)
    integrate.add_argument("--hyperparameters", type=_object, default={}, metavar="JSON")
    integrate.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="a folder to keep the model in, for `mosaicbench apply`",
    )
    integrate.add_argument("--cell-type", metavar="COLUMN", help="the obs column of cell types")
    integrate.add_argument("--batch", metavar="COLUMN", help="the obs column of batches")
    integrate.add_argument(
        "--values", default="counts", help="counts (default), or lognorm of RNA without counts"
    )
    integrate.add_argument(
        "--kinds", type=_object, metavar="JSON", help="modality -> rna, atac, adt or continuous"
    )
    _add_arguments_of_applying(integrate)

    listing = _add(commands, "list", "show what there is")
    listing.add_argument("room", nargs="?", choices=list(catalog.ROOMS), help="default: all")
    listing.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="refresh the tables between the markers of a Markdown file",
    )
    return whole


def _add(commands: argparse._SubParsersAction, name: str, what: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")


def _add_arguments_of_applying(command: argparse.ArgumentParser) -> None:
    """Add what is asked of cells that are shown to a model."""
    command.add_argument("--output", type=Path, required=True, metavar="FILE.h5mu")
    command.add_argument(
        "--no-imputation", dest="impute", action="store_false", help="latents and types only"
    )
    where = "share of a modality's features that must be there (default: 0.5)"
    command.add_argument("--least-share", type=float, default=0.5, metavar="SHARE", help=where)
    command.add_argument("--threads", type=int)


def _add_arguments_of_fit(fit: argparse.ArgumentParser) -> None:
    """Add what a job of fits takes: its description, or the same of a single run by hand; and what it was granted."""
    described = "runs, seeds and limits, in JSON; or a file that holds them, or - for stdin"
    fit.add_argument("job", nargs="?", metavar="JOB", help=described)
    alone = fit.add_argument_group("a single run, without JOB")
    alone.add_argument("--method", help="a method's id; `mosaicbench list methods` shows all")
    alone.add_argument("--hyperparameters", type=_object, default={}, metavar="JSON")
    alone.add_argument(
        "--identity", type=_object, default={}, metavar="JSON", help="dataset, scenario, run, seed"
    )
    for part in ("train", "query"):
        alone.add_argument(f"--{part}", metavar="FILE")
    alone.add_argument("--solution", metavar="FILE", help="for positive controls only")
    alone.add_argument("--output", metavar="DIR")
    alone.add_argument("--max-minutes", type=float, default=float("inf"))
    alone.add_argument("--max-memory-mb", type=float, default=float("inf"))
    granted = fit.add_argument_group("what a job of the workflow was granted")
    granted.add_argument("--attempt", type=int, metavar="N", help="1 for the first")
    granted.add_argument("--granted-mb", type=float, help="memory of the whole job")
    granted.add_argument("--granted-minutes", type=float, help="wall-clock time of the whole job")
    often = float(os.environ.get("MOSAICBENCH_CHECKPOINT_SECONDS") or 60)
    what = "least time between two savings of a training (default: $MOSAICBENCH_CHECKPOINT_SECONDS, or 60)"
    fit.add_argument("--checkpoint-seconds", type=float, default=often, metavar="S", help=what)
    fit.add_argument("--threads", type=int)


def _groups() -> tuple[str, ...]:
    return tuple(sorted({card["group"] for card in catalog.cards("metrics").values()}))


def _settings(path: str) -> object:
    from mosaicbench.config import settings

    try:
        return settings.read(Path(path))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from error


def _shape(text: str) -> tuple[str, tuple[int, int]]:
    name, _, numbers = text.partition("=")
    cells, _, features = numbers.partition(",")
    if not (name and cells.isdigit() and features.isdigit()):
        raise argparse.ArgumentTypeError(f"expected NAME=CELLS,FEATURES, found {text!r}")
    return name, (int(cells), int(features))
