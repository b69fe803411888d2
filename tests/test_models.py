"""A kept model does what the fitted method did, bit for bit, and none of its files can hold code."""

import json

import numpy as np
import pandas as pd
import pytest
from mosaicbench_fits import fit_one
from mosaicbench_views import cut_small, small_dataset

from mosaicbench import catalog, cli
from mosaicbench.data.links import with_links
from mosaicbench.errors import ContractError, UserError
from mosaicbench.files.models import is_kept, read_model
from mosaicbench.files.runs import latents_of, read_imputed, read_latents, read_record
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.files.views import as_cells, read_view, unstandardised_values
from mosaicbench.fitting.keeping import outline, revived
from mosaicbench.fitting.method import import_for

KEEPABLE = [
    name
    for name, card in catalog.cards("methods").items()
    if "environment" not in card
    and not ({"package"} <= set(card.get("wraps", ())) and name != "links_harmony")
    and "solution" not in card["uses"]
    and name not in ("random_latent", "shuffled")  # they draw anew at every call
]
NEED_LINKS = {"links_cca", "links_harmony", "links_mnn", "scmodal"}
SHORT = {"max_epochs": 2}


def kind_for(name):
    handles = catalog.card("methods", name)["handles"]
    return "paired" if "paired" in handles else handles[0]


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    dataset = small_dataset()
    cut = {
        kind: cut_small(dataset, kind, tmp_path_factory.mktemp(kind))
        for kind in ("paired", "unpaired")
    }
    return cut | {
        "linked": cut_small(linked(dataset), "unpaired", tmp_path_factory.mktemp("linked"))
    }


def linked(dataset):
    """Return the data with links between the most frequent features of either modality, as if they were of one gene."""
    first, second = (
        np.argsort(-cells.layers[cells.uns["values"]].getnnz(axis=0))[:40]
        for cells in dataset.mod.values()
    )
    return with_links(
        dataset, {tuple(dataset.mod): ((first, second, np.ones(40, dtype=np.int8)), "made up")}
    )


def view_for(views, name):
    return views["linked" if name in NEED_LINKS else kind_for(name)]


def fitted(views, name, folder):
    short = SHORT if "max_epochs" in catalog.hyperparameters(name) else {}
    kept = {"dataset": "small", "scenario": kind_for(name), "keep": True, "licence": "CC BY 4.0"}
    fit_one(view_for(views, name), folder, name, hyperparameters=short, names=kept)
    return folder


@pytest.mark.parametrize("name", KEEPABLE)
def test_a_kept_model_gives_what_the_benchmark_scored(views, tmp_path, name):
    folder = fitted(views, name, tmp_path / "run")
    record = read_record(folder / "run.json")
    assert record["status"] in ("ok", "collapsed") and "not kept" not in record["message"], record[
        "message"
    ]
    kept = read_model(folder)
    kind = import_for(kept.facts["module"], kept.facts["method"])
    method = revived(kept, kind)
    query = read_view(view_for(views, name) / "query.h5mu", "query")
    uses, gives = kind.card["uses"], kind.card["gives"]
    latents, imputed = read_latents(folder / "latents.h5ad"), read_imputed(folder / "imputed.h5mu")
    seen = 0
    for source in latents.obs["source"].unique():
        names, z = latents_of(latents, source, "query")
        modalities = list(query.mod) if source == "joint" else [source]
        cells = as_cells(query, modalities, names, links="links" in uses, counts="counts" in uses)
        np.testing.assert_array_equal(np.asarray(method.embed(cells), dtype=np.float32), z)
        seen += 1
    for direction, values in imputed.mod.items():
        source, target = direction.split("->")
        cells = as_cells(query, [source], links="links" in uses, counts="counts" in uses)
        np.testing.assert_array_equal(
            unstandardised_values(query[target], method.impute(cells, target)), values.X
        )
        seen += 1
    assert seen and ("impute" in gives or len(latents))
    assert kept.facts["licence"] == "CC BY 4.0"


def test_the_outline_has_no_values_but_types_and_sizes(views, tmp_path):
    kept = read_model(fitted(views, "mvae_sup", tmp_path / "run"))
    train = read_view(views["paired"] / "train.h5mu", "train")
    view = outline(kept)
    assert {m: len(view.observing(m)) for m in view.modalities} == {
        m: cells.n_obs for m, cells in train.mod.items()
    }
    assert view.cell_types == tuple(sorted(set(train["left"].obs["cell_type"])))
    assert not any(x.any() for block in view.blocks for x in block.values.values())


@pytest.mark.parametrize("name", ["oracle", "random_latent"])
def test_what_cannot_be_kept_is_said_and_the_run_stands(views, tmp_path, name):
    folder = fitted(views, name, tmp_path / "run")
    assert "the model was not kept" in read_record(folder / "run.json")["message"]
    with pytest.raises(ContractError, match="no model was kept here"):
        read_model(folder)


def test_a_model_of_another_version_is_refused_with_what_to_do(views, tmp_path):
    folder = fitted(views, "cca", tmp_path / "run")
    path = folder / "model/model.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"format": 99}))
    with pytest.raises(ContractError, match="format 99, written by mosaicbench .*fit it again"):
        read_model(folder)
    path.write_text(json.dumps(facts | {"hyperparameters": {"gone": 1}}))
    kept = read_model(folder)
    with pytest.raises(UserError, match="does not fit this version's method"):
        revived(kept, import_for(facts["module"], facts["method"]))


def test_a_model_names_no_class_but_known_ones(views, tmp_path):
    kept = read_model(fitted(views, "cca", tmp_path / "run"))
    evil = json.dumps(
        {"dict": [[{"value": "pca"}, {"object": ["subprocess", "Popen"], "holds": {"dict": []}}]]}
    )
    kept.state["description"] = np.frombuffer(evil.encode(), dtype=np.uint8)
    with pytest.raises(UserError, match=r"subprocess\.Popen"):
        revived(kept, import_for(kept.facts["module"], kept.facts["method"]))


@pytest.mark.parametrize("name", ["cca", "mvae"])
def test_a_run_that_is_over_is_kept_later(tmp_path, capsys, name):
    results = tmp_path / "results"
    view = results / "views/small/paired/seed-0"
    view.parent.mkdir(parents=True)
    cut_small(small_dataset(), "paired", view)
    folder = results / f"runs/small/paired/{name}/seed-0"
    fit_one(view, folder, name, hyperparameters=SHORT if name == "mvae" else {})
    (folder / "train_latents.h5ad").unlink()  # as it may be once it is scored
    overall = {
        "dataset": "small",
        "scenario": "paired",
        "run": [name, "oracle"],
        "method": [name, "oracle"],
    }
    overall |= {
        "kind": ["model", "control"],
        "score": [0.5, 1.0],
        "complete": [True, True],
        "may_win": True,
    }
    write_table(results / "tables/overall.tsv", pd.DataFrame(overall))
    cli.main(["keep", "--best", str(results)])
    assert "bit for bit as before" in capsys.readouterr().out
    assert read_model(folder).facts["method"] == name
    with pytest.raises(SystemExit, match="name the folder of a run"):
        cli.main(["keep"])


def test_the_first_seed_and_the_licence_are_those_of_the_config(tmp_path, capsys):
    results, dataset, seeds = tmp_path / "results", small_dataset(), (2, 0, 1)
    (results / "views/small/paired").mkdir(parents=True)
    folders = [results / f"runs/small/paired/mvae/seed-{seed}" for seed in seeds]
    for seed, folder in zip(seeds, folders, strict=True):
        view = cut_small(dataset, "paired", results / f"views/small/paired/seed-{seed}", seed)
        fit_one(view, folder, "mvae", hyperparameters=SHORT, seed=seed)
    overall = {
        "dataset": ["small"],
        "scenario": "paired",
        "run": "mvae",
        "method": "mvae",
        "kind": "model",
    }
    write_table(
        results / "tables/overall.tsv",
        pd.DataFrame(overall | {"score": 0.5, "complete": True, "may_win": True}),
    )
    config = {"seeds": [2, 0], "datasets": {"small": {"from": "teaseq_small"}}, "registry": None}
    (results / "config.json").write_text(json.dumps(config))
    cli.main(["keep", "--best", str(results)])
    assert "bit for bit as before" in capsys.readouterr().out
    assert [is_kept(folder) for folder in folders] == [True, False, False]
    assert (
        read_model(folders[0]).facts["licence"]
        == catalog.card("datasets", "embedded")["licence"]
        != ""
    )


def test_the_best_run_keeps_the_model_of_its_fit_and_other_candidates_lose_theirs(tmp_path, capsys):
    results, names = tmp_path / "results", ("cca", "pca_joint", "ridge")
    view = results / "views/small/paired/seed-0"
    view.parent.mkdir(parents=True)
    cut_small(small_dataset(), "paired", view)
    folders = {name: results / f"runs/small/paired/{name}/seed-0" for name in names}
    for name, folder in folders.items():
        fit_one(
            view, folder, name, names={"dataset": "small", "scenario": "paired", "candidate": 0}
        )
        assert is_kept(folder)
    overall = {
        "dataset": "small",
        "scenario": "paired",
        "run": names,
        "method": names,
        "kind": "baseline",
    }
    write_table(
        results / "tables/overall.tsv",
        pd.DataFrame(overall | {"score": [0.5, 0.6, 0.1], "complete": True, "may_win": True}),
    )
    command = [
        "keep",
        "--best",
        str(results),
        "--table",
        str(results / "models.tsv"),
        "--named",
        "ridge",
    ]
    written = (folders["pca_joint"] / "model/model.json").stat().st_mtime_ns
    cli.main(command)
    assert "again" not in capsys.readouterr().err
    assert (folders["pca_joint"] / "model/model.json").stat().st_mtime_ns == written
    assert {name for name, folder in folders.items() if is_kept(folder)} == {"pca_joint", "ridge"}
    row = read_table(results / "models.tsv").iloc[0]
    assert (row["run"], row["seed"], row["model"]) == (
        "pca_joint",
        0,
        f"{folders['pca_joint']}/model",
    )
    write_table(
        results / "tables/overall.tsv",
        pd.DataFrame(overall | {"score": [0.7, 0.6, 0.1], "complete": True, "may_win": True}),
    )
    cli.main(command)  # another one is the best now: its model is fitted again
    assert "fitting cca" in capsys.readouterr().err
    assert {name for name, folder in folders.items() if is_kept(folder)} == {"cca", "ridge"}
    barred = pd.DataFrame(
        overall
        | {
            "score": [0.7, 0.6, None],
            "complete": [True, True, False],
            "may_win": [False, False, True],
        }
    )
    write_table(
        results / "tables/overall.tsv", barred
    )  # checks name the first two, the third answers not every question
    cli.main(command)
    assert read_table(results / "models.tsv").empty
    assert {name for name, folder in folders.items() if is_kept(folder)} == {
        "ridge"
    }  # which the config names


def test_a_candidate_that_cannot_be_kept_says_nothing_and_only_its_seed_is_kept(views, tmp_path):
    names = {"dataset": "small", "scenario": "paired"}
    record = fit_one(views["paired"], tmp_path / "a", "oracle", names=names | {"candidate": 0})
    assert (record["status"], record["message"]) == ("ok", "")
    fit_one(views["paired"], tmp_path / "b", "cca", names=names | {"candidate": 1})
    assert not is_kept(tmp_path / "a") and not is_kept(tmp_path / "b")
    fit_one(views["paired"], tmp_path / "b", "cca", names=names | {"candidate": 0})
    assert is_kept(tmp_path / "b")
    fit_one(
        views["paired"], tmp_path / "b", "cca", names=names
    )  # a model is never older than its run
    assert not is_kept(tmp_path / "b")
