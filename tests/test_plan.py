"""What a benchmark costs, and what another will: by hand-made records, and against what Snakemake plans."""

import copy
import os
import re

import forked
import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from mosaicbench_views import cut_small, small_dataset

from mosaicbench import cli, disk, expenses, rules
from mosaicbench.commands import plan
from mosaicbench.config import settings
from mosaicbench.errors import UserError
from mosaicbench.files.runs import RECORD_KEYS, read_record, write_history, write_record
from mosaicbench.files.tables import read_table, write_table

CONFIG = {
    "datasets": {"small": {"loader": "pbmc68k_split"}},
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": {"mvae": {}, "short": {"method": "mvae", "max_epochs": 10}, "cca": {}},
    "seeds": [0, 1],
    "training": {"max_epochs": 40},
}
SECONDS = {("mvae", 0): 10.0, ("mvae", 1): 14.0, ("cca", 0): 2.0, ("cca", 1): 2.0}


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """Return a view for each of two seeds; tests read them and change nothing."""
    folder, dataset = tmp_path_factory.mktemp("views"), small_dataset()
    return [cut_small(dataset, "paired", folder / f"cut-{seed}", seed) for seed in (0, 1)]


@pytest.fixture
def results(views, tmp_path):
    """A finished benchmark of two runs and two seeds: models trained 20 of 40 epochs, imports took 1 s of each run."""
    for (run, seed), seconds in SECONDS.items():
        folder = tmp_path / f"results/runs/small/paired/{run}/seed-{seed}"
        folder.mkdir(parents=True)
        view = tmp_path / f"results/views/small/paired/seed-{seed}"
        if not view.exists():
            view.parent.mkdir(parents=True, exist_ok=True)
            view.symlink_to(views[seed])
        model = run == "mvae"
        write_history(
            folder / "history.tsv", [{"epoch": e, "cost": 1.0} for e in range(20)] if model else []
        )
        record = dict.fromkeys(RECORD_KEYS) | {
            "dataset": "small",
            "scenario": "paired",
            "run": run,
            "method": run,
        }
        record |= {
            "seed": seed,
            "status": "ok",
            "seconds": {"import": 1.0, "fit": seconds - 1},
            "device": "cpu",
        }
        record |= {
            "hyperparameters": {"max_epochs": 40} if model else {},
            "peak_host_mb": 100.0 + seed,
        }
        write_record(folder / "run.json", record)
    for run, seconds in (("mvae", 3), ("cca", 5)):
        (tmp_path / f"results/runs/small/paired/{run}/scores.tsv").write_bytes(b"x" * 2_000_000)
        took = tmp_path / f"results/expenses/score/small/paired/{run}.tsv"
        took.parent.mkdir(parents=True, exist_ok=True)
        took.write_text(f"seconds\tcpu_seconds\tpeak_mb\n90\t{seconds}\t500\n")
    return tmp_path / "results"


def planned(results, config=CONFIG, shapes=None):
    table = expenses.plan(
        settings.load(copy.deepcopy(config)), expenses.measured(results), shapes or {}
    )
    return table.groupby(["rule", "method"])[
        ["low_hours", "hours", "high_hours", "memory_mb"]
    ].sum() * [3600, 3600, 3600, 1]


def test_costs_are_what_the_records_say(results):
    table = expenses.measured(results).set_index(["rule", "method"])
    model = table.loc["fit_model", "mvae"]
    assert (model["jobs"], model["seconds"], model["seconds_least"], model["seconds_most"]) == (
        2,
        12,
        10,
        14,
    )
    assert (model["cells"], model["epochs"], model["max_epochs"], model["constant_seconds"]) == (
        192,
        20,
        40,
        1,
    )
    assert (model["cpu_hours"], model["gpu_hours"]) == (pytest.approx(24 / 3600, rel=1e-3), 0)
    score = table.loc["score", "cca"]
    assert (score["seconds"], score["peak_host_mb"], score["disk_mb"]) == (5, 500, 2)
    assert table["features"].nunique() == 1


def test_runs_that_were_scored_together_share_what_it_cost(results):
    folder = results / "expenses/score/small/paired"
    (folder / "mvae.tsv").rename(folder / "_1.tsv")
    (folder / "cca.tsv").rename(folder / "_controls.tsv")
    scores = expenses.measured(results).query("rule == 'score'")
    assert scores["seconds"].tolist() == [4, 4]
    assert set(scores["peak_host_mb"]) == {500}


def test_cpu_time_counts_where_a_run_knows_it(results):
    path = results / "runs/small/paired/mvae/seed-0/run.json"
    write_record(path, read_record(path) | {"cpu_seconds": {"import": 1.0, "fit": 5.0}})
    model = expenses.measured(results).set_index("rule").loc["fit_model"]
    assert (model["seconds_least"], model["seconds_most"]) == (6, 14)


def test_a_run_on_a_gpu_costs_gpu_hours(results):
    path = results / "runs/small/paired/mvae/seed-0/run.json"
    write_record(path, read_record(path) | {"device": "NVIDIA H100", "peak_device_mb": 300.0})
    models = expenses.measured(results).query("rule == 'fit_model'").set_index("device")
    assert models.loc["NVIDIA H100", "gpu_hours"] == pytest.approx(10 / 3600, rel=1e-3)
    assert models.loc["cpu", "gpu_hours"] == 0


def test_a_benchmark_planned_from_itself_is_what_it_took(results):
    same = planned(results, CONFIG | {"runs": {"mvae": {}, "cca": {}}})
    assert same.loc[("fit_model", "mvae")].tolist() == pytest.approx([20, 24, 28, 101])
    assert same.loc[("fit_baseline", "cca"), "hours"] == pytest.approx(4)
    assert same.loc[("score", "mvae"), "hours"] == pytest.approx(3)


def test_epochs_scale_training_but_not_imports(results):
    short = planned(results, CONFIG | {"runs": {"short": CONFIG["runs"]["short"]}}).loc[
        ("fit_model", "mvae")
    ]
    assert short["hours"] == pytest.approx(2 * (1 + 11 / 4))
    assert short["high_hours"] == pytest.approx(2 * (1 + 13 / 4 * 2))  # if no run stops early


def test_cells_and_features_scale_within_a_stated_range(results):
    known = expenses.measured(results)
    cells, features = 240, int(known["features"].iloc[0])
    tenfold = planned(
        results, CONFIG | {"runs": {"mvae": {}}}, {"small": (10 * cells, {"rna": 4 * features})}
    )
    low, expected, high = tenfold.loc[("fit_model", "mvae"), ["low_hours", "hours", "high_hours"]]
    assert expected == pytest.approx(2 * (1 + 11 * 10 * 2))
    assert low == pytest.approx(2 * (1 + 9 * 10))
    assert high == pytest.approx(2 * (1 + 13 * 10 * 4 * 2))
    assert tenfold.loc[("fit_model", "mvae"), "memory_mb"] == pytest.approx(101 * (10 * 4) ** 0.5)


def test_a_dataset_of_unknown_size_asks_for_it(results):
    config = CONFIG | {"datasets": {"other": {"loader": "pbmc68k_split"}}}
    with pytest.raises(
        UserError,
        match="size of dataset 'other' is not known; give it: --shape other=CELLS,FEATURES",
    ):
        planned(results, config)


def test_a_search_costs_as_many_fits_and_scores_as_it_has_trials(results):
    tuning = {"trials": 10, "share": 0.25, "runs": ["mvae"], "per_seed": True}
    plain, tuned = planned(results), planned(results, CONFIG | {"tuning": tuning})
    assert (
        tuned.loc[("fit_model", "mvae"), "hours"] > plain.loc[("fit_model", "mvae"), "hours"]
    )  # those of the tuned run
    shown = 144 / 192  # inner train cells of train cells
    search = tuned.loc[("tune_model", "mvae"), "hours"]
    assert search == pytest.approx(
        2 * 10 * (11 + 3) * shown
    )  # seeds, trials, seconds of a fit without its imports, of scores
    assert "tune_model" not in plain.index.get_level_values("rule")


@pytest.mark.parametrize(
    "named", [[], ["--configfile", "config/studies/tuning.yaml"]], ids=["default", "tuning"]
)
def test_the_number_of_jobs_is_what_snakemake_plans(named):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    arguments = ["--dry-run", "--forceall", "--cores", "1", "--quiet", "rules", *named]
    done = forked.snakemake(*arguments, folder=REPOSITORY, environment=environment)
    assert done.returncode == 0, done.stderr
    snakemakes = {
        rule: int(count)
        for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    }
    several = (
        "draw",
        "project",
        "score",
        "fit_baselines",
        "fit_models",
    )  # rules that are made one by one, of figures, views or runs
    summed = {
        name: sum(n for rule, n in snakemakes.items() if rule.startswith(f"{name}_"))
        for name in several
    }
    summed = {name: n for name, n in summed.items() if n}
    counted_already = (*(f"{name}_" for name in several), "all", "total")
    snakemakes = {rule: n for rule, n in snakemakes.items() if not rule.startswith(counted_already)}
    assert (
        rules.number_of_jobs(settings.read(REPOSITORY / (named or ["config/config.yaml"])[-1]))
        == snakemakes | summed
    )


def test_the_shipped_costs_plan_the_default_and_the_paper_benchmark(capsys):
    for name, fewest in (("config.yaml", 40), ("paper.yaml", 1000)):
        cli.main(["plan", str(REPOSITORY / "config" / name)])
        text = capsys.readouterr().out
        assert int(re.search(r"^all +(\d+)", text, re.MULTILINE)[1]) > fewest
        unmeasured = {
            line.split()[0] for line in text.splitlines() if line.endswith("not measured")
        }
        assert not unmeasured & {
            "prepare",
            "cut",
            "fit_model",
            "fit_baseline",
            "score",
            "project",
            "draw",
        }
        expected, low, high = map(
            float, re.search(r"CPU-hours +(\S+) \((\S+) to (\S+)\)", text).groups()
        )
        assert 0 < low <= expected <= high


def test_disk_of_fits_is_counted_from_cells_and_features(results):
    def disk_of_fits(**more):
        config = CONFIG | {"runs": {"mvae": {}, "cca": {}, "knn_impute": {}}} | more
        shapes = {"small": (100_000, {"rna": 2000, "adt": 200})}
        table = expenses.plan(
            settings.load(copy.deepcopy(config)), expenses.measured(results), shapes
        )
        return table[table["rule"].str.startswith("fit")].groupby("method")["disk_mb"].sum()

    kept, without, until = (
        disk_of_fits(),
        disk_of_fits(keep_imputed=False),
        disk_of_fits(keep_imputed="until_scored"),
    )
    values = 2 * 20_000 * 2200 * 4 / 1e6  # seeds, query cells, features of either modality
    latents = 2 * 100_000 * 3 * 20 * 4 / 1e6
    assert 0.8 * (latents + values) < kept["mvae"] < latents + values  # compressed
    assert 0.8 * latents < kept["cca"] < latents  # it imputes nothing
    assert kept["mvae"] - without["mvae"] > 0.8 * values
    assert until[["mvae", "cca"]].equals(without[["mvae", "cca"]])
    assert without["knn_impute"] - until["knn_impute"] > 0.5 * values
    assert without[["cca", "knn_impute"]].equals(
        kept[["cca", "knn_impute"]]
    )  # nothing smaller can stand in their place


@pytest.mark.parametrize(
    ("stanza", "shown", "complete"),
    [
        ({"kind": "paired"}, 3, 1),
        ({"kind": "unpaired"}, 1, 0),
        ({"kind": "mosaic", "paired_fraction": 0.25}, 1.5, 0.25),
        ({"kind": "mosaic", "blocks": [["rna", "adt"], ["rna", "atac"]]}, 2, 0),
        (
            {"kind": "mosaic", "blocks": [["rna", "adt", "atac"], ["rna"]], "shares": [1, 3]},
            1.5,
            0.25,
        ),
    ],
)
def test_latents_are_counted_of_the_modalities_that_cells_show(stanza, shown, complete):
    train, query, width = 10_000_000, 10_000, 20
    shape = disk.Shape.of(stanza, train, query, features=100, modalities=3)
    rows = {
        "scmodal": shown * train,
        "vae_poe": (shown + complete) * train,
    }  # latents of single modalities, and joint ones
    for method, number in rows.items():
        taken = 1e6 * disk.of_fit(method, {"latent": width}, shape, keep_imputed=disk.UNTIL_SCORED)
        assert taken < 0.01 * number * 4 * width
        taken = 1e6 * disk.of_fit(method, {"latent": width}, shape, keep_imputed=False)
        assert 0.85 * number * 4 * width < taken < 0.95 * number * 4 * width


def test_a_view_is_counted_of_the_modalities_that_cells_show():
    features = {"rna": 2000, "adt": 200}
    paired, unpaired = (
        disk.Shape.of({"kind": kind}, 8000, 2000, 2200, 2) for kind in ("paired", "unpaired")
    )
    (whole,), (half,) = disk.of_view(features, paired), disk.of_view(features, unpaired)
    assert half / whole == pytest.approx(
        (4000 + 2 * 2000) / (8000 + 2 * 2000)
    )  # query cells are in the solution, too
    assert whole == pytest.approx(12000 * (2000 * 0.25 + 200 * 5) / 1e6)
    assert disk.of_view({"all": 2200}, paired) == []


def test_the_papers_plan_honours_its_key(capsys, tmp_path):
    text = (REPOSITORY / "config/paper.yaml").read_text()
    lines = {}
    for choice in ("until_scored", "false", "true"):
        (tmp_path / "paper.yaml").write_text(
            text.replace("keep_imputed: until_scored", f"keep_imputed: {choice}")
        )
        cli.main(["plan", str(tmp_path / "paper.yaml")])
        lines[choice] = re.search(r"^disk +(.+)", capsys.readouterr().out, re.MULTILINE)[1]
    until, without, kept = (float(line.split()[0]) for line in lines.values())
    assert until < 0.5 * without < 0.5 * 0.7 * kept
    assert until <= 40  # what `paper.yaml` itself says
    assert lines["until_scored"].endswith(f"; until all is scored at most {lines['false']}")


def test_plan_writes_the_costs_it_used_and_reads_them_again(results, tmp_path, capsys):
    config = settings.load(copy.deepcopy(CONFIG))
    plan.main(
        config=config, measured=results, table=None, shapes={}, write=tmp_path / "expenses.tsv"
    )
    first = capsys.readouterr().out
    assert "fit_model            4   0.00" in first
    plan.main(config=config, measured=None, table=tmp_path / "expenses.tsv", shapes={}, write=None)
    second = capsys.readouterr().out
    assert first.split("From ")[0] == second.split("From ")[0]
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "expenses.tsv", expenses.COLUMNS),
        expenses.measured(results),
        check_dtype=False,
    )


def test_a_renewed_table_keeps_what_it_says_of_larger_views(results, tmp_path, capsys):
    table, config = tmp_path / "expenses.tsv", settings.load(copy.deepcopy(CONFIG))
    new = expenses.measured(results)
    largest = new["cells"].max()
    earlier = pd.concat(
        [
            new.iloc[:1].assign(dataset=f"of-{cells}", cells=cells)
            for cells in (largest, largest + 1)
        ]
    )
    write_table(table, pd.concat([earlier, new.assign(seconds=99.0, cells=largest + 1)]))
    plan.main(config=config, measured=results, table=None, shapes={}, write=table)
    kept = read_table(table, expenses.COLUMNS)
    assert list(kept["dataset"].iloc[len(new) :]) == [f"of-{largest + 1}"]
    assert not (kept["seconds"] == 99).any()


@pytest.mark.parametrize("form", ["pandas 2", "pandas 3"])
def test_a_views_size_is_read_in_either_form_of_names(tmp_path, form):
    """anndata writes names as an array of texts, and with pandas 3 as a group: texts and a mask."""
    with h5py.File(tmp_path / "train.h5mu", "w") as file:
        obs = file.create_group("obs")
        obs.attrs["_index"] = "_index"
        if form == "pandas 2":
            obs["_index"] = ["a", "b", "c"]
        else:
            obs["_index/values"], obs["_index/mask"] = ["a", "b", "c"], np.zeros(3, dtype=bool)
        file["mod/rna/uns/mean"], file["mod/adt/uns/mean"] = np.zeros(5), np.zeros(2)
    assert expenses._shape_of_view(tmp_path / "train.h5mu") == (3, 7)
