"""The race: who is put out, what it costs, how often it is wrong, and what the command plans."""

import importlib.util
import json
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench import catalog, cli, stamps
from mosaicbench.commands import race as command
from mosaicbench.files.config import read_config
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.layout import Results
from mosaicbench.report.tables.contract import RUN_COLUMNS
from mosaicbench.statistics.race import ALPHA, ROUNDS, Race, last_of, put_out_after, standing_of

FIRST = 3


def scores_of(means, seeds, *, noise=0.1, seed=0):
    """Return (seeds, runs); half of the noise is the split's, and all runs share it."""
    random = np.random.default_rng(seed)
    split = random.standard_normal((seeds, 1))
    x = np.array(list(means.values())) + noise * (
        split + random.standard_normal((seeds, len(means)))
    )
    return pd.DataFrame(x, columns=list(means))


def test_who_is_far_behind_is_put_out_and_who_is_level_stands():
    table = scores_of({"a": 1.0, "b": 1.0, "far": -5.0}, 8)
    standing = standing_of(table, 1, FIRST)
    assert set(standing.standing) == {"a", "b"}
    assert FIRST <= standing.out["far"] <= 6
    assert not standing.decided
    turned = standing_of(-table, -1, FIRST)  # less is better
    assert turned == standing


def test_what_came_later_does_not_change_who_was_put_out_before():
    table = scores_of({"a": 1.0, "b": 0.5, "c": 0.0, "d": -2.0}, 12, noise=0.2)
    whole = standing_of(table, 1, FIRST)
    assert whole.out
    for seeds in range(FIRST, 12):
        expected = {run: n for run, n in whole.out.items() if n <= seeds}
        assert standing_of(table.iloc[:seeds], 1, FIRST).out == expected
    gone = table.copy()
    for run, n in whole.out.items():
        gone.loc[n:, run] = np.nan  # no more seeds are fitted of a run that is out
    assert standing_of(gone, 1, FIRST) == whole


def test_the_level_is_that_of_the_paired_t_test_over_rounds_and_opponents():
    from scipy.stats import ttest_rel

    table = scores_of({"a": 0.3, "b": 0.0, "c": 0.0}, 12, noise=0.1)
    out = standing_of(table, 1, FIRST).out
    for run in ("b", "c"):
        passed = [
            n
            for n in range(FIRST, 13)
            if ttest_rel(table["a"][:n], table[run][:n], alternative="greater").pvalue
            < ALPHA / ROUNDS / 2
        ]
        assert out.get(run) == (passed[0] if passed else None)


def test_a_run_that_failed_is_no_longer_in():
    table = scores_of({"a": 1.0, "b": 1.0, "c": 1.0}, 5)
    table.loc[1, "a"], table.loc[4, "b"] = np.nan, np.nan
    standing = standing_of(table, 1, FIRST)
    assert (standing.standing, standing.failed) == (("c",), ("a", "b"))


@pytest.mark.parametrize("gaps", [[0.0] * 6, [0, 0, -2, -2, -2, -2], [0, -0.5, -0.5, -1, -1, -1]])
def test_a_leader_is_put_out_in_at_most_one_of_twenty_races(gaps):
    random, gaps = np.random.default_rng(1), np.array(gaps, dtype=float)
    x = random.standard_normal((2000, len(gaps), last_of(FIRST))) + gaps[:, None]
    out = put_out_after(x, FIRST)[:, gaps == 0] > 0
    assert out.mean(axis=0).max() < ALPHA
    assert put_out_after(5 * gaps[:, None] + x, FIRST)[:, gaps < -1].all()  # and it does put out


def test_the_table_of_the_docs_is_that_of_the_simulation(capsys, monkeypatch):
    spec = importlib.util.spec_from_file_location("simulation", REPOSITORY / "benchmarks/race.py")
    simulation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(simulation)
    monkeypatch.setattr(simulation, "REPEATS", 50)
    simulation.main()
    said = capsys.readouterr().out.splitlines()
    documented = (REPOSITORY / "docs/statistics.md").read_text()
    for line in said:
        noise, means = (part.strip() for part in line.split("|")[1:3])
        assert f"| {noise} | {means} |" in documented
    assert said[0] in documented


# --- the loop ------------------------------------------------------------------------------------------------------------


def started(means, seeds=FIRST):
    return Race(
        FIRST,
        dict.fromkeys(means, 1),
        {question: scores_of(of, seeds) for question, of in means.items()},
    )


def fitted(means, asked):
    def fit(entrants, seed):
        asked.append((seed, set(entrants)))
        return {
            q: {run: of[run] + 0.01 * np.sin(seed * (1 + i)) for i, run in enumerate(of)}
            for q, of in means.items()
        }

    return fit


def test_seeds_are_added_only_for_runs_that_stand_where_nothing_is_decided():
    means = {
        "open": {"a": 1.0, "b": 1.0, "far": -90.0},
        "decided": {"a": 90.0, "b": 1.0, "far": 1.0},
    }
    race, asked = started(means), []
    race.run(3, fitted(means, asked), lambda question, run: run, budget=4)
    assert [runs for _, runs in asked] == [{"a", "b"}, {"a", "b"}]
    assert ([seed for seed, _ in asked], race.fits) == ([3, 4], 4)


def test_it_stops_when_one_leads_and_when_the_tests_allow_for_no_more():
    means = {"one": {"a": 1.0, "b": 0.5}}
    race, asked = started(means), []
    race.run(3, fitted(means, asked), lambda question, run: run, budget=1000)
    assert race.standings()["one"].standing == ("a",)
    assert race.wanted(lambda question, run: run) == []
    level = {"one": {"a": 1.0, "b": 1.0}}
    race = started(level)
    race.run(3, fitted(level, []), lambda question, run: run, budget=1000)
    assert len(race.tables["one"]) == last_of(FIRST)


# --- the command ---------------------------------------------------------------------------------------------------------

MEANS = {("foscttm", "a->b"): [0.2, 0.2, 0.9, 0.0]}
MEANS |= {("imputation_pearson_per_feature", d): [0.5, 0.1, 0.1, 1.0] for d in ("a->b", "b->a")}
RUNS = ("mvae", "mmvae", "cca", "oracle")


@pytest.fixture
def finished(tmp_path):
    """What a finished benchmark leaves that the race reads."""
    random, names = np.random.default_rng(0), {"dataset": "simulated", "scenario": "paired"}
    rows = [
        names | {"run": run, "seed": seed, "metric": metric, "direction": direction, "space": "-", "status": "ok"}
        | {"value": mean + 0.001 * random.standard_normal()}
        for (metric, direction), means in MEANS.items()
        for run, mean in zip(RUNS, means, strict=True)
        for seed in range(6)
    ]  # fmt: skip
    write_table(tmp_path / "tables/scores.tsv", pd.DataFrame(rows)[SCORE_COLUMNS])
    of_runs = [
        names | {"run": run, "method": run, "seed": seed, "status": "ok"}
        for run in RUNS
        for seed in range(6)
    ]
    write_table(tmp_path / "tables/runs.tsv", pd.DataFrame(of_runs).reindex(columns=RUN_COLUMNS))
    scenarios = {"paired": {"kind": "paired", "runs": list(RUNS)}, "unpaired": {"kind": "unpaired"}}
    config = {
        "datasets": {"simulated": None, "other": {}},
        "scenarios": scenarios,
        "runs": {run: {} for run in RUNS},
    }
    config |= {
        "seeds": list(range(6)),
        "training": {"max_epochs": 2},
        "keep": ["mvae"],
        "pathvars": {"results": "results"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/simulated.h5mu").write_text("prepared")
    return tmp_path


def test_a_dry_run_says_what_would_be_fitted_and_writes_nothing(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    cli.main(["recommend", str(finished), "--race", "--dry-run", "--cores", "2"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "seed 6: 2 fits"
    assert {line.split(": ")[1] for line in said[1:3]} == {"MVAE", "MMVAE"}
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_the_next_round_is_a_benchmark_of_the_runs_that_stand(finished, started_ones, capsys):
    cli.main(["recommend", str(finished), "--race", "--budget", "2"])
    said = capsys.readouterr().out
    round_6 = finished / "race/seed-6"
    config = yaml.safe_load((round_6 / "config.yaml").read_text())
    stand = ["mmvae", "mvae"]
    assert (list(config["datasets"]), list(config["runs"]), config["seeds"]) == (
        ["simulated"],
        stand,
        [6],
    )
    assert config["scenarios"] == {"paired": {"kind": "paired", "runs": ["mvae", "mmvae"]}}
    assert config["training"] == {"max_epochs": 2}
    assert config["keep"] == []
    assert config["pathvars"]["results"] == str(round_6)
    assert (round_6 / "datasets/simulated.h5mu").read_text() == "prepared"
    assert "for finding a cell's partner, " in said and "are still in after 7 seeds" in said
    assert "for imputing b from a, MVAE leads after 6 seeds." in said


def test_a_round_prepares_no_dataset_again(finished, monkeypatch):
    stamps.stamp(Results(finished).code, "prepare", catalog.module("datasets", "simulated"))
    (finished / "datasets/simulated.h5mu").write_text("prepared after that code was seen")
    (finished / "race/seed-6/datasets").mkdir(parents=True)
    (finished / "race/seed-6/datasets/simulated.h5mu").write_text("planned with other data")
    planned = command._written(
        finished, read_config(finished / "config.json"), [("simulated", "paired", "cca")], 6
    )
    assert (planned / "datasets/simulated.h5mu").read_text() == "prepared after that code was seen"
    monkeypatch.chdir(finished)
    snakemake = command._command(planned, [("simulated", "paired", "cca")], "1")
    told = subprocess.run(
        [*snakemake[:3], "--dry-run", *snakemake[3:]], capture_output=True, text=True
    )
    jobs = set(re.findall(r"^(\w+) +1$", told.stdout + told.stderr, re.M))
    assert jobs == {"cut", "fit_baseline", "score_1"}, told.stdout + told.stderr


@pytest.fixture
def started_ones(monkeypatch):
    """The rounds that were started, whose scores are made up."""
    found = []

    def fit(folder, cores):
        found.append(folder.name)
        entrants = json.loads((folder / command.ENTRANTS).read_text())
        for target, names in zip(command._scores_of(folder, entrants), entrants, strict=True):
            seed = int(folder.name.removeprefix("seed-"))
            row = dict(zip(("dataset", "scenario", "run"), names, strict=True)) | {
                "seed": seed,
                "metric": "foscttm",
            }
            row |= {
                "direction": "a->b",
                "space": "-",
                "value": 0.2 + 0.001 * np.sin(seed + len(names[2])),
                "status": "ok",
            }
            write_table(target, pd.DataFrame([row])[SCORE_COLUMNS])

    monkeypatch.setattr(command, "_start", fit)
    return found


def test_rounds_are_fitted_until_the_budget_is_spent_and_an_interrupted_one_is_ended_first(
    finished, started_ones, capsys
):
    cli.main(["recommend", str(finished), "--race", "--dry-run"])
    assert not started_ones
    cli.main(["recommend", str(finished), "--race", "--budget", "5"])
    assert started_ones == ["seed-6", "seed-7"]
    assert (
        "stopped after 4 fits: the next round needs 2, the budget was 5" in capsys.readouterr().out
    )
    (finished / "race/seed-7/runs/simulated/paired/mvae/scores.tsv").unlink()
    cli.main(
        ["recommend", str(finished), "--race", "--budget", "1"]
    )  # too little for a round of two fits
    assert started_ones == ["seed-6", "seed-7", "seed-7"]


def changed(folder, **parts):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"training": {"max_epochs": 9}},
            r"seed-6/config.yaml: .* training.max_epochs is 2, today's is 9; .* move .*seed-7$",
        ),
        ({"runs": dict.fromkeys(RUNS) | {"mvae": {"beta": 2.0}}}, "its runs.mvae.* today's is"),
        ({"preprocess": {"rna": {"features": 9}}}, "its preprocess.* today's is"),
        ({"datasets": {"simulated": {"cells": 9}}}, "its datasets.simulated"),
    ],
)
@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_rounds_of_another_benchmark_are_refused(finished, started_ones, parts, message, dry):
    cli.main(["recommend", str(finished), "--race", "--budget", "4"])
    changed(finished, **parts)
    with pytest.raises(SystemExit, match=message):
        cli.main(["recommend", str(finished), "--race", *dry])
    assert started_ones == ["seed-6", "seed-7"]


def rewritten(path, text):
    path.unlink()  # as prepare does: a new file has the name
    path.write_text(text)


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_rounds_of_data_that_have_changed_since_are_refused(finished, started_ones, dry):
    cli.main(["recommend", str(finished), "--race", "--budget", "2"])
    rewritten(finished / "datasets/simulated.h5mu", "prepared")  # again, and the same
    cli.main(["recommend", str(finished), "--race", "--budget", "2"])
    assert started_ones == ["seed-6", "seed-7"]
    rewritten(finished / "datasets/simulated.h5mu", "prepared of other bytes")
    with pytest.raises(
        SystemExit,
        match=r"seed-6/datasets/simulated.h5mu: .* other data .* move .*seed-6, .*seed-7$",
    ):
        cli.main(["recommend", str(finished), "--race", *dry])
    assert started_ones == ["seed-6", "seed-7"]


def test_a_round_that_prepared_changed_data_ends_the_race(finished, started_ones, monkeypatch):
    fit = command._start

    def fit_changed(folder, cores):
        fit(folder, cores)
        rewritten(folder / "datasets/simulated.h5mu", "prepared of other bytes")

    monkeypatch.setattr(command, "_start", fit_changed)
    with pytest.raises(SystemExit, match="seed-6/datasets/simulated.h5mu: .* other data"):
        cli.main(["recommend", str(finished), "--race", "--budget", "9"])
    assert started_ones == ["seed-6"]


def test_what_changes_no_score_keeps_the_rounds(finished, started_ones):
    cli.main(["recommend", str(finished), "--race", "--budget", "2"])
    runs = dict.fromkeys(("mvae", "mmvae", "cca"))
    scenarios = {"paired": {"kind": "paired", "runs": list(runs)}}
    changed(
        finished,
        training={"max_epochs": 2, "seeds_at_once": True},
        runs=runs,
        scenarios=scenarios,
        limits={"minutes": 9},
    )
    cli.main(["recommend", str(finished), "--race", "--budget", "2"])
    assert started_ones == ["seed-6", "seed-7"]


def test_a_round_of_a_seed_that_the_benchmark_has_by_now_counts_once(
    finished, started_ones, capsys
):
    cli.main(["recommend", str(finished), "--race", "--budget", "2"])
    changed(finished, seeds=list(range(7)))
    own = read_table(finished / "tables/scores.tsv")
    write_table(
        finished / "tables/scores.tsv", pd.concat([own, own[own["seed"] == 5].assign(seed=6)])
    )
    cli.main(["recommend", str(finished), "--race", "--dry-run"])
    said = capsys.readouterr()
    assert "MVAE are still in after 7 seeds." in said.out and "failed" not in said.out
    assert f"{finished / 'race/seed-6'}: not counted" in said.err
    assert "seed 7: 2 fits" in said.out


def test_tuned_runs_are_left_out_and_named(finished, capsys):
    for path, columns in (
        (finished / "tables/scores.tsv", SCORE_COLUMNS),
        (finished / "tables/runs.tsv", RUN_COLUMNS),
    ):
        table = read_table(path)
        tuned = table[table["run"] == "mvae"].assign(run="mvae-tuned")
        write_table(path, pd.concat([table, tuned])[columns])
    cli.main(["recommend", str(finished), "--race", "--dry-run"])
    said = capsys.readouterr().out
    assert "seed 6: 2 fits" in said
    assert (
        said.splitlines()[-1]
        == "not in the race, since their settings are searched for: MVAE (tuned)"
    )


def test_a_folder_without_a_benchmark_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="run the benchmark to its end first"):
        cli.main(["recommend", str(tmp_path), "--race"])
