"""Jobs of fits of the small views, for tests of what comes before and after them."""

import json
import subprocess
import sys

from mosaicbench import catalog
from mosaicbench.commands import fit
from mosaicbench.files.runs import read_record

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
