"""A person's mistakes in the config: one clear message with the key and the nearest valid name."""

import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench import catalog, settings
from mosaicbench.errors import UserError

MINIMAL = {"datasets": {"simulated": {}}}


def test_the_default_config_is_valid_and_complete():
    bench = settings.load(yaml.safe_load((REPOSITORY / "config/config.yaml").read_text()))
    assert set(bench.datasets) == {"pbmc68k_split", "simulated"}
    assert len(bench.seeds) >= 3
    assert set(bench.runs) == set(catalog.names("methods"))
    assert len(bench.applicable) + len(bench.not_applicable) == 2 * 2 * len(bench.runs)


def test_a_config_of_one_dataset_gets_every_default():
    bench = settings.load(MINIMAL)
    assert set(bench.scenarios) == {"paired", "unpaired"}
    assert set(bench.runs) == set(catalog.names("methods"))
    assert settings.load(bench.config) == bench


def test_the_budget_reaches_every_trained_run_and_nothing_else():
    bench = settings.load(MINIMAL | {"training": {"max_epochs": 7}})
    for name, run in bench.runs.items():
        trained = catalog.card("methods", run.method)["kind"] == "model"
        assert (run.hyperparameters.get("max_epochs") == 7) == trained, name


def test_a_run_overrides_the_budget():
    runs = {"mvae": {}, "mvae-beta4": {"method": "mvae", "beta": 4, "max_epochs": 3}}
    bench = settings.load(MINIMAL | {"training": {"max_epochs": 7}, "runs": runs})
    assert bench.runs["mvae-beta4"].hyperparameters == {"max_epochs": 3, "patience": 15, "minibatch": 128, "beta": 4}


def test_what_does_not_apply_is_settled_with_its_reason():
    bench = settings.load(MINIMAL)
    row = next(r for r in bench.not_applicable if r["run"] == "cca")
    assert row == {
        "dataset": "simulated",
        "scenario": "unpaired",
        "run": "cca",
        "method": "cca",
        "reason": "needs paired cells, this scenario is unpaired",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sedes": [1]}, "top level: unknown key 'sedes'; did you mean 'seeds'"),
        ({"datasets": {}}, "datasets: .*non-empty|datasets: .*should"),
        ({"seeds": [1, 1]}, "seeds: .*non-unique"),
        ({"seeds": ["a"]}, r"seeds\.0: 'a' is not of type 'integer'"),
        ({"seeds": []}, "seeds: "),
        ({"runs": {"mvea": {}}}, r"runs\.mvea: there is no method 'mvea'; did you mean 'mvae'"),
        ({"runs": {"x": {"method": "mmvaep"}}}, r"runs\.x: there is no method 'mmvaep'; did you mean 'mmvaepp'"),
        ({"runs": {"mvae": {"latnet": 3}}}, r"runs\.mvae: method 'mvae' has no hyperparameter 'latnet'; did you mean 'latent'"),
        ({"runs": {"mvae": {"latent": "3"}}}, r"runs\.mvae\.latent: expected int, found '3'"),
        ({"runs": {"mvae": {"latent": True}}}, r"runs\.mvae\.latent: expected int, found True"),
        ({"runs": {"a/b": {"method": "mvae"}}}, "runs: 'a/b' becomes a folder's name"),
        ({"scenarios": {"p": {"kind": "pared"}}}, r"scenarios\.p\.kind: 'pared' is not possible; did you mean 'paired'"),
        ({"scenarios": {"p": {}}}, r"scenarios\.p: the key 'kind' is missing"),
        ({"training": {"max_epoch": 1}}, "training: unknown key 'max_epoch'; did you mean 'max_epochs'"),
        ({"training": {"max_epochs": 0}}, r"training\.max_epochs: 0 is less than"),
        ({"datasets": {"pbmc68k": {}}}, r"datasets\.pbmc68k: not in config/datasets.yaml.*did you mean 'pbmc68k_split'"),
        ({"datasets": {"simulated": {"cels": 3}}}, r"datasets\.simulated: unknown key 'cels'; did you mean 'cells'"),
        (
            {"datasets": {"simulated": {"loader": "simulate"}}},
            r"datasets\.simulated\.loader: there is no 'simulate'; did you mean",
        ),
        ({"datasets": {"mine": {"path": "nowhere.h5mu"}}}, r"datasets\.mine\.path: there is no file nowhere.h5mu"),
        ({"datasets": {"mine": {"path": {"rna": "a.h5ad"}}}}, r"datasets\.mine\.path: there is no file a.h5ad"),
        ({"report": {"projected_runs": ["mvaee"]}}, r"report\.projected_runs: there is no run 'mvaee'; did you mean 'mvae'"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(UserError, match=message):
        settings.load(MINIMAL | change)


def test_the_default_groups_of_metrics_are_those_that_cost_little():
    bench = settings.load(MINIMAL)
    assert set(bench.groups) == {"alignment", "label_transfer", "imputation", "sanity", "reference", "resources"}
    chosen = settings.load(MINIMAL | {"metrics": {"groups": ["biology"]}})
    assert chosen.groups == ["biology"]


def test_the_schema_knows_every_group_of_metrics():
    schema = yaml.safe_load(settings.SCHEMA.read_text())
    known = schema["properties"]["metrics"]["properties"]["groups"]["items"]["enum"]
    assert set(known) == {card["group"] for card in catalog.cards("metrics").values()}
    with pytest.raises(UserError, match=r"metrics\.groups\.0: 'biologie' is not possible; did you mean 'biology'"):
        settings.load(MINIMAL | {"metrics": {"groups": ["biologie"]}})
