"""Identities between the family's members, and closed forms."""

import copy
import re
from itertools import combinations

import numpy as np
import pytest
import torch
from conftest import FEATURES, linear_cells, mosaic_split, paired_split, unpaired_split
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from torch import nn
from torch.distributions import Bernoulli, NegativeBinomial, Normal, kl_divergence
from torch.testing import assert_close

from mosaicbench.contract import Cells, Normalization, Split
from mosaicbench.errors import Diverged
from mosaicbench.methods import dmmvae
from mosaicbench.methods.dmmvae import (
    BaseDMMVAE,
    EncoderAdversarialDMMVAE,
    ExpertsDMMVAE,
    OutputAdversarialDMMVAE,
)
from mosaicbench.methods.fusion import MLPVAE, PoEVAE
from mosaicbench.methods.mmaavi import MMAAVI, SemiSupervisedMMAAVI
from mosaicbench.methods.mmvae import MMVAE
from mosaicbench.methods.mmvaepp import MMVAEpp, SupervisedMMVAEpp
from mosaicbench.methods.mopoe import MoPoE, SupervisedMoPoE
from mosaicbench.methods.mvae import MVAE, SupervisedMVAE
from mosaicbench.models import discriminators, likelihoods, training
from mosaicbench.models.discriminators import (
    Discriminator,
    Opponents,
    Trial,
    chosen_weight,
    probe_accuracy,
    ramp,
)
from mosaicbench.models.likelihoods import (
    BernoulliDecoder,
    NegativeBinomialDecoder,
    bernoulli_nll,
    expected_log1p,
    gaussian_nll,
    negative_binomial_nll,
)
from mosaicbench.models.linked import one_modality_each
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Counts, Minibatch, on_device
from mosaicbench.models.posteriors import disagreement, kl, product, product_of_experts

CPU = torch.device("cpu")
THREE = ("rna", "atac", "adt")
TWO = {"rna": FEATURES["rna"], "adt": FEATURES["adt"]}


def built(model_class, modalities=("rna", "adt"), **hyperparameters):
    torch.manual_seed(0)
    model = model_class(**hyperparameters)
    model.build(paired_split(20, modalities=modalities))
    model.nets = torch.nn.ModuleList(
        [made for made in vars(model).values() if isinstance(made, torch.nn.Module)]
    )
    return model


def values(cells=20, modalities=("rna", "adt"), labels=None):
    torch.manual_seed(1)
    return Minibatch({m: torch.randn(cells, FEATURES[m]) for m in modalities}, labels=labels)


def loss_of(model, x, progress=1.0):
    """Return the loss, drawn from the same random numbers every time."""
    torch.manual_seed(3)
    return model.loss(x, progress)


def heads_of(model):
    """Return the layer that gives means and spreads of RNA's latents, those of the shared one first."""
    return model.encoders["rna"].network[-1]


def gradients(model, loss):
    """Return how much RNA's shared latents, and its private ones, would change for a loss."""
    loss.total().backward()
    of_rows = heads_of(model).weight.grad.abs().sum(1).view(2, -1)  # of means, then of spreads
    return of_rows.split([model.latent, model.private], 1)


def normal(cells=5, latent=3):
    return Normal(torch.randn(cells, latent), torch.rand(cells, latent) + 0.1)


def test_product_is_the_normalised_product_of_densities():
    experts, z = [normal(1, 1), normal(1, 1)], torch.linspace(-8, 8, 40001)[:, None]
    density = torch.exp(sum(e.log_prob(z) for e in experts) + Normal(0, 1).log_prob(z))
    density /= torch.trapezoid(density, z, dim=0)
    q = product_of_experts(experts)
    assert_close(torch.exp(q.log_prob(z)), density, atol=1e-3, rtol=1e-3)


def test_kl_is_the_closed_form():
    q = normal()
    assert_close(kl(q)["kl"], kl_divergence(q, Normal(0.0, 1.0)).sum(-1))


def test_disagreement_sums_over_ordered_pairs_and_one_expert_has_none():
    a, b, c = normal(), normal(), normal()
    expected = sum(
        kl_divergence(p, q).sum(-1) for p, q in ((a, b), (b, a), (a, c), (c, a), (b, c), (c, b))
    )
    assert_close(disagreement([a, b, c])["disagreement"], expected)
    assert disagreement([a])["disagreement"].tolist() == [0] * 5


def test_alignment_adds_the_disagreement_of_a_cells_experts_about_what_they_share():
    plain, aligned = built(MMVAE, private=2), built(MMVAE, private=2, alignment=3.0)
    without, paid = loss_of(plain, values()), loss_of(aligned, values(), progress=0.5)
    experts = [aligned.split(q)[0] for q in aligned.encode(values()).values()]
    assert_close(paid.pop("disagreement"), 1.5 * disagreement(experts)["disagreement"])
    assert paid.keys() == without.keys()


OF_CELLS = {"kl", "kl_z", "kl_u", "kl_c"}  # not that of features
SUPERVISED = [SupervisedMVAE, SupervisedMoPoE, SupervisedMMVAEpp]


@pytest.mark.parametrize(
    ("model_class", "weight", "terms"),
    [
        *((model, "beta", OF_CELLS) for model in (PoEVAE, MMVAE, MLPVAE, MMAAVI, *SUPERVISED)),
        *((model, "label_weight", {"nll_label"}) for model in SUPERVISED),
    ],
)
def test_weight_zero_removes_exactly_its_terms(model_class, weight, terms):
    x = values(labels=torch.tensor([0, 1, 2, -1] * 5))
    paid, free = loss_of(built(model_class), x), loss_of(built(model_class, **{weight: 0.0}), x)
    removed = sum(paid[term].mean() for term in paid.keys() & terms)
    assert_close(paid.total() - removed, free.total())


def test_the_originals_reduction_averages_over_features_and_collapses():
    x = values()
    loss, averaged = (
        loss_of(built(PoEVAE, reduction=reduction), x) for reduction in ("sum", "mean")
    )
    assert_close(averaged["nll_rna"], loss["nll_rna"] / TWO["rna"])
    assert_close(averaged["kl"], loss["kl"])
    split, variance = paired_split(100), {}
    for reduction in ("sum", "mean"):
        fitted = PoEVAE(reduction=reduction, beta=1.5, max_epochs=60, learning_rate=0.003)
        fitted.fit(split, 0)
        variance[reduction] = fitted.embed(split.blocks[0]).var(axis=0).max()
    assert variance["mean"] < 0.01 < 0.3 < variance["sum"]


@pytest.mark.parametrize("term", ["own", "other"])
def test_mmvaepp_gradient_table(term):
    """The own path sends no gradient into shared coordinates; the paths to other modalities do, and none into private ones."""
    model, x = built(MMVAEpp, latent=4, private=3, beta=0.0), values()
    if term == "own":  # with only rna observed there is no other path
        silent, loud = gradients(model, model.loss(x.only("rna"), 0.0))
    else:
        drawn, _ = model.encode(x)["rna"].rsample().split([4, 3], -1)
        loud, silent = gradients(model, model.nll_of(x, drawn, {}, ["adt"]))
    assert float(silent.max()) == 0
    assert float(loud.min()) > 0


def test_mmvaepp_imputation_ignores_private_coordinates():
    model = built(MMVAEpp, latent=4, private=3)
    cells = paired_split(10).blocks[0].only("rna")
    before = model.impute(cells, "adt")
    with torch.no_grad():
        heads_of(model).weight[4:7] += 10
    assert_array_equal(before, model.impute(cells, "adt"))


def test_mlp_fusion_uses_a_token_for_what_is_absent_and_none_outside_training():
    model, x = built(MLPVAE), values()
    model.nets.eval()
    assert_close(model.posterior(x).mean, model.posterior(x).mean)
    with torch.no_grad():
        model.tokens["adt"] += 1
    both, alone = model.posterior(x).mean, model.posterior(x.only("rna")).mean
    with torch.no_grad():
        model.tokens["adt"] += 1
    assert_close(both, model.posterior(x).mean)
    assert not torch.allclose(alone, model.posterior(x.only("rna")).mean)


@pytest.mark.parametrize("model_class", [PoEVAE, MLPVAE])
def test_modality_dropout_always_leaves_one_and_all_are_decoded(model_class):
    model, x = built(model_class, modality_dropout=1.0), values(500)
    model.nets.train()
    assert {"nll_rna", "nll_adt"} <= set(model.loss(x, 1.0))
    torch.manual_seed(3)
    seen = model.seen(x)
    torch.manual_seed(3)
    q, shows_rna = model.posterior(x), seen["rna"][:, 0]
    assert torch.equal(seen["adt"][:, 0], ~shows_rna)
    for cells, alone in ((shows_rna, "rna"), (~shows_rna, "adt")):
        assert_close(q.mean[cells], model.posterior(x.only(alone)).mean[cells])
    model.nets.eval()
    assert model.seen(x) is None


UNIMODAL_TERMS = {"modality_dropout": 0.0, "unimodal_terms": "mvae"}


@pytest.mark.parametrize(
    ("model_class", "joint", "options"),
    [(PoEVAE, PoEVAE, UNIMODAL_TERMS), (MLPVAE, MLPVAE, UNIMODAL_TERMS), (MVAE, PoEVAE, {})],
)
def test_unimodal_terms_are_the_bounds_of_each_modality_alone(model_class, joint, options):
    plain, more, x = built(joint, modality_dropout=0.0), built(model_class, **options), values()
    torch.manual_seed(3)
    expected = plain.loss(x, 1.0).total() + sum(plain.loss(x.only(m), 1.0).total() for m in x)
    assert_close(loss_of(more, x).total(), expected)
    alone = x.only("rna")
    assert_close(loss_of(more, alone).total(), loss_of(plain, alone).total())


# --- what a cell with one modality pays in a mosaic ---


@pytest.mark.parametrize("objective", ["elbo", "iwae"])
def test_the_mean_over_experts_is_the_sum_divided_by_their_number(objective):
    total = built(MMVAE, objective=objective)
    mean = built(MMVAE, objective=objective, experts="mean")
    for x in (values(), values().only("rna")):
        assert_close(loss_of(mean, x).total(), loss_of(total, x).total() / len(x))


@pytest.mark.parametrize("model_class", [MMVAEpp, SupervisedMMVAEpp])
def test_mmvaepp_asks_nothing_of_the_shared_latent_of_a_lone_modality_and_nothing_is_paid_for_it(
    model_class,
):
    model = built(model_class, latent=4, private=3)
    x = values(labels=torch.full((20,), -1)).only("rna")
    loss = loss_of(model, x)
    assert_close(loss["kl"], kl(model.split(model.encode(x)["rna"])[1])["kl"])
    shared, _ = gradients(model, loss)
    assert float(shared.max()) == 0


class Drifting(nn.Module):
    """One number that training drives up for ever, while its validation loss is lowest at 0.42."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(()))

    def loss(self, x, progress):
        return Loss(drift=-self.place.expand(x.cells))

    def held_out_loss(self, x, progress):
        return Loss(distance=((self.place - 0.42) ** 2).expand(x.cells))


@pytest.mark.parametrize("weights", ["best", "last"])
def test_weights_end_as_they_were_in_the_epoch_that_is_said_to_be_kept(weights):
    nets = Drifting()
    lengths = {"max_epochs": 12, "patience": 5, "batch_size": 1000, "cooldown": 0.0}
    budget = training.Budget(**lengths, learning_rate=0.1, weights=weights)
    options = {"budget": budget, "warmup": 0.0, "held_out_loss": nets.held_out_loss}
    history = training.minimise(nets.loss, nets, paired_split(60), **options)
    kept = [row["epoch"] for row in history if row["kept"]]
    # Adam takes steps of its learning rate: 0.1, 0.2, ...; of all means over five epochs that of 0.2 to 0.6 is nearest to 0.42.
    assert kept == [6 if weights == "best" else 12]
    assert nets.place.item() == pytest.approx(0.1 * kept[0], abs=1e-3)
    assert len(history) == (11 if weights == "best" else 12)


def test_validation_cells_are_never_fitted_and_all_others_are():
    split = paired_split(80)
    split.blocks[0].values["rna"][:, 0] = np.arange(80)
    nets, fitted, validated = Drifting(), set(), set()

    def loss(x, progress):
        (fitted if nets.training else validated).update(x["rna"][:, 0].tolist())
        return nets.loss(x, progress)

    budget = training.Budget(max_epochs=3, batch_size=16, validation=0.25)
    training.minimise(loss, nets, split, budget=budget, warmup=0.0)
    assert len(validated) == 20
    assert fitted == set(range(80)) - validated


def test_a_loss_that_is_not_finite_ends_in_diverged():
    split = paired_split(50)
    split.blocks[0].values["rna"][3, 3] = np.inf
    with pytest.raises(Diverged, match="not finite"):
        PoEVAE(max_epochs=5).fit(split, 0)


def test_seeding_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with training.seeded(1):
        torch.rand(10)
    assert torch.equal(torch.rand(3), expected)


# --- the family: mixtures, private latents, labels ---


def test_with_one_modality_mmvae_and_mopoe_are_the_same_vae():
    x = values().only("rna")
    mmvae, mopoe = (loss_of(built(model, private=0), x) for model in (MMVAE, MoPoE))
    assert_close(mopoe["nll_rna"], mmvae["nll_rna"])
    assert_close(mopoe["kl"], mmvae["kl"])
    # With a private latent the same distribution is drawn from in another order.
    mmvae, mopoe = (loss_of(built(model, private=3), x) for model in (MMVAE, MoPoE))
    assert_close(mopoe["kl"], mmvae["kl"])


def test_mmvaepp_has_mmvaes_value():
    one, other = (loss_of(built(model, private=3), values()) for model in (MMVAE, MMVAEpp))
    assert_close(one.total(), other.total())


def test_mopoe_pays_the_mean_divergence_of_all_subsets():
    model, x = built(MoPoE, THREE), values(21, THREE)
    experts = list(model.encode(x).values())
    subsets = [subset for size in (1, 2, 3) for subset in combinations(experts, size)]
    expected = sum(kl(product(subset))["kl"] for subset in subsets) / 7
    assert_close(loss_of(model, x)["kl"], expected)


@pytest.mark.parametrize("variant", ["sutter", "martens"])
def test_mopoe_decodes_every_modality_from_a_private_latent_that_only_it_can_fill(variant):
    """What adt's encoder says of its own private latent must not reach rna's decoder."""
    model, x = built(MoPoE, latent=4, private=3, variant=variant), values(40)
    model.nets.eval()
    before = loss_of(model, x)["nll_rna"]
    with torch.no_grad():
        model.encoders["adt"].network[-1].bias[4:7] += 5
    assert_close(loss_of(model, x)["nll_rna"], before)


@pytest.mark.parametrize(("filled", "spread"), [("zero", 0), ("prior_sample", 1)])
def test_martens_mopoe_fills_the_targets_private_latent(filled, spread):
    model = built(MoPoE, latent=4, private=3, variant="martens", cross_private=filled)
    seen = []
    for decoder in model.decoders.values():
        decoder.network.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, 4:]))
    model._across(values(500), 1.0)
    assert [float(private.detach().std()) for private in seen] == pytest.approx(
        [spread] * 2, abs=0.05
    )


def test_martens_mopoe_is_mvae_and_the_paths_between_modalities():
    x, model, mvae = values(), built(MoPoE, private=2, variant="martens"), built(MVAE, private=2)
    torch.manual_seed(3)
    expected = mvae.loss(x, 1.0).total() + model._across(x, 1.0).total()
    assert_close(loss_of(model, x).total(), expected)


@pytest.mark.parametrize(("objective", "whole"), [("elbo", 1), ("iwae", 3), ("dreg", 3)])
def test_a_bound_without_beta_is_whole_from_the_first_epoch_on(objective, whole):
    history = MMVAE(objective=objective, max_epochs=3, warmup=1.0, samples=2).fit(
        paired_split(40), seed=0
    )
    assert sum(row["progress"] == 1 for row in history) == whole


@pytest.mark.parametrize("objective", ["iwae", "dreg"])
def test_importance_weighted_bounds_are_tighter_with_more_draws_and_exact_for_the_mixture(
    objective,
):
    x, bounds = values(200), {}
    for samples in (1, 50):
        model = built(MMVAE, latent=3, objective=objective, samples=samples)
        bounds[samples] = loss_of(model, x).total().item()
    assert bounds[50] < bounds[1]
    # One draw: log p(z) + sum_n log p(x_n | z) - log of the mixture's density, computed from first principles.
    model = built(MMVAE, latent=3, objective=objective, samples=1)
    loss = loss_of(model, x)
    torch.manual_seed(3)
    posteriors = model.encode(x)
    for source, q in posteriors.items():
        z = q.rsample([1])[0]
        mixture = torch.log(sum(torch.exp(p.log_prob(z).sum(-1)) for p in posteriors.values()) / 2)
        likelihood = sum(model.decoders[m](z).log_prob(x[m]).sum(-1) for m in x)
        expected = -(Normal(0, 1).log_prob(z).sum(-1) + likelihood - mixture)
        assert_close(loss[f"bound_{source}"], expected, rtol=1e-4, atol=1e-3)


def test_dreg_estimates_the_gradient_of_iwae_with_less_noise():
    """Over many draws the same mean gradient of an encoder, at a smaller variance: exact where the mixture has one expert."""
    x, gradients = values(4).only("rna"), {}
    for objective in ("iwae", "dreg"):
        model = built(MMVAE, latent=2, hidden=8, objective=objective, samples=8)
        found = []
        for seed in range(60):
            torch.manual_seed(seed)
            model.nets.zero_grad()
            model.loss(x, 1.0).total().backward()
            found.append(heads_of(model).weight.grad.flatten().clone())
        gradients[objective] = torch.stack(found)
    mean = {objective: g.mean(0) for objective, g in gradients.items()}
    error = sum(g.var(0) / len(g) for g in gradients.values()).sqrt()
    assert ((mean["iwae"] - mean["dreg"]).abs() < 5 * error + 1e-4).all()
    assert gradients["dreg"].var(0).sum() < gradients["iwae"].var(0).sum()


def test_importance_weights_need_a_plain_mmvae():
    for keyword in ({"private": 2}, {"beta": 2.0}, {"alignment": 1.0}):
        with pytest.raises(ValueError, match="private: 0, beta: 1 and alignment: 0"):
            MMVAE(objective="iwae", **keyword)


@pytest.mark.parametrize("model_class", [*SUPERVISED, SemiSupervisedMMAAVI])
def test_a_cell_without_a_label_pays_for_none_anywhere(model_class):
    labels = torch.tensor([0, -1, 2, -1] * 5)
    model = built(model_class)
    loss = loss_of(model, values(labels=labels))["nll_label"]
    assert (loss[labels < 0] == 0).all()
    assert (loss[labels >= 0] > 0).all()


def test_a_label_reaches_the_shared_latent_only():
    model = built(SupervisedMMVAEpp, latent=4, private=3)
    loss = loss_of(model, values(labels=torch.zeros(20, dtype=torch.long)))
    shared, private = gradients(model, Loss(label=loss["nll_label"]))
    assert float(private.max()) == 0
    assert float(shared.min()) > 0


def test_supervision_without_any_known_type_says_so():
    split = paired_split(30)
    split.blocks[0].labels[:] = ""
    with pytest.raises(ValueError, match="known cell type"):
        SupervisedMVAE(max_epochs=1).fit(split, 0)


def test_the_posterior_of_a_mixture_is_as_wide_as_its_experts_are_and_lie_apart():
    model, x = built(MMVAE, latent=5), values(6)
    experts = [model.split(q)[0] for q in model.encode(x).values()]
    draws = torch.cat([q.sample((20_000,)) for q in experts])  # as many of each
    q = model.posterior(x)
    assert_close(q.mean, draws.mean(0), atol=0.03, rtol=0)
    assert_close(q.stddev, draws.std(0), atol=0.03, rtol=0)
    (lone,) = (model.split(q)[0] for q in model.encode(x.only("rna")).values())
    assert_close(model.posterior(x.only("rna")).stddev, lone.stddev)


# --- switches of the originals ---


def test_zeros_for_an_absent_modality_count_the_prior_once_more():
    x, q = values().only("rna"), {}
    for absent in ("left_out", "zeros"):
        q[absent] = built(PoEVAE, absent=absent).posterior(x)
    assert_close(q["zeros"].variance.reciprocal(), q["left_out"].variance.reciprocal() + 1)
    zeros, plain = built(PoEVAE, absent="zeros"), built(PoEVAE, modality_dropout=0)
    assert_close(zeros.posterior(values()).mean, plain.posterior(values()).mean)


@pytest.mark.parametrize("model_class", [PoEVAE, MLPVAE])
def test_with_zeros_no_modality_is_ever_dropped_and_no_token_learned(model_class):
    model = built(model_class, absent="zeros", modality_dropout=1.0)
    model.nets.train()
    assert model.seen(values(50)) is None
    assert not any(token.requires_grad for token in getattr(model, "tokens", {}).values())


@pytest.mark.parametrize("annealing", ["linear", "sigmoid"])
def test_beta_rises_from_nothing_to_itself(annealing):
    model = PoEVAE(beta=1.5, annealing=annealing)
    rising = [model.annealed(progress) for progress in np.linspace(0, 1, 11)]
    assert rising[0] == pytest.approx(0)
    assert rising[-1] == pytest.approx(1.5)
    assert np.all(np.diff(rising) > 0)
    assert rising[5] == pytest.approx(0.75)


def test_likelihood_rescaling_weighs_the_widest_modality_once():
    x = values()
    plain = loss_of(built(PoEVAE), x)
    rescaled = loss_of(built(PoEVAE, likelihood_rescaling=True), x)
    assert_close(rescaled["nll_rna"], plain["nll_rna"])
    assert_close(rescaled["nll_adt"], plain["nll_adt"] * FEATURES["rna"] / FEATURES["adt"])


# --- likelihoods ---


def test_gaussian_nll_and_its_gradients_are_torchs():
    x = torch.randn(7, 5, dtype=torch.float64)
    mean = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    sd = (torch.rand(5, dtype=torch.float64) + 0.2).requires_grad_()
    assert_close(gaussian_nll(x, mean, sd), -Normal(mean, sd).log_prob(x).sum(-1))
    assert torch.autograd.gradcheck(lambda mean, sd: gaussian_nll(x, mean, sd), (mean, sd))


def counted_split(cells=300):
    """Return a split of log-normalised RNA and LSI of peaks, with the counts that they were computed from."""
    random = np.random.default_rng(0)
    types = random.integers(0, 3, cells)
    fraction = random.dirichlet(np.full(40, 0.3), 3)[types]
    counts = random.poisson(
        fraction * random.uniform(100, 300, (cells, 1))
    )  # rna; 30 of 40 genes are chosen
    total = counts.sum(1)
    rna = np.log1p(1e4 * counts[:, :30] / total[:, None])
    peaks = random.random((cells, 25)) < (0.1 + 0.6 * random.random((3, 25))[types])
    tf_idf = peaks * random.uniform(1, 3, 25)
    loadings = np.linalg.qr(random.standard_normal((25, 6)))[0]
    values, mean, std = {"rna": rna, "atac": tf_idf @ loadings}, {}, {}
    for m, x in values.items():
        mean[m], std[m] = x.mean(0), np.maximum(x.std(0), 1e-3)
    normalizations = {
        "rna": Normalization(
            "lognorm",
            mean["rna"],
            std["rna"],
            float(np.median(total)),
            counts[:, :30].sum(0) / total.sum(),
            None,
        ),
        "atac": Normalization(
            "lsi",
            mean["atac"],
            std["atac"],
            float(np.median(peaks.sum(1))),
            None,
            peaks.mean(0),
            tf_idf.sum(0) / np.maximum(peaks.sum(0), 1),
            loadings,
        ),
    }
    block = Cells(
        names=np.array([f"cell-{i}" for i in range(cells)], dtype=object),
        values={m: ((x - mean[m]) / std[m]).astype(np.float32) for m, x in values.items()},
        counts={
            "rna": sparse.csr_matrix(counts[:, :30]),
            "atac": sparse.csr_matrix(peaks.astype(np.float32)),
        },
        library_size={"rna": total, "atac": peaks.sum(1)},
    )
    return Split(blocks=(block,), features={"rna": 30, "atac": 6}, normalizations=normalizations)


@pytest.mark.parametrize(
    ("decoder_class", "modality"), [(NegativeBinomialDecoder, "rna"), (BernoulliDecoder, "atac")]
)
def test_counts_have_the_likelihood_of_scipy_and_rise_with_depth(decoder_class, modality):
    split = counted_split(20)
    torch.manual_seed(0)
    decoder, z = decoder_class(4, 8, split.normalizations[modality]), torch.randn(20, 4)
    x = on_device(split.blocks[0], CPU, counts=[modality])
    given, counts = decoder(z, x.library_size[modality]), split.blocks[0].counts[modality].toarray()
    mean = given.mean.detach().numpy()
    if modality == "rna":
        n = given.total_count.detach().numpy()
        expected = stats.nbinom.logpmf(counts, n, n / (n + mean))
        assert (mean.sum(1) <= x.library_size["rna"].numpy()[:, 0]).all()
    else:
        expected = stats.bernoulli.logpmf(counts > 0, mean)
    nats = decoder.nll(z, x, modality).detach().numpy()
    assert_allclose(nats, -expected.sum(1), rtol=1e-4)
    assert (decoder(z, 50.0).mean > decoder(z, 5.0).mean).all()


@pytest.mark.parametrize("rests", [1, 5])
@pytest.mark.parametrize("per_cell", [False, True])
def test_negative_binomial_nats_and_gradients_are_torchs(per_cell, rests):
    torch.manual_seed(0)
    counts = torch.poisson(torch.full((5, 4), 0.8))
    held = Counts.on_device(sparse.csr_matrix(counts.numpy()), CPU)
    logits = torch.randn(5, 4, dtype=torch.float64)
    rest = torch.randn(rests, 1, dtype=torch.float64)
    r = torch.rand((5, 4) if per_cell else (4,), dtype=torch.float64) + 0.3
    total = torch.tensor([[4.0], [9.0], [2.0], [7.0], [30.0]], dtype=torch.float64)

    def nats(logits, rest, r):
        return negative_binomial_nll(held, logits, rest, total, r)

    mean = total * torch.softmax(torch.cat([logits, rest.expand(5, 1)], -1), -1)[:, :-1]
    reference = NegativeBinomial(r.expand(5, 4), logits=torch.log(mean / r))
    assert_close(nats(logits, rest, r), -reference.log_prob(counts.double()).sum(1))
    assert torch.autograd.gradcheck(nats, [x.requires_grad_() for x in (logits, rest, r)])


@pytest.mark.parametrize("cached", [30, likelihoods.CACHED])
def test_bernoulli_nats_and_gradients_are_torchs(monkeypatch, cached):
    monkeypatch.setattr(likelihoods, "CACHED", cached)
    torch.manual_seed(0)
    counts = torch.poisson(torch.full((6, 9), 0.4))
    counts[2] = 0
    held = Counts.on_device(sparse.csr_matrix(counts.numpy()), CPU)
    logits = 3 * torch.randn(6, 9, dtype=torch.float64)
    depth = torch.randn(6, 1, dtype=torch.float64)
    expected = -Bernoulli(logits=logits + depth).log_prob((counts > 0).double()).sum(1)
    assert_close(bernoulli_nll(held, logits, depth), expected)
    assert torch.autograd.gradcheck(
        lambda logits: bernoulli_nll(held, logits, depth), logits.requires_grad_()
    )
    far = bernoulli_nll(held, logits.float() + 1e4, depth.float())
    closed = (counts == 0).sum(1).float()  # what is open costs nothing
    assert_close(far, likelihoods.LARGEST_LOGIT * closed)


@pytest.mark.parametrize(
    ("mean", "inverse_dispersion"), [(0.05, 0.5), (2.0, 1.0), (30.0, 3.0), (800.0, 20.0)]
)
def test_expected_log1p_is_the_mean_over_draws(mean, inverse_dispersion):
    r = torch.tensor([[inverse_dispersion]])
    counts = NegativeBinomial(r, logits=torch.log(mean / r))
    torch.manual_seed(0)
    drawn = torch.log1p(7 * counts.sample([200_000])).mean()
    assert float(expected_log1p(counts, torch.tensor(7.0))) == pytest.approx(float(drawn), rel=0.03)


@pytest.mark.parametrize("model_class", [MVAE, MMVAEpp])
def test_counts_are_learned_and_imputed_in_the_space_of_values(model_class):
    """With the seeds 0 to 4, errors were at most 0.91."""
    split = counted_split()
    model = model_class(
        likelihood="counts", max_epochs=25, learning_rate=0.004, latent=5, batch_size=32
    )
    model.fit(split, 0)
    cells = split.blocks[0]
    for source, target in (("rna", "atac"), ("atac", "rna")):
        imputed = model.impute(cells.only(source), target)
        error = ((imputed - cells.values[target]) ** 2).mean()
        assert error < 0.95 * (cells.values[target] ** 2).mean(), (source, target)


def test_counts_that_are_not_there_are_one_clear_message():
    with pytest.raises(ValueError, match="modality 'rna' has none; take gaussian"):
        MVAE(likelihood="counts").fit(paired_split(30), 0)


# --- the D-MMVAE: cells that are never paired, discriminators ---

DMMVAE = [BaseDMMVAE, ExpertsDMMVAE, EncoderAdversarialDMMVAE, OutputAdversarialDMMVAE]


def latents(model, cells):
    return np.concatenate([model.embed(cells.only(m)) for m in cells.modalities])


@pytest.mark.parametrize(
    ("without", "before"),
    [
        ({"discriminator_weight": 0.0, "output_weight": 0.0}, ExpertsDMMVAE),
        ({"output_weight": 0.0}, EncoderAdversarialDMMVAE),
    ],
)
def test_weight_zero_leaves_exactly_the_step_before(without, before):
    split, query = unpaired_split(80), linear_cells(20, seed=5)
    model = OutputAdversarialDMMVAE(max_epochs=4, batch_size=32, **without)
    same = before(max_epochs=4, batch_size=32)
    assert model.fit(split, 0) == same.fit(split, 0)
    assert_array_equal(latents(model, query), latents(same, query))


def test_hidden_inputs_keep_their_mean_and_are_hidden_in_training_only():
    model, plain = (built(MMVAEpp, input_dropout=fraction, hidden=8) for fraction in (0.25, 0.0))
    encoder, seen = model.encoders["rna"], []
    encoder.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = {"rna": torch.ones(2000, FEATURES["rna"])}
    encoder(x["rna"])
    assert abs(float((seen[-1] == 0).float().mean()) - 0.25) < 0.02
    assert abs(float(seen[-1].mean()) - 1) < 0.03
    assert_close(seen[-1].unique(), torch.tensor([0.0, 1 / 0.75]))
    model.nets.eval()
    assert torch.equal(model.posterior(x).mean, plain.posterior(x).mean)
    assert torch.equal(seen[-1], x["rna"])


def test_normalised_by_minibatch_every_modality_has_the_same_moments_and_is_read_with_those_of_training():
    by_cell, by_minibatch = (
        built(ExpertsDMMVAE, normalisation=kind) for kind in ("cell", "minibatch")
    )
    for modality in TWO:
        x = 5 + 3 * values()[modality]  # as if of another scale than the other modality
        normalised = by_minibatch.experts[modality][:2](x)
        assert_close(normalised.mean(0), torch.zeros(by_minibatch.hidden), atol=1e-5, rtol=0)
        assert by_cell.experts[modality][:2](x).mean(0).abs().max() > 0.1
        moments = by_minibatch.experts[modality][1].running_mean
        assert moments.abs().max() > 0  # learned in training
    model, cells = ExpertsDMMVAE(max_epochs=2, normalisation="minibatch"), linear_cells(20, seed=5)
    model.fit(unpaired_split(80), 0)
    alone, first = cells.only("rna"), np.arange(1)
    assert_allclose(model.embed(alone)[:1], model.embed(alone.take(first)), rtol=1e-4)


def test_experts_share_a_trunk_and_the_base_shares_nothing():
    base, experts = built(BaseDMMVAE), built(ExpertsDMMVAE)
    for model, shared in ((base, False), (experts, True)):
        model.loss(values().only("rna"), 1.0).total().backward()
        assert any(p.grad is not None for p in model.trunk_of["adt"].parameters()) == shared
        assert all(p.grad is None for p in model.experts["adt"].parameters())


def test_feedback_is_minus_lambda_times_the_surprise_and_moves_the_encoder():
    model, x = built(EncoderAdversarialDMMVAE, discriminator_weight=3.0), values().only("adt")
    torch.manual_seed(3)
    reading = model.read(x)
    feedback = model.feedback(reading, 1.0)["feedback_latent"]
    cross_entropy = model.opponents.discriminators["latent"].cross_entropy(
        reading.q.mean, torch.ones(20, dtype=torch.long)
    )
    assert ramp(0.3) == pytest.approx(np.tanh(1.5))
    assert_close(feedback, -3 * ramp(1.0) * cross_entropy)
    assert torch.equal(model.feedback(reading, 0.0)["feedback_latent"], torch.zeros(20))
    feedback.sum().backward()
    assert all(heads.grad.abs().sum() > 0 for heads in model.trunk_of["adt"].heads.parameters())


def test_a_discriminator_learns_without_touching_the_model_and_the_model_trains_without_the_discriminators():
    model = built(OutputAdversarialDMMVAE)
    x = [values(64).only(m) for m in TWO]
    own, opponents = ([*nets.parameters()] for nets in (model.nets, model.opponents.discriminators))
    before = [[parameter.clone() for parameter in each] for each in (own, opponents)]
    model.opponents.learn(x, 1.0)
    assert all(parameter.grad is None for parameter in own)
    assert all(map(torch.equal, before[0], own))
    assert not any(map(torch.equal, before[1], opponents))
    assert not set(own) & set(opponents)


@pytest.mark.parametrize("modalities", [("rna", "adt"), THREE])
def test_discriminators_see_as_many_cells_of_every_domain(modalities):
    model = built(OutputAdversarialDMMVAE, modalities)
    evidence = model.opponents.examples([values(60, modalities).only(m) for m in modalities], 0.5)
    assert set(evidence) == {"hidden", "latent", *(f"output_{m}" for m in modalities)}
    for name, (seen, domain) in evidence.items():
        domains = 2 if name.startswith("output") else len(modalities)
        assert domain.bincount().tolist() == [len(seen) // domains] * domains


def game_of(discriminator, seen, domain, **options):
    """Return a game in which one discriminator tells the domains of what it sees."""
    return Opponents(
        torch.nn.ModuleDict({"c": discriminator}),
        lambda x, progress: {"c": (seen, domain)},
        {"c": 1e-2},
        **options,
    )


def test_a_discriminator_tells_apart_what_can_be_told_and_spectral_norm_bounds_it():
    torch.manual_seed(0)
    domain = torch.arange(200) % 2
    seen = torch.randn(200, 5) + 3 * domain[:, None]
    discriminator = Discriminator(5, 16, 2, spectral=True)
    game = game_of(discriminator, seen, domain)
    rankings = [game.learn([], 1.0) for _ in range(100)]
    assert rankings[-1]["discriminator_c_accuracy"] > 0.95
    assert (
        rankings[-1]["discriminator_c_cross_entropy"] < rankings[0]["discriminator_c_cross_entropy"]
    )
    z = seen.requires_grad_()
    slope = torch.autograd.grad((discriminator(z)[:, 0]).sum(), z)[0].norm(dim=1)
    assert slope.max() < 1.05


def test_discriminators_take_as_many_steps_as_they_are_told_and_say_how_they_did_before_them():
    torch.manual_seed(0)
    seen, domain = torch.randn(40, 3), torch.arange(40) % 2
    discriminator, told = Discriminator(3, 8, 2), []
    before = copy.deepcopy(discriminator)
    discriminator.register_forward_hook(lambda *_: told.append(None))
    game = game_of(discriminator, seen, domain, steps=4)
    standing = game.learn([], 1.0)
    assert len(told) == 4
    expected = torch.nn.functional.cross_entropy(before(seen), domain)
    assert_close(standing["discriminator_c_cross_entropy"], expected.detach())


def test_history_and_remarks_say_how_the_discriminators_did():
    split = unpaired_split(80)
    model = OutputAdversarialDMMVAE(max_epochs=3, batch_size=32, shows_real=False)
    history = model.fit(split, 0)
    columns = {f"discriminator_latent_{column}" for column in discriminators.COLUMNS}
    assert columns <= set(history[0])
    assert history[-1]["discriminator_latent_top_domain"] == 0.5
    assert [w for w in model.remarks if "output_rna" in w and "sees one domain only" in w]
    game = game_of(Discriminator(3, 8, 2), None, None)

    def warnings(**changed):
        row = {"accuracy": 0.5, "cross_entropy": 0.7, "top_prediction": 1.0, "top_domain": 0.5}
        return game.warnings({f"discriminator_c_{k}": v for k, v in (row | changed).items()})

    assert warnings() == []  # alignment: it is right half of the time, and knows it
    assert "died" in warnings(cross_entropy=2.0)[0]
    assert "won" in warnings(accuracy=0.99, top_prediction=0.5)[0]


def test_no_cell_is_ever_seen_in_two_modalities():
    split = one_modality_each(mosaic_split(), 0)
    assert [block.modalities for block in split.blocks] == [("rna",), ("adt",)]
    names = np.concatenate([block.names for block in split.blocks])
    assert len(set(names)) == len(names) == 280
    same = one_modality_each(unpaired_split(), 0)
    for block, given in zip(same.blocks, unpaired_split().blocks, strict=True):
        assert_array_equal(block.names, given.names)


def test_a_step_takes_one_minibatch_of_every_block_and_an_epoch_every_cell():
    sizes = {"rna": 70, "adt": 30}
    blocks = [Minibatch({m: torch.arange(float(n))[:, None]}) for m, n in sizes.items()]
    steps = list(training.one_of_each(blocks, 20))
    assert [[x.cells for x in step] for step in steps] == [[20, 20]] * 4
    for place, (modality, cells) in enumerate(sizes.items()):
        seen = torch.cat([step[place][modality] for step in steps]).flatten()
        assert set(seen.tolist()) == set(range(cells))


def test_the_weight_is_chosen_by_a_probe_among_those_that_loss_no_reconstruction():
    trials = {
        0.0: Trial(0.9, 0.50),
        1.0: Trial(0.8, 0.49),
        3.0: Trial(0.6, 0.48),
        10.0: Trial(0.5, 0.40),
    }
    assert chosen_weight(trials) == 3.0
    as_well = {1.0: Trial(0.6, 0.49)}
    assert chosen_weight(trials | as_well) == 1.0  # the smaller of two that hide as well
    assert chosen_weight({0.0: Trial(0.5, 0.5), 3.0: Trial(0.7, 0.5)}) == 0.0


def test_a_probe_tells_what_can_be_told():
    torch.manual_seed(0)
    z = torch.randn(60, 4)
    assert probe_accuracy([z, torch.randn(50, 4)], seed=0) < 0.65
    assert probe_accuracy([z, z + 4, z - 4], seed=0) > 0.95


def test_a_chosen_weight_leaves_the_model_of_that_weight(monkeypatch):
    monkeypatch.setattr(dmmvae, "WEIGHTS", (0.0, 3.0))
    monkeypatch.setattr(discriminators, "PROBE_STEPS", 10)  # whatever it chooses
    split, query = unpaired_split(60), linear_cells(20, seed=5)
    model = EncoderAdversarialDMMVAE(discriminator_weight="chosen", max_epochs=2, batch_size=32)
    history = model.fit(split, 0)
    (weight,) = re.match(r"lambda ([\d.]+) was chosen", model.remarks[0]).groups()
    same = EncoderAdversarialDMMVAE(discriminator_weight=float(weight), max_epochs=2, batch_size=32)
    assert history == same.fit(split, 0)
    assert_array_equal(latents(model, query), latents(same, query))
    assert model.discriminator_weight == "chosen"  # what was asked for stands in the record
