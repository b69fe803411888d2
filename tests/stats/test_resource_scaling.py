"""Exponents: power laws that are known are found, constants do not hide them, and only like datasets are compared."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench.commands import tabulate
from mosaicbench.config import settings
from mosaicbench.files.runs import read_record
from mosaicbench.report.tables.contract import PHASE_COLUMNS, checked_runs
from mosaicbench.stats import resource_scaling as scaling
from mosaicbench.workflow import resources

NO_JOBS = pd.DataFrame(columns=resources.JOB_COLUMNS)
SIZES = {"small": 1000, "medium": 10_000, "large": 100_000}


def phases(**more):
    """Return the costs of one run on each of three datasets: training linear, embedding quadratic, memory with a constant."""
    rows = []
    for dataset, cells in (SIZES | more).items():
        for seed in (0, 1):
            names = {
                "dataset": dataset,
                "scenario": "paired",
                "run": "r",
                "method": "m",
                "seed": seed,
                "train_cells": cells,
            }
            for phase, seconds, memory in (
                ("import", 2.0, 0),
                ("fit", 1e-3 * cells, 1e-2 * cells),
                ("embed", 1e-9 * cells**2, 0),
            ):
                spread = 1 + 0.1 * (2 * seed - 1)
                costs = {
                    "seconds": seconds * spread,
                    "cpu_seconds": seconds,
                    "gpu_seconds": 0.0,
                    "host_mb": 300 + memory,
                }
                rows.append(
                    names | {"query_cells": cells // 4, "phase": phase, "device_mb": None} | costs
                )
    return pd.DataFrame(rows, columns=PHASE_COLUMNS)


def test_exponents_are_those_of_the_costs():
    table = scaling.exponents(phases(other=7), NO_JOBS, [SIZES]).set_index(["phase", "measure"])
    assert list(table.columns) == [
        column for column in scaling.COLUMNS if column not in ("phase", "measure")
    ]
    for place, exponent in {
        ("import", "seconds"): 0,
        ("fit", "seconds"): 1,
        ("embed", "seconds"): 2,
        ("fit", "host_mb"): 1,
    }.items():
        assert table.loc[place, "exponent"] == pytest.approx(exponent, abs=1e-3), place
        assert table.loc[place, "last_exponent"] == pytest.approx(exponent, abs=1e-3), place
    assert table.loc[("fit", "seconds"), "at_least"] == pytest.approx(1.0)
    assert table.loc[("fit", "seconds"), "at_most"] == pytest.approx(100.0)
    whole = table.loc[("all", "seconds")]
    assert whole["at_most"] == pytest.approx(2 + 100 + 10)
    assert table.loc[("all", "host_mb"), "at_most"] == pytest.approx(1000)
    assert 0 < whole["exponent"] < whole["last_exponent"] < 1.1
    assert np.isnan(table.loc[("import", "host_mb"), "exponent"])
    assert "device_mb" not in table.index.get_level_values("measure")
    assert set(table["datasets"]) == {3}


def test_jobs_of_other_rules_are_phases_of_their_name():
    rows = [["prepare", dataset, "-", cells**2, cells] for dataset, cells in SIZES.items()]
    jobs = pd.DataFrame(rows, columns=resources.JOB_COLUMNS)
    table = scaling.exponents(phases(), jobs, [SIZES]).set_index(
        ["phase", "scenario", "run", "measure"]
    )
    assert table.loc[("prepare", "-", "-", "seconds"), "exponent"] == pytest.approx(2)
    assert table.loc[("prepare", "-", "-", "host_mb"), "exponent"] == pytest.approx(1)


def test_without_like_datasets_there_is_nothing_to_compare():
    assert scaling.exponents(phases(), NO_JOBS, []).empty
    assert list(scaling.exponents(phases(), NO_JOBS, []).columns) == scaling.COLUMNS


def test_only_datasets_that_differ_in_cells_alone_are_a_group():
    stanzas = {
        name: {"loader": "simulated", "cells": cells, "n_rna": 50} for name, cells in SIZES.items()
    }
    config = {
        "datasets": stanzas
        | {"other": {"loader": "simulated", "cells": 500, "n_rna": 60}, "pbmc68k_split": None}
    }
    assert settings.load(config).sizes == [SIZES]
    del config["datasets"]["large"]
    assert settings.load(config).sizes == []


def test_the_study_compares_all_its_datasets():
    study = settings.load(yaml.safe_load((REPOSITORY / "config/studies/scaling.yaml").read_text()))
    sizes = {"001k": 1000, "010k": 10_000, "100k": 100_000, "160k": 160_000, "500k": 500_000}
    assert study.sizes == [{f"cells-{name}": cells for name, cells in sizes.items()}]


def test_records_become_phases_and_sums(tmp_path):
    record = {
        "dataset": "d",
        "scenario": "s",
        "run": "r",
        "method": "mvae",
        "seed": 0,
        "status": "ok",
        "message": "",
    }
    record |= {
        "hyperparameters": {},
        "peak_host_mb": 300,
        "peak_device_mb": None,
        "device": "cpu",
        "threads": 1,
    }
    record |= {"versions": {}, "git_commit": "abc", "seconds": {"fit": 3.0, "read": 1.0}}
    newer = {
        "cpu_seconds": {"fit": 2.0, "read": 0.5},
        "gpu_seconds": {"fit": 0.0, "read": 0.0},
        "host_mb": {"fit": 300, "read": 90},
    }
    newer |= {"cells": {"train": 80, "query": 20}}
    paths = [tmp_path / "older.json", tmp_path / "newer.json"]
    paths[0].write_text(json.dumps(record))
    paths[1].write_text(json.dumps(record | newer | {"seed": 1}))
    records = {path: read_record(path) for path in paths}
    found = tabulate._phases(records.values()).set_index(["seed", "phase"])
    assert found.loc[(1, "fit"), ["seconds", "cpu_seconds", "host_mb", "train_cells"]].tolist() == [
        3.0,
        2.0,
        300,
        80,
    ]
    assert found.loc[(0, "fit"), "seconds"] == 3.0
    assert np.isnan(found.loc[(0, "fit"), "cpu_seconds"])
    runs = checked_runs(tabulate._runs(records, [], {"r": "mvae"})).set_index("seed")
    assert runs.loc[1, ["seconds", "cpu_seconds", "gpu_seconds"]].tolist() == [4.0, 2.5, 0.0]
    assert np.isnan(runs.loc[0, "cpu_seconds"])
