"""Natural mosaics: one's own modalities whose cells coincide in part, or not at all, from files to scores."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from mosaicbench_splits import prepared

from mosaicbench.data.cells import column_of_cells, file_of_each_cell
from mosaicbench.data.checks import DataWarning
from mosaicbench.data.split import make_split
from mosaicbench.datasets import own_files, simulated
from mosaicbench.files.splits import as_split, as_truth
from mosaicbench.methods.controls import Oracle
from mosaicbench.scoring.run_data import RunData
from mosaicbench.scoring.scorer import score as scores_of

SPANS = {  # modality -> the cells, of 360, that its file holds
    "apart": {"rna": (0, 120), "atac": (120, 240), "adt": (240, 360)},
    "in part": {"rna": (0, 240), "atac": (120, 300), "adt": (180, 360)},
    "two by two": {"rna": (0, 200), "atac": (120, 300), "adt": (0, 60)},
    "one alone": {"rna": (0, 200), "atac": (100, 200), "adt": (240, 360)},
}
PEAKS = {"atac": {"components": 5}}
GROUPS = ("alignment", "label_transfer", "imputation", "mixing", "biology", "sanity", "realism")
PERFECT = {"foscttm": 0, "recall_at_1": 1, "imputation_pearson_per_cell": 1}
PARTNERLESS = {"modality_mixing", "modality_mixing_entropy", "modality_probe", "types_matched"}


@pytest.fixture(scope="module")
def simulation():
    return simulated.load(None, cells=360, n_rna=60, n_atac=80, n_adt=12)


def files_of(simulation, folder, spans):
    """Write a file of each modality with the cells of its span, and return modality -> path."""
    paths = {}
    for modality, (first, last) in spans.items():
        cells = simulation[modality][first:last].copy()
        cells.obs["type"] = simulation.obs["cell_type"].to_numpy()[first:last].astype(str)
        paths[modality] = str(folder / f"{modality}.h5ad")
        cells.write_h5ad(paths[modality])
    return paths


@pytest.fixture(scope="module", params=SPANS)
def own(request, simulation, tmp_path_factory):
    """Return the name of a mosaic, its spans, and the dataset that `prepare` makes of its files."""
    folder, spans = tmp_path_factory.mktemp("own"), SPANS[request.param]
    options = {"path": files_of(simulation, folder, spans), "cell_type": "type"}
    return request.param, spans, prepared(folder, "own_files", options)


def parts_of(dataset, kind="as_measured", seed=0, **options):
    options = {"preprocess": PEAKS} | options
    return make_split(dataset, dataset_name="mine", scenario=kind, kind=kind, seed=seed, **options)


def evidence_of_oracle(parts):
    """Return what is known of the oracle, fitted to a split, without files between."""
    from mosaicbench.files.runs import imputed_table, latents_table
    from mosaicbench.fitting import outputs
    from mosaicbench.scoring.collect import run_data_of

    method = Oracle()
    method.reveal(as_truth(parts["solution"]))
    method.fit(as_split(parts["train"], labels=True), 0)
    gives = ("joint", "single", "impute")
    shown = {"labels": True, "links": False, "counts": False}
    fitted = outputs.MethodOnSplit(method, gives, parts["train"], parts["query"], shown)
    latents = latents_table(outputs.embedded(fitted)[0])
    imputed = imputed_table(outputs._impute(fitted)[0], parts["query"])
    told = {"train": parts["train"], "solution": parts["solution"], "latents": latents}
    told |= {"imputed": imputed, "record": {}, "history": pd.DataFrame({"epoch": []})}
    return run_data_of("here", **told)


# --- from files to a split ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["as_measured", "unpaired"])
def test_the_query_is_drawn_from_cells_that_share_modalities(own, kind):
    name, spans, dataset = own
    parts = parts_of(dataset, kind)
    of_cell = {
        cell: {m for m in spans if cell in dataset[m].obs_names} for cell in dataset.obs_names
    }
    alone = {m for m in spans if all(of_cell[cell] == {m} for cell in dataset[m].obs_names)}
    assert alone == {"apart": set(spans), "one alone": {"adt"}}.get(name, set())
    query = set(parts["solution"].obs_names)
    possible = {cell for cell, measured in of_cell.items() if len(measured) > 1 or measured & alone}
    assert query <= possible
    assert abs(len(query) - 0.2 * len(possible)) <= 1
    found = {}
    for modality, cells in parts["solution"].mod.items():
        found[modality] = {cell for cell in query if modality in of_cell[cell]}
        assert set(cells.obs_names) == found[modality]
        assert set(cells.obs["query_name"]) == set(parts["query"][modality].obs_names)
        source = dataset[modality][cells.obs_names, cells.var_names]
        shown = parts["query"][modality][list(cells.obs["query_name"])]
        for rows in (cells, shown):
            assert (rows.layers["counts"] != source.layers["counts"]).nnz == 0
    assert parts["train"].n_obs == dataset.n_obs - len(query)
    apart = {pair for pair in combinations(spans, 2) if not found[pair[0]] & found[pair[1]]}
    told = parts["train"].uns["mosaicbench"].get("without_partners", [])
    assert {tuple(pair.split(" and ")) for pair in told} == apart
    seen = [block.modalities for block in as_split(parts["train"], labels=True).blocks]
    if kind == "unpaired":
        assert all(len(modalities) == 1 for modalities in seen)
        assert "pairing" not in parts["train"].uns["mosaicbench"]
    else:
        left = {frozenset(of_cell[cell]) for cell in of_cell if cell not in query}
        assert {frozenset(modalities) for modalities in seen} == left
        pairing = "unpaired" if name == "apart" else "mosaic"
        assert parts["train"].uns["mosaicbench"]["pairing"] == pairing


def test_a_natural_split_of_fully_measured_cells_is_the_paired_one(simulation):
    as_measured, paired = (parts_of(simulation, kind) for kind in ("as_measured", "paired"))
    for noun, part in as_measured.items():
        for modality, cells in part.mod.items():
            assert list(cells.obs_names) == list(paired[noun][modality].obs_names)
            assert (cells.layers["counts"] != paired[noun][modality].layers["counts"]).nnz == 0
    assert as_measured["train"].uns["mosaicbench"]["pairing"] == "paired"


def test_paired_takes_cells_with_all_modalities_and_the_audit_says_who_is_left_out(
    simulation, tmp_path
):
    path = files_of(simulation, tmp_path, SPANS["in part"])
    dataset = own_files.load(None, path=path, cell_type="type")
    parts = parts_of(dataset, "paired")
    assert parts["train"].n_obs + parts["solution"].n_obs == 60
    audit = parts["solution"].uns["audit"].set_index("what")
    numbers = ["cells", "train_cells", "query_cells"]
    assert audit.loc["cells without all modalities are left out", numbers].tolist() == [300, 0, 0]
    assert audit.loc["cells measured in rna+atac+adt", numbers].tolist() == [60, 48, 12]
    audit = parts_of(dataset)["solution"].uns["audit"].set_index("what")
    drawn_from = audit.loc["cells that a random query is drawn from", numbers]
    assert drawn_from.tolist() == [180, 144, 36]
    with_design = parts_of(dataset, "mosaic", blocks=[["rna"], ["atac", "adt"]])["train"]
    blocks = {block.modalities: len(block) for block in as_split(with_design, labels=True).blocks}
    assert blocks.keys() == {("rna",), ("adt",), ("atac", "adt"), ("rna", "atac")}
    assert sum(blocks.values()) == 360 - 36


def test_held_out_groups_are_whole_whatever_their_cells_have(simulation, tmp_path):
    dataset = own_files.load(None, path=files_of(simulation, tmp_path, SPANS["in part"]))
    dataset.obs["donor"] = pd.Categorical(np.where(np.arange(dataset.n_obs) % 3, "one", "other"))
    parts = parts_of(dataset, split={"by": "donor", "held_out": ["other"]})
    assert set(parts["solution"].obs_names) == set(dataset.obs_names[::3])


def test_lists_of_files_per_modality_may_hold_other_cells(simulation, tmp_path):
    batches = {"rna": [], "adt": []}
    for of_rna, of_adt in (((0, 90), (60, 150)), ((150, 260), (260, 360))):
        (folder := tmp_path / f"from {of_rna[0]}").mkdir()
        paths = files_of(simulation, folder, {"rna": of_rna, "adt": of_adt})
        for modality, path in paths.items():
            batches[modality].append(path)
    dataset = own_files.load(None, path=batches, cell_type="type")
    numbers = simulation.obs_names.get_indexer(dataset.obs_names)
    assert sorted(numbers) == list(range(360))
    assert np.array_equal(dataset.obs["batch"].to_numpy() == "2", numbers >= 150)
    assert parts_of(dataset)["solution"].n_obs == 6  # of the 30 cells with both


def test_batches_of_cells_that_no_list_names_are_the_first():
    files = {
        "rna": pd.Series(["1", "2"], index=["a", "b"]),
        "adt": pd.Series(["2", "2"], index=["b", "c"]),
    }
    assert list(file_of_each_cell(pd.Index(["a", "b", "c", "d"]), files)) == ["1", "2", "2", "1"]


def test_a_column_comes_from_whichever_table_says_something_of_a_cell():
    tables = {"rna": pd.DataFrame({"t": ["x", None]}, index=["a", "b"])}
    tables["adt"] = pd.DataFrame({"t": ["y", "z"]}, index=["b", "c"])
    found = column_of_cells("cell_type", "t", tables, cells=pd.Index(["a", "b", "c", "d"]))
    assert list(found) == ["x", "y", "z", ""]
    tables["adt"].loc["a"] = "other"
    with pytest.warns(DataWarning, match="cell_type: adt says another 't' of 1 cells"):
        assert list(column_of_cells("cell_type", "t", tables, cells=pd.Index(["a"]))) == ["x"]


# --- from a split to scores -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["in part", "one alone"], indirect=True)
def test_scores_that_need_partners_are_of_cells_that_have_them(own):
    name, spans, dataset = own
    parts = parts_of(dataset)
    found = scores_of(evidence_of_oracle(parts), GROUPS)
    values = found.scores.set_index(["metric", "direction"])["value"]
    assert values.index.is_unique
    cells = {modality: set(part.obs_names) for modality, part in parts["solution"].mod.items()}
    for source, target in permutations(spans, 2):
        direction, partners = f"{source}->{target}", cells[source] & cells[target]
        for metric, perfect in PERFECT.items():
            assert ((metric, direction) in found.not_applicable) == (not partners)
            expected = pytest.approx(perfect if partners else np.nan, abs=1e-3, nan_ok=True)
            assert values[metric, direction] == expected, (metric, direction)
            spread = found.cells.get((metric, direction, "-"))
            if spread is not None:
                assert np.isfinite(spread).sum() == len(partners)
                assert len(spread) == parts["solution"].n_obs
        assert values["label_transfer_accuracy", direction] > 0.9
        of_cells = found.cells["label_transfer_accuracy", direction, "-"]
        assert np.isfinite(of_cells).sum() == len(cells[target])
        for metric in PARTNERLESS:
            about = metric, direction
            assert np.isfinite(values[about]) or len(cells[source]) < 30, about
            assert about not in found.not_applicable
    assert all(np.isfinite(values["nmi", source]) for source in spans)
    joint = set.intersection(*cells.values())
    assert len(joint) == (12 if name == "in part" else 0)
    assert ("nmi", "joint") in values.index or not joint
    assert joint or "joint" not in values.index.get_level_values("direction")


def test_matched_cells_are_as_many_of_each_type_whichever_modality_comes_first():
    from mosaicbench.scoring.metric_inputs import matched_by_type

    random = np.random.default_rng(0)
    types = [np.array(list(names), dtype=object) for names in ("aaaabbc", "abbbdd")]
    z = [random.standard_normal((len(of), 2)) for of in types]
    one, other = matched_by_type(*z, *types), matched_by_type(*z[::-1], *types[::-1])
    assert list(one["labels"]()) == ["a", "b", "b"]
    assert np.array_equal(one["latent_a"](), other["latent_b"]())
    for label, cells in (("", 6), ("x", 0)):
        found = matched_by_type(*z, types[0], np.full(6, label, dtype=object))
        assert len(found["latent_a"]()) == len(found["latent_b"]()) == cells


@pytest.mark.parametrize(("of_rna", "of_adt"), [("ab", "  "), ("a ", "b ")])
def test_types_are_matched_only_where_both_modalities_show_some(of_rna, of_adt):
    labels = np.array([name.strip() for name in of_rna * 15 + of_adt * 15], dtype=object)
    z = np.random.default_rng(0).standard_normal((60, 2))
    known = RunData(
        record={},
        batches=np.array(["b"] * 60, dtype=object),
        labels=labels,
        rows={"rna": np.arange(30), "adt": np.arange(30, 60)},
        latents={"rna": z[:30], "adt": z[30:]},
    )
    scores = scores_of(known, ["label_transfer", "mixing", "realism"]).scores
    values = scores.pivot(index="metric", columns="direction", values="value")
    values = values[["rna->adt", "adt->rna"]]
    assert np.isnan(values.loc["types_matched"]).all()
    assert np.isfinite(values.loc[["modality_mixing", "modality_probe"]]).all(axis=None)
