"""Every wrapped package that is installed here, on a small split: it does what its card says, and leaves no trace."""

import importlib
import json
import os
import random
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from mosaicbench_fits import LIMITS, assert_same_outputs, fit_apart, poisoned, run_of, seeds_of
from mosaicbench_splits import cut_small, linked
from scipy import sparse
from scipy.spatial.distance import cdist
from test_environment import CONSTRAINTS, name_of, pins

from mosaicbench.catalog import catalog
from mosaicbench.commands import fit
from mosaicbench.contract import Cells, Split
from mosaicbench.data.split import make_split
from mosaicbench.datasets import simulated
from mosaicbench.errors import NotApplicable
from mosaicbench.files.runs import read_imputed, read_latents, read_record
from mosaicbench.files.splits import as_cells, as_split, complete_cells, space_values, write_split
from mosaicbench.files.tables import read_table
from mosaicbench.fitting import attempt
from mosaicbench.peers import _package

FEATURES = {"n_rna": 60, "n_atac": 80, "n_adt": 14}
# peer -> hyperparameters that make it quick, the modalities of its split, and what it gives of a paired query
EVERYTHING = {"joint", "rna", "atac", "rna->atac", "atac->rna"}
PEERS = {
    "glue": ({"epochs": 2, "latent": 8, "hidden": 16}, ("rna", "atac"), EVERYTHING - {"joint"}),
    "moscot": (
        {"iterations": 5, "sinkhorn": 100, "epsilon": 0.05},
        ("rna", "adt"),
        {"rna", "adt", "rna->adt", "adt->rna"},
    ),
    "mofa": ({"iterations": 30}, ("rna", "atac"), EVERYTHING),
    "multivi": ({"epochs": 2, "latent": 4, "hidden": 16}, ("rna", "atac"), EVERYTHING),
    "totalvi": ({"epochs": 2}, ("rna", "adt"), {"joint", "rna", "rna->adt"}),
    "scmomat": ({"iterations": 20, "factors": 6}, ("rna", "atac"), {"joint", "rna", "atac"}),
    "scot": ({"iterations": 10, "sinkhorn": 50}, ("rna", "atac"), EVERYTHING - {"joint"}),
    "seurat_spca": ({"components": 10}, ("rna", "adt"), {"joint", "rna"}),
    "univi": ({"epochs": 2}, ("rna", "adt"), {"joint", "rna", "adt", "rna->adt", "adt->rna"}),
    "wnn": ({}, ("rna", "adt"), {"joint"}),
}
COMPILES = {"wnn"}  # peers that spend 20 s of compilation on every fit: fitted as seldom as can be
TWO_ONLY = set()  # peers that refuse three modalities
# The same of peers in environments of their own, where only the command line reaches them.
APART = {
    name: ({"epochs": 2}, ("rna", "adt"), {"joint", "rna", "adt", "rna->adt", "adt->rna"})
    for name in (
        "midas",
        "multigrate",
        "multivae_mvae",
        "multivae_mmvae",
        "multivae_mopoe",
        "scvaeit",
    )
} | {
    "matilda": ({}, ("rna", "adt"), {"joint"}),
    "scbutterfly": ({"epochs": 2, "pretraining": 2}, ("rna", "atac"), EVERYTHING - {"joint"}),
    "scconfluence": ({"epochs": 2}, ("rna", "adt"), {"rna", "adt", "rna->adt", "adt->rna"}),
    "uniport": ({"iterations": 40}, ("rna", "adt"), {"rna", "adt", "rna->adt", "adt->rna"}),
}


def peers():
    """Return the peers, those without their package as tests that are skipped."""
    found = []
    for name in PEERS:
        wraps = catalog.card("methods", name)["wraps"]
        absent = why_absent(wraps)
        found.append(pytest.param(name, marks=pytest.mark.skipif(bool(absent), reason=absent)))
    return found


def why_absent(wraps: dict[str, str]) -> str:
    """Return "" where the package that a card wraps is installed, and else what to say of it."""
    if wraps["module"] == "R":
        return (
            ""
            if version_in_r(wraps["package"])
            else f"R or its package {wraps['package']} is not installed"
        )
    return (
        ""
        if find_spec(wraps["module"])
        else f"the package {wraps['package']} is not installed (make peers)"
    )


@cache
def version_in_r(package: str) -> str:
    """Return the version of an R package, "" where it or R is not installed."""
    if not shutil.which("Rscript"):
        return ""
    asked = [
        "Rscript",
        "-e",
        f'if (nzchar(system.file(package = "{package}"))) cat(as.character(packageVersion("{package}")))',
    ]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def parts():
    """Return (modalities, kind) -> train and query cells with counts, of three types."""
    made = {}

    def of(modalities: tuple[str, ...], kind: str) -> tuple[Split, object]:
        if (modalities, kind) not in made:
            dataset = simulated.load(
                None, cells=220, modalities=modalities, cell_types=3, **FEATURES
            )
            blocks = (
                {"blocks": [list(modalities), *([m] for m in modalities)]}
                if kind == "mosaic"
                else {}
            )
            split = make_split(
                dataset, dataset_name="d", scenario=kind, kind=kind, seed=0, **blocks
            )
            train = as_split(split["train"], labels=True)
            counted = {m: split["train"][m].n_vars for m in modalities}
            links = {
                (first, second): sparse.csr_matrix(
                    np.eye(counted[first], counted[second], dtype=np.int8)
                )
                for first, second in permutations(modalities, 2)
            }
            made[modalities, kind] = replace(train, links=links), split["query"]
        return made[modalities, kind]

    return of


def outputs(name: str, instance, query, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    """Return source -> latents and "rna->adt" -> values of the query cells at `rows`: everything that a peer gives."""

    def cells(*modalities: str) -> Cells:
        names = complete_cells(query) if len(modalities) > 1 else query[modalities[0]].obs_names
        return as_cells(query, list(modalities), names[rows], counts=True)

    gives = catalog.card("methods", name)["outputs"]
    asked = {m: (instance.embed, (m,)) for m in query.mod if "single" in gives}
    if "joint" in gives and len(complete_cells(query)):
        asked["joint"] = (instance.embed, tuple(query.mod))
    for source, target in permutations(query.mod, 2) if "impute" in gives else ():
        asked[f"{source}->{target}"] = (
            lambda few, target=target: instance.impute(few, target),
            (source,),
        )
    found = {}
    for what, (give, modalities) in asked.items():
        try:
            found[what] = give(cells(*modalities))
        except NotApplicable:
            continue
    return found


def fitted(name: str, train: Split, seed: int = 0):
    """Return the peer, fitted briefly, and its history."""
    instance = catalog.method_class(name)(**PEERS[name][0])
    return instance, instance.fit(train, seed)


def process() -> tuple:
    """Return what a package could change for those that come after it."""
    arrays = np.random.get_state()[1].tolist()  # noqa: NPY002
    return (
        random.getstate(),
        arrays,
        torch.get_rng_state().tolist(),
        dict(os.environ),
        torch.get_num_threads(),
    )


def kind_of(name: str) -> str:
    return catalog.card("methods", name)["scenarios"][0]


@pytest.fixture(scope="module", autouse=True)
def _same_distances():
    """Give muon's descents between the same cells one distance, not each its own, for which all is compiled anew: 20 s."""
    if not find_spec("pynndescent"):
        yield
        return
    from pynndescent import NNDescent

    made, known = NNDescent._set_distance_func, {}

    def known_or_made(self):
        made(self)
        content = [x.tobytes() if isinstance(x, np.ndarray) else x for x in self._dist_args]
        self._distance_func = known.setdefault((self.metric, *content), self._distance_func)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NNDescent, "_set_distance_func", known_or_made)
        yield


@pytest.fixture(scope="module")
def once(parts):
    """Return name -> (fitted peer, its history, what it gives of the query, the query), fitted once for all tests."""
    made = {}

    def of(name: str):
        if name not in made:
            train, query = parts(PEERS[name][1], kind_of(name))
            instance, history = fitted(name, train)
            made[name] = instance, history, outputs(name, instance, query), query
        return made[name]

    return of


@pytest.mark.parametrize("name", peers())
def test_the_installed_version_is_the_pinned_one(name):
    wraps = catalog.card("methods", name)["wraps"]
    if wraps["module"] == "R":
        assert version_in_r(wraps["package"]) == wraps["version"]
    else:  # the cards' versions are held to these pins in test_environment
        assert version(wraps["package"]) == pins(CONSTRAINTS)[name_of(wraps["package"])]


@pytest.mark.parametrize("name", peers())
def test_gives_what_it_is_known_to_give(name, once):
    _, history, found, query = once(name)
    assert set(found) == PEERS[name][2]
    for what, array in found.items():
        assert np.isfinite(array).all(), what
        if "->" in what:
            source, target = what.split("->")
            assert array.shape == (query[source].n_obs, space_values(query[target]).shape[1])
        else:
            assert len(array) == (
                len(complete_cells(query)) if what == "joint" else query[what].n_obs
            )
            assert array.std(0).max() > 0
    assert len({array.shape[1] for what, array in found.items() if "->" not in what}) <= 1
    assert all({"epoch", "loss"} <= set(row) for row in history)
    assert history or catalog.card("methods", name)["kind"] == "baseline"


@pytest.mark.parametrize("name", peers())
def test_same_seed_same_result_without_labels_and_without_a_trace(
    name, once, parts, capfd, tmp_path, monkeypatch
):
    _, history, found, query = once(name)
    train, _ = parts(PEERS[name][1], kind_of(name))
    train = replace(train, blocks=tuple(replace(block, labels=None) for block in train.blocks))
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    before = process()
    again, history_again = fitted(name, train)
    found_again = outputs(name, again, query)
    assert process() == before
    assert capfd.readouterr().out == ""
    assert not list(tmp_path.iterdir())
    assert history == history_again
    for what, array in found_again.items():
        np.testing.assert_array_equal(array, found[what], err_msg=what)


@pytest.mark.parametrize("name", peers())
def test_a_query_cell_does_not_depend_on_the_others(name, once):
    instance, _, found, query = once(name)
    for rows in (slice(4, 9), slice(4, 5)):
        for what, array in outputs(name, instance, query, rows).items():
            np.testing.assert_allclose(array, found[what][rows], atol=1e-4, err_msg=what)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(*p.values, kind, marks=p.marks)
        for p in peers()
        for kind in catalog.card("methods", p.values[0])["scenarios"]
    ],
)
def test_serves_every_scenario_that_its_card_names(name, kind, once, parts):
    if kind != kind_of(name):
        train, query = parts(PEERS[name][1], kind)
        instance, _ = fitted(name, train)
        found = outputs(name, instance, query)
        assert set(found) >= PEERS[name][2] - {"joint"}
        assert all(np.isfinite(array).all() for array in found.values())


@pytest.mark.parametrize(
    "name", [p for p in peers() if p.values[0] in {"mofa", "multivi", "totalvi", "univi"}]
)
def test_what_cells_of_one_modality_change_in_a_mosaic(name, parts):
    """UniVI learns from cells that show everything, the others from all."""
    train, query = parts(PEERS[name][1], "mosaic")
    alone = replace(train, blocks=(train.observing(*train.modalities),))
    of_all, of_paired = (outputs(name, fitted(name, split)[0], query) for split in (train, alone))
    same = [np.array_equal(array, of_paired[what]) for what, array in of_all.items()]
    assert all(same) if name == "univi" else not any(same)


@pytest.mark.parametrize("name", [p for p in peers() if p.values[0] not in COMPILES])
def test_three_modalities_are_served_or_refused(name, parts):
    train, query = parts(("rna", "atac", "adt"), kind_of(name))
    if name in TWO_ONLY:
        with pytest.raises(NotApplicable, match="modalities"):
            fitted(name, train)
    else:
        found = outputs(name, fitted(name, train)[0], query)
        assert found
        assert all(np.isfinite(array).all() for array in found.values())


def test_every_wrapped_package_is_tested():
    elsewhere = {
        "linked_harmony",
        "maxfuse",
    }  # installed with the benchmark; never installed by it (test_links, test_scmodal)
    wrapped = {name for name, card in catalog.cards("methods").items() if "wraps" in card}
    assert set(PEERS) | set(APART) == wrapped - elsewhere
    assert set(APART) == {
        name for name in wrapped if "environment" in catalog.card("methods", name)
    }


def python_of(name: str) -> Path:
    return REPOSITORY / f".venvs/{catalog.card('methods', name)['environment']}/bin/python"


def peers_apart():
    """Return the peers with environments of their own, those that are not built as tests that are skipped."""
    reason = "its environment is not built (make peers)"
    return [
        pytest.param(name, marks=pytest.mark.skipif(not python_of(name).exists(), reason=reason))
        for name in APART
    ]


@pytest.mark.parametrize("name", peers_apart())
def test_in_its_own_environment(name, tmp_path):
    """With the same seed and few of the query cells, it gives the same of them; its version is the card's."""
    hyperparameters, modalities, gives = APART[name]
    dataset = simulated.load(None, cells=220, modalities=modalities, cell_types=3, **FEATURES)
    dataset = linked(dataset, tmp_path / "links.tsv")
    split = make_split(dataset, dataset_name="d", scenario="paired", kind="paired", seed=0)
    for part in ("train", "query"):
        write_split(tmp_path / f"{part}.h5mu", split[part])
    names = split["query"].obs_names[4:9]
    write_split(tmp_path / "few.h5mu", split["query"][names].copy())
    identity = json.dumps(
        {"dataset": "d", "scenario": "paired", "run": name, "method": name, "seed": 0}
    )
    made = {}
    for part in ("query", "few"):
        words = [
            "--identity",
            identity,
            "--hyperparameters",
            json.dumps(hyperparameters),
            "--threads",
            "1",
        ]
        words += ["--train", "train.h5mu", "--query", f"{part}.h5mu", "--output", part]
        command = [str(python_of(name)), "-m", "mosaicbench", "fit", "--method", name, *words]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        record = read_record(tmp_path / part / "run.json")
        assert record["status"] == "ok", record["message"]
        latents = read_latents(tmp_path / part / "latents.h5ad")
        latents = latents[latents.obs["subset"] == "query"]
        made[part] = {
            source: latents[rows.index]
            for source, rows in latents.obs.groupby("source", observed=True)
        }
        made[part] |= read_imputed(tmp_path / part / "imputed.h5mu").mod
    assert {path.name for path in tmp_path.iterdir()} == {
        "links.tsv",
        "train.h5mu",
        "query.h5mu",
        "few.h5mu",
        "query",
        "few",
    }
    assert set(made["query"]) == set(made["few"]) == gives
    for what, of_few in made["few"].items():
        assert of_few.shape == (5, made["query"][what].n_vars)
        np.testing.assert_allclose(of_few.X, made["query"][what].X[4:9], atol=1e-4, err_msg=what)
    history = read_table(tmp_path / "query/history.tsv")
    assert len(history) == hyperparameters.get(
        "epochs", 0
    )  # uniPort counts minibatches and keeps no history
    wraps = catalog.card("methods", name)["wraps"]
    asking = f"from importlib.metadata import version; print(version('{wraps['package']}'))"
    installed = subprocess.run(
        [str(python_of(name)), "-c", asking], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert installed == wraps["version"]


def nearest(x, n_neighbors, metric, metric_kwds, **_):
    """Find neighbours one by one, which muon searches by a descent that takes 20 s to compile."""
    known = tuple(metric_kwds.values())
    distances = cdist(
        x, x, metric if isinstance(metric, str) else lambda a, b: metric(a, b, *known)
    )
    places = distances.argsort(axis=1, kind="stable")[:, :n_neighbors]
    return places, np.take_along_axis(distances, places, axis=1), None


@pytest.mark.parametrize("name", [*peers(), *peers_apart()])
def test_poisoned_solution_changes_nothing(name, tmp_path, monkeypatch):
    """Without a fork, so that what a package has imported and compiled for the tests above is there."""
    hyperparameters, modalities, _ = (PEERS | APART)[name]
    dataset = linked(
        simulated.load(None, cells=220, modalities=modalities, cell_types=3, **FEATURES),
        tmp_path / "links.tsv",
    )
    split = cut_small(dataset, kind_of(name), tmp_path / "split")
    splits, folders = (
        [split, poisoned(split, tmp_path / "poisoned")],
        [tmp_path / "clean", tmp_path / "dirty"],
    )
    if name in APART:
        fit_apart(splits, folders, name, kind_of(name), hyperparameters, python_of(name))
    else:
        if name == "wnn":
            import muon

            module = importlib.import_module(
                muon.pp.neighbors.__module__
            )  # which one that is, muon's versions differ in
            monkeypatch.setattr(module, "nearest_neighbors", nearest)
        monkeypatch.setattr(
            attempt, "run_in_child", lambda work, meter, limits: (work() or 0, None)
        )
        run = run_of(name, folders, hyperparameters=hyperparameters, scenario=kind_of(name))
        fit.main(runs=[run], seeds=seeds_of(splits, [0, 0]), limits=LIMITS)
    assert_same_outputs(*folders)


@pytest.mark.skipif(
    not python_of("multivae_mvae").exists(),
    reason="multivae's environment is not built (make peers)",
)
def test_our_bounds_are_those_of_multivae():
    """The same weights, cells and draws loss the same, with the same gradient; but for the one expert that differs."""
    command = [str(python_of("multivae_mvae")), str(REPOSITORY / "tests/bounds_of_multivae.py")]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout)
    assert {what.split(":")[0] for what in compared} >= {
        "mvae",
        "mmvae iwae",
        "mmvae dreg",
        "mopoe",
    }
    for what, (ours, theirs) in compared.items():
        same = ours == pytest.approx(theirs, rel=1e-4)
        assert same == (not what.startswith("mopoe with the prior's expert")), what


def test_an_absent_package_is_named_with_its_remedy():
    with pytest.raises(
        NotApplicable, match=r"the package nowhere is not installed; `make peers` installs 1\.0"
    ):
        _package.need({"package": "nowhere", "module": "nowhere_at_all", "version": "1.0"})


def test_factors_of_train_cells_are_those_that_mofa_ended_with(parts, monkeypatch):
    network = pytest.importorskip(
        "mofapy2.core.BayesNet", reason="the package mofapy2 is not installed (make peers)"
    ).BayesNet
    ended, stats = [], network.getTrainingStats

    def kept(model):
        ended.append(model.getNodes()["Z"].getExpectations()["E"])
        return stats(model)

    monkeypatch.setattr(network, "getTrainingStats", kept)
    train, _ = parts(("rna", "adt"), "paired")
    instance = catalog.method_class("mofa")(convergence="slow")
    instance.fit(train, 0)
    np.testing.assert_allclose(instance.embed(train.observing("rna", "adt")), ended[0], atol=0.02)


def test_factors_of_scmomat_have_a_mean_of_one(once):
    """With as many factors as it takes by default, those that sum to 1 vary by less than a collapsed latent may."""
    pytest.importorskip("scmomat", reason="the package scmomat is not installed (make peers)")
    _, _, found, _ = once("scmomat")
    for what, factors in found.items():
        np.testing.assert_allclose(factors.mean(axis=1), 1, rtol=1e-5, err_msg=what)


def test_scot_finds_the_same_tree_in_other_coordinates():
    """Three branches of unlike lengths, measured in two rotated spaces: no pair is told, the shape tells them."""
    pytest.importorskip("ot", reason="the package POT is not installed (make peers)")
    random = np.random.default_rng(0)
    branch = np.repeat([0, 1, 2], [120, 60, 30])
    place = np.concatenate([np.linspace(0.05, size / 30, size) for size in (120, 60, 30)])
    tree = np.eye(3)[branch] * place[:, None]
    spaces = {m: np.linalg.qr(random.standard_normal((8, 8)))[0][:3] for m in ("left", "right")}
    splits = {
        m: (tree @ axes + 0.02 * random.standard_normal((210, 8))).astype(np.float32)
        for m, axes in spaces.items()
    }
    blocks = tuple(
        Cells(names=np.array([f"{m} {i}" for i in range(210)], dtype=object), values={m: splits[m]})
        for m in splits
    )
    scot = catalog.method_class("scot")
    instance = scot(graph_neighbors=10, epsilon=5e-3, iterations=30, sinkhorn=200, neighbors=3)
    instance.fit(Split(blocks, dict.fromkeys(splits, 8)), 0)
    left, right = (instance.embed(block) for block in blocks)
    distance = ((left[:, None] - right[None]) ** 2).sum(-1)
    closer = (distance < np.diag(distance)[:, None]).mean()
    assert closer < 0.15
