"""Fit one run: train a method on a view's train cells, embed and impute its query cells, and record what happened.

The work is done in a child process under a limit of time and memory. However the child ends, the run ends with four valid
files: a run that diverged, crashed, or was stopped has no latents, and a status that says why.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import permutations
from pathlib import Path

import psutil

from mosaicbench.errors import Diverged, UserError

REPORTED_VERSIONS = ("mosaicbench", "numpy", "scipy", "pandas", "scikit-learn", "torch", "anndata", "mudata", "scanpy")
USER_ERROR, POLL_SECONDS = 2, 0.2


def run(
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

    Raises
    ------
    UserError
        When an input file breaks its contract.
    """
    output.mkdir(parents=True, exist_ok=True)
    record = _new_record(identity, hyperparameters)
    arguments = (method, hyperparameters, record, train, query, solution, output)
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    child.start()
    try:
        stopped_for = _watch(child, max_minutes=max_minutes, max_memory_mb=max_memory_mb)
    finally:
        child.kill()
        child.join()
    if child.exitcode == USER_ERROR:
        raise UserError("the run could not start; its message stands above")
    if stopped_for is None and child.exitcode == -signal.SIGKILL:
        stopped_for = ("out_of_memory", "killed by the operating system, which does this when the machine's memory is full")
    if stopped_for is None and child.exitcode != 0:
        stopped_for = ("crashed", f"the process ended with exit status {child.exitcode}")
    if stopped_for is not None:
        status, message = stopped_for
        peak = _peak_host_mb(resource.RUSAGE_CHILDREN)
        _write_failure(output, record | {"status": status, "message": message, "peak_host_mb": peak})
    print(f"status: {json.loads((output / 'run.json').read_text())['status']}", file=sys.stderr)


def _watch(child: multiprocessing.Process, *, max_minutes: float, max_memory_mb: float) -> tuple[str, str] | None:
    """Wait for the child; return why it has to be stopped, None if it ended by itself."""
    process, deadline = psutil.Process(child.pid), time.monotonic() + 60 * max_minutes
    while child.is_alive():
        child.join(POLL_SECONDS)
        if time.monotonic() > deadline:
            return "timeout", f"stopped after {max_minutes:g} minutes (config key limits: minutes)"
        try:
            used = process.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            break
        if used > max_memory_mb:
            return "out_of_memory", f"stopped at {used:.0f} MB of memory (config key limits: memory_mb = {max_memory_mb:g})"
    child.join()
    return None


def _in_child(
    method: str, hyperparameters: dict, record: dict, train: Path, query: Path, solution: Path | None, output: Path
) -> None:
    """Run the fit; turn what a method can suffer into a status, and leave a file's or a user's fault to the caller."""
    try:
        _fit(method, hyperparameters, record, train, query, solution, output)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except Exception as error:
        traceback.print_exc()
        status = "diverged" if isinstance(error, Diverged) else "crashed"
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            status = "out_of_memory"
        message = f"{type(error).__name__}: {error}"
        _write_failure(output, record | {"status": status, "message": message, "peak_host_mb": _peak_host_mb()})


def _fit(
    method: str, hyperparameters: dict, record: dict, train: Path, query: Path, solution: Path | None, output: Path
) -> None:
    clock = _Clock()
    import numpy as np

    from mosaicbench import files

    module = importlib.import_module(method)
    fitted = _method_class(module)(**hyperparameters)
    clock.lap("import")

    train_view, query_view = files.read_view(train, "train"), files.read_view(query, "query")
    if "solution" in module.CARD["uses"]:
        fitted.reveal(files.as_truth(files.read_view(solution, "solution")))
    labels = "labels" in module.CARD["uses"]
    view = files.as_view(train_view, labels=labels)
    clock.lap("read")

    history = fitted.fit(view, record["seed"])
    clock.lap("fit")

    gives = module.CARD["gives"]
    latents = _embed(fitted.embed, gives, train_view, query_view, labels) if {"joint", "single"} & set(gives) else {}
    clock.lap("embed")
    imputed = _impute(fitted.impute, query_view) if "impute" in gives else {}
    clock.lap("impute")
    if not all(np.isfinite(array).all() for _, array in [*latents.values(), *imputed.values()]):
        raise Diverged("the fitted method gave latents or imputed values that are not finite")

    files.write_latents(output / "latents.h5ad", files.latents_table(latents))
    files.write_imputed(output / "imputed.h5mu", files.imputed_table(imputed, query_view))
    files.write_history(output / "history.tsv", history)
    collapsed = bool(latents) and files.collapsed(latents)
    warnings = [*(["no latent dimension varies over the query cells"] if collapsed else []), *getattr(fitted, "warnings", [])]
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    record |= {
        "status": "collapsed" if collapsed else "ok",
        "message": "; ".join(warnings),
        "hyperparameters": _hyperparameters(fitted),
        "seconds": clock.seconds,
        "peak_host_mb": _peak_host_mb(),
    }
    files.write_record(output / "run.json", record | _device())


def _embed(embed: Callable, gives: tuple[str, ...], train, query, labels: bool) -> dict:
    """Return (source, subset) -> (names, latents): every source that the card gives and the view allows."""
    from mosaicbench import files

    latents = {}
    for subset, part in (("train", train), ("query", query)):
        sources = {modality: [modality] for modality in part.mod} if "single" in gives else {}
        if "joint" in gives and len(files.complete(part)):
            sources["joint"] = list(part.mod)
        for source, modalities in sources.items():
            names = files.complete(part) if source == "joint" else None
            cells = files.as_cells(part, modalities, names, labels=labels and subset == "train")
            latents[source, subset] = (cells.names, embed(cells))
    return latents


def _impute(impute: Callable, query) -> dict:
    """Return (source, target) -> (names, standardised values) of every direction between two modalities."""
    from mosaicbench import files

    imputed = {}
    for source, target in permutations(query.mod, 2):
        cells = files.as_cells(query, [source])
        imputed[source, target] = (cells.names, impute(cells, target))
    return imputed


def _method_class(module) -> type:
    """Return the last public class that the module itself defines."""
    defined = [thing for name, thing in vars(module).items() if isinstance(thing, type) and not name.startswith("_")]
    return [thing for thing in defined if thing.__module__ == module.__name__][-1]


def _hyperparameters(method: object) -> dict:
    """Return the hyperparameters that a method object really has: its dataclass fields."""
    return {name: getattr(method, name) for name in method.__dataclass_fields__}


def _write_failure(output: Path, record: dict) -> None:
    """Write the four files of a run that gave nothing, and remove what a killed one was writing."""
    from mosaicbench import files

    for leftover in output.glob(".*.partial*"):
        leftover.unlink()
    files.write_latents(output / "latents.h5ad", files.latents_table({}))
    files.write_imputed(output / "imputed.h5mu", files.imputed_table({}, None))
    files.write_history(output / "history.tsv", [])
    files.write_record(output / "run.json", record)


def _new_record(identity: dict, hyperparameters: dict) -> dict:
    """Return a record that says everything known before the run."""
    return identity | {
        "status": "crashed",
        "message": "",
        "hyperparameters": hyperparameters,
        "seconds": {},
        "peak_host_mb": None,
        "peak_device_mb": None,
        "device": "cpu",
        "threads": int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count(),
        "versions": _versions(),
        "git_commit": _git_commit(),
    }


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in REPORTED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _git_commit() -> str:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _device() -> dict:
    """Return where torch computed and its peak memory there; methods that never load torch computed on the CPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {"device": "cpu", "peak_device_mb": None}
    return {"device": torch.cuda.get_device_name(), "peak_device_mb": torch.cuda.max_memory_allocated() / 2**20}


def _peak_host_mb(who: int = resource.RUSAGE_SELF) -> float:
    return resource.getrusage(who).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


class _Clock:
    """Seconds of wall-clock per phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, phase: str) -> None:
        now = time.monotonic()
        self.seconds[phase] = round(now - self._last, 3)
        self._last = now
