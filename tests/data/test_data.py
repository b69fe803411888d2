"""Datasets: what each file returns, the preprocessing it gets, and the mistakes a user can make with own files."""

import anndata
import numpy as np
import pandas as pd
import pytest
import standins
from mosaicbench_splits import cut, prepared
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from own_cells import read, refused, written
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mosaicbench.data import embedded, normalize
from mosaicbench.data.normalize import KINDS, Preprocessing, tf_idf_from_lsi
from mosaicbench.datasets import (
    breast_tcga,
    cll,
    pbmc68k_split,
    simulated,
    simulated_species,
    split_transcriptome,
    synthetic_gp,
    tcga_brca,
)
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import VALUES
from mosaicbench.files.splits import space_values, standardised_values, unstandardised_values


@pytest.fixture(scope="module")
def cells():
    return simulated.load(None, seed=3)


def named(matrix, cell="cell", **more):
    """Return an AnnData whose features are called feature0, feature1, ..."""
    obs = pd.DataFrame(index=[f"{cell}{i}" for i in range(matrix.shape[0])])
    var = pd.DataFrame(index=[f"feature{j}" for j in range(matrix.shape[1])])
    return anndata.AnnData(obs=obs, var=var, **more)


def counts_of(n_obs=12, n_vars=5, seed=0, cell="cell"):
    """Return a small AnnData of counts without an all-zero feature."""
    counts = default_rng(seed).poisson(3.0, size=(n_obs, n_vars)) + 1
    return named(counts, cell, X=sparse.csr_matrix(counts, dtype=np.float32))


def modality_of(matrix, kind):
    """Return one modality of a dataset that measures `matrix`."""
    scale = VALUES[kind][0]
    layers = {scale: sparse.csr_matrix(matrix, dtype=np.float32)}
    return named(matrix, layers=layers, uns={"kind": kind, "values": scale})


def transformed(train, **options):
    """Return train cells by a transform that was fitted on them."""
    return Preprocessing.fit(train, **options).transform(train)


# --- the embedded sets ---------------------------------------------------------------------------------------------------


def test_split_transcriptome_halves_are_disjoint_and_alike():
    dataset = pbmc68k_split.load(None)
    left, right = dataset["left"], dataset["right"]
    assert not set(left.var_names) & set(right.var_names)
    assert left.n_vars + right.n_vars == 765
    means = [half.layers["lognorm"].mean() for half in (left, right)]
    assert abs(means[0] - means[1]) < 0.05 * max(means)
    assert (dataset.n_obs, dataset.obs["cell_type"].nunique()) == (700, 10)


def r_squared(features, factors):
    """Return the R2, on the second half of the cells, of factors predicted by ridge regression on the first half."""
    half = len(features) // 2
    model = make_pipeline(StandardScaler(), Ridge(50)).fit(features[:half], factors[:half])
    return model.score(features[half:], factors[half:])


def test_private_factors_drive_their_own_modality_and_no_other(cells):
    for modality in cells.mod:
        values = space_values(transformed(cells[modality]))
        for other in cells.mod:
            found = r_squared(values, cells[other].obsm["private_factors"])
            assert found > 0.4 if other == modality else found < 0.05, (modality, other, found)
        assert r_squared(values, cells.obsm["shared_factors"]) > 0.4, modality


def test_simulated_batches_have_an_effect(cells):
    x = space_values(transformed(cells["adt"]))
    first = (cells.obs["batch"] == "batch-00").to_numpy()

    def gap(mask):
        return np.abs(x[mask].mean(axis=0) - x[~mask].mean(axis=0)).mean()

    rng = default_rng(0)
    assert gap(first) > 2 * max(gap(rng.permutation(first)) for _ in range(20))


def test_simulated_modality_does_not_depend_on_which_others_are_measured(cells):
    alone = simulated.load(None, modalities=("adt", "rna"), seed=3)
    assert list(alone.mod) == ["adt", "rna"]
    for modality in alone.mod:
        assert (alone[modality].layers["counts"] != cells[modality].layers["counts"]).nnz == 0


def test_prepare_refuses_an_unknown_modality(tmp_path):
    with pytest.raises(UserError, match="private_features: no modality 'dna'"):
        prepared(tmp_path, "simulated", {"private_features": {"dna": 3}})
    assert not list(tmp_path.iterdir())


# --- preprocessing -------------------------------------------------------------------------------------------------------


def test_variable_genes_are_chosen_over_quiet_ones():
    rng = default_rng(0)
    means = np.exp(rng.normal(0.5, 1.0, size=200))
    noisy = np.arange(20) * 10
    rate = np.tile(means, (600, 1))
    rate[:, noisy] *= rng.gamma(0.3, 1 / 0.3, size=(600, 20))
    train = modality_of(rng.poisson(rate), "rna")
    chosen = transformed(train, features=20).var_names
    assert len(chosen) == 20
    assert len(set(chosen) & {f"feature{j}" for j in noisy}) >= 16


def test_variable_genes_of_few_values_and_of_many_are_the_same(monkeypatch):
    train = embedded.load("bmmc_cite_small")["rna"][:400]
    of_few = list(transformed(train, features=150).var_names)
    monkeypatch.setattr(normalize, "FEW_COUNTS", 0)
    assert list(transformed(train, features=150).var_names) == of_few
    assert len(of_few) == 150


@pytest.mark.parametrize("seed", range(2))
def test_of_equally_variable_genes_the_first_are_chosen(seed):
    rng = default_rng(seed)
    genes = rng.poisson(np.exp(rng.normal(0.5, 1.0, size=20)), size=(600, 20)).T
    counts = np.stack([rng.permutation(gene) for gene in genes for _ in range(8)], axis=1)
    chosen = transformed(modality_of(counts, "rna"), features=83).var_names
    chosen = np.isin(np.arange(160), [int(name.removeprefix("feature")) for name in chosen])
    sizes = chosen.reshape(20, 8).sum(axis=1)
    assert sorted(sizes) == [*[0] * 9, 3, *[8] * 10]
    assert chosen.reshape(20, 8)[sizes == 3].tolist() == [[True] * 3 + [False] * 5]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_without_counts_stays_finite(kind):
    counts = default_rng(0).poisson(2.0, size=(20, 9))
    counts[4] = 0
    assert np.all(np.isfinite(standardised_values(transformed(modality_of(counts, kind)))))


def test_the_way_back_from_lognorm_gives_the_counts():
    counts = default_rng(0).poisson(2.0, size=(40, 9)) + np.arange(9)
    shown = transformed(modality_of(counts, "rna"))
    back = unstandardised_values(
        shown, (space_values(shown) - shown.uns["mean"]) / shown.uns["std"]
    )
    found = normalize.counts_from_lognorm(back, shown.obs["total"])
    assert_allclose(found, shown.layers["counts"].toarray(), atol=1e-3)


def test_the_way_back_from_lsi_gives_the_tf_idf_at_average_depth(cells):
    """With all components only the depth of the single cell is lost, so that the means over cells come back exactly."""
    atac = cells["atac"][:, :60].copy()
    shown = transformed(atac, components=58)
    tf_idf = shown.X.toarray()
    back = tf_idf_from_lsi(shown, space_values(shown))
    assert_allclose(back.mean(axis=0), tf_idf.mean(axis=0), atol=0.01)
    lost = tf_idf - back
    _, singular, directions = np.linalg.svd(lost - lost.mean(axis=0), full_matrices=False)
    assert singular[0] > 5 * singular[1]  # the last of 60 components is left out as well
    first = np.linalg.svd(tf_idf, full_matrices=False)[2][0]
    assert abs(directions[0] @ first) > 0.999


def test_continuous_values_stay_as_they_are_and_those_that_vary_most_are_chosen():
    random = default_rng(0)
    matrix = random.standard_normal((50, 6)) * [1, 5, 0, 3, 2, 4] - 7
    train = modality_of(matrix, "continuous")
    assert list(transformed(train, features=2).var_names) == ["feature1", "feature5"]
    every = transformed(train)
    assert list(every.var_names) == [f"feature{j}" for j in (0, 1, 3, 4, 5)]
    assert_allclose(space_values(every), matrix[:, [0, 1, 3, 4, 5]], rtol=1e-6)
    assert_allclose(standardised_values(every).std(axis=0), 1, rtol=1e-4)
    train.uns["values"] = "counts"
    with pytest.raises(UserError, match="values: kind 'continuous' needs .*, found counts"):
        transformed(train)


# --- Gaussian processes --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes():
    return synthetic_gp.load(None, cells=300, private_features={"first": 20, "second": 5}, seed=2)


def smoothness(x, factors):
    """Return the share of each feature's variance that the nearest other cell, in these factors, predicts."""
    distance = ((factors[:, None] - factors[None]) ** 2).sum(-1) + 1e9 * np.eye(len(factors))
    return 1 - ((x - x[distance.argmin(1)]) ** 2).mean(0) / (2 * x.var(0))


def test_features_are_smooth_in_the_factors_that_drive_them_and_in_no_others(processes):
    for modality in processes.mod.values():
        x = modality.layers["continuous"].toarray()
        of_shared = modality.var["shared_driven"].to_numpy()
        own = smoothness(x, modality.obsm["private_factors"])
        shared = smoothness(x, processes.obsm["shared_factors"])
        assert min(shared[of_shared].min(), own[~of_shared].min()) > 0.8
        assert max(shared[~of_shared].max(), own[of_shared].max()) < 0.5
        assert of_shared.sum() == 10
        assert_allclose(x.var(axis=0), 1 + 0.15**2, rtol=0.08)


def test_more_private_features_change_nothing_in_those_that_were_there(processes):
    more = synthetic_gp.load(None, cells=300, private_features={"first": 40, "second": 5}, seed=2)
    for name, before in processes.mod.items():
        now = more[name].layers["continuous"].toarray()[:, : before.n_vars]
        assert_array_equal(now, before.layers["continuous"].toarray())
    assert_array_equal(more.obs["cell_type"] == "positive", more.obsm["shared_factors"][:, 0] > 0)


def test_private_features_of_counts_follow_private_factors_alone():
    options = {"modalities": ["rna", "adt"], "n_rna": 40, "private_features": {"rna": 60}}
    dataset = simulated.load(None, cells=400, seed=1, **options)
    rna = dataset["rna"]
    private = np.array([int(name.split("-")[1]) >= 40 for name in rna.var_names])
    assert not np.any(rna.var["shared_driven"] & private)
    assert 40 < private.sum() <= 60
    share = space_values(transformed(rna))
    for factors, driven in (
        (dataset.obsm["shared_factors"], ~private),
        (rna.obsm["private_factors"], private),
    ):
        r = np.corrcoef(share.T, factors.T)[: rna.n_vars, rna.n_vars :]
        strongest = np.abs(r).max(axis=1)
        assert strongest[driven].mean() > 1.5 * strongest[~driven].mean()
    assert 0.5 < dataset["adt"].var["shared_driven"].mean() < 1


def test_what_is_shared_driven_is_told_to_the_solution_only(processes):
    parts = cut(processes)
    assert parts["solution"]["first"].var["shared_driven"].sum() == 10
    for part in ("train", "query"):
        assert not list(parts[part]["first"].var), part
        assert not list(parts[part]["first"].obsm), part


# --- own files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_type": "celltype"}, "cell_type: .*'celltype'; did you mean 'cell_type'"),
        ({"batch": "lane"}, "batch: .*'lane'; there are: cell_type, donor"),
        ({"groups": ["lane"]}, "groups: .*'lane'; there are: cell_type, donor"),
        ({"kinds": {"rna": "genes"}}, "kinds: 'genes' .*'rna'"),
        ({"kinds": {"dna": "rna"}}, "kinds: .*'dna'; there are rna, adt"),
        ({"values": {"adt": "lognorm"}}, "values: .*RNA only, but modality 'adt'"),
    ],
)
def test_own_files_refuses(options, message, tmp_path):
    rna = counts_of()
    rna.obs["cell_type"], rna.obs["donor"] = "a", "b"
    path = written(tmp_path, {"rna": rna, "adt": counts_of(n_vars=3, seed=1)})
    refused(message, tmp_path, path, **options)


def test_files_of_batches_that_do_not_fit_are_refused(tmp_path):
    """A cell is in two files of a modality, or the files of two modalities are in different orders."""
    files = {}
    for batch in "12":
        files[f"rna_{batch}"] = counts_of(cell=f"b{batch}-cell")
        files[f"adt_{batch}"] = counts_of(n_vars=3, cell=f"b{batch}-cell")
    written(tmp_path, files | {"again": files["rna_1"]})
    rna, adt = ["rna_1.h5ad", "rna_2.h5ad"], ["adt_1.h5ad", "adt_2.h5ad"]
    refused(
        "'rna' .*'b1-cell0' in rna_1.h5ad .*; put the sample",
        tmp_path,
        {"rna": [rna[0], "again.h5ad"], "adt": adt},
    )
    refused(
        "'b1-cell0' is in file 1 of .*'rna', but in 2 of 'adt'",
        tmp_path,
        {"rna": rna, "adt": adt[::-1]},
    )


def test_a_modality_without_a_partner_is_named(tmp_path):
    files = {"rna": counts_of(), "adt": counts_of(n_vars=3, seed=1)}
    files["atac"] = counts_of(n_vars=4, seed=2, cell="other")
    dataset, told = read(tmp_path, written(tmp_path, files))
    assert [text for text in told if "'atac'" in text and "atac: other0" in text]
    message = r"scenarios.s.kind: paired .*atac.* as_measured.*datasets.d.path"
    with pytest.raises(UserError, match=message):
        cut(dataset)


# --- bulk sets -----------------------------------------------------------------------------------------------------------


def test_cll_takes_the_patients_with_a_status_measured_in_every_modality(tmp_path):
    tables, status = standins.cll(tmp_path)
    dataset = cll.load(tmp_path)
    known = {name: cll.STATUS[state] for name, state in status.items() if state != "NA"}
    patients = [name for name in known if name not in standins.NOT_SEQUENCED]
    assert list(dataset.obs_names) == patients
    assert list(dataset.obs["cell_type"]) == [known[name] for name in patients]
    for modality, name in (("rna", "mRNA"), ("methylation", "Methylation")):
        whole = tables[name][list(dataset.obs_names)].dropna()
        assert list(dataset[modality].var_names) == list(whole.index)
        assert_allclose(
            dataset[modality].layers["continuous"].toarray(), whole.to_numpy().T, rtol=1e-6
        )
    assert len(whole) == len(tables["Methylation"]) - 1
    assert dataset.uns["cells_dropped"] == len(status) - dataset.n_obs
    # the status is no mutation that a method sees
    mutations = cll.load(tmp_path, modalities=["rna", "mutations"])["mutations"]
    assert list(mutations.var_names) == ["Mutations1", "Mutations2", "Mutations3"]
    assert set(np.unique(mutations.layers["continuous"].toarray())) == {0, 1}


@pytest.mark.parametrize(
    ("modalities", "parts"), [(("rna", "mirna"), 2), (("rna", "mirna", "protein"), 1)]
)
def test_breast_tcga_takes_the_tumours_measured_in_every_modality(tmp_path, modalities, parts):
    content = dict(list(standins.breast_tcga(tmp_path).items())[:parts])
    dataset = breast_tcga.load(tmp_path, modalities=modalities)
    for part, tables in content.items():
        of_part = dataset.obs[dataset.obs["batch"] == part.removeprefix("data.")]
        assert list(of_part["cell_type"]) == list(tables["subtype"])
    for modality in modalities:
        name = breast_tcga.MATRICES[modality]
        whole = pd.concat([tables[name] for tables in content.values()])
        assert list(dataset.obs_names) == list(whole.index)
        assert list(dataset[modality].var_names) == list(whole.columns)
        assert_allclose(
            dataset[modality].layers["continuous"].toarray(), whole.to_numpy(), rtol=1e-6
        )


def test_tcga_takes_the_samples_with_a_status_and_both_measurements(tmp_path):
    expression, shares, status = standins.tcga_brca(tmp_path)
    dataset = tcga_brca.load(tmp_path)
    known = {name for name, state in status.items() if state in ("Positive", "Negative")}
    names = [name for name in status if name in known & {*expression} & {*shares}]
    assert list(dataset.obs_names) == names
    assert list(dataset.obs["cell_type"]) == [status[name] for name in names]
    assert_allclose(
        dataset["rna"].layers["continuous"].toarray(), expression[names].to_numpy().T, rtol=1e-6
    )
    whole = shares[names].dropna()
    assert 0 < len(whole) < len(shares)
    assert list(dataset["methylation"].var_names) == list(whole.index)
    values = dataset["methylation"].layers["continuous"].toarray()
    assert_allclose(1 / (1 + np.exp(-values)), whole.clip(1e-3, 1 - 1e-3).to_numpy().T, rtol=1e-4)


# --- unpaired studies ----------------------------------------------------------------------------------------------------


def transcriptome(folder):
    cells = counts_of(n_obs=40, n_vars=30)
    cells.obs["type"] = ["a", "b"] * 20
    cells.write_h5ad(folder / "rna.h5ad")
    return cells


@pytest.mark.parametrize("overlap", [0.0, 0.2, 1.0])
def test_a_split_transcriptome_gives_every_molecule_to_one_side(tmp_path, overlap):
    cells = transcriptome(tmp_path)
    dataset = split_transcriptome.load(tmp_path, path="rna.h5ad", cell_type="type", overlap=overlap)
    sides = {name: set(side.var_names) for name, side in dataset.mod.items()}
    assert len(sides["left"] & sides["right"]) == round(30 * overlap)
    total = pd.DataFrame(0.0, index=cells.obs_names, columns=cells.var_names)
    for side in dataset.mod.values():
        total[side.var_names] += side.layers["counts"].toarray()
    assert_array_equal(total.to_numpy(), sparse.csr_matrix(cells.X).toarray())
    assert list(dataset.obs["cell_type"]) == list(cells.obs["type"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_type": "tpye"}, "no column 'tpye'"),
        ({"path": "lognorm.h5ad"}, "no counts"),
    ],
)
def test_a_transcriptome_that_cannot_be_split_is_refused(tmp_path, options, message):
    cells = transcriptome(tmp_path)
    cells.X = cells.X / 3
    cells.write_h5ad(tmp_path / "lognorm.h5ad")
    with pytest.raises(UserError, match=message):
        split_transcriptome.load(tmp_path, **{"path": "rna.h5ad"} | options)


def test_orthologues_are_as_alike_as_they_are_conserved():
    likeness, options = {}, {"cells": 600, "orthologues": 60, "own_genes": 20}
    for conserved in (0.0, 1.0):
        dataset = simulated_species.load(None, conserved=conserved, **options)
        human, mouse = (np.log1p(side.to_df("counts")) for side in dataset.mod.values())
        mouse.columns = mouse.columns.str.replace("mouse", "human")
        alike = human.corrwith(mouse)[lambda r: r.index.str.contains("orthologue")]
        likeness[conserved] = alike.mean()
    assert likeness[0.0] < 0.04 < 0.08 < likeness[1.0]
    assert dataset.obsm["shared_factors"].shape == (600, 6)


# --- coordinates of train cells ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sparse_peaks():
    return embedded.load("snareseq_small")["atac"][:600].copy()


def test_a_train_cell_has_the_coordinates_of_the_other_folds(sparse_peaks):
    """Dense, fold by fold: vectors of the others, rotated onto those of all."""
    fitted, shown = Preprocessing.fit_transform(sparse_peaks, features=800, components=6)
    x, loadings = shown.X.toarray().astype(float), shown.varm["LSI"].astype(float)
    fold = normalize.folds_of(sparse_peaks.obs_names)
    assert np.bincount(fold).tolist() == [60] * 10
    for number in (0, 7):
        vectors = np.linalg.svd(x[fold != number], full_matrices=False)[2][1:7].T
        left, _, right = np.linalg.svd(vectors.T @ loadings)
        assert_allclose(
            shown.obsm["X_lsi"][fold == number],
            x[fold == number] @ vectors @ left @ right,
            atol=2e-3,
        )
    assert_allclose(fitted.mean, shown.obsm["X_lsi"].mean(axis=0), atol=1e-4)
    assert_allclose(fitted.transform(sparse_peaks).obsm["X_lsi"], x @ loadings, atol=1e-3)


def test_folds_follow_names_and_not_the_order_of_cells(sparse_peaks):
    order = default_rng(0).permutation(sparse_peaks.n_obs)
    _, shown = Preprocessing.fit_transform(sparse_peaks, features=800, components=6)
    _, shuffled = Preprocessing.fit_transform(
        sparse_peaks[order].copy(), features=800, components=6
    )
    sign = np.sign(np.sum(shown.varm["LSI"] * shuffled.varm["LSI"], axis=0))
    assert_allclose(shuffled.obsm["X_lsi"] * sign, shown.obsm["X_lsi"][order], atol=1e-2)


def test_too_few_cells_for_lsi_are_refused():
    with pytest.raises(UserError, match="LSI needs .*, found 3 and 6"):
        Preprocessing.fit(modality_of(np.ones((3, 6), dtype=int), "atac"))


@pytest.mark.parametrize("transform", ["raw_svd", "residuals"])
def test_other_transforms_of_peaks_are_what_they_say(sparse_peaks, transform):
    _, shown = Preprocessing.fit_transform(
        sparse_peaks, features=500, components=4, transform=transform, out_of_fold=False
    )
    counts = sparse_peaks.layers["counts"].toarray().astype(float)
    expected = counts[:, sparse_peaks.var_names.get_indexer(shown.var_names)]
    if transform == "residuals":
        expected = expected / np.sqrt(
            np.outer(counts.sum(axis=1), expected.sum(axis=0) / counts.sum())
        )
    assert_allclose(shown.X.toarray(), expected, rtol=1e-5)
    u, singular, _ = np.linalg.svd(expected, full_matrices=False)
    assert_allclose(np.abs(shown.obsm["X_lsi"]), np.abs((u * singular)[:, 1:5]), atol=2e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_not_standardised_keep_their_units(kind):
    counts = default_rng(0).poisson(2.0, size=(40, 9))
    counts[0, 0] = 10_000
    train = modality_of(counts, kind)
    _, shown = Preprocessing.fit_transform(train, standardise=False)
    x = space_values(shown)
    assert_allclose(standardised_values(shown), x - x.mean(axis=0), atol=1e-3)
    assert np.all(shown.uns["std"] == 1)
