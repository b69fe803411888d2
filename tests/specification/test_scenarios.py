"""Scenarios: what is hidden stays hidden, and the solution knows it."""

import ast
import hashlib
import inspect
from functools import cache
from itertools import compress

import anndata
import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose
from scipy import sparse

from mosaicbench.commands import prepare
from mosaicbench.commands import split as split_command
from mosaicbench.data import normalize, pairing
from mosaicbench.data.assemble import joined
from mosaicbench.data.audit import AUDIT_COLUMNS
from mosaicbench.data.split import make_split
from mosaicbench.datasets import pbmc68k_split, simulated
from mosaicbench.errors import UserError
from mosaicbench.files.splits import as_split, read_split, space_values, standardised_values
from mosaicbench.files.tables import read_table

SMALL = {"cells": 300, "n_rna": 150, "n_atac": 250, "n_adt": 20}
DATASETS = {
    "pbmc68k_split": lambda: pbmc68k_split.load(None),
    "simulated": lambda: simulated.load(None, **SMALL),
}
TRUTH = {"shared_factors", "private_factors"}
HIDING = {"paired": {}, "unpaired": {}, "mosaic": {"paired_fraction": 0.4}, "as_measured": {}}


@pytest.fixture(scope="module", params=DATASETS)
def dataset(request):
    return made(request.param)


@pytest.fixture(scope="module")
def simulation():
    return made("simulated")


@cache
def made(name):
    return DATASETS[name]()


@cache
def cut_of(name, kind):
    return parts_of(made(name), kind)


def cut_once(dataset, kind):
    """Return the parts of seed 0, for tests that edit none: made once for all."""
    return cut_of("simulated" if "rna" in dataset.mod else "pbmc68k_split", kind)


@pytest.fixture(params=pairing.KINDS)
def kind(request):
    return request.param


def parts_of(dataset, kind, seed=0, hiding=HIDING, **options):
    given = {} if {"blocks", "paired_fraction"} & set(options) else hiding.get(kind, {})
    return make_split(
        dataset, dataset_name="d", scenario="s", kind=kind, seed=seed, **given, **options
    )


def same(one, other):
    """Return whether two parts hold the same cells, features, values and moments."""

    def held(cells):
        moments = cells.uns["mean"], cells.uns["std"]
        return cells.obs_names, cells.var_names, space_values(cells), *moments

    return all(all(map(np.array_equal, held(one[m]), held(other[m]))) for m in one.mod)


def true_cells(part, dataset, modality):
    """Return the position in the dataset of each row of a part, found by its values alone."""
    layer = dataset[modality].uns["values"]
    source = dataset[modality][:, part[modality].var_names].layers[layer].toarray()
    shown = (part[modality].layers["counts"] if layer == "counts" else part[modality].X).toarray()
    position = {row.astype(np.float32).tobytes(): cell for cell, row in enumerate(source)}
    assert len(position) == len(source), "the test needs cells that differ"
    return np.array([position[row.astype(np.float32).tobytes()] for row in shown])


@pytest.fixture(scope="module")
def prepared(dataset, tmp_path_factory):
    """Return the dataset's name and its file, as the command writes it."""
    name = "simulated" if "rna" in dataset.mod else "pbmc68k_split"
    options = SMALL if name == "simulated" else {}
    file = tmp_path_factory.mktemp(name) / "d.h5mu"
    prepare.main(dataset=name, loader=name, options=options, output=file)
    return name, file


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [*(("simulated", kind) for kind in pairing.KINDS), ("pbmc68k_split", "mosaic")],
    indirect=["dataset"],
)
def test_parts_survive_the_disk_and_satisfy_their_contracts(dataset, kind, prepared, tmp_path):
    name, file = prepared
    # That another seed came before changes nothing.
    seeds = [1, 0] if kind == "paired" else [0]
    outputs = [tmp_path / str(seed) for seed in seeds]
    options = {"scenario": "mine", "kind": kind, "seeds": seeds, "options": HIDING[kind]}
    split_command.main(dataset=file, **options, outputs=outputs)
    paths = {noun: outputs[-1] / f"{noun}.h5mu" for noun in ("train", "query", "solution")}
    audit = read_table(paths["train"].with_name("audit.tsv"))
    assert list(audit) == AUDIT_COLUMNS
    assert set(audit["scenario"]) == {"mine"} and set(audit["seed"]) == {0}
    expected = cut_once(dataset, kind)
    for noun, path in paths.items():
        part = read_split(path, noun)
        assert same(part, expected[noun])
        said = part.uns["mosaicbench"]
        identity = {"dataset": name, "scenario": "mine", "kind": kind, "seed": 0}
        assert identity.items() <= dict(said).items()
        assert all(part[m].uns["kind"] == dataset[m].uns["kind"] for m in dataset.mod)
    split = as_split(read_split(paths["train"], "train"), labels=True)
    assert sum(map(len, split.blocks)) == len(expected["train"].obs_names)
    everything, alone = [tuple(dataset.mod)], [(modality,) for modality in dataset.mod]
    expected_blocks = {"unpaired": alone, "mosaic": everything + alone}.get(kind, everything)
    assert {block.modalities for block in split.blocks} == set(expected_blocks)
    assert len(split.blocks) == len(expected_blocks)


def test_no_cell_is_in_both_train_and_query(dataset, kind):
    parts = cut_once(dataset, kind)
    query = set(dataset.obs_names.get_indexer(parts["solution"].obs_names))
    train = {m: set(true_cells(parts["train"], dataset, m)) for m in dataset.mod}
    for modality in dataset.mod:
        assert not train[modality] & query
        assert set(true_cells(parts["query"], dataset, modality)) == query
    assert set().union(*train.values()) | query == set(range(dataset.n_obs))
    overlap = [train[m] & train[n] for m in dataset.mod for n in dataset.mod if m < n]
    assert not any(overlap) if kind == "unpaired" else all(overlap)


def test_division_is_stratified(dataset, kind):
    parts = cut_once(dataset, kind)
    whole = dataset.obs["cell_type"].value_counts()
    alone = 1 / len(dataset.mod)
    fraction = 0.8 * {"unpaired": alone, "mosaic": 0.4 + 0.6 * alone}.get(kind, 1)
    for modality in dataset.mod:
        for noun, share, gap in (
            ("solution", 0.2, 1),
            ("train", fraction, 3 if kind == "mosaic" else 2),
        ):
            cells = parts[noun][modality].obs["cell_type"].value_counts()
            assert np.all(cells.sub(share * whole, fill_value=0).abs() <= gap)


def test_query_cells_are_the_same_for_every_kind(dataset):
    names = [list(cut_once(dataset, kind)["solution"].obs_names) for kind in pairing.KINDS]
    assert all(name == names[0] for name in names)


def test_poisoned_query_cells_change_nothing_that_was_fitted(dataset, kind):
    preprocess = {"rna": {"features": 100}, "atac": {"features": 200, "components": 5}}
    clean = parts_of(dataset, kind, preprocess=preprocess)
    poisoned = dataset.copy()
    query = dataset.obs_names.isin(clean["solution"].obs_names)
    rng = default_rng(0)
    for cells in poisoned.mod.values():
        values = cells.layers[cells.uns["values"]].toarray()
        values[query] = rng.poisson(50, size=values[query].shape)
        cells.layers[cells.uns["values"]] = sparse.csr_matrix(values)
    dirty = parts_of(poisoned, kind, preprocess=preprocess)
    assert same(clean["train"], dirty["train"])
    for modality, cells in clean["train"].mod.items():
        for moment in ("mean", "std"):
            assert np.array_equal(cells.uns[moment], dirty["query"][modality].uns[moment])
        if "LSI" in cells.varm:
            assert np.array_equal(cells.varm["LSI"], dirty["train"][modality].varm["LSI"])
    assert not same(clean["query"], dirty["query"])


def test_unmeasured_train_cells_change_nothing_in_a_modality(simulation):
    clean = cut_once(simulation, "unpaired")
    poisoned = simulation.copy()
    for modality, cells in poisoned.mod.items():
        seen = true_cells(clean["train"], simulation, modality)
        values = cells.layers["counts"].toarray()
        hidden = np.setdiff1d(np.arange(len(values)), seen)
        values[hidden] = default_rng(0).poisson(50, size=values[hidden].shape)
        cells.layers["counts"] = sparse.csr_matrix(values)
    assert same(clean["train"], parts_of(poisoned, "unpaired")["train"])


def test_moments_are_those_of_the_train_cells(dataset, kind):
    parts = cut_once(dataset, kind)
    for modality, cells in parts["train"].mod.items():
        x = space_values(cells).astype(np.float64)
        assert_allclose(cells.uns["mean"], x.mean(axis=0), atol=1e-4)
        spread = x.std(axis=0)
        if cells.uns["normalization"] == "lsi":
            spread[:] = np.sqrt(np.mean(spread**2))
        assert_allclose(cells.uns["std"], spread, atol=1e-3)
        assert np.array_equal(parts["solution"][modality].uns["mean"], cells.uns["mean"])


def test_query_and_train_tell_no_more_than_they_should(dataset, kind):
    parts = cut_once(dataset, kind)
    barcodes = set(dataset.obs_names)
    for noun, columns in (("train", {"cell_type", "batch"}), ("query", {"batch"})):
        part = parts[noun]
        assert (list(part.obs.columns), set(part.obsm)) == ([], set(part.mod))
        assert set(part.uns) == {"mosaicbench"}
        for cells in part.mod.values():
            assert set(cells.obs.columns) - {"total"} == columns
            assert ("total" in cells.obs) == ("counts" in cells.layers)
            assert not barcodes & set(cells.obs_names)
            assert not TRUTH & set(cells.obsm)
            more = {"transform"} if cells.uns["normalization"] == "lsi" else set()
            more |= {"preprocess"} if noun == "train" else set()
            assert set(cells.uns) == {"kind", "normalization", "mean", "std", "standardised"} | more
    assert set(parts["query"].uns["mosaicbench"]) == {"noun", "dataset", "scenario", "kind", "seed"}
    fitted = parts["train"].uns["mosaicbench"]
    assert fitted["fitted_on"] == "train cells"
    assert fitted["fitted_cells"] == {
        modality: cells.n_obs for modality, cells in parts["train"].mod.items()
    }


def test_truth_is_in_the_solution(simulation, kind):
    solution = cut_once(simulation, kind)["solution"]
    rows = simulation.obs_names.get_indexer(solution.obs_names)
    assert np.array_equal(solution.obsm["shared_factors"], simulation.obsm["shared_factors"][rows])
    for modality, cells in solution.mod.items():
        assert np.array_equal(
            cells.obsm["private_factors"], simulation[modality].obsm["private_factors"][rows]
        )
        assert list(cells.obs["cell_type"]) == list(simulation.obs["cell_type"].iloc[rows])
        assert list(cells.obs["batch"]) == list(simulation.obs["batch"].iloc[rows])


def test_solution_names_the_query_row_of_every_cell(dataset, kind):
    parts = cut_once(dataset, kind)
    for modality, cells in parts["solution"].mod.items():
        assert list(cells.obs_names) == list(
            dataset.obs_names[np.sort(dataset.obs_names.get_indexer(cells.obs_names))]
        )
        row = parts["query"][modality][cells.obs["query_name"].to_numpy()]
        assert np.array_equal(space_values(row), space_values(cells))
        assert list(row.obs["batch"]) == list(cells.obs["batch"])
    names = [tuple(cells.obs["query_name"]) for cells in parts["solution"].mod.values()]
    assert (len(set(names)) == 1) == (kind != "unpaired")


def test_unpaired_order_and_names_tell_nothing(dataset):
    parts = cut_once(dataset, "unpaired")
    orders = {m: true_cells(parts["query"], dataset, m) for m in dataset.mod}
    n = len(parts["solution"].obs_names)
    correlations = np.corrcoef([np.arange(n), *orders.values()])
    assert np.abs(correlations - np.eye(len(orders) + 1)).max() < 4 / np.sqrt(n)
    for modality in dataset.mod:
        names = parts["query"][modality].obs_names
        assert all(name.startswith(f"{modality}-query-") for name in names)


def test_train_cells_have_their_own_types_in_an_order_that_tells_nothing(dataset, kind):
    train = cut_once(dataset, kind)["train"]
    for modality in dataset.mod:
        order = true_cells(train, dataset, modality)
        for column in ("cell_type", "batch"):
            own = dataset.obs[column].iloc[order]
            assert list(train[modality].obs[column]) == list(own)
        assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 4 / np.sqrt(len(order))


def test_seed_decides(simulation, kind):
    first, again = cut_once(simulation, kind), parts_of(simulation, kind)
    other = parts_of(simulation, kind, seed=1)
    for noun in first:
        assert same(first[noun], again[noun])
    assert set(first["solution"].obs_names) != set(other["solution"].obs_names)


def test_cut_leaves_the_dataset_alone(simulation, kind):
    before = simulation.copy()
    parts_of(simulation, kind)
    assert (set(simulation.uns), list(simulation.obs)) == (set(before.uns), list(before.obs))
    for modality, cells in simulation.mod.items():
        assert (cells.layers["counts"] != before[modality].layers["counts"]).nnz == 0
        assert (set(cells.uns), list(cells.obs)) == (set(before[modality].uns), [])


def tiny(labels, features=4):
    """Return a two-modality dataset of counts with the given labels; one gene is constant."""
    rng = default_rng(0)
    modalities = {}
    for modality in ("rna", "adt"):
        counts = rng.poisson(5.0, size=(len(labels), features)) + 1
        counts[:, 0] = 3
        modalities[modality] = anndata.AnnData(
            obs=pd.DataFrame(index=[f"cell{i}" for i in range(len(labels))]),
            var=pd.DataFrame(index=[f"{modality}{j}" for j in range(features)]),
            layers={"counts": sparse.csr_matrix(counts, dtype=np.float32)},
            uns={"kind": modality, "values": "counts"},
        )
    whole = joined(modalities)
    whole.obs["cell_type"], whole.obs["batch"] = labels, "b"
    return whole


def test_constant_gene_is_dropped_and_constant_protein_kept(kind):
    parts = parts_of(tiny(["a", "b"] * 20), kind)
    assert "rna0" not in parts["train"]["rna"].var_names
    assert "adt0" in parts["train"]["adt"].var_names
    for part in parts.values():
        assert all(np.all(np.isfinite(standardised_values(cells))) for cells in part.mod.values())


def test_rare_and_unlabelled_classes_need_no_care(kind):
    parts = parts_of(tiny(["only"] + ["two"] * 2 + [""] * 20 + ["many"] * 20), kind)
    unknown_labels = [label for label in parts["solution"]["rna"].obs["cell_type"] if label == ""]
    assert 3 <= len(unknown_labels) <= 5
    for part in (parts["train"], parts["solution"]):
        for cells in part.mod.values():
            assert set(cells.obs["cell_type"].cat.categories) == set(cells.obs["cell_type"])


# --- mosaics -------------------------------------------------------------------------------------------------------------


def observed_patterns(train):
    """Return pattern of observed modalities -> number of train cells that show exactly these."""
    shown = pd.DataFrame({m: train.obs_names.isin(train[m].obs_names) for m in train.mod})
    counts = shown.value_counts().items()
    return {tuple(compress(train.mod, pattern)): n for pattern, n in counts}


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_paired_fraction_is_the_share_of_cells_with_everything(simulation, fraction):
    patterns = observed_patterns(parts_of(simulation, "mosaic", paired_fraction=fraction)["train"])
    n = sum(patterns.values())
    assert n == simulation.n_obs * 0.8
    everything = patterns.pop(("rna", "atac", "adt"), 0)
    assert abs(everything - fraction * n) <= 1
    assert set(patterns) == {(m,) for m in simulation.mod if fraction < 1}
    assert all(abs(count - (1 - fraction) * n / 3) <= 2 for count in patterns.values())


@pytest.mark.parametrize(
    ("blocks", "fractions", "shares"),
    [
        ([["rna", "adt"], ["rna", "atac"]], {}, {("rna", "adt"): 1 / 2, ("rna", "atac"): 1 / 2}),
        (
            [["rna", "atac", "adt"], ["rna", "adt"], ["atac"]],
            {"fractions": [1, 2, 1]},
            {("rna", "atac", "adt"): 1 / 4, ("rna", "adt"): 1 / 2, ("atac",): 1 / 4},
        ),
        (
            [["adt", "atac"], ["rna"], ["rna"]],
            {"fractions": [6, 1, 1]},
            {("atac", "adt"): 3 / 4, ("rna",): 1 / 4},
        ),
    ],
)
def test_blocks_show_their_modalities_in_their_shares(simulation, blocks, fractions, shares):
    parts = parts_of(simulation, "mosaic", blocks=blocks, **fractions)
    patterns = observed_patterns(parts["train"])
    n = sum(patterns.values())
    assert set(patterns) == set(shares)
    assert all(abs(patterns[pattern] - n * share) <= 2 for pattern, share in shares.items())
    assert set(parts["query"].obs_names) == set(parts["query"]["rna"].obs_names)
    split = as_split(parts["train"], labels=False)
    assert {block.modalities: len(block) for block in split.blocks} == patterns


def test_mosaic_pairs_are_true_pairs(simulation):
    train = parts_of(simulation, "mosaic", paired_fraction=0.5)["train"]
    rna, adt = (
        pd.Series(true_cells(train, simulation, m), train[m].obs_names) for m in ("rna", "adt")
    )
    both = rna.index.intersection(adt.index)
    assert len(both) > 50
    assert (rna[both] == adt[both]).all()


@pytest.mark.parametrize(
    ("blocks", "message"),
    [([["rna"], ["atac"]], "blocks: .*'atac'; there are rna, adt"), ([["rna"]], "blocks: .*'adt'")],
)
def test_mosaic_refuses(blocks, message):
    with pytest.raises(UserError, match=message):
        parts_of(tiny(["a", "b"] * 20), "mosaic", hiding={}, blocks=blocks)


# --- splits by group -----------------------------------------------------------------------------------------------------


def with_donors(dataset):
    changed = dataset.copy()
    changed.obs["donor"] = pd.Categorical([f"P{i % 4}" for i in range(dataset.n_obs)])
    return changed


def test_held_out_donors_are_the_query(simulation, kind):
    whole = with_donors(simulation)
    parts = parts_of(whole, kind, split={"by": "donor", "held_out": ["P1", "P3"]})
    assert set(whole.obs["donor"][parts["solution"].obs_names]) == {"P1", "P3"}
    assert len(parts["solution"].obs_names) == simulation.n_obs / 2
    for modality in simulation.mod:
        cells = true_cells(parts["train"], simulation, modality)
        assert set(whole.obs["donor"].iloc[cells]) == {"P0", "P2"}


def test_the_seed_leaves_one_donor_out():
    whole = with_donors(tiny(["a", "b"] * 20))
    left_out = []
    for seed in range(5):
        solution = parts_of(whole, "paired", seed=seed, split={"by": "donor"})["solution"]
        (donor,) = set(whole.obs["donor"][solution.obs_names])
        left_out.append(donor)
    assert left_out == ["P0", "P1", "P2", "P3", "P0"]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"by": "donor"}, "split.by: .*'donor'; there are cell_type, batch"),
        ({"by": "batch"}, "split.by: .* same batch, 'b'"),
        ({"by": "cell_type", "held_out": ["c"]}, "split.held_out: .*'c'; there are a, b"),
        ({"by": "cell_type", "held_out": ["a", "b"]}, "split.held_out: 2 of 2"),
    ],
)
def test_split_refuses(split, message):
    with pytest.raises(UserError, match=message):
        parts_of(tiny(["a", "b"] * 20), "paired", split=split)


# --- the audit -----------------------------------------------------------------------------------------------------------


def test_nothing_is_learned_from_a_query_cell(dataset, kind):
    parts = cut_once(dataset, kind)
    audit = parts["solution"].uns["audit"]
    fits = audit[audit["role"].isin(["fit", "label"])]
    roles = {"fit", "label", "scale", "division"}
    assert set(audit["role"]) == roles | ({"design"} if kind in ("unpaired", "mosaic") else set())
    assert set(fits["modality"]) == set(dataset.mod)
    assert (fits["query_cells"] == 0).all()
    for modality, cells in parts["train"].mod.items():
        own = fits[fits["modality"] == modality].set_index("what")
        fitted = own[own["role"] == "fit"]
        steps = {"rna": 2, "atac": 4, "adt": 1}[cells.uns["kind"]]
        assert list(fitted["cells"]) == [cells.n_obs] * steps
        true_names = sorted(dataset.obs_names[true_cells(parts["train"], dataset, modality)])
        digest = hashlib.sha256("\n".join(true_names).encode()).hexdigest()[:16]
        assert set(own["digest"]) == {digest}
        assert own.loc["cell types shown", "train_cells"] == cells.n_obs
    division = audit[audit["what"] == "cell types stratify the split"]
    assert list(division["cells"]) == [dataset.n_obs]


@pytest.mark.parametrize(
    ("step", "careless"), [("variable_genes", "rna"), ("open_peaks", "atac"), ("moments", "adt")]
)
def test_a_fit_that_looks_at_query_cells_is_caught(simulation, monkeypatch, step, careless):
    """Let one step of the fitting see all cells, as a careless edit would; the audit must notice, whichever step it is."""
    learned = normalize.learned

    def learned_from_everything(log, what, function, cells, **options):
        is_step = function.__name__ == step or (step == "moments" and what.startswith("mean"))
        if is_step and cells.uns["kind"] == careless:
            everything = simulation[careless]
            if step == "moments":
                everything = normalize.KINDS[careless].fit(everything, []).transform(everything)
            return learned(log, what, function, everything, **options)
        return learned(log, what, function, cells, **options)

    monkeypatch.setattr(normalize, "learned", learned_from_everything)
    with pytest.raises(
        RuntimeError, match=f"'{careless}' was learned from cells that are no train"
    ):
        parts_of(simulation, "paired")


def test_every_step_that_learns_is_audited():
    """The functions that take train cells are reached through `learned` alone."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(normalize))))
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    called = {function.id for function in calls if isinstance(function, ast.Name)}
    learning = {
        name
        for name, function in inspect.getmembers(normalize, inspect.isfunction)
        if "train" in inspect.signature(function).parameters
    }
    assert {"variable_genes", "varying_most", "open_peaks", "_weight"} <= learning
    assert not learning & called
    assert {"moments", "learned"} <= called


def test_a_query_that_leaves_no_train_cells_is_refused():
    with pytest.raises(UserError, match="query_fraction: leaves"):
        parts_of(tiny(["a", "b"] * 20), kind="paired", query_fraction=0.99)


def test_a_type_of_one_cell_is_drawn_as_often_as_its_share_says():
    labels = np.array(["alone", *["a"] * 10], dtype=object)
    drawn = [pairing.stratified(labels, 0.3, default_rng(seed)) for seed in range(400)]
    assert np.mean([mask[0] for mask in drawn]) == pytest.approx(0.3, abs=0.07)
    assert {int(mask.sum()) for mask in drawn} == {3, 4}  # 3.3 on average


def test_the_audit_says_that_hidden_types_balance_who_is_measured_in_what(simulation, kind):
    rows = cut_once(simulation, kind)["solution"].uns["audit"].query("role == 'design'")
    designed = kind in ("unpaired", "mosaic")
    what = "hidden cell types balance which cells are measured in what"
    assert list(rows["what"]) == [what] * designed
    if designed:
        assert (rows["query_cells"] == 0).all()
        free = parts_of(simulation, kind, balanced=False)["solution"].uns["audit"]
        assert "design" not in set(free["role"])


def test_the_audit_says_which_groups_are_on_both_sides():
    whole = tiny(["a", "b"] * 40)
    whole.obs["batch"] = pd.Categorical(np.repeat(["x", "y"], 40))
    whole.obs["donor"] = pd.Categorical(np.repeat(["one", "two", "three", "four"], 20))
    by_donor = {"split": {"by": "donor", "held_out": ["one"]}}
    for options, batches, donors in (({}, 2, 4), (by_donor, 1, 0)):
        audit = parts_of(whole, "paired", **options)["solution"].uns["audit"]
        assert list(audit.query("role == 'division'")["what"])[-2:] == [
            f"{batches} of 2 groups of batch are on both sides",
            f"{donors} of 4 groups of donor are on both sides",
        ]


# --- shares of cell types ------------------------------------------------------------------------------------------------


def test_shares_of_types_are_equal_only_where_they_are_balanced():
    labels = np.repeat(["a", "b", "c", "d"], 50).astype(object)

    def largest_gap(**options):
        gaps = []
        for seed in range(20):
            train = pairing.unpaired(labels, ["rna", "adt"], default_rng(seed), **options).train
            counts = [np.unique(labels[train[m]], return_counts=True)[1] for m in ("rna", "adt")]
            gaps.append(np.abs(np.subtract(*counts)).max())
        return max(gaps)

    assert largest_gap() <= 1
    assert largest_gap(balanced=False) > 5
    options = {"paired_fraction": 0.5, "balanced": False}
    train = pairing.mosaic(labels, ["rna", "adt"], default_rng(0), **options).train
    _, numbers = np.unique(labels[np.intersect1d(*train.values())], return_counts=True)
    assert np.ptp(numbers) > 1


def test_without_balance_only_who_is_measured_in_what_changes(simulation):
    balanced, free = (parts_of(simulation, "unpaired", balanced=choice) for choice in (True, False))
    assert list(balanced["solution"].obs_names) == list(free["solution"].obs_names)
    names = [set(true_cells(parts["train"], simulation, "rna")) for parts in (balanced, free)]
    assert names[0] != names[1]


def test_types_can_be_left_out_of_one_modality(simulation):
    types = sorted(set(simulation.obs["cell_type"].astype(str)))
    parts = parts_of(simulation, "unpaired", imbalance={"adt": types[:1]})
    shown = {m: set(cells.obs["cell_type"].astype(str)) for m, cells in parts["train"].mod.items()}
    assert types[0] not in shown["adt"]
    assert types[0] in shown["rna"]
    assert types[0] in set(parts["solution"]["adt"].obs["cell_type"])
    row = parts["solution"].uns["audit"].query("role == 'design' and modality == 'adt'").iloc[0]
    assert row["what"].endswith(f"left out: {types[0]}")
    assert row["cells"] > 0
    for wrong, named in (({"protein": types[:1]}, "'protein'"), ({"adt": ["T"]}, "'T'")):
        with pytest.raises(UserError, match=f"imbalance.*{named}"):
            parts_of(simulation, "unpaired", imbalance=wrong)
