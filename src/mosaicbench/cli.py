"""The command line: the only module that turns file names into calls.

It imports a command's module only when that command is asked for, so that no job pays for another's packages.
"""

from __future__ import annotations

import errno
import importlib
import inspect
import os
import signal
import sys

from mosaicbench.catalog import listing
from mosaicbench.commands.arguments import parser
from mosaicbench.errors import NotWritten, UserError
from mosaicbench.workflow import attempts, jobs

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
        elif command == "fit":
            _fit(**options)
        elif command in ("adopt", "tune"):
            _do(command, options["job"])
        elif command == "score":
            _score(**options)
        elif command == "plan":
            importlib.import_module("mosaicbench.commands.plan").main(
                **options | {"shapes": dict(options["shapes"])}
            )
        elif command == "tabulate":
            importlib.import_module("mosaicbench.commands.tabulate").main(
                **jobs.of_tables(**options)
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


def _do(command: str, job: dict) -> None:
    """Do what a job says: a JSON object with the keywords of a command."""
    main = importlib.import_module(f"mosaicbench.commands.{command}").main
    try:
        inspect.signature(main).bind(**job)
    except TypeError as error:
        raise UserError(
            "JOB: {}".format(str(error).replace("keyword-only ", ""))
        ) from error  # as Python 3.12 and later say
    jobs.check_inside(command, job)
    main(**job)


def _fit(
    job: str | None,
    attempt: int | None,
    granted_mb: float | None,
    granted_minutes: float | None,
    checkpoint_seconds: float,
    **by_hand: object,
) -> None:
    """Fit a job; one with a number of an attempt within what it was granted."""
    job = jobs.of_one_run(**by_hand) if job is None else jobs.described(job)
    job["checkpoint_seconds"] = checkpoint_seconds
    fit = importlib.import_module("mosaicbench.commands.fit").main
    if attempt is None:
        fit(**job)
    elif granted_mb is None or granted_minutes is None:
        raise UserError("--attempt needs --granted-mb and --granted-minutes")
    else:
        attempts.fit_within_grant(
            fit, job, attempt=attempt, granted_mb=granted_mb, granted_minutes=granted_minutes
        )


def _score(**options: object) -> None:
    """Score runs of a split, or embeddings that were made elsewhere."""
    alone = {"latents", "truth", "embedding", "graph", "cell_type", "batch", "output"}
    elsewhere = options["latents"] is not None
    needed = (
        ("latents", "truth")
        if elsewhere
        else ("runs", "splits", "groups", "scores", "features", "cells")
    )
    if missing := [f"--{name}" for name in needed if options[name] is None]:
        raise UserError(
            f"{'embeddings' if elsewhere else 'runs'} to score need {', '.join(missing)}"
        )
    taken = {
        name: value
        for name, value in options.items()
        if name == "groups" or (name in alone) == elsewhere
    }
    if elsewhere and (
        others := [
            f"--{name}" for name in options if name not in taken and options[name] is not None
        ]
    ):
        raise UserError(f"--latents: embeddings that were made elsewhere have no {others[0]}")
    importlib.import_module(
        f"mosaicbench.commands.{'score_latents' if elsewhere else 'score'}"
    ).main(**taken)
