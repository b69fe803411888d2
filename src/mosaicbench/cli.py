"""The command line: the only module that turns file names into calls.

It imports a command's module only when that command is asked for, so that no job pays for another's packages.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from pathlib import Path

from mosaicbench.catalog import listing
from mosaicbench.commands.arguments import parser
from mosaicbench.config import jobs, recorded
from mosaicbench.errors import NotWritten, UserError
from mosaicbench.workflow import attempts
from mosaicbench.workflow.layout import Results

# What a disk or a folder can refuse, to whatever command; anything else is a fault of this program, with a traceback.
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


def main(arguments: list[str] | None = None) -> None:
    """Run one command; where the reader of its words goes away, as ``head`` does, end without a word of that."""
    try:
        try:
            _run(arguments)
        finally:
            sys.stdout.flush()  # here, not when Python ends, when nobody could catch what it raises
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what was not read yet goes there
        sys.exit(128 + signal.SIGPIPE)  # as a shell says it of other programs


def _run(arguments: list[str] | None) -> None:
    """Run one command; a user's mistake ends with one message and exit status 1."""
    typed = parser()
    options = vars(typed.parse_args(arguments))
    if options["command"] is None:
        typed.print_help()
        return
    command, threads = options.pop("command"), options.pop("threads", None)
    if threads is not None:
        # Before numpy or torch is imported: each job computes with exactly the threads that it was granted.
        for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
            os.environ[f"{library}_NUM_THREADS"] = str(threads)
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        if command == "list":
            listing.main(**options)
        elif command == "score" and options["latents"] is not None:
            _score_latents(**options)
        elif command in jobs.STEPS:
            _step(command, **options)
        elif command == "plan":
            importlib.import_module("mosaicbench.commands.plan").main(
                **options | {"shapes": dict(options["shapes"])}
            )
        else:
            importlib.import_module(f"mosaicbench.commands.{command}").main(**options)
    except NotWritten as error:
        print(f"mosaicbench {command}: {error}", file=sys.stderr, flush=True)
        os._exit(
            1
        )  # HDF5 may hold a file that it could not close, and end an orderly exit in a crash
    except UserError as error:
        sys.exit(f"mosaicbench {command}: {error}")
    except MemoryError as error:
        sys.exit(
            f"mosaicbench {command}: this does not fit into memory ({error or 'no more is said'}); use a machine with more"
        )
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        file = error.filename or "a temporary file"
        sys.exit(f"mosaicbench {command}: {file}: {error.strerror}; mend that, and run again")


def _step(
    command: str,
    config: Path,
    settings: str | None = None,
    **options: object,
) -> None:
    """Do one step of a benchmark as its recorded config describes it.

    Parameters
    ----------
    command
        A function of :mod:`mosaicbench.config.jobs`.
    config
        ``config.json``, in the folder of the results.
    settings
        What :func:`jobs.digest` returned when the job was planned; None does not compare.
    options
        Those that name the job, and keywords of the command itself.
    """
    bench = recorded.read(config)
    name = {key: options[key] for key in jobs.NAMES if options.get(key) is not None}
    if settings not in (None, jobs.digest(command, bench, **name)):
        raise UserError(
            f"{config}: its settings of this job are not those that the job was planned with, since the"
            " config changed in between; start Snakemake again"
        )
    results = Results(config.parent)
    job = getattr(jobs, command)(bench, results, **name)
    main = importlib.import_module(f"mosaicbench.commands.{command}").main
    if command == "fit":
        granted = ("attempt", "granted_mb", "granted_minutes", "checkpoint_seconds")
        _fit(main, job, **{key: options[key] for key in granted})
    elif command == "tune":
        own = options["python"]
        main(**job, python=None if own == "python" else own)
    else:
        main(**job)
    if command in ("fit", "score") and "runs" not in name:
        jobs.write_list(command, results, name["split"], job)


def _fit(
    fit: object,
    job: dict,
    attempt: int | None,
    granted_mb: float | None,
    granted_minutes: float | None,
    checkpoint_seconds: float,
) -> None:
    """Fit a job; one with a number of an attempt within what it was granted."""
    job["checkpoint_seconds"] = checkpoint_seconds
    if attempt is None:
        fit(**job)
    elif granted_mb is None or granted_minutes is None:
        raise UserError("--attempt needs --granted-mb and --granted-minutes")
    else:
        attempts.fit_within_grant(
            fit, job, attempt=attempt, granted_mb=granted_mb, granted_minutes=granted_minutes
        )


def _score_latents(**options: object) -> None:
    """Score embeddings of any origin."""
    if options["truth"] is None:
        raise UserError("embeddings to score need --truth")
    of_runs = {"config", "split", "runs", "settings"}
    if asked := [f"--{name}" for name in ("split", "runs") if options[name] is not None]:
        raise UserError(f"--latents: embeddings have no {asked[0].removesuffix('s')}")
    score = importlib.import_module("mosaicbench.commands.score_latents").main
    score(**{name: value for name, value in options.items() if name not in of_runs})
