"""What each command takes from the command line."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mosaicbench import __version__
from mosaicbench.catalog import catalog
from mosaicbench.errors import nearest
from mosaicbench.workflow import layout

Argument = tuple[str, dict]  # its name, and what argparse is told of it
FOR_USERS = (
    "run",
    "plan",
    "fetch",
    "list",
    "integrate",
    "apply",
    "score",
    "compare",
    "report",
)  # all others are steps of the workflow


def option(name: str, what: str | None = None, **more: object) -> Argument:
    """Return an argument, or an option with a value."""
    return name, {"help": what, **more}


def flag(name: str, what: str, **more: object) -> Argument:
    """Return an option without a value."""
    return name, {"help": what, "action": "store_true", **more}


def path(name: str, what: str | None = None, **more: object) -> Argument:
    """Return an argument that is a file or a folder."""
    return name, {"help": what, "type": Path, **more}


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


def _groups() -> tuple[str, ...]:
    return tuple(sorted({card["group"] for card in catalog.cards("metrics").values()}))


def _settings(path: str) -> object:
    from mosaicbench.config import settings

    try:
        return settings.read(Path(path))
    except (OSError, ValueError) as error:
        named = str(error).startswith(path)
        raise argparse.ArgumentTypeError(str(error) if named else f"{path}: {error}") from error


def _split(text: str) -> tuple[str, str]:
    dataset, _, scenario = text.partition("/")
    if not (dataset and scenario):
        raise argparse.ArgumentTypeError(f"expected DATASET/SCENARIO, found {text!r}")
    return dataset, scenario


def _shape(text: str) -> tuple[str, tuple[int, int]]:
    name, _, numbers = text.partition("=")
    cells, _, features = numbers.partition(",")
    if not (name and cells.isdigit() and features.isdigit()):
        raise argparse.ArgumentTypeError(f"expected NAME=CELLS,FEATURES, found {text!r}")
    return name, (int(cells), int(features))


FIGURES = _one_of(partial(catalog.names, "figures"))
GROUPS = _one_of(_groups)
THREADS = option("--threads", type=int)
CONFIG = path("--config", "the recorded config", default=Path("results/config.json"))
SPLIT = option("--split", required=True, type=_split, metavar="DATASET/SCENARIO")
RUNS = option("--run", required=True, nargs="+", dest="runs", metavar="RUN")
SEEDS = option(
    "--seed", "those of the config, if left out", type=int, nargs="+", dest="seeds", metavar="N"
)
SETTINGS = option("--settings", "digest that the job's settings must have", metavar="DIGEST")
APPLYING = (
    path("--output", required=True, metavar="FILE.h5mu"),
    option("--no-imputation", "latents and types only", action="store_false", dest="impute"),
    option(
        "--min-fraction",
        "share of a modality's features that must be there",
        type=float,
        default=0.5,
        metavar="SHARE",
    ),
    THREADS,
)


def commands() -> dict[str, tuple]:
    """Return each command: what it does, an example, and its arguments; a text among these is the title of those after it."""
    mirror = os.environ.get("MOSAICBENCH_MIRROR")
    known = os.environ.get("MOSAICBENCH_REGISTRY") or layout.project_file("config/datasets.yaml")
    often = float(os.environ.get("MOSAICBENCH_CHECKPOINT_SECONDS") or 60)
    return {
        "run": (
            "run the workflow in the working directory, from wherever this package is installed",
            "run --configfile my.yaml --cores 4",
            option(
                "arguments",
                "Snakemake's own, such as: -- --dry-run",
                nargs="*",
                metavar="-- ARGUMENT",
            ),
            path(
                "--configfile",
                "a config (default: config/config.yaml where there is one, else the default benchmark)",
                metavar="FILE",
            ),
            option("--cores", default="all", metavar="N"),
        ),
        "plan": (
            "tell, before a benchmark runs, its hours, memory and disk",
            "plan my.yaml",
            option(
                "config",
                "a config",
                type=_settings,
                nargs="?",
                default=str(layout.project_file("config/config.yaml")),
            ),
            path(
                "--table",
                "a table of expenses, such as a finished benchmark's tables/resources.tsv",
                default=layout.project_file("config/resources.tsv"),
                metavar="FILE",
            ),
            option(
                "--shape",
                "the size of a dataset that nothing else tells; may be repeated",
                type=_shape,
                action="append",
                dest="shapes",
                default=[],
                metavar="NAME=CELLS,FEATURES",
            ),
        ),
        "fetch": (
            "bring a dataset's files from their publishers or from a mirror, and verify them",
            "fetch pbmc10k_citeseq",
            option("datasets", "ids of the registry", nargs="*", metavar="DATASET"),
            flag("--list", "show what is there and what is missing; fetch nothing", dest="show"),
            option(
                "--file",
                "this file only; may be repeated",
                action="append",
                dest="files",
                default=[],
                metavar="NAME",
            ),
            flag("--optional", "also files that the dataset can be prepared without"),
            flag("--offline", "never touch the network"),
            path(
                "--mirror",
                "a local folder to look into first: DATASET/FILE in it, or FILE ($MOSAICBENCH_MIRROR)",
                default=Path(mirror) if mirror else None,
                metavar="DIR",
            ),
            path("--raw", "where the files go", default=Path("resources/raw"), metavar="DIR"),
            path(
                "--registry",
                "the registry ($MOSAICBENCH_REGISTRY)",
                dest="known",
                default=Path(known),
                metavar="FILE",
            ),
        ),
        "list": (
            "show what there is",
            "list methods",
            option("room", "all, if left out", nargs="?", choices=catalog.ROOMS),
            path(
                "--into",
                "refresh the tables between the markers of a Markdown file",
                metavar="FILE",
            ),
        ),
        "integrate": (
            "fit a method to one's own cells, without a benchmark, and embed them",
            "integrate cells.h5mu --method mvae --output latents.h5mu",
            path("cells", ".h5mu or 10x .h5", metavar="CELLS"),
            option(
                "--method", "a method's id; `mosaicbench list methods` shows all", required=True
            ),
            option("--seed", type=int, default=0),
            option("--hyperparameters", type=_object, default={}, metavar="JSON"),
            path(
                "--model", "a folder to keep the model in, for `mosaicbench apply`", metavar="DIR"
            ),
            option("--cell-type", "the obs column of cell types", metavar="COLUMN"),
            option("--batch", "the obs column of batches", metavar="COLUMN"),
            option("--values", "counts, or lognorm of RNA without counts", default="counts"),
            option(
                "--kinds", "modality -> rna, atac, adt or continuous", type=_object, metavar="JSON"
            ),
            *APPLYING,
        ),
        "apply": (
            "embed one's own cells with a kept model, give them types, impute what they lack",
            "apply results/runs/teaseq_small/paired/mvae/seed-0 cells.h5mu --output mine.h5mu",
            path(
                "run",
                "the folder of a run whose model was kept, of a model, or of results: the best run's",
                metavar="RUN",
            ),
            path("cells", ".h5mu, .h5ad or 10x .h5 with some of its modalities", metavar="CELLS"),
            option("--split", "with a results folder of several", metavar="DATASET/SCENARIO"),
            *APPLYING,
        ),
        "score": (
            "score runs of a split on all their seeds, or any embeddings",
            "score --latents rna.h5ad adt.h5ad --truth cells.h5mu",
            "embeddings of any origin",
            path("--latents", "one per source, named after it", nargs="+", metavar="FILE.h5ad"),
            path("--truth", ".h5mu or .h5ad whose obs has types and batches", metavar="FILE"),
            option("--embedding", "of obsm (default: X)", metavar="KEY"),
            option(
                "--graph",
                "of obsp, such as distances or connectivities of scanpy: score this graph, not coordinates",
                metavar="KEY",
            ),
            option("--cell-type", default="cell_type", metavar="COLUMN"),
            option("--batch", default="batch", metavar="COLUMN"),
            path("--output", metavar="FILE.tsv"),
            "runs of a benchmark",
            CONFIG,
            option("--split", type=_split, metavar="DATASET/SCENARIO"),
            option("--run", "all, if left out", nargs="+", dest="runs", metavar="RUN"),
            SETTINGS,
            "both",
            option("--groups", "groups of metrics", type=GROUPS, nargs="+", metavar="GROUP"),
            THREADS,
        ),
        "compare": (
            "hold two results folders side by side: what changed, and whether beyond chance",
            "compare results/studies/size results/again",
            path("a", "a results folder", metavar="A"),
            path("b", "another", metavar="B"),
            path("--output", "also write every score", metavar="FILE.tsv"),
        ),
        "report": (
            "write the HTML report",
            "report --config results/config.json",
            CONFIG,
        ),
        "prepare": (
            "turn a source into a dataset",
            "prepare --dataset simulated",
            CONFIG,
            option("--dataset", "its id in the config", required=True),
            SETTINGS,
        ),
        "split": (
            "turn a dataset into a split: train, query and solution",
            "split --split simulated/paired --seed 0",
            CONFIG,
            SPLIT,
            SEEDS,
            SETTINGS,
        ),
        "fit": (
            "fit runs on a split; embed and impute its query cells",
            "fit --split simulated/paired --run mvae --seed 0",
            CONFIG,
            SPLIT,
            option(
                "--run",
                "all baselines and controls that are cheap, if left out",
                nargs="+",
                dest="runs",
                metavar="RUN",
            ),
            SEEDS,
            option(
                "--checkpoint-seconds",
                "least time between two savings of a training ($MOSAICBENCH_CHECKPOINT_SECONDS)",
                type=float,
                default=often,
                metavar="S",
            ),
            THREADS,
            "what a job of the workflow was granted",
            option("--attempt", "1 for the first", type=int, metavar="N"),
            option("--granted-mb", "memory of the whole job", type=float),
            option("--granted-minutes", "wall-clock time of the whole job", type=float),
            SETTINGS,
        ),
        "read_external": (
            "turn the files of an external run into a run like any other, each cell found by its name",
            "read_external --split simulated/paired --run mine",
            CONFIG,
            SPLIT,
            RUNS,
            SETTINGS,
        ),
        "split_inner": (
            "split the train cells of a split once more, to choose settings on",
            "split_inner --split simulated/paired --seed 0",
            CONFIG,
            SPLIT,
            SEEDS,
            SETTINGS,
        ),
        "tune": (
            "search for a run's best settings on an inner split, which `split_inner` wrote",
            "tune --split simulated/paired --run mvae-tuned --seed 0",
            CONFIG,
            SPLIT,
            RUNS,
            SEEDS,
            option(
                "--python", "that of the method's own environment", default="python", metavar="FILE"
            ),
            THREADS,
            SETTINGS,
        ),
        "layout": (
            "lay out runs' cells in two dimensions, and gather what else pictures of cells need",
            "layout --config results/config.json",
            CONFIG,
            THREADS,
            SETTINGS,
        ),
        "tabulate": (
            "join scores into tables",
            "tabulate --config results/config.json",
            CONFIG,
        ),
        "draw": (
            "draw figures for every split",
            "draw --figures umap",
            CONFIG,
            option("--figures", "all, if left out", type=FIGURES, nargs="+", metavar="FIGURE"),
            SETTINGS,
        ),
    }


class _Help(argparse.RawDescriptionHelpFormatter):
    """Shows the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str:
        silent = (None, False, True, argparse.SUPPRESS)
        if action.default in silent or action.default in ([], {}):
            return action.help or ""
        return f"{action.help or ''} (default: %(default)s)".lstrip()


class _Parser(argparse.ArgumentParser):
    """Names the nearest command for one that there is not."""

    def error(self, message: str) -> None:
        if unknown := re.match(r"argument COMMAND: invalid choice: '(.*?)'", message):
            name = unknown[1]
            message = f"there is no command {name!r}{nearest(name, commands())}"
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line; it imports no command."""
    table = commands()
    users = {name: one for name, one in table.items() if name in FOR_USERS}
    steps = {name: one for name, one in table.items() if name not in FOR_USERS}
    whole = _Parser(
        prog="mosaicbench",
        usage="mosaicbench COMMAND ...",
        description="A benchmark of multimodal VAEs for single-cell data.",
        epilog=f"{_listed('commands', users)}\n{_listed('steps of the workflow', steps)}\n"
        "example:\n  mosaicbench run --configfile my.yaml",
        formatter_class=_Help,
    )
    whole.add_argument("--version", action="version", version=__version__)
    added = whole.add_subparsers(
        dest="command",
        prog="mosaicbench",
        metavar="COMMAND",
        help=argparse.SUPPRESS,
        parser_class=argparse.ArgumentParser,
    )
    for name, (what, example, *arguments) in table.items():
        group = command = added.add_parser(
            name,
            description=f"{what[0].upper()}{what[1:]}.",
            epilog=f"example:\n  mosaicbench {example}",
            formatter_class=_Help,
        )
        for one in arguments:
            if isinstance(one, str):
                group = command.add_argument_group(one)
            else:
                group.add_argument(one[0], **one[1])
    # as the fit had: with more threads, it would have kept its values
    return whole


def _listed(title: str, table: dict[str, tuple]) -> str:
    lines = [f"  {name:<11} {what}" for name, (what, *_) in table.items()]
    return "\n".join([f"{title}:", *lines, ""])
