"""Anchors and geometry in Gram form, and linked features of any modalities."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import FEATURES, linear_cells, links_among, unpaired_split
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from torch.testing import assert_close

from mosaicbench.contract import Normalization
from mosaicbench.errors import NotApplicable, UserError
from mosaicbench.models import anchors
from mosaicbench.models.linked import beside_values, chain, linked

THREE = ("rna", "atac", "adt")


@pytest.fixture
def cells():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 6, generator=generator, dtype=torch.float64) for n in (15, 11)]


# --- anchors and geometry ------------------------------------------------------------------------------------------------


def test_gram_form_gives_the_distances_of_every_pair(cells):
    x, y = cells
    naive = (x[:, None] - y[None]).square().sum(-1)
    assert_close(anchors.squared_distances(x, y), naive)
    kernel = torch.exp(-0.5 * (x[:, None] - x[None]).square().mean(-1))
    assert_close(anchors.kernel(x), kernel)


def test_mutual_neighbours_are_those_of_both_sides(cells):
    x, y = (z.numpy() for z in cells)
    likeness = (x / np.linalg.norm(x, axis=1)[:, None]) @ (y / np.linalg.norm(y, axis=1)[:, None]).T
    expected = np.zeros(likeness.shape, dtype=bool)
    for i, j in np.ndindex(likeness.shape):
        nearer = (likeness[i] > likeness[i, j]).sum(), (likeness[:, j] > likeness[i, j]).sum()
        expected[i, j] = max(nearer) < 3
    assert_array_equal(anchors.mutual_neighbors(*cells, 3), expected)
    assert anchors.mutual_neighbors(*cells, 99).all()


def test_anchor_distance_is_the_mean_over_anchors_and_0_without_any(cells):
    x, y = cells
    anchored = anchors.mutual_neighbors(x, y, 3)
    naive = (x[:, None] - y[None]).square().mean(-1)[anchored].mean()
    assert_close(anchors.anchor_distance(x, y, anchored).mean(), naive)
    x.requires_grad_()
    none = anchors.anchor_distance(x, y, torch.zeros_like(anchored)).mean()
    none.backward()
    assert none == 0
    assert (x.grad == 0).all()


def test_geometry_is_the_cosine_of_kernel_rows_up_to_its_ceiling(cells):
    x, z = cells[0], cells[0][:, :3].clone().requires_grad_()
    rows = [torch.exp(-0.5 * (v[:, None] - v[None]).square().mean(-1)) for v in (x, z)]
    naive = torch.stack([torch.cosine_similarity(a, b, dim=0) for a, b in zip(*rows, strict=True)])
    assert_close(anchors.preserved_geometry(x, z), naive.clamp_max(0.975))
    same = x.clone().requires_grad_()
    alike = anchors.preserved_geometry(x, same)
    assert (alike == 0.975).all()
    alike.sum().backward()
    assert (same.grad == 0).all()
    # It moves what is encoded, and not what was measured.
    measured = x.clone().requires_grad_()
    anchors.preserved_geometry(measured, z).sum().backward()
    assert measured.grad is None
    assert z.grad.abs().sum() > 0


# --- linked features -----------------------------------------------------------------------------------------------------


def matrices(found, split, modalities):
    return {m: found.of(split.observing(m), m) for m in modalities}


def test_a_column_per_link_of_a_protein():
    split = unpaired_split()
    links = sparse.lil_matrix((FEATURES["rna"], FEATURES["adt"]), dtype=np.int8)
    links[3, 0] = links[4, 0] = 1  # a protein of two genes
    links[7, 2] = -1
    split = replace(split, links={("rna", "adt"): links.tocsr(), ("adt", "rna"): links.T.tocsr()})
    x = matrices(linked(split, ("rna", "adt")), split, ("rna", "adt"))
    rna, adt = (split.observing(m).values[m] for m in ("rna", "adt"))
    assert_array_equal(x["rna"], rna[:, [3, 4, 7]])
    assert_array_equal(x["adt"], np.stack([adt[:, 0], adt[:, 0], -adt[:, 2]], axis=1))


def test_activity_is_normalised_by_the_train_cells_moments():
    split = unpaired_split(modalities=("rna", "atac"))
    found, atac = linked(split, ("rna", "atac")), split.observing("atac")
    x = found.of(atac, "atac")
    assert x.shape == (100, FEATURES["rna"])
    counts = atac.gene_activity["atac"].toarray()
    total = np.median(counts.sum(1))
    log = np.log1p(counts / counts.sum(1, keepdims=True) * total)
    assert_allclose(x, np.clip((log - log.mean(0)) / log.std(0), -10, 10), atol=1e-4)
    deeper = replace(atac, gene_activity={"atac": atac.gene_activity["atac"] * 3})
    assert_allclose(found.of(deeper, "atac"), x, atol=1e-4)  # depth is no signal
    query = linear_cells(30, seed=8, modalities=("atac",))
    assert_allclose(found.of(query.take(np.arange(4)), "atac"), found.of(query, "atac")[:4])
    assert_array_equal(
        found.of(split.observing("rna"), "rna"), split.observing("rna").values["rna"]
    )


def test_links_are_composed_over_a_modality_that_neither_is():
    split = unpaired_split(modalities=THREE)
    x = matrices(linked(split, ("atac", "adt")), split, ("atac", "adt"))
    over_genes = linked(split, ("rna", "atac")).of(split.observing("atac"), "atac")
    # The first ten genes are linked with the first ten proteins.
    assert_array_equal(x["atac"], over_genes[:, :10])
    assert_array_equal(x["adt"], split.observing("adt").values["adt"][:, :10])
    together = linked(split, THREE)
    assert together.columns == 10
    assert_array_equal(together.of(split.observing("adt"), "adt"), x["adt"])


def test_values_of_peaks_are_no_linked_features():
    """Without activity, LSI components cannot stand for peaks, whatever their number."""
    split = unpaired_split(modalities=("rna", "atac"))
    d = FEATURES["atac"]
    scale = Normalization(
        "lsi", np.zeros(d), np.ones(d), 1.0, np.ones(d), np.ones(d), loadings=np.eye(d)
    )
    blind = replace(
        split,
        normalizations={"atac": scale},
        blocks=tuple(replace(block, gene_activity={}) for block in split.blocks),
    )
    with pytest.raises(NotApplicable, match="no links lead between rna and atac"):
        linked(blind, ("rna", "atac"))


def test_without_links_a_method_does_not_apply():
    split = replace(unpaired_split(), links={})
    with pytest.raises(NotApplicable, match="between rna and adt; give the dataset `links`"):
        linked(split, ("rna", "adt"))
    one = links_among(("rna", "adt"))["rna", "adt"].tolil()
    one[1:] = 0
    with pytest.raises(NotApplicable, match="1 linked features .* at least 2"):
        linked(replace(split, links={("rna", "adt"): one.tocsr()}), ("rna", "adt"))


def test_many_linked_features_become_joint_principal_components():
    split = unpaired_split(modalities=("rna", "atac"))
    whole, few = linked(split, ("rna", "atac")), linked(split, ("rna", "atac"), components=4)
    both = [whole.of(split.observing(m), m) for m in ("rna", "atac")]
    covariance = sum(np.cov(x, rowvar=False) for x in both)
    values = np.linalg.eigvalsh(covariance)[::-1]
    projected = [few.of(split.observing(m), m) for m in ("rna", "atac")]
    assert_allclose(sum(x.var(axis=0, ddof=1) for x in projected), values[:4], rtol=1e-4)
    assert linked(split, ("rna", "atac"), components=30).axes is None


def test_the_modality_that_is_linked_with_all_stands_in_the_middle():
    split = unpaired_split(modalities=THREE)
    assert chain(split) == ("atac", "rna", "adt")
    assert chain(split, ["adt", "atac", "rna"]) == ("adt", "atac", "rna")
    assert chain(unpaired_split()) == ("rna", "adt")
    with pytest.raises(UserError, match="order: .*must name each of rna, atac, adt once"):
        chain(split, ["rna", "adt"])


def test_linked_features_stand_beside_the_values():
    split = unpaired_split(modalities=THREE)
    pairs = {pair: linked(split, pair) for pair in (("atac", "rna"), ("rna", "adt"))}
    blocks = {next(iter(block.values)): block for block in beside_values(split, pairs).blocks}
    assert {m: list(block.values) for m, block in blocks.items()} == {
        "rna": ["rna", "rna~atac", "rna~adt"],
        "atac": ["atac", "atac~rna"],
        "adt": ["adt", "adt~rna"],
    }
    assert blocks["rna"].values["rna~atac"].shape[1] != blocks["rna"].values["rna~adt"].shape[1]
