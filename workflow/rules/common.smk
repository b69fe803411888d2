# What all rules use: the checked config, the paths of files, and small functions named after what they return.
import os
import re
import runpy
import shutil
import sys
from functools import cache, partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The package beside the rules, or, where Snakemake reads these from a repository elsewhere, the installed one.
SOURCE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1] / "src"
if SOURCE.is_dir():
    sys.path.insert(0, str(SOURCE))
try:
    from mosaicbench.catalog import catalog
    from mosaicbench.config import checking, jobs, settings
    from mosaicbench.errors import UserError
    from mosaicbench.workflow import cluster, code_hash, layout
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
            checking.read_yaml(Path(file))  # refuses a key twice; Snakemake takes the last
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
VENVS = os.path.relpath(layout.environments())
RESULTS = layout.Results(bench.results)  # of this benchmark, where Snakemake fills in no <results>
ANY = jobs.ANY  # of any benchmark, for the files of rules
RESOURCES, LOGS = ANY.resources, layout.Jobs("<logs>", "log")
OF_SPLIT = ("{dataset}", "{scenario}")
OF_RUN = (*OF_SPLIT, "{run}")
SPLIT, INNER = ANY.split(*OF_SPLIT, "{seed}"), ANY.inner_split(*OF_SPLIT, "{seed}")
DATASETS = [ANY.dataset(dataset) for dataset in bench.datasets]
PROJECTIONS = [ANY.projection(*split) for split in bench.splits]
SMALL = [dataset for dataset in bench.datasets if jobs.is_small(bench, dataset)]
LARGE = [dataset for dataset in bench.datasets if dataset not in SMALL]
OF_LARGE = [place for place in bench.applicable if place[0] in LARGE]
PLACES = {rule: [] for rule in jobs.FITTING}  # rule -> dataset, scenario and run of its fits
for place in bench.applicable:
    PLACES[jobs.fitting(bench, *place)].append(place)


def of_project(file):
    """Relative, as is all code that jobs take as an input: a moved or shared folder is then not taken for a change."""
    return os.path.relpath(layout.project_file(file))


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
    file="[^/]+",


def outputs_of_fit(seeds):
    """With `keep_imputed: false`, Snakemake deletes imputed values when the last job that reads them is done."""
    paths = [f"{ANY.fit(*OF_RUN, seed)}/{file}" for seed in seeds for file in layout.FILES_OF_FIT]
    keep = bench.config["keep_imputed"]
    return [path if keep or not path.endswith("imputed.h5mu") else temp(path) for path in paths]


def any_of(names):
    """A pattern of these names; without any, one that matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def only(places):
    """A pattern of the wildcard `run` that matches behind its dataset and scenario: these places alone."""
    runs = {}
    for dataset, scenario, run in places:
        runs.setdefault(f"/{dataset}/{scenario}/", []).append(run)
    patterns = [f"(?<={re.escape(split)})(?:{any_of(names)})" for split, names in runs.items()]
    return "|".join(patterns) or "(?!)"


def job_of(command):
    """Return a function of the wildcards: a command's words for a job. Where they change, the job runs again."""
    return lambda wildcards: jobs.words(command, bench, dict(wildcards.items()))


def step_of(command):
    """The same after the command's name, for rules that share a shell command."""
    return lambda wildcards: [command, *job_of(command)(wildcards)]


def code_of(command):
    """Return a function of the wildcards: the file that lists the code of a job, and changes when it does."""
    return lambda wildcards: stamp(command, *jobs.code(command, bench, dict(wildcards.items())))


@cache
def stamp(command, modules, files):
    try:
        return code_hash.stamp(RESULTS.code, command, modules, files)
    except UserError as error:
        raise WorkflowError(str(error)) from None


# What jobs read of the benchmark is recorded at the start; a workflow that uses this one has its own `onstart`.
if not workflow.modifier.is_main_snakefile():
    jobs.record(bench, RESULTS)

stamp("tabulate", (), ())  # refuses, in one message, a results folder that cannot be written to


def inputs_of(function):
    """Return a function of the wildcards: the files that one of `jobs` names."""
    return lambda wildcards: function(bench, dict(wildcards.items()))


def files_of_fits(places, *files, seeds=bench.seeds):
    return jobs.files_of_fits(bench, places, *files, seeds=seeds)


def parts_of_splits(*parts):
    """Files of all splits of the first seed."""
    folders = [ANY.split(*split, bench.seeds[0]) for split in bench.splits]
    return expand("{folder}/{part}.h5mu", folder=folders, part=parts)


def card_of(wildcards):
    """The card of a run's method; {} of all cheap runs together."""
    return catalog.card("methods", bench.runs[wildcards.run].method) if wildcards.get("run") else {}


def python_of(wildcards):
    """The Python of the environment of a method, or that of all jobs."""
    environment = card_of(wildcards).get("environment")
    return f"{VENVS}/{environment}/bin/python" if environment else "python"
