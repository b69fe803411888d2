"""Every installed package, on a small split: it does what its card says, and leaves no trace."""

import importlib
import json
import os
import random
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from mosaicbench_fits import SOURCE, assert_same_outputs, fit_apart, fit_here, poisoned, run_of
from mosaicbench_splits import cut, cut_small, linked
from scipy import sparse
from scipy.spatial.distance import cdist
from test_environment import CONSTRAINTS, name_of, pins

from mosaicbench.catalog import catalog
from mosaicbench.contract import Cells, Split
from mosaicbench.datasets import simulated
from mosaicbench.errors import Diverged, NotApplicable
from mosaicbench.files.runs import read_imputed, read_latents
from mosaicbench.files.splits import (
    as_cells,
    as_split,
    complete_cells,
    read_split,
    space_values,
    write_split,
)
from mosaicbench.files.tables import read_table
from mosaicbench.peers import _package
from mosaicbench.peers._scvi import Batches

FEATURES = {"n_rna": 60, "n_atac": 80, "n_adt": 14}
RNA_ATAC = {"rna", "atac", "rna->atac", "atac->rna"}
RNA_ADT = {"rna", "adt", "rna->adt", "adt->rna"}
# peer -> quick hyperparameters, modalities of its split, and its outputs for a paired query
PEERS = {
    "glue": ({"epochs": 2, "latent": 8, "hidden": 16}, ("rna", "atac"), RNA_ATAC),
    "moscot": ({"iterations": 5, "sinkhorn": 100, "epsilon": 0.05}, ("rna", "adt"), RNA_ADT),
    "mofa": ({"iterations": 30}, ("rna", "atac"), RNA_ATAC | {"joint"}),
    "multivi": ({"epochs": 2, "latent": 4, "hidden": 16}, ("rna", "atac"), RNA_ATAC | {"joint"}),
    "totalvi": ({"epochs": 2}, ("rna", "adt"), {"joint", "rna", "rna->adt"}),
    "scmomat": ({"iterations": 20, "factors": 6}, ("rna", "atac"), {"joint", "rna", "atac"}),
    "scot": ({"iterations": 10, "sinkhorn": 50}, ("rna", "atac"), RNA_ATAC),
    "seurat_spca": ({"components": 10}, ("rna", "adt"), {"joint", "rna"}),
    "univi": ({"epochs": 2}, ("rna", "adt"), RNA_ADT | {"joint"}),
    "wnn": ({}, ("rna", "adt"), {"joint"}),
}
# The same of peers in environments of their own.
VAES = ("midas", "multigrate", "multivae_mvae", "multivae_mmvae", "multivae_mopoe", "scvaeit")
APART = {name: ({"epochs": 2}, ("rna", "adt"), RNA_ADT | {"joint"}) for name in VAES} | {
    "cellink": ({}, ("rna", "adt"), RNA_ADT),
    "diagvi": ({"epochs": 2, "latent": 8, "hidden": 16}, ("rna", "adt"), RNA_ADT),
    "m3": ({"passes": 2}, ("rna", "adt"), RNA_ADT | {"joint"}),
    "matilda": ({}, ("rna", "adt"), {"joint"}),
    "totalanvi": ({"epochs": 30}, ("rna", "adt"), {"joint", "rna", "rna->adt"}),
    "scbutterfly": ({"epochs": 2, "pretraining": 2}, ("rna", "atac"), RNA_ATAC),
    "scconfluence": ({"epochs": 2}, ("rna", "adt"), RNA_ADT),
    "uniport": ({"iterations": 40}, ("rna", "adt"), RNA_ADT),
}


def why_absent(name):
    """Return why the package of a peer cannot be tested, "" if it can."""
    card = catalog.card("methods", name)
    if "environment" in card:
        return "" if python_of(name).exists() else "its environment is not built (make peers)"
    package, module = card["wraps"]["package"], card["wraps"]["module"]
    installed = version_in_r(package) if module == "R" else find_spec(module)
    return "" if installed else f"{package} is not installed (make peers)"


def python_of(name):
    return REPOSITORY / f".venvs/{catalog.card('methods', name)['environment']}/bin/python"


def installed(names):
    """Return the peers as parameters; those without their package are skipped."""
    found = []
    for name in names:
        why = why_absent(name)
        found.append(pytest.param(name, marks=pytest.mark.skipif(bool(why), reason=why)))
    return found


@cache
def version_in_r(package):
    """Return the version of an R package, "" if it or R is not installed."""
    if not shutil.which("Rscript"):
        return ""
    query = (
        f'p <- "{package}"; if (nzchar(system.file(package = p))) cat(format(packageVersion(p)))'
    )
    return subprocess.check_output(["Rscript", "-e", query], text=True)


def test_a_batch_without_a_code_is_read_as_the_largest_that_has_one():
    batches = Batches(np.array(["a", "b", "b", "c", "c", "c"]), ["a in", "b in", "c in", "b out"])
    assert batches.of(["a", "d"], " in").ravel().tolist() == [0, 2]
    assert batches.of(["a", "c"], " out").ravel().tolist() == [3, 3]


def small(modalities):
    return simulated.load(None, cells=220, modalities=modalities, cell_types=3, **FEATURES)


@pytest.fixture(scope="module")
def parts():
    """Return (modalities, kind) -> train and query cells with counts, of three types."""

    @cache
    def of(modalities, kind):
        alone = [[modality] for modality in modalities]
        blocks = {"blocks": [list(modalities), *alone]} if kind == "mosaic" else {}
        split = cut(small(modalities), kind, **blocks)
        counted, links = {m: split["train"][m].n_vars for m in modalities}, {}
        for a, b in permutations(modalities, 2):
            links[a, b] = sparse.csr_matrix(np.eye(counted[a], counted[b], dtype=np.int8))
        return replace(as_split(split["train"], labels=True), links=links), split["query"]

    return of


def outputs(name, instance, query, rows=slice(None)):
    """Return source -> latents and "rna->adt" -> values of the query cells at `rows`."""

    def cells(*modalities):
        names = complete_cells(query) if len(modalities) > 1 else query[modalities[0]].obs_names
        return as_cells(query, list(modalities), names[rows], counts=True)

    words, asked, results = catalog.card("methods", name)["outputs"], {}, {}
    if "single" in words:
        asked = {m: partial(instance.embed, cells(m)) for m in query.mod}
    if "joint" in words and len(complete_cells(query)):
        asked["joint"] = partial(instance.embed, cells(*query.mod))
    for source, target in permutations(query.mod, 2) if "impute" in words else ():
        asked[f"{source}->{target}"] = partial(instance.impute, cells(source), target)
    for what, ask in asked.items():
        with suppress(NotApplicable):
            results[what] = ask()
    return results


def fitted(name, train):
    """Return the peer, fitted briefly, and its history."""
    instance = catalog.method_class(name)(**PEERS[name][0])
    return instance, instance.fit(train, 0)


def process():
    """Return what a package could change for those that come after it."""
    generators = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    return *generators, torch.get_rng_state().tolist(), dict(os.environ), torch.get_num_threads()


def kind_of(name):
    return catalog.card("methods", name)["scenarios"][0]


def nearest(x, n_neighbors, metric, metric_kwds, **_):
    """Find neighbours one by one."""
    known = tuple(metric_kwds.values())
    distance = metric if isinstance(metric, str) else lambda a, b: metric(a, b, *known)
    distances = cdist(x, x, distance)
    places = distances.argsort(axis=1, kind="stable")[:, :n_neighbors]
    return places, np.take_along_axis(distances, places, axis=1), None


@pytest.fixture(scope="module", autouse=True)
def _without_descents():
    """Let muon find neighbours one by one: each of its descents compiles a distance for 20 s."""
    with pytest.MonkeyPatch.context() as patch:
        if find_spec("muon"):
            import muon

            module = importlib.import_module(muon.pp.neighbors.__module__)  # it differs by version
            patch.setattr(module, "nearest_neighbors", nearest)
        yield


@pytest.fixture(scope="module")
def once(parts):
    """Return name -> fitted peer, history, outputs, query, fitted once for all tests."""

    @cache
    def of(name):
        train, query = parts(PEERS[name][1], kind_of(name))
        instance, history = fitted(name, train)
        return instance, history, outputs(name, instance, query), query

    return of


@pytest.mark.parametrize("name", installed(PEERS))
def test_the_installed_version_is_the_pinned_one(name):
    wraps = catalog.card("methods", name)["wraps"]
    if wraps["module"] == "R":
        assert version_in_r(wraps["package"]) == wraps["version"]
    else:  # the cards' versions are held to these pins in test_environment
        assert version(wraps["package"]) == pins(CONSTRAINTS)[name_of(wraps["package"])]


@pytest.mark.parametrize("name", installed(PEERS))
def test_gives_the_outputs_of_its_card(name, once):
    _, history, results, query = once(name)
    assert set(results) == PEERS[name][2]
    widths = set()
    for what, array in results.items():
        assert np.isfinite(array).all(), what
        source, _, target = what.partition("->")
        assert len(array) == len(complete_cells(query) if source == "joint" else query[source])
        if target:
            assert array.shape[1] == space_values(query[target]).shape[1]
        else:
            assert array.std(0).max() > 0
            widths.add(array.shape[1])
    assert len(widths) <= 1
    assert all({"epoch", "loss"} <= set(row) for row in history)
    assert history or catalog.card("methods", name)["kind"] == "baseline"


@pytest.mark.parametrize("name", installed(PEERS))
def test_same_seed_same_result_without_labels_and_without_a_trace(
    name, once, parts, capfd, tmp_path, monkeypatch
):
    _, history, results, query = once(name)
    train, _ = parts(PEERS[name][1], kind_of(name))
    train = replace(train, blocks=tuple(replace(block, labels=None) for block in train.blocks))
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    before = process()
    again, history_again = fitted(name, train)
    results_again = outputs(name, again, query)
    assert process() == before
    assert capfd.readouterr().out == ""
    assert not list(tmp_path.iterdir())
    assert history == history_again
    for what, array in results_again.items():
        np.testing.assert_array_equal(array, results[what], err_msg=what)


@pytest.mark.parametrize("name", installed(PEERS))
def test_a_query_cell_does_not_depend_on_the_others(name, once):
    instance, _, results, query = once(name)
    for rows in (slice(4, 9), slice(4, 5)):
        for what, array in outputs(name, instance, query, rows).items():
            np.testing.assert_allclose(array, results[what][rows], atol=1e-4, err_msg=what)


@pytest.mark.parametrize("name", installed(PEERS))
def test_serves_every_scenario_of_its_card(name, parts):
    for kind in catalog.card("methods", name)["scenarios"][1:]:
        train, query = parts(PEERS[name][1], kind)
        results = outputs(name, fitted(name, train)[0], query)
        assert set(results) >= PEERS[name][2] - {"joint"}
        assert all(np.isfinite(array).all() for array in results.values())


@pytest.mark.parametrize("name", installed(["mofa", "multivi", "totalvi", "univi"]))
def test_cells_of_one_modality_change_all_but_univi(name, parts):
    train, query = parts(PEERS[name][1], "mosaic")
    alone = replace(train, blocks=(train.observing(*train.modalities),))
    of_all, of_paired = (outputs(name, fitted(name, split)[0], query) for split in (train, alone))
    for what, array in of_all.items():
        assert np.array_equal(array, of_paired[what]) == (name == "univi")


@pytest.mark.parametrize("name", installed(PEERS))
def test_three_modalities_are_served(name, parts):
    train, query = parts(("rna", "atac", "adt"), kind_of(name))
    results = outputs(name, fitted(name, train)[0], query)
    assert results
    assert all(np.isfinite(array).all() for array in results.values())


def test_every_wrapped_package_is_tested():
    elsewhere = {"linked_harmony", "maxfuse"}  # test_links, test_scmodal
    cards = {n: card for n, card in catalog.cards("methods").items() if "wraps" in card}
    assert set(PEERS) | set(APART) == set(cards) - elsewhere
    assert set(APART) == {name for name, card in cards.items() if "environment" in card}


@pytest.mark.parametrize("name", installed(PEERS))
def test_poisoned_solution_changes_nothing(name, tmp_path):
    hyperparameters, modalities, _ = PEERS[name]
    folders, given = [tmp_path / "a", tmp_path / "b"], {"hyperparameters": hyperparameters}
    run = run_of(name, folders, scenario=kind_of(name), **given)
    fit_here([run], clean_and_poisoned(name, modalities, tmp_path))
    assert_same_outputs(*folders)


def clean_and_poisoned(name, modalities, folder):
    """Return a split for a peer, and a copy in which all that it hides is overwritten."""
    dataset = linked(small(modalities), folder / "links.tsv")
    split = cut_small(dataset, kind_of(name), folder / "split")
    return split, poisoned(split, folder / "poisoned")


@pytest.mark.parametrize("name", installed(APART))
def test_in_its_own_environment(name, tmp_path):
    """Neither a poisoned solution nor the other query cells change anything."""
    hyperparameters, modalities, expected = APART[name]
    split, dirty = clean_and_poisoned(name, modalities, tmp_path)
    few, folders = poisoned(split, tmp_path / "few"), [tmp_path / f"run-{i}" for i in range(3)]
    query = read_split(few / "query.h5mu", "query")
    names = np.concatenate([cells.obs_names[4:9] for cells in query.mod.values()])
    write_split(few / "query.h5mu", query[np.unique(names)].copy())
    given = kind_of(name), hyperparameters, python_of(name)
    records = fit_apart([split, dirty, few], folders, name, *given)
    assert [record["status"] for record in records] == ["ok"] * 3, records[0]["message"]
    assert_same_outputs(*folders[:2])
    whole, of_few = by_source(folders[0]), by_source(folders[2])
    assert set(whole) == set(of_few) == expected
    for what, cells in of_few.items():
        assert len(cells) == 5
        np.testing.assert_allclose(cells.X, whole[what].X[4:9], atol=1e-4, err_msg=what)
    # CelLink, M3, matilda and uniPort keep no history
    assert len(read_table(folders[0] / "history.tsv")) == hyperparameters.get("epochs", 0)
    wraps = catalog.card("methods", name)["wraps"]
    query = f"from importlib.metadata import version; print(version('{wraps['package']}'))"
    asked = subprocess.check_output([python_of(name), "-c", query], text=True)
    assert asked.strip() == wraps["version"]


def by_source(folder):
    """Return source -> latents and "rna->adt" -> values of the query cells of a run."""
    latents = read_latents(folder / "latents.h5ad")
    latents = latents[latents.obs["subset"] == "query"]
    groups = latents.obs.groupby("source", observed=True)
    tables = {source: latents[rows.index] for source, rows in groups}
    return tables | dict(read_imputed(folder / "imputed.h5mu").mod)


@pytest.mark.parametrize("_", installed(["multivae_mvae"]))
def test_our_bounds_are_those_of_multivae(_):
    """Same weights, cells and draws give the same loss and gradient, but for one expert."""
    command = [python_of("multivae_mvae"), REPOSITORY / "tests/bounds_of_multivae.py"]
    compared = json.loads(subprocess.check_output(command, env=os.environ | SOURCE))
    names = {what.split(":")[0] for what in compared}
    assert names >= {"mvae", "mmvae iwae", "mmvae dreg", "mopoe"}
    for what, (ours, theirs) in compared.items():
        same = ours == pytest.approx(theirs, rel=1e-4)
        assert same == (not what.startswith("mopoe with the prior's expert")), what


def test_an_absent_package_is_named_with_its_remedy():
    wraps = {"package": "nowhere", "module": "nowhere_at_all", "version": "1.0"}
    with pytest.raises(NotApplicable, match=r"package nowhere .* `make peers` installs 1\.0"):
        _package.need({"wraps": wraps})


def test_modalities_are_found_by_the_kind_of_their_counts(parts):
    train, _ = parts(("rna", "atac", "adt"), "paired")
    names = {"protein": "clr", "rna": "lognorm", "peaks": "lsi"}
    expected = {"protein": "adt", "rna": "rna", "peaks": "atac"}
    assert _package.by_name(train, names) == expected
    assert _package.lsi_of(train) == {"atac"}
    twice = train.normalizations | {"adt": train.normalizations["rna"]}
    with pytest.raises(NotApplicable, match="one modality of RNA, not rna and adt"):
        _package.by_kind(replace(train, normalizations=twice))
    del twice["adt"]
    card = {"label": "It", "wraps": {"module": "numpy"}}
    with pytest.raises(NotApplicable, match="It needs counts; adt has none"):
        _package.need(card, counts_of=replace(train, normalizations=twice))


def test_a_history_has_a_row_for_each_epoch_and_finite_losses():
    rows = _package.history(loss=[3, 2], validation_loss=[5.0, 4.0])
    assert rows[1] == {"epoch": 2, "loss": 2.0, "validation_loss": 4.0}
    with pytest.raises(Diverged):
        _package.history(loss=[3, np.nan])


def test_apart_restores_the_process(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    before = process()
    with _package.apart(3, silent=True):
        first = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
        os.environ["ADDED"] = "1"
        Path("file").touch()
        print("printed")
    assert process() == before
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "printed\n")
    random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
    with _package.apart(3):
        assert first == (random.random(), np.random.random(), torch.rand(1).item())  # noqa: NPY002


def test_factors_of_train_cells_are_those_that_mofa_ended_with(parts, monkeypatch):
    reason = "mofapy2 is not installed (make peers)"
    network = pytest.importorskip("mofapy2.core.BayesNet", reason=reason).BayesNet
    ended, stats = [], network.getTrainingStats

    def kept(model):
        ended.append(model.getNodes()["Z"].getExpectations()["E"])
        return stats(model)

    monkeypatch.setattr(network, "getTrainingStats", kept)
    train, _ = parts(("rna", "adt"), "paired")
    instance = catalog.method_class("mofa")(convergence="slow")
    instance.fit(train, 0)
    np.testing.assert_allclose(instance.embed(train.observing("rna", "adt")), ended[0], atol=0.02)


@pytest.mark.parametrize("name", installed(["scmomat"]))
def test_factors_of_scmomat_have_a_mean_of_one(name, once):
    """By default it has many; if they summed to 1, they would vary less than a collapsed latent."""
    for what, factors in once(name)[2].items():
        np.testing.assert_allclose(factors.mean(axis=1), 1, rtol=1e-5, err_msg=what)


@pytest.mark.parametrize("_", installed(["scot"]))
def test_scot_finds_the_same_tree_in_other_coordinates(_):
    """Three branches of unequal lengths, in two rotated spaces: the shape alone shows the pairs."""
    random, lengths = np.random.default_rng(0), (120, 60, 30)
    place = np.concatenate([np.linspace(0.05, size / 30, size) for size in lengths])
    tree, blocks = np.eye(3)[np.repeat([0, 1, 2], lengths)] * place[:, None], []
    axes = {m: np.linalg.qr(random.standard_normal((8, 8)))[0][:3] for m in ("left", "right")}
    for m, rotation in axes.items():
        x = (tree @ rotation + 0.02 * random.standard_normal((210, 8))).astype(np.float32)
        names = np.array([f"{m} {i}" for i in range(210)], dtype=object)
        blocks.append(Cells(names=names, values={m: x}))
    options = {"graph_neighbors": 10, "iterations": 30, "sinkhorn": 200, "neighbors": 3}
    instance = catalog.method_class("scot")(epsilon=5e-3, **options)
    instance.fit(Split(tuple(blocks), dict.fromkeys(axes, 8)), 0)
    left, right = (instance.embed(block) for block in blocks)
    distance = cdist(left, right)
    assert (distance < np.diag(distance)[:, None]).mean() < 0.15
