"""Jobs of fits of the small splits, for tests of what comes before and after them."""

import json
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import torch._dynamo  # noqa: F401 (all training imports it: once here, not in each process that is forked for a fit)
from conftest import REPOSITORY
from numpy.testing import assert_array_equal

from mosaicbench.catalog import catalog
from mosaicbench.commands import fit, score
from mosaicbench.files.runs import draws_of, read_imputed, read_latents, read_record
from mosaicbench.files.scores import read_scores
from mosaicbench.files.splits import read_split, write_split
from mosaicbench.fitting import attempt
from mosaicbench.tuning.trial import FIT

# A job in a process of its own that forks for no fit: what a wrapped package imports and compiles is there for the next one.
WITHOUT_FORKS = """
import json, sys
from importlib.util import find_spec
from mosaicbench.commands import fit
from mosaicbench.fitting import attempt

if find_spec("numba"):
    sys.path.append(sys.argv[2])
    import compiled
    compiled.keep()
attempt.run_in_child = lambda work, meter, limits: (work() or 0, None)
fit.main(**json.loads(sys.argv[1]))
"""
SOURCE = {"PYTHONPATH": str(REPOSITORY / "src")}
TESTS = str(REPOSITORY / "tests")
NAMES = {"dataset": "small", "scenario": "paired"}
LIMITS = {"minutes": 5, "memory_mb": 8000}


def run_of(method, outputs, *, hyperparameters=None, **names):
    """Return how a job describes a run of a method: an id, or the name of any module."""
    module = catalog.module("methods", method) if method in catalog.names("methods") else method
    name = method.split(".")[-1]
    return (
        NAMES
        | {"run": name, "method": name, "module": module}
        | {"hyperparameters": hyperparameters or {}, "outputs": [str(output) for output in outputs]}
        | names
    )


def registered(monkeypatch, method_class, outputs=("single",)):
    """Return the name of a module that holds a method of a test, as if it were a file of methods."""
    module = types.ModuleType(f"module_of_{method_class.__name__}")
    module.CARD = {"kind": "model", "scenarios": ("paired",), "inputs": (), "outputs": outputs}
    monkeypatch.setattr(method_class, "__module__", module.__name__)
    setattr(module, method_class.__name__, method_class)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def score_one(split, run, groups, folder=None):
    """Score a run and return the table of its scores; all three files are in its folder, or in another."""
    output = folder or run
    score.main(runs=[run], splits=[split], groups=groups, outputs=[output])
    return read_scores(output / "scores.tsv")


def seeds_of(splits, seeds, parts=("train", "query", "solution")):
    """Return how a job describes the seeds of some splits."""
    return [
        {"seed": seed} | {part: str(split / f"{part}.h5mu") for part in parts}
        for seed, split in zip(seeds, splits, strict=True)
    ]


def fit_one(
    split, output, method, *, hyperparameters=None, seed=0, limits=LIMITS, names=NAMES, **more
):
    """Fit one run and return its record."""
    run = run_of(method, [output], hyperparameters=hyperparameters, **names)
    job = {"runs": [run], "seeds": seeds_of([split], [seed]), "limits": LIMITS | limits, **more}
    if (
        "jax" in sys.modules and ".peers." in run["module"]
    ):  # its threads do not survive the fork of a fit that needs them
        subprocess.run([sys.executable, "-c", FIT], input=json.dumps(job), text=True, check=True)
    else:
        fit.main(**job)
    return read_record(output / "run.json")


def fit_here(runs, splits):
    """Fit runs to splits with the seed 0 without a fork: what one fit imports and compiles is there for the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempt, "run_in_child", lambda work, meter, limits: (work() or 0, None))
        fit.main(runs=runs, seeds=seeds_of(splits, [0] * len(splits)), limits=LIMITS)


def fit_apart(splits, outputs, method, scenario, hyperparameters, python):
    """Fit a wrapped package to splits with the same seed, in one new process of a Python, and return the records."""
    run = run_of(method, outputs, hyperparameters=hyperparameters, scenario=scenario)
    job = json.dumps(
        {"runs": [run], "seeds": seeds_of(splits, [0] * len(splits)), "limits": LIMITS}
    )
    subprocess.run([python, "-c", WITHOUT_FORKS, job, TESTS], env=os.environ | SOURCE, check=True)
    return [read_record(output / "run.json") for output in outputs]


def poisoned(split, folder):
    """Return a copy of a split in which all is overwritten that its scenario hides."""
    solution = read_split(split / "solution.h5mu", "solution")
    folder.mkdir()
    for part in ("train", "query"):
        (folder / f"{part}.h5mu").write_bytes((split / f"{part}.h5mu").read_bytes())
    for cells in solution.mod.values():
        cells.X = np.random.default_rng(0).random(cells.shape).astype(np.float32)
        cells.obs["cell_type"] = "garbage"
    write_split(folder / "solution.h5mu", solution)
    return folder


def assert_same_outputs(first, second):
    """Hold two runs to the same latents and values, and to some of either."""
    (latents, values), (latents_again, values_again) = _outputs(first), _outputs(second)
    assert latents.size or any(x.size for x in values.values())
    assert_array_equal(latents, latents_again)
    assert list(values) == list(values_again)
    for direction in values:
        assert_array_equal(values[direction], values_again[direction])


def _outputs(folder):
    latents, imputed = read_latents(folder / "latents.h5ad"), read_imputed(folder / "imputed.h5mu")
    values = {direction: cells.X for direction, cells in imputed.mod.items()}
    for direction in imputed.mod:
        if (draws := draws_of(imputed, direction)) is not None:
            values[f"draws of {direction}"] = draws.values
    return latents.X, values
