"""Jobs: which runs one job fits, its keywords, and which edited key changes which job."""

import json
from pathlib import Path

import h5py
import pytest
from synthetic_results import WARNING, made_datasheet

from mosaicbench import cli
from mosaicbench.config import jobs, settings
from mosaicbench.errors import UserError
from mosaicbench.files.datasheet import read_datasheet
from mosaicbench.workflow.layout import FILES_OF_FIT, Results

SPLIT = ("simulated", "paired")
CONFIG = {
    "datasets": {"simulated": {"cells": 300}},
    "scenarios": {"paired": {"kind": "paired"}, "unpaired": {"kind": "unpaired"}},
    "runs": {"mvae": {}, "totalvi": {}, "cca": {}, "linked_cca": {}, "maxfuse": {}, "oracle": {}},
    "seeds": [3, 5],
    "tuning": {"trials": 2, "runs": ["cca"]},
}
WHERE = {"split": SPLIT, "runs": ["mvae"], "seeds": [3]}


def bench_of(**more):
    return settings.load(CONFIG | more)


def rules_of(bench):
    return {run: jobs.fitting(bench, *SPLIT, run) for run in bench.runs_of_splits[SPLIT]}


def test_cheap_methods_of_a_small_dataset_are_one_job_and_a_quick_model_has_one_for_all_seeds():
    bench = bench_of()
    assert rules_of(bench) == {
        "mvae": "fit_quick_model",
        "totalvi": "fit_model",
        "cca": "fit_cheap",
        "oracle": "fit_cheap",
        "cca-tuned": "fit_baseline",
    }
    unpaired = ("simulated", "unpaired")
    assert jobs.cheap_runs(bench, unpaired) == ["linked_cca", "oracle"]
    assert jobs.fitting(bench, *unpaired, "maxfuse") == "fit_baseline"


def test_a_model_of_many_fixed_steps_has_a_job_for_each_seed():
    runs = {"scmodal": {}, "short": {"method": "scmodal", "steps": 500}}
    bench = bench_of(runs=runs, tuning={"trials": 2, "runs": ["short"]})
    rules = [jobs.fitting(bench, "simulated", "unpaired", run) for run in runs]
    assert rules == ["fit_model", "fit_quick_model"]


@pytest.mark.parametrize(
    "more", [{"datasets": {"simulated": {"cells": 20_001}}}, {"keep_imputed": False}]
)
def test_of_many_cells_or_where_imputed_values_go_each_cheap_method_has_a_job(more):
    rules = rules_of(bench_of(**more))
    assert {rules[run] for run in ("cca", "oracle")} == {"fit_baseline"}


def test_cells_are_drawn_of_chosen_runs_or_of_those_that_are_recommended():
    results, first = Results("results"), bench_of()
    job = jobs.layout(first, results)
    assert job["recommendations"] == Path(results.table("recommendations"))
    split, *runs = job["splits"][first.splits.index(SPLIT)]
    assert split == Path(results.split(*SPLIT, 3))
    competing = ("mvae", "totalvi", "cca", "cca-tuned")
    assert set(runs) == {Path(results.fit(*SPLIT, run, 3)) for run in competing}
    chosen = jobs.layout(bench_of(report={"umap_runs": ["oracle"]}), results)
    assert chosen["recommendations"] is None
    oracle = [Path(results.fit(*split, "oracle", 3)) for split in first.splits]
    assert [runs for _, *runs in chosen["splits"]] == [[run] for run in oracle]


def test_a_job_may_be_of_some_seeds():
    assert jobs.split(bench_of(), Results("results"), split=SPLIT, seeds=[5])["seeds"] == [5]


def test_a_long_training_has_a_job_for_each_seed():
    of_epochs = {"max_epochs": 10_000, "batch_size": 128}
    assert rules_of(bench_of(training=of_epochs))["mvae"] == "fit_model"
    many = {"simulated": {"cells": 30_000}}
    assert rules_of(bench_of(datasets=many))["mvae"] == "fit_model"
    short = bench_of(datasets=many, training={"max_epochs": 2})
    assert rules_of(short)["mvae"] == "fit_quick_model"


def digests(bench):
    """Return the digest of each kind of job of a config."""
    tuned = {"split": SPLIT, "runs": ["cca-tuned"], "seeds": [3]}
    named = {
        "prepare": {"dataset": "simulated"},
        "split": {"split": SPLIT},
        "fit": WHERE,
        "split_inner": {"split": SPLIT, "seeds": [3]},
        "tune": tuned,
        "score": {"split": SPLIT},
        "layout": {},
        "draw": {},
    }
    found = {command: jobs.digest(command, bench, **words) for command, words in named.items()}
    found["fit of all seeds"] = jobs.digest("fit", bench, split=SPLIT, runs=["cca"])
    return found


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ({"metrics": {"groups": ["alignment"]}}, {"score", "draw"}),
        ({"runs": CONFIG["runs"] | {"mvae": {"latent": 3}}}, {"fit"}),
        ({"training": {"max_epochs": 3}}, {"fit"}),
        ({"datasets": {"simulated": {"cells": 400}}}, {"prepare"}),
        ({"preprocess": {"rna": {"features": 50}}}, {"split"}),
        ({"tuning": CONFIG["tuning"] | {"trials": 3}}, {"tune"}),
        ({"limits": {"minutes": 7}}, {"fit", "fit of all seeds", "tune"}),
        ({"pathvars": {"results": "other"}}, set()),
        ({"seeds": [3, 5, 7]}, {"split", "score", "fit of all seeds"}),
    ],
)
def test_an_edited_key_changes_the_jobs_that_depend_on_it(more, changed):
    before, after = digests(bench_of()), digests(bench_of(**more))
    differ = {name for name in before if before[name] != after[name]}
    assert differ - {"draw"} == changed - {"draw"}


UNPAIRED = {"split": ("simulated", "unpaired"), "runs": ["cca"]}


@pytest.mark.parametrize(
    ("command", "where", "message"),
    [
        ("fit", WHERE | {"split": ("simulated", "piared")}, "--split: .*simulated/paired"),
        ("fit", WHERE | {"runs": ["mvea"]}, "--run: .*'mvea'; did you mean 'mvae'"),
        ("fit", WHERE | {"seeds": [3, 9]}, "--seed: .* 9, only 3, 5; .*`seeds`"),
        ("split", {"split": SPLIT, "seeds": [3, 9]}, "--seed: .* 9, only 3, 5; .*`seeds`"),
        ("fit", UNPAIRED, "--run: .*'cca' in this .*: needs paired"),
        ("tune", WHERE, "'mvae' is not tuned"),
    ],
)
def test_a_job_that_the_config_does_not_have_is_refused(command, where, message):
    with pytest.raises(UserError, match=message):
        getattr(jobs, command)(bench_of(), Results("results"), **where)


@pytest.fixture
def recorded_at(tmp_path):
    bench = bench_of()
    (tmp_path / "config.json").write_text(json.dumps(bench.recorded()))
    return bench, ["--config", str(tmp_path / "config.json"), "--split", "/".join(SPLIT)]


@pytest.fixture
def asked(monkeypatch):
    """Return the keywords with which `fit` is called, where nothing is fitted."""
    calls = []

    def fit(**keywords):
        calls.append(keywords)
        for output in keywords["runs"][0]["outputs"]:
            assert Path(output).is_dir()  # where a training is saved
            for file in FILES_OF_FIT:
                Path(output, file).write_text('{"status": "ok"}')

    monkeypatch.setattr("mosaicbench.commands.fit.main", fit)
    return calls


def test_what_a_rule_runs_can_be_typed(asked, recorded_at, monkeypatch):
    bench, words = recorded_at
    monkeypatch.setenv("MOSAICBENCH_CHECKPOINT_SECONDS", "7")
    settled = jobs.digest("fit", bench, split=SPLIT, runs=["oracle"])
    grant = ["--attempt", "1", "--granted-mb", "1060", "--granted-minutes", "12"]
    cli.main(["fit", *words, "--run", "oracle"])
    more = ["--settings", settled, *grant]
    cli.main(["fit", *words, "--run", "oracle", *more])
    typed, scheduled = asked
    assert scheduled == typed | {"usable": {"memory_mb": 60, "minutes": 7}}
    assert typed["checkpoint_seconds"] == 7
    assert [seed["seed"] for seed in typed["seeds"]] == [3, 5]


def test_a_config_that_changed_after_planning_and_no_number_of_seconds_are_one_message(
    asked, recorded_at, monkeypatch
):
    words = ["fit", *recorded_at[1], "--run", "mvae"]
    with pytest.raises(SystemExit, match="config.json: .* start Snakemake again"):
        cli.main([*words, "--settings", "0" * 12])
    monkeypatch.setenv("MOSAICBENCH_CHECKPOINT_SECONDS", "abc")
    with pytest.raises(SystemExit, match="CHECKPOINT_SECONDS=abc"):
        cli.main(words)
    assert not asked


def test_only_runs_that_align_by_pairs_alone_are_named_and_only_without_pairs():
    runs = {name: {} for name in ("mvae", "contrastive_vae", "scmodal", "cca", "oracle")}
    pairs = {"none": 0, "some": 0.2}
    mosaics = {name: {"kind": "mosaic", "paired_fraction": some} for name, some in pairs.items()}
    bench = bench_of(runs=runs, scenarios=CONFIG["scenarios"] | mosaics, tuning=None)
    found = jobs.cannot_learn(bench)
    for (dataset, text), scenario in zip(found, ("unpaired", "none"), strict=True):
        assert dataset == "simulated" and f"'{scenario}'" in text and "chance: mvae;" in text
    assert jobs.tabulate(bench, Results("results"))["cannot_learn"] == found


def rewrite(file, name, content):
    """Replace what a prepared dataset says of itself."""
    with h5py.File(file, "a") as opened:
        del opened[f"uns/mosaicbench/{name}"]
        opened[f"uns/mosaicbench/{name}"] = json.dumps(content)


def test_the_end_warns_of_a_dataset_without_pairs_as_check_does(tmp_path):
    scenarios = {"own": {"kind": "as_measured"}}
    bench = bench_of(runs={"mvae": {}, "scmodal": {}}, scenarios=scenarios, tuning=None)
    results = Results(tmp_path)
    sheet = made_datasheet(Path(results.dataset("simulated")))
    assert not [text for text in jobs.cautions(bench, results) if "has no pairs" in text]
    job = jobs.tabulate(bench, results)
    assert job["cannot_learn"] == []
    assert [dataset for dataset, _ in job["cannot_learn_without_pairs"]] == ["simulated"]
    rows, _ = read_datasheet(sheet)
    for row in rows:
        row["cells_of_dataset"] = sum(each["cells"] for each in rows)
    rewrite(sheet, "datasheet", rows)
    (line,) = [text for text in jobs.cautions(bench, results) if "has no pairs" in text]
    assert line.startswith("WARNING: simulated: scenario 'own'") and "chance: mvae;" in line


def test_warnings_of_datasets_are_a_screenful_and_name_where_all_are(tmp_path):
    bench, results = bench_of(runs={"cca": {}}, tuning=None), Results(tmp_path)
    assert jobs.cautions(bench, results) == []  # nothing is prepared
    made_datasheet(Path(results.dataset("simulated")))
    assert jobs.cautions(bench, results) == [f"WARNING: simulated: {WARNING}"]
    many = [f"thing {number} is odd" for number in range(30)]
    rewrite(results.dataset("simulated"), "warnings", many)
    *first, last = jobs.cautions(bench, results)
    assert first == [f"WARNING: simulated: {text}" for text in many[: len(first)]]
    assert len(first) < 20 and f"{30 - len(first)} more warnings" in last
    Path(results.tables).mkdir()
    Path(results.table("warnings")).touch()
    assert str(results.table("warnings")) in jobs.cautions(bench, results)[-1]
