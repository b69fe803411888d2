# What all rules use: the checked config, the paths of files, and small functions named after what they return.
import csv
import json
import os
import re
import runpy
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
    from mosaicbench.config import checking, external, jobs, references, schema, settings
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
RESULTS = layout.Results(bench.results)  # of this benchmark, where Snakemake fills in no <results>
ANY = layout.Results("<results>")  # of any benchmark, for the files of rules
RESOURCES, LOGS = ANY.resources, layout.Jobs("<logs>", "log")
OF_SPLIT = ("{dataset}", "{scenario}")
OF_RUN = (*OF_SPLIT, "{run}")
SPLIT = ANY.split(*OF_SPLIT, "{seed}")
RUN = ANY.run(*OF_RUN)
INNER = ANY.inner_split(*OF_SPLIT, "{seed}")
FILES_OF_FIT = expand(
    f"{ANY.fit(*OF_RUN, '{seed}')}/{{file}}", file=layout.FILES_OF_FIT, allow_missing=True
)
FILES_OF_RUN = expand(FILES_OF_FIT, seed=bench.seeds, allow_missing=True)
# With `keep_imputed: false`, Snakemake deletes imputed values when the last job that reads them is done.
OUTPUTS_OF_FIT, OUTPUTS_OF_RUN = (
    [temp(file) if file.endswith("imputed.h5mu") and not bench.config["keep_imputed"] else file for file in files]
    for files in (FILES_OF_FIT, FILES_OF_RUN)
)
FILES_OF_TUNING = expand(
    f"{ANY.tuning(*OF_RUN, '{seed}')}/{{file}}", file=layout.FILES_OF_TUNING, allow_missing=True
)
SMALL = [dataset for dataset in bench.datasets if jobs.is_small(bench, dataset)]
LARGE = [dataset for dataset in bench.datasets if dataset not in SMALL]
OF_LARGE = [place for place in bench.applicable if place[0] in LARGE]
PLACES = {rule: [] for rule in jobs.FITTING}  # rule -> dataset, scenario and run of its fits
for place in bench.applicable:
    PLACES[jobs.fitting(bench, *place)].append(place)
SAMPLED = [place for place in bench.applicable if place[2] in bench.config["report"]["sampled_runs"]]
PROJECTIONS = [ANY.projection(*split) for split in bench.splits]
VENVS = os.path.relpath(layout.environments())  # of methods whose packages do not go with the others


def of_project(file):
    """Relative, as is all code that jobs take as an input: a moved or shared folder is then not taken for a change."""
    return os.path.relpath(layout.project_file(file))


def in_package(pattern):
    """The files of the package that match a pattern, for rules whose jobs read more than code."""
    return [os.path.relpath(file) for file in sorted(layout.PACKAGE.glob(pattern))]


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


# --- which jobs ---


def any_of(names):
    """A pattern of these names; of nothing at all where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def only(places):
    """A pattern of the wildcard `run` that matches behind its dataset and scenario: these places alone."""
    runs = {}
    for dataset, scenario, run in places:
        runs.setdefault(f"/{dataset}/{scenario}/", []).append(run)
    patterns = [f"(?<={re.escape(split)})(?:{any_of(names)})" for split, names in runs.items()]
    return "|".join(patterns) or "(?!)"


def split_of(wildcards):
    return wildcards.dataset, wildcards.scenario


def runs_of_job(wildcards):
    """The run of a job's wildcards; without one, the cheap runs of its split."""
    run = wildcards.get("run")
    return [run] if run else jobs.cheap_runs(bench, split_of(wildcards))


def settings_of(command):
    """Return a function of the wildcards: the digest of what the config says of a job. Where it changes, the job runs again."""

    def settings(wildcards):
        named = {"dataset": wildcards.dataset} if command == "prepare" else {}
        if wildcards.get("scenario"):
            named["split"] = split_of(wildcards)
        if command == "fit" or wildcards.get("run"):
            named["runs"] = runs_of_job(wildcards)
        if wildcards.get("seed"):
            named["seeds"] = [int(wildcards.seed)]
        return jobs.digest(command, bench, **named)

    return settings


# --- the code of jobs ---


@cache
def code_of_command(command, *modules):
    """The file that stands for the code of a command and these modules: it changes when one of them does."""
    try:
        return code_hash.stamp(RESULTS.code, command, *modules)
    except UserError as error:
        raise WorkflowError(str(error)) from None


def code_of_fit(wildcards):
    methods = {bench.runs[run].method for run in runs_of_job(wildcards)}
    return code_of_command("fit", *(catalog.module("methods", name) for name in sorted(methods)))


def code_of_loader(wildcards):
    name = bench.datasets[wildcards.dataset]["loader"]
    cells = in_package(f"data/embedded/{name}.npz")
    read = [*cells, *in_package("data/embedded/merged_types.tsv")] if cells else []
    code = code_of_command("prepare", catalog.module("datasets", name))
    return [code, *in_package("data/antibody_targets.tsv"), *read]


# --- files of fits and scores ---


def files_of_splits(file):
    return expand(f"{SPLIT}/{{file}}", seed=bench.seeds, file=file, allow_missing=True)


def files_of_fits(places, *files, seeds=bench.seeds):
    """What a job waits for that reads these files of fits: the files, or the list of all files of a split's cheap runs."""
    found = {}
    for place in places:
        if place in PLACES["fit_cheap"]:
            found[ANY.cheap_fits(*place[:2])] = None
        else:
            found |= dict.fromkeys(expand(f"{ANY.fit(*place, '{seed}')}/{{file}}", seed=seeds, file=files))
    return list(found)


def fits_of_split(wildcards):
    return files_of_fits(
        [(*split_of(wildcards), run) for run in jobs.runs_of_split(bench, split_of(wildcards))],
        *layout.FILES_OF_FIT,
    )


def files_of_external_run(wildcards):
    job = jobs.read_external(bench, RESULTS, split=split_of(wildcards), runs=[wildcards.run])
    return sorted({seed[part] for seed in job["seeds"] for part in external.PARTS if part in seed})


# --- tuned runs, and wrapped packages with an environment of their own ---


def files_of_settings(wildcards):
    """The settings that were found for a tuned run; nothing for any other."""
    if not bench.runs[wildcards.run].tuned_from:
        return []
    seeds = [int(wildcards.seed)] if wildcards.get("seed") else bench.seeds
    place = split_of(wildcards), wildcards.run
    return sorted({jobs.best_settings(bench, ANY, *place, seed) for seed in seeds})


def code_of_tuning(wildcards):
    """The search, the method, and the metrics that judge it."""
    objective, cards = bench.tuning["objective"], catalog.cards("metrics")
    groups = references.GROUPS_OF_MEAN if objective == schema.MEAN else ()
    judges = [name for name in cards if name == objective or cards[name]["group"] in groups]
    method = catalog.module("methods", bench.runs[wildcards.run].method)
    return code_of_command("tune", method, *(catalog.module("metrics", name) for name in judges))


def environment_of_method(wildcards):
    """What says that the method's own environment is there; nothing for those that run with the Python of all jobs."""
    card = catalog.card("methods", bench.runs[wildcards.run].method)
    return f"{VENVS}/{card['environment']}/.ready" if "environment" in card else []


def python_of_method(wildcards):
    ready = environment_of_method(wildcards)
    return str(Path(ready).parent / "bin/python") if ready else "python"


def check_environments():
    """Refuse, before anything is fitted, a run whose environment no Python here can build: there would be no report in the end."""
    if workflow.deployment_settings.deployment_method:
        return  # jobs have another Python, of conda or an image
    dag = workflow.dag
    needed = [
        job
        for job in dag.needrun_jobs()
        if any(fit.input.get("environment") in job.output for fit in dag.depending[job])
    ]
    build = runpy.run_path(str(layout.project_file("envs/build.py")))
    for pins in (job.input[0] for job in needed):
        try:
            build["chosen"](pins, build["allowed"](Path(pins).read_text()))
        except SystemExit as error:
            raise WorkflowError(str(error)) from None


# --- tables, figures, and what the report of `snakemake --report` shows ---


def reported_tables(tables):
    """The same files; all but the longest also stand in the report of `snakemake --report`."""
    longest = ("scores.tsv", "features.tsv", "history.tsv", "phases.tsv")
    about = {"category": "Tables", "caption": "../report/tables.rst"}
    names = {table: Path(table).name for table in tables}
    return [
        table if name in longest else report(table, labels={"table": name}, **about)
        for table, name in names.items()
    ]


def files_of_figures():
    """What the job of figures writes, once per split or once over all splits; the report has pictures and their numbers."""
    files = []
    for figure in bench.figures:
        card = catalog.card("figures", figure)
        splits = [("", "all datasets")]
        if card["per"] == "split":
            splits = [("/".join(split) + "/", ", ".join(split)) for split in bench.splits]
        for place, split in splits:
            path = f"{ANY.figures}/{place}{figure}"
            about = {"category": "Figures", "subcategory": split, "caption": f"../report/{figure}.rst"}
            for form, shown in (("svg", "picture"), ("tsv", "table")):
                labels = {"figure": card["label"], "shown as": shown}
                files.append(report(f"{path}.{form}", labels=labels, **about))
            files.append(f"{path}.png")
    return files


def alarms():
    """What `tabulate` found of controls that are not where theory puts them."""
    table = Path(RESULTS.table("sanity_checks"))
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["check"] == "control"]
    return [
        f"ALARM: {row['dataset']}, {row['scenario']}: {row['run']}, {row['metric']}: {row['message']}"
        for row in rows
    ]
