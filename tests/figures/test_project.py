"""The command that projects: layouts, clusters, markers, carried labels, imputed values of controls with known results."""

import shutil

import numpy as np
import pandas as pd
import pytest
from mosaicbench_fits import fit_one
from mosaicbench_splits import cut_small
from numpy.testing import assert_allclose

from mosaicbench.commands import layout as project
from mosaicbench.datasets import simulated
from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_latents, read_record, write_latents, write_record
from mosaicbench.files.tables import write_table
from mosaicbench.report import projections
from mosaicbench.stats.common import SPLIT

CELLS = 60  # of 300, one fifth is held out


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    dataset = simulated.load(None, cells=300, n_rna=80, n_atac=120, n_adt=12, cell_types=3)
    return cut_small(dataset, "paired", tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="module")
def runs(split, tmp_path_factory):
    found = {}
    for method in ("oracle", "celltype_mean", "constant"):
        found[method] = tmp_path_factory.mktemp("runs") / method
        fit_one(split, found[method], method)
    failed = shutil.copytree(found["oracle"], found["oracle"].with_name("failed"))
    record = read_record(failed / "run.json")
    write_record(failed / "run.json", record | {"run": "failed", "status": "diverged"})
    return found | {"failed": failed}


@pytest.fixture(scope="module")
def projected(split, runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("projected")
    project.main(splits=[[split, *runs.values()]], seed=0, output=folder)
    return {
        name: projections.read_projection(folder / "small/paired", name)
        for name in projections.COLUMNS
    }


@pytest.mark.parametrize(
    ("recommended", "shown"),
    [
        ({"partner": "constant", "speed": "oracle"}, {"constant"}),
        # None is here: the first runs.
        ({"partner": "elsewhere", "labels": "failed", "speed": "oracle"}, {"oracle", "constant"}),
    ],
)
def test_recommended_runs_are_laid_out(split, runs, tmp_path, recommended, shown):
    rows = [("small", "paired", question, run) for question, run in recommended.items()]
    rows.append(("small", "mosaic", "partner", "oracle"))
    path = tmp_path / "recommendations.tsv"
    write_table(path, pd.DataFrame(rows, columns=[*SPLIT, "question", "run"]))
    splits = [[split, *runs.values()]]
    project.main(splits=splits, seed=0, output=tmp_path, recommendations=path)
    drawn = projections.read_projection(tmp_path / "small/paired", "projection")
    assert set(drawn["run"]) == shown


def test_every_table_names_its_split_and_only_runs_that_have_what_it_shows(projected):
    projected = dict(projected)
    assert all(projected.pop(name).empty for name in projections.VIRTUAL)
    for table in projected.values():
        assert table[[*SPLIT, "seed"]].drop_duplicates().to_numpy().tolist() == [
            ["small", "paired", 0]
        ]
    shown = {name: set(table["run"]) for name, table in projected.items()}
    assert shown["projection"] == shown["transfers"] == {"oracle", "constant"}
    assert shown["imputed_values"] == {"oracle", "celltype_mean"}
    assert shown["imputed_layout"] == {"oracle", "celltype_mean", projections.MEASURED}


def test_a_cell_is_laid_out_once_per_source_with_its_cluster(projected):
    layout = projected["projection"].query("run == 'oracle'")
    assert not layout.duplicated(["source", "cell"]).any()
    sources = dict.fromkeys(("rna", "atac", "adt", "joint"), CELLS)
    assert layout["source"].value_counts().to_dict() == sources
    assert np.isfinite(layout[["x", "y"]].to_numpy()).all()
    single = layout[layout["source"] != "joint"]
    # The oracle gives a cell one latent in every modality.
    assert (single.groupby("cell")["leiden"].nunique() == 1).mean() > 0.95
    for group in (single, layout[layout["source"] == "joint"]):
        sizes = group["leiden"].value_counts()
        assert sizes.index[0] == 0 or sizes.iloc[0] == sizes[0]
        assert set(sizes.index) == set(range(len(sizes)))


def test_carried_labels_count_every_labelled_cell_and_the_oracle_errs_in_none(projected):
    carried = projected["transfers"]
    assert set(carried.groupby(["run", "direction"])["cells"].sum()) == {CELLS}
    assert carried["direction"].nunique() == 6
    oracle = carried[carried["run"] == "oracle"]
    assert (oracle["cell_type"] == oracle["transferred"]).all()
    constant = carried[carried["run"] == "constant"]
    # A collapsed latent gives every cell one type.
    assert constant.groupby("direction")["transferred"].nunique().eq(1).all()


def test_extreme_features_are_shared_by_runs_and_ordered_by_mean_r(projected):
    values = projected["imputed_values"]
    assert values["direction"].nunique() == 6
    assert values.groupby(["direction", "place"])["feature"].nunique().eq(1).all()
    mean = values.groupby(["direction", "place"])["r"].mean().unstack()
    assert (mean["best"] >= mean["median"]).all()
    assert (mean["median"] >= mean["worst"]).all()
    oracle = values[values["run"] == "oracle"]
    assert_allclose(oracle["imputed"], oracle["measured"], atol=2e-3)
    assert oracle["r"].min() > 0.999
    drawn = oracle.groupby(["direction", "place"])[["measured", "imputed"]].apply(
        lambda x: x.corr().iloc[0, 1]
    )
    assert_allclose(drawn, oracle.groupby(["direction", "place"])["r"].first(), atol=1e-3)


def test_what_the_oracle_imputes_lies_where_it_was_measured(projected):
    layout = projected["imputed_layout"]
    measured = layout[layout["run"] == projections.MEASURED]
    assert len(measured) == 3 * CELLS
    both = layout.merge(measured, on=["modality", "cell"])
    both["distance"] = np.hypot(both["x_x"] - both["x_y"], both["y_x"] - both["y_y"])
    distance = both.groupby("run_x")["distance"].median()
    assert distance["oracle"] < 0.5 * distance["celltype_mean"]


def test_markers_are_higher_in_the_cluster_that_they_mark(projected):
    markers = projected["markers"].query("run == 'oracle'")
    assert set(markers["modality"]) == {"rna", "adt"}  # LSI components have no names
    assert markers["above"].between(0, 1).all()
    assert markers["share"].between(0, 1).all()
    rna = markers[markers["modality"] == "rna"]
    sums = rna.assign(total=rna["mean"] * rna["cells"]).groupby("feature")[["total", "cells"]].sum()
    weighted = sums["total"] / sums["cells"]
    own = rna[rna["leiden"] == rna["marks"]].set_index("feature")["mean"]
    assert (own > weighted.loc[own.index]).all()
    assert markers.groupby(["modality", "marks"])["feature"].nunique().max() == project.MARKERS


def test_a_run_of_other_cells_is_refused_by_name(split, runs, tmp_path):
    other = shutil.copytree(runs["oracle"], tmp_path / "other")
    latents = read_latents(other / "latents.h5ad")
    latents.obs["cell"] = [f"other-{row}" for row in range(len(latents.obs))]
    write_latents(other / "latents.h5ad", latents)
    with pytest.raises(UserError, match="60 of the solution's cells are not among its rows"):
        project.main(splits=[[split, other]], seed=0, output=tmp_path / "out")
