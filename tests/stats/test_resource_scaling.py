"""Exponents: known power laws are recovered, and only like datasets are compared."""

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench.commands import tabulate
from mosaicbench.config import settings
from mosaicbench.files.runs import RECORD_KEYS, read_record, write_record
from mosaicbench.report.tables.contract import PHASE_COLUMNS, checked_runs
from mosaicbench.stats import resource_scaling as scaling
from mosaicbench.workflow import resources

NO_JOBS = pd.DataFrame(columns=resources.JOB_COLUMNS)
SIZES = {"small": 1000, "medium": 10_000, "large": 100_000}


def phases(**more):
    """Return the resources of a run on each dataset: training linear, embedding quadratic."""
    rows = []
    for dataset, cells in (SIZES | more).items():
        by_phase = {"import": (2.0, 0), "fit": (1e-3 * cells, 1e-2 * cells)}
        by_phase["embed"] = 1e-9 * cells**2, 0
        for phase, (seconds, memory) in by_phase.items():
            row = {"dataset": dataset, "scenario": "paired", "run": "r", "method": "m"}
            row |= {"phase": phase, "cpu_seconds": seconds, "gpu_seconds": 0.0}
            row |= {"train_cells": cells, "query_cells": cells // 4, "host_mb": 300 + memory}
            rows += [row | {"seed": seed, "seconds": seconds * (0.9 + seed / 5)} for seed in (0, 1)]
    return pd.DataFrame(rows, columns=PHASE_COLUMNS)


def test_exponents_are_those_of_the_power_laws():
    table = scaling.exponents(phases(other=7), NO_JOBS, [SIZES])
    assert list(table) == scaling.COLUMNS and set(table["datasets"]) == {3}
    table = table.set_index(["phase", "measure"])
    expected = {"import seconds": 0, "fit seconds": 1, "embed seconds": 2, "fit host_mb": 1}
    for place, exponent in expected.items():
        found = table.loc[tuple(place.split()), ["exponent", "last_exponent"]]
        assert found.tolist() == pytest.approx([exponent] * 2, abs=1e-3), place
    fit, whole = table.loc[("fit", "seconds")], table.loc[("all", "seconds")]
    assert fit[["at_least", "at_most"]].tolist() == pytest.approx([1.0, 100.0])
    assert whole["at_most"] == pytest.approx(2 + 100 + 10)
    assert table.loc[("all", "host_mb"), "at_most"] == pytest.approx(1000)
    assert 0 < whole["exponent"] < whole["last_exponent"] < 1.1
    assert np.isnan(table.loc[("import", "host_mb"), "exponent"])
    assert "device_mb" not in table.index.get_level_values("measure")


def test_jobs_of_other_rules_are_phases_of_their_name():
    rows = [["prepare", dataset, "-", cells**2, cells] for dataset, cells in SIZES.items()]
    jobs = pd.DataFrame(rows, columns=resources.JOB_COLUMNS)
    table = scaling.exponents(phases(), jobs, [SIZES])
    table = table[table["phase"] == "prepare"].set_index(["scenario", "run", "measure"])
    assert table.loc[("-", "-", "seconds"), "exponent"] == pytest.approx(2)
    assert table.loc[("-", "-", "host_mb"), "exponent"] == pytest.approx(1)


def test_only_datasets_that_differ_in_cells_alone_are_a_group():
    stanzas = {}
    for name, cells in SIZES.items():
        stanzas[name] = {"loader": "simulated", "cells": cells, "n_rna": 50}
    other = {"loader": "simulated", "cells": 500, "n_rna": 60}
    config = {"datasets": stanzas | {"other": other, "pbmc68k_split": None}}
    assert settings.load(config).sizes == [SIZES]
    del config["datasets"]["large"]
    assert settings.load(config).sizes == []
    assert list(scaling.exponents(phases(), NO_JOBS, [])) == scaling.COLUMNS
    study = settings.load(yaml.safe_load((REPOSITORY / "config/studies/scaling.yaml").read_text()))
    assert [list(sizes.values()) for sizes in study.sizes] == [[1000, 10_000, 100_000]]


def test_records_become_phases_and_sums(tmp_path):
    record = {"dataset": "d", "scenario": "s", "run": "r", "method": "mvae", "status": "ok"}
    record = dict.fromkeys(RECORD_KEYS) | record | {"hyperparameters": {}}
    record["seconds"] = {"fit": 3.0, "read": 1.0}
    newer = {"cpu_seconds": {"fit": 2.0, "read": 0.5}, "gpu_seconds": {"fit": 0.0, "read": 0.0}}
    newer |= {"host_mb": {"fit": 300, "read": 90}, "cells": {"train": 80, "query": 20}}
    records = {}
    for seed, more in enumerate(({}, newer)):
        path = tmp_path / f"{seed}.json"
        write_record(path, record | more | {"seed": seed})
        records[path] = read_record(path)
    table = tabulate._phases(records.values()).set_index(["seed", "phase"])
    names = ["seconds", "cpu_seconds", "host_mb", "train_cells"]
    assert table.loc[(1, "fit"), names].tolist() == [3.0, 2.0, 300, 80]
    assert table.loc[(0, "fit"), "seconds"] == 3.0
    assert np.isnan(table.loc[(0, "fit"), "cpu_seconds"])
    runs = checked_runs(tabulate._runs(list(records.values()), [], {"r": "mvae"})).set_index("seed")
    assert runs.loc[1, ["seconds", "cpu_seconds", "gpu_seconds"]].tolist() == [4.0, 2.5, 0.0]
    assert np.isnan(runs.loc[0, "cpu_seconds"])
