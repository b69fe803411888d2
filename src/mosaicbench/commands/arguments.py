"""What each command takes from the command line."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from mosaicbench import __version__
from mosaicbench.commands._options import FIGURES, GROUPS, THREADS, option, path
from mosaicbench.commands.user_arguments import FOR_USERS, user_commands
from mosaicbench.errors import nearest


def _split(text: str) -> tuple[str, str]:
    dataset, _, scenario = text.partition("/")
    if not (dataset and scenario):
        raise argparse.ArgumentTypeError(f"expected DATASET/SCENARIO, found {text!r}")
    return dataset, scenario


CONFIG = path("--config", "the recorded config", default=Path("results/config.json"))
SPLIT = option("--split", required=True, type=_split, metavar="DATASET/SCENARIO")
RUNS = option("--run", required=True, nargs="+", dest="runs", metavar="RUN")
SEEDS = option(
    "--seed", "those of the config, if left out", type=int, nargs="+", dest="seeds", metavar="N"
)
SETTINGS = option("--settings", "digest that the job's settings must have", metavar="DIGEST")


def commands() -> dict[str, tuple]:
    """Return each command: what it does, an example, and its arguments; a text among these is the title of those after it."""
    often = float(os.environ.get("MOSAICBENCH_CHECKPOINT_SECONDS") or 60)
    return user_commands() | {
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
        "report": (
            "write the HTML report",
            "report --config results/config.json",
            CONFIG,
            SETTINGS,
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
            SETTINGS,
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
