# What all stages may ask: the checked config, the code that a job runs, and small functions named after what they return.
import json
import os
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from snakemake.exceptions import WorkflowError

from mosaicbench import catalog, cluster, settings, sources
from mosaicbench.errors import UserError

try:
    bench = settings.load(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

# Jobs run with the Python that runs Snakemake, activated or not; under --sdm conda, with the environment's own.
PATH = "" if workflow.deployment_settings.deployment_method else f"export PATH={Path(sys.executable).parent}:$PATH; "
# Were it a param, another place of the registry would fetch everything again.
REGISTRY = f"export MOSAICBENCH_REGISTRY={shlex.quote(bench.config['registry'])}; " if bench.config["registry"] else ""
shell.prefix(f"set -euo pipefail; export PYTHONPATH={workflow.basedir}/src; {PATH}{REGISTRY}")

ENVIRONMENT = "../../envs/mosaicbench.yaml"
ENVIRONMENTS_OF_PEERS = sorted({card["environment"] for card in catalog.cards("methods").values() if "environment" in card})
PROJECTIONS = ["projection", "markers", "transfers", "imputed_values", "imputed_layout"]
FILES_OF_RUN = ["latents.h5ad", "imputed.h5mu", "history.tsv", "run.json"]
VIRTUAL = ["virtual_cells", "virtual_markers", "virtual_realism"]


# For --sdm apptainer; without it, nothing is looked for.
container: os.environ.get("MOSAICBENCH_IMAGE", "envs/mosaicbench.sif")


wildcard_constraints:
    dataset="[^/]+",
    scenario="[^/]+",
    run="[^/]+",
    seed=r"\d+",
    figure="[a-z0-9_]+",
    file="[^/]+",


def folders(pattern, **wildcards):
    """The pattern's folders, for a job's params, where Snakemake does not fill in <results>."""
    return expand(pattern.replace("<results>", bench.results), **wildcards)


def files_of_runs(runs):
    """What the fits of all seeds write, all of the first run first."""
    pattern = "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/{file}"
    return expand(pattern, run=runs, seed=bench.seeds, file=FILES_OF_RUN, allow_missing=True)


def files_of_views(file):
    return expand("<results>/views/{dataset}/{scenario}/seed-{seed}/{file}", seed=bench.seeds, file=file, allow_missing=True)


def scores_of_controls(file):
    pattern = "<results>/runs/{dataset}/{scenario}/{run}/{file}"
    return expand(pattern, run=bench.common_controls, file=file, allow_missing=True)


def folders_of_runs(wildcards):
    return folders("<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}", **dict(wildcards.items()), seed=bench.seeds)


def folders_of_controls(wildcards):
    pattern = "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}"
    return folders(pattern, **dict(wildcards.items()), run=bench.common_controls, seed=bench.seeds)


def folders_of_views(wildcards):
    return folders(
        "<results>/views/{dataset}/{scenario}/seed-{seed}",
        dataset=wildcards.dataset,
        scenario=wildcards.scenario,
        seed=bench.seeds,
    )


def folders_of_projected_runs(wildcards):
    return folders_of_first_seed(wildcards, projected_runs(wildcards))


def folders_of_generated_runs(wildcards):
    return folders_of_first_seed(wildcards, generated_runs(wildcards))


def folders_of_first_seed(wildcards, runs):
    return folders(
        "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}", **dict(wildcards.items()), run=runs, seed=bench.seeds[0]
    )


def folder_of_first_view(wildcards):
    return folders_of_views(wildcards)[0]


def records_of_generated_runs(wildcards):
    return expand(
        "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/run.json",
        run=generated_runs(wildcards),
        seed=bench.seeds[0],
        allow_missing=True,
    )


def code_of_generated_runs(wildcards):
    methods = {bench.runs[run].method for run in generated_runs(wildcards)}
    return code_of_command("generate", *(catalog.module("methods", name) for name in sorted(methods)))


def files_of_projected_runs(wildcards):
    files = ["latents.h5ad", "imputed.h5mu", "run.json"]
    return expand(
        "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/{file}",
        run=projected_runs(wildcards),
        seed=bench.seeds[0],
        file=files,
        allow_missing=True,
    )


def runs_folder(wildcards):
    return f"{bench.results}/runs"


def tables_folder(wildcards):
    return f"{bench.results}/tables"


def projections_folder(wildcards):
    return f"{bench.results}/projections"


def figures_folder(wildcards):
    return f"{bench.results}/figures"


def as_json(value):
    return json.dumps(value, sort_keys=True)


@cache
def code_of_command(command, *modules):
    """Relative paths, so that a moved or shared folder is not taken for a change."""
    return [os.path.relpath(file) for file in sources.of(f"mosaicbench.commands.{command}", *modules)]


def code_of_loader(wildcards):
    antibodies = os.path.relpath(Path(workflow.basedir) / "src/mosaicbench/data/antibody_targets.tsv")
    return [*code_of_command("prepare", catalog.module("datasets", loader(wildcards))), antibodies]


def parts_of_pages():
    """Templates, style and scripts: they stand inside a page and are no Python."""
    folder = Path(workflow.basedir) / "src/mosaicbench/report"
    return [
        os.path.relpath(file)
        for file in sorted([*folder.glob("*.j2"), *folder.glob("assets/*.css"), *folder.glob("assets/*.js")])
    ]


def code_of_method(wildcards):
    return code_of_command("fit", catalog.module("methods", method(wildcards)))


def code_of_method_for_seeds(wildcards):
    return code_of_command("fit_seeds", catalog.module("methods", method(wildcards)))


def code_of_method_for_each(wildcards):
    return code_of_command("fit_each", catalog.module("methods", method(wildcards)))


def code_of_controls():
    methods = {bench.runs[run].method for run in bench.common_controls}
    return code_of_command("fit_each", *(catalog.module("methods", name) for name in sorted(methods)))


def loader(wildcards):
    return bench.datasets[wildcards.dataset]["loader"]


def loader_options(wildcards):
    return as_json(bench.datasets[wildcards.dataset]["options"])


def source_files(wildcards):
    return bench.datasets[wildcards.dataset]["inputs"]


def raw_folder(wildcards):
    folder = bench.datasets[wildcards.dataset]["raw"]
    return f"--raw {folder}" if folder else ""


def scenario_kind(wildcards):
    return bench.scenarios[wildcards.scenario]["kind"]


def cut_options(wildcards):
    given = {key: value for key, value in bench.scenarios[wildcards.scenario].items() if key not in ("kind", "datasets")}
    return as_json(given | {"preprocess": bench.preprocess})


def method(wildcards):
    return bench.runs[wildcards.run].method


def hyperparameters(wildcards):
    return as_json(bench.runs[wildcards.run].hyperparameters)


def identity(wildcards):
    return as_json(names_of_run(wildcards) | {"seed": int(wildcards.seed)})


def identity_of_run(wildcards):
    return as_json(names_of_run(wildcards))


def names_of_run(wildcards):
    return {key: getattr(wildcards, key) for key in ("dataset", "scenario", "run")} | {"method": method(wildcards)}


def description_of_run(wildcards):
    return as_json([names_of_run(wildcards) | {"hyperparameters": bench.runs[wildcards.run].hyperparameters}])


def description_of_controls(wildcards):
    names = {"dataset": wildcards.dataset, "scenario": wildcards.scenario}
    controls = [bench.runs[run] for run in bench.common_controls]
    return as_json([names | {"run": c.name, "method": c.method, "hyperparameters": c.hyperparameters} for c in controls])


def environment_of_method(wildcards):
    """What says that the method's own environment stands; nothing for those that run with the Python of all jobs."""
    card = catalog.card("methods", method(wildcards))
    return f".venvs/{card['environment']}/.ready" if "environment" in card else []


def python_of_method(wildcards):
    card = catalog.card("methods", method(wildcards))
    return f".venvs/{card['environment']}/bin/python" if "environment" in card else "python"


def solutions_if_positive_control(wildcards):
    needed = "solution" in catalog.card("methods", method(wildcards))["uses"]
    return files_of_views("solution.h5mu") if needed else []


def runs_of_kinds(*kinds):
    return [run.name for run in bench.runs.values() if catalog.card("methods", run.method)["kind"] in kinds]


def scenarios_of_kind(kind):
    return [name for name, stanza in bench.scenarios.items() if stanza["kind"] == kind]


def any_of(names):
    """A pattern of these names; of nothing at all where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def metric_modules():
    chosen = [name for name, card in catalog.cards("metrics").items() if card["group"] in bench.groups]
    return [catalog.module("metrics", name) for name in chosen]


def figures_of_views():
    """Every file of every figure: drawn once per view, or once over all views."""
    return [
        f"<results>/figures/{place}{figure}.{form}"
        for figure in bench.figures
        for place in figure_places(figure)
        for form in ("svg", "png", "tsv")
    ]


def reported_tables(tables):
    """The same files; all but the longest also stand in the report of `snakemake --report`."""
    longest = ("scores.tsv", "features.tsv", "history.tsv", "phases.tsv")
    names = {table: Path(table).name for table in tables}
    return [
        (table if name in longest else report(table, category="Tables", labels={"table": name}, caption="../report/tables.rst"))
        for table, name in names.items()
    ]


def files_of_figure(figure):
    """What one figure's job writes; pictures and their numbers also stand in the report of `snakemake --report`."""
    files = []
    for place in figure_places(figure):
        view = ", ".join(Path(place).parts) or "all datasets"
        about = {"category": "Figures", "subcategory": view, "caption": f"../report/{figure}.rst"}
        for form in ("svg", "tsv"):
            labels = {"figure": catalog.card("figures", figure)["label"], "shown as": "picture" if form == "svg" else "table"}
            files.append(report(f"<results>/figures/{place}{figure}.{form}", labels=labels, **about))
        files.append(f"<results>/figures/{place}{figure}.png")
    return files


def projections_of_figure(figure):
    """Those of the tables that `project` and `generate` write which a figure asks for, of every view."""
    needed = [table for table in [*PROJECTIONS, *VIRTUAL] if table in catalog.parameters("figures", figure)]
    return [f"<results>/projections/{dataset}/{scenario}/{table}.tsv" for dataset, scenario in bench.views for table in needed]


def figure_places(figure):
    if catalog.card("figures", figure)["per"] == "all":
        return [""]
    return [f"{dataset}/{scenario}/" for dataset, scenario in bench.views]


def views_as_words():
    return [f"{dataset}/{scenario}" for dataset, scenario in bench.views]


def applicable(pattern, **more):
    """The pattern for every dataset, scenario and run that exists (and every seed, if asked for)."""
    return [
        path
        for dataset, scenario, run in bench.applicable
        for path in expand(pattern, dataset=dataset, scenario=scenario, run=run, **more)
    ]


def projected_runs(wildcards):
    return existing_runs(wildcards, bench.projected)


def generated_runs(wildcards):
    return existing_runs(wildcards, bench.config["report"]["generated_runs"])


def existing_runs(wildcards, runs):
    exist = {run for d, s, run in bench.applicable if (d, s) == (wildcards.dataset, wildcards.scenario)}
    return [run for run in runs if run in exist]
