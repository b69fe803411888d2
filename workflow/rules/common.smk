# What all stages may ask: the checked config, where things lie, and small functions named after what they return.
import csv
import json
import os
import re
import shutil
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The package lies beside the rules; where Snakemake reads these from a repository elsewhere, the one that is installed is taken.
SOURCE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1] / "src"
if SOURCE.is_dir():
    sys.path.insert(0, str(SOURCE))
try:
    from mosaicbench.catalog import catalog
    from mosaicbench.workflow import cluster, layout, stamps
    from mosaicbench.config import external as elsewhere
    from mosaicbench.config import checking, references, schema, settings
    from mosaicbench.errors import UserError
except ImportError as error:
    raise WorkflowError(
        f"the Python that runs Snakemake, {sys.executable}, lacks the package mosaicbench or what it needs ({error}); in a"
        " checkout run `make setup`, elsewhere `pip install` the same version of mosaicbench as this workflow has"
    ) from None

# A workflow that uses this one as a module may have set these by itself.
PATHVARS = {name: workflow.pathvars.get(name) for name in ("results", "resources", "logs")}
try:
    for file in workflow.configfiles:
        if Path(file).suffix == ".yaml" and Path(file).is_file():
            checking.read_yaml(
                Path(file)
            )  # refuses a key that is there twice; Snakemake takes the last
    bench = settings.load(config | {"pathvars": (config.get("pathvars") or {}) | PATHVARS})
except UserError as error:
    raise WorkflowError(str(error)) from None

# Jobs run with the Python that runs Snakemake, activated or not (conda puts its own before it), and with this package. Set
# for this process, where jobs start from: were it a param, another place would run everything again.
OTHERS = "" if workflow.modifier.is_main_snakefile() else os.environ.get("PYTHONPATH", "")
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    PYTHONPATH=os.pathsep.join(filter(None, [str(layout.project_file("src")), OTHERS])),
)
if bench.config["registry"]:
    os.environ.update(MOSAICBENCH_REGISTRY=bench.config["registry"])
# Where glibc is used, a job keeps up to half a gigabyte of what it freed, as fits do, and does not ask for it anew.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**25))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**29))

ENVIRONMENT = "../../envs/mosaicbench.yaml"
RESULTS = layout.Results(
    bench.results
)  # of this benchmark, for params, where Snakemake fills in no <results>
ANY = layout.Results("<results>")  # of any benchmark, for the files of rules
RESOURCES, LOGS = ANY.resources, layout.Jobs("<logs>", "log")
OF_SPLIT = ("{dataset}", "{scenario}")
OF_RUN = (*OF_SPLIT, "{run}")
SPLIT = ANY.split(*OF_SPLIT, "{seed}")
RUN = ANY.run(*OF_RUN)
FIT = ANY.fit(*OF_RUN, "{seed}")


def of_project(file):
    """Relative, as is all code that jobs take as an input: a moved or shared folder is then not taken for a change."""
    return os.path.relpath(layout.project_file(file))


def of_package(file):
    return os.path.relpath(layout.PACKAGE / file)


# For --sdm apptainer; without it, nothing is looked for. Snakemake takes no image whose path has a space.
IMAGE = os.environ.get("MOSAICBENCH_IMAGE", of_project("envs/mosaicbench.sif"))
if not re.search(r"\s", IMAGE):

    container: IMAGE

elif "apptainer" in map(str, workflow.deployment_settings.deployment_method):
    raise WorkflowError(
        f"--sdm apptainer: Snakemake takes no image whose path has a space ({IMAGE}); name another in MOSAICBENCH_IMAGE"
    )


wildcard_constraints:
    dataset="[^/]+",
    scenario="[^/]+",
    run="[^/]+",
    seed=r"\d+",
    figure="[a-z0-9_]+",
    file="[^/]+",


def files_of_runs(runs):
    """What the fits of all seeds write, all of the first run first."""
    return expand(
        f"{FIT}/{{file}}", run=runs, seed=bench.seeds, file=layout.FILES_OF_FIT, allow_missing=True
    )


def files_of_splits(file):
    return expand(f"{SPLIT}/{{file}}", seed=bench.seeds, file=file, allow_missing=True)


def folders_of_runs(wildcards):
    return [RESULTS.fit(*names_of_run(wildcards), seed) for seed in bench.seeds]


def folders_of_splits(wildcards):
    return [RESULTS.split(*names_of_split(wildcards), seed) for seed in bench.seeds]


def listed(part, runs):
    return "the controls" if part == layout.CONTROLS else ", ".join(runs)


def names_of_split(wildcards):
    return wildcards.dataset, wildcards.scenario


def names_of_run(wildcards):
    return wildcards.dataset, wildcards.scenario, wildcards.run


def method(wildcards):
    return bench.runs[wildcards.run].method


def as_json(value):
    return json.dumps(value, sort_keys=True)


@cache
def code_of_command(command, *modules):
    """The file that stands for the code of a command and these modules: it changes when one of them does."""
    try:
        return stamps.stamp(RESULTS.code, command, *modules)
    except UserError as error:
        raise WorkflowError(str(error)) from None


def any_of(names):
    """A pattern of these names; of nothing at all where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def applicable(pattern, **more):
    """The pattern for every dataset, scenario and run that exists (and every seed, if asked for)."""
    return [
        path
        for dataset, scenario, run in bench.applicable
        for path in expand(pattern, dataset=dataset, scenario=scenario, run=run, **more)
    ]
