"""The contrastive VAE: closed forms, what it starts as, and what it is in a mosaic."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import FEATURES, linear_cells, mosaic_view, paired_view

from mosaicbench.methods.cca import CCA
from mosaicbench.methods.contrastive_vae import ContrastiveVAE, _cells, whitened
from mosaicbench.methods.mmvae import MMVAE
from mosaicbench.methods.ridge import Ridge
from mosaicbench.modeling import training
from mosaicbench.modeling.components import canonical_rotations
from mosaicbench.modeling.contrast import Contrast
from mosaicbench.modeling.minibatch import Minibatch, on_device
from mosaicbench.modeling.vae import MultimodalVAE
from mosaicbench.view import View

TERMS = {"nll_rna", "nll_adt", "contrast", "kl"}


def built(train, **hyperparameters):
    torch.manual_seed(0)
    model = ContrastiveVAE(**hyperparameters)
    model.make(train)
    model.nets.eval()
    return model


def minibatch(train):
    return on_device(train.blocks[0], torch.device("cpu"))


def cost_of(model, x):
    """Return the cost, drawn from the same random numbers every time."""
    torch.manual_seed(3)
    return model.cost(x, 1.0)


def decoded_alone(model, query, source, target):
    return MultimodalVAE.impute(model, query.only(source), target)


def contrast_by_hand(latents, sharpness):
    """Return each cell's cost, one logarithm at a time."""
    cells, cost = len(latents[0]), np.zeros(len(latents[0]))
    for i in range(len(latents)):
        for j in range(len(latents)):
            if i == j:
                continue
            for cell in range(cells):
                distances = ((latents[i][cell] - latents[j]) ** 2).sum(1)
                likeness = np.exp(-sharpness * distances)
                cost[cell] -= 0.5 * np.log(likeness[cell] / likeness.sum())
    return cost


@pytest.mark.parametrize("modalities", [2, 3])
def test_contrast_is_the_negative_log_probability_of_the_own_partner_in_both_directions(modalities):
    random = np.random.default_rng(0)
    latents = [random.standard_normal((7, 3)) for _ in range(modalities)]
    paid = Contrast(0.7)([torch.from_numpy(z) for z in latents])["contrast"]
    np.testing.assert_allclose(paid.detach().numpy(), contrast_by_hand(latents, 0.7), rtol=1e-5)


def test_contrast_of_nothing_is_log_cells_of_twins_zero_and_of_one_modality_zero():
    z = torch.randn(6, 3)
    contrast = Contrast(1.0)
    torch.testing.assert_close(contrast([torch.zeros(6, 3)] * 2)["contrast"], torch.full((6,), 6.0).log())
    assert float(Contrast(1e4)([z, z])["contrast"].detach().max()) < 1e-6
    assert contrast([z])["contrast"].tolist() == [0] * 6


def test_a_weight_of_zero_removes_exactly_its_term():
    train = paired_view()
    x = minibatch(train)
    paid = cost_of(built(train), x)
    assert set(paid) == TERMS
    for weight, terms in (("contrast_weight", {"contrast"}), ("reconstruction_weight", {"nll_rna", "nll_adt"})):
        without = cost_of(built(train, **{weight: 0.0}), x)
        assert set(without) == TERMS - terms
        for name, value in without.items():
            torch.testing.assert_close(value, paid[name])
    twice = cost_of(built(train, contrast_weight=2 * ContrastiveVAE().contrast_weight), x)
    torch.testing.assert_close(twice["contrast"], 2 * paid["contrast"])


def test_without_contrast_and_linear_path_it_costs_what_mmvae_costs():
    """The same encoders and decoders in both, so that only the costs could differ."""
    train = paired_view()
    x, plain, ours = minibatch(train), MMVAE(), built(train, contrast_weight=0.0)
    torch.manual_seed(0)
    plain.make(train)
    plain.encoders, plain.decoders = ours.encoders, ours.decoders
    for name, value in cost_of(plain, x).items():
        torch.testing.assert_close(cost_of(ours, x)[name], value)


@pytest.mark.parametrize("modalities", [("rna", "adt"), ("rna", "atac", "adt")], ids=["two", "three"])
def test_the_linear_path_starts_as_cca(modalities):
    train, query = paired_view(modalities=modalities), linear_cells(40, seed=5, modalities=modalities, name="query")
    model, cca = built(train, components=30, latent=8), CCA(components=30, latent=8)
    cca.fit(train, 0)
    for shown in [*((m,) for m in modalities), modalities]:
        ours, theirs = model.embed(query.only(*shown)), cca.embed(query.only(*shown))
        same_sign = np.sign((ours * theirs).sum(0))
        np.testing.assert_allclose(ours * same_sign, theirs, atol=2e-3)


def test_cells_with_one_modality_do_not_move_the_rotation_but_count_as_cells_of_their_modality():
    train = mosaic_view()
    whiteners = {m: whitened(train.observing(m).values[m], 30, 0) for m in train.modalities}
    paired = replace(train, blocks=train.blocks[:1])
    for m, rotation in canonical_rotations(whiteners, train, 5).items():
        np.testing.assert_array_equal(rotation, canonical_rotations(whiteners, paired, 5)[m])
    c = whiteners["rna"](torch.from_numpy(train.observing("rna").values["rna"])).numpy()
    np.testing.assert_allclose(np.cov(c.T), np.eye(c.shape[1]), atol=1e-3)


def test_modalities_that_are_never_paired_have_no_linear_path():
    rna, adt = mosaic_view().blocks[1:]
    train = View((rna, adt), {m: FEATURES[m] for m in ("rna", "adt")})
    whiteners = {m: whitened(train.observing(m).values[m], 30, 0) for m in train.modalities}
    assert all(np.abs(r).max() < 1e-6 for r in canonical_rotations(whiteners, train, 5).values())


def test_imputation_is_ridge_and_decoder_in_the_share_that_held_out_cells_decide():
    train, query = paired_view(400), linear_cells(40, seed=5, name="query")
    model, ridge = ContrastiveVAE(max_epochs=40), Ridge()
    model.fit(train, 0)
    ridge.fit(train, 0)
    for source, target in (("rna", "adt"), ("adt", "rna")):
        share = model.share[source, target]
        assert 0 <= share <= 1
        blended = model.impute(query.only(source), target)
        model.share[source, target] = 0.0
        np.testing.assert_allclose(model.impute(query.only(source), target), ridge.impute(query.only(source), target))
        linear, model.share[source, target] = model.impute(query.only(source), target), 1.0
        decoded = model.impute(query.only(source), target)
        np.testing.assert_allclose(decoded, decoded_alone(model, query, source, target))
        np.testing.assert_allclose(blended, share * decoded + (1 - share) * linear, atol=1e-5)


@pytest.mark.parametrize("better", ["ridge", "decoder"])
def test_what_predicts_better_has_the_larger_share(better):
    """Held-out cells whose target is what the one predicts give it all."""
    train = paired_view(400)
    model = ContrastiveVAE(max_epochs=2)
    model.fit(train, 0)
    fitted, held_out = training.divide(train, model)
    ridge = Ridge()
    ridge.fit(View((_cells(fitted[0].take(torch.arange(fitted[0].cells))),), train.features), 0)
    shown = _cells(held_out[0].only("rna"))
    exact = ridge.impute(shown, "adt") if better == "ridge" else MultimodalVAE.impute(model, shown, "adt")
    held_out[0].observed["adt"] = torch.from_numpy(exact).float()
    model._blend(train, ("rna", "adt"), (fitted, held_out), 0)
    assert model.share["rna", "adt"] == pytest.approx(0.0 if better == "ridge" else 1.0, abs=1e-3)


def test_only_paired_cells_are_contrasted_and_single_ones_are_reconstructed():
    train = mosaic_view()
    model = built(train)
    single = model.cost(on_device(train.blocks[1], torch.device("cpu")), 1.0)
    assert set(single) == {"nll_rna", "contrast", "kl"}
    assert float(single["contrast"].detach().abs().max()) == 0
    single = single["nll_rna"].mean()
    single.backward()
    assert float(model.encoders["rna"].linear.weight.grad.abs().max()) > 0
    assert model.encoders["adt"].linear.weight.grad is None


def test_features_and_no_linear_path_are_an_ordinary_encoder():
    train = paired_view()
    model = built(train, components=None, linear_path="none")
    x = Minibatch({"rna": torch.randn(5, FEATURES["rna"])})
    torch.testing.assert_close(model.posterior(x).mean, model.encoders["rna"].network(x["rna"]))
    with pytest.raises(ValueError, match="linear_path: cca rotates principal components"):
        ContrastiveVAE(components=None)


def test_a_direction_without_pairs_is_imputed_by_the_decoder():
    cells = {
        pair: linear_cells(60, seed=i, modalities=pair, name=str(i)) for i, pair in enumerate([("rna", "atac"), ("rna", "adt")])
    }
    train = View(tuple(cells.values()), dict(FEATURES))
    model = ContrastiveVAE(max_epochs=2)
    model.fit(train, 0)
    assert ("atac", "adt") not in model.share
    query = linear_cells(10, seed=9, modalities=("rna", "atac", "adt"), name="query")
    imputed = model.impute(query.only("atac"), "adt")
    np.testing.assert_array_equal(imputed, decoded_alone(model, query, "atac", "adt"))
