"""Contracts on disk: round trips, and every reader refuses by name what is not as its place says."""

import shutil
from functools import partial

import h5py
import numpy as np
import pandas as pd
import pytest
from mosaicbench_splits import cut_small, small_dataset
from numpy.testing import assert_array_equal

from mosaicbench.errors import ContractError, UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import read_dataset, write_dataset
from mosaicbench.files.runs import (
    RECORD_KEYS,
    imputed_table,
    is_collapsed,
    latents_of,
    latents_table,
    predicted_of,
    private_of,
    read_imputed,
    read_latents,
    read_part_of_latents,
    read_record,
    write_imputed,
    write_latents,
    write_record,
)
from mosaicbench.files.scores import SCORE_COLUMNS, read_scores, write_scores
from mosaicbench.files.splits import (
    read_split,
    write_split,
)


@pytest.fixture(scope="module")
def dataset():
    whole = small_dataset()
    whole.uns[KEY] = {"noun": "dataset", "dataset": "small"}
    return whole


@pytest.fixture(scope="module")
def split(dataset, tmp_path_factory):
    return cut_small(dataset, "paired", tmp_path_factory.mktemp("split"))


LATENTS = {
    ("rna", "train"): (["a", "b"], np.ones((2, 3))),
    ("rna", "query"): (["q"], np.zeros((1, 3))),
}
RECORD = dict.fromkeys(RECORD_KEYS, "") | {"status": "ok", "seed": 0}
SCORE = ["d", "s", "r", 0, "foscttm", "a->b", "-", 0.25, "ok"]


READERS = {
    "dataset.h5mu": read_dataset,
    "train.h5mu": partial(read_split, noun="train"),
    "query.h5mu": partial(read_split, noun="query"),
    "solution.h5mu": partial(read_split, noun="solution"),
    "latents.h5ad": read_latents,
    "imputed.h5mu": read_imputed,
    "run.json": read_record,
    "scores.tsv": read_scores,
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory, dataset, split):
    """Return a folder with one valid file of every noun, to be copied."""
    folder = tmp_path_factory.mktemp("originals")
    write_dataset(folder / "dataset.h5mu", dataset)
    for noun in ("train", "query", "solution"):
        shutil.copy(split / f"{noun}.h5mu", folder)
    write_latents(folder / "latents.h5ad", latents_table(LATENTS))
    query = read_split(split / "query.h5mu", "query")
    imputed = {("left", "right"): (query["left"].obs_names, np.zeros(query["right"].shape))}
    write_imputed(folder / "imputed.h5mu", imputed_table(imputed, query))
    write_record(folder / "run.json", RECORD)
    write_scores(folder / "scores.tsv", pd.DataFrame([SCORE], columns=SCORE_COLUMNS))
    return folder


@pytest.fixture
def written(originals, tmp_path):
    """Return a folder with one valid file of every noun, to be damaged."""
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize(("name", "read"), READERS.items())
def test_a_damaged_file_is_refused_by_name(written, name, read):
    path = written / name
    read(path)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"not what it should be\n" * 20):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=name):
            read(path)
    path.unlink()
    with pytest.raises(UserError, match=name):
        read(path)


@pytest.mark.parametrize("name", ["dataset.h5mu", "train.h5mu", "query.h5mu", "imputed.h5mu"])
def test_a_mislabelled_file_is_refused_by_name(written, name):
    shutil.copy(written / "solution.h5mu", written / name)
    with pytest.raises(UserError, match=f"{name}: expected a"):
        READERS[name](written / name)


def test_fractional_or_negative_counts_are_refused_with_the_remedy(tmp_path, dataset):
    broken = dataset.copy()
    broken["left"].layers["counts"] = broken["left"].layers["lognorm"]
    broken["left"].uns["values"] = "counts"
    with pytest.raises(UserError, match="fractional values.*values: lognorm"):
        write_dataset(tmp_path / "dataset.h5mu", broken)


def test_a_query_that_shows_labels_is_refused(written):
    query = read_split(written / "query.h5mu", "query")
    query["left"].obs["cell_type"] = "T"
    with pytest.raises(UserError, match="the query shows cell types"):
        write_split(written / "query.h5mu", query)


@pytest.mark.parametrize(("cells", "compression"), [(50, None), (12_000, "gzip")])
def test_large_files_are_compressed_and_lose_nothing(tmp_path, cells, compression):
    z = np.random.default_rng(0).poisson(0.1, (cells, 100)).astype(np.float32)
    names, path = np.arange(cells).astype(str), tmp_path / "latents.h5ad"
    write_latents(path, latents_table({("joint", "query"): (names, z)}))
    with h5py.File(path) as file:
        assert file["X"].compression == compression
    assert_array_equal(latents_of(read_latents(path), "joint", "query")[1], z)


def test_latents_of_train_cells_lie_in_a_file_of_their_own_and_are_read_with_the_others(tmp_path):
    private = {key: np.full((len(names), 2), 0.5) for key, (names, _) in LATENTS.items()}
    predicted = {("rna", "query"): np.array(["T cell"])}
    path, table = tmp_path / "latents.h5ad", latents_table(LATENTS, private, predicted)
    write_latents(path, table)
    assert list(read_part_of_latents(path).obs["subset"]) == ["query"]
    read = read_latents(path)
    for subset in ("train", "query"):
        names, z = latents_of(read, "rna", subset)
        assert list(names) == LATENTS["rna", subset][0]
        assert_array_equal(z, LATENTS["rna", subset][1])
        assert_array_equal(private_of(read, "rna", subset), private["rna", subset])
    assert list(predicted_of(read, "rna", "query")) == ["T cell"]
    (tmp_path / "train_latents.h5ad").unlink()
    with pytest.raises(ContractError, match="train_latents.h5ad: no such file"):
        read_latents(path)
    write_latents(path, latents_table({}))
    (tmp_path / "train_latents.h5ad").unlink()
    assert read_latents(path).n_obs == 0


def test_records_and_scores_know_their_words(tmp_path):
    with pytest.raises(UserError, match="run.json: .*lacks"):
        write_record(tmp_path / "run.json", {"status": "ok"})
    (tmp_path / "scores.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(UserError, match=r"scores\.tsv: expected the columns"):
        read_scores(tmp_path / "scores.tsv")


def test_collapse_is_no_variance_in_any_source():
    wide, flat = ("", np.random.default_rng(0).random((20, 2))), ("", np.zeros((20, 2)))
    assert is_collapsed({("rna", "query"): flat, ("adt", "query"): flat, ("rna", "train"): wide})
    assert not is_collapsed({("rna", "query"): flat, ("adt", "query"): wide})
