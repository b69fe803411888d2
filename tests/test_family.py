"""Identities between the family's members, and closed forms."""

import numpy as np
import pytest
import torch
from conftest import FEATURES, paired_view
from torch.distributions import Normal, kl_divergence

from mosaicbench.errors import Diverged
from mosaicbench.methods.mmvaepp import MMVAEpp
from mosaicbench.methods.mvae import MVAE
from mosaicbench.methods.vae_mlp import MLPVAE
from mosaicbench.methods.vae_poe import PoEVAE
from mosaicbench.parts import training
from mosaicbench.parts.costs import Cost
from mosaicbench.parts.posteriors import kl, product_of_experts

TWO = {"rna": FEATURES["rna"], "adt": FEATURES["adt"]}


def built(model_class, features=TWO, **hyperparameters):
    torch.manual_seed(0)
    model = model_class(**hyperparameters)
    model.build(features)
    model.nets = torch.nn.ModuleList([model.encoders, model.decoders])
    return model


def values(cells=20):
    torch.manual_seed(1)
    return {m: torch.randn(cells, d) for m, d in TWO.items()}


def normal(cells=5, latent=3):
    return Normal(torch.randn(cells, latent), torch.rand(cells, latent) + 0.1)


def test_product_of_no_expert_is_the_prior_and_of_one_shrinks_by_the_prior():
    q = normal()
    one = product_of_experts([q])
    torch.testing.assert_close(one.variance, 1 / (1 + 1 / q.variance))
    torch.testing.assert_close(one.mean, q.mean / q.variance * one.variance)


def test_product_is_the_normalised_product_of_densities():
    experts, z = [normal(1, 1), normal(1, 1)], torch.linspace(-8, 8, 40001)[:, None]
    density = torch.exp(sum(e.log_prob(z) for e in experts) + Normal(0, 1).log_prob(z))
    density /= torch.trapezoid(density, z, dim=0)
    q = product_of_experts(experts)
    torch.testing.assert_close(torch.exp(q.log_prob(z)), density, atol=1e-3, rtol=1e-3)


def test_product_does_not_depend_on_order():
    a, b, c = normal(), normal(), normal()
    forward, backward = product_of_experts([a, b, c]), product_of_experts([c, b, a])
    torch.testing.assert_close(forward.mean, backward.mean)
    torch.testing.assert_close(forward.stddev, backward.stddev)


def test_kl_is_the_closed_form():
    q = normal()
    torch.testing.assert_close(kl(q)["kl"], kl_divergence(q, Normal(0.0, 1.0)).sum(-1))


def test_costs_add_by_name_and_scale():
    cost = Cost(kl=torch.ones(2)) + 2 * Cost(kl=torch.ones(2), nll=torch.full((2,), 3.0))
    assert {name: term.tolist() for name, term in cost.items()} == {"kl": [3, 3], "nll": [6, 6]}
    assert float(cost.total()) == 9


def test_mvae_on_one_modality_and_poe_vae_cost_the_same():
    model, same = built(MVAE), built(PoEVAE)
    x = {"rna": values()["rna"]}
    torch.manual_seed(3)
    first = model.cost(x, 1.0).total()
    torch.manual_seed(3)
    assert torch.equal(first, same.cost(x, 1.0).total())


def test_mvae_pays_for_all_and_for_each_alone():
    model, joint, x = built(MVAE), built(PoEVAE), values()
    torch.manual_seed(3)
    expected = joint.cost(x, 1.0).total() + sum(joint.cost({m: x[m]}, 1.0).total() for m in x)
    torch.manual_seed(3)
    torch.testing.assert_close(model.cost(x, 1.0).total(), expected)


def test_beta_zero_removes_exactly_the_divergence():
    for model_class in (PoEVAE, MVAE, MMVAEpp, MLPVAE):
        with_kl, without = built(model_class), built(model_class, beta=0.0)
        for model in (with_kl, without):
            model.nets.eval()
        torch.manual_seed(3)
        paid = with_kl.cost(values(), 1.0)
        torch.manual_seed(3)
        torch.testing.assert_close((paid.total() - paid["kl"].mean()), without.cost(values(), 1.0).total())


def test_the_originals_reduction_averages_over_features_and_collapses():
    x = values()
    model, original = built(PoEVAE), built(PoEVAE, reduction="mean")
    torch.manual_seed(3)
    cost = model.cost(x, 1.0)
    torch.manual_seed(3)
    averaged = original.cost(x, 1.0)
    torch.testing.assert_close(averaged["nll_rna"], cost["nll_rna"] / TWO["rna"])
    torch.testing.assert_close(averaged["kl"], cost["kl"])
    view, variance = paired_view(300), {}
    for reduction in ("sum", "mean"):
        fitted = PoEVAE(reduction=reduction, beta=1.5, max_epochs=60)
        fitted.fit(view, 0)
        variance[reduction] = fitted.embed(view.blocks[0]).var(axis=0).max()
    assert variance["mean"] < 0.01 < 0.3 < variance["sum"]


@pytest.mark.parametrize("term", ["own", "other"])
def test_mmvaepp_gradient_table(term):
    """The own path sends no gradient into shared coordinates; the paths to other modalities do, and none into private ones."""
    model, x = built(MMVAEpp, latent=4, private=3, beta=0.0), values()
    heads = model.encoders["rna"].network[-1]
    cost = model.cost(x, 0.0)
    if term == "own":
        # With only rna observed there is no other path.
        cost = model.cost({"rna": x["rna"]}, 0.0)
    else:
        shared, _ = model.encode(x)["rna"].rsample().split([4, 3], -1)
        cost = model.nll(x, model._without_private(shared), ["adt"])
    cost.total().backward()
    width = model.latent + model.private
    gradient = heads.weight.grad.abs().sum(1)  # means of shared and private, then their spreads
    shared_rows = list(range(4)) + list(range(width, width + 4))
    private_rows = [row for row in range(2 * width) if row not in shared_rows]
    silent, loud = (shared_rows, private_rows) if term == "own" else (private_rows, shared_rows)
    assert float(gradient[silent].max()) == 0
    assert float(gradient[loud].min()) > 0


def test_mmvaepp_imputation_ignores_private_coordinates():
    model = built(MMVAEpp, latent=4, private=3)
    cells = paired_view(10).blocks[0].only("rna")
    before = model.impute(cells, "adt")
    with torch.no_grad():
        model.encoders["rna"].network[-1].weight[4:7] += 10
    np.testing.assert_array_equal(before, model.impute(cells, "adt"))


def test_mlp_fusion_uses_a_token_for_what_is_absent_and_none_outside_training():
    model, x = built(MLPVAE), values()
    model.nets.eval()
    torch.testing.assert_close(model.posterior(x).mean, model.posterior(x).mean)
    with torch.no_grad():
        model.tokens["adt"] += 1
    both, alone = model.posterior(x).mean, model.posterior({"rna": x["rna"]}).mean
    with torch.no_grad():
        model.tokens["adt"] += 1
    torch.testing.assert_close(both, model.posterior(x).mean)
    assert not torch.allclose(alone, model.posterior({"rna": x["rna"]}).mean)


def test_modality_dropout_always_leaves_one():
    model = built(MLPVAE, modality_dropout=1.0)
    model.nets.train()
    seen = model._seen(["rna", "adt"], 500)
    assert torch.equal(seen["rna"] ^ seen["adt"], torch.ones(500, 1, dtype=torch.bool))


def test_training_stops_early_restores_the_best_and_reports_every_term():
    model = MVAE(max_epochs=200, patience=3, learning_rate=0.02, minibatch=64)
    history = model.fit(paired_view(100), 0)
    assert len(history) < 200
    assert set(history[0]) == {"epoch", "progress", "cost", "nll_rna", "nll_adt", "kl", "validation_cost"}
    best = min(row["validation_cost"] for row in history)
    assert best < history[0]["validation_cost"]
    assert [row["epoch"] for row in history] == list(range(1, len(history) + 1))


def test_a_cost_that_is_not_finite_ends_in_diverged():
    view = paired_view(50)
    view.blocks[0].values["rna"][3, 3] = np.inf
    with pytest.raises(Diverged, match="not finite"):
        PoEVAE(max_epochs=5).fit(view, 0)


def test_seeding_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with training.seeded(1):
        torch.rand(10)
    assert torch.equal(torch.rand(3), expected)
