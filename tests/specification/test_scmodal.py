"""scMODAL and the baselines on linked features: what each term does, that no pair is used, that links are."""

import math
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import linear_cells, links_among, paired_split, unpaired_split
from numpy.testing import assert_allclose, assert_array_equal
from torch.testing import assert_close

from mosaicbench.errors import NotApplicable
from mosaicbench.methods.linked import LinksCCA, LinksHarmony, LinksMNN
from mosaicbench.methods.scmodal import SCMODAL
from mosaicbench.models import training
from mosaicbench.models.minibatch import Minibatch, on_device
from mosaicbench.peers.maxfuse import MaxFuse

THREE = ("rna", "atac", "adt")
WEIGHTS = {
    "reconstruction": "reconstruction_weight",
    "geometry": "geometry_weight",
    "cycle": "cycle_weight",
    "anchors": "anchor_weight",
    "feedback": "discriminator_weight",
}
SMALL = {"max_epochs": 2, "batch_size": 50, "hidden": 16, "latent": 6, "discriminator_hidden": 16}
BASELINES = [LinksCCA, LinksMNN, LinksHarmony]


def fitted(split=None, seed=0, **options):
    method = SCMODAL(**SMALL | options)
    method.history = method.fit(unpaired_split() if split is None else split, seed)
    return method


def minibatch(method, modalities=("rna", "adt"), n=40, seed=4):
    """Return a step's cells: unpaired, linked features beside the values."""
    cells = [linear_cells(n, seed=seed + i, modalities=(m,)) for i, m in enumerate(modalities)]
    x = Minibatch(
        {m: on_device(c, training.device())[m] for m, c in zip(modalities, cells, strict=True)}
    )
    names = [(a, b) for pair in method.pairs for a, b in (pair, pair[::-1])]
    return Minibatch(x.observed | {f"{a}~{b}": x[a][:, :8] for a, b in names})


# --- the terms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", WEIGHTS)
def test_weight_0_removes_exactly_its_term(term):
    whole = fitted()
    x = minibatch(whole)
    without = replace(whole, **{WEIGHTS[term]: 0.0})
    vars(without).update({k: v for k, v in vars(whole).items() if k not in WEIGHTS.values()})
    loss, less = whole.loss(x, 1.0), without.loss(x, 1.0)
    assert {name.split("_")[0] for name in loss} == set(WEIGHTS)
    assert {name for name in loss if not name.startswith(term)} == set(less)
    for name, value in less.items():
        assert_close(value, loss[name], rtol=0, atol=0)


@torch.no_grad()
def test_terms_are_those_of_the_paper():
    with torch.enable_grad():
        method = fitted(reconstruction_weight=2.0, cycle_weight=3.0, discriminator_weight=0.5)
    x = minibatch(method)
    (e, f), (g, h) = (
        [nets[m] for m in ("rna", "adt")] for nets in (method.encoders, method.decoders)
    )
    z, w = e(x["rna"]), f(x["adt"])
    # How much the discriminator takes a cell for one of the second modality.
    logits = [method.opponents.discriminators["rna_adt"](latent) for latent in (z, w)]
    d = [logit[:, 1] - logit[:, 0] for logit in logits]
    softplus = torch.nn.functional.softplus
    expected = {
        "reconstruction_rna": 2 * (g(z) - x["rna"]).square().mean(),
        "cycle_rna_adt": 3 * (f(h(z)) - z).square().mean(),
        "cycle_adt_rna": 3 * (e(g(w)) - w).square().mean(),
        "feedback_rna_adt": -0.5 * (softplus(d[0]).mean() + softplus(-d[1]).mean()),
    }
    loss = method.loss(x, 1.0)
    found = {name: float(loss[name].mean()) for name in expected}
    assert found == pytest.approx({name: float(x) for name, x in expected.items()}, rel=1e-5)


def test_without_a_mutual_pair_the_loss_is_finite():
    method = fitted(near=0.01)
    x = minibatch(method, n=6)
    nowhere = torch.eye(6, 8, device=x["rna"].device)
    alike = Minibatch(
        x.observed | {"rna~adt": nowhere, "adt~rna": -nowhere[:, [1, 2, 3, 4, 5, 0, 6, 7]]}
    )
    with torch.no_grad():
        assert all(torch.isfinite(value).all() for value in method.loss(alike, 1.0).values())


def test_the_discriminators_value_is_recorded_and_starts_near_its_equilibrium():
    history = fitted(discriminator_learning_rate=1e-9).history
    for row in history:
        assert row["discriminator_rna_adt_value"] == 2 * row["discriminator_rna_adt_cross_entropy"]
    assert history[0]["discriminator_rna_adt_value"] == pytest.approx(2 * math.log(2), abs=0.1)


def test_without_weight_discriminators_do_not_learn():
    method = fitted(discriminator_weight=0.0)
    assert not any("discriminator" in name or "feedback" in name for name in method.history[0])
    assert not method.opponents.optimiser.state
    trained = fitted()
    assert trained.opponents.optimiser.state
    assert trained.history[-1]["feedback_rna_adt"] < 0


def test_ablations_start_from_the_same_networks():
    still = {"max_epochs": 1, "learning_rate": 0.0, "weight_decay": 0.0}
    first, second = fitted(**still), fitted(**still, discriminator_weight=0.0, anchor_weight=0.0)
    for one, other in zip(first.nets.parameters(), second.nets.parameters(), strict=True):
        assert_close(one, other, rtol=0, atol=0)


def test_training_runs_all_its_epochs_and_keeps_the_last_weights():
    method = fitted(max_epochs=5, patience=1, epoch_steps=3)
    assert [row["epoch"] for row in method.history] == [1, 2, 3, 4, 5]
    again = SCMODAL(**SMALL | {"max_epochs": 5, "epoch_steps": 3})
    seen = []
    loss = again.loss
    again.loss = lambda x, progress: seen.append(x.cells) or loss(x, progress)
    again.fit(unpaired_split(), 0)
    assert seen == [50] * 15
    assert_array_equal(*(m.embed(linear_cells(9, seed=3).only("adt")) for m in (method, again)))


def test_training_ends_with_the_epoch_that_reaches_the_steps():
    assert len(fitted(max_epochs=50, epoch_steps=4, steps=10).history) == 3
    assert len(fitted(max_epochs=2, epoch_steps=4, steps=10).history) == 2


def test_weights_and_biases_begin_as_in_the_original_and_latents_far_apart():
    still = {"learning_rate": 0.0, "discriminator_learning_rate": 0.0, "weight_decay": 0.0}
    method = fitted(hidden=128, **still)
    kaiming = fitted(hidden=128, initialisation="kaiming", **still)
    for nets in (method.nets, method.opponents.discriminators):
        weights = torch.cat([p.detach().flatten() for p in nets.parameters()])
        assert float(weights.std()) == pytest.approx(0.1, rel=0.1)
    cells = linear_cells(60, seed=3).only("rna")
    assert 2 * kaiming.embed(cells).std() < method.embed(cells).std()


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.99)])
def test_discriminators_learn_with_the_betas_that_are_asked_for(betas):
    (group,) = fitted(discriminator_betas=list(betas)).opponents.optimiser.param_groups
    assert group["betas"] == betas


def test_no_train_cell_is_held_out():
    split, shown = unpaired_split(), set()
    method = SCMODAL(**SMALL | {"max_epochs": 1, "validation": 0.5})
    loss = method.loss
    method.loss = lambda x, progress: (
        shown.update(map(tuple, x["rna"].tolist())) or loss(x, progress)
    )
    method.fit(split, 0)
    assert shown == set(map(tuple, split.observing("rna").values["rna"].tolist()))


# --- pairs, links, chains ------------------------------------------------------------------------------------------------


def test_no_pair_is_used():
    """What a cell shows in a modality that its turn does not take can be anything."""
    split = paired_split()
    (block,) = split.blocks
    turn, garbage = np.random.default_rng(0).permutation(len(block)) % 2, {}
    for place, (m, x) in enumerate(block.values.items()):
        garbage[m] = np.where((turn == place)[:, None], x, np.float32(1e3))
    poisoned = replace(split, blocks=(replace(block, values=garbage),))
    query = linear_cells(20, seed=5)
    for method in (SCMODAL, *BASELINES):
        first, second = fit(method, split), fit(method, poisoned)
        for m in ("rna", "adt"):
            assert_array_equal(first.embed(query.only(m)), second.embed(query.only(m)))


def fit(method_class, split):
    if method_class is SCMODAL:
        return fitted(split)
    method = method_class()
    method.fit(split, 0)
    return method


def misled(split):
    """Return the split with links between other features, which are no likes."""
    links = links_among(split.modalities)
    wrong = {pair: x[:, ::-1] if pair[0] == "rna" else x[::-1] for pair, x in links.items()}
    return replace(split, links=wrong)


@pytest.mark.parametrize("method_class", [SCMODAL, *BASELINES])
def test_links_are_really_used(method_class):
    split, query = unpaired_split(), linear_cells(20, seed=5).only("adt")
    latents = [fit(method_class, links).embed(query) for links in (split, misled(split))]
    assert not np.allclose(*latents)
    with pytest.raises(NotApplicable, match="no links lead between"):
        fit(method_class, replace(split, links={}))


@pytest.mark.parametrize("order", [None, ["adt", "rna", "atac"], ["rna", "atac", "adt"]])
def test_a_chain_has_a_discriminator_and_a_cycle_per_neighbours(order):
    method = fitted(unpaired_split(modalities=THREE), order=order)
    chain = order or ["atac", "rna", "adt"]
    pairs = {f"{a}_{b}" for a, b in zip(chain, chain[1:], strict=False)}
    assert set(method.opponents.discriminators) == pairs
    terms = [name.partition("_") for name in method.history[0]]
    assert {pair for term, _, pair in terms if term == "anchors"} == pairs
    assert [term for term, *_ in terms].count("cycle") == 4
    assert all(math.isfinite(value) for value in method.history[-1].values())


def test_cca_on_links_is_the_decomposition_of_cells_against_cells():
    split = unpaired_split()
    method = fit(LinksCCA, split)
    a, b = (method.linked.of(split.observing(m), m) for m in ("rna", "adt"))
    u, _, v = np.linalg.svd(a @ b.T, full_matrices=False)
    for x, expected in (("rna", u[:, :10]), ("adt", v[:10].T)):
        z = method.embed(split.observing(x))
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        assert_allclose(np.abs(z[:, :3]), np.abs(expected[:, :3]), atol=2e-3)


# --- MaxFuse -------------------------------------------------------------------------------------------------------------


def test_maxfuse_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "maxfuse", None)
    with pytest.raises(
        NotApplicable,
        match="maxfuse is not installed; .* pip install maxfuse",
    ):
        MaxFuse().fit(unpaired_split(), 0)


class Fusor:
    """Stands for the package's class: takes what it documents, in its order, and embeds by the first shared features."""

    steps = []

    def __init__(
        self, shared_arr1, shared_arr2, active_arr1, active_arr2, method, labels1, labels2
    ):
        assert shared_arr1.shape[1] == shared_arr2.shape[1]
        assert len(active_arr1) == len(shared_arr1) <= len(shared_arr2)
        self.shared = shared_arr1, shared_arr2
        type(self).steps = []

    def __getattr__(self, step):
        return lambda **options: self.steps.append(step)

    def get_embedding(self, active_arr1, active_arr2):
        return tuple(x[:, :5] for x in self.shared)


def test_maxfuse_runs_the_packages_steps_and_embeds_new_cells(monkeypatch):
    package, model = types.ModuleType("maxfuse"), types.ModuleType("maxfuse.model")
    package.__spec__, package.__path__ = types.SimpleNamespace(name="maxfuse"), []
    model.Fusor = Fusor
    monkeypatch.setitem(sys.modules, "maxfuse", package)
    monkeypatch.setitem(sys.modules, "maxfuse.model", model)
    method = MaxFuse(neighbors=1)
    split = unpaired_split()
    method.fit(split, 0)
    assert Fusor.steps == [
        "split_into_batches",
        "construct_graphs",
        "find_initial_pivots",
        "refine_pivots",
        "filter_bad_matches",
        "propagate",
        "filter_bad_matches",
    ]
    rna = split.observing("rna")
    assert_allclose(method.embed(rna), rna.values["rna"][:, :5], rtol=1e-6)
    assert method.impute(linear_cells(7, seed=2).only("rna"), "adt").shape == (7, 12)
    with pytest.raises(NotApplicable, match="two modalities"):
        MaxFuse().fit(unpaired_split(modalities=THREE), 0)
