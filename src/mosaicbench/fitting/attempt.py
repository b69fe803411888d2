"""A method and a view become a run: one fit, each of many in one process, or all seeds of a run trained at once.

The work is done in a child process under limits of time and memory. However the child ends, every run ends with valid
files: one that diverged, crashed, or was stopped has no latents, and a status that says why.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial

from mosaicbench.errors import (
    Diverged,
    FolderTaken,
    NotApplicable,
    NotStackable,
    NotWritten,
    UserError,
)
from mosaicbench.fitting.job import Fit, Limits
from mosaicbench.fitting.method import import_for
from mosaicbench.fitting.outputs import (
    MethodOnView,
    Parts,
    open_view,
    read_shared,
    remove_partial,
    write_failure,
    write_outputs,
)
from mosaicbench.fitting.process import Failure, failure_of_exception, run_in_child
from mosaicbench.fitting.record import decisive, digest, new_record
from mosaicbench.meter import Meter

KEEPS_CHECKPOINT = (
    "timeout",
    "out_of_memory",
)  # statuses of a run that another attempt, with higher limits, may end
USER_ERROR, NOT_STACKABLE = 2, 3  # exit statuses of a child that wrote no run
SHARED = ("seconds", "cpu_seconds", "gpu_seconds")


def fit_each(
    fits: Sequence[Fit],
    limits: Limits,
    *,
    minutes: float,
    checkpoint_seconds: float,
    at_once: int = 0,
) -> None:
    """Fit one after the other, each in a child process of its own: whatever befalls one leaves the others alone.

    What their methods need is imported once, and views that several read are read once, before the first child is forked; each
    record has its share of those seconds, and counts all of that memory.

    Parameters
    ----------
    fits
        All seeds of the first run first.
    limits
        Of each fit.
    minutes
        Of all fits together.
    checkpoint_seconds
        Least time between two savings of a training.
    at_once
        So many seeds of each run are trained as one stacked model where that can be; none if 0. Each ends with the same files
        as a fit of its own, within rounding of the same numbers. A process that is stopped at a limit, or dies, is a failed row
        for each seed that had not ended.

    Raises
    ------
    UserError
        When an input file breaks its contract.
    """
    end = time.monotonic() + 60 * minutes
    shared = Shared.by(fits)

    def could_fit(some: Sequence[Fit], most_minutes: float, *, stacked: bool = False) -> bool:
        meters = Meters.of(len(some))
        shared.credit(meters.shared, fits=len(some))
        minutes_left = max(0.0, (end - time.monotonic()) / 60)
        its_limits = replace(limits, minutes=min(most_minutes, minutes_left))
        return _fit_together(
            some, shared.parts, meters, its_limits, checkpoint_seconds, stacked=stacked
        )

    for seeds in (
        fits[start : start + max(at_once, 1)] for start in range(0, len(fits), max(at_once, 1))
    ):
        if at_once and could_fit(seeds, limits.minutes * at_once, stacked=True):
            continue
        # Of a stack that cannot be, a seed leaves the others their time: its training goes on in a later attempt.
        most_minutes = minutes / len(fits) if at_once else limits.minutes
        for fit in seeds:
            could_fit([fit], most_minutes)


def record_failure(fits: Sequence[Fit], failure: Failure, *, seeds_at_once: int) -> None:
    """Write the rows of runs that were killed from outside and could not write any."""
    for fit in fits:
        fit.claim_folder()
        write_failure(
            fit, new_record(fit, seeds_at_once=seeds_at_once) | Meter().account() | failure
        )
        fit.release_folder()


@dataclass(frozen=True)
class Shared:
    """What the process that forks fits has done for all of them: each would have done it again.

    Attributes
    ----------
    parts
        Of views, without solutions: those that several fits read. A child has a copy of its own.
    seconds
        Phase -> wall-clock and CPU seconds, for each fit.
    """

    parts: Parts
    seconds: dict[str, tuple[float, float]]

    @classmethod
    def by(cls, fits: Sequence[Fit]) -> Shared:
        """Import what the methods of several fits need, and read the parts of views that :func:`.read_shared` names."""
        if len(fits) == 1:
            return cls({}, {})
        parts, seconds = {}, {}
        for phase, work in {
            "import": _import,
            "read": lambda fits: parts.update(read_shared(fits)),
        }.items():
            wall, cpu = time.monotonic(), time.process_time()
            with suppress(Exception):  # then each fit says so itself
                work(fits)
            seconds[phase] = (
                (time.monotonic() - wall) / len(fits),
                (time.process_time() - cpu) / len(fits),
            )
        return cls(parts, seconds)

    def credit(self, meter: Meter, *, fits: int) -> None:
        """Count the share of so many fits."""
        for phase, seconds in self.seconds.items():
            meter.credit(phase, *(fits * each for each in seconds))


def _import(fits: Sequence[Fit]) -> None:
    for fit in fits:
        import_for(fit.module, fit.identity["method"])


@dataclass(frozen=True)
class Meters:
    """What fits cost together, and each by itself; a single fit has one meter for both.

    Importing, reading and training are done for all seeds of a stack together, so that a seed's record has its share of their
    seconds (the total over the number of seeds), and the memory of all of them; embedding, imputing and writing are its own.
    """

    shared: Meter
    own: list[Meter]

    @classmethod
    def of(cls, fits: int) -> Meters:
        """Return new meters of so many fits."""
        own = [Meter() for _ in range(fits)]
        return cls(own[0] if fits == 1 else Meter(), own)

    def close(self) -> None:
        """End the phase of a child that was killed."""
        for meter in (self.shared, *self.own):
            meter.close()

    def account(self, place: int, earlier: dict[str, float] | None = None) -> dict:
        """Return what the record of the fit at a place in their order says of costs; `earlier` is as of :class:`.Meter`."""
        shared, own = self.shared.account(earlier), self.own[place].account()
        if len(self.own) > 1:
            for measure in SHARED:
                shared[measure] = {
                    phase: round(value / len(self.own), 3)
                    for phase, value in shared[measure].items()
                }
        merged = {name: own[name] | shared[name] for name in (*SHARED, "host_mb", "device_mb")}
        peaks = {
            f"peak_{name}": max(merged[name].values(), default=None)
            for name in ("host_mb", "device_mb")
        }
        return merged | peaks | {"device": shared["device"]}


def _fit_together(
    fits: Sequence[Fit],
    parts: Parts,
    meters: Meters,
    limits: Limits,
    checkpoint_seconds: float,
    *,
    stacked: bool = False,
) -> bool:
    """Fit one run, or the seeds of one as a stack, in one child process; return False where they cannot be stacked."""
    records = []
    for fit in fits:
        fit.claim_folder()
        for earlier in (fit.record, fit.model / "model.json", fit.imputer / "model.json"):
            earlier.unlink(missing_ok=True)  # what is there afterwards was written now
        remove_partial(fit.output)
        records.append(new_record(fit, seeds_at_once=len(fits)))
    work = partial(_in_child, fits, records, parts, meters, checkpoint_seconds, stacked=stacked)
    code, failure = run_in_child(work, meters.shared, limits)
    if stacked and code == NOT_STACKABLE:
        return False
    if code == USER_ERROR:
        for fit in fits:
            fit.release_folder()
        raise UserError("a run could not start or be written; its message stands above")
    meters.close()
    if failure is not None:
        if len(fits) > 1:
            failure = failure | {
                "message": f"{failure['message']}; {len(fits)} seeds were fitted at once"
            }
        for place, (fit, record) in enumerate(zip(fits, records, strict=True)):
            if not fit.record.is_file():
                write_failure(fit, record | failure | meters.account(place))
    for fit in fits:
        fit.check_claim()
    statuses = [json.loads(fit.record.read_text())["status"] for fit in fits]
    if not set(statuses) & set(KEEPS_CHECKPOINT):
        fits[0].checkpoint.unlink(missing_ok=True)
    for fit in fits:
        fit.release_folder()
    print(f"{fits[0].identity['run']}: {', '.join(statuses)}", file=sys.stderr)
    return True


def _in_child(
    fits: Sequence[Fit],
    records: list[dict],
    parts: Parts,
    meters: Meters,
    checkpoint_seconds: float,
    *,
    stacked: bool,
) -> None:
    """Run the fits; turn what a method can suffer into statuses, and leave a file's or a user's fault to the caller."""
    try:
        _fit(fits, records, parts, meters, checkpoint_seconds, stacked=stacked)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except NotStackable as error:
        print(f"one seed after the other: {error}", file=sys.stderr)
        sys.exit(NOT_STACKABLE)
    except Exception as error:
        meters.shared.enter(None)
        for place, (fit, record) in enumerate(zip(fits, records, strict=True)):
            _end_with(error, fit, record | meters.account(place))


def _fit(
    fits: Sequence[Fit],
    records: list[dict],
    parts: Parts,
    meters: Meters,
    checkpoint_seconds: float,
    *,
    stacked: bool,
) -> None:
    """Import, read and train; then write what each fit gave."""
    meters.shared.enter("import")
    implementation = import_for(fits[0].module, fits[0].identity["method"])
    from mosaicbench.view import offers

    if stacked and not offers(implementation.create, "fit_at_once"):
        raise NotStackable("the method cannot train them at once")

    meters.shared.enter("read")
    opened = [open_view(implementation, fit, parts) for fit in fits]
    for record, each in zip(records, opened, strict=True):
        record["cells"] = each.cells  # also in the row of a fit that fails from here on
    methods, views, seeds = (
        [each.method for each in opened],
        [each.view() for each in opened],
        [fit.seed for fit in fits],
    )

    meters.shared.enter("fit")
    first = methods[0]
    if offers(first, "save_at"):
        decides = decisive(fits, first)  # asked now, since files of code may change meanwhile
        key = cache(lambda: digest(decides, [fit.train for fit in fits]))
        first.save_at(fits[0].checkpoint, key=key, seconds=checkpoint_seconds)
    outcomes = (
        first.fit_at_once(methods, views, seeds) if stacked else [first.fit(views[0], seeds[0])]
    )
    del views  # as large as the data, dense
    meters.shared.enter(None)

    spent = None
    if offers(first, "checkpoint"):
        spent = first.checkpoint.spent
        trained = {
            "resumed_after": first.checkpoint.resumed_after,
            "arithmetic": first.conditions(),
        }
        records = [record | trained for record in records]
    for place, fit in enumerate(fits):
        account = partial(meters.account, place, spent)
        _end(fit, records[place], opened[place], outcomes[place], meters.own[place], account)


def _end(
    fit: Fit,
    record: dict,
    fitted: MethodOnView,
    outcome: list[dict[str, float]] | Diverged,
    meter: Meter,
    account: Callable[[], dict],
) -> None:
    """Write the files of one fit; what befalls it leaves the others alone."""
    from mosaicbench.files.runs import write_record

    try:
        if isinstance(outcome, Diverged):
            raise outcome
        record |= write_outputs(meter, fitted, outcome, fit)
        fit.check_claim()
        write_record(fit.record, record | account())
    except (
        FolderTaken,
        NotWritten,
    ):  # no fault of the method: the run has no row, and is fitted again
        raise
    except Exception as error:
        meter.enter(None)
        _end_with(error, fit, record | account())


def _end_with(error: Exception, fit: Fit, record: dict) -> None:
    """Write the row of a run that ended with an exception."""
    if not isinstance(error, NotApplicable):
        traceback.print_exception(error)
    write_failure(fit, record | failure_of_exception(error))
