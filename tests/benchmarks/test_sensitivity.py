"""How far ranks move: one hand-made order before and after, and the configs of the list."""

import sys

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench.catalog import catalog
from mosaicbench.config import settings

sys.path[:0] = [str(REPOSITORY / "benchmarks"), str(REPOSITORY / "docs/site")]

import sensitivity  # noqa: E402


def means(metric, by_run):
    rows = [
        ["cells", run, seed, metric, value]
        for run, values in by_run.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=sensitivity.MEANS)


def test_tau_the_first_and_its_lead_are_those_by_hand():
    before = means("foscttm", {"a": [0.1, 0.1], "b": [0.2, 0.2], "c": [0.3, 0.3], "d": [0.4, 0.4]})
    # higher is better: b, a, c; d has no score. Of three pairs of runs, one is turned: tau 1/3.
    after = means("recall_at_10", {"a": [0.5, 0.52], "b": [0.6, 0.64], "c": [0.1, 0.1]})
    (row,) = sensitivity.compared(before, after, "foscttm", "recall_at_10").to_dict("records")
    assert (row["runs"], row["first"], row["first_after"]) == (3, "a", "b")
    assert row["tau"] == pytest.approx(1 / 3)
    # leads of 0.10 and 0.12: sd 0.0141421, t(1) = 12.7062, so half is 12.7062 x 0.01
    assert row["lead"] == pytest.approx(0.11) and row["low"] == pytest.approx(
        0.11 - 0.127062, abs=1e-6
    )


def test_every_level_is_a_config_and_every_score_a_metric():
    listed = yaml.safe_load(sensitivity.LIST.read_text(encoding="utf-8"))
    base = settings.load(sensitivity.config_of(listed, {})).applicable
    folders = []
    for default, levels in listed["settings"].items():
        for level, changes in levels.items():
            bench = settings.load(sensitivity.config_of(listed, changes))
            assert set(bench.applicable) <= set(base)
            folders.append(sensitivity.folder_of(default, level))
    assert len(folders) == len(set(folders))
    widths = settings.load(sensitivity.config_of(listed, {"latent": 10})).runs.values()
    assert {run.hyperparameters.get("latent") for run in widths} == {10, None}
    known = {sensitivity.REGRESSION, *catalog.names("metrics")}
    for levels in listed["scores"].values():
        for replaced in levels.values():
            assert set(replaced) <= set(sensitivity.QUESTIONS)
            assert set(replaced.values()) <= known
