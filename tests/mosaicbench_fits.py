"""Jobs of fits of the small views, for tests of what comes before and after them."""

import json
import os
import subprocess
import sys

import torch._dynamo  # noqa: F401 (all training imports it: once here, not in each process that is forked for a fit)
from conftest import REPOSITORY

from mosaicbench import catalog
from mosaicbench.commands import fit
from mosaicbench.files.runs import read_record

# A job in a process of its own that forks for no fit: what a wrapped package imports and compiles is there for the next one.
# Neighbours that muon has searched by a descent, which takes 40 s to compile, are found one by one.
WITHOUT_FORKS = """
import json, sys
from importlib.util import find_spec
import numpy as np
from scipy.spatial.distance import cdist
from mosaicbench.commands import fit
from mosaicbench.fitting import attempt

def nearest(x, n_neighbors, metric, metric_kwds, **_):
    known = tuple(metric_kwds.values())
    distances = cdist(x, x, metric if isinstance(metric, str) else lambda a, b: metric(a, b, *known))
    places = distances.argsort(axis=1, kind="stable")[:, :n_neighbors]
    return places, np.take_along_axis(distances, places, axis=1), None

if find_spec("numba"):
    sys.path.append(sys.argv[3])
    import compiled
    compiled.keep()
if sys.argv[2] == "wnn":
    import muon
    sys.modules[muon.pp.neighbors.__module__].nearest_neighbors = nearest  # which module that is, muon's versions differ in
attempt.run_in_child = lambda work, meter, limits: (work() or 0, None)
fit.main(**json.loads(sys.argv[1]))
"""
APART = {"PYTHONPATH": str(REPOSITORY / "src")}
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


def seeds_of(views, seeds, parts=("train", "query", "solution")):
    """Return how a job describes the seeds of some views."""
    return [
        {"seed": seed} | {part: str(view / f"{part}.h5mu") for part in parts} for seed, view in zip(seeds, views, strict=True)
    ]


def fit_one(view, output, method, *, hyperparameters=None, seed=0, limits=LIMITS, names=NAMES, **more):
    """Fit one run and return its record."""
    run = run_of(method, [output], hyperparameters=hyperparameters, **names)
    job = {"runs": [run], "seeds": seeds_of([view], [seed]), "limits": LIMITS | limits, **more}
    if "jax" in sys.modules and ".peers." in run["module"]:  # its threads do not survive the fork of a fit that needs them
        subprocess.run([sys.executable, "-m", "mosaicbench", "fit", json.dumps(job)], check=True)
    else:
        fit.main(**job)
    return read_record(output / "run.json")


def fit_apart(views, outputs, method, scenario, hyperparameters, python):
    """Fit a wrapped package to views with the same seed, in one new process of a Python, and return the records."""
    run = run_of(method, outputs, hyperparameters=hyperparameters, scenario=scenario)
    job = json.dumps({"runs": [run], "seeds": seeds_of(views, [0] * len(views)), "limits": LIMITS})
    subprocess.run([python, "-c", WITHOUT_FORKS, job, method, TESTS], env=os.environ | APART, check=True)
    return [read_record(output / "run.json") for output in outputs]
