"""The numbers of docs/trust.md follow from their table, and the shipped calibration too."""

import sys
from itertools import product

import pandas as pd
import pytest
from conftest import REPOSITORY
from numpy.testing import assert_allclose

from mosaicbench.scoring import trust

sys.path[:0] = [str(REPOSITORY / "docs/site")]
import tables  # noqa: E402


@pytest.fixture(scope="module")
def benchmark_of_trust():
    """Return benchmarks/trust.py, whose name is that of a module of the package."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("of_trust", REPOSITORY / "benchmarks/trust.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(REPOSITORY / "docs/benchmarks/trust_estimate.tsv", sep="\t")


def test_estimates_know_nothing_of_their_own_dataset(benchmark_of_trust, rows):
    ends = list(map("_".join, product(benchmark_of_trust.TRUE, benchmark_of_trust.ENDS)))
    again = benchmark_of_trust.left_out(rows.drop(columns=ends))
    assert_allclose(again[ends], rows[ends], atol=0.002)
    changed = rows.assign(foscttm=rows["foscttm"].where(rows["dataset"] != "teaseq_small", 0.9))
    again = benchmark_of_trust.left_out(changed)
    same = rows["dataset"] == "teaseq_small"
    assert_allclose(again.loc[same, ends], rows.loc[same, ends], atol=0.002)
    assert (again.loc[~same, ends[0]] - rows.loc[~same, ends[0]]).abs().max() > 0.1


def test_the_index_is_that_of_the_features(rows):
    names = list(trust.FEATURES)
    again = [trust.index(**row) for row in rows[names].to_dict("records")]
    assert_allclose(again, rows["index"], atol=0.003)


def test_the_shipped_curves_are_those_of_all_datasets(benchmark_of_trust, rows):
    shipped = trust.calibration()
    for score in benchmark_of_trust.TRUE:
        widths = benchmark_of_trust.curve(rows, score), shipped[shipped["score"] == score]
        assert_allclose(*(table["half_width"].iloc[0] for table in widths), atol=0.002)
        said = [trust.estimates(value)[score][0] for value in rows["index"]]
        fitted = benchmark_of_trust.fitted(rows, score)
        assert_allclose(said, fitted.predict(rows["index"]), atol=0.01)


def test_the_page_says_what_the_table_shows(rows):
    said = {row[0]: row[1:] for row in tables.estimates()}
    runs = rows[rows["kind"] != "control"]
    covered = (runs["foscttm"] >= runs["foscttm_low"]) & (runs["foscttm"] <= runs["foscttm_high"])
    correlation = runs["foscttm"].rank().corr(runs["foscttm_estimate"].rank())
    number, within, spearman, *_, exchanges, others = said["each in turn"]
    assert (int(number), within) == (len(runs), f"{100 * covered.mean():.1f} %")
    assert spearman == f"{correlation:.2f}"
    bad = runs["foscttm_estimate"] >= trust.BAD
    exchanged = runs["types_matched"] <= 0.5
    assert exchanges == f"{(bad & exchanged).sum()} of {exchanged.sum()}"
    assert others == f"{(bad & ~exchanged).sum()} of {(~exchanged).sum()}"
    assert covered.mean() >= 0.9 and correlation >= 0.8
    of_dmmvae = exchanged & runs["run"].str.startswith("dmmvae")
    assert bad[of_dmmvae].mean() >= 0.9
    # The page's limits: where runs that exchange nothing are called bad, and why.
    brain = runs["dataset"] == "snareseq_small"
    assert set(runs.loc[bad & ~exchanged, "dataset"]) == {"snareseq_small"}
    assert (runs.loc[brain, "own"] < trust.LEAST).all()
    assert (runs.loc[~brain, "own"] > trust.LEAST).all()
