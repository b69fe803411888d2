"""What trains elsewhere than on the CPU keeps all it computes with there: held to it without a GPU, by a second device."""

import os

import numpy as np
import pytest
import torch
from conftest import linear_cells, paired_split
from mosaicbench_fits import LIMITS, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset
from numpy.testing import assert_array_equal
from pretend_device import DEVICE, There, pretended
from test_methods import MODELS, SPLITS, gives, outputs_of
from test_training import counted_split

from mosaicbench.catalog import catalog
from mosaicbench.commands import fit
from mosaicbench.files.runs import read_record
from mosaicbench.models import minibatch

SMALL = {"max_epochs": 1, "batch_size": 64, "hidden": 16}


def widest(method):
    """Return the pattern of cells that asks most of a method, of those it handles."""
    return next(
        pattern
        for pattern in ("mosaic", "paired", "unpaired")
        if pattern in catalog.card("methods", method)["scenarios"]
    )


def made(method, **hyperparameters):
    if isinstance(method, str):
        method = catalog.method_class(method)
    return method(**hyperparameters)


def given_by(instance, method, query):
    """Return everything that a fitted method gives of query cells, in a fixed order."""
    found = outputs_of(method, instance, query)
    for source, target in [("rna", "adt"), ("adt", "rna")]:
        shown = query.only(source)
        if gives(method, "private"):
            found.append(instance.embed_private(shown))
        if gives(method, "draws"):
            found.append(instance.draw(shown, target, np.arange(3), 2, 0))
    return [*found, *(instance.generate(5, 0).values() if hasattr(instance, "generate") else ())]


def assert_same_there(monkeypatch, method, train, query, **hyperparameters):
    """Fit a method here and there; both give the same, and all weights are there."""
    here = made(method, **SMALL | hyperparameters)
    expected = here.fit(train, 0), given_by(here, method, query)
    with pretended(monkeypatch):
        there = made(method, **SMALL | hyperparameters)
        history, found = there.fit(train, 0), given_by(there, method, query)
    assert all(isinstance(weights, There) for weights in there.nets.state_dict().values())
    assert history == expected[0]
    for values, values_here in zip(found, expected[1], strict=True):
        assert_array_equal(values, values_here)


@pytest.mark.parametrize("method", MODELS)
def test_a_model_trains_and_gives_all_it_gives_on_one_device(monkeypatch, method):
    assert_same_there(
        monkeypatch, method, SPLITS[widest(method)](), linear_cells(20, seed=5, name="query")
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_counts_come_to_the_device_resident_or_streamed(monkeypatch, streamed):
    if streamed:
        monkeypatch.setattr(minibatch, "HOST_SHARE", 0)
    query = linear_cells(20, seed=5, name="query")
    assert_same_there(monkeypatch, "vae_poe", counted_split(), query, likelihood="counts")


def assert_goes_on(method, place):
    """Train 2 epochs in one go, and one and then the second from what was saved to a place: both give the same."""
    train, query = SPLITS[widest(method)](), linear_cells(20, seed=5, name="query")

    def trained(epochs, *, saved=True):
        instance = made(method, **SMALL | {"max_epochs": epochs, "cooldown": 0.0})
        if saved:
            instance.save_at(place, key=lambda: "this", seconds=0.0)
        history = instance.fit(train, 0)
        return instance, history, instance.embed(query.only("rna"))

    _, expected, latents = trained(2, saved=False)
    trained(1)  # as if killed then
    resumed, history, found = trained(2)
    assert resumed.checkpoint.resumed_after == [1]
    assert history == expected
    assert_array_equal(found, latents)


@pytest.mark.parametrize("method", ["mvae", "scmodal"])
def test_a_killed_training_goes_on_on_the_device(monkeypatch, tmp_path, method):
    with pretended(monkeypatch):
        assert_goes_on(method, tmp_path / "saved.pt")


def test_a_model_that_was_kept_gives_the_same_there(monkeypatch):
    train, query = paired_split(), linear_cells(20, seed=5, name="query")
    method = made("mvae", **SMALL)
    method.fit(train, 0)
    with pretended(monkeypatch):
        read = made("mvae", **SMALL)
        read.load(method.state(), train)
        assert all(isinstance(weights, There) for weights in read.nets.state_dict().values())
        found = read.embed(query)
    assert_array_equal(found, method.embed(query))


def test_the_process_that_forks_fits_asks_for_no_gpu(monkeypatch, tmp_path):
    """A driver that has started before a fork is of no use to the child."""
    asked = tmp_path / "asked"

    def is_available():
        with asked.open("a") as processes:
            processes.write(f"{os.getpid()}\n")
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    split = cut_small(small_dataset(), "paired", tmp_path / "split")
    outputs = [tmp_path / "a", tmp_path / "b"]
    run = run_of("mvae", outputs, hyperparameters={"max_epochs": 1})
    fit.main(runs=[run], seeds=seeds_of([split] * 2, [0, 0]), limits=LIMITS)
    assert [read_record(output / "run.json")["status"] for output in outputs] == ["ok"] * 2
    processes = set(map(int, asked.read_text().split()))
    assert len(processes) == 2
    assert os.getpid() not in processes


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.nn.functional.linear(x, torch.ones(2, 3)),
        lambda x: torch.cat([x, torch.ones(1, 3)]),
        lambda x: torch.ones(4, 3)[x[:, 0].long()],
        lambda x: x.numpy(),
    ],
)
def test_the_second_device_refuses_what_is_not_there(monkeypatch, mixed):
    with pretended(monkeypatch):
        x = torch.zeros(2, 3, device=DEVICE)
        assert (x + torch.tensor(1.0, device=DEVICE) + 1).cpu().tolist() == [[2.0] * 3] * 2
        with pytest.raises((RuntimeError, TypeError), match=r"two devices|not supported"):
            mixed(x)
