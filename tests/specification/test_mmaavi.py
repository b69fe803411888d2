"""mmAAVI: what each of its parts does, and that it does no more."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import FEATURES, linear_cells, mosaic_split, paired_split, unpaired_split
from mosaicbench_fits import fit_one, score_one
from mosaicbench_splits import cut_small, small_dataset
from numpy.random import default_rng
from numpy.testing import assert_array_equal
from scipy import sparse
from test_family import built, counted_split, loss_of, values
from torch.distributions import Normal
from torch.testing import assert_close

from mosaicbench.contract import Split
from mosaicbench.data import pairing
from mosaicbench.data.split import make_split
from mosaicbench.errors import NotApplicable, UserError
from mosaicbench.files.runs import latents_of, predicted_of, read_latents
from mosaicbench.files.splits import read_split, space_values
from mosaicbench.methods.mmaavi import MMAAVI, SemiSupervisedMMAAVI
from mosaicbench.models import training
from mosaicbench.models.guidance import FeatureGraph
from mosaicbench.models.minibatch import Part, on_device
from mosaicbench.models.mixture import MixturePrior
from mosaicbench.models.posteriors import kl
from mosaicbench.models.training import with_labelled

CPU = torch.device("cpu")


def linked_split(cells=200):
    """Return the split of counts with a link from gene 2 i to peak i, every third negative."""
    split = counted_split(cells)
    links = np.zeros((30, 25), dtype=np.int8)
    for gene in range(0, 24, 2):
        links[gene, gene // 2] = -1 if gene % 3 == 0 else 1
    links = sparse.csr_matrix(links)
    peaks, scales = split.blocks[0].counts["atac"], dict(split.normalizations)
    share = np.asarray(peaks.sum(0)).ravel() / peaks.sum()
    scales["atac"] = replace(scales["atac"], fraction=share)
    both_ways = {("rna", "atac"): links, ("atac", "rna"): links.T.tocsr()}
    return replace(split, normalizations=scales, links=both_ways)


def made(split, method=MMAAVI, **hyperparameters):
    torch.manual_seed(0)
    model = method(**hyperparameters)
    model.build(split)
    return model


def counted(split):
    return on_device(split.blocks[0], CPU, counts=["rna", "atac"])


# --- losses: each weight removes its own term, and nothing else ---


@pytest.mark.parametrize(
    ("weight", "term"), [("graph_weight", "nll_graph"), ("discriminator_weight", "feedback_origin")]
)
def test_weight_zero_removes_exactly_its_term(weight, term):
    split = linked_split(40)
    x = counted(split)
    paid, free = (loss_of(made(split, **{weight: value}), x) for value in (2.0, 0.0))
    assert term not in free
    assert abs(float(paid[term].detach().mean())) > 0.01
    assert_close(paid.total() - paid[term].mean(), free.total())


def test_the_links_weigh_as_much_as_there_are_modalities():
    split = linked_split(40)
    auto, one = (
        loss_of(made(split, graph_weight=weight), counted(split))["nll_graph"]
        for weight in ("modalities", 1.0)
    )
    assert_close(auto, 2 * one)


def test_without_links_features_have_embeddings_and_nothing_to_reconstruct():
    model = made(replace(paired_split(20), links={}))
    assert "nll_graph" not in loss_of(model, values())
    assert "nll_graph" in loss_of(made(paired_split(20)), values())
    assert model.graph().mean.shape == (FEATURES["rna"] + FEATURES["adt"], model.latent)


# --- attention and what is shown ---


def test_one_observed_modality_has_all_the_attention_and_absent_ones_none():
    model = built(MMAAVI, ("rna", "atac", "adt"))
    hidden = {m: torch.randn(9, model.hidden) for m in ("rna", "atac", "adt")}
    assert_close(model.attention({"adt": hidden["adt"]})["adt"], torch.ones(9))
    weights = torch.stack(list(model.attention(hidden).values()))
    assert_close(weights.sum(0), torch.ones(9))
    largest = float((weights.max(0).values / weights.min(0).values).detach().max())
    assert largest < np.e**2  # scores lie between -1 and 1


def test_cells_are_encoded_from_fewer_modalities_but_reconstruct_all():
    model, x = built(MMAAVI, modality_dropout=1.0), values()
    torch.manual_seed(0)
    assert {tuple(model.shown(x)) for _ in range(30)} == {("rna",), ("adt",)}
    assert {"nll_rna", "nll_adt"} <= set(loss_of(model, x))
    whole = built(MMAAVI, modality_dropout=0.0)
    assert {tuple(whole.shown(x)) for _ in range(30)} == {("rna", "adt")}


def test_the_graph_has_a_larger_share_where_no_cell_has_two_modalities():
    assert made(unpaired_split()).decoders["rna"].graph_fraction == 0.99
    assert made(mosaic_split()).decoders["rna"].graph_fraction == 0.9
    assert made(mosaic_split(), graph_fraction=0.5).decoders["rna"].graph_fraction == 0.5


# --- the mixture prior ---


def test_with_one_component_the_prior_is_a_hierarchy_of_gaussians():
    torch.manual_seed(0)
    prior, q = MixturePrior(3, 1), Normal(torch.randn(6, 3), torch.rand(6, 3) + 0.1)
    z = q.rsample()
    torch.manual_seed(1)
    loss = prior.divergence(q, z)
    torch.manual_seed(1)
    one = torch.ones(6, 1)
    mean, spread = prior.within(torch.cat([one, z], -1)).chunk(2, -1)
    of_u = Normal(mean, torch.nn.functional.softplus(spread) + 1e-3)
    assert_close(loss["kl_c"], torch.zeros(6))
    assert_close(loss["kl_u"], kl(of_u)["kl"])
    under = prior.conditional(one, of_u.rsample()).log_prob(z).sum(-1)
    assert_close(loss["kl_z"], q.log_prob(z).sum(-1) - under)


def test_a_known_component_stands_in_the_place_of_the_inferred_one():
    torch.manual_seed(0)
    prior, q = MixturePrior(3, 4), Normal(torch.randn(6, 3), torch.rand(6, 3) + 0.1)
    z, known = q.rsample(), torch.tensor([2, -1, 0, -1, 3, -1])
    losses = {}
    for name, given in (("some", known), ("none", None), ("sure", known)):
        if name == "sure":  # a classifier that is certain of component 2
            torch.nn.init.zeros_(prior.classifier[-1].weight)
            prior.classifier[-1].bias.data = torch.tensor([0.0, 0.0, 50.0, 0.0])
            given = None
        torch.manual_seed(1)
        losses[name] = prior.divergence(q, z, given)
    unknown = known < 0
    assert (losses["some"]["kl_c"][~unknown] == 0).all()
    for term, some in losses["some"].items():
        assert_close(some[unknown], losses["none"][term][unknown])
        if term != "kl_c":
            assert_close(some[0], losses["sure"][term][0])


# --- the guidance graph and the decoder ---


def test_links_are_in_the_graph_once_in_each_direction_with_their_sign():
    graph = FeatureGraph({"rna": 30, "atac": 25}, linked_split(20).links, 4)
    assert len(graph.pairs) == 24
    dense = graph.smoothing.to_dense()
    assert_close(dense, dense.T)
    assert dense[2, 30 + 1] == 1
    assert dense[6, 30 + 3] == -1
    assert (dense[1] == 0).all()


def test_pairs_without_a_link_are_no_links_and_of_the_right_modality():
    split = linked_split(20)
    graph = FeatureGraph({"rna": 30, "atac": 25}, split.links, 30)
    told = torch.zeros(55, 30)
    for number, (gene, peak) in enumerate(graph.pairs[:12].tolist()):
        told[gene, number], told[peak, number] = 9.0, 9.0 * graph.signs[number]
    perfect = graph.nll(told)  # linked pairs agree, all others are orthogonal: log 2 each
    assert float(perfect) == pytest.approx(0.5 * np.log(2), abs=1e-4)


def test_the_graph_is_reconstructed_ever_better():
    split, nats = linked_split(), {}
    for weight in (0.0, 20.0):
        model = MMAAVI(
            max_epochs=12,
            batch_size=64,
            graph_weight=weight,
            discriminator_weight=0.0,
            learning_rate=5e-3,
        )
        history = model.fit(split, 0)
        torch.manual_seed(0)
        with torch.no_grad():
            nats[weight] = float(model.graph.nll(model.graph().mean))
    assert history[-1]["nll_graph"] < 0.8 * history[0]["nll_graph"]
    assert nats[20.0] < 0.8 * nats[0.0]


def test_absent_modalities_are_imputed_at_the_train_cells_depth():
    split = linked_split(300)
    model = MMAAVI(max_epochs=20, batch_size=32, latent=5, learning_rate=5e-3)
    model.fit(split, 0)
    cells = split.blocks[0]
    for source, target, largest in (("rna", "atac", 1.0), ("atac", "rna", 0.9)):
        imputed, truth = model.impute(cells.only(source), target), cells.values[target]
        assert ((imputed - truth) ** 2).mean() < largest * (truth**2).mean()
        # Values are standardised on train cells: those of an empty library would lie far below.
        assert abs(imputed.mean()) < 0.2


# --- batches ---


def two_batches(cells=200):
    """Return a split whose second batch shows ten times the counts in the first five genes, and the same cells unseen."""
    split = linked_split(cells)
    random = default_rng(3)
    block = split.blocks[0]
    batches = np.array(["a", "b"], dtype=object)[random.integers(0, 2, cells)]
    counts = block.counts["rna"].toarray()
    counts[:, :5] = counts[:, :5] * np.where(batches == "b", 10, 1)[:, None]
    block = replace(
        block, batches=batches, counts=block.counts | {"rna": sparse.csr_matrix(counts)}
    )
    return replace(split, blocks=(block,))


def test_each_batch_has_its_own_effect_and_an_unseen_one_the_mean_of_all():
    split = two_batches()
    model = MMAAVI(
        max_epochs=15,
        batch_size=64,
        latent=5,
        discriminator_weight=0.0,
        learning_rate=5e-3,
        cooldown=0.0,
    )
    model.fit(split, 0)
    cells, means = split.blocks[0].take(np.arange(30)), {}
    for batch in "abc":
        of_batch = replace(cells, batches=np.full(30, batch, dtype=object))
        means[batch] = model.impute(of_batch.only("atac"), "rna")[:, :5].mean()
        assert_array_equal(model.embed(cells), model.embed(of_batch))  # does not read the batch
    assert means["b"] > means["a"] + 0.3
    assert means["a"] < means["c"] < means["b"]


def test_the_discriminator_tells_what_there_is_to_tell():
    split = two_batches(40)
    of_batch, model = made(split, discriminator_tells="batch"), made(split)
    assert of_batch.opponents.discriminators["origin"].domains == 2
    # both, rna and atac alone, in each batch
    assert model.opponents.discriminators["origin"].domains == 2 * 3
    assert made(paired_split(40), discriminator_tells="batch").opponents is None
    assert made(paired_split(40), modality_dropout=0.0).opponents is None
    x = on_device(split.blocks[0], CPU, counts=["rna", "atac"], batches=model.batches)
    _, origin = model._examples([x], 1.0)["origin"]
    assert set(origin.tolist()) == set(range(6))


def test_minibatches_carry_batches_of_the_right_cells():
    split = two_batches(40)
    x = on_device(split.blocks[0], CPU, batches=("b", "c"))
    assert x.batches.tolist() == [0 if batch == "b" else -1 for batch in split.blocks[0].batches]
    rows = torch.tensor([7, 3])
    assert torch.equal(x.take(rows).batches, x.batches[rows])
    assert split.batches == ("a", "b")


# --- few labels ---


def few(split, share, seed=0):
    """Return the split with only a share of its labels."""
    random, blocks = default_rng(seed), []
    for block in split.blocks:
        shown = random.random(len(block)) < share
        blocks.append(replace(block, labels=np.where(shown, block.labels, "").astype(object)))
    return replace(split, blocks=tuple(blocks))


def test_steps_hold_a_share_of_labelled_cells_and_every_other_cell_once():
    split = few(mosaic_split(), 0.05)
    label_subset = [block.labels != "" for block in split.blocks]
    blocks = [on_device(block, CPU, cell_types=split.cell_types) for block in split.blocks]
    numbered = [replace(x, library_size={"number": torch.arange(x.cells)[:, None]}) for x in blocks]
    parts = [Part(x, torch.arange(x.cells)) for x in numbered]
    seen, steps = [], list(with_labelled(parts, 40, label_subset, 0.25))
    for minibatches in steps:
        labels = torch.cat([x.labels for x in minibatches])
        assert int((labels >= 0).sum()) == 10
        assert len(labels) <= 40
        for x in minibatches:
            seen += [(tuple(x), int(n)) for n in x.library_size["number"][x.labels < 0]]
    assert len(seen) == len(set(seen)) == sum(int((~own).sum()) for own in label_subset)
    everything = [np.ones_like(own) for own in label_subset]
    of_steps = with_labelled(parts, 40, everything, 0.25)
    assert sum(sum(x.cells for x in step) for step in of_steps) == sum(x.cells for x in numbered)


def test_steps_of_some_of_each_hold_every_cell_once_and_every_block():
    blocks = [on_device(block, CPU) for block in mosaic_split().blocks]
    steps = list(training.some_of_each(blocks, 64))
    assert len(steps) == 5
    assert all(len(step) == 3 for step in steps)
    assert sum(x.cells for step in steps for x in step) == sum(x.cells for x in blocks)
    assert max(sum(x.cells for x in step) for step in steps) <= 64 + 2


def test_few_labels_are_enough_to_tell_the_types_from_any_modality():
    split = few(mosaic_split(), 0.1)
    model = SemiSupervisedMMAAVI(max_epochs=10, batch_size=64, learning_rate=3e-3)
    model.fit(split, 0)
    query = linear_cells(150, seed=9)
    for shown in (query, query.only("rna"), query.only("adt")):
        assert np.mean(model.predict(shown) == query.labels) > 0.7  # chance is a third


def test_components_are_the_types_or_more_and_only_types_are_predicted():
    split = paired_split(60)
    assert made(split, SemiSupervisedMMAAVI).prior.components == 3
    model = made(split, SemiSupervisedMMAAVI, components=7)
    assert model.prior.components == 7
    model.nets = torch.nn.ModuleList([model.prior])
    assert set(model.predict(linear_cells(50, seed=1))) <= set(split.cell_types)


def test_without_any_label_it_does_not_apply():
    with pytest.raises(NotApplicable, match="known cell type"):
        SemiSupervisedMMAAVI(max_epochs=1).fit(few(paired_split(30), 0.0), 0)


def test_few_labels_of_one_batch_are_drawn_by_the_seed():
    random = default_rng(0)
    labels = random.choice(
        np.array(["B", "T", "rare", ""], dtype=object), 2000, p=[0.5, 0.3, 0.005, 0.195]
    )
    batches = random.choice(np.array(["one", "two"], dtype=object), 2000)

    def drawn(seed=0, **options):
        return pairing.few_labels(labels, batches, default_rng(seed), **options)

    chosen = drawn(fraction=0.02, min_per_type=2)
    assert len(chosen) == len(set(chosen)) == 40
    assert set(labels[chosen]) == {"B", "T", "rare"}
    assert len(set(batches[chosen])) == 1
    assert set(batches[drawn(fraction=0.02, batch="two")]) == {"two"}
    fewest = labels[drawn(fraction=0.0001, min_per_type=2, batch="one")]
    assert sorted(fewest) == ["B", "B", "T", "T", "rare", "rare"]
    assert len(drawn(fraction=0.0)) == 0
    assert len(drawn(fraction=1.0, batch="one")) == np.sum((batches == "one") & (labels != ""))
    assert_array_equal(chosen, drawn(fraction=0.02, min_per_type=2))
    assert not np.array_equal(
        drawn(fraction=0.02, batch="one"), drawn(1, fraction=0.02, batch="one")
    )
    with pytest.raises(UserError, match="no train cell has batch 'three'; there are one, two"):
        drawn(fraction=0.1, batch="three")


def test_hiding_labels_changes_nothing_else():
    dataset = small_dataset()
    names = {"dataset_name": "small", "scenario": "m", "kind": "paired", "seed": 2}
    few_shown = {"label_subset": {"fraction": 0.05, "min_per_type": 1}}
    whole, hidden = (make_split(dataset, **names, **option) for option in ({}, few_shown))

    def types(part, modality):
        return part[modality].obs["cell_type"].astype(str).to_numpy()

    for modality, cells in whole["train"].mod.items():
        assert_array_equal(space_values(cells), space_values(hidden["train"][modality]))
        shown = types(hidden["train"], modality)
        kept = shown != ""
        assert 0 < kept.sum() < 40
        assert_array_equal(shown[kept], types(whole["train"], modality)[kept])
        truth = [types(part["solution"], modality) for part in (whole, hidden)]
        assert_array_equal(*truth)


# --- from a split to scores ---


def test_predictions_of_every_source_are_written_and_scored(tmp_path):
    split, run = cut_small(small_dataset(), "paired", tmp_path / "split"), tmp_path / "run"
    fit_one(split, run, "mmaavi_ss", hyperparameters={"max_epochs": 4, "batch_size": 64})
    latents = read_latents(run / "latents.h5ad")
    scores = score_one(split, run, ["label_prediction"]).set_index(["metric", "direction"])["value"]
    for source in ("joint", "left", "right"):
        said, modality = predicted_of(latents, source, "query"), source.replace("joint", "left")
        assert predicted_of(latents, source, "train") is None
        solution = read_split(split / "solution.h5mu", "solution")[modality].obs
        names, _ = latents_of(latents, source, "query")
        order = names.get_indexer(solution["query_name"].astype(str))
        types = solution["cell_type"].astype(str).to_numpy()
        right = [np.mean(said[order][types == name] == name) for name in set(types) - {""}]
        own = scores["label_prediction_balanced_accuracy", source]
        assert own == pytest.approx(np.mean(right))


def test_splits_without_batches_have_none():
    block = replace(linear_cells(10, seed=0), batches=None)
    assert Split(blocks=(block,), features={"rna": 30, "adt": 12}).batches == ()


# --- what the original does and the defaults do not ---


def test_modality_means_weigh_a_modality_by_how_few_cells_have_it():
    split = mosaic_split()
    cells = {m: len(split.observing(m)) for m in split.features}
    plain = made(split, discriminator_weight=0)
    means = made(split, discriminator_weight=0, modality_means=True)
    x = on_device(split.blocks[0], CPU)
    whole = sum(len(block) for block in split.blocks)
    first, second = loss_of(plain, x), loss_of(means, x)
    for m in x:
        assert_close(second[f"nll_{m}"], whole / cells[m] * first[f"nll_{m}"])
    assert_close(second["kl_z"], first["kl_z"])


def test_group_means_make_each_groups_divergence_a_mean_over_its_own_cells():
    split = few(mosaic_split(), 0.1)
    plain = SemiSupervisedMMAAVI(max_epochs=1, discriminator_weight=0, group_means=False)
    means = SemiSupervisedMMAAVI(max_epochs=1, discriminator_weight=0)
    for model in (plain, means):
        model.fit(split, 0)
    means.nets.load_state_dict(plain.nets.state_dict())
    x = on_device(split.blocks[0], CPU, cell_types=split.cell_types)
    first, second = loss_of(plain, x), loss_of(means, x)
    known, share = x.labels >= 0, means.labelled_fraction
    for name in ("kl_z", "kl_u", "kl_c"):
        weight = torch.where(known, 1 / share, 1 / (1 - share))
        assert_close(second[name], first[name] * weight)
    assert_close(second["nll_label"][known], first["nll_label"][known] / share)


def test_the_prior_may_be_normalised_by_minibatch_and_still_takes_a_single_cell():
    split = mosaic_split()
    model = MMAAVI(max_epochs=2, prior_dropout=0.2)
    model.fit(split, 0)
    model.nets.train()
    assert torch.isfinite(model.prior.classifier(torch.zeros(1, model.latent))).all()
    assert sum(isinstance(layer, torch.nn.BatchNorm1d) for layer in model.nets.modules()) == 2
    assert not any(isinstance(layer, torch.nn.BatchNorm1d) for layer in made(split).prior.modules())
