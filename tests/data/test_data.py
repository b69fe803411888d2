"""Datasets: what each file returns, the preprocessing it gets, and the mistakes a user can make with own files."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import standins
from mosaicbench_splits import cut, prepared
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from mosaicbench.data import embedded, normalize
from mosaicbench.data.checks import DataWarning
from mosaicbench.data.normalize import KINDS, Preprocessing, tf_idf_from_lsi
from mosaicbench.datasets import (
    breast_tcga,
    cll,
    own_files,
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

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cells():
    return simulated.load(None, seed=3)


def zeros(modality):
    return 1 - modality.layers["counts"].count_nonzero() / (modality.n_obs * modality.n_vars)


def counts_of(n_obs=12, n_vars=5, seed=0, names=None):
    """Return a small AnnData of counts without an all-zero feature."""
    counts = default_rng(seed).poisson(3.0, size=(n_obs, n_vars)) + 1
    names = [f"cell{i}" for i in range(n_obs)] if names is None else names
    return anndata.AnnData(
        sparse.csr_matrix(counts, dtype=np.float32), obs=pd.DataFrame(index=names)
    )


def modality_of(matrix, kind, scale=None):
    """Return one modality of a dataset that measures `matrix`."""
    scale = VALUES[kind][0] if scale is None else scale
    layers = {scale: sparse.csr_matrix(matrix, dtype=np.float32)}
    return anndata.AnnData(
        obs=pd.DataFrame(index=[f"cell{i}" for i in range(matrix.shape[0])]),
        var=pd.DataFrame(index=[f"feature{j}" for j in range(matrix.shape[1])]),
        layers=layers,
        uns={"kind": kind, "values": scale},
    )


@pytest.fixture
def written(tmp_path):
    """Return a function that writes modality -> AnnData and returns modality -> path."""

    def write(modalities):
        paths = {modality: tmp_path / f"{modality}.h5ad" for modality in modalities}
        for modality, own in modalities.items():
            own.write_h5ad(paths[modality])
        return {modality: str(path) for modality, path in paths.items()}

    return write


# --- the embedded sets ---------------------------------------------------------------------------------------------------


def test_split_transcriptome_halves_are_disjoint_and_alike():
    dataset = pbmc68k_split.load(None)
    left, right = dataset["left"], dataset["right"]
    assert not set(left.var_names) & set(right.var_names)
    assert left.n_vars + right.n_vars == 765
    means = [half.layers["lognorm"].mean() for half in (left, right)]
    assert abs(means[0] - means[1]) < 0.05 * max(means)
    assert {half.uns["values"] for half in (left, right)} == {"lognorm"}
    assert (dataset.n_obs, dataset.obs["cell_type"].nunique()) == (700, 10)


def r_squared(features, factors):
    """Return the mean R2, on the second half of the cells, of factors predicted by ridge regression on the first half."""
    half = len(features) // 2
    x = (features - features[:half].mean(axis=0)) / (features[:half].std(axis=0) + 1e-9)
    gram = x[:half].T @ x[:half] + 50 * np.eye(x.shape[1])
    residual = factors[half:] - x[half:] @ np.linalg.solve(gram, x[:half].T @ factors[:half])
    return float(np.mean(1 - residual.var(axis=0) / factors[half:].var(axis=0)))


def test_private_factors_drive_their_own_modality_and_no_other(cells):
    values = {m: space_values(Preprocessing.fit(cells[m]).transform(cells[m])) for m in cells.mod}
    for modality in cells.mod:
        for other in cells.mod:
            found = r_squared(
                values[modality], np.asarray(cells[other].obsm["private_factors"], dtype=np.float64)
            )
            assert found > 0.4 if other == modality else found < 0.05, (modality, other, found)
        assert (
            r_squared(values[modality], np.asarray(cells.obsm["shared_factors"], dtype=np.float64))
            > 0.4
        ), modality


def test_simulated_batches_have_an_effect(cells):
    x = space_values(Preprocessing.fit(cells["adt"]).transform(cells["adt"]))
    batch = np.asarray(cells.obs["batch"])
    first = batch == np.unique(batch)[0]
    rng = default_rng(0)

    def gap(mask):
        return np.abs(x[mask].mean(axis=0) - x[~mask].mean(axis=0)).mean()

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
    chosen = Preprocessing.fit(train, features=20).transform(train).var_names
    assert len(chosen) == 20
    assert len(set(chosen) & {f"feature{j}" for j in noisy}) >= 16


@pytest.mark.parametrize("dataset", ["bmmc_cite_small", "teaseq_small", "snareseq_small"])
def test_variable_genes_of_few_values_and_of_many_are_the_same(dataset, monkeypatch):
    train = embedded.load(dataset)["rna"][:400]
    chosen = {}
    for most in (0, normalize.FEW_COUNTS):
        monkeypatch.setattr(normalize, "FEW_COUNTS", most)
        chosen[most] = list(Preprocessing.fit(train, features=150).transform(train).var_names)
    assert len(chosen[0]) == 150
    assert chosen[0] == chosen[normalize.FEW_COUNTS]


@pytest.mark.parametrize("seed", range(5))
def test_of_equally_variable_genes_the_first_are_chosen(seed):
    rng = default_rng(seed)
    genes = rng.poisson(np.exp(rng.normal(0.5, 1.0, size=20)), size=(600, 20)).T
    counts = np.stack([rng.permutation(gene) for gene in genes for _ in range(8)], axis=1)
    train = modality_of(counts, "rna")
    chosen = Preprocessing.fit(train, features=83).transform(train).var_names
    chosen = np.isin(np.arange(160), [int(name.removeprefix("feature")) for name in chosen])
    sizes = chosen.reshape(20, 8).sum(axis=1)
    assert sorted(sizes) == [*[0] * 9, 3, *[8] * 10]
    assert chosen.reshape(20, 8)[sizes == 3].tolist() == [[True] * 3 + [False] * 5]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_without_counts_stays_finite(kind):
    counts = default_rng(0).poisson(2.0, size=(20, 9))
    counts[4] = 0
    train = modality_of(counts, kind)
    assert np.all(np.isfinite(standardised_values(Preprocessing.fit(train).transform(train))))


def test_the_way_back_from_lognorm_gives_the_counts():
    counts = default_rng(0).poisson(2.0, size=(40, 9)) + np.arange(9)
    train = modality_of(counts, "rna")
    transformed = Preprocessing.fit(train).transform(train)
    back = unstandardised_values(
        transformed, (space_values(transformed) - transformed.uns["mean"]) / transformed.uns["std"]
    )
    found = normalize.counts_from_lognorm(back, transformed.obs["total"])
    assert_allclose(found, transformed.layers["counts"].toarray(), atol=1e-2)


def test_the_way_back_from_lsi_gives_the_tf_idf_at_average_depth(cells):
    """With all components only the depth of the single cell is lost, so that the means over cells come back exactly."""
    atac = cells["atac"][:, :60].copy()
    transformed = Preprocessing.fit(atac, components=58).transform(atac)
    tf_idf, lsi = transformed.X.toarray(), space_values(transformed)
    back = tf_idf_from_lsi(transformed, lsi)
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
    every, some = Preprocessing.fit(train), Preprocessing.fit(train, features=2)
    assert list(every.transform(train).var_names) == [f"feature{j}" for j in (0, 1, 3, 4, 5)]
    assert list(some.transform(train).var_names) == ["feature1", "feature5"]
    transformed = every.transform(train)
    assert_allclose(space_values(transformed), matrix[:, [0, 1, 3, 4, 5]], rtol=1e-6)
    assert_allclose(standardised_values(transformed).std(axis=0), 1, rtol=1e-4)
    assert transformed.uns["normalization"] == "continuous" and "counts" not in transformed.layers


@pytest.mark.parametrize(
    ("kind", "scale"), [("continuous", "counts"), ("rna", "continuous"), ("adt", "lognorm")]
)
def test_values_that_a_kind_does_not_have_are_refused(kind, scale):
    with pytest.raises(UserError, match=f"values: kind '{kind}' needs .*, found {scale}"):
        Preprocessing.fit(modality_of(np.ones((5, 3)), kind, scale))


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
        x, of_shared = (
            modality.layers["continuous"].toarray(),
            modality.var["shared_driven"].to_numpy(),
        )
        own = smoothness(x, modality.obsm["private_factors"])
        shared = smoothness(x, processes.obsm["shared_factors"])
        assert min(shared[of_shared].min(), own[~of_shared].min()) > 0.8
        assert max(shared[~of_shared].max(), own[of_shared].max()) < 0.5
        assert of_shared.sum() == 10
        assert_allclose(x.var(axis=0), 1 + 0.15**2, rtol=0.08)


def test_more_private_features_change_nothing_in_those_that_were_there(processes):
    more = synthetic_gp.load(None, cells=300, private_features={"first": 40, "second": 5}, seed=2)
    first = processes["first"].layers["continuous"].toarray()
    assert_array_equal(more["first"].layers["continuous"].toarray()[:, :30], first)
    assert_array_equal(
        more["second"].layers["continuous"].toarray(),
        processes["second"].layers["continuous"].toarray(),
    )
    assert_array_equal(more.obs["cell_type"] == "positive", more.obsm["shared_factors"][:, 0] > 0)


def test_private_features_of_counts_follow_private_factors_alone():
    dataset = simulated.load(
        None, cells=400, modalities=["rna", "adt"], n_rna=40, private_features={"rna": 60}, seed=1
    )
    rna, adt = dataset["rna"], dataset["adt"]
    names = np.array([int(name.split("-")[1]) for name in rna.var_names])
    assert set(names[rna.var["shared_driven"]]) <= set(range(40))
    assert 40 < (names >= 40).sum() <= 60
    share = rna.layers["counts"].toarray()
    share = np.log1p(share / share.sum(1, keepdims=True) * 1e4)
    for factors, driven in (
        (dataset.obsm["shared_factors"], names < 40),
        (rna.obsm["private_factors"], names >= 40),
    ):
        r = np.abs(np.corrcoef(share.T, factors.T)[: len(names), len(names) :]).max(axis=1)
        assert r[driven].mean() > 1.5 * r[~driven].mean()
    assert 0.5 < adt.var["shared_driven"].mean() < 1


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
        (
            {"cell_type": "celltype"},
            "cell_type: no obs column 'celltype'; did you mean 'cell_type'",
        ),
        ({"batch": "lane"}, "batch: no obs column 'lane'; there are: cell_type, donor"),
        ({"groups": ["lane"]}, "groups: no obs column 'lane'; there are: cell_type, donor"),
        ({"kinds": {"rna": "genes"}}, "kinds: 'genes' is not the kind of modality 'rna'"),
        ({"kinds": {"dna": "rna"}}, "kinds: no modality 'dna'; there are rna, adt"),
        ({"values": "lognorm"}, "holds no lognorm"),
        ({"values": {"adt": "lognorm"}}, "lognorm is possible for RNA only, but modality 'adt'"),
    ],
)
def test_own_files_refuses(options, message, written):
    rna = counts_of()
    rna.obs["cell_type"], rna.obs["donor"] = "a", "b"
    with pytest.raises(UserError, match=message):
        own_files.load(
            None, path=written({"rna": rna, "adt": counts_of(n_vars=3, seed=1)}), **options
        )


def batches_of(tmp_path):
    """Return the path of two modalities with two files each, of 12 cells per file."""
    path = {}
    for modality, features in (("rna", 5), ("adt", 3)):
        path[modality] = []
        for batch in (1, 2):
            names = [f"b{batch}-cell{i}" for i in range(12)]
            cells = counts_of(n_vars=features, seed=10 * batch + features, names=names)
            cells.write_h5ad(tmp_path / f"{modality}_{batch}.h5ad")
            path[modality].append(str(tmp_path / f"{modality}_{batch}.h5ad"))
    return path


def test_files_of_batches_that_do_not_fit_are_refused(tmp_path):
    twice = batches_of(tmp_path)
    anndata.read_h5ad(twice["rna"][0]).write_h5ad(twice["rna"][1])
    with pytest.raises(
        UserError,
        match="modality 'rna' has a cell 'b1-cell0' in .*rna_1.h5ad and in .*rna_2.h5ad; put the sample",
    ):
        own_files.load(None, path=twice)
    path = batches_of(tmp_path)
    with pytest.raises(
        UserError, match="cell 'b1-cell0' is in file 1 of modality 'rna', but in 2 of 'adt'"
    ):
        own_files.load(None, path=path | {"adt": path["adt"][::-1]})


def test_a_modality_without_a_partner_is_named(written):
    peaks = counts_of(n_vars=4, seed=2, names=[f"other{i}" for i in range(12)])
    files = {"rna": counts_of(), "adt": counts_of(n_vars=3, seed=1), "atac": peaks}
    with pytest.warns(
        DataWarning, match="modality 'atac' shares no cell with any other modality .*atac: other0"
    ):
        dataset = own_files.load(None, path=written(files))
    refused = r"scenarios.s.kind: paired .*'d' has none .*atac.* as_measured.*datasets.d.path"
    with pytest.raises(UserError, match=refused):
        cut(dataset)
    peaks.obs_names = [f"cell{i}-1" for i in range(12)]
    with pytest.raises(
        UserError,
        match=r"'rna' .*'atac' .'cell0-1', ….*say ignored_in_cell_names: .ending",
    ):
        own_files.load(None, path=written(files))


def test_a_file_or_folder_without_its_content_is_named(tmp_path):
    with pytest.raises(UserError, match="absent.h5mu: no such file"):
        own_files.load(tmp_path, path="absent.h5mu")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="folder has no matrix.mtx or matrix.mtx.gz"):
        own_files.load(tmp_path, path="folder")


# --- bulk sets -----------------------------------------------------------------------------------------------------------


def test_cll_takes_the_patients_with_a_status_measured_in_every_modality(tmp_path):
    tables, status = standins.cll(tmp_path)
    dataset = cll.load(tmp_path)
    patients = [
        name
        for name in tables["Methylation"]
        if status[name] != "NA" and name not in standins.NOT_SEQUENCED
    ]
    assert list(dataset.obs_names) == [name for name in status if name in patients]
    assert list(dataset.obs["cell_type"]) == [
        cll.STATUS[status[name]] for name in dataset.obs_names
    ]
    for modality, name in (("rna", "mRNA"), ("methylation", "Methylation")):
        whole = tables[name][list(dataset.obs_names)].dropna()
        assert list(dataset[modality].var_names) == list(whole.index)
        assert_allclose(
            dataset[modality].layers["continuous"].toarray(), whole.to_numpy().T, rtol=1e-6
        )
    assert len(whole) == len(tables["Methylation"]) - 1
    assert dataset.uns["cells_dropped"] == len(status) - dataset.n_obs


def test_the_status_of_cll_is_not_among_the_mutations_that_a_method_sees(tmp_path):
    standins.cll(tmp_path)
    mutations = cll.load(tmp_path, modalities=["rna", "mutations"])["mutations"]
    assert list(mutations.var_names) == ["Mutations1", "Mutations2", "Mutations3"]
    assert set(np.unique(mutations.layers["continuous"].toarray())) == {0, 1}


@pytest.mark.parametrize(
    ("modalities", "parts"), [(("rna", "mirna"), 2), (("rna", "mirna", "protein"), 1)]
)
def test_breast_tcga_takes_the_tumours_measured_in_every_modality(tmp_path, modalities, parts):
    content = list(standins.breast_tcga(tmp_path).items())[:parts]
    dataset = breast_tcga.load(tmp_path, modalities=modalities)
    assert list(dataset.obs["cell_type"]) == [
        subtype for _, tables in content for subtype in tables["subtype"]
    ]
    assert list(dataset.obs["batch"]) == [
        part[5:] for part, tables in content for _ in tables["subtype"]
    ]
    for modality in modalities:
        whole = pd.concat([tables[breast_tcga.MATRICES[modality]] for _, tables in content])
        assert list(dataset.obs_names) == list(whole.index)
        assert list(dataset[modality].var_names) == list(whole.columns)
        assert_allclose(
            dataset[modality].layers["continuous"].toarray(), whole.to_numpy(), rtol=1e-6
        )


def test_tcga_takes_the_samples_with_a_status_and_both_measurements(tmp_path):
    expression, shares, status = standins.tcga_brca(tmp_path)
    dataset = tcga_brca.load(tmp_path)
    names = [
        n
        for n, state in status.items()
        if state in ("Positive", "Negative") and n in expression and n in shares
    ]
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
    cells.var_names = [f"gene{i}" for i in range(30)]
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
    likeness = {}
    for conserved in (0.0, 1.0):
        dataset = simulated_species.load(
            None, cells=600, orthologues=60, own_genes=20, conserved=conserved
        )
        log = {m: np.log1p(side.layers["counts"].toarray()) for m, side in dataset.mod.items()}
        pairs = [
            (
                list(dataset["human"].var_names).index(name),
                list(dataset["mouse"].var_names).index(other),
            )
            for name in dataset["human"].var_names
            if "orthologue" in name
            and (other := name.replace("human", "mouse")) in dataset["mouse"].var_names
        ]
        likeness[conserved] = np.mean(
            [np.corrcoef(log["human"][:, i], log["mouse"][:, j])[0, 1] for i, j in pairs]
        )
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
    with pytest.raises(
        UserError, match="LSI needs at least 4 train cells and 3 open peaks, found 3 and 6"
    ):
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
