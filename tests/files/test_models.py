"""A kept model does what the fitted method did, bit for bit, and none of its files can hold code."""

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mosaicbench_fits import LIMITS, fit_one, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset
from numpy.testing import assert_array_equal

from mosaicbench.catalog import catalog
from mosaicbench.commands import fit
from mosaicbench.commands.apply import recommended_run
from mosaicbench.data.links import with_links
from mosaicbench.errors import ContractError, UserError
from mosaicbench.files.models import is_kept, read_model
from mosaicbench.files.runs import latents_of, read_imputed, read_latents, read_record
from mosaicbench.files.splits import as_cells, read_split, unstandardised_values
from mosaicbench.files.tables import write_table
from mosaicbench.fitting.keeping import outline, revived
from mosaicbench.fitting.method import import_for

KEEPABLE = [
    name
    for name, card in catalog.cards("methods").items()
    if "environment" not in card
    and not ({"package"} <= set(card.get("wraps", ())) and name != "linked_harmony")
    and not {"solution", "embedding"} & set(card["inputs"])
    and name not in ("random_latent", "shuffled")  # they draw anew at every call
]
NEED_LINKS = {"linked_cca", "linked_harmony", "linked_mnn", "scmodal"}
SHORT = {"max_epochs": 2}


def kind_for(name):
    scenarios = catalog.card("methods", name)["scenarios"]
    return "paired" if "paired" in scenarios else scenarios[0]


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    dataset = small_dataset()
    split = {
        kind: cut_small(dataset, kind, tmp_path_factory.mktemp(kind))
        for kind in ("paired", "unpaired")
    }
    return split | {
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


def place_of(name):
    return "linked" if name in NEED_LINKS else kind_for(name)


def described(name, folder):
    """Return how a job describes a brief run whose model is kept."""
    short = SHORT if "max_epochs" in catalog.hyperparameters(name) else {}
    kept = {"dataset": "small", "scenario": kind_for(name), "keep": True, "licence": "CC BY 4.0"}
    return run_of(name, [folder], hyperparameters=short, **kept)


@pytest.fixture(scope="module")
def runs(splits, tmp_path_factory):
    """Return the folder of runs of all methods that keep a model; those on a split are one job."""
    folder = tmp_path_factory.mktemp("runs")
    for place, split in splits.items():
        of_split = [described(name, folder / name) for name in KEEPABLE if place_of(name) == place]
        fit.main(runs=of_split, seeds=seeds_of([split], [0]), limits=LIMITS)
    return folder


def fitted(splits, name, folder):
    run, seeds = described(name, folder), seeds_of([splits[place_of(name)]], [0])
    fit.main(runs=[run], seeds=seeds, limits=LIMITS)
    return folder


@pytest.mark.parametrize("name", KEEPABLE)
def test_a_kept_model_gives_what_the_benchmark_scored(splits, runs, name):
    folder = runs / name
    record = read_record(folder / "run.json")
    assert record["status"] in ("ok", "collapsed") and "not kept" not in record["message"], record[
        "message"
    ]
    kept = read_model(folder)
    kind = import_for(kept.facts["module"], kept.facts["method"])
    method = revived(kept, kind)
    query = read_split(splits[place_of(name)] / "query.h5mu", "query")
    uses, gives = kind.card["inputs"], kind.card["outputs"]
    latents, imputed = read_latents(folder / "latents.h5ad"), read_imputed(folder / "imputed.h5mu")
    seen = 0
    for source in latents.obs["source"].unique():
        names, z = latents_of(latents, source, "query")
        modalities = list(query.mod) if source == "joint" else [source]
        cells = as_cells(query, modalities, names, links="links" in uses, counts="counts" in uses)
        assert_array_equal(np.asarray(method.embed(cells), dtype=np.float32), z)
        seen += 1
    for direction, values in imputed.mod.items():
        source, target = direction.split("->")
        cells = as_cells(query, [source], links="links" in uses, counts="counts" in uses)
        assert_array_equal(
            unstandardised_values(query[target], method.impute(cells, target)), values.X
        )
        seen += 1
    assert seen and ("impute" in gives or len(latents))
    assert kept.facts["licence"] == "CC BY 4.0"


def test_the_outline_has_no_values_but_types_and_sizes(splits, tmp_path):
    kept = read_model(fitted(splits, "mvae_sup", tmp_path / "run"))
    train = read_split(splits["paired"] / "train.h5mu", "train")
    split = outline(kept)
    assert {m: len(split.observing(m)) for m in split.modalities} == {
        m: cells.n_obs for m, cells in train.mod.items()
    }
    assert split.cell_types == tuple(sorted(set(train["left"].obs["cell_type"])))
    assert not any(x.any() for block in split.blocks for x in block.values.values())


@pytest.mark.parametrize("name", ["oracle", "random_latent"])
def test_what_cannot_be_kept_is_said_and_the_run_stands(splits, tmp_path, name):
    folder = fitted(splits, name, tmp_path / "run")
    assert "the model was not saved" in read_record(folder / "run.json")["message"]
    with pytest.raises(ContractError, match="no model was saved here"):
        read_model(folder)


def test_a_model_of_another_version_is_refused_with_what_to_do(splits, tmp_path):
    folder = fitted(splits, "cca", tmp_path / "run")
    path = folder / "model/model.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"format": 99}))
    with pytest.raises(ContractError, match="format 99, written by mosaicbench .*fit it again"):
        read_model(folder)
    path.write_text(json.dumps(facts | {"hyperparameters": {"gone": 1}}))
    kept = read_model(folder)
    with pytest.raises(UserError, match="does not fit this version's method"):
        revived(kept, import_for(facts["module"], facts["method"]))


def test_a_model_names_no_class_but_known_ones(splits, tmp_path):
    kept = read_model(fitted(splits, "cca", tmp_path / "run"))
    evil = json.dumps(
        {
            "dict": [
                {
                    "tuple": [
                        {"value": "pca"},
                        {"object": ["subprocess", "Popen"], "holds": {"dict": []}},
                    ]
                }
            ]
        }
    )
    kept.state["description"] = np.frombuffer(evil.encode(), dtype=np.uint8)
    with pytest.raises(UserError, match=r"subprocess\.Popen"):
        revived(kept, import_for(kept.facts["module"], kept.facts["method"]))


def test_apply_takes_the_run_that_the_report_recommends_for_the_question(tmp_path):
    results = tmp_path / "results"
    for split, run in product(("a/paired", "b/paired"), ("cca", "ridge", "pca_joint")):
        model = results / f"runs/{split}/{run}/seed-0/model/model.json"
        model.parent.mkdir(parents=True)
        model.touch()

    def recommended(*asked, **winners):
        winners = {"partner": "cca", "labels": "ridge", "rna->adt": "pca_joint"} | winners
        rows = [
            {"question": "imputation" if "->" in key else key, "run": run}
            | {"direction": key if "->" in key else "-", "scenario": "paired"}
            for key, run in winners.items()
        ]
        tables = [pd.DataFrame(rows).assign(dataset=dataset) for dataset in ("a", "b")]
        tables[1]["run"] = tables[1]["run"].replace("cca", "")  # of b, none for matching cells
        write_table(results / "tables/recommendations.tsv", pd.concat(tables))
        return recommended_run(results, *asked).relative_to(results / "runs")

    assert recommended("a/paired") == Path("a/paired/cca/seed-0")
    assert recommended("b/paired", "labels") == Path("b/paired/ridge/seed-0")
    assert recommended("a/paired", "rna->adt") == Path("a/paired/pca_joint/seed-0")
    with pytest.raises(
        UserError, match="has 2 datasets and scenarios; .*add one of these:"
    ) as refused:
        recommended()  # though a/paired alone has an answer
    assert str(refused.value).splitlines()[1:] == [
        "  --split a/paired --question partner: cca",
        "  --split a/paired --question labels: ridge",
        "  --split a/paired --question 'rna->adt': pca_joint",
        "  --split b/paired --question labels: ridge",
        "  --split b/paired --question 'rna->adt': pca_joint",
    ]
    with pytest.raises(UserError, match="--split c/paired: .*recommendations.tsv"):
        recommended("c/paired")
    with pytest.raises(UserError, match="--question partners: .*did you mean 'partner'"):
        recommended("a/paired", "partners")
    named = "instead of .*results, name the folder of a run, such as .*a/paired/cca/seed-0, or add"
    with pytest.raises(UserError, match=f"recommends wnn in a/paired .*kept no model; {named}"):
        recommended("a/paired", partner="wnn")
    message = "recommends no run in b/paired .*b/paired/cca/seed-0.*\n.* labels: ridge\n.*joint$"
    with pytest.raises(UserError, match=message):
        recommended("b/paired")
    shutil.rmtree(results / "runs")
    with pytest.raises(UserError, match="save_models"):
        recommended("a/paired")


def test_a_candidate_that_cannot_be_kept_says_nothing_and_only_its_seed_is_kept(splits, tmp_path):
    names = {"dataset": "small", "scenario": "paired"}
    record = fit_one(splits["paired"], tmp_path / "a", "oracle", names=names | {"candidate": 0})
    assert (record["status"], record["message"]) == ("ok", "")
    fit_one(splits["paired"], tmp_path / "b", "cca", names=names | {"candidate": 1})
    assert not is_kept(tmp_path / "a") and not is_kept(tmp_path / "b")
    fit_one(splits["paired"], tmp_path / "b", "cca", names=names | {"candidate": 0})
    assert is_kept(tmp_path / "b")
    fit_one(
        splits["paired"], tmp_path / "b", "cca", names=names
    )  # a model is never older than its run
    assert not is_kept(tmp_path / "b")
