"""Files of another run, seed or split, and tables that were cut short, are refused by name wherever they are read."""

import json
import shutil
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from mosaicbench_fits import NAMES, fit_one
from mosaicbench_splits import cut_small, small_dataset
from synthetic_results import cards, copied, draw_figure, tabulate_results, write_report

from mosaicbench.catalog import catalog
from mosaicbench.commands import layout as project
from mosaicbench.commands import score
from mosaicbench.errors import UserError
from mosaicbench.files.identity import check_place
from mosaicbench.files.models import KeptModel, read_model, write_model
from mosaicbench.files.scores import read_cells
from mosaicbench.files.tables import write_tables
from mosaicbench.report.projections import COLUMNS, read_projection
from mosaicbench.report.records import read_records
from mosaicbench.workflow.layout import FILES_OF_FIT, Results

SEEDS = (0, 1)
METHOD = "random_latent"


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    folder, dataset = tmp_path_factory.mktemp("splits"), small_dataset()
    return [cut_small(dataset, "paired", folder / f"seed-{seed}", seed=seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def runs(splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed, split in zip(SEEDS, splits, strict=True):
        fit_one(split, folder / f"seed-{seed}", METHOD, seed=seed)
    return folder


@pytest.fixture
def places(splits, runs, tmp_path):
    """Return copies of the splits and of the runs, to be damaged."""
    for seed, split in zip(SEEDS, splits, strict=True):
        shutil.copytree(split, tmp_path / f"split-{seed}")
        shutil.copytree(runs / f"seed-{seed}", tmp_path / f"run-{seed}")
    return tmp_path


def swap(folder, name, kind):
    first, second = (folder / f"{kind}-{seed}" / name for seed in SEEDS)
    first.rename(folder / "kept")
    second.rename(first)
    (folder / "kept").rename(second)


def scored(folder):
    runs, splits = ([folder / f"{kind}-{seed}" for seed in SEEDS] for kind in ("run", "split"))
    score.main(runs=runs, splits=splits, groups=["efficiency"], outputs=[folder])


@pytest.mark.parametrize(
    ("kind", "swapped", "refused"),
    [
        ("run", ["latents.h5ad"], "latents.h5ad"),
        ("run", ["train_latents.h5ad"], "train_latents.h5ad"),
        ("run", ["imputed.h5mu"], "imputed.h5mu"),
        ("run", ["run.json"], "run.json"),
        ("run", FILES_OF_FIT, "run.json"),
        ("split", ["solution.h5mu"], "solution.h5mu"),
        ("split", ["train.h5mu"], "solution.h5mu"),
    ],
)
def test_what_is_of_another_seed_is_not_scored(places, kind, swapped, refused):
    """Refused is the first file that does not go with what was read before."""
    for name in swapped:
        swap(places, name, kind)
    with pytest.raises(UserError, match=rf"{refused}: is of seed .*; delete it and run again"):
        scored(places)
    assert not (places / "scores.tsv").exists()


def test_cell_scores_of_another_run_are_refused(places):
    scored(places)
    with pytest.raises(UserError, match="cells.npz: is of run random_latent, but run mvae"):
        read_cells(places / "cells.npz", NAMES | {"run": "mvae"})


def test_latents_of_another_seed_are_not_laid_out(places):
    swap(places, "latents.h5ad", "run")
    for run, refused in {"run-0": "latents.h5ad", "run-1": "run.json"}.items():
        with pytest.raises(UserError, match=f"{refused}: is of seed 1, but seed 0 belongs here"):
            project.main(splits=[[places / "split-0", places / run]], seed=0, output=places / "out")


def test_a_split_of_another_seed_is_not_fitted(places):
    swap(places, "query.h5mu", "split")
    for names in (NAMES, {"dataset": "unnamed"}):
        with pytest.raises(UserError, match="could not start"):
            fit_one(places / "split-0", places / "fit", METHOD, names=names)


def test_a_fit_by_hand_may_be_of_any_split_and_seed():
    check_place("run.json", {"dataset": "unnamed", "seed": 5}, {"dataset": "small", "seed": 0})


# --- scores become tables, tables become figures and the report ------------------------------------------------------------


@pytest.fixture(scope="module")
def benchmark(results, tmp_path_factory):
    """Return the made-up results with files that may be damaged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "cards", cards)
        yield copied(results, tmp_path_factory.mktemp("results") / "copy")


@contextmanager
def damaged(path, text):
    """Damage a file within a block, and mend it after it."""
    before = path.read_bytes()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_bytes(before)


def cut(path):
    """Return the first two thirds of a table."""
    lines = path.read_text().splitlines(keepends=True)
    return "".join(lines[: 2 * len(lines) // 3])


def test_scores_of_another_run_are_not_tabulated(benchmark, tmp_path):
    first, second = benchmark.scores[:2]
    with damaged(first, second.read_text()), pytest.raises(UserError, match="tsv: is of run"):
        tabulate_results(benchmark, tmp_path)


def test_records_and_histories_of_another_seed_are_not_tabulated(benchmark, tmp_path):
    first, second = benchmark.records[:2]
    runs = pd.read_csv(benchmark.folder / "tables/runs.tsv", sep="\t", keep_default_na=False)
    with damaged(first, second.read_text()):
        with pytest.raises(UserError, match="run.json: is of seed 1, but seed 0 belongs here"):
            tabulate_results(benchmark, tmp_path)
        with pytest.raises(UserError, match="run.json: is of seed 1, but seed 0 belongs here"):
            read_records(Results(benchmark.folder), runs)


@pytest.mark.parametrize(
    ("table", "figure"),
    [("scores", "scores_by_run"), ("runs", "resources"), ("overall", "resources")],
)
def test_a_table_that_was_cut_is_neither_drawn_nor_reported(benchmark, tmp_path, table, figure):
    path = benchmark.folder / f"tables/{table}.tsv"
    message = f"{table}.tsv: is not as `mosaicbench tabulate` wrote it"
    with damaged(path, cut(path)):
        with pytest.raises(UserError, match=message):
            draw_figure(benchmark, figure, tmp_path)
        with pytest.raises(UserError, match=message):
            write_report(benchmark, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_layout_of_another_split_or_cut_short_is_not_drawn(tmp_path):
    row = dict.fromkeys(COLUMNS["projection"], "0") | {"scenario": "paired"}
    write_tables(tmp_path, {"projection": pd.DataFrame([row, row])})
    assert len(read_projection(tmp_path, "projection", {"scenario": "paired"})) == 2
    with pytest.raises(UserError, match="projection.tsv: is of scenario paired, but .* unpaired"):
        read_projection(tmp_path, "projection", {"scenario": "unpaired"})
    path = tmp_path / "projection.tsv"
    path.write_text(cut(path))
    with pytest.raises(UserError, match="is not as `mosaicbench layout` wrote it"):
        read_projection(tmp_path, "projection")


def kept_model(folder, seed):
    identity = NAMES | {"run": "mvae", "seed": seed}
    facts = dict.fromkeys(
        ("method", "module", "card", "hyperparameters", "versions", "modalities", "licence"), ""
    )
    arrays = {"mean": np.full(2, seed, dtype=float)}
    write_model(folder / "model", KeptModel(facts | {"identity": identity}, arrays, arrays))
    (folder / "run.json").write_text(json.dumps(identity))


def test_a_model_of_another_run_is_not_applied(tmp_path):
    for seed in SEEDS:
        kept_model(tmp_path / f"run-{seed}", seed)
    assert read_model(tmp_path / "run-0").state["mean"][0] == 0
    shutil.copy(tmp_path / "run-1/model/model.json", tmp_path / "run-0/model")
    with pytest.raises(UserError, match="is of seed 1, but seed 0 belongs"):
        read_model(tmp_path / "run-0")
