"""The workflow as its user runs it: a tiny benchmark to the end, what reruns after an edit, mistakes refused before any job."""

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import anndata
import forked
import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from conftest import REPOSITORY
from overlay import OF_WORKFLOW, compile_loops, copied

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
PLACE = "pbmc68k_split/paired"
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

    def __init__(self, folder, config):
        self.folder = folder
        compile_loops()
        copied(OF_WORKFLOW, folder)
        (folder / "src/sitecustomize.py").write_text(forked.OF_A_COPY)
        self.write_config(config)

    def write_config(self, config):
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(config))

    def snakemake(self, *arguments):
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src")}
        return forked.snakemake(
            *arguments, "--configfile", "tiny.yaml", folder=self.folder, environment=environment
        )

    def said(self, *arguments):
        """Return what Snakemake says, which must succeed."""
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done.stdout + done.stderr

    def refused(self, *arguments):
        """Return what Snakemake says, which must fail without a traceback."""
        done = self.snakemake("--cores", "1", *arguments)
        assert done.returncode != 0
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def planned(self, config=None):
        """Return the messages of the jobs that a dry run would start."""
        if config is not None:
            self.write_config(config)
        said = self.said("--dry-run", "--cores", "1")
        return set(re.findall(r"^ *Job \d+: (.+)$", said, flags=re.MULTILINE))

    def edited(self, *files):
        """Return the jobs planned after a line was added to these files; they are as before afterwards."""
        paths = [self.folder / "src/mosaicbench" / file for file in files]
        before = [path.read_text() for path in paths]
        for path, text in zip(paths, before, strict=True):
            path.write_text(f"{text}\n")
        try:
            return self.planned()
        finally:
            for path, text in zip(paths, before, strict=True):
                path.write_text(text)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    benchmark = Benchmark(tmp_path_factory.mktemp("benchmark") / ODD, TINY)
    write_external_latents(benchmark.folder / "mine.h5ad")
    benchmark.text = benchmark.said("--cores", "2")
    return benchmark


@pytest.fixture
def benchmark(finished):
    yield finished
    finished.write_config(TINY)


@pytest.fixture
def written(finished):
    """Return the results folder of the tiny benchmark."""
    return finished.folder / "results"


def stages(jobs):
    return {job.split()[0] for job in jobs}


def of_stage(stage, jobs):
    return {job for job in jobs if job.startswith(stage)}


def test_a_workflow_that_was_killed_goes_on_where_a_training_was_saved(tmp_path, monkeypatch):
    """The hard way: Snakemake and all its jobs are gone at once, and its lock stands."""
    long = {"max_epochs": 60, "patience": 60}
    one = {"runs": {"mvae": {}}, "seeds": [0], "training": long, "report": {}}
    benchmark = Benchmark(tmp_path, TINY | one)
    folder = tmp_path / f"results/runs/{PLACE}/mvae/seed-0"
    target = str((folder / "run.json").relative_to(tmp_path))
    monkeypatch.setenv("MOSAICBENCH_CHECKPOINT_SECONDS", "0")
    with ThreadPoolExecutor() as pool:
        started = pool.submit(benchmark.snakemake, "--cores", "1", target)
        while not (folder / ".checkpoint.pt").exists():
            assert not started.done(), "it ended before a training was saved"
            time.sleep(0.05)
        of_workflow = [
            process
            for process in psutil.process_iter(["cwd"])
            if process.info["cwd"] == str(tmp_path)
        ]
        for process in of_workflow:  # Snakemake, which started first, is the first
            process.kill()
    assert started.result().returncode == -9
    assert not (folder / "run.json").exists()

    benchmark.snakemake("--unlock")
    monkeypatch.delenv("MOSAICBENCH_CHECKPOINT_SECONDS")
    benchmark.said("--cores", "1", target)
    record = read_record(folder / "run.json")
    assert record["status"] == "ok"
    assert record["resumed_after"]
    assert 0 < record["resumed_after"][0] < 60
    assert list(read_table(folder / "history.tsv")["epoch"]) == list(range(1, 61))


def test_three_files_of_different_cells_become_tables_and_figures_without_a_line_of_code(tmp_path):
    whole = simulated.load(None, cells=240, n_rna=40, n_atac=60, n_adt=10)
    mine = {"path": {modality: f"{modality}.h5ad" for modality in whole.mod}, "cell_type": "type"}
    config = {
        "datasets": {"mine": mine},
        "scenarios": {"own": {"kind": "as_measured"}},
        "seeds": [0],
        "runs": {"oracle": {}, "ridge": {}},
        "preprocess": {"atac": {"components": 5}},
        "report": {"umap_runs": []},
        "metrics": {"groups": ["alignment", "label_transfer", "imputation", "resources"]},
    }
    benchmark = Benchmark(tmp_path, config)
    for place, (modality, cells) in enumerate(whole.mod.items()):
        rows = np.arange(80 * place, 80 * place + 80)
        types = whole.obs["cell_type"].to_numpy()[rows].astype(str)
        table = anndata.AnnData(
            cells.layers["counts"][rows],
            obs=pd.DataFrame({"type": types}, index=whole.obs_names[rows]),
        )
        table.var_names = cells.var_names
        table.write_h5ad(tmp_path / f"{modality}.h5ad")
    benchmark.said("--cores", "2", "results/tables/overview.tsv")
    results = tmp_path / "results"
    table = read_table(results / "tables/overview.tsv").set_index("run")
    assert table.loc["ridge", "status"] == "not_applicable"
    scores = table.loc["oracle", ["status", "foscttm", "label_transfer_accuracy"]]
    assert scores.tolist() == ["ok", "–", "1.000"]
    messages = read_table(results / "tables/runs.tsv").set_index("run")["message"]
    assert "in these data no train cell has two modalities" in messages["ridge"]
    assert "scores that need partners are not applicable between them" in messages["oracle"]
    figures = ["scores_by_run", "resources"]
    splits = [("mine", "own")]
    draw.main(figures=figures, splits=splits, results=results, output=tmp_path / "figures")
    for figure in figures:
        assert (tmp_path / f"figures/mine/own/{figure}.png").is_file()


def test_an_environment_of_its_own_is_built_for_the_runs_that_need_it(benchmark):
    runs = {
        "multivae_mvae": {},
        "mopoe-theirs": {"method": "multivae_mopoe"},
        "mvae": {},
        "ridge": {},
    }
    benchmark.write_config(TINY | {"runs": runs, "report": {}})
    said = benchmark.said("--dry-run", "--printshellcmds", "--cores", "1")
    assert "Build the environment multivae" in said
    commands = re.findall(r"(\S*python) -m mosaicbench fit .* --run (\S+) ", said)
    own = ".venvs/multivae/bin/python"
    assert {run: python for python, run in commands} == {
        "multivae_mvae": own,
        "mopoe-theirs": own,
        "mvae": "python",
    }


def test_an_environment_that_cannot_be_built_ends_it_before_any_job(tmp_path):
    runs = {"multivae_mvae": {}, "constant": {}}
    benchmark = Benchmark(tmp_path, TINY | {"runs": runs, "report": {}})
    (tmp_path / "envs/peers/multivae.txt").write_text("# requires-python: >=3.29\n")
    said = benchmark.refused()
    assert "envs/peers/multivae.txt needs Python >=3.29, and none was found" in said
    assert not list((tmp_path / "results").rglob("*.h5mu")) and not (tmp_path / "logs").exists()
    # as `make peers` asks: others would be built all the same
    asked = benchmark.refused(".venvs/multivae/.ready")
    assert "Error in rule build_environment" in asked


def test_a_checkout_in_a_folder_of_any_name_writes_nothing_beside_itself(finished):
    assert finished.folder.name == ODD
    assert [path.name for path in finished.folder.parent.iterdir()] == [ODD]
    copied = {"Snakefile", "src", "workflow", "config", "envs", "profiles", "tiny.yaml"}
    made = {"results", "logs", ".snakemake", "snakemake.html", "mine.h5ad"}
    assert {path.name for path in finished.folder.iterdir()} <= copied | made


def test_it_ends_with_a_report_tables_and_figures(written):
    report = (written / "report.html").read_text()
    assert "<html" in report and "diverged" in report
    overview = read_table(written / "tables/overview.tsv")
    assert set(overview["run"]) == set(TINY["runs"])
    figures = written / "figures" / PLACE
    for form in ("svg", "png", "tsv"):
        assert len(list(figures.glob(f"*.{form}"))) >= 4
    for file in figures.glob("*.tsv"):
        assert len(pd.read_csv(file, sep="\t")), file
    resources = read_table(written / "tables/resources.tsv")
    own = {run.get("method", name) for name, run in TINY["runs"].items() if "files" not in run}
    assert {"score", "other"} < set(resources["work"]) <= own | {"score", "other"}
    assert (resources["seconds_per_1000_cells"] > 0).all()


def test_scores_are_what_theory_says(written):
    scores = read_scores(written / f"runs/{PLACE}/oracle/scores.tsv")
    mean = scores.groupby("metric")["value"].mean()
    assert mean["foscttm"] == 0
    assert mean["label_transfer_accuracy"] == 1
    assert mean["imputation_pearson_per_feature"] == pytest.approx(1)
    constant = read_scores(written / f"runs/{PLACE}/constant/scores.tsv")
    assert constant.query("metric == 'foscttm'")["value"].eq(0.5).all()
    assert set(constant["status"]) == {"collapsed"}


def test_a_diverged_run_is_a_row_and_the_rest_goes_on(written):
    scores = read_scores(written / f"runs/{PLACE}/diverges/scores.tsv")
    rows = scores[["metric", "status"]].drop_duplicates().to_numpy().tolist()
    assert rows == [["status", "diverged"]]
    overview = read_table(written / "tables/overview.tsv").set_index("run")
    assert "diverged" in overview.loc["diverges", "foscttm"]


def test_competitors_and_runs_that_generate_keep_their_models(written):
    models = written.glob("runs/*/*/*/seed-*/model/model.json")
    kept = {(path.parts[-4], path.parts[-3]) for path in models}
    methods = [TINY["runs"][name].get("method", name) for name, _ in kept]
    kinds = {catalog.card("methods", method)["kind"] for method in methods}
    assert kinds == {"model", "baseline"}
    assert {name for name, seed in kept if seed == "seed-1"} == {"mmvaepp"}
    answers = read_table(written / "tables/recommendations.tsv").set_index("question")
    winner = answers.loc["partner", "run"]
    assert recommended_run(written) == written / f"runs/{PLACE}/{winner}/seed-0"


def test_an_external_run_is_beside_the_others_and_marked(written):
    overview = read_table(written / "tables/overview.tsv").set_index("run")
    assert 0 < float(overview.loc["mine", "foscttm"].split()[0]) < 0.5
    row = overview.loc["mine", ["fit_seconds", "peak_host_mb", "seeds"]]
    assert row.tolist() == ["–", "–", "2/2"]
    figure, latex = f"figures/{PLACE}/scores_by_run.svg", f"tables/latex/{PLACE}.tex"
    for file in ("report.html", figure, latex):
        assert "mine (external)" in (written / file).read_text(), file


def test_what_was_read_is_in_the_terminal_the_log_and_a_table(finished):
    line = "pbmc68k_split: left: 700 cells, "
    log = finished.folder / "logs/prepare/pbmc68k_split.log"
    assert line in finished.text and line in log.read_text()
    sheet = read_table(finished.folder / "results/tables/datasets.tsv")
    assert sheet["modality"].tolist() == ["left", "right"]
    assert sheet["cells"].tolist() == sheet["cells_in_all"].tolist() == [700, 700]
    assert sheet["features"].sum() == 765


# Which code each job has is in test_code_hash.py; here, that every rule asks for it.


def test_a_touch_and_an_edit_of_what_no_result_depends_on_repeat_nothing(benchmark):
    for file in ("models/training.py", "metrics/alignment.py"):
        (benchmark.folder / "src/mosaicbench" / file).touch()
    scheduling = ("workflow/cluster.py", "workflow/attempts.py", "config/jobs.py", "cli.py")
    assert benchmark.edited(*scheduling, "datasets/simulated.py") == set()


def test_editing_a_loader_reruns_everything_from_there(benchmark):
    jobs = benchmark.edited("datasets/pbmc68k_split.py")
    assert {"Prepare", "Split", "Fit", "Score"} <= stages(jobs)


def test_editing_methods_reruns_their_fits_and_all_scores_of_the_split(benchmark):
    jobs = benchmark.edited("methods/mvae.py", "methods/linear.py")
    models = {f"Fit {run} on {SPLIT}, all seeds" for run in ("mvae", "diverges")}
    assert of_stage("Fit", jobs) == models | {CHEAP}
    assert of_stage("Score", jobs) == SCORED


def test_editing_a_metric_retrains_nothing(benchmark):
    jobs = benchmark.edited("metrics/alignment.py")
    assert not stages(jobs) & {"Fetch", "Prepare", "Split", "Fit"}
    assert of_stage("Score", jobs) == SCORED


@pytest.mark.parametrize(
    ("file", "repeated"),
    [
        ("figures/resources.py", {"Draw all figures", "Write the report"}),
        ("report/page/assets/page.css", {"Write the report"}),
    ],
)
def test_editing_a_figure_or_the_style_of_the_report_repeats_nothing_before(
    benchmark, file, repeated
):
    assert benchmark.edited(file) == repeated


def test_a_hyperparameter_repeats_the_fits_of_its_job_and_the_scores_of_the_split(benchmark):
    changed = {"mvae": {"latent": 6}, "cca": {"latent": 6}}
    jobs = benchmark.planned(TINY | {"runs": TINY["runs"] | changed})
    assert of_stage("Fit", jobs) == {f"Fit mvae on {SPLIT}, all seeds", CHEAP}
    assert of_stage("Score", jobs) == SCORED
    assert not {"Prepare", "Split"} & stages(jobs)


def test_tuning_adds_its_own_jobs_and_repeats_no_other_fit(benchmark):
    tuning = {"trials": 2, "runs": ["cca", "mvae"], "per_seed": True}
    jobs = benchmark.planned(TINY | {"tuning": tuning})
    runs = ("cca-tuned", "mvae-tuned")
    expected = {f"Fit {run} on {SPLIT}, all seeds" for run in runs}
    for seed in (0, 1):
        expected.add(f"Split the train cells of {SPLIT}, seed {seed}")
        expected |= {f"Tune {run} on {SPLIT}, seed {seed}" for run in runs}
    assert of_stage(("Prepare", "Split", "Tune", "Fit"), jobs) == expected


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
    ("change", "message"),
    [
        ({"sedes": [0]}, "unknown key 'sedes'; did you mean 'seeds'"),
        ({"datasets": {"mine": {"path": "absent.h5mu"}}}, "absent.h5mu"),
    ],
)
def test_a_mistake_in_the_config_is_one_message_before_any_job(benchmark, change, message):
    benchmark.write_config(TINY | change)
    said = benchmark.refused()
    assert message in said and "Job stats" not in said


def test_where_a_job_fails_the_warnings_of_the_others_are_in_the_terminal_at_the_end(tmp_path):
    random = np.random.default_rng(0)
    datasets = {
        "odd": {"path": {"rna": "rna.h5ad", "adt": "adt.h5ad"}},
        "refused": {"path": {"rna": "rna.h5ad", "adt": "rna.h5ad"}},
    }
    runs = {"mvae": {}, "constant": {}}
    config = {"datasets": datasets, "runs": runs, "scenarios": {"u": {"kind": "unpaired"}}}
    benchmark = Benchmark(tmp_path, config)
    for name, features in (("rna", 20), ("adt", 5)):
        counts = random.poisson(3, (50, features)).astype(np.float32)
        counts[:10] *= name == "rna"  # cells without a protein
        cells = anndata.AnnData(counts)
        cells.obs_names = [f"cell-{number}" for number in range(50)]
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    targets = [f"results/datasets/{name}.h5mu" for name in datasets]
    done = benchmark.snakemake("--cores", "1", "--keep-going", *targets)
    assert done.returncode != 0
    start, end = done.stdout.split("odd: 50 cells", 1)
    assert "WARNING: odd, refused: scenario 'u' has no pairs" in start
    warnings = [line for line in end.splitlines() if line.startswith("WARNING: odd: ")]
    assert any("10 of 50 cells" in line and "absent" in line for line in warnings)


def of_repository(*arguments, folder):
    """Run Snakemake in a folder, with the repository's package."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    return forked.snakemake(*arguments, folder=folder, environment=environment)


@pytest.mark.parametrize(
    ("asked", "limited"), [((), False), (("--max-jobs-per-timespan", "7/1s"), True)]
)
def test_jobs_start_at_any_rate_unless_one_was_asked_for(tmp_path, asked, limited):
    """Snakemake's own limit makes it look at what waits once a second for every job that has ended."""
    (tmp_path / "Snakefile").write_text(
        f"""include: "{REPOSITORY}/Snakefile"

rule quick:
    output: "quick.txt"
    shell: "touch {{output}}"

onsuccess:
    print("limited:", workflow.scheduler.job_rate_limiter is not None)
"""
    )
    done = of_repository("--cores", "1", "quick.txt", *asked, folder=tmp_path)
    assert f"limited: {limited}" in done.stdout, done.stderr[-2000:]


def test_a_place_for_results_that_is_taken_is_one_message(tmp_path):
    (tmp_path / "results").write_text("in the way")
    snakefile = ("--snakefile", REPOSITORY / "Snakefile")
    done = of_repository(*snakefile, "--dry-run", "--cores", "1", folder=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert re.search(r"results/code\S*: .*choose a (place|folder) that can be written to", said)
    assert "Traceback" not in said


def test_lint_is_clean():
    done = of_repository("--lint", folder=REPOSITORY)
    assert done.returncode == 0, done.stderr
