"""Cells of own files: paired by name and only with themselves, labelled as a person reads labels, absent where nothing was measured."""

import re
import warnings

import anndata
import mudata
import numpy as np
import own_cells
import pandas as pd
import pytest
import yaml
from mosaicbench_splits import cut
from scipy import sparse

from mosaicbench.commands import prepare
from mosaicbench.data.checks import DataWarning
from mosaicbench.datasets import own_files
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import quiet_mudata
from mosaicbench.files.dataset import read_dataset

N = 120
RANDOM = np.random.default_rng(0)
BARCODES = ["".join(row) for row in RANDOM.choice(list("ACGT"), (N, 16))]
COUNTS = {
    "rna": RANDOM.poisson(2.0, (N, 9)).astype(np.float32),
    "adt": RANDOM.poisson(5.0, (N, 6)).astype(np.float32),
}
DONORS = np.repeat(["P1", "P2"], N // 2)
TYPES = np.resize(["B", "T", "NK", "Mono"], N)


def table(modality, names, rows=slice(None), **columns):
    """Return a file's content: these rows of the modality's counts under these names."""
    obs = pd.DataFrame({name: np.asarray(values)[rows] for name, values in columns.items()})
    counts = sparse.csr_matrix(COUNTS[modality][rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are there twice
        return anndata.AnnData(counts, obs=obs.set_axis(list(names), axis=0))


def written(folder, rna, adt):
    own_cells.written(folder, {"rna": rna, "adt": adt})
    return {modality: str(folder / f"{modality}.h5ad") for modality in ("rna", "adt")}


def joined(folder, names, adt_names, **obs):
    """Write a MuData of both tables, and of columns of all its cells, and return its path."""
    with quiet_mudata():
        whole = mudata.MuData({"rna": table("rna", names), "adt": table("adt", adt_names)})
        whole.obs = whole.obs.assign(**obs)
        whole.write_h5mu(folder / "own.h5mu")
    return str(folder / "own.h5mu")


def prepared(folder, options):
    """Return the dataset that `prepare` makes of a stanza, and its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)  # `prepare` catches all of them
        prepare.main(dataset="mine", loader="own_files", options=options, output=folder / "d.h5mu")
    dataset = read_dataset(folder / "d.h5mu")
    return dataset, yaml.safe_load(dataset.uns["mosaicbench"]["warnings"])


def refusal(message, path, **options):
    """Return the text that refuses own files, which has the parts of a message."""
    with pytest.raises(UserError, match=message) as refused:
        own_files.load(None, path=path, **options)
    return str(refused.value)


def advised(message):
    """Return the keys that a message says to give, as YAML reads them."""
    return yaml.safe_load(re.search(r"say (\w+: (?:\{.*?\}+|\[.*?\]|\w+))", message)[1])


def assert_paired(dataset, names):
    """Assert that cell `names[i]` has row i of the counts in both modalities."""
    for modality, cells in dataset.mod.items():
        expected = COUNTS[modality][pd.Index(names).get_indexer(cells.obs_names)]
        assert np.array_equal(cells.layers["counts"].toarray(), expected), modality
    assert list(dataset.obs_names) == list(names)


# --- names that differ -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_rna", "of_adt", "ways"),
    [
        ("{}-1", "{}", ["ending"]),
        ("{}-1", "{}.1", ["separators"]),
        ("{}-1-s1", "{}-1", ["ending"]),
        ("s1_{}-1", "{}-1", ["prefix"]),
        ("ANumberedPatientOfCovid19_{}-1", "{}-1", ["prefix"]),
        ("s1#{}-1", "s1_{}-1", ["separators"]),
        ("s1:{}-1", "s1_{}", ["separators", "ending"]),
        ("{}_s1", "s1_{}", ["order"]),
        (" {}-1", "{}-1", ["blanks"]),
        ("RNA_{}-1", "ADT_{}-1", ["prefix"]),
        ("{}", "{}", ["case"]),
        ("cell{}x_rna", "cell{}x_adt", None),
    ],
)
def test_names_of_one_cell_written_in_two_ways_are_refused_with_the_key_that_joins_them(
    tmp_path, of_rna, of_adt, ways
):
    barcodes = BARCODES
    if ways is None:  # no barcodes: the modality's name is the ending
        barcodes, ways = [f"{number:03d}" for number in range(N)], ["ending"]
    names = [of_rna.format(barcode) for barcode in barcodes]
    order = RANDOM.permutation(N)
    adt = table("adt", [of_adt.format(barcodes[row]) for row in order], order)
    if ways == ["case"]:
        adt.obs_names = adt.obs_names.str.lower()
    path = written(tmp_path, table("rna", names), adt)
    message = refusal("path: .*'rna'.*'adt'", path)
    assert repr(names[0]) in message
    assert (advice := advised(message)) == {"ignored_in_cell_names": ways}
    assert_paired(own_files.load(None, path=path, **advice), names)


def test_samples_are_not_lost_with_the_prefix_that_tells_them_apart(tmp_path):
    """The same barcodes in two samples: only the separator may be ignored, and no prefix if one file has none."""
    samples = np.repeat(["s1", "s2"], N // 2)
    twice = BARCODES[: N // 2] * 2
    names = [f"{sample}_{barcode}-1" for sample, barcode in zip(samples, twice, strict=True)]
    adt = table("adt", [name.replace("_", "#") for name in names])
    path = written(tmp_path, table("rna", names), adt)
    refusal(r"ignored_in_cell_names: \[separators\]", path)
    dataset = own_files.load(None, path=path, ignored_in_cell_names=["separators"])
    assert_paired(dataset, names)
    refusal(
        "ignored_in_cell_names: .*'rna'.*put the sample in front",
        path,
        ignored_in_cell_names=["prefix"],
    )


def test_numbered_cells_of_two_samples_are_not_taken_for_one(tmp_path):
    names = {"rna": "s1_", "adt": "s2_"}
    files = [table(m, [f"{sample}{row}" for row in range(N)]) for m, sample in names.items()]
    path = written(tmp_path, *files)
    with pytest.warns(DataWarning, match="no cell is in two modalities"):
        assert own_files.load(None, path=path).n_obs == 2 * N


def test_labels_of_an_h5mu_follow_its_cells_to_their_common_name(tmp_path):
    longer = [f"{barcode}-1" for barcode in BARCODES]
    path = joined(tmp_path, BARCODES, longer, type=[*TYPES, *([None] * N)])
    options = {"ignored_in_cell_names": ["ending"], "cell_type": "type"}
    dataset = own_files.load(None, path=path, **options)
    assert_paired(dataset, BARCODES)
    assert list(dataset.obs["cell_type"]) == list(TYPES)


@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_are_refused_unless_the_order_is_said_to_be_one(tmp_path, first):
    numbers = [str(number) for number in range(N)]
    adt = table("adt", [str(number + first) for number in range(N)])
    path = written(tmp_path, table("rna", numbers), adt)
    assert advised(refusal("path: .*row numbers", path)) == {"same_order": True}
    assert_paired(own_files.load(None, path=path, same_order=True), numbers)
    path = written(tmp_path, table("rna", BARCODES), adt)
    refusal("path: .*'adt' are row numbers", path)
    assert_paired(own_files.load(None, path=path, same_order=True), BARCODES)


def test_the_same_order_is_refused_where_it_cannot_be(tmp_path):
    numbers = [str(number) for number in range(N)]
    fewer = written(tmp_path, table("rna", numbers), table("adt", numbers[:-9], slice(N - 9)))
    assert "same_order" not in refusal("path: .*row numbers", fewer)
    refusal(f"same_order: .*'adt' has {N - 9} cells", fewer, same_order=True)
    moved = written(tmp_path, table("rna", BARCODES), table("adt", BARCODES[::-1]))
    refusal("same_order: .*another order", moved, same_order=True)


def test_row_numbers_within_one_h5mu_are_warned_of(tmp_path):
    numbers = [str(number) for number in range(N)]
    path = joined(tmp_path, numbers, numbers)
    with pytest.warns(DataWarning, match="path: .*row numbers"):
        assert_paired(own_files.load(None, path=path), numbers)


# --- cells of other people -----------------------------------------------------------------------


def made_unique(order, **columns):
    """Return both files of 60 barcodes in two donors, the names made unique, adt in an order of donors."""
    names = [f"{barcode}-1" for barcode in BARCODES[: N // 2]] * 2
    files = [table("rna", names, **columns), table("adt", names, order, **columns)]
    for cells in files:
        cells.obs_names_make_unique()
    return files


SWAPPED = np.r_[N // 2 : N, 0 : N // 2]


def test_names_made_unique_in_another_order_are_cells_of_other_people(tmp_path):
    path = written(tmp_path, *made_unique(SWAPPED, donor=DONORS, cell_type=TYPES))
    refusal(f"{N} of {N} differ in 'donor'.*P1.*P2.*sample in front", path)
    path = written(tmp_path, *made_unique(np.arange(N), donor=DONORS))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)  # the donors agree: nothing to warn of
        assert list(own_files.load(None, path=path, batch="donor").obs["batch"]) == list(DONORS)


def test_names_made_unique_that_no_column_confirms_are_warned_of(tmp_path):
    path = written(tmp_path, *made_unique(SWAPPED))
    with pytest.warns(DataWarning, match="path: 60 cell names, .*made unique.*sample in front"):
        own_files.load(None, path=path)


@pytest.mark.parametrize(
    ("column", "of_rna", "of_adt"),
    [
        ("donor", DONORS, DONORS[SWAPPED]),
        ("patient", ["A"] * N, ["B"] * N),
        ("batch", np.resize([1, 2, 3], N), np.resize([2.0, 3.0, 1.0], N)),
        ("stim", np.resize([True, False], N), np.resize(["False", "True"], N)),
        ("types", TYPES, RANDOM.permutation(TYPES)),
    ],
)
def test_most_cells_of_other_people_are_refused(tmp_path, column, of_rna, of_adt):
    columns = {"rna": of_rna, "adt": of_adt}
    files = [table(modality, BARCODES, **{column: one}) for modality, one in columns.items()]
    path = written(tmp_path, *files)
    refusal(rf"path: .* of {N} differ in '{column}'.*'rna'.*'adt'", path)


def test_columns_that_differ_between_modalities_by_right_are_accepted(tmp_path):
    """As muon and Seurat write them: measures, clusters, doublets and names of each modality's own."""
    depth = {m: counts.sum(axis=1).astype(int) for m, counts in COUNTS.items()}
    of_both = {"donor": DONORS, "cell_type": TYPES, "lane": np.resize([1, 2], N)}
    files = []
    for number, modality in enumerate(COUNTS):
        own = {
            "n_counts": depth[modality],
            "umis": np.arange(N) * (number + 1),
            "fraction": RANDOM.random(N),
            "leiden": RANDOM.permutation(np.resize(["0", "1", "2"], N)),
            "predicted_doublet": RANDOM.random(N) < 0.5,
            "orig.ident": [modality] * N,
            "library": [f"GSM{number}"] * N,
            "mosaicbench_cell_type": RANDOM.permutation(TYPES),
            "fine": TYPES if number else [f"{name} naive" for name in TYPES],
        }
        shown = {"donor": [f" {DONORS[0].lower()}" if name == "P1" else name for name in DONORS]}
        lane = {"lane": np.resize(["1", "2"], N) if number else of_both["lane"].astype(float)}
        files.append(table(modality, BARCODES, **of_both | own | lane | (shown if number else {})))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        dataset = own_files.load(None, path=written(tmp_path, *files), cell_type="cell_type")
    assert_paired(dataset, BARCODES)


def test_few_cells_that_differ_are_warned_of_with_their_number(tmp_path):
    donors = DONORS.copy()
    donors[:7] = "P2"
    files = table("rna", BARCODES, donor=DONORS), table("adt", BARCODES, donor=donors)
    with pytest.warns(DataWarning, match=f"7 of {N} differ in 'donor'"):
        assert_paired(own_files.load(None, path=written(tmp_path, *files)), BARCODES)


def test_a_cell_that_is_there_twice_is_refused_without_advice_that_pairs_wrong_cells(tmp_path):
    names = BARCODES[: N // 2] * 2
    path = written(tmp_path, table("rna", names), table("adt", names))
    refusal("'rna' names a cell twice.*put the sample in front", path)


# --- labels and batches --------------------------------------------------------------------------


def stanza(folder, of_rna, of_adt=None, **options):
    adt = table("adt", BARCODES, **({} if of_adt is None else of_adt))
    return {"path": written(folder, table("rna", BARCODES, **of_rna), adt)} | options


def test_seven_is_seven_whatever_its_type(tmp_path):
    codes = np.resize([7.0, 8.0, 9.0], N)
    missing = np.where(np.arange(N) < 5, np.nan, codes)
    options = stanza(tmp_path, {"code": missing}, {"code": codes.astype(int)}, cell_type="code")
    dataset, warned = prepared(tmp_path, options)
    assert list(dataset.obs["cell_type"]) == [str(int(code)) for code in codes]
    assert not [text for text in warned if "says another" in text]
    (numbers,) = [text for text in warned if "numbers" in text]
    assert "3 of 3 types" in numbers
    assert "'7'" in numbers


def test_types_that_mean_unknown_are_named_with_the_key_that_says_so(tmp_path):
    said = ["nan", "NA", "None", "unknown", "Unassigned", "B", "B ", "T", "t"]
    types = np.resize([*said, None, "", "  "], N).astype(object)
    options = stanza(tmp_path, {"type": pd.Categorical(types)}, cell_type="type")
    dataset, warned = prepared(tmp_path, options)
    assert set(dataset.obs["cell_type"]) == {*said, ""}
    (unknown,) = [text for text in warned if "unknown_labels" in text]
    assert "50 cells" in unknown
    (spelled,) = [text for text in warned if "case or blanks" in text]
    assert all(repr(name) in spelled for name in ("B", "B ", "T"))
    followed, warned = prepared(tmp_path, options | advised(unknown))
    assert set(followed.obs["cell_type"]) == {"", "B", "B ", "T", "t"}
    assert not [text for text in warned if "unknown_labels" in text]


def test_a_column_without_any_label_is_refused(tmp_path):
    options = stanza(tmp_path, {"type": [""] * N}, cell_type="type")
    refusal("cell_type: column 'type': no cell has a label", **options)


@pytest.mark.parametrize(
    ("types", "unknown"),
    [
        (["nan", "T", "B"], float("nan")),
        ([3.0, 4.0, 5.0], 3),
        ([True, False, False], False),
    ],
)
def test_unknown_labels_are_read_as_text(tmp_path, types, unknown):
    options = stanza(tmp_path, {"type": np.resize(types, N)}, cell_type="type")
    dataset, _ = prepared(tmp_path, options | {"unknown_labels": [unknown]})
    lost = np.resize([name == unknown or name == str(unknown) for name in types], N)
    assert np.array_equal(dataset.obs["cell_type"] == "", lost)


def test_cells_without_a_batch_are_in_none(tmp_path):
    donors = np.where(np.arange(N) < 10, np.nan, np.repeat([1.0, 2.0], N // 2))
    options = stanza(tmp_path, {"donor": donors, "type": TYPES}, cell_type="type", batch="donor")
    dataset, warned = prepared(tmp_path, options)
    assert list(dataset.obs["batch"].value_counts()[["2", "1", ""]]) == [60, 50, 10]
    assert [text for text in warned if f"10 of {N} cells" in text and "'donor'" in text]
    for seed, held in enumerate(["1", "2"]):
        parts = cut(dataset, split={"by": "donor"}, seed=seed)
        assert set(parts["solution"]["rna"].obs["batch"]) == {held}
        assert set(dataset.obs_names[:10]) <= set(parts["solution"].uns["train_cells"])
    with pytest.raises(UserError, match="split.held_out: no cell has donor '3'; there are 1, 2"):
        cut(dataset, split={"by": "donor", "held_out": [3]})


def test_a_split_may_name_the_column_of_the_batch(tmp_path):
    options = stanza(tmp_path, {"donor": DONORS, "type": TYPES}, cell_type="type", batch="donor")
    dataset, _ = prepared(tmp_path, options)
    parts = cut(dataset, split={"by": "donor", "held_out": ["P2"]})
    assert set(parts["solution"].obs_names) == set(np.array(BARCODES)[DONORS == "P2"])
    same = cut(dataset, split={"by": "batch", "held_out": ["P2"]})
    assert list(parts["train"].obs_names) == list(same["train"].obs_names)
    with pytest.raises(UserError, match=r"split.by: .*'lane'.*cell_type, batch; .*groups"):
        cut(dataset, split={"by": "lane"})


def test_a_type_of_one_cell_is_never_in_the_query(tmp_path):
    types = TYPES.astype(object)
    types[5], types[6:8] = "the only one", "two"
    options = stanza(tmp_path, {"type": types}, cell_type="type")
    dataset, warned = prepared(tmp_path, options)
    assert [text for text in warned if "2 of 6 types" in text]
    kept = []
    for seed in range(12):
        parts = cut(dataset, seed=seed)
        assert "the only one" not in set(parts["solution"]["rna"].obs["cell_type"])
        assert {"the only one", "two"} <= set(parts["train"]["rna"].obs["cell_type"])
        audit = parts["solution"].uns["audit"]
        kept += list(audit.loc[audit["what"].str.contains("too few"), "what"])
    assert kept  # by chance, one of the seeds would have drawn it
    assert all("the only one" in what for what in kept)


# --- what was not measured -----------------------------------------------------------------------


def zeros(folder, rows, columns=slice(None), value=0):
    """Return a stanza whose proteins are zero, or have another value, in these cells and columns."""
    adt = table("adt", BARCODES, donor=DONORS)
    adt.X = adt.X.toarray()
    adt.X[rows, columns] = value
    rna = table("rna", BARCODES, donor=DONORS, type=TYPES)
    return {"path": written(folder, rna, adt), "cell_type": "type", "batch": "donor"}


def test_a_batch_of_zeros_is_not_stained_and_absent_on_request(tmp_path):
    options = zeros(tmp_path, slice(N // 2, N))
    _, warned = prepared(tmp_path, options)
    (unstained,) = [text for text in warned if "adt" in text]
    assert all(text in unstained for text in ("60 cells", "'P2'"))
    for absent in (advised(unstained), {"absent": {"adt": "empty"}}):
        dataset, warned = prepared(tmp_path, options | absent)
        assert list(dataset["adt"].obs_names) == BARCODES[: N // 2]
        assert list(dataset["rna"].obs_names) == BARCODES
        assert list(dataset.obs["batch"]) == list(DONORS)
        assert not [text for text in warned if "absent" in text]
        parts = cut(dataset, kind="as_measured")
        assert set(parts["solution"].obs_names) <= set(BARCODES[: N // 2])
        assert parts["train"].n_obs + parts["solution"].n_obs == N


def test_features_of_zeros_in_one_batch_are_counted(tmp_path):
    _, warned = prepared(tmp_path, zeros(tmp_path, slice(N // 2, N), slice(2)))
    (panel,) = [text for text in warned if "adt" in text]
    assert all(text in panel for text in ("2 of 6 features", "'0', '1'", "'P2'"))


def test_cells_without_a_count_are_absent_or_dropped_on_request(tmp_path):
    options = zeros(tmp_path, slice(0, N, 10))
    _, warned = prepared(tmp_path, options)
    (silent,) = [text for text in warned if "adt" in text]
    assert f"12 of {N} cells" in silent
    measured = [name for row, name in enumerate(BARCODES) if row % 10]
    followed = ({"absent": {"adt": "empty"}}, BARCODES), (advised(silent), measured)
    for given, of_rna in followed:
        dataset, warned = prepared(tmp_path, options | given)
        assert list(dataset["adt"].obs_names) == measured
        assert list(dataset["rna"].obs_names) == of_rna
        assert not [text for text in warned if "adt" in text]


def test_cells_with_missing_values_may_be_absent_by_name_or_batch(tmp_path):
    options = zeros(tmp_path, 3, value=np.nan)
    dataset, _ = prepared(tmp_path, options | {"absent": {"adt": [BARCODES[3]]}})
    assert BARCODES[3] not in dataset["adt"].obs_names
    assert (dataset.n_obs, dataset["adt"].n_obs) == (N, N - 1)
    dataset, _ = prepared(tmp_path, options | {"absent": {"adt": ["P1"]}})
    assert list(dataset["adt"].obs_names) == BARCODES[N // 2 :]
    for absent, message in (
        ({"adt": ["P3"]}, "absent.adt: .*'P3'; there are the batches P1, P2"),
        ({"atac": "empty"}, "absent: no modality 'atac'; there are rna, adt"),
    ):
        refusal(message, **options, absent=absent)


def test_a_cell_absent_from_every_modality_is_counted_and_all_others_keep_their_type(tmp_path):
    options = zeros(tmp_path, slice(0, 2))
    rna = anndata.read_h5ad(options["path"]["rna"])
    rna[1:][::-1].copy().write_h5ad(options["path"]["rna"])  # cell 0 is in the adt file alone
    absent = {"adt": "empty", "rna": [BARCODES[70]]}
    dataset, _ = prepared(tmp_path, options | {"absent": absent})
    assert set(dataset.obs_names) == set(BARCODES[1:])
    rows = pd.Index(BARCODES).get_indexer(dataset.obs_names)
    assert list(dataset.obs["cell_type"]) == list(TYPES[rows])
    assert list(dataset.obs["batch"]) == list(DONORS[rows])
    assert '"absent from every modality": 1' in dataset.uns["mosaicbench"]["dropped"]


# --- few -----------------------------------------------------------------------------------------


def test_few_cells_one_type_and_a_constant_modality_are_warned_of(tmp_path):
    options = zeros(tmp_path, slice(N), value=range(1, 7))
    rna = anndata.read_h5ad(options["path"]["rna"])
    rna.obs["type"] = "B"
    rna.write_h5ad(options["path"]["rna"])
    _, warned = prepared(tmp_path, options)
    for said in (f"cells: {N} ", "one type, 'B'", "modality 'adt': every feature has one value"):
        assert [text for text in warned if said in text], said
