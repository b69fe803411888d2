"""Fit methods on splits, each fit in a child process with limits of time and memory.

Every run ends with valid files: one that diverged, crashed or was stopped has no latents, and a
status that says why.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial

from mosaicbench.errors import NotApplicable, NotWritten, UserError
from mosaicbench.fitting.job import Fit, Limits
from mosaicbench.fitting.meter import Meter
from mosaicbench.fitting.method import import_for
from mosaicbench.fitting.outputs import (
    Parts,
    open_split,
    read_shared,
    remove_partial,
    write_failure,
    write_outputs,
)
from mosaicbench.fitting.process import Failure, failure_of_exception, run_in_child
from mosaicbench.fitting.record import decisive, digest, new_record

# Runs with these statuses keep their checkpoint for another attempt with higher limits.
KEEPS_CHECKPOINT = ("timeout", "out_of_memory")
USER_ERROR = 2  # exit status of a child that wrote no run


def fit_each(
    fits: Sequence[Fit], limits: Limits, *, minutes: float, checkpoint_seconds: float
) -> None:
    """Fit one after the other, each in a child process, so that no failure reaches another fit.

    Imports, and splits that several fits read, are done once before the first fork; each record counts an equal part of those
    seconds, and all of that memory.

    Parameters
    ----------
    fits
        All seeds of the first run first.
    limits
        Of each fit.
    minutes
        Of all fits together.
    checkpoint_seconds
        Least time between two checkpoints of a training.

    Raises
    ------
    UserError
        When an input file breaks its contract.
    """
    end = time.monotonic() + 60 * minutes
    parts, shared_seconds = _shared(fits)
    for fit in fits:
        meter = Meter()
        for phase, seconds in shared_seconds.items():
            meter.credit(phase, *seconds)
        minutes_left = max(0.0, (end - time.monotonic()) / 60)
        its_limits = replace(limits, minutes=min(limits.minutes, minutes_left))
        _fit_in_child(fit, parts, meter, its_limits, checkpoint_seconds)


def record_failure(fits: Sequence[Fit], failure: Failure) -> None:
    """Write the records of runs that were killed from outside."""
    for fit in fits:
        write_failure(fit, new_record(fit) | Meter().account() | failure)


def _shared(fits: Sequence[Fit]) -> tuple[Parts, dict[str, tuple[float, float]]]:
    """Import the methods of several fits and read their common parts of splits.

    Return also phase -> each fit's part of the wall-clock and CPU seconds.
    """
    parts, seconds = {}, {}

    def import_methods() -> None:
        for fit in fits:
            import_for(fit.module, fit.identity["method"])

    work = {"import": import_methods, "read": lambda: parts.update(read_shared(fits))}
    for phase, do in work.items() if len(fits) > 1 else ():
        wall, cpu = time.monotonic(), time.process_time()
        with suppress(Exception):  # each fit will report it
            do()
        spent = time.monotonic() - wall, time.process_time() - cpu
        seconds[phase] = tuple(each / len(fits) for each in spent)
    return parts, seconds


def _fit_in_child(
    fit: Fit, parts: Parts, meter: Meter, limits: Limits, checkpoint_seconds: float
) -> None:
    for earlier in (fit.record, fit.model / "model.json"):
        earlier.unlink(missing_ok=True)
    remove_partial(fit.output)
    record = new_record(fit)
    work = partial(_work, fit, record, parts, meter, checkpoint_seconds)
    code, failure = run_in_child(work, meter, limits)
    if code == USER_ERROR:
        raise UserError("a run could not start or be written; the log above says why")
    meter.close()
    if failure is not None and not fit.record.is_file():
        write_failure(fit, record | failure | meter.account())
    status = json.loads(fit.record.read_text())["status"]
    if status not in KEEPS_CHECKPOINT:
        fit.checkpoint.unlink(missing_ok=True)
    print(f"{fit.identity['run']}: {status}", file=sys.stderr)


def _work(fit: Fit, record: dict, parts: Parts, meter: Meter, checkpoint_seconds: float) -> None:
    try:
        _fit(fit, record, parts, meter, checkpoint_seconds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except Exception as error:
        _end_with(error, fit, record, meter)


def _fit(fit: Fit, record: dict, parts: Parts, meter: Meter, checkpoint_seconds: float) -> None:
    meter.enter("import")
    implementation = import_for(fit.module, fit.identity["method"])
    from mosaicbench.contract import offers
    from mosaicbench.files.runs import write_record

    meter.enter("read")
    fitted = open_split(implementation, fit, parts)
    record["cells"] = fitted.cells  # also of a fit that fails later
    method, split = fitted.method, fitted.split()

    meter.enter("fit")
    if offers(method, "save_at"):
        decides = decisive(fit, method)  # now: the code may be edited during the fit
        key = cache(lambda: digest(decides, fit.train))
        method.save_at(fit.checkpoint, key=key, seconds=checkpoint_seconds)
    history = method.fit(split, fit.seed)
    del split  # dense, as large as the data
    meter.enter(None)

    spent = None
    if offers(method, "checkpoint"):
        spent = method.checkpoint.spent
        record["resumed_after"] = method.checkpoint.resumed_after
        record["arithmetic"] = method.conditions()
    try:
        record |= write_outputs(meter, fitted, history, fit)
        write_record(fit.record, record | meter.account(spent))
    except NotWritten:
        raise  # no fault of the method: without a record, the run is fitted again
    except Exception as error:
        _end_with(error, fit, record, meter, spent)


def _end_with(
    error: Exception, fit: Fit, record: dict, meter: Meter, spent: dict[str, float] | None = None
) -> None:
    meter.enter(None)
    if not isinstance(error, NotApplicable):
        traceback.print_exception(error)
    write_failure(fit, record | meter.account(spent) | failure_of_exception(error))
