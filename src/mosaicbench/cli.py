"""The command line: the only module that turns file names into calls.

It imports a command's module only when that command is called.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import warnings
from itertools import chain, takewhile
from pathlib import Path

from mosaicbench.catalog import listing
from mosaicbench.commands.arguments import parser
from mosaicbench.config import jobs, recorded
from mosaicbench.errors import DataWarning, NotWritten, UserError
from mosaicbench.files.atomic import make_folder
from mosaicbench.workflow import attempts
from mosaicbench.workflow.layout import Results

# What a disk or folder can refuse; any other OSError is a fault of this program.
OF_THE_DISK = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EISDIR,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}
FORMATTED = warnings.formatwarning
CHECKPOINTS = "MOSAICBENCH_CHECKPOINT_SECONDS"  # variable of the environment
IN_PROCESSES = ("layout", "draw")  # commands whose threads are processes


def main(arguments: list[str] | None = None) -> None:
    """Run one command; exit quietly on a broken pipe."""
    warnings.formatwarning = _formatted
    try:
        try:
            _run(arguments)
        finally:
            sys.stdout.flush()  # here, where what it raises can be caught
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _formatted(message: Warning, category: type[Warning], *place: object) -> str:
    if issubclass(category, DataWarning):
        return f"warning: {message}\n"
    return FORMATTED(message, category, *place)


def _run(arguments: list[str] | None) -> None:
    whole, given = parser(), sys.argv[1:] if arguments is None else arguments
    # What follows "--" of `run` is Snakemake's; argparse refuses some of it.
    own = list(takewhile("--".__ne__, given)) if given[:1] == ["run"] else given
    options = vars(whole.parse_args(own))
    command, threads = options.pop("command"), options.pop("threads", None)
    if command == "run":
        options["arguments"] += given[len(own) + 1 :]
    if command is None:
        whole.print_help()
        return
    if threads is not None:  # before numpy or torch is imported
        of_library = 1 if command in IN_PROCESSES else threads
        for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
            os.environ[f"{library}_NUM_THREADS"] = str(of_library)
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        if command == "list":
            listing.main(**options)
        elif command == "score" and options["latents"] is not None:
            _score_latents(options)
        elif command == "score" and options["split"] is None:
            raise UserError("name runs with --split, or embeddings of any origin with --latents")
        elif command in jobs.STEPS:
            _step(command, threads=threads, **options)
        else:
            _main_of(command)(**options)
    except NotWritten as error:
        print(f"mosaicbench {command}: {error}", file=sys.stderr, flush=True)
        os._exit(1)  # an orderly exit can crash in HDF5, with a file that it could not close
    except UserError as error:
        sys.exit(f"mosaicbench {command}: {error}")
    except MemoryError as error:
        sys.exit(f"mosaicbench {command}: not enough memory ({error}); use a machine with more")
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        file = error.filename or "a temporary file"
        sys.exit(f"mosaicbench {command}: {file}: {error.strerror}; mend that, and run again")


def _main_of(command: str) -> object:
    return importlib.import_module(f"mosaicbench.commands.{command}").main


def _step(
    command: str,
    config: Path,
    settings: str | None = None,
    threads: int | None = None,
    **options: object,
) -> None:
    """Do one step of a benchmark as its recorded config describes it.

    `command`: a function of :mod:`mosaicbench.config.jobs`; `settings`: what :func:`jobs.digest`
    returned when the job was planned; `options`: names of the job, keywords of the command.
    """
    bench = recorded.read(config)
    name = {key: options[key] for key in jobs.NAMES if options.get(key) is not None}
    results = Results(config.parent)
    job = getattr(jobs, command)(bench, results, **name)
    if settings not in (None, jobs.digest(command, bench, **name)):
        raise UserError(
            f"{config}: the config changed after this job was planned; start Snakemake again"
        )
    main = _main_of(command)
    if command == "fit":
        seconds = os.environ.get(CHECKPOINTS) or "60"
        if not seconds.replace(".", "", 1).isdecimal():
            raise UserError(f"{CHECKPOINTS}={seconds}: not a number of seconds")
        job["checkpoint_seconds"] = float(seconds)
        for folder in chain.from_iterable(run["outputs"] for run in job["runs"]):
            make_folder(Path(folder))  # where training is saved
    elif command in IN_PROCESSES:
        job["processes"] = threads or 1
    elif command == "tune" and options["python"] != "python":
        job["python"] = options["python"]
    if options.get("attempt") is None:
        main(**job)
    else:
        granted = {key: options[key] for key in ("attempt", "granted_mb", "granted_minutes")}
        attempts.fit_within_grant(main, job, **granted)
    if command in ("fit", "score") and "runs" not in name:
        jobs.write_list(command, results, name["split"], job)


def _score_latents(options: dict) -> None:
    for name in ("split", "runs"):
        if options.pop(name) is not None:
            raise UserError(f"--latents: embeddings have no --{name.removesuffix('s')}")
    del options["config"], options["settings"]
    _main_of("score_latents")(**options)
