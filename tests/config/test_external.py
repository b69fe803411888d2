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


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return cut_small(small_dataset(), "paired", tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="module")
def fitted(split, tmp_path_factory):
    """A run of the benchmark itself, whose files stand for what somebody computed elsewhere."""
    folder = tmp_path_factory.mktemp("mvae")
    names = {"dataset": "small", "scenario": "paired"}
    fit_one(split, folder, "mvae", hyperparameters={"max_epochs": 2}, names=names)
    return folder


@pytest.fixture(scope="module")
def scored(fitted, split):
    return score_one(split, fitted, GROUPS)


def external(split, folder, seed=0, **files):
    entry = {"seed": seed, "split": str(split), "output": str(folder / "mine")}
    entry |= {part: str(file) for part, file in files.items()}
    read_external.main(dataset="small", scenario="paired", run="mine", seeds=[entry])
    return folder / "mine"


def identity(split):
    """Return what a file says of the split whose names it uses."""
    return {"mosaicbench": dict(read_split(split / "query.h5mu", "query").uns["mosaicbench"])}


def own_names(split, *, train=True):
    """Return name in the split -> the dataset's own name, of query cells and, if wanted, train cells."""
    solution, names = read_split(split / "solution.h5mu", "solution"), {}
    for cells in solution.mod.values():
        names |= dict(zip(cells.obs["query_name"], cells.obs_names, strict=True))
    if train:
        names |= {f"train-{n:06d}": own for n, own in enumerate(solution.uns["train_cells"])}
    return names


def as_made_elsewhere(fitted, split, names=None):
    """Return a run's latents as another program would write them: in any order, with or without the dataset's names."""
    table = read_latents(fitted / "latents.h5ad")
    order = np.random.default_rng(1).permutation(table.n_obs)
    obs = table.obs[["cell", "source"]].astype(str)
    if names:
        obs["cell"] = obs["cell"].map(names)
    uns = {} if names else identity(split)
    return anndata.AnnData(X=np.asarray(table.X), obs=obs, uns=uns)[order].copy()


def written(made, path):
    made.write_h5ad(path)
    return path


@pytest.mark.parametrize("named", ["as in the split", "as in the dataset"])
def test_the_same_latents_and_values_from_elsewhere_have_the_same_scores(
    fitted, scored, split, tmp_path, named
):
    names = own_names(split) if named == "as in the dataset" else None
    latents = written(as_made_elsewhere(fitted, split, names), tmp_path / "a.h5ad")
    imputed = read_imputed(fitted / "imputed.h5mu").mod
    values = {direction: cells[::-1].copy() for direction, cells in imputed.items()}
    for cells in values.values() if names else ():
        cells.obs_names = cells.obs_names.map(names)
    values = mudata.MuData(values)
    values.uns = {} if names else identity(split)
    values.write_h5mu(tmp_path / "a.h5mu")
    run = external(split, tmp_path, latents=latents, imputed=tmp_path / "a.h5mu")
    about = ["metric", "direction", "normalization"]
    expected = scored[~scored["metric"].isin(["fit_seconds", "peak_host_mb"])]
    expected = expected.set_index(about)["value"]
    assert {"foscttm", "label_transfer_accuracy", "imputation_pearson_per_feature"} <= set(
        expected.index.get_level_values("metric")
    )
    elsewhere = score_one(split, run, GROUPS).set_index(about)["value"]
    pd.testing.assert_series_equal(elsewhere, expected)
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
    joint = made[made.obs["source"] == source]
    joint = anndata.AnnData(X=joint.X, obs=pd.DataFrame(index=joint.obs["cell"]))
    run = external(split, tmp_path, latents=written(joint, tmp_path / "a.h5ad"))
    names, z = latents_of(read_latents(run / "latents.h5ad"), "joint", "query")
    before, expected = latents_of(read_latents(fitted / "latents.h5ad"), source, "query")
    np.testing.assert_array_equal(z[names.get_indexer(before)], expected)


def test_latents_of_other_cells_are_refused_in_one_sentence(fitted, split, tmp_path):
    made = as_made_elsewhere(fitted, split, own_names(split))
    fewer = made[made.obs["cell"] != made.obs["cell"].iloc[0]]
    gap, third = made.copy(), made.copy()
    gap.X[3, 0] = np.nan
    third.obs["source"] = "atac"
    anonymous, other = as_made_elsewhere(fitted, split), as_made_elsewhere(fitted, split)
    del anonymous.uns["mosaicbench"]
    other.uns["mosaicbench"]["seed"] = 1
    for latents, message in (
        (fewer, "a.h5ad: .*lacks 1 of .* cells"),
        (gap, "a.h5ad: .*NaN"),
        (third, "a.h5ad: .*'atac'"),
        (anonymous, "a.h5ad: .*say of which split"),
        (other, "a.h5ad: .*seed 1 .*seed 0"),
    ):
        with pytest.raises(ContractError, match=message):
            external(split, tmp_path, latents=written(latents, tmp_path / "a.h5ad"))


def test_imputed_values_need_every_feature_and_a_direction(split, tmp_path):
    query = read_split(split / "query.h5mu", "query")
    source, target = list(query.mod)
    names = query[source].obs_names.map(own_names(split))
    values = pd.DataFrame(0.0, index=names, columns=feature_names(query[target]))
    for direction, x, message in (
        (f"{source}->{target}", values.iloc[:, 1:], "a.h5mu: .*lacks 1 of .* features"),
        ("proteins", values, "a.h5mu: 'proteins'"),
    ):
        mudata.MuData({direction: anndata.AnnData(x)}).write_h5mu(tmp_path / "a.h5mu")
        with pytest.raises(ContractError, match=message):
            external(split, tmp_path, imputed=tmp_path / "a.h5mu")


# --- in a config ---------------------------------------------------------------------------------------------------------


def config(stanza, **more):
    runs = {"mvae": {}, "mine": stanza}
    return {"datasets": {"simulated": {}}, "runs": runs, "seeds": [3, 5]} | more


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
    ("latents", "message"),
    [
        ("seed-{sed}.h5ad", "seed-{sed}.h5ad, for seed 3"),
        (["one.h5ad"], " 3, 5"),
    ],
)
def test_a_file_that_a_seed_lacks_is_named(latents, message):
    with pytest.raises(UserError, match=f"runs.mine.latents: .*{message}"):
        settings.load(config({"latents": latents}))


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
