"""Fit one run: train a method on a view's train cells, embed and impute its query cells, and record what happened.

The work is done in a child process under a limit of time and memory. However the child ends, the run ends with four valid
files: a run that diverged, crashed, or was stopped has no latents, and a status that says why.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import permutations
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import psutil

from mosaicbench import sources
from mosaicbench.errors import Diverged, NotApplicable, UserError
from mosaicbench.meter import Meter

if TYPE_CHECKING:
    from mudata import MuData

    from mosaicbench.view import View

CHECKPOINT = ".checkpoint.pt"  # in the run's folder; hidden, since it is none of a run's files
KEEPS_CHECKPOINT = ("timeout", "out_of_memory")  # statuses of a run that another attempt, with higher limits, may end
REPORTED_VERSIONS = ("mosaicbench", "numpy", "scipy", "pandas", "scikit-learn", "torch", "anndata", "mudata", "scanpy")
USER_ERROR, POLL_SECONDS = 2, 0.2


def main(
    *,
    method: str,
    hyperparameters: dict,
    identity: dict,
    train: Path,
    query: Path,
    solution: Path | None,
    output: Path,
    max_minutes: float,
    max_memory_mb: float,
    checkpoint_seconds: float = 60,
    imported: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Fit `method` (a module's dotted name) and write latents.h5ad, imputed.h5mu, history.tsv and run.json into `output`.

    The child is forked: call this from a process in which no library has started threads, as the command line does.

    Parameters
    ----------
    identity
        dataset, scenario, run, method and seed: what stands in every row about this run.
    solution
        Given to positive controls only.
    max_minutes, max_memory_mb
        Limits of wall-clock time and of resident memory. A run that passes one is stopped and gets the status "timeout" or
        "out_of_memory".
    checkpoint_seconds
        Least time between two savings of a training to `output`. Where one was killed, the next run with the same data, code,
        hyperparameters and device goes on from there and gives the same result. A run that was stopped at a limit keeps its
        checkpoint, for an attempt with a higher one; limits hold for each attempt.
    imported
        Wall-clock and CPU seconds that this process has spent on imports for this run.

    Raises
    ------
    UserError
        When an input file breaks its contract.
    """
    output.mkdir(parents=True, exist_ok=True)
    record = new_record(identity, hyperparameters)
    remove_partial(output)
    meter = Meter()
    meter.credit("import", *imported)
    arguments = (meter, method, hyperparameters, record, train, query, solution, output, checkpoint_seconds)
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    child.start()
    try:
        stopped_for = watch(child, meter, max_minutes=max_minutes, max_memory_mb=max_memory_mb)
    finally:
        child.kill()
        child.join()
    if child.exitcode == USER_ERROR:
        raise UserError("the run could not start; its message stands above")
    stopped_for = stopped_for or reason_of_exit(child.exitcode)
    if stopped_for is not None:
        status, message = stopped_for
        meter.close()
        write_failure(output, record | {"status": status, "message": message} | meter.account())
    status = json.loads((output / "run.json").read_text())["status"]
    if status not in KEEPS_CHECKPOINT:
        (output / CHECKPOINT).unlink(missing_ok=True)
    print(f"status: {status}", file=sys.stderr)


def watch(child: multiprocessing.Process, meter: Meter, *, max_minutes: float, max_memory_mb: float) -> tuple[str, str] | None:
    """Wait for the child; return why it has to be stopped, None if it ended by itself."""
    process, deadline = psutil.Process(child.pid), time.monotonic() + 60 * max_minutes
    while child.is_alive():
        child.join(POLL_SECONDS)
        if time.monotonic() > deadline:
            return "timeout", f"stopped after {max_minutes:g} minutes (config key limits: minutes)"
        try:
            used = meter.look(process)
        except psutil.NoSuchProcess:
            break
        if used > max_memory_mb:
            return "out_of_memory", f"stopped at {used:.0f} MB of memory (config key limits: memory_mb = {max_memory_mb:g})"
    child.join()
    return None


def reason_of_exit(code: int) -> tuple[str, str] | None:
    """Return the status and the message of a run whose process ended with this code; None where it ended well."""
    if code == -signal.SIGKILL:
        return "out_of_memory", "killed by the operating system, which does this when the machine's memory is full"
    return None if code == 0 else ("crashed", f"the process ended with exit status {code}")


def _in_child(
    meter: Meter,
    method: str,
    hyperparameters: dict,
    record: dict,
    train: Path,
    query: Path,
    solution: Path | None,
    output: Path,
    checkpoint_seconds: float,
) -> None:
    """Run the fit; turn what a method can suffer into a status, and leave a file's or a user's fault to the caller."""
    try:
        _fit(meter, method, hyperparameters, record, train, query, solution, output, checkpoint_seconds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except NotApplicable as error:
        meter.enter(None)
        write_failure(output, record | reason_of(error) | meter.account())
    except Exception as error:
        traceback.print_exc()
        meter.enter(None)
        write_failure(output, record | reason_of(error) | meter.account())


def reason_of(error: Exception) -> dict[str, str]:
    """Return the status, and the message, of a run that ended with an exception."""
    if isinstance(error, NotApplicable):
        return {"status": "not_applicable", "message": str(error)}
    status = "diverged" if isinstance(error, Diverged) else "crashed"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        status = "out_of_memory"
    return {"status": status, "message": f"{type(error).__name__}: {error}"}


def _fit(
    meter: Meter,
    method: str,
    hyperparameters: dict,
    record: dict,
    train: Path,
    query: Path,
    solution: Path | None,
    output: Path,
    checkpoint_seconds: float,
) -> None:
    meter.enter("import")
    module = import_for(method)
    from mosaicbench.files.runs import write_record

    meter.enter("read")
    job = open_views(module, hyperparameters, train, query, solution)
    record |= {"cells": job.cells}
    view = job.view()

    meter.enter("fit")
    fitted = job.method
    if hasattr(fitted, "save_at"):
        decides = decisive(method, fitted, record["seed"])  # asked now, since files of code may change meanwhile
        fitted.save_at(output / CHECKPOINT, key=cache(lambda: digest(decides, train)), seconds=checkpoint_seconds)
    history = fitted.fit(view, record["seed"])
    del view  # as large as the data, dense

    record |= write_outputs(meter, job, history, output)
    checkpoint = getattr(fitted, "checkpoint", None)
    if checkpoint is not None:
        record |= {"resumed_after": checkpoint.resumed_after, "arithmetic": fitted.conditions()}
    write_record(output / "run.json", record | meter.account(checkpoint and checkpoint.spent))


def import_for(method: str) -> ModuleType:
    """Import what a fit needs, which takes longer than a short one's fit, and return the method's module."""
    for needed in ("mosaicbench.files", "mudata"):
        importlib.import_module(needed)
    return importlib.import_module(method)


@dataclass(frozen=True)
class Job:
    """A method object, and what it may see.

    Attributes
    ----------
    shown
        Whether the method's card uses labels, links and counts.
    """

    method: object
    gives: tuple[str, ...]
    train: MuData
    query: MuData
    shown: dict[str, bool]

    @property
    def cells(self) -> dict[str, int]:
        """The numbers of train and query cells."""
        return {"train": self.train.n_obs, "query": self.query.n_obs}

    def view(self) -> View:
        """Return what the method trains on."""
        from mosaicbench.files.views import as_view

        return as_view(self.train, labels=self.shown["labels"], links=self.shown["links"])


def open_views(module: ModuleType, hyperparameters: dict, train: Path, query: Path, solution: Path | None) -> Job:
    """Make a method object and read what it may see."""
    from mosaicbench.files.views import as_truth, read_view

    method, uses = method_class(module)(**hyperparameters), module.CARD["uses"]
    train_view, query_view = read_view(train, "train"), read_view(query, "query")
    if "solution" in uses:
        method.reveal(as_truth(read_view(solution, "solution")))
    shown = {word: word in uses for word in ("labels", "links", "counts")}
    return Job(method, module.CARD["gives"], train_view, query_view, shown)


def write_outputs(meter: Meter, job: Job, history: list[dict[str, float]], output: Path) -> dict:
    """Embed and impute, write all files of a run but run.json, and return what its record says of how it went.

    Raises
    ------
    NotApplicable
        When the method can give nothing of what its card says.
    Diverged
        When it gives values that are not finite.
    """
    import numpy as np

    from mosaicbench.files.runs import imputed_table, is_collapsed, latents_table, write_history, write_imputed, write_latents

    meter.enter("embed")
    fitted, gives, shown = job.method, job.gives, job.shown
    embeds = {"joint", "single"} & set(gives)
    latents, no_latents = _embed(fitted.embed, gives, job.train, job.query, shown) if embeds else ({}, [])
    private = _embed_private(fitted.embed_private, job.train, job.query) if "private" in gives else {}
    predicted = _predict(fitted.predict, job.query, latents, shown) if "labels" in gives else {}
    meter.enter("impute")
    imputed, no_values = _impute(fitted.impute, job.query, shown) if "impute" in gives else ({}, [])
    left_out = [*no_latents, *no_values]  # what the card gives and this view does not allow
    if left_out and not latents and not imputed:
        raise NotApplicable("; ".join(left_out))
    arrays = [*(array for _, array in [*latents.values(), *imputed.values()]), *private.values()]
    if not all(np.isfinite(array).all() for array in arrays):
        raise Diverged("the fitted method gave latents or imputed values that are not finite")

    meter.enter("write")
    write_latents(output / "latents.h5ad", latents_table(latents, private, predicted))
    write_imputed(output / "imputed.h5mu", imputed_table(imputed, job.query))
    write_history(output / "history.tsv", history)
    collapsed = bool(latents) and is_collapsed(latents)
    remarks = [*(["no latent dimension varies over the query cells"] if collapsed else []), *getattr(fitted, "remarks", [])]
    remarks += left_out
    for remark in remarks:
        print(f"remark: {remark}", file=sys.stderr)
    meter.enter(None)
    return {
        "status": "collapsed" if collapsed else "ok",
        "message": "; ".join(remarks),
        "hyperparameters": _hyperparameters(fitted),
    }


def _embed(embed: Callable, gives: tuple[str, ...], train, query, shown: dict[str, bool]) -> tuple[dict, list[str]]:
    """Return (source, subset) -> (names, latents), and why a source is not there though the card gives it."""
    from mosaicbench.files.views import as_cells, complete_cells

    latents, refused = {}, {}
    for subset, part in (("train", train), ("query", query)):
        sources = {modality: [modality] for modality in part.mod} if "single" in gives else {}
        if "joint" in gives and len(complete_cells(part)):
            sources["joint"] = list(part.mod)
        for source, modalities in sources.items():
            names = complete_cells(part) if source == "joint" else None
            cells = as_cells(part, modalities, names, **shown | {"labels": shown["labels"] and subset == "train"})
            try:
                latents[source, subset] = (cells.names, embed(cells))
            except NotApplicable as reason:
                refused[source] = str(reason)
    left_out = [f"no latents of {source}: {reason}" for source, reason in refused.items()]
    return {key: found for key, found in latents.items() if key[0] not in refused}, left_out


def _embed_private(embed_private: Callable, train, query) -> dict:
    """Return (modality, subset) -> private latents of the cells that `_embed` embeds, in their order; {} if without width."""
    from mosaicbench.files.views import as_cells

    parts = [(subset, part, modality) for subset, part in (("train", train), ("query", query)) for modality in part.mod]
    private = {(modality, subset): embed_private(as_cells(part, [modality])) for subset, part, modality in parts}
    return {source: z for source, z in private.items() if z.shape[1]}


def _predict(predict: Callable, query, latents: dict, shown: dict[str, bool]) -> dict:
    """Return (source, "query") -> the cell types that the method says of the query cells that `_embed` embeds."""
    from mosaicbench.files.views import as_cells, complete_cells

    predicted = {}
    for source, subset in latents:
        if subset == "query":
            modalities = list(query.mod) if source == "joint" else [source]
            names = complete_cells(query) if source == "joint" else None
            cells = as_cells(query, modalities, names, **shown | {"labels": False})
            predicted[source, subset] = predict(cells)
    return predicted


def _impute(impute: Callable, query, shown: dict[str, bool]) -> tuple[dict, list[str]]:
    """Return (source, target) -> (names, standardised values), and why a direction between two modalities is not there."""
    from mosaicbench.files.views import as_cells

    imputed, left_out = {}, []
    for source, target in permutations(query.mod, 2):
        cells = as_cells(query, [source], **shown | {"labels": False})
        try:
            imputed[source, target] = (cells.names, impute(cells, target))
        except NotApplicable as reason:
            left_out.append(f"no {source}->{target}: {reason}")
    return imputed, left_out


def method_class(module) -> type:
    """Return the last public class that the module itself defines."""
    defined = [thing for name, thing in vars(module).items() if isinstance(thing, type) and not name.startswith("_")]
    return [thing for thing in defined if thing.__module__ == module.__name__][-1]


def _hyperparameters(method: object) -> dict:
    """Return the hyperparameters that a method object really has: its dataclass fields."""
    return {name: getattr(method, name) for name in method.__dataclass_fields__}


def write_failure(output: Path, record: dict) -> None:
    """Write the four files of a run that gave nothing, and remove what a killed one was writing."""
    from mosaicbench.files.runs import imputed_table, latents_table, write_history, write_imputed, write_latents, write_record

    remove_partial(output)
    write_latents(output / "latents.h5ad", latents_table({}))
    write_imputed(output / "imputed.h5mu", imputed_table({}, None))
    write_history(output / "history.tsv", [])
    write_record(output / "run.json", record)


def remove_partial(output: Path) -> None:
    """Remove what a killed process was writing."""
    for leftover in output.glob(".*.partial*"):
        leftover.unlink()


def decisive(method: str, fitted: object, seed: int | list[int]) -> dict:
    """Return what decides the result of a training, but for the data: what is asked for, the code, and what computes."""
    return {
        "method": method,
        "hyperparameters": _hyperparameters(fitted),
        "conditions": fitted.conditions(),
        "seed": seed,
        "code": [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in sources.of(__name__, method)],
        "versions": _versions(),
        "threads": _threads(),
        "machine": platform.machine(),
    }


def digest(decides: dict, *train: Path) -> str:
    """Return a digest of what `decisive` returned and of the data."""
    found = hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode())
    for path in train:
        with path.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()


def new_record(identity: dict, hyperparameters: dict) -> dict:
    """Return a record that says everything known before the run."""
    return identity | {
        "status": "crashed",
        "message": "",
        "hyperparameters": hyperparameters,
        "cells": {},
        "resumed_after": [],
        "seeds_at_once": 1,
        "arithmetic": {},
        "threads": _threads(),
        "hardware": _hardware(),
        "versions": _versions(),
        "git_commit": _git_commit(),
    }


def _threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count()


@cache
def _hardware() -> dict:
    """Return what this machine is: its processor, how many cores it shows, and its memory in MB."""
    known = Path("/proc/cpuinfo")
    models = [line for line in known.read_text().splitlines() if line.startswith("model name")] if known.exists() else []
    cpu = models[0].split(":", 1)[1].strip() if models else platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_mb": round(psutil.virtual_memory().total / 2**20)}


@cache
def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in REPORTED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


@cache
def _git_commit() -> str:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
