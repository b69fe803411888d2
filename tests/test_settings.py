"""A person's mistakes in the config: one clear message with the key and the nearest valid name."""

import ast

import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench import cards, catalog, config_checks, settings
from mosaicbench.data import embedded
from mosaicbench.data.links import linked
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import links_between

SWEEP = {"label": "n", "metrics": {"foscttm": None}, "series": {"runs": {"mvae": 1, "mmvaepp": 2}}}
MINIMAL = {"datasets": {"simulated": {}}}


def test_the_default_config_is_valid_and_complete():
    bench = settings.load(yaml.safe_load((REPOSITORY / "config/config.yaml").read_text()))
    assert set(bench.datasets) == {
        "covid_citeseq_small",
        "teaseq_small",
        "snareseq_small",
        "simulated",
    }
    assert all(dataset["raw"] is None for dataset in bench.datasets.values()), (
        "nothing is downloaded"
    )
    assert len(bench.seeds) >= 3
    cards = catalog.cards("methods")
    kinds = {name: card["kind"] for name, card in cards.items()}
    without_links = {name for name, card in cards.items() if "links" not in card["uses"]}
    assert set(bench.runs) >= {
        name for name in without_links if kinds[name] != "model" and "wraps" not in cards[name]
    }
    assert set(bench.runs) >= {"links_cca", "links_mnn", "scmodal"}
    assert len([name for name in bench.runs if kinds[name] == "model"]) >= 5
    assert len(bench.applicable) + len(bench.not_applicable) == len(bench.views) * len(bench.runs)


def test_no_view_of_the_default_benchmark_shows_only_models_that_need_pairs_they_are_not_given():
    bench = settings.load(yaml.safe_load((REPOSITORY / "config/config.yaml").read_text()))
    cards = catalog.cards("methods")
    for dataset, scenario in bench.views:
        kind = bench.scenarios[scenario]["kind"]
        models = [
            r
            for d, s, r in bench.applicable
            if (d, s) == (dataset, scenario) and cards[r]["kind"] == "model"
        ]
        assert models, (dataset, scenario)
        if kind == "unpaired":
            assert all("links" in cards[run]["uses"] for run in models), (dataset, scenario)
            cells = linked(embedded.load(dataset))
            assert links_between(cells, *cells.mod).nnz > 5


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "config/studies").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_study_is_a_valid_config(path):
    bench = settings.load(yaml.safe_load(path.read_text()))
    assert bench.applicable
    assert bench.results == f"results/studies/{path.stem}"


def test_no_config_and_no_page_names_a_path_outside_the_project():
    """Whoever clones can run each: data come from the registry, the package, or a file that is named after it is made."""
    folders = (
        "config",
        "docs",
        "src",
        "workflow",
        "profiles",
        "envs",
        "tests",
        "benchmarks",
        ".ci",
    )
    suffixes = (".yaml", ".md", ".py", ".smk", ".j2", ".tsv", ".txt", ".def", "")
    files = [
        file
        for folder in folders
        for file in (REPOSITORY / folder).rglob("*")
        if file.suffix in suffixes and file.is_file()
    ]
    files += [
        file
        for file in REPOSITORY.iterdir()
        if file.is_file() and file.suffix in (*suffixes, ".toml", ".cff")
    ]
    outside = "shared" + "/data", "MOSAICBENCH_" + "SHARED", ".." + "/shared"
    named = {
        str(file.relative_to(REPOSITORY))
        for file in files
        if any(word in _text(file) for word in outside)
    }
    assert not named
    own = [
        (file.name, path)
        for file in [
            *(REPOSITORY / "config").glob("*.yaml"),
            *(REPOSITORY / "config/studies").glob("*.yaml"),
        ]
        for path in _paths(yaml.safe_load(file.read_text()))
    ]
    assert [pair for pair in own if pair[1].startswith(("/", "~", ".."))] == []


def _text(file):
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def _paths(config):
    """Return every value of a key that names a file, at any depth."""
    if isinstance(config, list):
        return [path for part in config for path in _paths(part)]
    if not isinstance(config, dict):
        return []
    below = [path for part in config.values() for path in _paths(part)]
    named = [config[key] for key in ("path", "links", "gtf", "registry") if key in config]
    named = [
        value for each in named for value in (each.values() if isinstance(each, dict) else [each])
    ]
    return below + [value for value in named if isinstance(value, str)]


def test_a_dataset_may_be_another_entry_of_the_registry():
    stanza = {"from": "pbmc10k_citeseq", "cells": 700}
    twice = settings.load(
        {"datasets": {"few": stanza, "halves": stanza | {"loader": "split_transcriptome"}}}
    ).datasets
    assert twice["few"]["options"] == {"cells": 700}
    assert twice["few"]["inputs"] == twice["halves"]["inputs"]
    assert (
        {file.rsplit("/", 1)[0] for file in twice["few"]["inputs"]}
        == {"resources/raw/pbmc10k_citeseq"}
        == {twice["few"]["raw"]}
    )
    assert (twice["few"]["loader"], twice["halves"]["loader"]) == (
        "pbmc10k_citeseq",
        "split_transcriptome",
    )


def test_where_labels_come_from_is_known_of_named_data_and_may_be_said_of_ones_own():
    stanzas = {
        "bmmc_cite_small": None,
        "teaseq_small": {},
        "mine": {"from": "pbmc10k_citeseq", "labels_from": []},
    }
    bench = settings.load({"datasets": stanzas})
    assert {name: dataset["labels_from"] for name, dataset in bench.datasets.items()} == {
        "bmmc_cite_small": ["rna", "adt"],
        "teaseq_small": None,
        "mine": [],
    }
    assert bench.config["datasets"]["bmmc_cite_small"] == {"labels_from": ["rna", "adt"]}
    assert all("labels_from" not in dataset["options"] for dataset in bench.datasets.values())
    assert settings.load(bench.config) == bench


def test_a_scenario_may_be_for_some_runs():
    scenarios = {
        "paired": {"kind": "paired"},
        "unpaired": {"kind": "unpaired", "runs": ["scmodal", "cca"]},
    }
    bench = settings.load(
        MINIMAL | {"scenarios": scenarios, "runs": {"mvae": {}, "scmodal": {}, "cca": {}}}
    )
    assert {(s, run) for _, s, run in bench.applicable} == {
        ("paired", "mvae"),
        ("paired", "cca"),
        ("unpaired", "scmodal"),
    }
    reasons = {(row["scenario"], row["run"]): row["reason"] for row in bench.not_applicable}
    assert reasons["unpaired", "mvae"] == "left out of this scenario by the config"
    assert reasons["unpaired", "cca"].startswith(
        "needs paired"
    )  # what a method cannot do is the stronger reason


def test_a_config_of_one_dataset_gets_every_default():
    bench = settings.load(MINIMAL)
    assert set(bench.scenarios) == {"paired", "unpaired"}
    default = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    assert list(bench.runs) == list(default["runs"])
    assert bench.config["keep_imputed"] is True
    assert settings.load(bench.config) == bench


def test_with_few_jobs_a_view_scores_all_its_runs_in_one_job_unless_values_of_some_go():
    scenarios = {
        "paired": {"kind": "paired", "runs": ["cca", "oracle"]},
        "unpaired": {"kind": "unpaired"},
    }
    few = {
        "few_jobs": True,
        "scenarios": scenarios,
        "runs": {"cca": {}, "links_cca": {}, "oracle": {}},
    }
    bench = settings.load(MINIMAL | few)
    assert bench.scored_together == {
        "_1": (["cca", "oracle"], ["paired"]),
        "_2": (["links_cca", "oracle"], ["unpaired"]),
    }
    bench = settings.load(MINIMAL | few | {"few_jobs": False})
    assert {part: runs for part, (runs, _) in bench.scored_together.items()} == {
        "_controls": ["oracle"],
        "_1": ["cca"],
        "_2": ["links_cca"],
    }


def test_the_budget_reaches_every_trained_run_and_nothing_else():
    bench = settings.load(MINIMAL | {"training": {"max_epochs": 7}})
    for name, run in bench.runs.items():
        trained = catalog.card("methods", run.method)["kind"] == "model"
        assert (run.hyperparameters.get("max_epochs") == 7) == trained, name


def test_wrapped_packages_keep_their_own_budget():
    bench = settings.load(
        MINIMAL
        | {
            "training": {"patience": 7},
            "runs": {"uniport": {}, "long": {"method": "uniport", "patience": 9}},
        }
    )
    assert [run.hyperparameters for run in bench.runs.values()] == [{}, {"patience": 9}]


def test_a_run_overrides_the_budget():
    runs = {"mvae": {}, "mvae-beta4": {"method": "mvae", "beta": 4, "max_epochs": 3}}
    bench = settings.load(MINIMAL | {"training": {"max_epochs": 7}, "runs": runs})
    assert bench.runs["mvae-beta4"].hyperparameters == {
        "max_epochs": 3,
        "patience": 30,
        "batch_size": 128,
        "beta": 4,
    }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"training": {"minibatch": 64}},
            "config key training: unknown key 'minibatch'; 'batch_size' has its place now",
        ),
        (
            {"runs": {"mvae": {"minibatch": 64}}},
            "config key runs.mvae: method 'mvae' has no hyperparameter 'minibatch'; 'batch_size' has its place now",
        ),
        ({"runs": {"cca": {"minibatch": 64}}}, "method 'cca' has no hyperparameter 'minibatch'; "),
    ],
)
def test_a_key_of_an_older_version_is_told_its_new_name(config, message):
    with pytest.raises(UserError) as refused:
        settings.load(MINIMAL | config)
    assert message in str(refused.value)
    assert ("now" in str(refused.value)) == ("now" in message)


def test_what_does_not_apply_is_settled_with_its_reason():
    bench = settings.load(MINIMAL)
    row = next(r for r in bench.not_applicable if r["run"] == "cca")
    assert row == {
        "dataset": "simulated",
        "scenario": "unpaired",
        "run": "cca",
        "method": "cca",
        "reason": "needs paired or mosaic cells, this scenario is unpaired",
    }


MOSAICS = [
    ({"paired_fraction": 0.2}, "mosaic", "mosaic"),
    ({"blocks": [["rna", "adt"], ["rna", "atac"]], "shares": [2, 1]}, "mosaic", "mosaic"),
    ({"paired_fraction": 0}, "unpaired", "a mosaic without a paired cell, so unpaired"),
    (
        {"blocks": [["rna"], ["atac"], ["adt"]]},
        "unpaired",
        "a mosaic without a paired cell, so unpaired",
    ),
    ({"paired_fraction": 1}, "paired", "a mosaic of paired cells only, so paired"),
]


@pytest.mark.parametrize(("design", "kind", "described"), MOSAICS)
def test_methods_apply_to_a_mosaic_by_the_pairs_that_it_has(design, kind, described):
    bench = settings.load(MINIMAL | {"scenarios": {"m": {"kind": "mosaic", **design}}})
    for run in bench.runs:
        handles = catalog.card("methods", run)["handles"]
        assert (("simulated", "m", run) in bench.applicable) == (kind in handles), run
    assert all(
        row["reason"].endswith(f"this scenario is {described}") for row in bench.not_applicable
    )
    assert settings.load(bench.config) == bench


def test_a_scenario_can_be_for_some_datasets_only():
    scenarios = {
        "paired": {"kind": "paired"},
        "halves": {"kind": "unpaired", "datasets": ["pbmc68k_split"]},
    }
    bench = settings.load(
        {"datasets": {"simulated": {}, "pbmc68k_split": {}}, "scenarios": scenarios}
    )
    assert bench.views == [
        ("simulated", "paired"),
        ("pbmc68k_split", "paired"),
        ("pbmc68k_split", "halves"),
    ]
    assert {(d, s) for d, s, _ in bench.applicable} == set(bench.views)
    assert {(row["dataset"], row["scenario"]) for row in bench.not_applicable} <= set(bench.views)


def test_every_file_that_a_stanza_names_is_an_input(tmp_path):
    folder = tmp_path / "rna"
    folder.mkdir()
    for name in ("matrix.mtx.gz", "barcodes.tsv.gz", "features.tsv.gz", "notes.txt"):
        (folder / name).touch()
    named = {
        name: str(tmp_path / name) for name in ("adt.csv", "labels.tsv", "links.tsv", "genes.gtf")
    }
    for path in named.values():
        open(path, "w").close()
    stanza = {
        "path": {"rna": str(folder), "adt": named["adt.csv"]},
        "labels": {"path": named["labels.tsv"], "column": "type"},
        "links": named["links.tsv"],
        "gtf": named["genes.gtf"],
        "qc": {"rna": {"min_features": 3}},
    }
    inputs = settings.load({"datasets": {"mine": stanza}}).datasets["mine"]["inputs"]
    parts = [str(folder / name) for name in ("barcodes.tsv.gz", "features.tsv.gz", "matrix.mtx.gz")]
    assert inputs == [
        *parts,
        named["adt.csv"],
        named["labels.tsv"],
        named["links.tsv"],
        named["genes.gtf"],
    ]
    (tmp_path / "links.tsv").unlink()
    with pytest.raises(
        UserError, match=r"config key datasets\.mine\.links: there is no file .*links.tsv"
    ):
        settings.load({"datasets": {"mine": stanza}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"scenarios": {"m": {"kind": "mosaic"}}},
            r"scenarios\.m: a mosaic needs either paired_fraction or blocks, found none",
        ),
        (
            {"scenarios": {"m": {"kind": "paired", "paired_fraction": 0.1}}},
            r"scenarios\.m\.paired_fraction: only a mosaic has it",
        ),
        (
            {"scenarios": {"m": {"kind": "paired", "balanced": False}}},
            r"scenarios\.m\.balanced: in a paired scenario",
        ),
        (
            {"scenarios": {"m": {"kind": "unpaired", "imbalance": {"adt": "B"}}}},
            r"scenarios\.m\.imbalance\.adt",
        ),
        (
            {"scenarios": {"m": {"kind": "mosaic", "paired_fraction": 2}}},
            r"scenarios\.m\.paired_fraction: 2 is greater than",
        ),
        (
            {"scenarios": {"m": {"kind": "mosaic", "blocks": [["rna"]], "shares": [1, 2]}}},
            r"scenarios\.m\.shares: one number for",
        ),
        (
            {"scenarios": {"m": {"kind": "paired", "split": {"held_out": ["a"]}}}},
            r"scenarios\.m\.split: the key 'by' is missing",
        ),
        (
            {"scenarios": {"m": {"kind": "paired", "datasets": ["simulate"]}}},
            r"scenarios\.m\.datasets: .*did you mean 'simulated'",
        ),
        (
            {"scenarios": {"m": {"kind": "paired", "runs": ["mmvea"]}}},
            r"scenarios\.m\.runs: there is no run 'mmvea'; did you mean 'mmvae'",
        ),
        (
            {"datasets": {"x": {"from": "teaseq_matild"}}},
            r"datasets\.x\.from: there is no 'teaseq_matild'.*'teaseq_matilda'",
        ),
        (
            {"datasets": {"simulated": {"labels_from": "rna"}}},
            r"simulated\.labels_from: expected a list, found 'rna' \(the modalities .*such as \[rna, adt\]",
        ),
        (
            {"datasets": {"x": {"from": "teaseq", "path": "a"}}},
            r"datasets\.x: give either `from`, .*, or a `path`",
        ),
        ({"sedes": [1]}, "top level: unknown key 'sedes'; did you mean 'seeds'"),
        ({"datasets": {}}, "datasets: .*non-empty|datasets: .*should|datasets: .*not have enough"),
        ({"seeds": [1, 1]}, "seeds: .*non-unique"),
        ({"seeds": ["a"]}, r"seeds\.0: expected a whole number, found 'a'"),
        ({"seeds": []}, "seeds: "),
        ({"runs": {"mvea": {}}}, r"runs\.mvea: there is no method 'mvea'; did you mean 'mvae'"),
        (
            {"runs": {"x": {"method": "mmvaep"}}},
            r"runs\.x: there is no method 'mmvaep'; did you mean 'mmvaepp'",
        ),
        (
            {"runs": {"mvae": {"latnet": 3}}},
            r"runs\.mvae: method 'mvae' has no hyperparameter 'latnet'; did you mean 'latent'",
        ),
        (
            {"runs": {"mvae": {"latent": "3"}}},
            r"runs\.mvae\.latent: expected a whole number of at least 1, found '3'; .* write 3",
        ),
        (
            {"runs": {"mvae": {"latent": True}}},
            r"runs\.mvae\.latent: expected a whole number of at least 1, found True",
        ),
        ({"runs": {"a/b": {"method": "mvae"}}}, "runs: 'a/b' becomes a folder's name"),
        (
            {"datasets": {"all_datasets": {"from": "simulated"}}},
            "datasets: 'all_datasets' is the folder of tables over all",
        ),
        (
            {"runs": {"own": {"method": "contrastive_vae", "components": None}}},
            "runs.own: linear_path: cca rotates principal components; with components: null take linear_path: none",
        ),
        (
            {"runs": {"mmvae": {"objective": "iwae", "beta": 2}}},
            "runs.mmvae: objective: iwae is defined for private: 0, beta: 1",
        ),
        (
            {"runs": {"mmvae_sup": {"objective": "dreg"}}},
            "runs.mmvae_sup: objective: dreg has no supervised form",
        ),
        (
            {"scenarios": {"p": {"kind": "pared"}}},
            r"scenarios\.p\.kind: 'pared' is not possible; did you mean 'paired'",
        ),
        ({"scenarios": {"p": {}}}, r"scenarios\.p: the key 'kind' is missing"),
        (
            {"training": {"max_epoch": 1}},
            "training: unknown key 'max_epoch'; did you mean 'max_epochs'",
        ),
        ({"training": {"max_epochs": 0}}, r"training\.max_epochs: 0 is less than"),
        (
            {"datasets": {"pbmc68k": {}}},
            r"datasets\.pbmc68k: not in config/datasets.yaml.*did you mean 'pbmc68k_split'",
        ),
        (
            {"datasets": {"simulated": {"cels": 3}}},
            r"datasets\.simulated: unknown key 'cels'; did you mean 'cells'",
        ),
        (
            {"datasets": {"simulated": {"loader": "simulate"}}},
            r"datasets\.simulated\.loader: there is no 'simulate'; did you mean",
        ),
        (
            {"datasets": {"mine": {"path": "nowhere.h5mu"}}},
            r"datasets\.mine\.path: there is no file nowhere.h5mu",
        ),
        (
            {"datasets": {"mine": {"path": {"rna": "a.h5ad"}}}},
            r"datasets\.mine\.path: there is no file a.h5ad",
        ),
        ({"keep": ["ccaa"]}, r"config key keep: there is no run 'ccaa'; did you mean 'cca'"),
        ({"keep_imputed": "no"}, r"config key keep_imputed: .*'no'"),
        (
            {"keep": ["oracle"]},
            r"config key keep: 'oracle' is a control, which has no model for other cells",
        ),
        (
            {"report": {"generated_runs": ["ridge"]}},
            r"report\.generated_runs: 'ridge' has no prior for virtual",
        ),
        (
            {"report": {"generated_runs": ["ridg"]}},
            r"report\.generated_runs: there is no run 'ridg'; did you mean 'ridge'",
        ),
        (
            {"runs": {"totalvi": {}}, "report": {"generated_runs": ["totalvi"]}},
            r"generated_runs: 'totalvi' wraps a package",
        ),
        (
            {"report": {"projected_runs": ["mmvaee"]}},
            r"report\.projected_runs: there is no run 'mmvaee'; did you mean 'mmvae'",
        ),
        (
            {"report": {"reference_run": "cca2"}},
            r"report\.reference_run: there is no run 'cca2'; did you mean 'cca'",
        ),
        ({"report": {"sweep": {"label": "n"}}}, r"report\.sweep: .*'metrics'"),
        (
            {"report": {"sweep": SWEEP | {"metrics": {"fosctm": None}}}},
            r"sweep\.metrics: there is no metric 'fosctm'; did you mean 'foscttm'",
        ),
        (
            {"report": {"sweep": SWEEP | {"metrics": {"shared_factors_r2": None}}}},
            r"sweep\.metrics: .*group 'disentanglement', which metrics\.groups leaves out",
        ),
        (
            {"report": {"sweep": SWEEP | {"series": {"runs": {"mvae": 1, "paired": 2}}}}},
            r"sweep\.series\.runs: '(mvae|paired)' is no dataset, scenario or run as the others",
        ),
        (
            {
                "report": {
                    "sweep": SWEEP | {"log": True, "series": {"runs": {"mmvae": 0, "mmvaepp": 2}}}
                }
            },
            r"sweep\.series\.runs: 0 cannot stand on a logarithmic axis",
        ),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(UserError, match=message):
        settings.load(MINIMAL | change)


def test_true_and_false_may_be_texts_as_snakemake_reads_them_from_a_command_line():
    texts = {"few_jobs": "true", "keep_imputed": "false"}
    config = settings.load({"datasets": {"simulated": {}}} | texts).config
    assert (config["few_jobs"], config["keep_imputed"]) == (True, False)


def test_the_default_groups_of_metrics_are_those_that_cost_little():
    bench = settings.load(MINIMAL)
    assert set(bench.groups) == {
        "alignment",
        "label_transfer",
        "imputation",
        "sanity",
        "reference",
        "resources",
    }
    chosen = settings.load(MINIMAL | {"metrics": {"groups": ["biology"]}})
    assert chosen.groups == ["biology"]


def test_the_schema_knows_every_group_of_metrics():
    schema = yaml.safe_load(settings.SCHEMA.read_text())
    known = schema["properties"]["metrics"]["properties"]["groups"]["items"]["enum"]
    assert set(known) == {card["group"] for card in catalog.cards("metrics").values()}
    with pytest.raises(
        UserError, match=r"metrics\.groups\.0: 'biologie' is not possible; did you mean 'biology'"
    ):
        settings.load(MINIMAL | {"metrics": {"groups": ["biologie"]}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *[
            ({"runs": {odd: {"method": "mvae"}}}, f"config key runs: the name {odd!r} is not text")
            for odd in (1, 1.5, True, None)
        ],
        ({"datasets": {2: {}}}, "config key datasets: the name 2 is not text; write it in quotes"),
        ({"datasets": {"x": {"path": 5}}}, "datasets.x.path: expected text or a mapping"),
        ({"datasets": {"x": {"path": ["a"]}}}, "datasets.x.path: expected text or a mapping"),
        (
            {"datasets": {"x": {"path": {"rna": {"a": "b"}}}}},
            "datasets.x.path: expected text or a mapping",
        ),
        (
            {"datasets": {"x": {"path": "a", "groups": "donor"}}},
            "datasets.x.groups: expected a list of text, found 'donor'",
        ),
        (
            {"datasets": {"x": {"path": "a", "kinds": ["rna"]}}},
            "datasets.x.kinds: expected a mapping",
        ),
        (
            {"datasets": {"x": {"path": "a", "qc": {"rna": 3}}}},
            "datasets.x.qc.rna: expected a mapping, found 3",
        ),
        (
            {"datasets": {"x": {"path": "a", "labels": [1]}}},
            "datasets.x.labels: expected a mapping",
        ),
        (
            {"datasets": {"x": {"path": "a", "association": 4}}},
            "datasets.x.association: expected a mapping or null, found 4",
        ),
        ({"datasets": {"x": {"from": ["teaseq"]}}}, "datasets.x.from: expected text"),
        ({"datasets": {"x": {"loader": {}}}}, "datasets.x.loader: expected text"),
        (
            {"datasets": {"simulated": {"cells": 0}}},
            "simulated.cells: expected a whole number of at least 10, found 0",
        ),
        ({"runs": {"x": {"method": ["mvae"]}}}, "runs.x.method: expected text"),
        ({"seeds": [1.0]}, "seeds.0: expected a whole number, found 1.0"),
        ({"seeds": [2**64]}, "seeds.0: 18446744073709551616 is greater than"),
        ({"limits": {"minutes": float("inf")}}, "limits.minutes: inf is not a finite number"),
        ({"limits": {"memory_mb": float("nan")}}, "limits.memory_mb: nan is not a finite number"),
        ({"runs": {"mvae": {"beta": float("nan")}}}, "runs.mvae.beta: nan is not a finite number"),
        ({"runs": {"mvae": {"beta": -1}}}, "runs.mvae.beta: expected a number of at least 0"),
        (
            {"runs": {"mvae": {"latent": 0}}},
            "runs.mvae.latent: expected a whole number of at least 1, found 0",
        ),
        (
            {"runs": {"mvae": {"learning_rate": 0}}},
            "runs.mvae.learning_rate: expected a number above 0",
        ),
        (
            {"runs": {"cca": {"components": 0}}},
            "runs.cca.components: expected a whole number of at least 1, found 0",
        ),
        (
            {"runs": {"contrastive_vae": {"blend": True}}},
            "no hyperparameter 'blend'; 'regression' has its place now",
        ),
        (
            {"runs": {"contrastive_vae": {"ridge_components": 9}}},
            "'ridge_components'; 'regression' has its place now",
        ),
        (
            {"pathvars": {"benchmarks": "x"}},
            "pathvars: unknown key 'benchmarks'; there are: results, resources, logs",
        ),
        ({"pathvars": {"reslts": "x"}}, "pathvars: unknown key 'reslts'; did you mean 'results'"),
        (
            {"pathvars": {"results": "x; touch y; echo z"}},
            "pathvars.results: .*is not possible .*stands in commands, so it is made of letters",
        ),
        ({"pathvars": {"results": "-x"}}, "pathvars.results: '-x' is not possible"),
        ({"pathvars": {"logs": "$(touch y)"}}, "pathvars.logs: .*touch.* is not possible"),
        ({"pathvars": {"logs": "a\n"}}, "pathvars.logs: 'a.n' has a line break"),
        ({"pathvars": {"logs": ""}}, "pathvars.logs: '' is not possible"),
    ],
)
def test_odd_names_types_and_ranges_end_in_one_message(change, message):
    with pytest.raises(UserError, match=message):
        settings.load(MINIMAL | change)


def test_every_group_of_metrics_can_be_asked_for_in_a_config():
    schema = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())
    assert set(schema["properties"]["metrics"]["properties"]["groups"]["items"]["enum"]) == set(
        cards.GROUPS
    )


def test_a_right_combination_passes_and_every_refusal_can_be_asked_before_a_fit():
    own = {"method": "contrastive_vae", "components": None, "linear_path": "none"}
    assert settings.load(MINIMAL | {"runs": {"own": own, "mmvae": {"objective": "iwae"}}}).runs[
        "own"
    ]
    for method in catalog.names("methods"):
        for function in catalog.refusals(method):
            loaded = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
            assert loaded <= {"self", "ValueError", "super"}, (
                f"{method}: {loaded}: a config could not be held to it"
            )


def test_a_file_of_a_config_that_says_a_key_twice_is_refused(tmp_path):
    (tmp_path / "one.yaml").write_text(
        "datasets: {simulated: {}}\nseeds: [1]\nruns:\n  mvae: {beta: 1}\n  cca:\n  mvae: {beta: 2}\n"
    )
    (tmp_path / "other.json").write_text('{\n\t"seeds": [1]}')
    config_checks.check_files([str(tmp_path / "other.json"), "absent.yaml"])
    with pytest.raises(
        UserError, match=r"one.yaml: .*the key 'mvae' stands twice in one mapping, in lines 4 and 6"
    ):
        config_checks.check_files([str(tmp_path / "other.json"), str(tmp_path / "one.yaml")])
