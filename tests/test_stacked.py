"""Seeds at once: a stack ends as its seeds do alone, takes as many operations for any number of them, and refuses the rest."""

import functools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import linear_cells, mosaic_view, paired_view
from torch.utils._python_dispatch import TorchDispatchMode

from mosaicbench import catalog
from mosaicbench.errors import Diverged, NotStackable
from mosaicbench.methods.fusion import MLPVAE, PoEVAE
from mosaicbench.methods.mmaavi import MMAAVI
from mosaicbench.methods.mmvae import MMVAE
from mosaicbench.methods.mmvaepp import MMVAEpp
from mosaicbench.methods.mopoe import MoPoE
from mosaicbench.methods.mvae import MVAE
from mosaicbench.modeling import launches, stacked, training
from mosaicbench.modeling.members import Member
from mosaicbench.modeling.stack import Stack
from mosaicbench.view import View

SMALL = {
    "hidden": 16,
    "latent": 4,
    "max_epochs": 4,
    "patience": 2,
    "warmup": 0.2,
    "batch_size": 32,
    "learning_rate": 5e-3,
}
STACKABLE = [
    (MMVAEpp, {"input_dropout": 0.3}),
    *((name, {}) for name in ("vae_poe", "vae_mlp", "mvae", "mmvae", "mopoe", "mmvaepp")),
    *((name, {}) for name in ("mvae_sup", "mmvae_sup", "mopoe_sup", "mmvaepp_sup")),
    ("vae_mlp", {"absent": "zeros"}),
    ("mvae", {"private": 3, "annealing": "sigmoid"}),
    ("mmvae", {"objective": "iwae", "samples": 3}),
    ("mmvae", {"alignment": 1.0}),
    ("mopoe", {"private": 3}),
    ("mopoe", {"variant": "martens", "private": 3, "cross_private": "prior_sample"}),
]


def view_of(seed, *, fewer=0, cells=110):
    """Return one block; some seeds have fewer features, and fewer cells in the last minibatch and for validation."""
    widths = {"rna": 30 - fewer, "adt": 12 - fewer // 2}
    cells = linear_cells(cells - fewer // 3, seed=seed)
    return View(
        (replace(cells, values={m: cells.values[m][:, :d].copy() for m, d in widths.items()}),),
        widths,
    )


def views_of_other_widths():
    return [view_of(seed, fewer=3 * seed) for seed in range(3)]


def alone_and_stacked(method, views, **hyperparameters):
    """Return, of each, (method objects, histories or why there is none) of a seed per view."""
    if isinstance(method, str):
        method = catalog.method_class(method)
    alone, together = ([method(**SMALL | hyperparameters) for _ in views] for _ in range(2))
    outcomes = []
    for seed, (one, view) in enumerate(zip(alone, views, strict=True)):
        try:
            outcomes.append(one.fit(view, seed))
        except Diverged as error:
            outcomes.append(error)
    return (alone, outcomes), (together, method.fit_at_once(together, views, range(len(views))))


def assert_same(alone, together, views, *, tolerance):
    (methods, histories), (stacked_methods, stacked_histories) = alone, together
    for one, other, view in zip(methods, stacked_methods, views, strict=True):
        weights = other.nets.state_dict()
        for name, expected in one.nets.state_dict().items():
            torch.testing.assert_close(weights[name], expected, rtol=tolerance, atol=tolerance)
        cells = view.blocks[0]
        np.testing.assert_allclose(
            other.embed(cells), one.embed(cells), rtol=tolerance, atol=tolerance
        )
        assert not any(net.training for net in other.nets.modules())
    for expected, found in zip(histories, stacked_histories, strict=True):
        assert [list(row) for row in found] == [list(row) for row in expected]
        for name in expected[0]:
            values = [[row[name] for row in history] for history in (found, expected)]
            np.testing.assert_allclose(*values, rtol=tolerance, err_msg=name)


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def in_double_precision(view):
    (block,) = view.blocks
    return replace(
        view,
        blocks=(replace(block, values={m: x.astype(np.float64) for m, x in block.values.items()}),),
    )


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(("method", "hyperparameters"), STACKABLE)
def test_a_stack_is_its_seeds_but_for_rounding(method, hyperparameters):
    """In float64, where rounding is too small to be amplified."""
    views = [in_double_precision(view) for view in views_of_other_widths()]
    alone, together = alone_and_stacked(method, views, **hyperparameters)
    assert_same(alone, together, views, tolerance=1e-9)


@pytest.mark.parametrize("method", ["vae_poe", "vae_mlp", "mvae", "mmvae", "mopoe", "mmvaepp"])
def test_a_stack_is_its_seeds_to_a_hundred_thousandth_in_single_precision(method):
    views = views_of_other_widths()
    alone, together = alone_and_stacked(method, views, learning_rate=1e-3)
    assert_same(alone, together, views, tolerance=1e-5)


@pytest.mark.usefixtures("double_precision")
def test_seeds_stop_at_their_own_epochs_with_their_own_best_weights():
    views = [in_double_precision(view) for view in views_of_other_widths()]
    alone, together = alone_and_stacked(
        MMVAEpp, views, max_epochs=12, learning_rate=3e-2, patience=2
    )
    epochs = [len(history) for history in together[1]]
    assert len(set(epochs)) > 1
    assert min(epochs) < 12
    assert_same(alone, together, views, tolerance=1e-6)


def test_a_stack_keeps_no_weights_of_the_warm_up_and_more_than_100_epochs_leave_that_as_it_is(
    monkeypatch,
):
    views, run_epoch, epochs = [view_of(seed) for seed in range(3)], Stack.run_epoch, []
    costs = [[1, 2, 3, 4, 5, 6], [1, 2, 3, 2, 3, 4], [1, 1, math.nan, math.inf, math.nan, math.nan]]

    def given(self, progress):
        rows, finite = run_epoch(self, progress)
        epochs.append(progress)
        return [
            row | {"validation_cost": own[len(epochs) - 1]}
            for row, own in zip(rows, costs, strict=True)
        ], finite

    def stack(**hyperparameters):
        epochs.clear()
        methods = [MVAE(**SMALL | hyperparameters) for _ in views]
        return methods, MVAE.fit_at_once(methods, views, range(3))

    monkeypatch.setattr(Stack, "run_epoch", given)
    methods, outcomes = stack(max_epochs=500, warmup=0.03, patience=2)
    assert epochs == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1])
    kept = [[row["epoch"] for row in history if row["kept"]] for history in outcomes[:2]]
    assert kept == [[3], [4]]
    assert [len(history) for history in outcomes[:2]] == [5, 6]
    assert isinstance(outcomes[2], Diverged)
    assert "never finite after the warm-up" in str(outcomes[2])
    shorter, _ = stack(max_epochs=3, warmup=1.0)  # ends with the weights of its third epoch
    for name, expected in shorter[0].nets.state_dict().items():
        assert torch.equal(methods[0].nets.state_dict()[name], expected)


def test_a_seed_that_diverges_fails_alone():
    views = [view_of(0), view_of(1), view_of(2)]
    enormous = {
        m: x * np.float32(1e19 if m == "rna" else 1) for m, x in views[1].blocks[0].values.items()
    }
    views[1] = replace(views[1], blocks=(replace(views[1].blocks[0], values=enormous),))
    alone, together = alone_and_stacked(MVAE, views)
    assert isinstance(together[1][1], Diverged)
    assert str(together[1][1]) == str(alone[1][1])
    healthy = [[pair[i] for i in (0, 2)] for pair in (*alone, *together)]
    assert_same(healthy[:2], healthy[2:], [views[0], views[2]], tolerance=1e-5)


class Counted(TorchDispatchMode):
    """Counts the operations that are dispatched: on a GPU each is a launch, or some."""

    def __init__(self):
        super().__init__()
        self.operations = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations[function] += not function.is_view
        return function(*args, **(kwargs or {}))


def operations_of_a_step(method, seeds):
    methods = [method(**SMALL) for _ in range(seeds)]
    stack = Stack([Member(one, view_of(seed), seed) for seed, one in enumerate(methods)])
    counts = []
    for launched in (stack.learn, stack.validate):
        function = launched.function

        def counting(step, progress, function=function):
            with Counted() as counted:
                function(step, progress)
            counts.append(counted.operations)

        launched.function = counting
    stack.run_epoch(0.5)
    return counts


@pytest.mark.parametrize("method", [PoEVAE, MLPVAE, MVAE, MMVAE, MoPoE, MMVAEpp])
def test_a_step_is_as_many_operations_for_any_number_of_seeds(method):
    one = operations_of_a_step(method, 1)
    assert len(one) == 5  # four minibatches and the held-out cells
    assert operations_of_a_step(method, 5) == one
    assert operations_of_a_step(method, 20) == one


@pytest.mark.parametrize(
    ("method", "hyperparameters", "views", "reason"),
    [
        (MVAE, {}, [mosaic_view()] * 2, "not all of one pattern"),
        (MMVAE, {"objective": "dreg"}, [view_of(0), view_of(1)], "hook"),
        (PoEVAE, {"reduction": "mean"}, views_of_other_widths(), "gradient"),
        (PoEVAE, {"likelihood_rescaling": True}, views_of_other_widths(), "gradient"),
        (MVAE, {}, [view_of(0), view_of(1, cells=200)], "numbers of steps"),
        (MVAE, {"matmul_precision": "bfloat16"}, [view_of(0), view_of(1)], "float32"),
        (MMAAVI, {}, [paired_view(), paired_view()], "more in its fit"),
    ],
)
def test_what_cannot_be_stacked_says_why_and_is_as_before(method, hyperparameters, views, reason):
    methods = [method(**SMALL | hyperparameters) for _ in views]
    with pytest.raises(NotStackable, match=reason):
        method.fit_at_once(methods, views, range(len(views)))
    expected = method(**SMALL | hyperparameters).fit(views[0], 0)
    assert methods[0].fit(views[0], 0) == expected


def test_what_depends_on_widths_is_stacked_where_they_are_the_same():
    views = [view_of(0), view_of(1)]
    alone, together = alone_and_stacked(PoEVAE, views, reduction="mean", likelihood_rescaling=True)
    assert_same(alone, together, views, tolerance=1e-5)


class Killed(BaseException):
    """Stands for the signal that ends a process."""


def test_a_killed_stack_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    views = views_of_other_widths()

    def stack(place=None):
        methods = [
            MVAE(**SMALL | {"max_epochs": 8, "patience": 3, "learning_rate": 3e-2}) for _ in views
        ]
        if place is not None:
            methods[0].save_at(place, key=lambda: "this", seconds=0.0)
        return methods, MVAE.fit_at_once(methods, views, range(3))

    expected = stack()
    run_epoch, epochs = Stack.run_epoch, []

    def killed(self, progress):
        epochs.append(progress)
        if len(epochs) == 4:
            raise Killed
        return run_epoch(self, progress)

    with monkeypatch.context() as patched:
        patched.setattr(Stack, "run_epoch", killed)
        with pytest.raises(Killed):
            stack(tmp_path / "saved.pt")
    found = stack(tmp_path / "saved.pt")
    assert found[0][0].checkpoint.resumed_after == [3]
    assert found[1] == expected[1]
    for one, other in zip(expected[0], found[0], strict=True):
        weights = other.nets.state_dict()
        assert all(
            torch.equal(weights[name], value) for name, value in one.nets.state_dict().items()
        )


def test_the_global_generator_is_left_as_it_was():
    before = torch.get_rng_state()
    MVAE.fit_at_once([MVAE(**SMALL)], [view_of(0)], [0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_graph_that_cannot_be_captured_leaves_training_as_it_is(monkeypatch, capsys):
    """Without a GPU capturing fails, as it would there for a cost that waits for the GPU."""
    calls = []
    launched = launches.Launched(lambda step, progress: calls.append(progress))
    monkeypatch.setattr(launched, "_eagerly", launched.function)
    monkeypatch.setattr(launches, "_on_gpu", lambda step: True)
    for progress in (0.5, 0.5, 0.5, 0.5, 1.0):
        launched([torch.zeros(1)], progress)
    assert calls == [0.5, 0.5, 0.5, 0.5, 1.0]
    assert "no CUDA graph" in capsys.readouterr().err


def test_a_gpu_trains_a_seed_as_a_stack_of_one(monkeypatch):
    seen = []
    monkeypatch.setattr(training, "device", functools.partial(torch.device, "cuda"))
    monkeypatch.setattr(stacked, "fit_at_once", lambda *what: seen.append(what) or [[{"epoch": 1}]])
    method, view = MVAE(), view_of(0)
    assert method.fit(view, 7) == [{"epoch": 1}]
    assert seen == [([method], [view], [7])]
    monkeypatch.setattr(stacked, "fit_at_once", lambda *what: [Diverged("not finite")])
    with pytest.raises(Diverged):
        method.fit(view, 7)
