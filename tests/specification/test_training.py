"""Training: what was killed goes on as if nothing had happened; where the data lie changes no number."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import linear_cells, mosaic_split, paired_split, unpaired_split
from numpy.testing import assert_array_equal
from scipy import sparse
from torch import nn

from mosaicbench.contract import Normalization, Split
from mosaicbench.errors import Diverged
from mosaicbench.methods.dmmvae import EncoderAdversarialDMMVAE
from mosaicbench.methods.mmaavi import SemiSupervisedMMAAVI
from mosaicbench.methods.mvae import MVAE
from mosaicbench.models import minibatch, training
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Part, Streamed, block_of, by_pieces, on_device
from mosaicbench.models.networks import Adam


class Killed(BaseException):
    """Stands for the signal that ends a process."""


def killed_in(method, epoch, steps=0):
    """Let training stop in the middle of an epoch (1 is the first): before its first step, or `steps` later."""
    loss, saved = method.loss, method.checkpoint.save_if_due
    calls = {"epochs": 0, "steps": 0}

    def counting_loss(x, progress):
        if torch.is_grad_enabled() and calls["epochs"] == epoch - 1:
            if calls["steps"] == steps:
                raise Killed
            calls["steps"] += 1
        return loss(x, progress)

    def counting_save(*arguments):
        saved(*arguments)
        calls["epochs"] += 1

    method.loss, method.checkpoint.save_if_due = counting_loss, counting_save
    with pytest.raises(Killed):
        method.fit(split_of(method), seed=3)


def split_of(method):
    return mosaic_split() if isinstance(method, MVAE | SemiSupervisedMMAAVI) else unpaired_split(60)


def fitted(method_class, place=None, *, key="this", seconds=0.0, **hyperparameters):
    method = method_class(max_epochs=6, patience=6, batch_size=64, cooldown=1.0, **hyperparameters)
    if place is not None:
        method.save_at(place, key=lambda: key, seconds=seconds)
    return method


def same(first, second):
    one, other = (method.nets.state_dict() for method in (first, second))
    return all(torch.equal(one[name], other[name]) for name in one)


@functools.cache
def undisturbed(method_class):
    """Return a method whose training nothing stops, and its history."""
    method = fitted(method_class)
    return method, method.fit(split_of(method), seed=3)


@pytest.mark.parametrize("method_class", [MVAE, EncoderAdversarialDMMVAE, SemiSupervisedMMAAVI])
def test_a_killed_training_ends_as_one_that_was_not(method_class, tmp_path):
    whole, expected = undisturbed(method_class)
    killed_in(fitted(method_class, tmp_path / "saved.pt"), epoch=4, steps=1)
    # The second epoch of those that are left, in a second attempt.
    killed_in(fitted(method_class, tmp_path / "saved.pt"), epoch=2)
    last = fitted(method_class, tmp_path / "saved.pt")
    history = last.fit(split_of(last), seed=3)

    assert history == expected
    assert [row["epoch"] for row in history] == list(range(1, 7))
    assert last.checkpoint.resumed_after == [3, 4]
    assert last.checkpoint.spent["seconds"] > 0
    assert same(whole, last)
    cells = linear_cells(20, seed=9).only("rna")
    assert_array_equal(whole.embed(cells), last.embed(cells))


@pytest.mark.parametrize("spoil", ["key", "truncated"])
def test_a_checkpoint_that_does_not_fit_is_left_aside(tmp_path, capsys, spoil):
    _, expected = undisturbed(MVAE)
    place = tmp_path / "saved.pt"
    killed_in(fitted(MVAE, place), epoch=3)
    if spoil == "truncated":
        place.write_bytes(place.read_bytes()[:1000])
    last = fitted(MVAE, place, key="another" if spoil == "key" else "this")
    assert last.fit(split_of(last), seed=3) == expected
    assert last.checkpoint.resumed_after == []
    assert str(place) in capsys.readouterr().err


def test_a_checkpoint_is_written_no_more_often_than_asked(tmp_path):
    seldom = fitted(MVAE, tmp_path / "saved.pt", seconds=3600)
    seldom.fit(split_of(seldom), seed=3)
    assert not list(tmp_path.iterdir())


def counted_split(cells=100):
    """Return one block with counts of both modalities and labels."""
    block = linear_cells(cells, seed=1)
    random = np.random.default_rng(2)
    counts = {
        m: sparse.csr_matrix(random.poisson(1.0, x.shape).astype(np.float32))
        for m, x in block.values.items()
    }
    library_size = {m: np.asarray(x.sum(axis=1)).ravel() for m, x in counts.items()}
    features = {m: x.shape[1] for m, x in counts.items()}
    ones = {m: np.ones(d) for m, d in features.items()}
    normalizations = {
        m: Normalization("clr", 0 * ones[m], ones[m], 20.0, ones[m] / d, ones[m])
        for m, d in features.items()
    }
    return Split(
        (replace(block, counts=counts, library_size=library_size),), features, normalizations
    )


def test_streamed_and_resident_data_train_the_same(monkeypatch):
    histories = {}
    for share in (minibatch.HOST_SHARE, 0.0):
        monkeypatch.setattr(minibatch, "HOST_SHARE", share)
        split = counted_split()
        held = block_of(split.blocks[0], torch.device("cpu"), counts=["rna", "adt"])
        method = fitted(MVAE, likelihood="counts")
        histories[type(held)] = method.fit(split, seed=0), method.nets.state_dict()
    (resident, weights), (streamed, others) = histories.values()
    assert Streamed in histories
    assert len(histories) == 2
    assert resident == streamed
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_streamed_cells_are_the_cells_asked_for():
    split = counted_split(20)
    cells, cpu = split.blocks[0], torch.device("cpu")
    rows = torch.tensor([7, 3, 11])
    resident = on_device(cells, cpu, counts=["rna"], cell_types=split.cell_types)
    counted = replace(cells, counts={"rna": cells.counts["rna"]})
    streamed = Streamed(counted, cpu, {"cell_types": split.cell_types})
    for taken in (streamed.take(rows), Part(streamed, torch.arange(20).flip(0)).take(19 - rows)):
        expected = resident.take(rows)
        assert set(taken) == set(expected)
        assert all(torch.equal(taken[m], expected[m]) for m in expected)
        assert set(taken.counts) == {"rna"}
        for counts in (taken.counts["rna"], expected.counts["rna"]):
            dense = torch.zeros(3, counts.features).put_(counts.places, counts.values)
            assert_array_equal(dense, cells.counts["rna"][rows.numpy()].toarray())
        assert torch.equal(taken.library_size["rna"], expected.library_size["rna"])
        assert torch.equal(taken.labels, expected.labels)


@pytest.mark.parametrize(("free", "streamed"), [(10_000, True), (10_000_000, False)])
def test_what_does_not_fit_beside_the_networks_on_a_gpu_is_streamed(monkeypatch, free, streamed):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    monkeypatch.setattr(minibatch, "on_device", lambda *arguments, **options: "resident")
    held = block_of(counted_split(50).blocks[0], torch.device("cuda"), counts=["rna"])
    assert isinstance(held, Streamed) is streamed
    assert streamed or held == "resident"


def test_pieces_hold_every_cell_once_and_in_order(monkeypatch):
    monkeypatch.setattr(minibatch, "PIECE", 7)
    cells = linear_cells(20, seed=0)
    whole = on_device(cells, torch.device("cpu"))
    pieces = list(whole.pieces())
    assert [piece.cells for piece in pieces] == [7, 7, 6]
    assert torch.equal(torch.cat([piece["rna"] for piece in pieces]), whole["rna"])
    assert_array_equal(
        by_pieces(lambda x: x["adt"], cells, torch.device("cpu")), cells.values["adt"]
    )


def test_arithmetic_is_set_while_training_and_restored(monkeypatch):
    monkeypatch.setattr(training, "device", functools.partial(torch.device, "cuda"))
    torch.set_float32_matmul_precision("high")
    try:
        with training.seeded(0):
            assert torch.get_float32_matmul_precision() == "highest"
            assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_float32_matmul_precision() == "high"
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("clip", [1e6, 1e-3])
def test_a_step_takes_the_gradient_of_the_mean_over_its_cells_cut_to_the_largest_norm(clip):
    split, nets = mosaic_split(), nn.Linear(1, 1)
    weight = float(nets.weight)

    def loss(x, progress):
        return Loss(squares=(nets.weight * next(iter(x.values()))[:, 0]).square().sum(0))

    def one_step(blocks, size):  # of blocks of unequal sizes
        yield [block.take(torch.arange(block.cells)) for block in blocks]

    assert len({len(block) for block in split.blocks}) > 1
    cells = np.concatenate([next(iter(block.values.values()))[:, 0] for block in split.blocks])
    budget = training.Budget(max_epochs=1, gradient_clip=clip, weights="last")
    training.minimise(loss, nets, split, budget=budget, warmup=0, steps=one_step)
    full = 2 * weight * np.square(cells).mean()
    assert float(nets.weight.grad) == pytest.approx(np.sign(full) * min(abs(full), clip), rel=1e-3)


class Idle:
    """Discriminators who learn nothing."""

    stateful = {}  # noqa: RUF012

    def learn(self, minibatches, progress):
        return {}


def history_of(validation_losses, *, warmup, patience=5, of_budget=None, **options):
    """Return the history of a training that has these validation losses, one an epoch."""
    nets, losses = nn.Linear(1, 1), iter(validation_losses)

    def loss(x, progress):
        return Loss(squares=nets.weight.square().sum().expand(x.cells))

    def held_out_loss(x, progress):
        assert progress == 1
        return Loss(given=torch.full((x.cells,), float(next(losses))))

    given = {"cooldown": 0.0} | (of_budget or {})
    budget = training.Budget(max_epochs=len(validation_losses), patience=patience, **given)
    return training.minimise(
        loss,
        nets,
        paired_split(60),
        budget=budget,
        warmup=warmup,
        held_out_loss=held_out_loss,
        **options,
    )


def rates_of(monkeypatch, losses, **budget):
    """Return the learning rate of each epoch of a training that has these validation losses."""
    rates, step = [], training.Adam.step

    def noted(optimiser):
        rates.append(optimiser.param_groups[0]["lr"])
        return step(optimiser)

    monkeypatch.setattr(training.Adam, "step", noted)
    history_of(losses, warmup=0.1, patience=2, of_budget={"learning_rate": 1.0, **budget})
    return rates


def test_the_learning_rate_falls_to_0_when_patience_ends(monkeypatch):
    losses = [5, 4, 3, 2, 9, 9, 1, 1, 1, 1, 1, 1]
    rates = rates_of(monkeypatch, losses, cooldown=0.5)
    assert rates == pytest.approx(
        [1.0] * 6 + [0.75, 0.5, 0.25]
    )  # of epochs 7 to 9; the sixth ends patience


def test_the_cooldown_ends_with_the_last_epoch(monkeypatch):
    rates = rates_of(monkeypatch, list(range(12, 0, -1)), cooldown=0.5)
    assert rates == pytest.approx([1.0] * 8 + [0.8, 0.6, 0.4, 0.2])
    rates = rates_of(monkeypatch, list(range(10, 0, -1)), cooldown=0.5)  # 10 / 1.5 is 6.7
    assert rates == pytest.approx([1.0] * 6 + [0.8, 0.6, 0.4, 0.2])


def test_without_a_cooldown_and_with_the_last_weights_the_learning_rate_stays(monkeypatch):
    assert rates_of(monkeypatch, [1, 2, 3, 4, 5]) == [1.0] * 3
    assert rates_of(monkeypatch, [1, 2, 3], cooldown=0.5, weights="last") == [1.0] * 3


def epochs_kept(history):
    return [row["epoch"] for row in history if row["kept"]]


@pytest.mark.parametrize("opponents", [None, Idle()])
@pytest.mark.parametrize(
    ("losses", "kept"), [([1, 2, 3, 4, 5], 3), ([1, 2, 5, 3, 4], 4), ([5, 4, 3, 2, 1], 5)]
)
def test_no_weights_of_the_warm_up_are_kept(losses, kept, opponents):
    history = history_of(losses, warmup=0.6, opponents=opponents)
    assert [row["progress"] for row in history] == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])
    assert epochs_kept(history) == [kept]


def test_patience_begins_at_the_end_of_the_warm_up():
    history = history_of([1, 2, 3, 4, 9, 9, 9, 9, 9, 9], warmup=0.4, patience=2)
    assert epochs_kept(history) == [4]
    assert len(history) == 6


def test_a_validation_loss_that_is_finite_in_the_warm_up_alone_is_a_divergence():
    with pytest.raises(Diverged, match="never finite after the warm-up"):
        history_of([1, 1, float("nan"), float("inf"), float("nan")], warmup=0.6)


@pytest.mark.parametrize(
    ("epochs", "warm"), [(1, 1), (2, 1), (50, 10), (100, 20), (101, 20), (500, 20)]
)
def test_more_than_100_epochs_leave_the_warm_up_as_it_is(epochs, warm):
    history = history_of([1.0] * epochs, warmup=0.2, patience=1)
    assert epochs_kept(history) == [warm]
    assert len(history) == min(epochs, warm + 1)
    assert [row["progress"] for row in history] == pytest.approx(
        [min(1, row["epoch"] / warm) for row in history]
    )


def test_the_optimiser_steps_as_pytorchs(tmp_path):
    torch.manual_seed(0)
    x, y = torch.randn(20, 5), torch.randn(20, 1)
    ours, theirs = nn.Linear(5, 1), nn.Linear(5, 1)
    theirs.load_state_dict(ours.state_dict())
    optimisers = [
        kind(net.parameters(), lr=0.1, fused=True)
        for kind, net in ((Adam, ours), (torch.optim.Adam, theirs))
    ]
    for step in range(6):
        if step == 3:  # what a checkpoint does
            torch.save(optimisers[0].state_dict(), tmp_path / "saved.pt")
            optimisers[0] = Adam(ours.parameters(), lr=0.2, fused=True)
            optimisers[0].load_state_dict(torch.load(tmp_path / "saved.pt"))
        for net, optimiser in zip((ours, theirs), optimisers, strict=True):
            optimiser.zero_grad(set_to_none=True)
            (net(x) - y).square().mean().backward()
            optimiser.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
        assert mine.requires_grad


def test_the_last_weights_are_kept_where_the_budget_says_so_and_every_cell_is_fitted():
    history = MVAE(max_epochs=6, patience=1, weights="last").fit(mosaic_split(), seed=3)
    terms = {"loss", "nll_rna", "nll_adt", "kl", "validation_loss"}
    assert set(history[0]) == {"epoch", "progress", "kept"} | terms
    assert [row["kept"] for row in history] == [0, 0, 0, 0, 0, 1]
    assert all(row["validation_loss"] == row["loss"] for row in history)
