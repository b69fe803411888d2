"""Tuning: settings are chosen on train cells alone, a search goes on where it was killed, and failures are trials."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from mosaicbench_fits import LIMITS, poisoned, run_of, seeds_of
from mosaicbench_splits import cut, cut_small, small_dataset
from test_scenarios import same

from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.commands import fit, tune
from mosaicbench.commands import split_inner as divide
from mosaicbench.config import settings
from mosaicbench.data.split import inner_split
from mosaicbench.datasets import simulated
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.best import read_best, write_best
from mosaicbench.files.splits import read_split, write_split
from mosaicbench.files.tables import read_table
from mosaicbench.tuning import search
from mosaicbench.tuning.objective import value_of
from mosaicbench.tuning.search import RANDOM, best_of, settings_of

SPACE = {
    "latent": {"int": [5, 64], "log": True},
    "rate": {"float": [0.0, 1.0]},
    "kind": {"choice": ["a", "b"]},
}
DEFAULTS = {"latent": 20, "rate": None, "kind": "a"}
HIDING = {"paired": {}, "unpaired": {}, "mosaic": {"paired_fraction": 0.5}, "as_measured": {}}


@pytest.fixture(scope="module")
def simulation():
    return simulated.load(None, cells=160, n_rna=80, n_atac=120, n_adt=10)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return cut_small(small_dataset(), "paired", tmp_path_factory.mktemp("tuned") / "split", seed=3)


def train_of(dataset, kind, **options):
    return cut(dataset, kind, seed=3, **HIDING[kind], **options)["train"]


# --- the inner split ---


@pytest.mark.parametrize("kind", HIDING)
def test_an_inner_split_is_a_valid_split_of_train_cells_alone(simulation, kind, tmp_path):
    train = train_of(simulation, kind)
    parts = inner_split(train, fraction=0.25, seed=0)
    for noun, part in parts.items():
        write_split(tmp_path / f"{noun}.h5mu", part)  # refuses what breaks the contract
        assert {"dataset": "d", "scenario": "s", "seed": 3}.items() <= part.uns[KEY].items()
    chosen = set(parts["solution"].uns["train_cells"])
    assert chosen < set(train.obs_names)
    for modality, cells in train.mod.items():
        inner, held_out = parts["train"][modality], parts["solution"][modality]
        assert inner.n_obs + held_out.n_obs == cells.n_obs
        assert set(inner.var_names) <= set(cells.var_names)
        assert inner.n_obs == len(chosen & set(cells.obs_names))


def test_cells_keep_their_values_where_nothing_is_learned_from_others(simulation):
    """Library sizes are over all features, though the split has only chosen ones."""
    train = train_of(simulation, "paired", preprocess={"rna": {"features": 40}})
    inner = inner_split(train, fraction=0.25, seed=0)
    rna, outer = inner["train"]["rna"], train["rna"][:, inner["train"]["rna"].var_names]
    expected = outer[inner["solution"].uns["train_cells"]].X.toarray()
    np.testing.assert_allclose(rna.X.toarray(), expected, rtol=1e-6)


def test_what_is_held_out_inside_decides_nothing_that_is_fitted(simulation):
    train = train_of(simulation, "paired")
    clean = inner_split(train, fraction=0.25, seed=0)
    changed = train.copy()
    inside = set(clean["solution"].uns["train_cells"])
    for cells in changed.mod.values():
        outside = ~cells.obs_names.isin(list(inside))
        counts = cells.layers["counts"].toarray()
        counts[outside] = counts[outside][::-1] + 7
        cells.layers["counts"] = type(cells.layers["counts"])(counts)
    dirty = inner_split(changed, fraction=0.25, seed=0)
    assert same(clean["train"], dirty["train"])
    assert not same(clean["query"], dirty["query"])


def test_groups_stay_whole_where_the_scenario_splits_by_them(simulation, capsys):
    dataset = simulation.copy()
    dataset.obs["donor"] = [f"donor {place % 4}" for place in range(dataset.n_obs)]
    train = train_of(dataset, "paired", split={"by": "donor", "held_out": ["donor 1"]})
    donors = train["rna"].obs["donor"].astype(str)
    assert set(donors) == {"donor 0", "donor 2", "donor 3"}
    parts = inner_split(train, fraction=0.25, seed=0, by="donor")
    inside = donors[parts["solution"].uns["train_cells"]]
    assert inside.nunique() == 2
    assert (donors.isin(set(inside))).sum() == len(inside)
    for cells in train.mod.values():
        cells.obs["donor"] = "donor 0"
    assert inner_split(train, fraction=0.25, seed=0, by="donor")["query"]["rna"].n_obs > 0
    assert "same donor" in capsys.readouterr().err


def test_another_seed_of_the_search_or_of_the_split_divides_otherwise(simulation):
    train = train_of(simulation, "paired")
    chosen = []
    for of_split, seed in [(3, 0), (3, 0), (3, 1), (4, 0)]:
        train.uns[KEY]["seed"] = of_split
        parts = inner_split(train, fraction=0.25, seed=seed)
        chosen.append(set(parts["solution"].uns["train_cells"]))
    assert chosen[0] == chosen[1] not in chosen[2:]


# --- the objective ---


TRANSFER = {"label_transfer_accuracy": 0.7, "label_transfer_macro_f1": 0.5}


@pytest.mark.parametrize(
    ("objective", "scores", "expected"),
    [
        ("mean", TRANSFER | {"foscttm": 0.1, "recall_at_10": 0.4}, ((0.8 + 0.4) / 2 + 0.6) / 2),
        ("mean", TRANSFER | {"foscttm": 0.1, "recall_at_10": math.nan}, (0.8 / 2 + 0.6) / 2),
        ("mean", {}, None),
        ("foscttm", {"foscttm": 0.1}, -0.1),
        ("imputation_skill", {"imputation_skill": 0.3}, 0.3),
        ("foscttm", {"foscttm": math.nan}, None),
    ],
)
def test_more_is_better_of_one_metric_or_of_the_mean_over_groups(objective, scores, expected):
    """A FOSCTTM of 0.1 is 0.8 of the way from chance to the best."""
    assert value_of(objective, scores) == (expected and pytest.approx(expected))


# --- the search ---


OUTCOME = {"status": "ok", "seconds": 1.0, "cpu_seconds": 1.0, "message": ""}


def judged(settings):
    return -((math.log(settings.get("latent", 20)) - math.log(40)) ** 2), OUTCOME


def searched(folder, trials, seed=0, fails=()):
    study = search.opened(folder, f"{seed}{fails}")
    while len(done := study.trials) < trials:
        chosen = search.next_settings(done, SPACE, DEFAULTS, seed)
        value, outcome = judged(chosen)
        value = None if len(done) in fails else value
        search.keep(study, SPACE, DEFAULTS | chosen, value, outcome)
    return done


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("search"), RANDOM + 20)


def test_the_first_trial_has_the_defaults_and_all_others_lie_in_the_space(done):
    assert settings_of(done[0]) == {}
    for trial in done[1:]:
        assert set(trial.params) == set(SPACE)
        assert all(spaces.holds(SPACE[name], value) for name, value in trial.params.items())
    assert len({json.dumps(trial.params) for trial in done}) == len(done)


def test_the_random_trials_are_the_same_whatever_was_found_so_that_datasets_share_them(
    done, tmp_path
):
    first = [trial.params for trial in done[: RANDOM + 4]]
    failed = best_of(done[: RANDOM + 1]).number
    other = [trial.params for trial in searched(tmp_path, RANDOM + 4, fails=[failed])]
    assert first[: RANDOM + 1] == other[: RANDOM + 1]
    assert first[RANDOM + 1 :] != other[RANDOM + 1 :]
    assert searched(tmp_path, 2, seed=1)[1].params != first[1]


def test_after_the_random_trials_the_search_stays_near_what_was_good(done):
    far = [abs(math.log(trial.params["latent"] / 40)) for trial in done[1:]]
    assert np.mean(far[RANDOM:]) < 0.7 * np.mean(far[:RANDOM])


def test_the_best_is_the_earliest_of_equals_and_the_defaults_where_all_failed(tmp_path):
    def best(*values):
        study = search.opened(tmp_path, str(values))
        for value in values:
            search.keep(study, SPACE, DEFAULTS, value, OUTCOME)
        return best_of(study.trials).number

    assert best(0.2, 0.5, 0.5, None) == 1
    assert best(None, None) == 0
    assert best(None, -0.4) == 1


# --- the command ---


@pytest.fixture
def job(split, tmp_path):
    inner = tmp_path / "inner"
    divide.main(split=split / "train.h5mu", fraction=0.2, seed=0, by=None, output=inner)
    identity = {"dataset": "small", "scenario": "paired", "run": "cca-tuned"}
    identity |= {"method": "cca", "seed": 3}
    return {
        "identity": identity,
        "of": "cca",
        "hyperparameters": {"components": 25},
        "split": inner,
        "output": tmp_path / "tuning",
        "trials": 3,
        "objective": "mean",
        "seed": 0,
        "limits": {"minutes": 5, "memory_mb": 8000},
    }


TUNE = """
import json, sys
from pathlib import Path
from mosaicbench.commands import tune
job = json.load(sys.stdin)
tune.main(**job | {key: Path(job[key]) for key in ("split", "output")})
"""


def test_a_search_fits_scores_and_tells_what_was_best(job):
    """In a process of its own, as a job of the workflow: this one may hold threads, which a fork would wait for."""
    given = json.dumps(job, default=str)
    subprocess.run([sys.executable, "-c", TUNE], input=given, text=True, check=True)
    trials = read_table(job["output"] / "trials.tsv")
    best = read_best(job["output"] / "best.json", job["identity"])
    assert list(trials["status"]) == ["ok"] * 3
    assert list(trials.columns[-1:]) == ["latent"]  # what the run states stays as it is
    assert trials["latent"].iloc[0] == 20
    assert (trials["seconds"] > 0).all()
    assert best["best"] == pytest.approx(trials["objective"].max())
    assert best["default"] == pytest.approx(trials["objective"].iloc[0])
    chosen = trials.loc[trials["objective"].idxmax()]
    found = {} if best["best_trial"] == 0 else {"latent": chosen["latent"]}
    assert best["hyperparameters"] == found


def test_poisoned_query_and_solution_leave_the_settings_alone(job, split, tmp_path, monkeypatch):
    """Overwrite all of a split that is no train cell: the inner split, and with it all that a search may read, is the same."""
    dirty, again = poisoned(split, tmp_path / "poisoned"), tmp_path / "again"
    query = read_split(dirty / "query.h5mu", "query")
    for cells in query.mod.values():
        cells.X = np.random.default_rng(0).random(cells.shape).astype(np.float32)
    write_split(dirty / "query.h5mu", query)
    divide.main(split=dirty / "train.h5mu", fraction=0.2, seed=0, by=None, output=again)
    for part in ("train", "query", "solution"):
        places = (job["split"], again)
        assert same(*(read_split(place / f"{part}.h5mu", part) for place in places))
    read = []
    monkeypatch.setattr(tune, "tried", lambda *asked: read.append(asked) or judged(asked[0]))
    tune.main(**job)
    for _, tried, solution, *_ in read:
        assert {path.parent for path in (tried.train, tried.query, solution)} == {job["split"]}
        assert tried.solution is None
    assert len(read) == job["trials"]


def fake(monkeypatch, killed_at=None):
    """Judge trials without fitting; return the settings of those that were tried."""
    asked = []

    def tried(settings, *_):
        if len(asked) == killed_at:
            raise KeyboardInterrupt
        asked.append(settings)
        return judged(settings)

    monkeypatch.setattr(tune, "tried", tried)
    return asked


def test_a_killed_search_goes_on_and_ends_as_if_it_had_not_been(job, monkeypatch, tmp_path):
    whole = job | {"trials": RANDOM + 4}
    cut_short = whole | {"output": tmp_path / "cut short"}
    fake(monkeypatch)
    tune.main(**whole)
    fake(monkeypatch, killed_at=RANDOM + 2)
    with pytest.raises(KeyboardInterrupt):
        tune.main(**cut_short)
    assert not (cut_short["output"] / "best.json").exists()
    asked = fake(monkeypatch)
    tune.main(**cut_short)
    assert len(asked) == 2
    for name in ("trials.tsv", "best.json"):
        assert (whole["output"] / name).read_text() == (cut_short["output"] / name).read_text()
    asked = fake(monkeypatch)
    tune.main(**cut_short | {"trials": RANDOM + 5})  # more trials are added to those that were
    assert len(asked) == 1
    asked = fake(monkeypatch)
    tune.main(**cut_short | {"hyperparameters": {}})  # another question begins again
    assert len(asked) == RANDOM + 4


def test_failures_are_trials(job, monkeypatch):
    tune.main(**job | {"limits": {"minutes": 0, "memory_mb": 8000}, "trials": 2})
    trials, best = read_table(job["output"] / "trials.tsv"), read_best(job["output"] / "best.json")
    assert list(trials["status"]) == ["timeout", "timeout"]
    assert trials["message"].str.contains("minutes").all()
    assert (best["hyperparameters"], best["best"], best["ended"]) == ({}, None, 0)
    monkeypatch.setattr(tune, "tried", lambda *_: (None, OUTCOME | {"status": "not_applicable"}))
    tune.main(**job)
    # no setting would make it applicable
    assert read_best(job["output"] / "best.json")["trials"] == 1


# --- tuned runs in a benchmark ---

CONFIG = {
    "datasets": {"simulated": {}},
    "scenarios": {
        "paired": {"kind": "paired", "runs": ["mvae", "cca", "oracle"]},
        "unpaired": {"kind": "unpaired"},
    },
    "runs": {
        "mvae": {},
        "cca": {},
        "fixed": {"method": "cca", "latent": 9, "components": 9},
        "scmodal": {},
        "oracle": {},
    },
    "seeds": [0, 1],
}


def bench_with(**tuning):
    return settings.load(CONFIG | {"tuning": tuning})


def test_every_run_that_has_something_to_search_has_a_tuned_one_beside_it():
    plain, bench = settings.load(CONFIG), bench_with()
    assert list(bench.runs) == [*plain.runs, "mvae-tuned", "cca-tuned", "scmodal-tuned"]
    tuned = bench.runs["mvae-tuned"]
    assert (tuned.method, tuned.tuned_from) == ("mvae", "mvae")
    assert tuned.hyperparameters == bench.runs["mvae"].hyperparameters
    places = [f"{scenario} {run}" for _, scenario, run in bench.tuned]
    assert places[:2] == ["paired mvae-tuned", "paired cca-tuned"]
    assert places[2:] == ["unpaired mvae-tuned", "unpaired scmodal-tuned"]
    assert bench.config["report"]["umap_runs"] == plain.config["report"]["umap_runs"]
    assert (bench.tuned_seeds, bench_with(per_seed=True).tuned_seeds) == ([0], [0, 1])
    chosen = bench_with(runs=["cca"])
    assert set(chosen.runs) - set(plain.runs) == {chosen.tuned[0][2]} == {"cca-tuned"}
    assert len(chosen.tuned) == 1


@pytest.mark.parametrize(
    ("tuning", "message"),
    [
        ({"runs": ["mvea"]}, "tuning.runs: .*'mvea'; did you mean 'mvae'"),
        ({"runs": ["fixed"]}, "tuning.runs: 'fixed' .* its stanza states all"),
        ({"objective": "foscttn"}, "tuning.objective: .*'foscttn'; did you mean 'foscttm'"),
        ({"objective": "fit_seconds"}, "tuning.objective: .* 'fit_seconds'"),
    ],
)
def test_a_mistake_is_named(tuning, message):
    with pytest.raises(UserError, match=message):
        bench_with(**tuning)


def test_a_fit_takes_the_settings_that_were_found(split, tmp_path, monkeypatch):
    place = {"dataset": "small", "scenario": "paired", "run": "cca-tuned"}
    found, fits = [], []
    for latent in (7, 9):
        found.append(tmp_path / f"{latent}/best.json")
        write_best(found[-1], place | {"hyperparameters": {"latent": latent}})
    stated = {"components": 11, "latent": 5}
    run = run_of("cca", found, hyperparameters=stated, run="cca-tuned", tuned=found)
    monkeypatch.setattr(fit, "fit_each", lambda each, *_, **__: fits.extend(each))
    fit.main(runs=[run], seeds=seeds_of([split, split], [0, 1]), limits=LIMITS)
    assert [one.hyperparameters for one in fits] == [stated | {"latent": x} for x in (7, 9)]
