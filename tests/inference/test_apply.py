"""A saved model on later cells: equal to what the benchmark scored, or refused in one message."""

import mudata
import numpy as np
import pandas as pd
import pytest
import scanpy
from anndata import AnnData
from conftest import REPOSITORY
from mosaicbench_fits import fit_one
from mosaicbench_splits import cut_small, small_dataset
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.neighbors import kneighbors_graph

import mosaicbench
from mosaicbench import cli
from mosaicbench.commands import apply, integrate
from mosaicbench.data.assemble import joined
from mosaicbench.datasets import simulated
from mosaicbench.errors import NotApplicable, UserError
from mosaicbench.files.runs import latents_of, read_imputed, read_latents
from mosaicbench.files.splits import read_split
from mosaicbench.files.tables import read_table
from mosaicbench.inference.model import Model
from mosaicbench.methods.mmvae import MMVAE
from mosaicbench.scoring import scorer

KEPT = {"keep": True}


@pytest.fixture(scope="module")
def dataset():
    return small_dataset()


@pytest.fixture(scope="module")
def place(dataset, tmp_path_factory):
    """Return the folder of a split, two runs with models, and the query's cells as their owner has them."""
    folder = tmp_path_factory.mktemp("benchmark")
    split = cut_small(dataset, "paired", folder / "split")
    fit_one(split, folder / "mvae", "mvae", hyperparameters={"max_epochs": 3}, names=KEPT)
    fit_one(split, folder / "cca", "cca", names=KEPT)
    names = read_split(split / "solution.h5mu", "solution")["left"].obs["query_name"]
    # the order of rows matters to the last bit of a product
    queried = read_split(split / "query.h5mu", "query")["left"].obs_names
    own = dataset[names.index[pd.Index(names).get_indexer(queried)]].copy()
    own.write_h5mu(folder / "own.h5mu")
    own["left"].write_h5ad(folder / "left.h5ad")
    return folder, queried


@pytest.mark.parametrize("method", ["mvae", "cca"])
def test_the_queries_own_cells_are_embedded_as_the_benchmark_scored_them(
    place, tmp_path, method, capsys
):
    folder, queried = place
    apply.main(run=folder / method, cells=folder / "own.h5mu", output=tmp_path / "out.h5mu")
    out = mudata.read_h5mu(tmp_path / "out.h5mu")
    latents = read_latents(folder / method / "latents.h5ad")
    for source, cells in {"joint": out, "left": out["left"], "right": out["right"]}.items():
        names, z = latents_of(latents, source, "query")
        assert_array_equal(cells.obsm["X_mosaicbench"], z[names.get_indexer(queried)])
    told = capsys.readouterr().out
    count = len(Model.read(folder / method).kept.facts["modalities"]["left"]["features"])
    assert f"left: {count} of {count} features" in told
    assert out.obs["mosaicbench_agreement"].between(0, 1).all()
    assert (out.obs["mosaicbench_source"] == "joint").all()


def test_a_missing_modality_is_imputed_as_the_benchmark_scored_it(place, tmp_path):
    folder, queried = place
    apply.main(run=folder / "mvae", cells=folder / "left.h5ad", output=tmp_path / "out.h5mu")
    out = mudata.read_h5mu(tmp_path / "out.h5mu")
    scored = read_imputed(folder / "mvae" / "imputed.h5mu")["left->right"]
    assert_array_equal(out["left->right"].X, scored[queried].X)
    assert list(out["left->right"].var_names) == list(scored.var_names)
    in_memory = mosaicbench.apply(folder / "mvae", mudata.read_h5mu(folder / "own.h5mu")["left"])
    assert_array_equal(in_memory["left->right"].X, scored[queried].X)
    scanpy.pp.neighbors(out["left"], use_rep="X_mosaicbench")  # the next line of whoever reads it


def test_chunks_change_nothing_and_missing_features_are_counted(place, monkeypatch):
    folder, _ = place
    cells, model = mudata.read_h5mu(folder / "own.h5mu"), Model.read(folder / "mvae")
    z = model.apply(cells).obsm["X_mosaicbench"]
    monkeypatch.setattr("mosaicbench.inference.embedding.AT_ONCE", 7)
    assert_allclose(model.apply(cells).obsm["X_mosaicbench"], z, atol=1e-5)
    features = model.kept.facts["modalities"]["left"]["features"]
    fewer = model.apply(cells["left"][:, ~cells["left"].var_names.isin(features[:5])].copy())
    found = {"left": f"{len(features) - 5} of {len(features)}"}
    assert fewer.uns["mosaicbench"]["features_found"] == found
    assert np.isfinite(fewer["left"].obsm["X_mosaicbench"]).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (str.capitalize, "of another species"),
        (lambda name: f"peak-{name}", "0 of the .* of another panel"),
        (lambda name: f"ENSG{abs(hash(name)) % 10**11:011d}", "Ensembl ids"),
    ],
)
def test_features_of_another_kind_are_refused_in_one_message(place, name, message):
    folder, _ = place
    cells = mudata.read_h5mu(folder / "own.h5mu")["left"].copy()
    cells.var_names = list(map(name, cells.var_names))
    with pytest.raises(UserError, match=message):
        mosaicbench.apply(folder / "cca", cells)


def test_a_method_is_fitted_to_ones_own_cells_and_kept(dataset, tmp_path):
    options = {"kinds": {"left": "rna", "right": "rna"}, "values": "lognorm"}
    options |= {"cell_type": "cell_type", "keep": tmp_path / "model"}
    out = mosaicbench.integrate(dataset, method="pca_joint", **options)
    again = mosaicbench.apply(tmp_path / "model", dataset)
    assert_array_equal(again.obsm["X_mosaicbench"], out.obsm["X_mosaicbench"])
    same = (out.obs["mosaicbench_cell_type"].astype(str) == out.obs["cell_type"].astype(str)).mean()
    assert same > out.obs["cell_type"].value_counts(normalize=True).iloc[0]


@pytest.mark.parametrize(
    ("method", "message"),
    [("mvea", "mvae"), ("oracle", "cannot be saved"), ("dmmvae_base", "never paired")],
)
def test_methods_that_cannot_be_applied_are_refused(place, method, message):
    folder, _ = place
    with pytest.raises(UserError, match=message):
        mosaicbench.integrate(mudata.read_h5mu(folder / "own.h5mu"), method=method)


def foscttm_of(table):
    return table.set_index(["metric", "direction"])["value"]["foscttm", "left->right"]


def test_embeddings_made_elsewhere_are_scored(place, tmp_path, capsys):
    folder, _ = place
    cells = mosaicbench.apply(folder / "cca", mudata.read_h5mu(folder / "own.h5mu"))
    a, b = (cells[name].obsm["X_mosaicbench"] for name in ("left", "right"))
    expected = pytest.approx(scorer.ask("foscttm", latent_a=a, latent_b=b))
    assert foscttm_of(mosaicbench.score(cells)) == expected
    files = [str(tmp_path / f"{name}.h5ad") for name in ("left", "right")]
    AnnData(a, obs=cells["left"].obs[[]]).write_h5ad(files[0])
    AnnData(b[::-1], obs=cells["right"].obs[[]][::-1]).write_h5ad(files[1])
    words = ["score", "--latents", *files, "--truth", str(folder / "own.h5mu")]
    cli.main([*words, "--output", str(tmp_path / "scores.tsv")])
    assert foscttm_of(read_table(tmp_path / "scores.tsv")) == expected
    assert "computed elsewhere" in capsys.readouterr().err


def test_types_and_batches_are_those_of_the_columns_that_were_named():
    types, batches = np.repeat(["a", "b"], 20), np.tile(["x", "y"], 20)
    z = np.random.default_rng(0).standard_normal((40, 3)) + 3 * (types == "a")[:, None]
    mdata = mudata.MuData({"left": AnnData(z)})
    given = {"embeddings": {"left": z}, "groups": ["biology", "mixing"]}
    mdata.obs["cell_type"], mdata.obs["batch"] = types, batches
    expected = mosaicbench.score(mdata, **given)
    mdata.obs.columns = ["type", "lane"]
    found = mosaicbench.score(mdata, cell_type="type", batch="lane", **given)
    pd.testing.assert_frame_equal(found, expected)
    without = mosaicbench.score(mdata, batch="lane", **given)
    assert "nmi" in set(expected["metric"]) - set(without["metric"])
    with pytest.raises(UserError, match="cell_type: .*'typ'.*did you mean 'type'"):
        mosaicbench.score(mdata, cell_type="typ", **given)


def test_a_graph_is_scored_by_the_metrics_that_read_graphs(place, tmp_path, capsys):
    folder, _ = place
    cells = mosaicbench.apply(folder / "cca", mudata.read_h5mu(folder / "own.h5mu"))
    left = cells["left"]
    z, labels = left.obsm["X_mosaicbench"], cells.obs.loc[left.obs_names, "cell_type"]
    left.obsp["distances"] = kneighbors_graph(z, 14, mode="distance")
    table = mosaicbench.score(cells, graph="distances").set_index(["metric", "direction"])["value"]
    expected = scorer.ask("graph_connectivity", latent=z, labels=labels.to_numpy(dtype=object))
    assert table["graph_connectivity", "left"] == pytest.approx(expected)
    assert 0 < table["clisi", "left"] <= 1
    left.write_h5ad(tmp_path / "left.h5ad")
    files = ["--latents", str(tmp_path / "left.h5ad"), "--truth", str(folder / "own.h5mu")]
    cli.main(["score", *files, "--graph", "distances"])
    assert "clisi" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"'absent'.* there are distances"):
        cli.main(["score", *files, "--graph", "absent"])
    with pytest.raises(UserError, match=r"obsp\['absent'\]; run scanpy.pp.neighbors"):
        mosaicbench.score(cells, graph="absent")


def test_the_python_of_the_docs_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = simulated.load(None, cells=120, modalities=("rna", "adt"))
    block = (REPOSITORY / "docs/apply.md").read_text().split("```python\n")[1].split("```")[0]
    names = {"mdata": cells, "tomorrow": cells["rna"][:20].copy()}
    exec(block.replace('"mvae"', '"pca_joint"'), names)  # noqa: S102 - a method that is fitted in a moment
    assert {"X_mosaicbench"} <= set(names["out"].obsm) and "rna->adt" in names["more"].mod
    assert {"foscttm", "label_transfer_accuracy_paired"} & set(names["table"]["metric"])
    scanpy.pp.neighbors(names["more"]["rna"], use_rep="X_mosaicbench")


def test_expected_counts_accompany_log_normalised_values(own, tmp_path):
    cells, folder = own
    made = applied(folder, joined({"adt": cells["adt"].copy()}), tmp_path, "in a file")["adt->rna"]
    total = float(Model.read(folder).kept.split["rna/library_size"])
    assert_allclose(
        made.layers["counts"], np.maximum(np.expm1(made.X) * total / 1e4, 0), rtol=1e-4, atol=1e-6
    )


def test_normalised_values_are_refused_where_the_model_reads_counts(own):
    cells, folder = own
    rna = cells["rna"].copy()
    rna.layers["counts"] = rna.layers["counts"].astype(np.float32).log1p()
    with pytest.raises(UserError, match=r"the model reads raw counts; put them into layers"):
        mosaicbench.apply(folder, rna)


def test_where_one_modality_cannot_impute_another_is_tried(monkeypatch, tmp_path):
    cells = simulated.load(None, cells=120, modalities=("rna", "adt", "atac"))
    options = {"impute": False, "hyperparameters": {"max_epochs": 1}}
    mosaicbench.integrate(cells, method="mmvae", keep=tmp_path / "model", **options)
    impute = MMVAE.impute

    def refused(self, query, target):
        if next(iter(query.values)) == "rna":
            raise NotApplicable("not from RNA")
        return impute(self, query, target)

    monkeypatch.setattr(MMVAE, "impute", refused)
    two = {name: cells[name] for name in ("rna", "adt")}
    found = mosaicbench.apply(tmp_path / "model", two, impute=True)
    assert [name for name in found.mod if "->" in name] == ["adt->atac"]


def test_a_method_that_only_imputes_says_so_of_complete_cells(own):
    with pytest.raises(UserError, match="it only imputes, and no cell lacks one of its modalities"):
        mosaicbench.integrate(own[0], method="ridge")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return cells with counts, and the folder of a model of them."""
    folder = tmp_path_factory.mktemp("own") / "model"
    cells = simulated.load(None, cells=120, modalities=("rna", "adt"))
    mosaicbench.integrate(cells, method="pca_joint", keep=folder, impute=False)
    return cells, folder


def applied(folder, cells, place, where):
    """Return what a model gives of cells that are in memory, or in a file."""
    if where == "in memory":
        return mosaicbench.apply(folder, cells)
    cells.write_h5mu(place / "cells.h5mu")
    apply.main(run=folder, cells=place / "cells.h5mu", output=place / "out.h5mu")
    return mudata.read_h5mu(place / "out.h5mu")


@pytest.mark.parametrize("where", ["in a file", "in memory"])
def test_the_output_holds_all_that_the_cells_had_and_no_other_layer_is_read(own, tmp_path, where):
    cells, folder = own[0].copy(), own[1]
    before = mosaicbench.apply(folder, cells)["rna"].obsm["X_mosaicbench"]
    rna, near = cells["rna"], sparse.csr_matrix(np.triu(np.ones((120, 120))))
    rna.X = rna.layers.pop("counts")
    rna.layers["spliced"] = (rna.X > 1).astype(np.float32)
    rna.raw = rna.copy()
    rna.varm["PCs"] = np.ones((rna.n_vars, 2))
    cells.obsm["X_umap"] = np.arange(240.0).reshape(120, 2)
    for part in (rna, cells):
        part.uns["note"], part.obsp["near"] = "mine", near
    out = applied(folder, cells, tmp_path, where)
    assert out["rna"].raw.shape == rna.shape and "PCs" in out["rna"].varm
    assert out["rna"].uns["note"] == out.uns["note"] == "mine"
    assert_array_equal(out["rna"].obsm["X_mosaicbench"], before)
    assert (out["rna"].obsp["near"] != near).nnz == 0
    rows = cells.obs_names.get_indexer(out.obs_names)
    assert_array_equal(out.obsm["X_umap"], cells.obsm["X_umap"][rows])
    assert (out.obsp["near"] != near[rows][:, rows]).nnz == 0


@pytest.mark.parametrize("words", [["apply", "model"], ["integrate", "--method", "pca_joint"]])
def test_the_output_is_no_file_that_is_read(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="is the file of the cells; name another"):
        cli.main([*words, "cells.h5mu", "--output", str(tmp_path / "cells.h5mu")])
    with pytest.raises(SystemExit, match=r"name an \.h5mu file"):
        cli.main([*words, "cells.h5mu", "--output", "out.h5ad"])


@pytest.mark.parametrize("of_rna", [False, True])
def test_a_modality_that_the_model_does_not_know_is_copied_and_told(own, tmp_path, capsys, of_rna):
    cells, folder = own
    rna, before = cells["rna"].copy(), mosaicbench.apply(folder, cells)
    names = ["h1", rna.var_names[0] if of_rna else "h2"]
    hto = AnnData(np.ones((120, 2), np.float32), rna.obs[[]], pd.DataFrame(index=names))
    out = applied(folder, joined({"hto": hto, "rna": rna}), tmp_path, "in a file")
    assert "modality hto: the model does not know it" in capsys.readouterr().err
    assert_array_equal(out["rna"].obsm["X_mosaicbench"], before["rna"].obsm["X_mosaicbench"])
    assert (out["hto"].X == 1).all() and "X_mosaicbench" not in out["hto"].obsm


def test_features_of_one_name_are_told_apart_as_in_training(own, tmp_path, capsys):
    cells, before = own[0].copy(), mosaicbench.apply(own[1], own[0])
    names = cells["rna"].var_names.to_list()
    cells["rna"].var_names = [names[1], *names[1:]]
    cells.write_h5mu(tmp_path / "cells.h5mu")
    integrate.main(
        cells=[str(tmp_path / "cells.h5mu")],
        method="pca_joint",
        output=tmp_path / "out.h5mu",
        model=tmp_path / "model",
    )
    features = Model.read(tmp_path / "model").kept.facts["modalities"]["rna"]["features"]
    told = capsys.readouterr()
    assert {names[1], f"{names[1]}-1"} <= set(features)
    assert f"rna: {len(features)} of {len(features)} features" in told.out
    assert "modality rna: some features have the same name" in told.err
    after = mudata.read_h5mu(tmp_path / "out.h5mu")
    assert_array_equal(after["rna"].obsm["X_mosaicbench"], before["rna"].obsm["X_mosaicbench"])


def test_a_folder_that_cannot_be_made_is_refused_before_the_fit(own, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        mosaicbench.integrate(None, method="mvae", keep=tmp_path / "file")


def test_training_that_diverges_ends_in_one_message(own):
    fast = {"learning_rate": 1e30, "max_epochs": 5}
    with pytest.raises(UserError, match="diverged .*smaller learning_rate, or another seed"):
        mosaicbench.integrate(own[0], method="mvae", hyperparameters=fast)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hyperparameters": {"latent": -2}}, "hyperparameters.latent: .*at least 1"),
        ({"hyperparameters": {"latnet": 2}}, "hyperparameters: .*did you mean 'latent'"),
        ({"seed": -1}, "^seed: .*at least 0"),
    ],
)
def test_what_is_asked_of_a_fit_is_checked_before_cells_are_read(given, message):
    with pytest.raises(UserError, match=message):
        mosaicbench.integrate(None, method="contrastive_vae", **given)


@pytest.mark.parametrize(
    "of_peaks",
    [
        {},
        {"transform": "residuals"},
        {"transform": "raw_svd", "standardise": False, "fit_on": "all"},
    ],
)
def test_peaks_of_later_cells_are_transformed_as_those_of_the_query(tmp_path, of_peaks):
    dataset = simulated.load(
        None, modalities=("rna", "atac"), cells=120, n_rna=60, n_atac=90, fragments=200
    )
    split = cut_small(dataset, "paired", tmp_path / "split", preprocess={"atac": of_peaks})
    fit_one(split, tmp_path / "pca_joint", "pca_joint", names=KEPT)
    solution = read_split(split / "solution.h5mu", "solution")
    out = mosaicbench.apply(tmp_path / "pca_joint", dataset[solution.obs_names].copy())
    names, z = latents_of(read_latents(tmp_path / "pca_joint" / "latents.h5ad"), "atac", "query")
    expected = z[names.get_indexer(solution["atac"].obs["query_name"])]
    found = out["atac"][solution["atac"].obs_names].obsm["X_mosaicbench"]
    assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_file_per_modality_is_integrated_under_a_chosen_key_and_scored(own, tmp_path, capsys):
    cells, folder = own
    files, out = [], str(tmp_path / "out.h5mu")
    for name, part in cells.mod.items():
        part.write_h5ad(tmp_path / f"{name}.h5ad")
        files.append(f"{name}={tmp_path / name}.h5ad")
    rest = ["--method", "pca_joint", "--key-added", "X_mine", "--output", out]
    cli.main(["integrate", *files, *rest])
    assert f"wrote {out}: latents are obsm['X_mine'] of all cells" in capsys.readouterr().out
    found, whole = mudata.read_h5mu(out), mosaicbench.apply(folder, cells)
    for name in cells.mod:
        assert_array_equal(found[name].obsm["X_mine"], whole[name].obsm["X_mosaicbench"])
        assert "X_mosaicbench" not in found[name].obsm
    cli.main(["score", "--latents", out, "--embedding", "X_mine"])
    expected = mosaicbench.score(found, embeddings="X_mine")
    foscttm = expected.query("metric == 'foscttm'")["value"].iloc[0]
    assert f"{foscttm:.6f}"[:7] in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no modality has obsm"):
        cli.main(["score", "--latents", out])
    with pytest.raises(SystemExit, match="MODALITY=FILE.h5ad of each"):
        cli.main(["integrate", files[0], "other.h5ad", *rest])
