"""What each command takes from the command line."""

from __future__ import annotations

import argparse
import math
import os
import re

from mosaicbench import __version__
from mosaicbench.commands._options import (
    DATASETS,
    FIGURES,
    GROUPS,
    SPLITS,
    THREADS,
    json_object,
    option,
    path,
    settings,
)
from mosaicbench.commands.user_arguments import FOR_USERS, user_commands
from mosaicbench.errors import nearest


def commands() -> dict[str, tuple]:
    """Return each command: what it does, an example, and its arguments; a text among these is the title of those after it."""
    often = float(os.environ.get("MOSAICBENCH_CHECKPOINT_SECONDS") or 60)
    return user_commands() | {
        "score": (
            "score runs of a split on all their seeds",
            "score --latents rna.h5ad adt.h5ad --truth cells.h5mu",
            path("--runs", "folders, one per seed; all of the first run first", nargs="+"),
            path("--splits", "folders, one per seed", nargs="+"),
            option("--groups", "groups of metrics", type=GROUPS, nargs="+", metavar="GROUP"),
            path("--scores", "a file per run", nargs="+"),
            path("--features", "a file per run", nargs="+"),
            path("--cells", "a file per run", nargs="+"),
            THREADS,
            "embeddings that were made elsewhere, in the place of runs",
            path("--latents", "one per source, named after it", nargs="+", metavar="FILE.h5ad"),
            path("--truth", ".h5mu or .h5ad whose obs has types and batches", metavar="FILE"),
            option("--embedding", "of obsm (default: X)", metavar="KEY"),
            option(
                "--graph",
                "of obsp, such as distances or connectivities of scanpy: metrics that read graphs, in the place of coordinates",
                metavar="KEY",
            ),
            option("--cell-type", default="cell_type", metavar="COLUMN"),
            option("--batch", default="batch", metavar="COLUMN"),
            path("--output", metavar="FILE.tsv"),
        ),
        "report": (
            "write the HTML report",
            "report --tables T --figures F --display D.yaml --config C.json --splits d/s --output report.html",
            path("--tables", required=True),
            path("--figures", required=True),
            path("--display", required=True),
            path("--config", "the recorded config", required=True),
            path("--results", "the results folder, for hyperparameters, versions and machines"),
            SPLITS,
            path("--output", required=True),
        ),
        "prepare": (
            "turn a source into a dataset",
            "prepare --dataset simulated --loader simulated --output simulated.h5mu",
            option("--dataset", "its id", required=True),
            option(
                "--loader", "`mosaicbench list datasets` shows all", type=DATASETS, required=True
            ),
            option(
                "--options", "keywords of the loader", type=json_object, default={}, metavar="JSON"
            ),
            path("--raw", "the folder of what was fetched, for a loader that reads it"),
            path("--output", required=True),
        ),
        "split": (
            "turn a dataset into a split: train, query and solution",
            "split --dataset d.h5mu --scenario paired --kind paired --seeds 0 --train t.h5mu --query q.h5mu --solution s.h5mu",
            path("--dataset", required=True),
            option("--scenario", "its id", required=True),
            option("--kind", "how pairing is hidden", required=True),
            option(
                "--options",
                "keywords of the scenario and of preprocessing",
                type=json_object,
                default={},
                metavar="JSON",
            ),
            option("--seeds", type=int, nargs="+", required=True),
            path("--train", "the file to write, one per seed", nargs="+", required=True),
            path("--query", "the file to write, one per seed", nargs="+", required=True),
            path("--solution", "the file to write, one per seed", nargs="+", required=True),
        ),
        "fit": (
            "fit methods on a split; embed and impute its query cells",
            "fit --method mvae --train train.h5mu --query query.h5mu --output run",
            option(
                "job",
                "runs, seeds and limits, in JSON; or a file that holds them, or - for stdin",
                nargs="?",
                metavar="JOB",
            ),
            option(
                "--checkpoint-seconds",
                "least time between two savings of a training ($MOSAICBENCH_CHECKPOINT_SECONDS)",
                type=float,
                default=often,
                metavar="S",
            ),
            THREADS,
            "a single run, without JOB",
            option("--method", "a method's id; `mosaicbench list methods` shows all"),
            option("--hyperparameters", type=json_object, default={}, metavar="JSON"),
            option(
                "--identity",
                "dataset, scenario, run, seed",
                type=json_object,
                default={},
                metavar="JSON",
            ),
            option("--train", metavar="FILE"),
            option("--query", metavar="FILE"),
            option("--solution", "for positive controls only", metavar="FILE"),
            option("--output", metavar="DIR"),
            option("--max-minutes", type=float, default=math.inf),
            option("--max-memory-mb", type=float, default=math.inf),
            "what a job of the workflow was granted",
            option("--attempt", "1 for the first", type=int, metavar="N"),
            option("--granted-mb", "memory of the whole job", type=float),
            option("--granted-minutes", "wall-clock time of the whole job", type=float),
        ),
        "adopt": (
            "take in a run that was computed elsewhere, each cell found by its name",
            'adopt \'{"dataset": "mine", "scenario": "paired", "run": "theirs", "seeds": []}\'',
            option(
                "job", "dataset, scenario, run and seeds, in JSON", type=json_object, metavar="JOB"
            ),
        ),
        "split_inner": (
            "divide the train cells of a split once more, to choose settings on",
            "split_inner --split train.h5mu --train t.h5mu --query q.h5mu --solution s.h5mu",
            path(
                "--split",
                "train.h5mu of the split; nothing else is read",
                required=True,
                metavar="FILE",
            ),
            option(
                "--share",
                "of the cells, those that become the inner query",
                type=float,
                default=0.2,
            ),
            option(
                "--seed",
                "draws the division, together with the split's own seed",
                type=int,
                default=0,
            ),
            option(
                "--by", "leave out a group of this column, as the scenario does", metavar="COLUMN"
            ),
            path("--train", required=True),
            path("--query", required=True),
            path("--solution", required=True),
        ),
        "tune": (
            "search for a run's best settings on an inner split, which `divide` wrote",
            'tune \'{"identity": {}, "trials": 20}\'',
            option(
                "job",
                "identity, of, hyperparameters, split, output, trials, objective, seed and limits, in JSON",
                type=json_object,
                metavar="JOB",
            ),
            THREADS,
        ),
        "layout": (
            "lay out runs' cells in two dimensions, and gather what else pictures of cells need",
            "layout --split SPLIT RUN --seed 0 --output projections",
            path(
                "--split",
                "a split's folder, and after it the folders of runs on it, of one seed; once for each split",
                action="append",
                dest="splits",
                nargs="+",
                required=True,
                metavar=("SPLIT", "RUN"),
            ),
            option("--seed", type=int, required=True),
            path(
                "--generate",
                "folders of runs on these splits from whose models virtual cells are drawn",
                nargs="*",
                default=[],
                metavar="RUN",
            ),
            path("--output", "a folder, with a split's tables in DATASET/SCENARIO", required=True),
            THREADS,
        ),
        "tabulate": (
            "join scores into tables",
            "tabulate --config results/config.json --results results --published config/published.yaml --display config/display.yaml --output tables",
            option("--config", "the recorded config", type=settings, required=True),
            path("--results", "the results folder", required=True),
            path("--published", "published.yaml", required=True),
            path("--display", "display.yaml", required=True),
            path("--output", "a folder", required=True),
        ),
        "draw": (
            "draw figures for every split",
            "draw --figures umap --tables T --projections P --display D.yaml --splits d/s --output figures",
            option("--figures", type=FIGURES, nargs="+", required=True, metavar="FIGURE"),
            path("--tables", required=True),
            path("--projections", "the folder of what `project` wrote", required=True),
            path("--display", required=True),
            SPLITS,
            path("--output", "a folder", required=True),
        ),
    }


class _Help(argparse.RawDescriptionHelpFormatter):
    """Shows the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str:
        silent = (None, False, True, argparse.SUPPRESS, math.inf)
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
    users = {name: table[name] for name in FOR_USERS}
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


def _listed(title: str, table: dict[str, tuple]) -> str:
    lines = [f"  {name:<11} {what}" for name, (what, *_) in table.items()]
    return "\n".join([f"{title}:", *lines, ""])
