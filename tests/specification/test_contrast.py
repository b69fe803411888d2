"""The contrastive VAE: closed forms, what it starts as, and what it is in a mosaic."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from conftest import FEATURES, linear_cells, links_among, mosaic_split, paired_split
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist, pdist
from test_family import loss_of
from torch.testing import assert_close

from mosaicbench.contract import Split
from mosaicbench.errors import NotApplicable
from mosaicbench.methods._weak_pairs import weakly_paired
from mosaicbench.methods.contrastive import ContrastiveVAE, _cells, stacked, whitened
from mosaicbench.methods.linear import CCA, Ridge
from mosaicbench.methods.mmvae import MMVAE
from mosaicbench.models import training
from mosaicbench.models.losses import Contrast
from mosaicbench.models.minibatch import Minibatch, on_device
from mosaicbench.models.residual import canonical_rotations
from mosaicbench.models.vae import MultimodalVAE

TWO = {m: FEATURES[m] for m in ("rna", "adt")}
TERMS = {"nll_rna", "nll_adt", "contrast", "kl"}


def built(train, **hyperparameters):
    torch.manual_seed(0)
    model = ContrastiveVAE(**hyperparameters)
    model.make(train)
    model.nets.eval()
    return model


def minibatch(train):
    return on_device(train.blocks[0], torch.device("cpu"))


def decoded_alone(model, query, source, target):
    return MultimodalVAE.impute(model, query.only(source), target)


def contrast_by_hand(latents, sharpness):
    """Return each cell's loss, one logarithm at a time."""
    loss = np.zeros(len(latents[0]))
    for one, other in permutations(latents, 2):
        for cell, latent in enumerate(one):
            likeness = np.exp(-sharpness * ((latent - other) ** 2).sum(1))
            loss[cell] -= 0.5 * np.log(likeness[cell] / likeness.sum())
    return loss


@pytest.mark.parametrize("modalities", [2, 3])
def test_contrast_is_the_negative_log_probability_of_the_own_partner_in_both_directions(modalities):
    random = np.random.default_rng(0)
    latents = [random.standard_normal((7, 3)) for _ in range(modalities)]
    paid = Contrast(0.7)([torch.from_numpy(z) for z in latents])["contrast"]
    assert_allclose(paid.detach().numpy(), contrast_by_hand(latents, 0.7), rtol=1e-5)


def test_a_weight_of_zero_removes_exactly_its_term():
    train = paired_split()
    x = minibatch(train)
    paid = loss_of(built(train), x)
    assert set(paid) == TERMS
    for weight, terms in (
        ("contrast_weight", {"contrast"}),
        ("reconstruction_weight", {"nll_rna", "nll_adt"}),
    ):
        without = loss_of(built(train, **{weight: 0.0}), x)
        assert set(without) == TERMS - terms
        for name, value in without.items():
            assert_close(value, paid[name])
    twice = loss_of(built(train, contrast_weight=2 * ContrastiveVAE().contrast_weight), x)
    assert_close(twice["contrast"], 2 * paid["contrast"])


def test_without_contrast_and_linear_path_it_losses_what_mmvae_losses():
    """The same encoders and decoders in both, so that only the losses could differ."""
    train = paired_split()
    x, plain, ours = minibatch(train), MMVAE(), built(train, contrast_weight=0.0)
    torch.manual_seed(0)
    plain.make(train)
    plain.encoders, plain.decoders = ours.encoders, ours.decoders
    for name, value in loss_of(plain, x).items():
        assert_close(loss_of(ours, x)[name], value)


@pytest.mark.parametrize(
    "modalities", [("rna", "adt"), ("rna", "atac", "adt")], ids=["two", "three"]
)
def test_the_linear_path_starts_as_cca(modalities):
    train, query = (
        paired_split(300, modalities=modalities),
        linear_cells(40, seed=5, modalities=modalities, name="query"),
    )
    model, cca = built(train, components=30, latent=8), CCA(components=30, latent=8)
    cca.fit(train, 0)
    for shown in [*((m,) for m in modalities), modalities]:
        ours, theirs = model.embed(query.only(*shown)), cca.embed(query.only(*shown))
        same_sign = np.sign((ours * theirs).sum(0))
        assert_allclose(ours * same_sign, theirs, atol=2e-3)


def test_cells_with_one_modality_do_not_move_the_rotation_but_count_as_cells_of_their_modality():
    train = mosaic_split()
    whiteners = {m: whitened(train.observing(m).values[m], 30, 0) for m in train.modalities}
    paired = replace(train, blocks=train.blocks[:1])
    for m, rotation in canonical_rotations(whiteners, train, 5).items():
        assert_array_equal(rotation, canonical_rotations(whiteners, paired, 5)[m])
    c = whiteners["rna"](torch.from_numpy(train.observing("rna").values["rna"])).numpy()
    assert_allclose(np.cov(c.T), np.eye(c.shape[1]), atol=1e-3)


@pytest.mark.parametrize(("pairs", "read"), [(50, 10), (159, 15), (300, 20)])
def test_encoders_read_a_component_for_ten_pairs_between_ten_and_those_asked(pairs, read):
    train = replace(
        mosaic_split(), blocks=(*paired_split(pairs).blocks, *mosaic_split().blocks[1:])
    )
    assert built(train, components=20).encoders["rna"].components.width == read


def test_pairs_count_for_the_two_modalities_that_share_them():
    bridged = {("rna", "adt"): 110, ("rna", "atac"): 180}
    blocks = [linear_cells(n, seed=n, modalities=pair, name=str(n)) for pair, n in bridged.items()]
    encoders = built(Split(tuple(blocks), FEATURES), components=30).encoders
    widths = {m: encoder.components.width for m, encoder in encoders.items()}
    assert widths == {"rna": 18, "atac": 18, "adt": 11}


def test_modalities_that_are_never_paired_have_no_linear_path():
    rna, adt = mosaic_split().blocks[1:]
    train = Split((rna, adt), TWO)
    whiteners = {m: whitened(train.observing(m).values[m], 30, 0) for m in train.modalities}
    assert all(np.abs(r).max() < 1e-6 for r in canonical_rotations(whiteners, train, 5).values())


def test_imputation_is_kernel_ridge_and_decoder_by_the_weights_that_held_out_cells_decide():
    train, query = paired_split(240), linear_cells(40, seed=5, name="query")
    model = ContrastiveVAE(max_epochs=20, batch_offsets=False)
    ridge = Ridge(kernel="gaussian", components=30)
    model.fit(train, 0)
    ridge.fit(train, 0)
    for source, target in (("rna", "adt"), ("adt", "rna")):
        of_ridge, of_decoder = model.shares[source, target]
        assert min(of_ridge, of_decoder) >= 0
        regressed = ridge.impute(query.only(source), target)
        decoded = decoded_alone(model, query, source, target)
        expected = of_ridge * regressed + of_decoder * decoded
        assert_allclose(model.impute(query.only(source), target), expected, atol=1e-5)


def test_a_batch_whose_proteins_are_higher_has_higher_imputed_proteins_with_and_without_pairs():
    batches = np.array(["few"] * 40 + ["many"] * 200, dtype=object)
    cells = replace(linear_cells(240, seed=0), batches=batches)
    cells.values["adt"][:40] += 2  # which nothing in RNA shows
    query = linear_cells(3, seed=5, name="query").only("rna")
    query = replace(query, batches=np.array(["few", "many", "new"], dtype=object))
    rna, adt = cells.take(np.arange(240) % 2 == 0).only("rna"), cells.take(np.arange(240) % 2 == 1)
    for blocks in ((cells,), (rna, adt.only("adt"))):
        train = replace(paired_split(), blocks=blocks)
        model, without = (ContrastiveVAE(max_epochs=5, batch_offsets=has) for has in (True, False))
        for one in (model, without):
            one.fit(train, 0)
        shown, measured = train.observing("rna"), train.observing("adt")
        imputed = without.impute(shown, "adt")
        added = model.impute(query, "adt") - without.impute(query, "adt")
        for row, batch in zip(added, ("few", "many"), strict=False):
            rows = [part.batches == batch for part in (shown, measured)]
            more = measured.values["adt"][rows[1]].mean(0) - imputed[rows[0]].mean(0)
            unexplained = (measured.values["adt"].var(0) - imputed.var(0)).sum()
            noise = unexplained / rows[0].sum() / (more**2).sum()
            assert_allclose(row, more * max(0, 1 - noise), atol=1e-5)
        assert added[0].mean() > 0.5
        assert_array_equal(added[2], 0)


def test_an_offset_is_not_enlarged_where_imputed_values_vary_more_than_measured_ones():
    train, model = paired_split(40), ContrastiveVAE(max_epochs=1)
    measured = train.observing("adt").values["adt"]
    imputed = 3 * measured + 1
    model.impute = lambda cells, target: imputed
    (offset,) = model._offsets(train, "rna", "adt").values()
    assert_allclose(offset, (measured - imputed).mean(0), atol=1e-5)


def test_held_out_cells_that_one_predicts_half_as_strongly_give_it_half_and_the_other_nothing():
    train = paired_split(400)
    model = ContrastiveVAE(max_epochs=2)
    model.fit(train, 0)
    fitted, held_out = training.divide(train, model)
    ridge = Ridge(kernel="gaussian", components=30)
    ridge.fit(Split((_cells(fitted[0].take(torch.arange(fitted[0].cells))),), train.features), 0)
    shown = _cells(held_out[0].only("rna"))
    exact = {
        "ridge": ridge.impute(shown, "adt"),
        "decoder": MultimodalVAE.impute(model, shown, "adt"),
    }
    for better, shares in (("ridge", [0.5, 0]), ("decoder", [0, 0.5])):
        held_out[0].observed["adt"] = torch.from_numpy(exact[better] / 2).float()
        model._blend(train, ("rna", "adt"), (fitted, held_out), "gaussian", 0)
        assert_allclose(model.shares["rna", "adt"], shares, atol=1e-3)


def test_stacked_weights_are_least_squares_unless_one_would_be_negative():
    random = np.random.default_rng(0)
    predicted, truth = random.standard_normal((2, 50)), random.standard_normal(50)
    gram = predicted @ predicted.T
    free = np.linalg.lstsq(predicted.T, truth + predicted.sum(0), rcond=None)[0]
    assert_allclose(stacked(gram, predicted @ (truth + predicted.sum(0))), free, rtol=1e-6)
    product = predicted @ (truth + predicted[1] - 3 * predicted[0])
    alone = product[1] / gram[1, 1]
    assert_allclose(stacked(gram, product), [0, max(alone, 0)], rtol=1e-6)
    assert stacked(np.zeros((2, 2)), np.zeros(2)).tolist() == [0, 0]


def test_gaussian_ridge_is_kernel_ridge_where_every_train_cell_is_a_landmark():
    """Then (K + penalty) alpha = y, but for the intercept, which is taken out of both by centring the kernel."""
    train, query = paired_split(120), linear_cells(30, seed=5, name="query")
    ridge = Ridge(kernel="gaussian", components=5)
    ridge.fit(train, 0)
    pca, likeness, linear = ridge.regression["rna", "adt"]
    x, y = (train.blocks[0].values[m] for m in ("rna", "adt"))
    c, q = pca.transform(x).astype(float), pca.transform(query.values["rna"]).astype(float)
    assert likeness.gamma == pytest.approx(1 / np.median(pdist(c, "sqeuclidean")), rel=1e-4)
    own, across = (np.exp(-likeness.gamma * cdist(rows, c, "sqeuclidean")) for rows in (c, q))
    centred = own - own.mean(0) - own.mean(1)[:, None] + own.mean()
    weights = np.linalg.solve(centred + linear.alpha_ * np.eye(len(c)), y - y.mean(0))
    expected = (across - across.mean(1)[:, None] - own.mean(0) + own.mean()) @ weights + y.mean(0)
    assert_allclose(ridge.impute(query.only("rna"), "adt"), expected, atol=2e-3)


def test_a_private_latent_is_read_by_its_own_decoder_alone():
    rna = linear_cells(40, seed=5, name="query").only("rna")
    model = ContrastiveVAE(max_epochs=2, private=4, regression="none")
    model.fit(paired_split(200), 0)
    assert model.embed(rna).shape == (40, 20)
    before, own = model.impute(rna, "adt"), model.embed_private(rna)
    with torch.no_grad():
        model.encoders["rna"].network[-1].bias[20:] += 5
    assert_array_equal(model.impute(rna, "adt"), before)
    assert_allclose(model.embed_private(rna), own + 5, rtol=1e-5)


def test_input_dropout_hides_values_in_training_only():
    train = paired_split()
    x, hiding, seeing = minibatch(train), built(train, input_dropout=0.5), built(train)
    assert_close(hiding.posterior(x).mean, seeing.posterior(x).mean)
    hiding.nets.train()
    assert float((hiding.posterior(x).mean - seeing.posterior(x).mean).abs().max().detach()) > 0.1


def linked_cells(cells, seed, name):
    """Return cells whose linked proteins are measured as their genes are, to the digit."""
    drawn = linear_cells(cells, seed=seed, name=name)
    drawn.values["adt"][:, :10] = drawn.values["rna"][:, :10]
    return drawn


def unpaired_split():
    blocks = tuple(linked_cells(150, seed, m).only(m) for seed, m in enumerate(("rna", "adt")))
    return Split(blocks, TWO, links=links_among(TWO))


def test_a_weak_pair_is_a_cell_beside_the_mean_of_its_mutual_neighbours_and_all_cells_stay():
    train = unpaired_split()
    shown = weakly_paired(train, 3)
    assert shown.blocks[:2] == train.blocks
    rna, adt = train.blocks
    genes, proteins = (np.asarray(x) for x in train.links["rna", "adt"].nonzero())
    one, other = rna.values["rna"][:, genes], adt.values["adt"][:, proteins]
    unlike = cdist(one, other, "cosine")
    mutual = (unlike.argsort(1).argsort(1) < 3) & (unlike.argsort(0).argsort(0) < 3)
    for block, own, far, near in (
        (shown.blocks[2], rna, adt, mutual),
        (shown.blocks[3], adt, rna, mutual.T),
    ):
        (m,), (n,), kept = own.modalities, far.modalities, own.take(near.any(1))
        assert list(block.names) == [f"{name} + {n}" for name in kept.names]
        assert_array_equal(block.labels, kept.labels)
        assert_array_equal(block.values[m], kept.values[m])
        means = np.array([far.values[n][row].mean(0) for row in near if row.any()])
        assert_allclose(block.values[n], means, atol=1e-6)


def test_without_pairs_linked_neighbours_stand_in_for_them_and_without_links_it_does_not_apply():
    train, query = unpaired_split(), linked_cells(60, 9, "query")
    model = ContrastiveVAE(max_epochs=10, latent=5)
    history = model.fit(train, 0)
    assert history[-1]["contrast"] > 0
    rna, adt = (model.embed(query.only(m)) for m in ("rna", "adt"))
    closer = (cdist(rna, adt).diagonal()[:, None] > cdist(rna, adt)).mean()
    assert closer < 0.35, "FOSCTTM of chance is 0.5"
    assert model.regression == "gaussian"
    assert model.ridge["rna", "adt"].kernel == "linear"
    with pytest.raises(NotApplicable, match="links"):
        ContrastiveVAE(max_epochs=1).fit(replace(train, links={}), 0)


def test_a_kept_model_of_weak_pairs_embeds_and_imputes_as_it_did():
    train, query = unpaired_split(), linked_cells(40, 9, "query")
    model, again = (ContrastiveVAE(max_epochs=3, latent=5) for _ in range(2))
    model.fit(train, 0)
    again.load(model.state(), train)
    assert model.encoders["rna"].components.width > 10, "as the weak pairs carry"
    for m, other in (("rna", "adt"), ("adt", "rna")):
        assert_array_equal(again.embed(query.only(m)), model.embed(query.only(m)))
        assert_array_equal(again.impute(query.only(m), other), model.impute(query.only(m), other))


def test_weak_pairs_join_true_ones_only_where_links_find_partners_better():
    unpaired = unpaired_split()
    train = replace(unpaired, blocks=(linked_cells(60, 5, "pair"), *unpaired.blocks))
    assert len(weakly_paired(train, 30).blocks) == 5
    wrong = train.links["rna", "adt"][::-1]
    misled = replace(train, links={("rna", "adt"): wrong, ("adt", "rna"): wrong.T.tocsr()})
    many = replace(train, blocks=(linked_cells(1000, 5, "pair"), *unpaired.blocks))
    for split in (misled, replace(train, links={}), many, paired_split(60)):
        assert weakly_paired(split, 30).blocks == split.blocks


def test_only_paired_cells_are_contrasted_and_single_ones_are_reconstructed():
    train = mosaic_split()
    model = built(train)
    single = model.loss(on_device(train.blocks[1], torch.device("cpu")), 1.0)
    assert set(single) == {"nll_rna", "contrast", "kl"}
    assert float(single["contrast"].detach().abs().max()) == 0
    single = single["nll_rna"].mean()
    single.backward()
    assert float(model.encoders["rna"].linear.weight.grad.abs().max()) > 0
    assert model.encoders["adt"].linear.weight.grad is None


def test_features_and_no_linear_path_are_an_ordinary_encoder():
    train = paired_split()
    model = built(train, components=None, linear_path="none")
    x = Minibatch({"rna": torch.randn(5, FEATURES["rna"])})
    assert_close(model.posterior(x).mean, model.encoders["rna"].network(x["rna"]))
    with pytest.raises(ValueError, match="components: null .* linear_path: none"):
        ContrastiveVAE(components=None)


def test_a_direction_without_pairs_is_imputed_by_the_decoder():
    pairs = ("rna", "atac"), ("rna", "adt")
    blocks = (linear_cells(60, seed=i, modalities=m, name=str(i)) for i, m in enumerate(pairs))
    train = Split(tuple(blocks), FEATURES)
    model = ContrastiveVAE(max_epochs=2, batch_offsets=False)
    model.fit(train, 0)
    assert ("atac", "adt") not in model.shares
    query = linear_cells(10, seed=9, modalities=("rna", "atac", "adt"), name="query")
    imputed = model.impute(query.only("atac"), "adt")
    assert_array_equal(imputed, decoded_alone(model, query, "atac", "adt"))
