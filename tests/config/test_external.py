"""External runs: their stanzas, their files, and how they appear beside the others."""

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from mosaicbench_fits import fit_one, score_one
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench.catalog import catalog
from mosaicbench.commands import read_external
from mosaicbench.config import jobs, settings
from mosaicbench.errors import ContractError, UserError
from mosaicbench.files.runs import latents_of, read_imputed, read_latents, read_record
from mosaicbench.files.splits import feature_names, read_split

GROUPS = ["alignment", "label_transfer", "imputation", "resources"]
IDENTITY = {"dataset": "small", "scenario": "paired", "run": "mine"}


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return cut_small(small_dataset(), "paired", tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="module")
def fitted(split, tmp_path_factory):
    """A run of the benchmark itself, whose files stand for what somebody computed elsewhere."""
    folder = tmp_path_factory.mktemp("mvae")
    fit_one(
        split,
        folder,
        "mvae",
        hyperparameters={"max_epochs": 2},
        names={"dataset": "small", "scenario": "paired"},
    )
    return folder


def external(split, folder, seed=0, **files):
    entry = {"seed": seed, "split": str(split), "output": str(folder / "mine")} | {
        k: str(v) for k, v in files.items()
    }
    read_external.main(**IDENTITY, seeds=[entry])
    return folder / "mine"


def own_names(split, *, train=True):
    """Return name in the split -> the dataset's own name, of query cells and, if wanted, train cells."""
    solution = read_split(split / "solution.h5mu", "solution")
    names = {
        row: own for cells in solution.mod.values() for own, row in cells.obs["query_name"].items()
    }
    if train:
        names |= {f"train-{n:06d}": own for n, own in enumerate(solution.uns["train_cells"])}
    return names


def as_made_elsewhere(fitted, split, names=None, **changes):
    """Return a run's latents as another program would write them: in any order, with or without the dataset's names."""
    table = read_latents(fitted / "latents.h5ad")
    order = np.random.default_rng(1).permutation(table.n_obs)
    cells = table.obs["cell"].astype(str).map(names) if names else table.obs["cell"].astype(str)
    obs = pd.DataFrame(
        {"cell": cells, "source": table.obs["source"].astype(str)}, index=table.obs_names
    )
    uns = (
        {}
        if names
        else {"mosaicbench": dict(read_split(split / "query.h5mu", "query").uns["mosaicbench"])}
    )
    made = anndata.AnnData(X=np.asarray(table.X), obs=obs, uns=uns)[order].copy()
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def written(made, path):
    made.write_h5ad(path)
    return path


@pytest.mark.parametrize("named", ["as in the split", "as in the dataset"])
def test_the_same_latents_and_values_from_elsewhere_have_the_same_scores(
    fitted, split, tmp_path, named
):
    names = own_names(split) if named == "as in the dataset" else None
    latents = written(as_made_elsewhere(fitted, split, names), tmp_path / "a.h5ad")
    imputed = read_imputed(fitted / "imputed.h5mu")
    values = mudata.MuData(
        {direction: cells[::-1].copy() for direction, cells in imputed.mod.items()}
    )
    if names:
        for cells in values.mod.values():
            cells.obs_names = cells.obs_names.map(names)
    else:
        values.uns["mosaicbench"] = dict(
            read_split(split / "query.h5mu", "query").uns["mosaicbench"]
        )
    values.write_h5mu(tmp_path / "a.h5mu")
    run = external(split, tmp_path, latents=latents, imputed=tmp_path / "a.h5mu")
    here, elsewhere = (score_one(split, one, GROUPS, tmp_path) for one in (fitted, run))
    about = ["metric", "direction", "normalization", "value"]
    expected = here.loc[~here["metric"].isin(["fit_seconds", "peak_host_mb"]), about]
    assert {"foscttm", "label_transfer_accuracy", "imputation_pearson_per_feature"} <= set(
        expected["metric"]
    )
    pd.testing.assert_frame_equal(
        elsewhere[about].reset_index(drop=True), expected.reset_index(drop=True)
    )
    record = read_record(run / "run.json")
    assert (record["status"], record["seconds"], record["peak_host_mb"]) == ("ok", {}, None)
    assert record["message"] == read_external.UNKNOWN
    assert set(record["hyperparameters"]) == {"latents", "imputed"}


def test_only_query_cells_are_needed_and_what_follows_is_said(fitted, split, tmp_path):
    names = own_names(split)
    made = as_made_elsewhere(fitted, split, names)
    of_query = made[made.obs["cell"].isin(own_names(split, train=False).values())].copy()
    run = external(split, tmp_path, latents=written(of_query, tmp_path / "a.h5ad"))
    latents = read_latents(run / "latents.h5ad")
    assert set(latents.obs["subset"]) == {"query"}
    assert "no latents of train cells of left" in read_record(run / "run.json")["message"]
    assert not (score_one(split, run, GROUPS)["metric"] == "label_transfer_accuracy").any()


def test_rows_without_a_source_are_joint_and_named_by_the_rows(fitted, split, tmp_path):
    made = as_made_elsewhere(fitted, split, own_names(split))
    source = made.obs["source"].iloc[0]
    joint = made[made.obs["source"] == made.obs["source"].iloc[0]].copy()
    joint = anndata.AnnData(X=joint.X, obs=pd.DataFrame(index=joint.obs["cell"]))
    run = external(split, tmp_path, latents=written(joint, tmp_path / "a.h5ad"))
    names, z = latents_of(read_latents(run / "latents.h5ad"), "joint", "query")
    before, expected = latents_of(read_latents(fitted / "latents.h5ad"), source, "query")
    np.testing.assert_array_equal(z[names.get_indexer(before)], expected)


def spoilt(made, how):
    if how == "a gap":
        made.X[3, 0] = np.nan
    elif how == "a third modality":
        made.obs["source"] = "atac"
    return made[made.obs["cell"] != made.obs["cell"].iloc[0]].copy() if how == "a cell" else made


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("a cell", "lacks 1 of .* cells of this split, such as"),
        ("a gap", "holds NaN or infinite values"),
        ("a third modality", "there is no source 'atac' in this split"),
    ],
)
def test_latents_of_other_cells_are_refused_in_one_sentence(fitted, split, tmp_path, how, message):
    made = spoilt(as_made_elsewhere(fitted, split, own_names(split)), how)
    with pytest.raises(ContractError, match=message):
        external(split, tmp_path, latents=written(made, tmp_path / "a.h5ad"))


def test_names_of_the_split_need_to_say_of_which_split(fitted, split, tmp_path):
    made = as_made_elsewhere(fitted, split)
    made.uns["mosaicbench"]["seed"] = 1
    with pytest.raises(ContractError, match="it says seed 1 .* this split is of seed 0"):
        external(split, tmp_path, latents=written(made, tmp_path / "b.h5ad"))
    del made.uns["mosaicbench"]
    with pytest.raises(ContractError, match="say of which split they are"):
        external(split, tmp_path, latents=written(made, tmp_path / "c.h5ad"))


def test_imputed_values_need_every_feature_and_a_direction(split, tmp_path):
    query = read_split(split / "query.h5mu", "query")
    source, target = list(query.mod)
    names = own_names(split)
    values = anndata.AnnData(
        X=np.zeros((query[source].n_obs, len(feature_names(query[target]))), dtype=np.float32),
        obs=pd.DataFrame(index=query[source].obs_names.map(names)),
        var=pd.DataFrame(index=feature_names(query[target])),
    )
    mudata.MuData({f"{source}->{target}": values[:, 1:].copy()}).write_h5mu(tmp_path / "a.h5mu")
    with pytest.raises(ContractError, match="lacks 1 of .* features, such as"):
        external(split, tmp_path, imputed=tmp_path / "a.h5mu")
    mudata.MuData({"proteins": values}).write_h5mu(tmp_path / "b.h5mu")
    with pytest.raises(ContractError, match="'proteins' is no direction"):
        external(split, tmp_path, imputed=tmp_path / "b.h5mu")


# --- in a config ---------------------------------------------------------------------------------------------------------


def config(stanza, **more):
    return {
        "datasets": {"simulated": {}},
        "runs": {"mvae": {}, "mine": stanza},
        "seeds": [3, 5],
    } | more


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "seed-3", "seed-5"):
        (tmp_path / f"{name}.h5ad").touch()


@pytest.mark.usefixtures("there")
def test_a_stanza_names_a_file_for_all_seeds_one_for_each_or_a_pattern():
    for latents in ("one.h5ad", ["seed-3.h5ad", "seed-5.h5ad"], "seed-{seed}.h5ad"):
        bench = settings.load(config({"latents": latents, "scenarios": ["paired"]}))
        assert bench.runs["mine"].method == catalog.EXTERNAL
        splits = [(d, s) for d, s, run in bench.applicable if run == "mine"]
        assert splits == [("simulated", "paired")]
        assert (
            bench.not_applicable[-1]["reason"] == "an external run, of other datasets or scenarios"
        )


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("stanza", "message"),
    [
        ({"latents": "seed-{sed}.h5ad"}, "runs.mine.latents: .*seed-{sed}.h5ad, for seed 3"),
        ({"latents": ["one.h5ad"]}, "a file for each of the seeds 3, 5"),
        ({"latents": 3}, "runs.mine.latents: .*found 3"),
        ({"latents": "one.h5ad", "beta": 2}, "runs.mine: unknown key 'beta'"),
        ({"latents": "one.h5ad", "scenarios": ["piared"]}, "did you mean 'paired'"),
    ],
)
def test_a_mistake_in_a_stanza_is_one_message(stanza, message):
    with pytest.raises(UserError, match=message):
        settings.load(config(stanza))


@pytest.mark.usefixtures("there")
def test_the_file_of_an_embedding_is_an_input_of_its_job_alone(tmp_path):
    (tmp_path / "simulated.h5ad").touch()
    probe = {"method": "probe", "embedding": "{dataset}.h5ad"}
    bench = settings.load(config(probe, scenarios={"paired": {"kind": "paired"}}))
    assert jobs.fitting(bench, "simulated", "paired", "mine") == "fit_baseline"
    names = {"dataset": "simulated", "scenario": "paired", "run": "mine"}
    inputs = jobs.inputs_of_fit(bench, names)
    assert inputs["embeddings"] == ["simulated.h5ad"]
    assert any("solution" in file for file in inputs["splits"])  # it has the names of cells
    assert jobs.inputs_of_fit(bench, names | {"run": "mvae"})["embeddings"] == []
    given = jobs.fit(bench, jobs.ANY, split=("simulated", "paired"), runs=["mine"])["runs"][0]
    assert given["hyperparameters"]["embedding"] == "simulated.h5ad"
    assert "mine" not in bench.candidates


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("stanza", "message"),
    [
        ({"embedding": "absent.h5ad"}, "runs.mine.embedding: .*absent.h5ad"),
        ({"embedding": "pcaa"}, "runs.mine: .*pcaa"),
        ({"embedding": "one.h5ad", "seen": "maybe"}, "runs.mine.seen: .*maybe"),
        ({"embedding": 3}, "runs.mine.embedding: .*found 3"),
        ({"method": "probe_control", "embedding": "one.h5ad"}, "runs.mine.embedding: .*noise"),
    ],
)
def test_a_mistake_in_the_stanza_of_a_probe_is_one_message(stanza, message):
    with pytest.raises(UserError, match=message):
        settings.load(config({"method": "probe"} | stanza))


@pytest.mark.usefixtures("there")
def test_a_probe_has_no_model_to_save():
    stanza = {"method": "probe", "embedding": "one.h5ad"}
    with pytest.raises(UserError, match="save_models: 'mine'"):
        settings.load(config(stanza, save_models=["mine"]))
