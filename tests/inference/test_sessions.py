"""What people have in their sessions, in the Python API and `score --latents`: read rightly, or refused in one sentence."""

import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mosaicbench as mb
from mosaicbench import cli
from mosaicbench.data import embedded
from mosaicbench.errors import DataWarning, UserError
from mosaicbench.inference.model import Model

EMBEDDING = "X_mosaicbench"


@pytest.fixture(scope="module")
def parts():
    """Return modality -> 150 cells with raw counts in X, and their types and donors."""
    whole = embedded.load("bmmc_cite_small")[:150].copy()
    found = {}
    for name, cells in whole.mod.items():
        obs = whole.obs[["cell_type", "batch"]].astype(str).rename(columns={"batch": "donor"})
        found[name] = anndata.AnnData(cells.layers["counts"].copy(), obs=obs, var=cells.var[[]])
    return found


def copied(parts):
    return {name: cells.copy() for name, cells in parts.items()}


def fitted(cells, **options):
    return mb.integrate(cells, method="pca_joint", **options)


@pytest.fixture(scope="module")
def expected(parts, tmp_path_factory):
    """Return the output for a MuData as it is usually given, and the folder of its model."""
    folder = tmp_path_factory.mktemp("kept") / "model"
    return fitted(mudata.MuData(copied(parts)), cell_type="cell_type", keep=folder), folder


def test_views_and_dicts_give_what_a_mudata_gives(parts, expected):
    whole = mudata.MuData(copied(parts))
    more = {name: anndata.concat([cells, renamed(cells)]) for name, cells in parts.items()}
    rows = expected[0].obs_names
    for given in (parts, whole[:], mudata.MuData(more)[:150]):
        found = fitted(given, cell_type="cell_type")
        assert_array_equal(found[rows].obsm[EMBEDDING], expected[0].obsm[EMBEDDING])
        assert found.obs["mosaicbench_cell_type"].equals(expected[0].obs["mosaicbench_cell_type"])
    some = mb.apply(expected[1], {name: cells[:40] for name, cells in parts.items()})
    assert_allclose(some.obsm[EMBEDDING], expected[0][some.obs_names].obsm[EMBEDDING], atol=1e-5)


def renamed(cells):
    cells = cells.copy()
    cells.obs_names = "other-" + cells.obs_names
    return cells


def test_what_no_file_can_hold_does_not_hinder_a_fit(parts, expected):
    given = copied(parts)
    obs = given["rna"].obs
    obs["interval"] = pd.cut(np.arange(150.0), 3)
    obs["mixed"], obs["day"] = [1, "a"] * 75, pd.date_range("2020", periods=150)
    obs[7] = obs["mixed"]
    obs.index.name = "cell_type"
    given["rna"].uns["anything"] = object()
    found = fitted(given, cell_type="interval")
    assert_array_equal(found.obsm[EMBEDDING], expected[0].obsm[EMBEDDING])
    assert set(found.obs["mosaicbench_cell_type"]) <= set(obs["interval"].astype(str))
    assert (parts["rna"].X != given["rna"].X).nnz == 0 and "anything" in given["rna"].uns


def test_imputed_modalities_of_an_output_are_not_taken_as_measured(parts):
    given = {"rna": parts["rna"][:100], "adt": parts["adt"][50:]}
    options = {"method": "vae_poe", "hyperparameters": {"max_epochs": 1}}
    first = mb.integrate(given, **options)
    assert "rna->adt" in first.mod
    again = mb.integrate(first, **options)
    assert_array_equal(again["rna"].obsm[EMBEDDING], first["rna"].obsm[EMBEDDING])


def test_cells_that_are_still_in_a_file_are_read_and_what_is_no_number_is_named(
    parts, expected, tmp_path
):
    parts["rna"].copy().write_h5ad(tmp_path / "rna.h5ad")
    backed = anndata.read_h5ad(tmp_path / "rna.h5ad", backed="r")
    found = fitted({"rna": backed, "adt": parts["adt"]}, cell_type="cell_type")
    assert_array_equal(found.obsm[EMBEDDING], expected[0].obsm[EMBEDDING])
    given = copied(parts)
    given["rna"].X = given["rna"].X.toarray().astype(object)
    with pytest.raises(UserError, match="numbers, such as float32"):
        fitted(given)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (lambda parts: parts["rna"], "cells: .* found AnnData; give mudata.MuData"),
        (lambda parts: {"rna": parts["rna"].to_df()}, "cells: .* found dict"),
        (lambda parts: "cells.h5mu", "cells: .* read the file with mudata.read_h5mu"),
        (lambda parts: {"rna": parts["rna"]}, "path: .* at least two modalities, found rna"),
    ],
)
def test_other_kinds_of_cells_are_named(parts, cells, message):
    with pytest.raises(UserError, match=message):
        fitted(cells(parts))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"celltype": "cell_type"}, "did you mean 'cell_type'"),
        ({"kinds": {"rna": "protein"}}, "^kinds.rna: "),
        ({"values": "raw"}, "^values: "),
        ({"hyperparameters": ["latent"]}, "^hyperparameters: "),
        ({"keep": 5}, "^keep: "),
        ({"seed": "one"}, "^seed: "),
    ],
)
def test_a_wrong_argument_is_refused_by_its_name(parts, options, key):
    with pytest.raises(UserError, match=key):
        fitted(parts, **options)


def test_an_anndata_of_both_modalities_is_split_by_its_feature_types(parts, expected, tmp_path):
    together = anndata.concat(copied(parts), axis=1)
    types = ["Gene Expression"] * parts["rna"].n_vars + ["Antibody Capture"] * parts["adt"].n_vars
    together.var["feature_types"] = types
    together.write_h5ad(tmp_path / "both.h5ad")
    Model.read(expected[1]).apply_to_file(tmp_path / "both.h5ad", tmp_path / "out.h5mu")
    for found in (
        fitted(together),
        mb.apply(expected[1], together),
        mudata.read_h5mu(tmp_path / "out.h5mu"),
    ):
        assert found["adt"].n_vars == parts["adt"].n_vars
        rows = found.obs_names
        assert_allclose(found.obsm[EMBEDDING], expected[0][rows].obsm[EMBEDDING], atol=1e-5)


def test_two_modalities_in_one_table_are_refused_with_what_splits_them(parts, expected):
    """The proteins' counts would be part of a cell's total RNA."""
    together = anndata.concat(copied(parts), axis=1)
    adt = parts["adt"].n_vars
    with pytest.raises(UserError, match=f"{adt} of the {adt} of its 'adt'.*feature_types"):
        mb.apply(expected[1], together)
    some = parts["rna"].copy()  # half of the proteins are called as genes are
    some.var_names = [*parts["adt"].var_names[:70], *some.var_names[70:]]
    assert "adt" not in mb.apply(expected[1], some).mod


def test_ids_of_genes_are_compared_with_genes_and_the_column_of_symbols_is_named(parts, expected):
    cells = parts["rna"].copy()
    cells.var["symbol"] = cells.var_names
    cells.var_names = [f"ENSG{number:011d}" for number in range(cells.n_vars)]
    with pytest.raises(UserError, match="of 'rna'.*var\\['symbol'\\] has .* var_names"):
        mb.apply(expected[1], cells)
    cells.var_names = pd.Index(cells.var["symbol"].astype(str))
    found = mb.apply(expected[1], cells)
    alone = mb.apply(expected[1], parts["rna"])
    assert_array_equal(found["rna"].obsm[EMBEDDING], alone["rna"].obsm[EMBEDDING])


def values(table):
    return table.set_index(["metric", "direction"])["value"]


def test_embeddings_are_taken_by_the_names_of_a_table_or_by_the_order_of_an_array(parts, expected):
    latents = {name: expected[0][name].obsm[EMBEDDING] for name in parts}
    wanted = values(mb.score(parts, cell_type="cell_type", embeddings=latents))
    assert wanted["foscttm", "rna->adt"] < 0.3
    assert wanted["label_transfer_accuracy_without_partner", "rna->adt"] > 0.3
    lists = {name: z.tolist() for name, z in latents.items()}
    table = pd.DataFrame(latents["adt"], index=expected[0]["adt"].obs_names)
    shuffled = latents | {"adt": table.sample(frac=1, random_state=0)}
    for given in (shuffled, lists):  # types are found where only a modality has them
        pd.testing.assert_series_equal(values(mb.score(parts, embeddings=given)), wanted)


def test_cells_that_an_embedding_lacks_are_counted(parts, expected, tmp_path):
    latents = {name: expected[0][name].obsm[EMBEDDING] for name in parts}
    table = pd.DataFrame(latents["adt"], index=parts["adt"].obs_names)[:110]
    with pytest.warns(DataWarning, match=r"110 of 150 cells are scored.*adt lacks 40"):
        found = mb.score(parts, embeddings=latents | {"adt": table})
    fewer = {name: cells[:110] for name, cells in parts.items()}
    wanted = mb.score(fewer, embeddings={name: z[:110] for name, z in latents.items()})
    pd.testing.assert_frame_equal(found, wanted)

    truth, adt = str(tmp_path / "truth.h5ad"), str(tmp_path / "adt.h5ad")
    parts["rna"].copy().write_h5ad(truth)
    anndata.AnnData(table).write_h5ad(adt)
    anndata.AnnData(latents["rna"], obs=parts["rna"].obs).write_h5ad(tmp_path / "rna.h5ad")
    files = ["--latents", str(tmp_path / "rna.h5ad"), adt, "--truth", truth]
    with pytest.warns(DataWarning, match="110 of 150 cells") as told:
        cli.main(["score", *files, "--output", str(tmp_path / "s.tsv")])
    shown = warnings.formatwarning(told[0].message, DataWarning, "place.py", 1)
    assert shown == f"warning: {told[0].message}\n"
    written = pd.read_csv(tmp_path / "s.tsv", sep="\t")
    pd.testing.assert_series_equal(values(written), values(wanted), check_dtype=False)
    with pytest.raises(SystemExit, match="cell_type: .*'celltyp'.*'cell_type'"):
        cli.main(["score", *files, "--cell-type", "celltyp"])


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ("X_pca", r"embeddings: no modality has obsm\['X_pca'\]"),
        (np.ones((150, 2)), "a key of obsm, or coordinates by modality .* found ndarray"),
        ({"rma": np.ones((150, 2))}, "'rma'; did you mean 'rna'"),
        ({"rna": [["a", "b"]] * 150}, "'rna': expected numbers"),
        ({"rna": pd.DataFrame(np.ones((150, 2)))}, "only 0 cells .* same cell names"),
        ({"rna": np.ones((3, 2))}, "'rna': expected .* for 150 cells"),
        ({"rna": np.full((150, 2), np.nan)}, "'rna'.* NaN or infinite"),
        ({"rna": np.ones((150, 2)), "adt": np.ones((150, 3))}, "as many dimensions"),
    ],
)
def test_embeddings_that_are_none_are_refused_by_their_name(parts, embeddings, message):
    with pytest.raises(UserError, match=message):
        mb.score(parts, embeddings=embeddings)
