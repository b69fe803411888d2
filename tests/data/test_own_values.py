"""What the values of own files are: found in any layer, rounded on request, or refused with file, cells and the key that helps."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose
from own_cells import equal, left_out, own_cells, read, refused, written
from scipy import sparse

SUM = 1e4
PATH = {"rna": "rna.h5ad", "adt": "adt.h5ad"}


@pytest.fixture(scope="module")
def parts():
    return own_cells()


def changed(cells, values, **layers):
    cells = cells.copy()
    cells.X = sparse.csr_matrix(np.asarray(values, dtype=np.float64))
    for name, layer in layers.items():
        cells.layers[name] = layer
    return cells


def normalised(cells, total=SUM):
    counts = cells.X.toarray()
    return total * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def corrected(cells):
    share = np.random.default_rng(1).uniform(0.85, 0.99, cells.shape)
    return cells.X.toarray() * share


def scaled(cells):
    logs = np.log1p(normalised(cells))
    return (logs - logs.mean(axis=0)) / (logs.std(axis=0) + 1e-8)


def centred(cells):
    logs = np.log1p(cells.X.toarray())
    return logs - logs.mean(axis=1, keepdims=True)


def refusal(folder, parts, **options):
    return refused("", folder, written(folder, parts), **options)


# --- where the values are ------------------------------------------------------------------------


def test_the_dataset_says_from_which_file_and_matrix_values_are_and_what_was_left_out(
    parts, tmp_path
):
    rna = changed(parts["rna"], np.log1p(normalised(parts["rna"])), counts=parts["rna"].X)
    silent = sparse.csr_matrix((len(rna), 2), dtype=np.float32)
    adt = parts["adt"][:, :-2].copy()
    adt.raw = parts["adt"].copy()
    adt.raw.X[:, -2:] = silent
    adt.X = adt.X * 0.5
    dataset, _ = read(tmp_path, written(tmp_path, {"rna": rna, "adt": adt}))
    assert dataset["rna"].uns["source"] == 'rna.h5ad, layers["counts"]'
    assert dataset["adt"].uns["source"] == "adt.h5ad, raw.X"
    assert left_out(dataset, "adt") == {"seen in no cell": 2} and left_out(dataset, "rna") == {}


def test_counts_in_a_layer_of_another_name_are_named_and_the_key_takes_them(parts, tmp_path):
    rna = changed(parts["rna"], scaled(parts["rna"]), raw_counts=parts["rna"].X)
    remedy = "rna.h5ad.* layers: {rna: raw_counts}"
    assert re.search(remedy, refusal(tmp_path, parts | {"rna": rna}))
    dataset, _ = read(tmp_path, PATH, layers={"rna": "raw_counts"})
    assert equal(dataset, "rna", parts["rna"])
    assert dataset["rna"].uns["source"] == 'rna.h5ad, layers["raw_counts"]'
    for other in ("raw_count", "X"):
        refused(rf"{other}.* {remedy}", tmp_path, PATH, layers={"rna": other})


@pytest.mark.parametrize("dtype", ["float16", "bool", "uint64", ">f4"])
def test_counts_of_any_number_type_are_read(parts, tmp_path, dtype):
    adt = parts["adt"].copy()
    adt.X = np.minimum(adt.X.toarray(), 1 if dtype == "bool" else 100).astype(dtype)
    dataset, _ = read(tmp_path, written(tmp_path, parts | {"adt": adt}))
    found = dataset["adt"].layers["counts"].toarray()
    assert np.array_equal(found, adt[:, dataset["adt"].var_names].X.astype(float))


def test_what_is_no_number_is_one_sentence(parts, tmp_path):
    adt = parts["adt"].copy()
    adt.X = adt.X.toarray().astype("U8")
    assert "X: no numbers) in adt.h5ad" in refusal(tmp_path, parts | {"adt": adt})


# --- what is no count ----------------------------------------------------------------------------


def test_each_way_out_of_what_is_no_count_leads_to_a_dataset(parts, tmp_path):
    """The advice of a message is followed, and ends in the right values."""
    rna, adt = parts["rna"], parts["adt"]
    logs, clr = np.log1p(normalised(rna)), centred(adt)
    message = refusal(tmp_path, {"rna": changed(rna, logs), "adt": changed(adt, clr)})
    assert "rna.h5ad" in message and "values: {rna: lognorm}" in message
    lognorm = {"rna": "lognorm"}
    refused(r"adt.h5ad.*kinds: {adt: continuous}", tmp_path, PATH, values=lognorm)
    dataset, _ = read(tmp_path, PATH, values=lognorm, kinds={"adt": "continuous"})
    assert_allclose(dataset["rna"].layers["lognorm"].toarray(), logs, rtol=1e-6)
    assert_allclose(dataset["adt"].layers["continuous"].toarray(), clr, rtol=1e-6)


def test_corrected_counts_are_rounded_on_request_with_how_many_moved(parts, tmp_path):
    values = corrected(parts["rna"])
    message = refusal(tmp_path, parts | {"rna": changed(parts["rna"], values)})
    assert "rna.h5ad" in message and "values: {rna: rounded_counts}" in message
    assert "lognorm" not in message  # the largest is no logarithm
    dataset, told = read(tmp_path, PATH, values={"rna": "rounded_counts"})
    rounded = np.rint(values)
    seen = rounded.sum(axis=0) > 0
    assert np.array_equal(dataset["rna"].layers["counts"].toarray(), rounded[:, seen])
    assert dataset["rna"].uns["values"] == "counts"
    moved = int(np.sum(rounded != values))
    assert any(f"{moved:,} of {int((values > 0).sum()):,} values" in text for text in told)


def test_normalised_values_are_neither_rounded_nor_called_logarithms(parts, tmp_path):
    cpm = parts | {"rna": changed(parts["rna"], normalised(parts["rna"], 1e6))}
    for values in ("counts", "lognorm", "rounded_counts"):
        message = refusal(tmp_path, cpm, values={"rna": values})
        assert "rna.h5ad" in message and "take log1p of them" in message
        assert "rounded_counts}" not in message


def test_values_that_no_logarithm_gives_are_no_lognorm(parts, tmp_path):
    """They are counts per million of some genes only, with sums that differ, and corrected counts."""
    rna = parts["rna"]
    some, lognorm = np.where(np.arange(rna.n_vars) % 2, normalised(rna, 1e6), 0), {"rna": "lognorm"}
    for values, remedy in (
        (some, f"{np.float32(some.max()):,.1f}.* rna.h5ad.*13.8"),
        (corrected(rna), "rna.h5ad.*13.8"),
        (rna.X.toarray(), "rna.h5ad.*counts"),
        (scaled(rna), "rna.h5ad.*kinds: {rna: continuous}"),
    ):
        message = refusal(tmp_path, parts | {"rna": changed(rna, values)}, values=lognorm)
        assert re.search(remedy, message)
    per_million = np.log1p(normalised(rna, 1e6))
    assert 9.3 < per_million.max() < 13.82
    path = written(tmp_path, parts | {"rna": changed(rna, per_million)})
    assert read(tmp_path, path, values=lognorm)[0]["rna"].uns["values"] == "lognorm"


@pytest.mark.parametrize("kind", ["adt", "continuous"])
def test_missing_values_are_named_by_cell_and_leaving_the_cells_out_works(parts, tmp_path, kind):
    adt = changed(parts["adt"], parts["adt"].X.toarray())
    adt.X[3, 2], adt.X[5, 0] = np.nan, np.inf
    kinds = {"adt": kind}
    message = refusal(tmp_path, parts | {"adt": adt}, kinds=kinds)
    cells = ", ".join(adt.obs_names[[3, 5]])
    assert f"2 of 120 cells ({cells}) of adt.h5ad, X; take these cells out" in message
    left = np.delete(np.arange(120), [3, 5])
    dataset, _ = read(tmp_path, written(tmp_path, parts | {"adt": adt[left].copy()}), kinds=kinds)
    assert (dataset["adt"].n_obs, dataset["rna"].n_obs) == (118, 120)
    assert list(dataset["adt"].obs_names) == list(adt.obs_names[left])


def test_each_file_of_a_modality_has_its_own_matrix_of_counts(parts, tmp_path):
    first, second = parts["rna"][:60].copy(), parts["rna"][60:].copy()
    first = changed(first, np.log1p(normalised(first)), counts=first.X)
    for name, cells in (("r1", first), ("r2", second), ("adt", parts["adt"])):
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    dataset, _ = read(tmp_path, {"rna": ["r1.h5ad", "r2.h5ad"], "adt": "adt.h5ad"})
    assert equal(dataset, "rna", parts["rna"])
    assert dataset["rna"].uns["source"] == 'r1.h5ad, layers["counts"] and r2.h5ad, X'
