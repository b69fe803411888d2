"""What a benchmark took, and what another will: by tables made by hand, and for the shipped configs."""

import copy
import re

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench import cli
from mosaicbench.commands import plan, prepare
from mosaicbench.config import settings
from mosaicbench.report.tables.contract import HISTORY_COLUMNS, PHASE_COLUMNS
from mosaicbench.workflow import resources
from mosaicbench.workflow.layout import Results

CONFIG = {
    "datasets": {"small": {"loader": "pbmc68k_split"}},
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": {"mvae": {}, "cca": {}},
    "seeds": [0, 1],
    "training": {"max_epochs": 40},
}
RESOURCES = pd.DataFrame(
    [
        ["mvae", 20, 1.0, 0.5, 300, 10],
        ["cca", 0, 0.1, 2.0, 100, 1],
        ["score", 0, 0.2, 0.1, 200, 2],
        ["other", 0, 3.0, 1.0, 250, 2],
    ],
    columns=resources.COLUMNS,
)
SHAPES = {"small": (10_000, {"rna": 1000, "adt": 100})}


def planned(more=None):
    table = resources.planned(
        settings.load(copy.deepcopy(CONFIG) | (more or {})), RESOURCES, SHAPES
    )
    table["seconds"] = 3600 * table["hours"]
    return table.set_index("work")


def test_seconds_and_memory_grow_with_cells_epochs_and_seeds():
    plan = planned()
    assert plan.loc["mvae", "seconds"] == pytest.approx(2 * (1 + 0.5 * 8 * 40))
    assert plan.loc["cca", "seconds"] == pytest.approx(2 * (0.1 + 2.0 * 8))
    assert plan.loc["score", "seconds"].tolist() == pytest.approx(2 * [2 * (0.2 + 0.1 * 8)])
    assert plan.loc["other", "seconds"] == pytest.approx(2 * (3 + 8))
    assert plan.loc["mvae", "mb"] == pytest.approx(380)


def test_disk_is_latents_and_imputed_values():
    kept, without = (planned({"keep_imputed": keep})["disk_gb"] for keep in (True, False))
    assert kept["cca"] == without["cca"] == pytest.approx(2 * 4 * 10_000 * 3 * 20 / 1e9)
    assert kept["mvae"] - without["mvae"] == pytest.approx(2 * 4 * 2000 * 1100 / 1e9)


def test_a_search_takes_as_many_fits_and_scores_as_it_has_trials():
    tuning = {"trials": 10, "fraction": 0.25, "runs": ["mvae"], "per_seed": True}
    search = planned({"tuning": tuning}).loc["tuning", "seconds"]
    assert search.tolist() == pytest.approx([20 * (1 + 0.5 * 6 * 40), 20 * (0.2 + 0.1 * 6)])


def test_a_method_that_was_not_measured_takes_what_its_kind_does():
    runs = {"runs": {"vae_poe": {}, "ridge": {}}}
    assert planned(runs).loc["vae_poe", "seconds"] == planned().loc["mvae", "seconds"]
    assert planned(runs).loc["ridge", "seconds"] == planned().loc["cca", "seconds"]


def test_the_table_of_expenses_is_what_the_largest_fits_took(tmp_path):
    fit = {"dataset": "d", "scenario": "s", "run": "r", "method": "mvae", "seed": 0}
    rows = []
    for dataset, cells in (("d", 2000), ("tiny", 100)):
        of_dataset = fit | {"dataset": dataset, "train_cells": cells}
        rows.append(of_dataset | {"phase": "import", "seconds": 2.0, "host_mb": 300})
        rows.append(of_dataset | {"phase": "fit", "seconds": 40.0, "host_mb": 340})
    history = pd.DataFrame([fit | {"epoch": epoch} for epoch in range(10)], columns=HISTORY_COLUMNS)
    results = Results(tmp_path)
    for rule, seconds in (("score/d/s/_1", 3), ("split/d/s/seed-0", 4), ("prepare/tiny", 2)):
        file = tmp_path / f"resources/{rule}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\tmax_rss\n{seconds}\t-\n")
    jobs = resources.jobs_of(results)
    places = [["prepare", "tiny", "-"], ["score", "d", "s"], ["split", "d", "s"]]
    assert jobs[["rule", "dataset", "scenario"]].to_numpy().tolist() == places
    table = resources.measured(pd.DataFrame(rows, columns=PHASE_COLUMNS), history, jobs)
    table = table.set_index("work")
    assert table.loc["mvae"].tolist() == [10, 2, 40 / 2 / 10, 300, 20]
    assert table["seconds_per_1000_cells"][["score", "other"]].tolist() == pytest.approx(
        [3 / 2.1, 6 / 2.1]
    )


def test_the_shipped_table_plans_the_default_and_the_paper_benchmark(capsys):
    hours = {}
    for name in ("config.yaml", "paper.yaml"):
        cli.main(["plan", str(REPOSITORY / "config" / name)])
        text = capsys.readouterr().out
        hours[name] = float(re.search(r"^all +(\S+)", text, re.MULTILINE)[1])
        assert re.search(r"^disk +\S+ GB; \S+ GB are free", text, re.MULTILINE)
        assert re.search(r"^memory +\S+ GB in the largest job", text, re.MULTILINE)
    assert 0.1 < hours["config.yaml"] < 10 < 1000 < hours["paper.yaml"] < 10_000


def test_runs_that_do_not_apply_are_named_with_the_reason(tmp_path, capsys):
    config = tmp_path / "my.yaml"
    runs = dict.fromkeys(["cca", "ridge", "scmodal"])
    stanzas = {"scenarios": {"u": {"kind": "unpaired"}}, "runs": runs}
    config.write_text(yaml.safe_dump({"datasets": {"snareseq_small": None}} | stanzas))
    cli.main(["plan", str(config)])
    said = capsys.readouterr().out
    assert "left out: cca, ridge: needs paired or mosaic cells, this scenario is unpaired\n" in said
    assert "scmodal: needs" not in said


@pytest.mark.parametrize(
    "dataset", ["loader: pbmc68k_split", "path: {rna: unreadable.h5ad, adt: unreadable.h5ad}"]
)
def test_a_dataset_of_unknown_size_asks_for_it(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unreadable.h5ad").write_text("no HDF5")
    (tmp_path / "my.yaml").write_text(f"datasets: {{mine: {{{dataset}}}}}\nruns: {{cca: }}\n")
    with pytest.raises(SystemExit, match="'mine' .*--shape mine=CELLS,FEATURES"):
        cli.main(["plan", "my.yaml"])
    cli.main(["plan", "my.yaml", "--shape", "mine=1000,200"])
    assert "cca" in capsys.readouterr().out


def test_the_size_of_own_files_comes_from_their_headers_and_then_from_the_prepared_dataset(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    spans = {"rna": (0, 300, 50), "adt": (100, 350, 7)}
    random = np.random.default_rng(0)
    for name, (first, end, features) in spans.items():
        counts = random.poisson(3, (end - first, features)).astype(np.float32)
        cells = anndata.AnnData(
            counts, obs=pd.DataFrame(index=[f"c{n}" for n in range(first, end)])
        )
        cells.write_h5ad(f"{name}.h5ad")
    path = {"rna": "rna.h5ad", "prot": "adt.h5ad"}
    (tmp_path / "my.yaml").write_text(f"datasets: {{mine: {{path: {path}}}}}\nruns: {{cca: }}\n")
    bench = settings.read(tmp_path / "my.yaml")
    assert plan._sizes(bench) == {"mine": (350, {"rna": 50, "prot": 7})}
    cli.main(["plan", "my.yaml"])
    said = capsys.readouterr().out
    assert re.search(r"^time +\d+ min", said, re.MULTILINE) and "GB in the largest job" in said

    bench.datasets["mine"]["options"]["cells"] = 200
    assert plan._sizes(bench)["mine"][0] == 200
    job = {"dataset": "mine", "loader": "own_files", "options": {"path": path}}
    job["options"] |= {"qc": {"prot": {"min_counts": 20}}}
    file = tmp_path / "results/datasets/mine.h5mu"
    file.parent.mkdir(parents=True)
    prepare.main(**job, output=file)
    left = int((anndata.read_h5ad("adt.h5ad").X.sum(axis=1) < 20).sum())
    del bench.datasets["mine"]["options"]["cells"]
    assert left > 0
    assert plan._sizes(bench)["mine"] == (350 - left, {"rna": 50, "prot": 7})


def test_the_size_of_a_file_is_that_of_the_modalities_that_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = {}
    for name, features in (("gex", 50), ("prot", 7), ("denoised", 9), ("hto", 4)):
        cells = anndata.AnnData(np.ones((20, features), dtype=np.float32))
        cells.obs_names = [f"cell {number}" for number in range(20)]
        cells.var_names = [f"{name}{number}" for number in range(features)]
        parts[name] = cells
    mudata.MuData(parts).write_h5mu("cells.h5mu")
    parts["gex"].var_names = [f"ENSG{number:08d}" for number in range(50)]
    parts["gex"].T.copy().write_h5ad("turned.h5ad")
    parts["prot"].write_h5ad("prot.h5ad")
    datasets = {
        "one": {"path": "cells.h5mu", "modalities": {"rna": "gex", "adt": "prot"}},
        "several": {"path": {"rna": "turned.h5ad", "adt": "prot.h5ad"}},
    }
    bench = settings.load({"datasets": datasets, "runs": {"cca": None}})
    assert plan._sizes(bench) == dict.fromkeys(datasets, (20, {"rna": 50, "adt": 7}))


@pytest.mark.parametrize(("cells", "planned_for"), [(3000, 3000), (90_000, 30_534)])
def test_a_named_dataset_has_the_cells_that_its_stanza_keeps(cells, planned_for):
    bench = settings.load({"datasets": {"covid_citeseq": {"cells": cells}}, "runs": {"cca": None}})
    assert plan._sizes(bench)["covid_citeseq"][0] == planned_for
