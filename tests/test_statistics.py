"""Intervals, paired tests, ranks, the overall score, sentinels and published numbers, against independent computations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import yaml
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mosaicbench import catalog
from mosaicbench.errors import ContractError, UserError
from mosaicbench.files.scores import CellScores, read_cells, write_cells
from mosaicbench.metrics.foscttm import foscttm
from mosaicbench.metrics.imputation_pearson_per_cell import imputation_pearson_per_cell
from mosaicbench.metrics.label_transfer_accuracy import label_transfer_accuracy
from mosaicbench.report import published, statistics, tables
from mosaicbench.scoring import per_cell

REPOSITORY = Path(__file__).parents[1]
CARDS = {
    "methods": {
        **{name: {"kind": "model", "uses": ("pairs",)} for name in ("mvae", "mmvaepp", "vae_poe")},
        **{name: {"kind": "baseline", "uses": ("pairs", "labels")} for name in ("cca", "ridge")},
        **{name: {"kind": "control", "uses": ()} for name in ("oracle", "constant", "random_latent", "train_mean")},
        "label_oracle": {"kind": "control", "uses": ("solution", "labels")},
    },
    "metrics": {
        "foscttm": {"group": "alignment", "best": 0.0, "better": "lower", "chance": 0.5, "bounds": [0.0, 1.0]},
        "recall_at_10": {"group": "alignment", "best": 1.0, "better": "higher", "chance": None, "bounds": [0.0, 1.0]},
        "label_transfer_accuracy": {"group": "label_transfer", "best": 1.0, "better": "higher", "chance": None},
        "imputation_skill": {"group": "imputation", "best": 1.0, "better": "higher", "chance": 0.0, "bounds": [None, 1.0]}
        | {"definition": "ours"},
        "active_units": {"group": "sanity", "best": None, "better": None, "chance": None},
        "fit_seconds": {"group": "resources", "best": 0.0, "better": "lower", "chance": None},
    },
}


def scores_of(values: dict, *, dataset="d", scenario="paired") -> pd.DataFrame:
    """Return a table of scores from (run, metric[, direction]) -> values by seed; None is a seed that failed."""
    rows = []
    for (run, metric, *direction), by_seed in values.items():
        for seed, value in enumerate(by_seed):
            if value is None:
                rows.append((run, seed, "status", "run", np.nan, "diverged"))
            else:
                rows.append((run, seed, metric, direction[0] if direction else "rna->adt", value, "ok"))
    table = pd.DataFrame(rows, columns=["run", "seed", "metric", "direction", "value", "status"]).drop_duplicates()
    return tables.checked_scores(table.assign(dataset=dataset, scenario=scenario, space="-"))


def runs_of(scores: pd.DataFrame, *, not_applicable=()) -> pd.DataFrame:
    """Return the table of runs that belongs to scores; a run's method is its name."""
    runs = scores[["dataset", "scenario", "run", "seed", "status"]].drop_duplicates()
    view = {"dataset": scores["dataset"].iloc[0], "scenario": scores["scenario"].iloc[0]}
    absent = pd.DataFrame([view | {"run": run, "seed": None, "status": "not_applicable"} for run in not_applicable])
    runs = pd.concat([runs, absent]) if len(absent) else runs
    runs = runs.assign(method=runs["run"], message="", device="cpu", seconds=np.nan, peak_host_mb=np.nan, peak_device_mb=np.nan)
    return tables.checked_runs(runs)


def cells_of(run: str, values: dict, *, names=None, dataset="d", scenario="paired") -> CellScores:
    """Return per-cell scores from (seed, metric) -> (cells,)."""
    sizes = {seed: len(x) for (seed, _), x in values.items()}
    names = names or {seed: np.array([f"c{seed}-{i}" for i in range(n)]) for seed, n in sizes.items()}
    blocks = {(seed, metric, "rna->adt", "-"): np.asarray(x, dtype=np.float32) for (seed, metric), x in values.items()}
    return CellScores(dataset=dataset, scenario=scenario, run=run, cells=names, values=blocks)


# --- scores of single cells ----------------------------------------------------------------------------------------------


def supplied(n=60):
    random = np.random.default_rng(0)
    z = random.standard_normal((n, 3))
    labels = np.array([f"type {i % 3}" for i in range(n)], dtype=object)
    truth = {"rna": random.standard_normal((n, 8)), "adt": random.standard_normal((n, 5))}
    return {
        "groups": ["alignment", "label_transfer", "imputation"],
        "latents": {"joint": z, "rna": z, "adt": z + 0.4 * random.standard_normal((n, 3))},
        "train_latents": dict.fromkeys(("joint", "rna", "adt"), z + 0.1),
        "train_labels": dict.fromkeys(("joint", "rna", "adt"), labels),
        "imputed": {"rna->adt": truth["adt"] + random.standard_normal((n, 5))},
        "truth": truth,
        "spaces": {"rna": "lognorm", "adt": "clr"},
        "labels": labels,
    }


def test_the_mean_over_cells_is_the_score():
    known = supplied()
    found = per_cell.per_cell(**known)
    assert set(found) == {
        *((name, d, "-") for name in ("foscttm", "label_transfer_accuracy") for d in ("rna->adt", "adt->rna")),
        ("imputation_pearson_per_cell", "rna->adt", "clr"),
    }
    a, b = known["latents"]["rna"], known["latents"]["adt"]
    np.testing.assert_allclose(found["foscttm", "rna->adt", "-"].mean(), foscttm(a, b), rtol=1e-6)
    r = imputation_pearson_per_cell(known["truth"]["adt"], known["imputed"]["rna->adt"])
    np.testing.assert_allclose(found["imputation_pearson_per_cell", "rna->adt", "clr"].mean(), r, rtol=1e-6)
    from mosaicbench.metrics._neighbors import transfer

    accuracy = label_transfer_accuracy(transfer(known["train_latents"]["adt"], known["labels"], a), known["labels"])
    np.testing.assert_allclose(found["label_transfer_accuracy", "adt->rna", "-"].mean(), accuracy, rtol=1e-6)


def test_a_cell_of_unknown_type_has_no_label_score():
    known = supplied()
    known["labels"] = known["labels"].copy()
    known["labels"][:7] = ""
    found = per_cell.per_cell(**known)["label_transfer_accuracy", "rna->adt", "-"]
    assert np.isnan(found[:7]).all()
    assert np.isfinite(found[7:]).all()
    known["labels"][:] = ""
    assert not any(metric == "label_transfer_accuracy" for metric, *_ in per_cell.per_cell(**known))


def test_only_groups_that_were_asked_for_are_scored():
    assert {metric for metric, *_ in per_cell.per_cell(**supplied() | {"groups": ["alignment", "biology"]})} == {"foscttm"}


def test_cells_survive_the_disk_and_a_broken_file_is_refused(tmp_path):
    written = cells_of("mvae", {(0, "foscttm"): [0.1, np.nan, 0.3], (4, "foscttm"): [0.5]})
    write_cells(tmp_path / "cells.npz", written)
    read = read_cells(tmp_path / "cells.npz")
    assert (read.dataset, read.scenario, read.run) == ("d", "paired", "mvae")
    assert list(read.values) == list(written.values)
    for key, x in written.values.items():
        np.testing.assert_array_equal(read.values[key], x)
    np.testing.assert_array_equal(read.cells[0], ["c0-0", "c0-1", "c0-2"])
    write_cells(tmp_path / "none.npz", cells_of("mvae", {}))
    assert read_cells(tmp_path / "none.npz").values == {}
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cells.npz").read_bytes()[:200])
    for name in ("cut.npz", "absent.npz"):
        with pytest.raises(ContractError, match=name):
            read_cells(tmp_path / name)
    write_cells(tmp_path / "short.npz", cells_of("mvae", {(0, "foscttm"): [0.1, 0.2]}, names={0: np.array(["a"])}))
    with pytest.raises(ContractError, match="one number per cell"):
        read_cells(tmp_path / "short.npz")


# --- bootstrap -----------------------------------------------------------------------------------------------------------


def test_with_one_unit_the_bootstrap_is_scipys():
    x = np.random.default_rng(3).exponential(1.0, 80)
    low, high = statistics.percentiles(statistics.resampled({0: x[:, None]}, replicates=20_000))
    expected = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1))
    np.testing.assert_allclose([low[0], high[0]], expected.confidence_interval, atol=0.01)


def test_the_spread_over_units_and_rows_is_what_theory_says():
    """Var of the replicate mean: (mean square between units)/S + the mean of var within / (n S), both with divisor n."""
    random = np.random.default_rng(0)
    values = {seed: seed + random.standard_normal((50, 1)) for seed in range(4)}
    found = statistics.resampled(values, replicates=40_000).var()
    means = np.array([x.mean() for x in values.values()])
    within = np.mean([x.var() / 50 for x in values.values()])
    np.testing.assert_allclose(found, means.var() / 4 + within / 4, rtol=0.05)


@pytest.mark.parametrize(("seeds_differ", "least", "most"), [(True, 0.65, 0.80), (False, 0.95, 1.0)])
def test_coverage_with_three_seeds_is_what_the_documentation_says(seeds_differ, least, most):
    random = np.random.default_rng(1)
    covered = []
    for repeat in range(300):
        sd_of_seeds, sd_of_cells = (1, 1e-4) if seeds_differ else (0, 1)
        values = {s: sd_of_seeds * random.standard_normal() + sd_of_cells * random.standard_normal((40, 1)) for s in range(3)}
        low, high = statistics.percentiles(statistics.resampled(values, replicates=300, seed=repeat))
        covered.append(low[0] <= 0 <= high[0])
    assert least < np.mean(covered) <= most


def test_columns_share_their_draws_and_rows_without_a_value_are_left_out():
    x = np.random.default_rng(0).standard_normal((30, 1))
    replicates = statistics.resampled({0: np.hstack([x, x + 1]), 1: np.hstack([2 * x, 2 * x + 1])})
    np.testing.assert_allclose(replicates[:, 1] - replicates[:, 0], 1)
    holes = np.vstack([x, np.full((5, 1), np.nan)])
    whole, holed = (statistics.resampled({0: y}, replicates=20_000) for y in (x, holes))
    np.testing.assert_allclose(whole.mean(), np.nanmean(holed), atol=0.01)
    np.testing.assert_allclose(whole.std(), np.nanstd(holed), rtol=0.05)


def test_intervals_say_what_they_are_made_of():
    random = np.random.default_rng(0)
    x = {seed: random.random(40) for seed in range(3)}
    scores = scores_of(
        {("mvae", "foscttm"): [x[seed].mean() for seed in range(3)], ("mvae", "recall_at_10"): [0.1, 0.2, 0.3]}
        | {("cca", "foscttm"): [x[0].mean()], ("ridge", "imputation_skill"): [0.5]}
    )
    cells = [
        cells_of("mvae", {(seed, "foscttm"): x[seed] for seed in range(3)}),
        cells_of("cca", {(0, "foscttm"): x[0]}),
    ]
    for summary in (tables.comparison(scores), tables.headline(scores)):
        plain = summary.set_index(["run", "metric"])
        found = statistics.with_intervals(summary, statistics.intervals_over_cells(cells)).set_index(["run", "metric"])
        assert found["interval"].to_dict() == {
            ("mvae", "foscttm"): "bootstrap cells x seeds",
            ("mvae", "recall_at_10"): "t over seeds",
            ("cca", "foscttm"): "bootstrap cells, one seed",
            ("ridge", "imputation_skill"): "none",
        }
        low, high = found.loc[("cca", "foscttm"), ["low", "high"]]
        expected = stats.bootstrap((x[0].astype(np.float32),), np.mean, method="percentile", rng=np.random.default_rng(1))
        np.testing.assert_allclose([low, high], expected.confidence_interval, atol=0.02)
        assert found.loc[("mvae", "foscttm"), "low"] < plain.loc[("mvae", "foscttm"), "mean"]
        same = ["low", "high"]
        pd.testing.assert_series_equal(found.loc[("mvae", "recall_at_10"), same], plain.loc[("mvae", "recall_at_10"), same])
        assert found.loc[("ridge", "imputation_skill"), same].isna().all()
        pd.testing.assert_series_equal(found["mean"], plain["mean"])


def test_the_headline_interval_is_of_the_mean_over_directions():
    x, y = np.random.default_rng(0).random((2, 200)).astype(np.float32)
    scores = scores_of({("mvae", "foscttm", "rna->adt"): [x.mean()], ("mvae", "foscttm", "adt->rna"): [y.mean()]})
    own = CellScores(
        dataset="d",
        scenario="paired",
        run="mvae",
        cells={0: np.arange(200).astype(str)},
        values={(0, "foscttm", "rna->adt", "-"): x, (0, "foscttm", "adt->rna", "-"): y},
    )
    row = statistics.with_intervals(tables.headline(scores), statistics.intervals_over_cells([own])).iloc[0]
    mean = (x + y) / 2  # the same cells in both directions, so they are drawn together
    half = 1.96 * mean.std() / 200**0.5
    np.testing.assert_allclose([row["low"], row["high"]], [mean.mean() - half, mean.mean() + half], atol=0.005)


# --- paired tests --------------------------------------------------------------------------------------------------------

SEEDS = {
    ("mvae", "foscttm"): [0.10, 0.12, 0.11, 0.13],
    ("mmvaepp", "foscttm"): [0.20, 0.19, 0.24, 0.22],
    ("cca", "foscttm"): [0.15, 0.18, 0.16, 0.14],
    ("oracle", "foscttm"): [0.0, 0.0, 0.0, 0.0],
}


def test_over_seeds_it_is_scipys_paired_t_test_with_holm():
    scores = scores_of(SEEDS)
    found = statistics.paired_tests(scores, runs_of(scores), [], CARDS).set_index(["run", "against"])
    assert set(found["test"]) == {statistics.OVER_SEEDS}
    assert set(found.index) == {("mmvaepp", "mvae"), ("cca", "mvae"), ("mmvaepp", "cca")}
    assert found.loc[("cca", "mvae"), "role"] == "best"
    assert found.loc[("mmvaepp", "cca"), "role"] == "reference"  # the best baseline
    for run, against in found.index:
        row = found.loc[(run, against)]
        test = stats.ttest_rel(SEEDS[run, "foscttm"], SEEDS[against, "foscttm"])
        interval = test.confidence_interval()
        np.testing.assert_allclose([row["p"], row["low"], row["high"]], [test.pvalue, interval.low, interval.high])
        np.testing.assert_allclose(row["effect"], np.mean(SEEDS[run, "foscttm"]) - np.mean(SEEDS[against, "foscttm"]))
        assert (row["n"], row["seeds"], row["least_p"], row["better"]) == (4, 4, 1 / 8, against)
    np.testing.assert_allclose(found["p_holm"], multipletests(found["p"], method="holm")[1])


def test_holm_by_hand_and_around_what_is_missing():
    found = statistics.holm(pd.Series([0.01, np.nan, 0.04, 0.03]))
    np.testing.assert_allclose(found, [0.03, np.nan, 0.06, 0.06])
    assert statistics.holm(pd.Series([np.nan, np.nan])).isna().all()


def test_families_are_corrected_apart():
    other = {("mvae", "recall_at_10"): [0.8, 0.9, 0.7], ("cca", "recall_at_10"): [0.5, 0.7, 0.2]}
    scores = pd.concat([scores_of(SEEDS | other), scores_of(SEEDS, dataset="e")])
    found = statistics.paired_tests(scores, runs_of(scores), [], CARDS)
    assert found.groupby(["dataset", "metric"]).size().to_dict() == {
        ("d", "foscttm"): 3,
        ("d", "recall_at_10"): 1,
        ("e", "foscttm"): 3,
    }
    alone = found[found["metric"] == "recall_at_10"].iloc[0]
    assert alone["p_holm"] == alone["p"]
    assert (alone["run"], alone["role"]) == ("cca", "best")  # cca is the reference too, and is not tested against itself


def test_a_named_reference_is_used_and_one_without_the_score_is_not():
    scores = scores_of(SEEDS)
    found = statistics.paired_tests(scores, runs_of(scores), [], CARDS, reference="mmvaepp")
    assert set(zip(found["run"], found["against"], strict=True)) == {("mmvaepp", "mvae"), ("cca", "mvae"), ("cca", "mmvaepp")}
    found = statistics.paired_tests(scores, runs_of(scores), [], CARDS, reference="ridge")
    assert set(found["against"]) == {"mvae"}
    found = statistics.paired_tests(scores, runs_of(scores), [], CARDS, reference="mvae")
    assert set(found["role"]) == {"best, reference"}


def test_over_cells_it_is_least_squares_clustered_by_cell():
    random = np.random.default_rng(0)
    names = {0: np.array([f"c{i}" for i in range(50)]), 1: np.array([f"c{i}" for i in range(20, 60)])}  # some cells twice
    x = {seed: random.random(len(n)) for seed, n in names.items()}
    y = {seed: x[seed] + 0.1 + 0.2 * random.standard_normal(len(n)) for seed, n in names.items()}
    x[0][3] = np.nan
    scores = scores_of({(run, "foscttm"): [np.nanmean(z[0]), np.nanmean(z[1])] for run, z in (("mvae", x), ("cca", y))})
    cells = [cells_of(run, {(s, "foscttm"): z[s] for s in z}, names=names) for run, z in (("mvae", x), ("cca", y))]
    found = statistics.paired_tests(scores, runs_of(scores), cells, CARDS).set_index("test")
    row = found.loc[statistics.OVER_CELLS]
    frame = pd.concat([pd.DataFrame({"d": y[s] - x[s], "cell": names[s], "seed": s}) for s in x]).dropna()
    weights = 1 / frame.groupby("seed")["d"].transform("size")  # so that seeds weigh the same
    fit = sm.WLS(frame["d"].to_numpy(), np.ones(len(frame)), weights=weights.to_numpy()).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(frame["cell"])[0]}, use_t=True
    )
    np.testing.assert_allclose(row["p"], fit.pvalues[0], rtol=1e-4)
    np.testing.assert_allclose(row["effect"], np.mean([np.nanmean(y[s] - x[s]) for s in x]), rtol=1e-5)
    assert (row["n"], row["seeds"]) == (59, 2)  # 50 + 40 less 30 met twice, less the one without a value
    assert np.isnan(row["least_p"])
    np.testing.assert_allclose(found.loc[statistics.OVER_SEEDS, "effect"], np.mean([y[s].mean() - np.nanmean(x[s]) for s in x]))


def test_one_seed_gives_no_p_over_seeds_but_one_over_cells():
    x = np.random.default_rng(0).random((2, 30))
    scores = scores_of({("mvae", "foscttm"): [x[0].mean()], ("cca", "foscttm"): [x[1].mean() + 1]})
    cells = [cells_of("mvae", {(0, "foscttm"): x[0]}), cells_of("cca", {(0, "foscttm"): x[1] + 1})]
    found = statistics.paired_tests(scores, runs_of(scores), cells, CARDS).set_index("test")
    over_seeds = found.loc[statistics.OVER_SEEDS]
    assert over_seeds[["p", "p_holm", "low", "high", "least_p"]].isna().all()
    assert "one seed" in over_seeds["note"]
    expected = stats.ttest_rel(x[1] + 1, x[0])
    np.testing.assert_allclose(found.loc[statistics.OVER_CELLS, "p"], expected.pvalue, rtol=1e-3)


def test_ties_and_constant_differences_get_no_p_and_say_why():
    scores = scores_of(
        {("mvae", "foscttm"): [0.1, 0.2, 0.3], ("cca", "foscttm"): [0.1, 0.2, 0.3], ("ridge", "foscttm"): [0.2, 0.3, 0.4]}
    )
    found = statistics.paired_tests(scores, runs_of(scores), [], CARDS).set_index("run")
    assert found["p"].isna().all()
    assert found["note"].str.contains("same in every seed").all()
    assert found.loc["cca", "better"] == "neither" if "cca" in found.index else found.loc["mvae", "better"] == "neither"


def test_a_failed_seed_is_left_out_of_both_sides():
    scores = scores_of({("mvae", "foscttm"): [0.1, 0.2, 0.15], ("cca", "foscttm"): [0.3, None, 0.4]})
    row = statistics.paired_tests(scores, runs_of(scores), [], CARDS).iloc[0]
    assert (row["n"], row["least_p"]) == (2, 0.5)
    np.testing.assert_allclose(row["effect"], np.mean([0.2, 0.25]))


def test_fewer_directions_are_not_compared_and_nothing_compares_with_itself():
    scores = scores_of(
        {("mvae", "foscttm", d): [0.1, 0.2] for d in ("rna->adt", "adt->rna")} | {("cca", "foscttm"): [0.0, 0.1]}
    )
    assert statistics.paired_tests(scores, runs_of(scores), [], CARDS).empty


# --- ranks ---------------------------------------------------------------------------------------------------------------


def test_ranks_by_hand_with_ties_and_both_senses():
    by_dataset = {
        "d": {("mvae", "foscttm"): [0.1, 0.2], ("cca", "foscttm"): [0.1, 0.1], ("ridge", "foscttm"): [0.3, 0.3]},
        "e": {("mvae", "foscttm"): [0.1, 0.1], ("cca", "foscttm"): [0.4, 0.4], ("ridge", "foscttm"): [0.2, 0.5]},
    }
    scores = pd.concat([scores_of(values, dataset=name) for name, values in by_dataset.items()])
    found = statistics.ranks(scores, runs_of(scores), CARDS).set_index("run")
    # d: (1.5, 1.5, 3) and (2, 1, 3); e: (1, 3, 2) and (1, 2, 3)
    np.testing.assert_allclose(found.loc[["mvae", "cca", "ridge"], "rank"], [(1.75 + 1) / 2, (1.25 + 2.5) / 2, (3 + 2.5) / 2])
    assert set(found["interval"]) == {"bootstrap datasets x seeds"}
    assert (found["low"] <= found["rank"]).all()
    assert (found["rank"] <= found["high"]).all()
    flipped = scores.assign(metric="recall_at_10")
    found = statistics.ranks(flipped, runs_of(flipped), CARDS).set_index("run")
    np.testing.assert_allclose(found.loc["ridge", "rank"], 4 - (3 + 2.5) / 2)


def test_critical_difference_is_demsars():
    """Table 5 of Demšar 2006: q at 5 % is 2.343 for 3 and 2.728 for 5 methods; his example: 4 methods, 14 data sets, 1.25."""
    np.testing.assert_allclose(statistics.critical_difference(4, 14), 1.25, atol=0.005)
    np.testing.assert_allclose(statistics.critical_difference(3, 6) / np.sqrt(3 * 4 / 36), 2.343, atol=0.001)
    np.testing.assert_allclose(statistics.critical_difference(5, 6) / np.sqrt(5 * 6 / 36), 2.728, atol=0.001)


def test_an_incomplete_run_is_listed_without_a_rank_and_moves_nobody():
    whole = {("mvae", "foscttm"): [0.1, 0.2], ("cca", "foscttm"): [0.2, 0.1]}
    scores = scores_of(whole | {("mmvaepp", "foscttm"): [0.0, None]})
    found = statistics.ranks(scores, runs_of(scores), CARDS).set_index("run")
    assert np.isnan(found.loc["mmvaepp", "rank"])
    assert (found.loc["mmvaepp", "blocks"], found.loc["mmvaepp", "of_blocks"]) == (1, 2)
    assert found.loc["mmvaepp", "note"] == "no value for d seed 1"
    assert found.loc[["mvae", "cca"], "rank"].tolist() == [1.5, 1.5]
    assert set(found.loc[["mvae", "cca"], "interval"]) == {"bootstrap seeds, one dataset"}
    assert found["critical_difference"].isna().all()  # of one dataset


def test_alone_or_with_one_seed_there_is_no_rank_or_no_interval():
    scores = scores_of(
        {("mvae", "foscttm"): [0.1, 0.2], ("oracle", "foscttm"): [0.0, 0.0], ("mvae", "active_units"): [3.0, 4.0]}
    )
    found = statistics.ranks(scores, runs_of(scores), CARDS)
    assert found[["metric", "run"]].to_numpy().tolist() == [["foscttm", "mvae"]]
    assert found["rank"].isna().all()
    assert found["note"].tolist() == ["nothing to rank against"]
    scores = scores_of({("mvae", "foscttm"): [0.1], ("cca", "foscttm"): [0.2]})
    found = statistics.ranks(scores, runs_of(scores), CARDS)
    assert found["rank"].tolist() == [1.0, 2.0]
    assert set(found["interval"]) == {"none"}
    assert found["low"].isna().all()


# --- overall score -------------------------------------------------------------------------------------------------------

CONTROLS = {
    ("oracle", "foscttm"): [0.0, 0.0],
    ("oracle", "recall_at_10"): [1.0, 1.0],
    ("oracle", "label_transfer_accuracy"): [1.0, 1.0],
    ("oracle", "imputation_skill"): [0.8, 0.8],
    ("constant", "recall_at_10"): [0.1, 0.1],
    ("constant", "label_transfer_accuracy"): [0.4, 0.4],
    ("random_latent", "label_transfer_accuracy"): [0.2, 0.2],
}
MVAE = {
    ("mvae", "foscttm"): [0.1, 0.2],  # 0.8, 0.6
    ("mvae", "recall_at_10"): [0.55, 0.55],  # 0.5
    ("mvae", "label_transfer_accuracy"): [0.7, 0.7],  # 0.5
    ("mvae", "imputation_skill"): [0.4, 0.4],  # 0.5
}


def test_overall_by_hand():
    scores = scores_of(CONTROLS | MVAE)
    found = statistics.overall(scores, runs_of(scores), CARDS).set_index("run")
    row = found.loc["mvae"]
    np.testing.assert_allclose(row[["alignment", "label_transfer", "imputation"]].astype(float), [0.6, 0.5, 0.5])
    by_seed = [(0.65 + 0.5 + 0.5) / 3, (0.55 + 0.5 + 0.5) / 3]
    np.testing.assert_allclose(row["score"], np.mean(by_seed))
    interval = stats.t.interval(0.95, 1, np.mean(by_seed), stats.sem(by_seed))
    np.testing.assert_allclose([row["low"], row["high"]], interval)
    assert (row["metrics"], row["of_metrics"], row["seeds"], row["of_seeds"]) == (4, 4, 2, 2)
    assert row["complete"]
    assert row["rank"] == 1
    np.testing.assert_allclose(found.loc["oracle", "score"], 1)
    assert found.loc[["oracle", "constant"], "rank"].isna().all()


def test_competitors_never_set_the_scale():
    scores = scores_of(CONTROLS | MVAE)
    more = pd.concat([scores, scores_of({("cca", metric): [v - 0.3 for v in by] for (_, metric), by in MVAE.items()})])
    before, after = (statistics.overall(t, runs_of(t), CARDS).set_index("run").loc["mvae", "score"] for t in (scores, more))
    assert before == after


def test_what_is_missing_is_left_out_and_the_run_is_not_ranked():
    partial = {("cca", "foscttm"): [0.0, 0.0], ("cca", "recall_at_10"): [1.0, 1.0]}
    seed_lost = {("mmvaepp", metric): [by[0], None] for (_, metric), by in MVAE.items()}
    all_lost = {("vae_poe", "foscttm"): [None, None]}
    scores = scores_of(CONTROLS | MVAE | partial | seed_lost | all_lost)
    found = statistics.overall(scores, runs_of(scores, not_applicable=["ridge"]), CARDS).set_index("run")
    cca = found.loc["cca"]
    assert (cca["score"], cca["alignment"]) == (1.0, 1.0)
    assert np.isnan(cca["imputation"])
    assert np.isnan(cca["label_transfer"])
    assert (cca["metrics"], cca["of_metrics"], cca["missing"]) == (2, 4, "label_transfer_accuracy, imputation_skill")
    lost = found.loc["mmvaepp"]
    np.testing.assert_allclose(lost["score"], (0.65 + 0.5 + 0.5) / 3)  # of the seed that there is
    assert (lost["seeds"], lost["of_seeds"], lost["missing"], lost["interval"]) == (1, 2, "seed 1 diverged", "none")
    assert np.isnan(found.loc["vae_poe", "score"])
    assert found.loc["vae_poe", "missing"].endswith("seed 0 diverged, seed 1 diverged")
    assert np.isnan(found.loc["ridge", "score"])
    assert found.loc["ridge", "missing"].endswith("not applicable")
    assert not found.loc[["cca", "mmvaepp", "vae_poe", "ridge"], "complete"].any()
    assert found["rank"].dropna().to_dict() == {"mvae": 1.0}


def test_over_datasets_a_run_is_complete_only_if_it_is_everywhere():
    first, second = scores_of(CONTROLS | MVAE), scores_of(CONTROLS | MVAE | {("cca", "foscttm"): [0.0, 0.1]}, dataset="e")
    scores = pd.concat([first, second])
    found = statistics.overall(scores, runs_of(scores), CARDS).set_index(["dataset", "run"])
    both = found.loc[("(all)", "mvae")]
    np.testing.assert_allclose(both["score"], found.loc[("d", "mvae"), "score"])
    assert both["complete"]
    assert both["rank"] == 1
    assert both["interval"] == "bootstrap datasets x seeds"
    assert ("(all)", "cca") not in found.index  # of one dataset only
    scores = pd.concat([scores_of(CONTROLS | MVAE | {("cca", "foscttm"): [None, None]}), second])
    found = statistics.overall(scores, runs_of(scores), CARDS).set_index(["dataset", "run"])
    assert not found.loc[("(all)", "cca"), "complete"]
    assert found.loc[("(all)", "cca"), "missing"].startswith("d: foscttm, ")


def test_nothing_at_all_gives_empty_tables():
    scores = scores_of({("mvae", "foscttm"): [None, None]})
    runs = runs_of(scores)
    assert statistics.paired_tests(scores, runs, [], CARDS).columns.tolist() == tables.PAIRED_COLUMNS
    assert statistics.ranks(scores, runs, CARDS).columns.tolist() == tables.RANK_COLUMNS
    found = statistics.overall(scores, runs, CARDS)
    assert found["score"].isna().all()
    assert not found["complete"].any()
    assert statistics.sentinels(scores, runs, CARDS).empty
    assert statistics.with_intervals(tables.comparison(scores), {})["mean"].isna().all()


@pytest.mark.parametrize(
    ("metric", "means", "expected"),
    [
        ("foscttm", {"oracle": 0.0, "random_latent": 0.49}, (0.5, "chance", 0.0, "oracle")),
        ("recall_at_10", {"constant": 0.05, "random_latent": 0.1, "mvae": 0.01}, (0.1, "random_latent", 1.0, "best possible")),
        ("label_transfer_accuracy", {"label_oracle": 1.0, "oracle": 0.9}, (np.nan, "", 0.9, "oracle")),
        ("fit_seconds", {"constant": 0.2, "random_latent": 0.1}, (0.1, "random_latent", 0.0, "best possible")),
    ],
)
def test_the_ends_of_a_scale(metric, means, expected):
    found = statistics.ends(pd.Series(means), metric, {}, CARDS)
    np.testing.assert_equal((found["zero"], found["zero_is"], found["one"], found["one_is"]), expected)


# --- sentinels -----------------------------------------------------------------------------------------------------------


def found_by(values: dict) -> set[tuple[str, str, str]]:
    scores = scores_of(values)
    found = statistics.sentinels(scores, runs_of(scores), CARDS)
    return set(zip(found["run"], found["gate"], found["metric"], strict=True))


def test_a_score_that_cannot_be_told_from_chance_is_flagged():
    assert found_by({("mvae", "foscttm"): [0.49, 0.52, 0.47], ("cca", "foscttm"): [0.30, 0.31, 0.29]}) == {
        ("mvae", "chance", "foscttm")
    }
    assert found_by({("mvae", "foscttm"): [0.45]}) == set()  # one seed: only what is not better than chance
    assert found_by({("mvae", "foscttm"): [0.5]}) == {("mvae", "chance", "foscttm")}
    assert found_by({("mvae", "foscttm"): [0.5, 0.5, 0.5]}) == {("mvae", "chance", "foscttm")}


def test_without_a_number_for_chance_the_strongest_negative_control_is_it():
    control = {
        ("constant", "label_transfer_accuracy"): [0.5, 0.5, 0.5],
        ("random_latent", "label_transfer_accuracy"): [0.2, 0.2, 0.2],
    }
    beaten = {("mvae", "label_transfer_accuracy"): [0.48, 0.55, 0.49], ("cca", "label_transfer_accuracy"): [0.7, 0.72, 0.71]}
    assert found_by(control | beaten) == {("mvae", "chance", "label_transfer_accuracy")}
    assert found_by(beaten) == set()  # nothing to compare with


def test_perfect_impossible_and_missing_scores_are_flagged_but_not_those_of_controls():
    assert found_by({("oracle", "foscttm"): [0.0, 0.0], ("constant", "foscttm"): [0.5, 0.5]}) == set()
    assert found_by({("mvae", "foscttm"): [0.0, 0.01]}) == {("mvae", "perfect", "foscttm")}
    assert found_by({("mvae", "foscttm"): [0.1, 0.12, -0.2]}) >= {("mvae", "impossible", "foscttm")}
    assert found_by({("mvae", "imputation_skill"): [0.3, 0.31, np.nan]}) == {("mvae", "no number", "imputation_skill")}
    assert found_by({("mvae", "foscttm"): [0.02, 0.03, 0.025]}) == set()  # below the label floor is fine


# --- what a run was given ------------------------------------------------------------------------------------------------


def test_the_overview_says_what_a_run_used():
    scores = scores_of(SEEDS)
    found = tables.overview(scores, runs_of(scores), CARDS).set_index("run")
    assert found.loc["cca", list(tables.TRAITS)].tolist() == ["no", "yes", "no", "yes"]
    assert found.loc["oracle", list(tables.TRAITS)].tolist() == ["no"] * 4
    assert tables.traits({"transductive": True, "uses": ("links",)}) == dict(
        zip(tables.TRAITS, ("yes", "no", "yes", "no"), strict=True)
    )


# --- published numbers ---------------------------------------------------------------------------------------------------


def number(**changed) -> dict:
    known = {"dataset": "d", "scenario": "paired", "method": "MVAE", "method_id": "mvae", "metric": "foscttm"}
    known |= {"direction": "rna->adt", "value": 0.05, "split": "held_out", "source": "R", "verdict": "usable"}
    return known | {"reason": "a remark", "reference": "r"} | changed


def beside(numbers: list[dict]) -> pd.DataFrame:
    scores = scores_of(SEEDS | {("mvae", "foscttm", "adt->rna"): [0.3, 0.3, 0.3, 0.3]})
    file = {
        "definitions": {"foscttm": "as ours", "foscttm_other": "another"},
        "references": {"r": "somewhere"},
        "numbers": numbers,
    }
    comparison = tables.comparison(scores)
    return published.beside_ours(file, comparison, runs_of(scores), {"paired": "paired"}, CARDS)


def test_ours_stands_beside_a_number_of_the_same_meaning():
    row = beside([number()]).iloc[0]
    assert row["comparable"]
    assert (row["run"], row["same_method"], row["differs"]) == ("mvae", "yes", "")
    np.testing.assert_allclose([row["ours"], row["ours_sd"]], [0.115, np.std(SEEDS["mvae", "foscttm"], ddof=1)])
    assert row["ours_seeds"] == 4
    other = beside([number(method="UniVI", method_id=None)]).iloc[0]
    assert (other["run"], other["same_method"]) == ("mvae", "no")  # the best, and never a control
    both = beside([number(direction="mean"), number(direction="worst")])
    np.testing.assert_allclose(both["ours"], [(0.115 + 0.3) / 2, 0.3])


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"dataset": "elsewhere"}, "dataset"),
        ({"scenario": "unpaired"}, "scenario"),
        ({"metric": "foscttm_other"}, "definition"),
        ({"metric": "imputation_skill"}, "definition"),
        ({"split": "transductive"}, "split"),
        ({"split": "leaky"}, "split"),
        ({"direction": "unstated"}, "direction"),
        ({"direction": "adt->atac"}, "direction"),
        ({"labels": "l1"}, "labels"),
        ({"verdict": "invalid"}, "verdict"),
    ],
)
def test_a_number_of_another_meaning_stands_alone_with_the_reason(changed, differs):
    row = beside([number(**changed)]).iloc[0]
    assert not row["comparable"]
    assert np.isnan(row["ours"])
    assert row["differs"] == differs
    assert row["reason"]


def test_the_published_numbers_are_valid_and_complete():
    found = published.read_published(REPOSITORY / "config/published.yaml")
    defined = set(found["definitions"])
    assert {number["metric"] for number in found["numbers"]} <= defined
    assert {number["reference"] for number in found["numbers"]} == set(found["references"])
    values = {
        (n["dataset"], n["method"], n["metric"], n["direction"]): n["value"] for n in found["numbers"] if "labels" not in n
    }
    assert values["multiome_pbmc10k", "UniVI", "foscttm_univi", "rna->atac"] == 0.048
    assert values["hao_citeseq", "MaxFuse", "foscttm_maxfuse", "unstated"] == 0.0619
    registry = yaml.safe_load((REPOSITORY / "config/datasets.yaml").read_text())
    for entry in found["numbers"]:
        if entry["verdict"] == "usable":  # it can stand beside ours as soon as the dataset is run
            assert entry["dataset"] in registry
            assert entry["metric"] in catalog.names("metrics")
    invalid = [n for n in found["numbers"] if n["verdict"] == "invalid"]
    assert {n["method"] for n in invalid} == {"scMODAL"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"value": "high"}, r"numbers\.0\.value"),
        ({"split": "random"}, r"numbers\.0\.split"),
        ({"colour": "red"}, r"numbers\.0: .*colour"),
        ({"reference": "nowhere"}, "no reference 'nowhere'"),
    ],
)
def test_a_bad_file_of_published_numbers_is_refused_by_name(tmp_path, changed, message):
    entry = {key: value for key, value in number(**changed).items() if value is not None}
    content = {"definitions": {"foscttm": "as ours"}, "references": {"r": "somewhere"}, "numbers": [entry]}
    (tmp_path / "published.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"published\.yaml.*" + message):
        published.read_published(tmp_path / "published.yaml")


def test_a_number_without_a_definition_is_refused():
    with pytest.raises(UserError, match="'undefined' is defined nowhere"):
        beside([number(metric="undefined")])
