"""What the commands for users take from the command line; arguments.py has those of the workflow's steps."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.commands._options import (
    METHODS,
    THREADS,
    flag,
    json_object,
    option,
    path,
    settings,
)
from mosaicbench.workflow import layout

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
    "completion",
)  # in the order of the help; all others are steps of the workflow
APPLYING = (
    path("--output", required=True, metavar="FILE.h5mu"),
    option("--no-imputation", "latents and types only", action="store_false", dest="impute"),
    option(
        "--min-fraction",
        "fraction of a modality's features that must be there",
        type=float,
        default=0.5,
        metavar="FRACTION",
    ),
    THREADS,
)


def user_commands() -> dict[str, tuple]:
    """Return commands for users, as ``arguments.commands``; `score` and `report`, which are steps too, are defined there."""
    mirror = os.environ.get("MOSAICBENCH_MIRROR")
    registry = os.environ.get("MOSAICBENCH_REGISTRY") or layout.project_file("config/datasets.yaml")
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
                type=settings,
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
                default=Path(registry),
                metavar="FILE",
            ),
        ),
        "list": (
            "show what there is",
            "list methods",
            option("room", "all, if left out", nargs="?", choices=catalog.ROOMS),
        ),
        "integrate": (
            "fit a method to one's own cells, without a benchmark, and embed them",
            "integrate cells.h5mu --method mvae --output latents.h5mu",
            path("cells", ".h5mu or 10x .h5", metavar="CELLS"),
            option(
                "--method",
                "a method's id; `mosaicbench list methods` shows all",
                type=METHODS,
                required=True,
                metavar="METHOD",
            ),
            option("--seed", type=int, default=0),
            option("--hyperparameters", type=json_object, default={}, metavar="JSON"),
            path(
                "--model", "a folder to keep the model in, for `mosaicbench apply`", metavar="DIR"
            ),
            option("--cell-type", "the obs column of cell types", metavar="COLUMN"),
            option("--batch", "the obs column of batches", metavar="COLUMN"),
            option("--values", "counts, or lognorm of RNA without counts", default="counts"),
            option(
                "--kinds",
                "modality -> rna, atac, adt or continuous",
                type=json_object,
                metavar="JSON",
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
        "compare": (
            "hold two results folders side by side: what changed, and whether beyond chance",
            "compare results/studies/size results/again",
            path("a", "a results folder", metavar="A"),
            path("b", "another", metavar="B"),
            path("--output", "also write every score", metavar="FILE.tsv"),
        ),
        "completion": (
            "print a script that makes a shell complete commands, options and names with the Tab key",
            "completion bash",
            option("shell", choices=("bash", "zsh", "tcsh")),
        ),
    }


def _shape(text: str) -> tuple[str, tuple[int, int]]:
    name, _, numbers = text.partition("=")
    cells, _, features = numbers.partition(",")
    if not (name and cells.isdigit() and features.isdigit()):
        raise argparse.ArgumentTypeError(f"expected NAME=CELLS,FEATURES, found {text!r}")
    return name, (int(cells), int(features))
