"""The workflow as its user runs it: a tiny benchmark to the end, what reruns after an edit, mistakes refused before any job."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import anndata
import forked
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY
from overlay import compile_loops

from mosaicbench.catalog import catalog
from mosaicbench.commands import draw
from mosaicbench.commands.apply import recommended_run
from mosaicbench.datasets import pbmc68k_split, simulated
from mosaicbench.files.runs import read_record
from mosaicbench.files.scores import read_scores
from mosaicbench.files.tables import read_table

pytestmark = pytest.mark.workflow

TINY = {
    "datasets": {"pbmc68k_split": {}},
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": {
        "mvae": {"latent": 5},
        "mmvaepp": {},
        "diverges": {"method": "mvae", "learning_rate": 1e30},
        "cca": {},
        "ridge": {},
        "oracle": {},
        "constant": {},
        "mine": {"latents": "mine.h5ad"},
    },
    "seeds": [0, 1],
    "training": {"max_epochs": 2},
    "report": {"umap_runs": ["mvae"], "sampled_runs": ["mmvaepp", "diverges"]},
}
SPLIT = "pbmc68k_split, paired"
SCORED = {f"Score all runs on {SPLIT}"}
CHEAP = f"Fit all cheap runs on {SPLIT}, all seeds"


def write_external_latents(path):
    """Write one file for all seeds: all cells under the dataset's own names, a point for each and noise in each modality."""
    random, parts = np.random.default_rng(0), []
    dataset = pbmc68k_split.load(None)
    points = random.standard_normal((dataset.n_obs, 5))
    for modality, cells in dataset.mod.items():
        z = points + 0.5 * random.standard_normal(points.shape)
        parts.append(
            anndata.AnnData(X=z, obs=pd.DataFrame({"source": modality}, index=cells.obs_names))
        )
    table = anndata.concat(parts)
    table.obs["cell"] = table.obs_names
    table.obs_names = [f"row-{row}" for row in range(table.n_obs)]
    table.write_h5ad(path)


ODD = "a b'ü"  # a folder with what shells take for something else


class Benchmark:
    """A copy of the repository in which a benchmark runs and files may be edited."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        compile_loops()
        for name in ("Snakefile", "src", "workflow", "config", "envs", "profiles"):
            source, target = REPOSITORY / name, folder / name
            ignored = shutil.ignore_patterns(
                "*.pyc", "*.egg-info"
            )  # loops that were compiled are copied
            shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(
                source, target
            )
        self.write_config(TINY)
        (folder / "src/sitecustomize.py").write_text(forked.OF_A_COPY)
        write_external_latents(folder / "mine.h5ad")

    def write_config(self, config):
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(config))

    def snakemake(self, *arguments):
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src")}
        return forked.snakemake(
            *arguments, "--configfile", "tiny.yaml", folder=self.folder, environment=environment
        )

    def planned(self, config=None):
        """Return the messages of the jobs that a dry run would start."""
        if config is not None:
            self.write_config(config)
        done = self.snakemake("--dry-run", "--cores", "1")
        assert done.returncode == 0, done.stderr
        return set(re.findall(r"^ *Job \d+: (.+)$", done.stdout + done.stderr, flags=re.MULTILINE))

    def edited(self, file, change):
        """Return the jobs planned after `change` was made to `file`; the file is as before afterwards."""
        path = self.folder / "src/mosaicbench" / file
        before = path.read_text()
        assert change(before) != before
        path.write_text(change(before))
        try:
            return self.planned()
        finally:
            path.write_text(before)


@pytest.fixture(scope="session")
def benchmark_run(tmp_path_factory):
    benchmark = Benchmark(tmp_path_factory.mktemp("benchmark") / ODD)
    done = benchmark.snakemake("--cores", "2")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    benchmark.said = done.stdout
    return benchmark


@pytest.fixture
def benchmark(benchmark_run):
    yield benchmark_run
    benchmark_run.write_config(TINY)


def test_a_workflow_that_was_killed_goes_on_where_a_training_was_saved(tmp_path):
    """The hard way: Snakemake and all its jobs are gone at once, and its lock stands."""
    benchmark = Benchmark(tmp_path)
    long = {"max_epochs": 60, "patience": 60}
    benchmark.write_config(
        TINY | {"runs": {"mvae": {}}, "seeds": [0], "training": long, "report": {}}
    )
    folder = tmp_path / "results/runs/pbmc68k_split/paired/mvae/seed-0"
    target = str((folder / "run.json").relative_to(tmp_path))
    done = benchmark.snakemake(
        "--cores", "1", "results/splits/pbmc68k_split/paired/seed-0/train.h5mu"
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "1",
        target,
        "--configfile",
        "tiny.yaml",
    ]
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path / "src"),
        "MOSAICBENCH_CHECKPOINT_SECONDS": "0",
    }
    hidden = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = subprocess.Popen(
        command, cwd=tmp_path, env=environment, start_new_session=True, **hidden
    )
    while not (folder / ".checkpoint.pt").exists():
        assert started.poll() is None, "it ended before a training was saved"
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert not (folder / "run.json").exists()

    benchmark.snakemake("--unlock")
    done = benchmark.snakemake("--cores", "1", target)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    record = read_record(folder / "run.json")
    assert record["status"] == "ok"
    assert record["resumed_after"]
    assert 0 < record["resumed_after"][0] < 60
    assert list(read_table(folder / "history.tsv")["epoch"]) == list(range(1, 61))


def test_three_files_of_different_cells_become_tables_and_figures_without_a_line_of_code(tmp_path):
    benchmark, whole = (
        Benchmark(tmp_path),
        simulated.load(None, cells=240, n_rna=40, n_atac=60, n_adt=10),
    )
    for place, (modality, cells) in enumerate(whole.mod.items()):
        rows = np.arange(80 * place, 80 * place + 80)
        types = whole.obs["cell_type"].to_numpy()[rows].astype(str)
        table = anndata.AnnData(
            cells.layers["counts"][rows],
            obs=pd.DataFrame({"type": types}, index=whole.obs_names[rows]),
        )
        table.var_names = cells.var_names
        table.write_h5ad(tmp_path / f"{modality}.h5ad")
    mine = {"path": {modality: f"{modality}.h5ad" for modality in whole.mod}, "cell_type": "type"}
    config = {
        "datasets": {"mine": mine},
        "scenarios": {"own": {"kind": "as_measured"}},
        "seeds": [0],
    }
    config |= {
        "runs": {"oracle": {}, "ridge": {}},
        "preprocess": {"atac": {"components": 5}},
        "report": {"umap_runs": []},
    }
    benchmark.write_config(
        config | {"metrics": {"groups": ["alignment", "label_transfer", "imputation", "resources"]}}
    )
    done = benchmark.snakemake("--cores", "2", "results/tables/overview.tsv")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    tables = tmp_path / "results/tables"
    table = read_table(tables / "overview.tsv").set_index("run")
    assert table.loc["ridge", "status"] == "not_applicable"
    assert table.loc["oracle", ["status", "foscttm", "label_transfer_accuracy"]].tolist() == [
        "ok",
        "–",
        "1.000",
    ]
    messages = read_table(tables / "runs.tsv").set_index("run")["message"]
    assert "in these data no train cell has two modalities" in messages["ridge"]
    assert "scores that need partners are not applicable between them" in messages["oracle"]
    options = {"results": tmp_path / "results", "splits": [("mine", "own")]}
    for figure in ("scores_by_run", "resources"):
        draw.main(figures=[figure], output=tmp_path / "figures", **options)
        assert (tmp_path / f"figures/mine/own/{figure}.png").is_file()


def test_an_environment_of_its_own_is_built_for_the_runs_that_need_it(tmp_path):
    benchmark = Benchmark(tmp_path)
    building = "Build the environment multivae"
    runs = {
        "multivae_mvae": {},
        "mopoe-theirs": {"method": "multivae_mopoe"},
        "mvae": {},
        "ridge": {},
    }
    assert building in benchmark.planned(TINY | {"runs": runs, "report": {}})
    done = benchmark.snakemake("--dry-run", "--printshellcmds", "--cores", "1")
    commands = re.findall(
        r"(\S*python) -m mosaicbench fit .* --run (\S+) ", done.stdout + done.stderr
    )
    own = ".venvs/multivae/bin/python"
    assert {run: python for python, run in commands} == {
        "multivae_mvae": own,
        "mopoe-theirs": own,
        "mvae": "python",
    }
    assert building not in benchmark.planned(TINY)


def add_a_line(text):
    return text + "\nUNUSED = 1\n"


def stages(jobs):
    return {job.split()[0] for job in jobs}


def of_stage(stage, jobs):
    return {job for job in jobs if job.startswith(stage)}


def test_a_checkout_in_a_folder_of_any_name_writes_nothing_beside_itself(benchmark):
    assert benchmark.folder.name == ODD
    assert [path.name for path in benchmark.folder.parent.iterdir()] == [ODD]
    known = {
        "Snakefile",
        "src",
        "workflow",
        "config",
        "envs",
        "profiles",
        "tiny.yaml",
        "results",
        "logs",
        ".snakemake",
    }
    assert {path.name for path in benchmark.folder.iterdir()} <= known | {
        "snakemake.html",
        "mine.h5ad",
    }


def test_an_environment_that_cannot_be_built_ends_it_before_any_job(tmp_path):
    benchmark = Benchmark(tmp_path)
    (tmp_path / "envs/peers/multivae.txt").write_text("# requires-python: >=3.29\n")
    benchmark.write_config(TINY | {"runs": {"multivae_mvae": {}, "constant": {}}, "report": {}})
    done = benchmark.snakemake("--cores", "1")
    assert done.returncode != 0
    assert "envs/peers/multivae.txt needs Python >=3.29, and none was found" in done.stderr
    assert not list((tmp_path / "results").rglob("*.h5mu")) and not (tmp_path / "logs").exists()
    asked = benchmark.snakemake(
        "--cores", "1", ".venvs/multivae/.ready"
    )  # as `make peers`: others would be built all the same
    assert "Error in rule build_environment" in asked.stderr


def test_it_ends_with_a_report_tables_and_figures(benchmark):
    results = benchmark.folder / "results"
    assert "<html" in (results / "report.html").read_text()
    overview = pd.read_csv(results / "tables/overview.tsv", sep="\t")
    assert set(overview["run"]) == set(TINY["runs"])
    figures = results / "figures/pbmc68k_split/paired"
    for form in ("svg", "png", "tsv"):
        assert len(list(figures.glob(f"*.{form}"))) >= 4
    for file in figures.glob("*.tsv"):
        assert len(pd.read_csv(file, sep="\t")), file


def test_a_benchmark_says_what_it_took(benchmark):
    resources = pd.read_csv(benchmark.folder / "results/tables/resources.tsv", sep="\t")
    own = {run.get("method", name) for name, run in TINY["runs"].items() if "files" not in run}
    assert {"score", "other"} < set(resources["work"]) <= own | {"score", "other"}
    assert (resources["seconds_per_1000_cells"] > 0).all()


def test_editing_the_style_of_the_report_writes_it_again_and_nothing_else(benchmark):
    for file in ("assets/page.css", "report.html.j2"):
        jobs = benchmark.edited(f"report/page/{file}", lambda text: text + "\n")
        assert jobs == {"Write the report"}


def test_tuning_adds_its_own_jobs_and_repeats_no_other_fit(benchmark):
    tuned = benchmark.planned(TINY | {"tuning": {"trials": 2, "runs": ["cca"]}})
    assert of_stage(("Prepare", "Split", "Tune", "Fit"), tuned) == {
        f"Split the train cells of {SPLIT}, seed 0",
        f"Tune cca-tuned on {SPLIT}, seed 0",
        f"Fit cca-tuned on {SPLIT}, all seeds",
    }
    each = benchmark.planned(TINY | {"tuning": {"trials": 2, "runs": ["mvae"], "per_seed": True}})
    assert {job for job in each if job.startswith("Tune")} == {
        f"Tune mvae-tuned on {SPLIT}, seed {seed}" for seed in (0, 1)
    }


def test_scores_are_what_theory_says(benchmark):
    scores = read_scores(benchmark.folder / "results/runs/pbmc68k_split/paired/oracle/scores.tsv")
    mean = scores.groupby("metric")["value"].mean()
    assert mean["foscttm"] == 0
    assert mean["label_transfer_accuracy"] == 1
    assert mean["imputation_pearson_per_feature"] == pytest.approx(1)
    constant = read_scores(
        benchmark.folder / "results/runs/pbmc68k_split/paired/constant/scores.tsv"
    )
    assert constant.query("metric == 'foscttm'")["value"].eq(0.5).all()
    assert set(constant["status"]) == {"collapsed"}


def test_a_diverged_run_is_a_row_and_the_rest_goes_on(benchmark):
    scores = read_scores(benchmark.folder / "results/runs/pbmc68k_split/paired/diverges/scores.tsv")
    assert scores[["metric", "status"]].drop_duplicates().to_numpy().tolist() == [
        ["status", "diverged"]
    ]
    overview = pd.read_csv(benchmark.folder / "results/tables/overview.tsv", sep="\t").set_index(
        "run"
    )
    assert "diverged" in overview.loc["diverges", "foscttm"]
    assert "diverged" in (benchmark.folder / "results/report.html").read_text()


def test_competitors_and_runs_that_generate_keep_their_models(benchmark):
    results = benchmark.folder / "results"
    kept = {
        (path.parts[-4], path.parts[-3])
        for path in results.glob("runs/*/*/*/seed-*/model/model.json")
    }
    cards = {
        name: catalog.card("methods", TINY["runs"][name].get("method", name)) for name, _ in kept
    }
    assert {card["kind"] for card in cards.values()} == {"model", "baseline"}
    assert {name for name, seed in kept if seed == "seed-1"} == {"mmvaepp"}
    answers = pd.read_csv(results / "tables/recommendations.tsv", sep="\t").set_index("question")
    winner = answers.loc["partner", "run"]
    assert recommended_run(results) == results / f"runs/pbmc68k_split/paired/{winner}/seed-0"


def test_an_external_run_is_beside_the_others_and_marked(benchmark):
    results = benchmark.folder / "results"
    overview = pd.read_csv(results / "tables/overview.tsv", sep="\t").set_index("run")
    assert 0 < float(overview.loc["mine", "foscttm"].split()[0]) < 0.5
    assert overview.loc["mine", ["fit_seconds", "peak_host_mb", "seeds"]].tolist() == [
        "–",
        "–",
        "2/2",
    ]
    for file in (
        "report.html",
        "figures/pbmc68k_split/paired/scores_by_run.svg",
        "tables/latex/pbmc68k_split/paired.tex",
    ):
        assert "mine (external)" in (results / file).read_text(), file


def test_nothing_reruns_when_nothing_changed_and_a_touch_is_no_change(benchmark):
    assert benchmark.planned() == set()
    (benchmark.folder / "src/mosaicbench/models/training.py").touch()
    (benchmark.folder / "src/mosaicbench/metrics/alignment.py").touch()
    assert benchmark.planned() == set()


@pytest.mark.parametrize(
    ("file", "scored"),
    [
        ("metrics/alignment.py", SCORED),
        ("files/scores.py", SCORED),
        ("workflow/layout.py", set()),
    ],
)
def test_editing_how_runs_are_scored_retrains_nothing(benchmark, file, scored):
    jobs = benchmark.edited(file, add_a_line)
    assert not stages(jobs) & {"Fetch", "Prepare", "Split", "Fit"}
    assert of_stage("Score", jobs) == scored


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ("methods/mvae.py", {f"Fit {run} on {SPLIT}, all seeds" for run in ("mvae", "diverges")}),
        ("methods/linear.py", {CHEAP}),
    ],
)
def test_editing_a_method_reruns_its_fits_and_their_scores(benchmark, file, fits):
    jobs = benchmark.edited(file, add_a_line)
    assert of_stage("Fit", jobs) == fits
    assert of_stage("Score", jobs) == SCORED


def test_editing_a_shared_part_reruns_every_model_and_no_baseline(benchmark):
    jobs = benchmark.edited("models/training.py", add_a_line)
    fitted = {job.split()[1] for job in jobs if job.startswith("Fit")}
    assert fitted == {"mvae", "mmvaepp", "diverges"}


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("workflow/cluster.py", "ATTEMPTS = 3", "ATTEMPTS = 5"),
        ("workflow/attempts.py", "killed from outside", "killed by another"),
        ("config/jobs.py", "there is no run", "there is no such run"),
        ("cli.py", "start Snakemake again", "start again"),
    ],
)
def test_editing_how_jobs_are_scheduled_repeats_nothing(benchmark, file, before, after):
    assert benchmark.edited(file, lambda text: text.replace(before, after)) == set()


def test_editing_a_loader_reruns_everything_from_there_and_another_loader_nothing(benchmark):
    jobs = benchmark.edited("datasets/pbmc68k_split.py", add_a_line)
    assert {"Prepare", "Split", "Fit", "Score"} <= stages(jobs)
    assert benchmark.edited("datasets/simulated.py", add_a_line) == set()


def test_editing_a_figure_draws_it_and_the_report(benchmark):
    jobs = benchmark.edited("figures/resources.py", add_a_line)
    assert jobs == {"Draw all figures", "Write the report"}


@pytest.mark.parametrize(
    ("runs", "fitted"),
    [
        ({"mvae": {"latent": 6}}, f"Fit mvae on {SPLIT}, all seeds"),
        ({"cca": {"latent": 6}}, CHEAP),
    ],
)
def test_a_hyperparameter_repeats_the_fits_of_its_job_and_the_scores_of_the_split(
    benchmark, runs, fitted
):
    jobs = benchmark.planned(TINY | {"runs": TINY["runs"] | runs})
    assert of_stage("Fit", jobs) == {fitted}
    assert of_stage("Score", jobs) == SCORED
    assert not {"Prepare", "Split"} & stages(jobs)


def test_a_large_dataset_has_a_job_for_each_seed_cheap_method_and_run_to_score(benchmark):
    large = {"simulated": {"cells": 30_000}}
    config = TINY | {"datasets": large, "runs": {"mvae": {}, "cca": {}, "oracle": {}}, "report": {}}
    on = "simulated, paired"
    jobs = benchmark.planned(config | {"training": {"max_epochs": 500}})
    assert of_stage(("Split", "Fit", "Score"), jobs) == {
        *(f"{what} {on}, seed {seed}" for what in ("Split", "Fit mvae on") for seed in (0, 1)),
        *(f"Fit {run} on {on}, all seeds" for run in ("cca", "oracle")),
        *(f"Score {run} on {on}" for run in ("mvae", "cca", "oracle")),
    }


@pytest.mark.parametrize(
    ("asked", "limited"), [((), False), (("--max-jobs-per-timespan", "7/1s"), True)]
)
def test_jobs_start_at_any_rate_unless_one_was_asked_for(tmp_path, asked, limited):
    """Snakemake's own limit makes it look at what waits once a second for every job that has ended."""
    told = 'onsuccess:\n    print("limited:", workflow.scheduler.job_rate_limiter is not None)\n'
    (tmp_path / "Snakefile").write_text(f'include: "{REPOSITORY}/Snakefile"\n\n{told}')
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = forked.snakemake(
        "--cores",
        "1",
        "results/datasets/simulated.h5mu",
        *asked,
        folder=tmp_path,
        environment=environment,
    )
    assert f"limited: {limited}" in done.stdout, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sedes": [0]}, "unknown key 'sedes'; did you mean 'seeds'"),
        ({"runs": {"mvea": {}}}, "there is no method 'mvea'; did you mean 'mvae'"),
        ({"datasets": {"mine": {"path": "absent.h5mu"}}}, "absent.h5mu"),
    ],
)
def test_a_mistake_in_the_config_is_one_message_before_any_job(benchmark, change, message):
    benchmark.write_config(TINY | change)
    done = benchmark.snakemake("--cores", "1")
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "Job stats" not in done.stderr + done.stdout


def test_what_was_read_is_in_the_terminal_the_log_and_a_table(benchmark_run):
    line = "pbmc68k_split: left: 700 cells, "
    log = benchmark_run.folder / "logs/prepare/pbmc68k_split.log"
    assert line in benchmark_run.said and line in log.read_text()
    sheet = read_table(benchmark_run.folder / "results/tables/datasets.tsv")
    assert sheet["modality"].tolist() == ["left", "right"]
    assert sheet["cells"].tolist() == sheet["cells_in_all"].tolist() == [700, 700]
    assert sheet["features"].sum() == 765


def test_where_a_job_fails_the_warnings_of_the_others_are_in_the_terminal_at_the_end(tmp_path):
    random = np.random.default_rng(0)
    for name, features in (("rna", 20), ("adt", 5)):
        counts = random.poisson(3, (50, features)).astype(np.float32)
        counts[:10] *= name == "rna"  # cells without a protein
        cells = anndata.AnnData(counts)
        cells.obs_names = [f"cell-{number}" for number in range(50)]
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    datasets = {
        "odd": {"path": {"rna": "rna.h5ad", "adt": "adt.h5ad"}},
        "refused": {"path": {"rna": "rna.h5ad", "adt": "rna.h5ad"}},
    }
    runs = {"mvae": {}, "constant": {}}
    config = {"datasets": datasets, "runs": runs, "scenarios": {"u": {"kind": "unpaired"}}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config))
    done = forked.snakemake(
        "--snakefile",
        f"{REPOSITORY}/Snakefile",
        "--configfile",
        "my.yaml",
        "--cores",
        "1",
        "--keep-going",
        *(f"results/datasets/{name}.h5mu" for name in datasets),
        folder=tmp_path,
        environment=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
    )
    assert done.returncode != 0
    start, end = done.stdout.split("odd: 50 cells", 1)
    assert "WARNING: odd, refused: scenario 'u' has no pairs" in start
    warnings = [line for line in end.splitlines() if line.startswith("WARNING: odd: ")]
    assert any("10 of 50 cells" in line and "absent" in line for line in warnings)


def test_a_place_for_results_that_is_taken_is_one_message(tmp_path):
    benchmark = Benchmark(tmp_path)
    (tmp_path / "results").write_text("in the way")
    done = benchmark.snakemake("--dry-run", "--cores", "1")
    assert done.returncode != 0
    assert re.search(
        r"results/code\S*: .*choose a (place|folder) that can be written to",
        done.stdout + done.stderr,
    )
    assert "Traceback" not in done.stdout + done.stderr


def test_lint_is_clean():
    done = forked.snakemake(
        "--lint",
        folder=REPOSITORY,
        environment=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
    )
    assert done.returncode == 0, done.stderr
