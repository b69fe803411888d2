"""Imputed values that a run does not keep: a small model gives every bit of them again, or they are kept as ever."""

import os
import re
import shutil
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import forked
import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from mosaicbench_fits import NAMES, fit_one
from mosaicbench_views import cut_small
from test_workflow import Benchmark

from mosaicbench import catalog, cli, disk
from mosaicbench.commands import project, score
from mosaicbench.datasets import simulated
from mosaicbench.errors import ContractError
from mosaicbench.files._h5 import KEY, read_mudata, write_mudata
from mosaicbench.files.models import read_model
from mosaicbench.files.runs import DIGESTS, draws_of, read_imputed, read_record, write_record
from mosaicbench.files.views import read_view
from mosaicbench.fitting import imputing
from mosaicbench.fitting.imputing import imputed_of
from mosaicbench.layout import FILES_TO_SCORE
from mosaicbench.report.projections import COLUMNS

MODALITIES = ("rna", "adt")  # not in alphabetical order
SMALL = {
    "pca_joint": {},
    "mvae": {"max_epochs": 1, "hidden": 8},
    "mmaavi": {"max_epochs": 1, "hidden": 8},
}
GROUPS = ["alignment", "imputation", "calibration"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder with one view of many cells and few features, and each run with its values and without."""
    folder = tmp_path_factory.mktemp("imputing") / "results"
    (folder / "views/small/paired").mkdir(parents=True)
    dataset = simulated.load(None, cells=1500, modalities=MODALITIES, n_rna=60, n_adt=20)
    view = cut_small(dataset, "paired", folder / "views/small/paired/seed-0")
    for method, small in SMALL.items():
        for kept in (True, False):
            names = NAMES | {"run": run_name(method, kept), "keep_imputed": kept}
            fit_one(
                view, fit_folder(folder, method, kept), method, hyperparameters=small, names=names
            )
    return folder


def run_name(method, kept):
    return f"{method}{'' if kept else '_without'}"


def fit_folder(results, method, kept):
    return results / f"runs/small/paired/{run_name(method, kept)}/seed-0"


def view_of(results):
    return results / "views/small/paired/seed-0"


def query_of(results):
    return read_view(view_of(results) / "query.h5mu", "query")


def copied(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "runs/small/paired/copy/seed-0"))


def without_names(table):
    """Return a table of scores as text, without the run and what a fit took."""
    return table.drop(columns="run").to_csv(index=False)


@pytest.mark.parametrize("method", SMALL)
def test_a_small_model_gives_every_bit_of_the_values_again(results, method):
    kept, without = (fit_folder(results, method, each) for each in (True, False))
    values = read_imputed(kept / "imputed.h5mu")
    again = imputed_of(without, read_record(without / "run.json"), lambda: query_of(results))
    assert not (kept / "imputer").exists() and (without / "imputer/model.json").is_file()
    assert list(again.mod) == list(values.mod) == ["rna->adt", "adt->rna"]
    for direction, cells in values.mod.items():
        np.testing.assert_array_equal(again[direction].X, cells.X)
        assert list(again[direction].obs_names) == list(cells.obs_names)
        assert list(again[direction].var_names) == list(cells.var_names)
        assert again[direction].uns["space"] == cells.uns["space"]
        drawn, drawn_again = draws_of(values, direction), draws_of(again, direction)
        assert (
            (drawn is None)
            == (drawn_again is None)
            == ("draws" not in catalog.card("methods", method)["gives"])
        )
        if drawn is not None:
            np.testing.assert_array_equal(drawn.values, drawn_again.values)
            assert list(drawn.cells) == list(drawn_again.cells)


def test_a_run_without_values_takes_less_disk(results):
    sizes = [
        sum(file.stat().st_size for file in fit_folder(results, "pca_joint", kept).rglob("*"))
        for kept in (True, False)
    ]
    assert sizes[1] < sizes[0]


def test_scores_are_the_same_to_the_last_bit(results, tmp_path):
    tables = {}
    for kept in (True, False):
        folders = [fit_folder(results, method, kept) for method in SMALL]
        parts = {"scores": "scores.tsv", "features": "features.tsv", "cells": "cells.npz"}
        files = {
            part: [tmp_path / f"{folder.parent.name}-{name}" for folder in folders]
            for part, name in parts.items()
        }
        views = [view_of(results)]
        score.main(runs=folders, views=views, groups=GROUPS, **files)
        tables[kept] = [
            without_names(pd.read_csv(file, sep="\t"))
            for file in files["scores"] + files["features"]
        ]
    assert tables[True] == tables[False]
    assert all("imputation_skill" in text for text in tables[True][: len(SMALL)])
    assert "pit_distance" in tables[True][1]


def test_pictures_of_imputed_values_are_the_same(results, tmp_path):
    tables = {}
    for kept in (True, False):
        project.main(
            views=[[view_of(results), fit_folder(results, "pca_joint", kept)]],
            seed=0,
            output=tmp_path / str(kept),
        )
        found = [
            pd.read_csv(file, sep="\t")
            for file in sorted((tmp_path / str(kept)).rglob("imputed_*.tsv"))
        ]
        assert len(found) == 2 and set(found[1].columns) == set(COLUMNS["imputed_values"])
        tables[kept] = [
            table.replace(run_name("pca_joint", kept), "run").to_csv() for table in found
        ]
        assert "pca_joint" not in tables[kept][1] and len(found[1])
    assert tables[True] == tables[False]


@pytest.mark.parametrize("kept", [True, False])
def test_the_command_writes_the_values(results, tmp_path, capsys, kept):
    folder, output = fit_folder(results, "mvae", kept), tmp_path / "values.h5mu"
    cli.main(["impute", str(folder), "--output", str(output)])
    assert "rna->adt: 300 cells, " in capsys.readouterr().out
    values = read_imputed(fit_folder(results, "mvae", True) / "imputed.h5mu")
    np.testing.assert_array_equal(read_imputed(output)["adt->rna"].X, values["adt->rna"].X)


def refusal(*arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(["impute", *map(str, arguments)])
    return str(ended.value)


def test_the_command_says_what_is_wrong(results, tmp_path):
    folder = copied(fit_folder(results, "pca_joint", False), tmp_path)
    output = tmp_path / "values.h5mu"
    message = refusal(folder, "--output", output)
    assert (
        f"{tmp_path}/views/small/paired/seed-0/query.h5mu: is not there" in message
        and "--view" in message
    )
    assert "name an .h5mu file" in refusal(folder, "--output", tmp_path / "values.tsv")
    assert "is the run's own file; name another" in refusal(
        folder, "--output", folder / "imputed.h5mu"
    )
    write_record(folder / "run.json", read_record(folder / "run.json") | {"status": "diverged"})
    assert "its status is diverged, so it imputed nothing" in refusal(folder, "--output", output)
    assert not output.exists()


def test_other_values_than_those_that_were_scored_are_refused(results):
    folder = fit_folder(results, "pca_joint", False)
    record, changed, renamed = (
        read_record(folder / "run.json"),
        query_of(results),
        query_of(results),
    )
    changed["rna"].X = changed["rna"].X * np.float32(1.001)
    with pytest.raises(
        ContractError,
        match=r"gives other values of rna->adt than when it was fitted, on .*delete the folder",
    ):
        imputed_of(folder, record, lambda: changed)
    renamed["adt"].var_names = [f"other-{name}" for name in renamed["adt"].var_names]
    with pytest.raises(
        ContractError, match=r"fitted to other features than the query has.*delete the folder"
    ):
        imputed_of(folder, record, lambda: renamed)


def test_values_that_are_rounded_otherwise_are_taken_and_the_log_says_so(results, capsys):
    folder = fit_folder(results, "pca_joint", False)
    record, nearly = read_record(folder / "run.json"), query_of(results)
    nearly["rna"].X = nearly["rna"].X * np.float32(1 + 1e-6)
    values = read_imputed(fit_folder(results, "pca_joint", True) / "imputed.h5mu")
    again = imputed_of(folder, record, lambda: nearly)
    assert (again["rna->adt"].X != values["rna->adt"].X).any()
    np.testing.assert_allclose(again["rna->adt"].X, values["rna->adt"].X, atol=1e-3)
    told = capsys.readouterr().err
    assert f"{folder}: rna->adt is rounded otherwise" in told and "adt->rna" not in told


def test_digests_without_their_model_say_what_to_do(results, tmp_path):
    folder = copied(fit_folder(results, "pca_joint", False), tmp_path)
    with pytest.raises(ContractError, match=r"holds digests of imputed values.*mosaicbench impute"):
        read_imputed(folder / "imputed.h5mu")
    (folder / "imputer/model.npz").write_bytes(b"cut short")
    with pytest.raises(
        ContractError,
        match=r"model of its imputed values cannot be used .*delete this folder and run again",
    ):
        imputed_of(folder, read_record(folder / "run.json"), lambda: query_of(results))
    shutil.rmtree(folder / "imputer")
    with pytest.raises(
        ContractError, match=r"where that folder is gone, delete the run's and fit it again"
    ):
        imputed_of(folder, read_record(folder / "run.json"), lambda: query_of(results))


def test_a_model_and_digests_of_another_run_are_refused(results, tmp_path):
    folder = copied(fit_folder(results, "pca_joint", False), tmp_path)
    record = read_record(folder / "run.json") | {"run": "another"}
    with pytest.raises(ContractError, match="is of run pca_joint_without"):
        imputed_of(folder, record, lambda: query_of(results))
    table = read_mudata(folder / "imputed.h5mu", "imputed")
    table.uns[KEY]["run"] = "another"
    write_mudata(folder / "imputed.h5mu", table)
    with pytest.raises(ContractError, match=r"imputer/model.json: is of run pca_joint_without"):
        imputed_of(folder, record, lambda: query_of(results))


def test_a_fit_that_keeps_its_values_removes_an_earlier_model(results, tmp_path):
    folder = copied(fit_folder(results, "pca_joint", False), tmp_path)
    fit_one(view_of(results), folder, "pca_joint")
    assert not (folder / "imputer").exists()
    assert DIGESTS not in read_mudata(folder / "imputed.h5mu", "imputed").uns[KEY]


@dataclass(kw_only=True)
class Restless:
    """A method that imputes something else at every call."""

    def fit(self, train, seed):
        self.features, self.calls = train.features, 0
        return []

    def impute(self, cells, target):
        self.calls += 1
        return np.random.default_rng(self.calls).normal(size=(len(cells), self.features[target]))


def kept_values(results, folder, method, capfd, **names):
    """Fit with `keep_imputed: false` and return what the log says; the values must be there all the same."""
    record = fit_one(
        view_of(results), folder, method, names=NAMES | {"keep_imputed": False} | names
    )
    assert record["status"] == "ok" and record["message"] == ""
    assert not (folder / "imputer").exists()
    assert read_imputed(folder / "imputed.h5mu")["rna->adt"].n_obs == 300
    return capfd.readouterr().err


def test_values_that_the_model_does_not_give_again_are_kept(results, tmp_path, monkeypatch, capfd):
    module = types.ModuleType("restless_method")
    module.CARD = {
        "kind": "model",
        "handles": ("paired",),
        "uses": (),
        "gives": ("impute",),
        "label": "Restless",
    }
    monkeypatch.setattr(Restless, "__module__", module.__name__)
    module.Restless = Restless
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert "gives other values of rna->adt" in kept_values(
        results, tmp_path, module.__name__, capfd
    )


def test_values_smaller_than_the_model_are_kept(results, tmp_path, capfd):
    assert "imputed values are kept: the model takes " in kept_values(
        results, tmp_path, "knn_impute", capfd
    )


def test_values_of_a_control_that_knows_the_solution_are_kept(results, tmp_path, capfd):
    assert "knows the solution" in kept_values(results, tmp_path, "shuffled", capfd)


def test_values_that_scoring_would_compute_otherwise_are_kept(
    results, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(imputing, "threads", lambda: 4)
    assert "with 4 threads" in kept_values(results, tmp_path / "threads", "pca_joint", capfd)
    monkeypatch.undo()
    record = {"gives": ("impute",), "uses": (), "wraps": {"package": "x"}, "label": "Wrapped"}
    monkeypatch.setattr(imputing, "import_for", lambda *name: types.SimpleNamespace(card=record))
    assert "models of other packages are not kept" in kept_values(
        results, tmp_path / "wrapped", "pca_joint", capfd
    )


def test_values_of_a_gpu_are_kept(results, tmp_path, capsys):
    values = read_imputed(fit_folder(results, "pca_joint", True) / "imputed.h5mu")
    fit = types.SimpleNamespace(
        module=catalog.module("methods", "pca_joint"),
        identity={"method": "pca_joint"},
        imputer=tmp_path / "imputer",
    )
    assert not imputing.keep_imputer(None, fit, values, on_gpu=True)
    assert "worked out on a GPU" in capsys.readouterr().err


def test_a_kept_model_has_its_modalities_in_the_order_of_the_data(results):
    kept = read_model(fit_folder(results, "pca_joint", False) / "imputer")
    assert list(kept.facts["modalities"]) == list(MODALITIES)


@pytest.mark.parametrize("kept", [True, False])
def test_a_plan_knows_what_a_fit_takes(results, kept):
    query, folder = query_of(results), fit_folder(results, "mvae", kept)
    features = sum(cells.n_vars for cells in query.mod.values())
    shape = disk.Shape.of(
        {"kind": "paired"}, train=1200, query=300, features=features, modalities=2
    )
    expected = disk.of_fit("mvae", SMALL["mvae"], shape, keep_imputed=kept)
    measured = sum(file.stat().st_size for file in folder.rglob("*")) / 1e6
    assert expected == pytest.approx(measured, rel=0.3)


BRIEF = {
    "datasets": {
        "many": {
            "loader": "simulated",
            "cells": 1500,
            "modalities": ["rna", "adt"],
            "n_rna": 60,
            "n_adt": 20,
        }
    },
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": {"pca_joint": {"latent": 2}, "knn_impute": {}, "shuffled": {}},
    "seeds": [0],
    "metrics": {"groups": ["imputation"]},
    "keep_imputed": "until_scored",
}


def scores_of_brief(benchmark, *words, **more):
    """Have Snakemake score some runs, and return the runs that it fits and scores."""
    runs = BRIEF["runs"] | more
    benchmark.write_config(BRIEF | {"runs": runs})
    targets = [f"results/runs/many/paired/{run}/scores.tsv" for run in runs]
    done = benchmark.snakemake("--cores", "1", *words, *targets)
    assert done.returncode == 0, done.stderr
    jobs = re.findall(
        r"^ *Job \d+: (Fit|Score) (.+) on many", done.stdout + done.stderr, flags=re.MULTILINE
    )
    return {f"{what} {run}" for what, names in jobs for run in names.split(", ")}


def test_values_that_no_model_gives_again_go_once_they_are_scored_and_no_other_run_asks_for_them(
    tmp_path,
):
    benchmark, of_runs = Benchmark(tmp_path), tmp_path / "results/runs/many/paired"
    everything = {
        f"{what} {run}"
        for what in ("Fit", "Score")
        for run in ("pca_joint", "knn_impute", "the controls")
    }
    assert scores_of_brief(benchmark) == everything
    for file in FILES_TO_SCORE:
        assert [path.parts[-3] for path in of_runs.glob(f"*/seed-0/{file}")] == ["pca_joint"]
    assert {path.parts[-3] for path in of_runs.glob("*/seed-0/latents.h5ad")} == set(BRIEF["runs"])
    assert scores_of_brief(benchmark, "--dry-run") == set()
    assert scores_of_brief(benchmark, "--dry-run", ridge={}) == {
        "Fit ridge",
        "Score ridge",
        "Score pca_joint",
    }
    (of_runs / "pca_joint/scores.tsv").unlink()
    assert scores_of_brief(benchmark, "--dry-run") == {"Score pca_joint"}
    (of_runs / "knn_impute/scores.tsv").unlink()
    assert scores_of_brief(benchmark, "--dry-run") == {
        "Score pca_joint",
        "Fit knn_impute",
        "Score knn_impute",
    }


@pytest.mark.parametrize("kept", [True, False])
def test_the_workflow_tells_fits_what_the_config_says(kept):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    asked = [
        "--dry-run",
        "--forceall",
        "--cores",
        "1",
        "--printshellcmds",
        "--config",
        f"keep_imputed={kept}",
    ]
    done = forked.snakemake(*asked, folder=REPOSITORY, environment=environment)
    assert done.returncode == 0, done.stderr
    fits = [line for line in (done.stdout + done.stderr).splitlines() if ".tsv fit " in line]
    assert len(fits) > 10 and all(('"keep_imputed": false' in line) != kept for line in fits)
