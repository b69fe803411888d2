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
from mosaicbench.catalog.cards import GROUPS
from mosaicbench.errors import nearest
from mosaicbench.workflow import layout

Argument = tuple[str, dict]  # name, keywords of ``ArgumentParser.add_argument``


def option(name: str, what: str | None = None, **more: object) -> Argument:
    """Return an argument or an option."""
    return name, {"help": what, **more}


def path(name: str, what: str | None = None, **more: object) -> Argument:
    """Return an argument that is a file or a folder."""
    return option(name, what, type=Path, **more)


def _json_object(text: str) -> dict:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('must be an object of JSON, such as {"key": 1}')
    return value


def _split(text: str) -> tuple[str, str]:
    dataset, _, scenario = text.partition("/")
    if not (dataset and scenario):
        raise argparse.ArgumentTypeError(f"expected DATASET/SCENARIO, found {text!r}")
    return dataset, scenario


def _shape(text: str) -> tuple[str, tuple[int, int]]:
    found = re.fullmatch(r"(.+)=(\d+),(\d+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected NAME=CELLS,FEATURES, found {text!r}")
    return found[1], (int(found[2]), int(found[3]))


def _one_of(names: Callable[[], list[str]]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        if text not in names():
            raise argparse.ArgumentTypeError(f"there is no {text!r}{nearest(text, names())}")
        return text

    return checked


FOR_USERS = (
    "init",
    "check",
    "plan",
    "run",
    "fetch",
    "list",
    "integrate",
    "apply",
    "score",
    "trust",
    "challenge",
    "compare",
    "report",
    "completion",
)  # in the order of the help; all others are workflow steps
METHOD = _one_of(partial(catalog.names, "methods"))
THREADS = option("--threads", type=int)
CONFIG = path("--config", "the recorded config", default=Path("results/config.json"))
SETTINGS = option("--settings", "digest that the job's settings must have", metavar="DIGEST")
OF_SPLIT = {"type": _split, "metavar": "DATASET/SCENARIO"}
OF_RUNS = {"nargs": "+", "dest": "runs", "metavar": "RUN"}
SPLIT = option("--split", required=True, **OF_SPLIT)
RUN = option("--run", required=True, **OF_RUNS | {"nargs": 1})
OF_SEEDS = {"type": int, "dest": "seeds", "metavar": "N"}
SEED = option("--seed", required=True, nargs=1, **OF_SEEDS)
SEEDS = option("--seed", "all, if left out", nargs="+", **OF_SEEDS)
KINDS = option(
    "--kinds", "modality -> rna, atac, adt or continuous", type=_json_object, metavar="JSON"
)
CELL_TYPE = option("--cell-type", "of obs (default: cell_type, if it is there)", metavar="COLUMN")
APPLYING = (
    path("--output", required=True, metavar="FILE.h5mu"),
    option("--key-added", "of obsm, for the latents", default="X_mosaicbench", metavar="KEY"),
    option("--no-imputation", "latents and types only", action="store_false", dest="impute"),
    option(
        "--min-fraction",
        "fraction of a modality's features that the cells must have",
        type=float,
        default=0.5,
    ),
    THREADS,
)


def commands() -> dict[str, tuple]:
    """Return command -> its purpose, an example, its arguments, and titles above groups of them."""
    mirror = os.environ.get("MOSAICBENCH_MIRROR")
    registry = os.environ.get("MOSAICBENCH_REGISTRY") or layout.project_file("config/datasets.yaml")
    return {
        "run": (
            "run the workflow in the working directory",
            "run my.yaml --cores 4",
            option(
                "configfile",
                "default: config/config.yaml, else the default benchmark",
                nargs="?",
                default=argparse.SUPPRESS,  # else it replaces the option's; a type would read it
            ),
            option("arguments", "Snakemake's own, such as: -- --dry-run", nargs="*"),
            option("--configfile", "the same"),
            option("--cores", default="all"),
        ),
        "init": (
            "write a config for your own files, from what they hold",
            "init rna.h5ad adt.h5ad --output my.yaml",
            path("files", "of one dataset: .h5ad, .h5mu, 10x .h5, .csv or folders", nargs="+"),
            path("--output", "the config to write", default=Path("my.yaml"), metavar="FILE.yaml"),
        ),
        "check": (
            "say what is read of each dataset of a config, and what is wrong; fit nothing",
            "check my.yaml",
            path("config"),
        ),
        "plan": (
            "estimate a benchmark's hours, memory and disk before it runs",
            "plan my.yaml",
            path("config", nargs="?", default=layout.project_file("config/config.yaml")),
            path(
                "--table",
                "tables/resources.tsv of a finished benchmark",
                default=layout.project_file("config/resources.tsv"),
            ),
            option(
                "--shape",
                "the size of a dataset that no file states; may be repeated",
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
            option("datasets", "ids of the registry", nargs="*"),
            option(
                "--list",
                "show what is there and what is missing; fetch nothing",
                action="store_true",
                dest="show",
            ),
            option(
                "--file",
                "this file only; may be repeated",
                action="append",
                dest="files",
                default=[],
                metavar="NAME",
            ),
            option(
                "--optional",
                "also files that the dataset can be prepared without",
                action="store_true",
            ),
            option("--offline", "never touch the network", action="store_true"),
            path(
                "--mirror",
                "look first for DATASET/FILE or FILE in this folder ($MOSAICBENCH_MIRROR)",
                default=mirror and Path(mirror),
            ),
            path("--raw", "where the files go", default=Path("resources/raw")),
            path(
                "--registry",
                "the registry ($MOSAICBENCH_REGISTRY)",
                dest="known",
                default=Path(registry),
            ),
        ),
        "list": (
            "show methods, metrics, datasets and figures",
            "list methods",
            option("room", "all, if left out", nargs="?", choices=catalog.ROOMS),
        ),
        "integrate": (
            "fit a method to your own cells, without a benchmark, and embed them",
            "integrate rna=rna.h5ad adt=adt.h5ad --method mvae --output latents.h5mu",
            option("cells", "one .h5mu or 10x .h5, or MODALITY=FILE.h5ad of each", nargs="+"),
            option(
                "--method",
                "a method's id; `mosaicbench list methods` shows all",
                type=METHOD,
                required=True,
            ),
            option("--seed", type=int, default=0),
            option("--hyperparameters", type=_json_object, default={}, metavar="JSON"),
            path("--model", "a folder to save the model in, for `mosaicbench apply`"),
            option("--cell-type", "the obs column of cell types"),
            option("--batch", "the obs column of batches"),
            option("--values", "counts, or lognorm of RNA without counts", default="counts"),
            KINDS,
            *APPLYING,
        ),
        "apply": (
            "embed your own cells with a saved model, give them types, impute what they lack",
            "apply results/runs/teaseq_small/paired/mvae/seed-0 cells.h5mu --output mine.h5mu",
            path("run", "the folder of a run, of a model, or of results (the recommended run)"),
            path("cells", ".h5mu, .h5ad or 10x .h5 with some of the model's modalities"),
            option("--split", "with a results folder of several", metavar="DATASET/SCENARIO"),
            option(
                "--question",
                "of a results folder: partner (matching cells), labels, or a direction (rna->adt)",
                default="partner",
            ),
            *APPLYING,
        ),
        "challenge": (
            "fit one method on the reference splits, and report it beside all stored runs",
            "challenge my_method.py",
            path("file", "a method's .py file", nargs="?"),
            option("--method", "a method's id", type=METHOD),
            option(
                "--latents",
                "files of latents, with {dataset}, {scenario} and {seed} in the path",
                metavar="PATTERN",
            ),
            option("--datasets", "default: those inside the package", nargs="+", metavar="NAME"),
            option("--scenario", "default: the first that the method takes"),
            option("--seeds", "default: those that most stored runs have", type=int, nargs="+"),
            option("--against", "compare with this stored run alone", metavar="RUN"),
            path("--output", "a results folder", default=Path("results/challenge")),
            path(
                "--splits",
                "write train and query of each split there, for what runs elsewhere; fit nothing",
                metavar="DIR",
            ),
        ),
        "compare": (
            "compare the scores of two results folders",
            "compare results/studies/mosaic results/again",
            path("a", "a results folder"),
            path("b", "another"),
            path("--output", "also write every score", metavar="FILE.tsv"),
        ),
        "completion": (
            "print a script for completion with the Tab key",
            "completion bash",
            option("shell", choices=("bash", "zsh", "tcsh")),
        ),
        "score": (
            "score runs of a split on all their seeds, or any embeddings",
            "score --latents integrated.h5mu --embedding X_mosaicbench",
            "embeddings of any origin",
            path(
                "--latents",
                "an .h5ad per source, named after it, or one .h5mu",
                nargs="+",
                metavar="FILE",
            ),
            path(
                "--truth",
                ".h5mu or .h5ad with types and batches in obs (default: the .h5mu of latents)",
            ),
            option("--embedding", "of obsm (default: X; of .h5mu X_mosaicbench)", metavar="KEY"),
            option(
                "--graph",
                "of obsp: score this graph of neighbours, not coordinates",
                metavar="KEY",
            ),
            CELL_TYPE,
            option("--batch", "of obs (default: batch, if it is there)", metavar="COLUMN"),
            path("--output", metavar="FILE.tsv"),
            "runs of a benchmark",
            CONFIG,
            option("--split", **OF_SPLIT),
            option("--run", "all, if left out", **OF_RUNS),
            SETTINGS,
            "both",
            option(
                "--groups", "groups of metrics", type=_one_of(partial(sorted, GROUPS)), nargs="+"
            ),
            THREADS,
        ),
        "trust": (
            "estimate how well modalities match where nobody knows which cells do",
            "trust latents.h5mu",
            path("latents", ".h5mu of `integrate`, or .h5ad with EMBEDDING_MODALITY in obsm"),
            option("--embedding", "of obsm", default="X_mosaicbench", metavar="KEY"),
            path(
                "--values",
                "the cells' counts; features are linked by gene names, antibodies and coordinates "
                "(default: the .h5mu of latents)",
                metavar="FILE.h5mu",
            ),
            CELL_TYPE,
            KINDS,
            path("--links", "a table of linked features instead", metavar="FILE.tsv"),
            path("--gtf", "a gene annotation, for peaks near genes", metavar="FILE"),
            THREADS,
        ),
        "report": ("write the HTML report", "report", CONFIG, SETTINGS),
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
            option("--run", "all cheap baselines and controls, if left out", **OF_RUNS),
            SEEDS,
            THREADS,
            "what a job of the workflow was granted",
            option("--attempt", "1 for the first", type=int),
            option("--granted-mb", "memory of the whole job", type=float),
            option("--granted-minutes", "wall-clock time of the whole job", type=float),
            SETTINGS,
        ),
        "read_external": (
            "turn the files of an external run into a run like any other",
            "read_external --split simulated/paired --run mine",
            CONFIG,
            SPLIT,
            RUN,
            SETTINGS,
        ),
        "split_inner": (
            "split the train cells of a split once more, to choose settings on",
            "split_inner --split simulated/paired --seed 0",
            CONFIG,
            SPLIT,
            SEED,
            SETTINGS,
        ),
        "tune": (
            "search for a run's best settings on an inner split, which `split_inner` wrote",
            "tune --split simulated/paired --run mvae-tuned --seed 0",
            CONFIG,
            SPLIT,
            RUN,
            SEED,
            option("--python", "that of the method's own environment", default="python"),
            THREADS,
            SETTINGS,
        ),
        "embeddings": (
            "join the latents of all runs for scanpy",
            "embeddings",
            CONFIG,
            SETTINGS,
        ),
        "layout": (
            "lay out cells in two dimensions and make the other tables of cells",
            "layout --threads 2",
            CONFIG,
            THREADS,
            SETTINGS,
        ),
        "tabulate": ("join scores into tables", "tabulate", CONFIG, SETTINGS),
        "draw": (
            "draw figures for every split",
            "draw --figures umap",
            CONFIG,
            THREADS,
            option(
                "--figures",
                "all, if left out",
                type=_one_of(partial(catalog.names, "figures")),
                nargs="+",
            ),
            SETTINGS,
        ),
    }


class _Help(argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, False, True, argparse.SUPPRESS, [], {}):
            return action.help or ""
        return f"{action.help or ''} (default: %(default)s)".lstrip()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        if unknown := re.match(r"argument COMMAND: invalid choice: '(.*?)'", message):
            name = unknown[1]
            message = f"there is no command {name!r}{nearest(name, commands())}"
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; it imports no command."""
    table = commands()
    lines = {name: f"  {name:<11} {what}" for name, (what, *_) in table.items()}
    listed = ["commands:", *(lines.pop(name) for name in FOR_USERS)]
    listed += ["", "steps of the workflow:", *lines.values()]
    listed += ["", "example:\n  mosaicbench run my.yaml"]
    whole = _Parser(
        prog="mosaicbench",
        usage="mosaicbench COMMAND ...",
        description="A benchmark of multimodal VAEs for single-cell data.",
        epilog="\n".join(listed),
        formatter_class=_Help,
    )
    whole.add_argument("--version", action="version", version=__version__)
    added = whole.add_subparsers(
        dest="command",
        prog="mosaicbench",
        metavar="COMMAND",
        help=argparse.SUPPRESS,
    )
    for name, (what, example, *arguments) in table.items():
        group = command = added.add_parser(
            name,
            help=what,
            description=f"{what[0].upper()}{what[1:]}.",
            epilog=f"example:\n  mosaicbench {example}",
            formatter_class=_Help,
        )
        for one in arguments:
            if isinstance(one, str):
                group = command.add_argument_group(one)
            else:
                group.add_argument(one[0], **one[1])
    return whole
