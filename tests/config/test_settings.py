"""Configs: what they are settled to, and one message with all mistakes, their keys and the nearest valid names."""

import ast
import json

import anndata
import numpy as np
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench.catalog import catalog
from mosaicbench.config import recorded, schema, settings
from mosaicbench.data import embedded
from mosaicbench.data.links import linked
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import links_between

MINIMAL = {"datasets": {"simulated": {}}}


def test_the_default_config_needs_no_download_and_every_split_has_a_model_that_applies():
    bench = settings.read(REPOSITORY / "config/config.yaml")
    assert all(dataset["raw"] is None for dataset in bench.datasets.values())
    assert len(bench.seeds) >= 3
    cards = catalog.cards("methods")
    for (dataset, scenario), runs in bench.runs_of_splits.items():
        models = [cards[run] for run in runs if cards[run]["kind"] == "model"]
        assert models, (dataset, scenario)
        if bench.scenarios[scenario]["kind"] == "unpaired":
            assert all("links" in card["inputs"] for card in models)
            cells = linked(embedded.load(dataset))
            assert links_between(cells, *cells.mod).nnz > 5


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "config/studies").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_study_is_a_valid_config(path):
    bench = settings.read(path)
    assert bench.applicable
    assert bench.results == f"results/studies/{path.stem}"
    assert settings.load(bench.config) == bench


MALFORMED = yaml.safe_load((REPOSITORY / "tests/malformed_configs.yaml").read_text())


def refused_keys(config):
    """Return the keys that the message about a config names."""
    with pytest.raises(UserError) as refused:
        settings.load(MINIMAL | config)
    lines = str(refused.value).splitlines()
    return [line.removeprefix("config key ").split(": ")[0] for line in lines]


@pytest.mark.parametrize("one", MALFORMED, ids=lambda one: str(one["config"])[:60])
def test_a_malformed_config_is_refused_with_its_key(one, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rna.csv").touch()
    assert one["key"] in refused_keys(one["config"])


def test_all_mistakes_of_a_config_are_in_one_message_with_what_to_write():
    runs = {"mvae": {"latent": 0, "latnet": 1, "beta": "1e-3"}, "mvea": {}, "cca": {}}
    scenarios = {"p": {"kind": "pared"}, "q": {"kind": "paired", "runs": ["cca2"]}}
    wrong = {"runs": runs, "scenarios": scenarios, "seeds": [1, "a"], "sedes": 1}
    wrong["save_models"] = ["mmvae"]
    wrong["datasets"] = {"mine": {"path": __file__, "features": {"adt": {"dropped": ["x"]}}}}
    keys = {"runs.mvae.latent", "runs.mvae", "runs.mvae.beta", "runs.mvea", "scenarios.p.kind"}
    keys |= {
        "scenarios.q.runs",
        "seeds.1",
        "save_models",
        "top level",
        "datasets.mine.features.adt",
    }
    assert set(refused_keys(wrong)) == keys | {f"{len(keys)} mistakes:"}
    with pytest.raises(UserError) as refused:
        settings.load(MINIMAL | wrong)
    for hint in ("mean 'latent'?", "mean 'mvae'?", "mean 'drop'?", "write 0.001"):
        assert hint in str(refused.value)


def test_the_schema_for_editors_is_current():
    assert schema.EDITORS_SCHEMA.read_text() == schema.editors_schema(), "run `make schema`"


def test_a_dataset_may_be_another_entry_of_the_registry():
    stanza = {"from": "pbmc10k_citeseq", "cells": 700}
    datasets = {"few": stanza, "halves": stanza | {"loader": "split_transcriptome"}}
    few, halves = settings.load({"datasets": datasets}).datasets.values()
    assert few["options"] == {"cells": 700}
    assert few["inputs"] == halves["inputs"]
    folders = {file.rsplit("/", 1)[0] for file in few["inputs"]}
    assert folders == {"resources/raw/pbmc10k_citeseq"} == {few["raw"]}
    assert few["loader"] == "pbmc10k_citeseq" and halves["loader"] == "split_transcriptome"


def test_where_labels_come_from_is_known_of_named_data_and_may_be_said_of_ones_own():
    stanzas = {"bmmc_cite_small": None, "teaseq_small": {}, "simulated": None}
    stanzas["mine"] = {"from": "pbmc10k_citeseq", "labels_from": []}
    bench = settings.load({"datasets": stanzas})
    found = [dataset["labels_from"] for dataset in bench.datasets.values()]
    assert found == [["rna", "adt"], None, [], []]
    assert bench.config["datasets"]["bmmc_cite_small"] == {"labels_from": ["rna", "adt"]}
    assert bench.config["datasets"]["simulated"] == {"labels_from": []}  # none, which is known
    assert all("labels_from" not in dataset["options"] for dataset in bench.datasets.values())
    assert settings.load(bench.config) == bench


def test_a_scenario_may_be_for_some_runs_and_datasets():
    scenarios = {
        "paired": {"kind": "paired"},
        "unpaired": {"kind": "unpaired", "runs": ["scmodal", "cca"], "datasets": ["simulated"]},
    }
    datasets = {"simulated": {}, "pbmc68k_split": {}}
    runs = {"mvae": {}, "scmodal": {}, "cca": {}}
    bench = settings.load({"datasets": datasets, "scenarios": scenarios, "runs": runs})
    assert bench.runs_of_splits == {
        ("simulated", "paired"): ["mvae", "cca"],
        ("simulated", "unpaired"): ["scmodal"],
        ("pbmc68k_split", "paired"): ["mvae", "cca"],
    }
    reasons = {(row["scenario"], row["run"]): row["reason"] for row in bench.not_applicable}
    assert "by the config" in reasons["unpaired", "mvae"]
    # what a method cannot do is the stronger reason
    assert reasons["unpaired", "cca"].startswith("needs paired")


def test_a_config_of_one_dataset_gets_every_default():
    bench = settings.load(MINIMAL)
    assert set(bench.scenarios) == {"paired", "unpaired"}
    default = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    assert list(bench.runs) == list(default["runs"])
    assert bench.config["keep_imputed"] is True
    assert settings.load(bench.config) == bench
    # texts, as Snakemake reads them from a command line
    assert settings.load(MINIMAL | {"keep_imputed": "false"}).config["keep_imputed"] is False


def test_the_recorded_config_is_read_without_a_check_and_may_be_run_again(tmp_path):
    stanzas = {"runs": {"mvae": {}, "cca": {}}, "tuning": {"runs": ["cca"]}}
    bench = settings.load(MINIMAL | stanzas)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(bench.recorded()))
    assert recorded.read(path) == bench == settings.read(path)
    older = bench.recorded()
    del older[recorded.SETTLED]["not_applicable"]
    for text in ("{", "[]", "", json.dumps(MINIMAL), json.dumps(older), None):
        path.unlink() if text is None else path.write_text(text)
        with pytest.raises(UserError, match=f"{path}: .*mosaicbench run.*--config") as refused:
            recorded.read(path)
        assert "Error" not in str(refused.value)  # no name of Python's
    with pytest.raises(UserError, match="no such file"):
        settings.read(path)


def test_a_config_in_which_no_run_applies_names_scenarios_runs_and_what_they_need():
    runs = {"runs": {"cca": None, "ridge": None}}
    apart = {"u": {"kind": "unpaired"}, "p": {"kind": "paired", "runs": ["cca"]}}
    assert settings.load(MINIMAL | runs | {"scenarios": apart}).applicable
    del apart["p"]
    with pytest.raises(UserError) as refused:
        settings.load(MINIMAL | runs | {"scenarios": apart})
    message = str(refused.value)
    assert message.startswith("config key runs: ") and "\n" not in message
    assert "cca, ridge in scenario 'u': needs paired" in message


def test_the_number_of_cells_is_that_of_the_stanza_the_registry_the_loader_or_the_files(tmp_path):
    file, text = str(tmp_path / "mine.h5ad"), str(tmp_path / "mine.mtx")
    anndata.AnnData(np.ones((7, 2), dtype=np.float32)).write_h5ad(file)
    open(text, "w").close()
    paths = {"file": file, "files": {"rna": file, "adt": file}, "text": text}
    stanzas = {name: {"path": path} for name, path in paths.items()}
    stanzas |= {"few": {"from": "teaseq_small", "cells": 30}, "snareseq_small": {}}
    bench = settings.load({"datasets": stanzas | {"simulated": {}}})
    *cells, simulated = (dataset["cells"] for dataset in bench.datasets.values())
    assert cells == [7, 14, None, 30, 1519] and simulated > 0


def test_the_budget_reaches_every_trained_run_and_nothing_else():
    bench = settings.load(MINIMAL | {"training": {"max_epochs": 7}})
    for name, run in bench.runs.items():
        trained = catalog.card("methods", run.method)["kind"] == "model"
        assert (run.hyperparameters.get("max_epochs") == 7) == trained, name


def test_a_run_overrides_the_budget_and_a_wrapped_package_has_its_own():
    runs = {"mvae": {"beta": 4, "max_epochs": 3}, "uniport": {}}
    budget = {"max_epochs": 7, "patience": 5, "batch_size": 128}
    bench = settings.load(MINIMAL | {"training": budget, "runs": runs})
    assert bench.runs["mvae"].hyperparameters == budget | runs["mvae"]
    assert bench.runs["uniport"].hyperparameters == {}


MOSAICS = [
    ({"paired_fraction": 0.2}, "mosaic", "mosaic"),
    ({"blocks": [["rna", "adt"], ["rna", "atac"]], "fractions": [2, 1]}, "mosaic", "mosaic"),
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
        handles = catalog.card("methods", run)["scenarios"]
        assert (("simulated", "m", run) in bench.applicable) == (kind in handles), run
    assert all(row["reason"].endswith(described) for row in bench.not_applicable)
    assert settings.load(bench.config) == bench


def loaded(stanza):
    """Return the settings of a dataset of own files."""
    return settings.load({"datasets": {"mine": stanza}}).datasets["mine"]


def test_every_file_that_a_stanza_names_is_an_input(tmp_path):
    (tmp_path / "rna").mkdir()
    names = ["rna/barcodes.tsv.gz", "rna/features.tsv.gz", "rna/matrix.mtx.gz", "rna/notes.txt"]
    names += ["adt.csv", "labels.tsv", "links.tsv", "genes.gtf"]
    files = [str(tmp_path / name) for name in names]
    for file in files:
        open(file, "w").close()
    *parts, _, adt, labels, links, gtf = files
    stanza = {"path": {"rna": str(tmp_path / "rna"), "adt": adt}, "links": links, "gtf": gtf}
    stanza |= {"labels": {"path": labels, "column": "type"}, "qc": {"rna": {"min_features": 3}}}
    assert loaded(stanza)["inputs"] == [*parts, adt, labels, links, gtf]
    (tmp_path / "links.tsv").unlink()
    with pytest.raises(UserError, match=r"config key datasets\.mine\.links: .*links.tsv"):
        loaded(stanza)


@pytest.mark.parametrize("place", ["path", "links", "labels"])
def test_braces_in_a_path_which_snakemake_takes_for_a_wildcard_are_refused(tmp_path, place):
    files = [tmp_path / name for name in ("rna.csv", "one { alone.csv", "rna {final} 100%.csv")]
    for file in files:
        file.touch()
    plain, alone, odd = map(str, files)
    stanza = {"path": {"rna": plain, "adt": alone}}
    assert len(loaded(stanza)["inputs"]) == 2
    odd_place = {
        "path": {"rna": odd, "adt": plain},
        "links": odd,
        "labels": {"path": odd, "column": "type"},
    }
    key = r"labels\.path" if place == "labels" else place
    with pytest.raises(UserError, match=rf"datasets\.mine\.{key}: .*{{final}} 100%.csv.*; rename"):
        loaded(stanza | {place: odd_place[place]})


def test_the_description_of_a_zarr_store_is_the_input(tmp_path):
    cells = anndata.AnnData(np.ones((7, 2), dtype=np.float32))
    cells.write_zarr(tmp_path / "mine.zarr")
    (tmp_path / "adt.csv").touch()
    path = {"rna": str(tmp_path / "mine.zarr"), "adt": str(tmp_path / "adt.csv")}
    described, table = loaded({"path": path})["inputs"]
    assert described.startswith(path["rna"]) and table == path["adt"]
    (tmp_path / "empty.zarr").mkdir()
    path["rna"] = str(tmp_path / "empty.zarr")
    with pytest.raises(UserError, match=r"datasets\.mine\.path: .*empty.zarr has no"):
        loaded({"path": path})


def test_the_keys_of_own_files_are_accepted(tmp_path):
    (tmp_path / "a.h5mu").touch()
    stanza = {"path": str(tmp_path / "a.h5mu")}
    good = {
        "modalities": {"rna": "gex", "adt": "prot"},
        "layers": {"rna": "raw_counts"},
        "features": {"adt": {"drop": ["HTO*"], "keep": ["HTO1"]}},
        "peaks": "union",
        "values": {"adt": "rounded_counts"},
    }
    assert loaded(stanza | good)


def test_a_right_combination_passes_and_every_refusal_can_be_asked_before_a_fit():
    own = {"method": "contrastive_vae", "components": None, "linear_path": "none"}
    assert settings.load(MINIMAL | {"runs": {"own": own, "mmvae": {"objective": "iwae"}}}).runs
    for method in catalog.names("methods"):
        for function in catalog.refusals(method):
            loaded = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
            assert loaded <= {"self", "ValueError", "super"}, (
                f"{method}: {loaded}: a config could not be held to it"
            )
