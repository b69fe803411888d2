"""Real cells inside the package, and the small sets they are made of: what is there, and that it is what the registry says."""

import numpy as np
import pytest
import rebuild_embedded
import yaml
from faulty_server import serving
from mosaicbench_splits import cut, prepared
from numpy.testing import assert_allclose
from scipy import sparse, stats

from mosaicbench.commands import fetch
from mosaicbench.config import registry
from mosaicbench.data import embedded
from mosaicbench.data.labels_qc import curated
from mosaicbench.data.normalize import Preprocessing
from mosaicbench.files.dataset import links_between

# name -> cells, features, types after merging, types as published, cells without a merged label
SETS = {
    "covid_citeseq_small": (3000, {"rna": 1000, "adt": 192}, 15, 17, 13),
    "bmmc_cite_small": (600, {"rna": 1000, "adt": 134}, 13, 41, 12),
    "teaseq_small": (1262, {"rna": 9855, "adt": 46}, 9, 11, 6),
    "snareseq_small": (1519, {"rna": 1663, "atac": 11184}, 10, 15, 112),
}
OPTIONS = {  # of transforms
    "atac": {"features": 1000, "components": 5, "out_of_fold": False},
    "rna": {"features": 300},
    "adt": {},
}
PINNED = {  # name -> features that a cell shows, cell types
    "covid_citeseq": ({"rna": 1000, "adt": 192}, 17),
    "bmmc_cite_starter": ({"rna": 1000, "adt": 134}, 41),
    "bmmc_multiome_starter": ({"rna": 599, "atac": 595}, 21),
    "teaseq_matilda": ({"rna": 9855, "adt": 46}, 11),
    "snareseq_cortex": ({"rna": 1677, "atac": 24744}, 14),
    "pbmc10k_citeseq": ({"rna": 4000, "adt": 14}, 7),
    "pbmc1k_citeseq": ({"rna": 19203, "adt": 10}, 0),
    "multiome_pbmc100": ({"rna": 4286, "atac": 7829}, 15),
}


# --- the packed format ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [1, 300, 70_000])
def test_counts_come_back_as_they_were(largest):
    counts = np.random.default_rng(0).poisson(0.3, size=(23, 17)) * largest
    members = rebuild_embedded.counts_packed("rna", sparse.csr_matrix(counts.astype(np.float64)))
    assert np.array_equal(embedded._counts("rna", members).toarray(), counts)
    reverse = dict(reversed(members.items()))
    assert rebuild_embedded.packed(members) == rebuild_embedded.packed(reverse)


# --- the embedded sets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_an_embedded_set_holds_what_is_said_of_it(name, tmp_path):
    cells, features, merged, published, unknown_labels = SETS[name]
    stanza = registry.load()[name]
    dataset = prepared(tmp_path, stanza["loader"], stanza["options"])
    assert {modality: one.n_vars for modality, one in dataset.mod.items()} == features
    assert {"cells": dataset.n_obs, **features} == stanza["shape"]
    assert dataset.n_obs == cells
    types = dataset.obs["cell_type"].astype(str)
    counts = types[types != ""].value_counts()
    assert (len(counts), int((types == "").sum())) == (merged, unknown_labels)
    assert counts.min() >= embedded.FEWEST
    assert len(set(embedded.load(name, cell_type="published").obs["cell_type"])) == published
    first, second = features
    assert links_between(dataset, first, second).nnz > 5


def test_a_donor_can_be_held_out_and_the_audit_says_who_chose_the_genes():
    parts = cut(embedded.load("covid_citeseq_small"), seed=3, split={"by": "donor"})
    assert len(set(parts["train"]["rna"].obs["donor"])) == 42
    audit = parts["solution"].uns["audit"]
    (row,) = audit[(audit["role"] == "design") & (audit["modality"] == "rna")].to_dict("records")
    assert "chosen by the data's authors" in row["what"]
    assert (row["cells"], row["train_cells"] + row["query_cells"]) == (3000, 3000)
    assert row["query_cells"] > 0
    assert "0 of 43 groups of donor are on both sides" in list(audit["what"])


def test_fewer_cells_leave_no_type_of_too_few(tmp_path):
    """The same cells as any dataset's `cells`, and the rule of at least ten cells of a type is of those that are kept."""
    fewer = prepared(tmp_path, "embedded", {"name": "covid_citeseq_small", "cells": 1000})
    whole = embedded.load("covid_citeseq_small", cell_type="published")
    drawn = curated(whole, cells=1000)
    assert list(fewer.obs_names) == list(drawn.obs_names)
    published = drawn.obs["cell_type"].astype(str).value_counts()
    label_subset = fewer.obs["cell_type"].astype(str).value_counts().drop("")
    assert len(label_subset) == 14
    assert label_subset.to_dict() == published[published >= embedded.FEWEST].to_dict()


def test_links_that_a_loader_brings_stay_through_curation_unless_they_are_not_wanted(tmp_path):
    fewer = prepared(tmp_path, "embedded", {"name": "snareseq_small", "cells": 300})
    whole = embedded.load("snareseq_small")
    named = []
    for dataset in (fewer, whole):
        near = links_between(dataset, "rna", "atac").tocoo()
        genes, peaks = dataset["rna"].var_names[near.row], dataset["atac"].var_names[near.col]
        named.append(set(zip(genes, peaks, strict=True)))
    assert len(named[0]) > 5000
    assert named[0] <= named[1]
    none = prepared(tmp_path, "embedded", {"name": "snareseq_small", "links": False})
    assert "links" not in none.varp


# --- the pinned sets that they are made of: with their files, where there are any ----------------------------------------


@pytest.mark.parametrize("dataset", PINNED)
def test_the_registry_is_right_about_the_bytes_of_a_pinned_set(dataset, tmp_path, published):
    """Served from loopback as their publishers would serve them, fetched, verified, read: nothing but the host is another."""
    folder, stanza = published(dataset), registry.load()[dataset]
    assert all("proven" in facts and "sha256" in facts for facts in stanza["files"].values())
    files = {f"/{name}": (folder / name).read_bytes() for name in stanza["files"]}
    with serving(files) as (url, _):
        for name, facts in stanza["files"].items():
            facts.pop("package", None)
            facts["url"] = f"{url}/{name}"
        known = tmp_path / "datasets.yaml"
        known.write_text(yaml.safe_dump({dataset: stanza}, sort_keys=False))
        options = {"files": [], "optional": False, "offline": False, "mirror": None, "show": False}
        fetch.main(datasets=[dataset], raw=tmp_path / "raw", known=known, **options)
    raw = tmp_path / "raw" / dataset
    read = prepared(tmp_path, stanza["loader"], stanza["options"], raw=raw)
    features, types = PINNED[dataset]
    assert read.n_obs == stanza["shape"]["cells"]
    assert {modality: cells.n_vars for modality, cells in read.mod.items()} == features
    assert all(count <= stanza["shape"][modality] for modality, count in features.items())
    assert len(set(read.obs["cell_type"]) - {""}) == types


@pytest.mark.parametrize("name", SETS)
def test_an_embedded_set_can_be_made_again(name, published):
    source = rebuild_embedded.RECIPES[name][0]
    whole = rebuild_embedded.rebuilt(name, published(source).parent)
    shipped = (embedded.FOLDER / f"{name}.npz").read_bytes()
    assert whole == shipped or rebuild_embedded.same_arrays(whole, shipped)


# --- what is made of them, held to other computations of it ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "modality"),
    [("covid_citeseq_small", "rna"), ("teaseq_small", "adt"), ("snareseq_small", "atac")],
)
def test_real_cells_are_transformed_as_their_definitions_say(name, modality):
    """Dense, in double precision, formula by formula; what is fitted, on every fourth cell."""
    whole = embedded.load(name)[modality]
    cells = whole[::4].copy()
    fitted = Preprocessing.fit(cells, **OPTIONS[modality])
    shown = fitted.transform(whole)
    counts = whole.layers["counts"].toarray().astype(float)
    columns = fitted.steps.columns
    share = 1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if modality == "rna":
        expected = np.log1p(share[:, columns])
    elif modality == "adt":
        expected = np.log1p(counts / stats.gmean(1 + counts, axis=1, keepdims=True))
    else:
        opened = (counts[::4] > 0).sum(axis=0)
        expected = np.log1p((share * cells.n_obs / np.maximum(opened, 1))[:, columns])
    found = shown.X.toarray() if sparse.issparse(shown.X) else shown.X
    assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    atol = 1e-6
    if modality == "atac":
        vectors = np.linalg.svd(expected[::4], full_matrices=False)[2][1:6].T
        signs = np.sign(np.sum(vectors * shown.varm["LSI"], axis=0))
        expected, atol = expected @ (vectors * signs), 1e-4
        assert_allclose(shown.obsm["X_lsi"], expected, atol=2e-3)
    std = expected[::4].std(axis=0)
    std = np.where(std > 1e-6, std, 1)
    if modality == "atac":  # components share one
        std = np.full_like(std, np.sqrt(np.mean(std**2)))
    assert_allclose(fitted.mean, expected[::4].mean(axis=0), rtol=1e-5, atol=atol)
    assert_allclose(fitted.std, std, rtol=1e-5)
