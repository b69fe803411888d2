"""A kept model does what the fitted method did, bit for bit, and none of its files can hold code."""

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mosaicbench_fits import fit_here, fit_one, run_of
from mosaicbench_splits import cut_small, linked, small_dataset
from numpy.testing import assert_array_equal

from mosaicbench.catalog import catalog
from mosaicbench.commands.apply import recommended_run
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
NOT_KEEPABLE = ["oracle", "random_latent"]
NEED_LINKS = {"linked_cca", "linked_harmony", "linked_mnn", "scmodal"}


def kind_for(name):
    scenarios = catalog.card("methods", name)["scenarios"]
    return "paired" if "paired" in scenarios else scenarios[0]


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    folder, dataset = tmp_path_factory.mktemp("splits"), small_dataset()
    with_links = linked(dataset, folder / "links.tsv")
    return {
        "paired": cut_small(dataset, "paired", folder / "paired"),
        "unpaired": cut_small(dataset, "unpaired", folder / "unpaired"),
        "linked": cut_small(with_links, "unpaired", folder / "linked"),
    }


def place_of(name):
    return "linked" if name in NEED_LINKS else kind_for(name)


@pytest.fixture(scope="module")
def runs(splits, tmp_path_factory):
    """Return the folder of brief runs of all methods that keep a model, and of two that cannot."""
    folder, jobs = tmp_path_factory.mktemp("runs"), {place: [] for place in splits}
    for name in [*KEEPABLE, *NOT_KEEPABLE]:
        short = {"max_epochs": 1} if "max_epochs" in catalog.hyperparameters(name) else {}
        kept = {"scenario": kind_for(name), "keep": True, "licence": "CC BY 4.0"}
        jobs[place_of(name)].append(run_of(name, [folder / name], hyperparameters=short, **kept))
    for place, of_split in jobs.items():
        fit_here(of_split, [splits[place]])
    return folder


@pytest.mark.parametrize("name", KEEPABLE)
def test_a_kept_model_gives_what_the_benchmark_scored(splits, runs, name):
    folder = runs / name
    record = read_record(folder / "run.json")
    assert record["status"] in ("ok", "collapsed"), record["message"]
    kept, method = revived_of(folder)
    query = read_split(splits[place_of(name)] / "query.h5mu", "query")
    uses, gives = (catalog.card("methods", name)[word] for word in ("inputs", "outputs"))
    shown = {word: word in uses for word in ("links", "counts")}
    latents, imputed = read_latents(folder / "latents.h5ad"), read_imputed(folder / "imputed.h5mu")
    for source in latents.obs["source"].unique():
        names, z = latents_of(latents, source, "query")
        modalities = list(query.mod) if source == "joint" else [source]
        cells = as_cells(query, modalities, names, **shown)
        assert_array_equal(np.asarray(method.embed(cells), dtype=np.float32), z)
    for direction, values in imputed.mod.items():
        source, target = direction.split("->")
        found = method.impute(as_cells(query, [source], **shown), target)
        assert_array_equal(unstandardised_values(query[target], found), values.X)
    assert len(latents) or (imputed.mod and "impute" in gives)
    assert kept.facts["licence"] == "CC BY 4.0"


def revived_of(folder):
    """Return a kept model, and its method object."""
    kept = read_model(folder)
    return kept, revived(kept, import_for(kept.facts["module"], kept.facts["method"]))


def test_the_outline_has_no_values_but_types_and_sizes(splits, runs):
    train = read_split(splits["paired"] / "train.h5mu", "train")
    split = outline(read_model(runs / "mvae_sup"))
    sizes = {m: cells.n_obs for m, cells in train.mod.items()}
    assert {m: len(split.observing(m)) for m in split.modalities} == sizes
    assert split.cell_types == tuple(sorted(set(train["left"].obs["cell_type"])))
    assert not any(x.any() for block in split.blocks for x in block.values.values())


@pytest.mark.parametrize("name", NOT_KEEPABLE)
def test_what_cannot_be_kept_is_said_and_the_run_stands(runs, name):
    record = read_record(runs / name / "run.json")
    assert record["status"] == "ok" and "the model was not saved" in record["message"]
    with pytest.raises(ContractError, match="no model was saved here"):
        read_model(runs / name)


def test_a_model_of_another_version_is_refused_with_what_to_do(runs, tmp_path):
    folder = shutil.copytree(runs / "cca", tmp_path / "run")
    path = folder / "model/model.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"format": 99}))
    with pytest.raises(ContractError, match="format 99, written by mosaicbench .*fit it again"):
        read_model(folder)
    path.write_text(json.dumps(facts | {"hyperparameters": {"gone": 1}}))
    with pytest.raises(UserError, match="does not fit this version's method"):
        revived_of(folder)


def test_a_model_names_no_class_but_known_ones(runs):
    kept = read_model(runs / "cca")
    popen = {"object": ["subprocess", "Popen"], "holds": {"dict": []}}
    evil = json.dumps({"dict": [{"tuple": [{"value": "pca"}, popen]}]})
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
    with pytest.raises(UserError, match="has 2 datasets and scenarios") as refused:
        recommended()  # though a/paired alone has an answer
    choices = str(refused.value).splitlines()[1:]
    assert choices[0] == "  --split a/paired --question partner: cca"
    assert choices[-1] == "  --split b/paired --question 'rna->adt': pca_joint"
    assert len(choices) == 5
    for asked, message in {
        ("c/paired",): "--split c/paired: .*recommendations.tsv",
        ("a/paired", "partners"): "--question partners: .*did you mean 'partner'",
        ("b/paired",): "no run in b/paired .*b/paired/cca/seed-0.*\n.* labels: ridge\n.*joint$",
    }.items():
        with pytest.raises(UserError, match=message):
            recommended(*asked)
    with pytest.raises(UserError, match="wnn in a/paired .*kept no model; .*a/paired/cca/seed-0"):
        recommended("a/paired", partner="wnn")
    shutil.rmtree(results / "runs")
    with pytest.raises(UserError, match="save_models"):
        recommended("a/paired")


def test_a_candidate_that_cannot_be_kept_says_nothing_and_only_its_seed_is_kept(splits, tmp_path):
    record = fit_one(splits["paired"], tmp_path / "a", "oracle", names={"candidate": 0})
    assert (record["status"], record["message"]) == ("ok", "")
    assert not is_kept(tmp_path / "a")
    for candidate in (1, 0, None):  # a model is never older than its run
        fit_one(splits["paired"], tmp_path / "b", "cca", names={"candidate": candidate})
        assert is_kept(tmp_path / "b") == (candidate == 0)
