"""Contracts on disk: round trips, and every reader refuses by name what is not as its place says."""

import shutil

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


def read_anything(path):
    """Read a file with the reader of its kind."""
    readers = {
        "dataset.h5mu": read_dataset,
        "latents.h5ad": read_latents,
        "imputed.h5mu": read_imputed,
        "run.json": read_record,
        "scores.tsv": read_scores,
        **{
            f"{noun}.h5mu": (lambda path, noun=noun: read_split(path, noun))
            for noun in ("train", "query", "solution")
        },
    }
    return readers[path.name](path)


@pytest.fixture(scope="module")
def originals(tmp_path_factory, dataset, split):
    """Return a folder with one valid file of every noun, to be copied."""
    folder = tmp_path_factory.mktemp("originals")
    write_dataset(folder / "dataset.h5mu", dataset)
    for noun in ("train", "query", "solution"):
        (folder / f"{noun}.h5mu").write_bytes((split / f"{noun}.h5mu").read_bytes())
    write_latents(folder / "latents.h5ad", latents_table(LATENTS))
    query = read_split(split / "query.h5mu", "query")
    names = query["left"].obs_names
    x = np.zeros((len(names), query["right"].n_vars))
    write_imputed(folder / "imputed.h5mu", imputed_table({("left", "right"): (names, x)}, query))
    write_record(folder / "run.json", RECORD)
    write_scores(folder / "scores.tsv", pd.DataFrame([SCORE], columns=SCORE_COLUMNS))
    return folder


@pytest.fixture
def written(originals, tmp_path):
    """Return a folder with one valid file of every noun, to be damaged."""
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    return tmp_path


NOUNS = [
    "dataset.h5mu",
    "train.h5mu",
    "query.h5mu",
    "solution.h5mu",
    "latents.h5ad",
    "imputed.h5mu",
    "run.json",
    "scores.tsv",
]


@pytest.mark.parametrize("name", NOUNS)
def test_round_trip(written, name):
    read_anything(written / name)


@pytest.mark.parametrize("name", NOUNS)
@pytest.mark.parametrize("damage", ["truncated", "empty", "absent", "other kind"])
def test_a_damaged_file_is_refused_by_name(written, name, damage):
    path = written / name
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "absent":
        path.unlink()
    else:
        path.write_bytes(b"not what it should be\n" * 20)
    with pytest.raises(UserError, match=name):
        read_anything(path)


@pytest.mark.parametrize("name", [name for name in NOUNS if name.endswith(".h5mu")])
def test_a_mislabelled_file_is_refused_by_name(written, name):
    other = "train.h5mu" if name != "train.h5mu" else "query.h5mu"
    (written / name).write_bytes((written / other).read_bytes())
    with pytest.raises(UserError, match=f"{name}: expected a"):
        read_anything(written / name)


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
    names = [f"c{i}" for i in range(cells)]
    write_latents(tmp_path / "latents.h5ad", latents_table({("joint", "query"): (names, z)}))
    with h5py.File(tmp_path / "latents.h5ad") as file:
        assert file["X"].compression == compression
        assert file["X"].id.get_storage_size() < (z.nbytes / 4 if compression else z.nbytes + 1)
    assert_array_equal(latents_of(read_latents(tmp_path / "latents.h5ad"), "joint", "query")[1], z)


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
    with pytest.raises(
        ContractError,
        match="train_latents.h5ad: no such file",
    ):
        read_latents(path)
    write_latents(path, latents_table({}))
    (tmp_path / "train_latents.h5ad").unlink()
    assert read_latents(path).n_obs == 0


def test_records_and_scores_know_their_words(tmp_path):
    with pytest.raises(UserError, match="lacks"):
        write_record(tmp_path / "run.json", {"status": "ok"})
    (tmp_path / "scores.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(UserError, match=r"scores\.tsv: expected the columns"):
        read_scores(tmp_path / "scores.tsv")


def test_collapse_is_no_variance_in_any_source():
    wide, flat = np.random.default_rng(0).random((20, 2)), np.zeros((20, 2))
    assert is_collapsed(
        {("rna", "query"): ("", flat), ("adt", "query"): ("", flat), ("rna", "train"): ("", wide)}
    )
    assert not is_collapsed({("rna", "query"): ("", flat), ("adt", "query"): ("", wide)})
