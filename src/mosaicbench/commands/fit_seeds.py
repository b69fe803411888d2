"""Fit all seeds of a run in one job: trained at once as one stacked model where that can be, else one after the other.

Each seed ends with the same files as a fit of its own (see :mod:`.fit`), within rounding of the same numbers. A process that is
stopped at a limit, or dies, is a failed row for each seed that had not ended.

What a seed's record says of costs: importing, reading and training are done for all seeds together, so that a seed has its
share of their seconds (the total over the number of seeds), and the memory of all of them; embedding, imputing and writing are
its own. ``seeds_at_once`` in it is that number of seeds.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mosaicbench.commands import attempt as attempts
from mosaicbench.commands import fit, fit_each
from mosaicbench.errors import Diverged, NotStackable, UserError
from mosaicbench.meter import Meter

NOT_STACKABLE = 3  # exit status of a child that could not train the seeds at once
SHARED = ("seconds", "cpu_seconds", "gpu_seconds")


def main(
    *,
    method: str,
    hyperparameters: dict,
    identity: dict,
    seeds: Sequence[int],
    train: Sequence[Path],
    query: Sequence[Path],
    output: Sequence[Path],
    attempt: int,
    granted_mb: float,
    granted_minutes: float,
    max_minutes: float,
    max_memory_mb: float,
    checkpoint_seconds: float = 60,
) -> None:
    """Fit as ``commands.attempt`` does, all seeds of a run.

    Parameters
    ----------
    identity
        dataset, scenario, run and method.
    seeds, train, query, output
        Of each seed; the views' files, and the runs' folders.
    max_minutes
        Of each seed: all together have as many times that.
    max_memory_mb
        Of the process, whatever the number of seeds in it.

    Raises
    ------
    UserError
        As ``commands.attempt`` does.
    """
    places = [Place(identity | {"seed": s}, *paths) for s, *paths in zip(seeds, train, query, output, strict=True)]

    def fitted(memory_mb: float, minutes: float) -> None:
        what = {"method": method, "hyperparameters": hyperparameters, "checkpoint_seconds": checkpoint_seconds}
        if not _fitted_at_once(places, max_memory_mb=memory_mb, max_minutes=minutes, **what):
            fits = [vars(place) | what | {"solution": None} for place in places]
            fit_each.one_after_the_other(fits, minutes=minutes, max_minutes=minutes / len(fits), max_memory_mb=memory_mb)

    granted = {"attempt": attempt, "granted_mb": granted_mb, "granted_minutes": granted_minutes}
    limits = {"max_memory_mb": max_memory_mb, "max_minutes": max_minutes * len(places)}
    attempts.within(fitted, [place.output for place in places], **granted, **limits)


@dataclass(frozen=True)
class Place:
    """One seed: what its rows say it is, and where its files are."""

    identity: dict
    train: Path
    query: Path
    output: Path

    @property
    def record(self) -> Path:
        """Its run.json."""
        return self.output / "run.json"


@dataclass(frozen=True)
class Meters:
    """What the seeds cost together, and each by itself."""

    shared: Meter
    own: list[Meter]

    def close(self) -> None:
        """End the phase of a child that was killed."""
        for meter in (self.shared, *self.own):
            meter.close()

    def account(self, seed: int, earlier: dict[str, float] | None = None) -> dict:
        """Return what the record of a seed, by its place in the order, says of costs; `earlier` is as of :class:`.Meter`."""
        shared, own = self.shared.account(earlier), self.own[seed].account()
        for measure in SHARED:
            shared[measure] = {phase: round(value / len(self.own), 3) for phase, value in shared[measure].items()}
        merged = {name: shared[name] | own[name] for name in (*SHARED, "host_mb", "device_mb")}
        peaks = {f"peak_{name}": max(merged[name].values(), default=None) for name in ("host_mb", "device_mb")}
        return merged | peaks | {"device": shared["device"]}


def _fitted_at_once(places: list[Place], *, max_memory_mb: float, max_minutes: float, **what: object) -> bool:
    """Fit the seeds in one child process and return whether they could be trained at once; if not, nothing is written.

    `what` is what `_fit` asks for besides.
    """
    records = []
    for place in places:
        place.output.mkdir(parents=True, exist_ok=True)
        place.record.unlink(missing_ok=True)  # what is there afterwards was written now
        fit.remove_partial(place.output)
        records.append(fit.new_record(place.identity, what["hyperparameters"]) | {"seeds_at_once": len(places)})
    meters = Meters(Meter(), [Meter() for _ in places])
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(meters, places, records), kwargs=what)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    child.start()
    try:
        stopped_for = fit.watch(child, meters.shared, max_minutes=max_minutes, max_memory_mb=max_memory_mb)
    finally:
        child.kill()
        child.join()
    if child.exitcode == NOT_STACKABLE:
        return False
    if child.exitcode == fit.USER_ERROR:
        raise UserError("the runs could not start; their message stands above")
    stopped_for = stopped_for or fit.reason_of_exit(child.exitcode)
    meters.close()
    if stopped_for is not None:
        status, message = stopped_for
        for seed, (place, record) in enumerate(zip(places, records, strict=True)):
            if not place.record.is_file():
                told = {"status": status, "message": f"{message}; {len(places)} seeds were fitted at once"}
                fit.write_failure(place.output, record | told | meters.account(seed))
    from mosaicbench.files.runs import read_record  # after the fork, which needs a process without threads

    statuses = [read_record(place.record)["status"] for place in places]
    if not set(statuses) & set(fit.KEEPS_CHECKPOINT):
        (places[0].output / fit.CHECKPOINT).unlink(missing_ok=True)
    print(f"statuses: {', '.join(statuses)}", file=sys.stderr)
    return True


def _in_child(meters: Meters, places: list[Place], records: list[dict], **what: object) -> None:
    """Run the fits; turn what a method can suffer into statuses, and leave a file's or a user's fault to the caller."""
    try:
        _fit(meters, places, records, **what)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(fit.USER_ERROR)
    except NotStackable as error:
        print(f"one seed after the other: {error}", file=sys.stderr)
        sys.exit(NOT_STACKABLE)
    except Exception as error:
        traceback.print_exc()
        meters.shared.enter(None)
        for seed, (place, record) in enumerate(zip(places, records, strict=True)):
            fit.write_failure(place.output, record | fit.reason_of(error) | meters.account(seed))


def _fit(
    meters: Meters,
    places: list[Place],
    records: list[dict],
    *,
    method: str,
    hyperparameters: dict,
    checkpoint_seconds: float,
) -> None:
    meters.shared.enter("import")
    module = fit.import_for(method)
    fit_at_once = getattr(fit.method_class(module), "fit_at_once", None)
    if fit_at_once is None:
        raise NotStackable("the method knows no other way")

    meters.shared.enter("read")
    jobs = [fit.open_views(module, hyperparameters, place.train, place.query, None) for place in places]
    for record, job in zip(records, jobs, strict=True):
        record |= {"cells": job.cells}
    views = [job.view() for job in jobs]

    meters.shared.enter("fit")
    first, seeds = jobs[0].method, [place.identity["seed"] for place in places]
    decides = fit.decisive(method, first, seeds)
    key = cache(lambda: fit.digest(decides, *(place.train for place in places)))
    first.save_at(places[0].output / fit.CHECKPOINT, key=key, seconds=checkpoint_seconds)
    outcomes = fit_at_once([job.method for job in jobs], views, seeds)
    del views  # as large as the data, dense
    meters.shared.enter(None)

    told = {"resumed_after": first.checkpoint.resumed_after, "arithmetic": first.conditions()}
    for seed, (place, record) in enumerate(zip(places, records, strict=True)):
        _end(meters, seed, jobs[seed], outcomes[seed], place, record | told, first.checkpoint.spent)


def _end(
    meters: Meters,
    seed: int,
    job: fit.Job,
    outcome: list[dict[str, float]] | Diverged,
    place: Place,
    record: dict,
    spent: dict[str, float],
) -> None:
    """Write the files of a seed; what befalls it leaves the other seeds alone."""
    from mosaicbench.files.runs import write_record

    try:
        if isinstance(outcome, Diverged):
            raise outcome
        record |= fit.write_outputs(meters.own[seed], job, outcome, place.output)
        write_record(place.record, record | meters.account(seed, spent))
    except Exception as error:
        traceback.print_exc()
        meters.own[seed].enter(None)
        fit.write_failure(place.output, record | fit.reason_of(error) | meters.account(seed, spent))
