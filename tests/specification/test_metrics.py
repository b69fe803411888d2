"""Every metric x every property, and an independent reference for each."""

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from scipy.stats import chisquare, entropy, pearsonr, spearmanr
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
    silhouette_samples,
)
from sklearn.metrics.pairwise import cosine_similarity

from mosaicbench.catalog import cards, catalog
from mosaicbench.metrics import _checks, _nearest, alignment, imputation
from mosaicbench.metrics._checks import Undefined
from mosaicbench.metrics._labels import genes_of_phases, phase_scores
from mosaicbench.metrics._nearest import (
    compared,
    neighbors,
    transfer,
    transfer_each,
    twice_closer,
)
from mosaicbench.metrics.label_transfer import confusion, recall_of_each

METRICS = catalog.names("metrics")
CARDS = catalog.cards("metrics")
NEEDS = {metric: set(catalog.parameters("metrics", metric)) for metric in METRICS}
RECORDS = {"record", "device_record", "history", "trained", "stopping"}
TRANSFERRED = [need for need in cards.NEEDS if need.startswith("transferred")]
TRANSFERRED += ["predicted", "classified"]
LATENTS = ("latent", "latent_a", "latent_b", "private_latent", "all_blocks")
# what a method gives, in whatever form a metric needs it
GIVEN = {*LATENTS, "imputed", "draws", *TRANSFERRED}
OF_ARRAYS = [metric for metric in METRICS if not NEEDS[metric] & RECORDS]
ALIGNMENT = [metric for metric in alignment.CARDS if CARDS[metric]["group"] == "alignment"]
COSINE = [metric for metric in ALIGNMENT if metric.endswith("_cosine")]
MATCHED = (
    "alignment",
    "published_variants",
    "label_transfer",
    "label_prediction",
    "imputation",
    "preservation",
)  # need each cell's own answer
SLOW = {metric for metric in METRICS if CARDS[metric]["group"] in ("biology", "realism")}


def chance_of(metric, n, shares):
    """Return the score of chance with these cells and shares of their types; None where there is none."""
    if CARDS[metric]["chance"] is not None:
        return CARDS[metric]["chance"]
    if metric.startswith("recall_at_"):
        return int(metric.split("_")[2]) / n
    if metric == "median_rank":
        return (n + 1) / 2
    if NEEDS[metric].isdisjoint(TRANSFERRED):
        return None
    by_type = "balanced" in metric or "macro" in metric
    return 1 / len(shares) if by_type else (shares**2).sum()


# property -> whether it can be asked of a metric, from its card and needs; a card says which of the others its metric lacks
APPLIES = {
    "cell_order": lambda metric: metric in OF_ARRAYS,
    "perfect_is_best": lambda metric: CARDS[metric]["best"] is not None,
    "best_is_a_bound": lambda metric: CARDS[metric]["best"] is not None,
    "shuffled_is_chance": lambda metric: chance_of(metric, 4, np.ones(2)) is not None,
    "train_mean_is_chance": lambda metric: (
        "imputed" in NEEDS[metric] and CARDS[metric]["chance"] is not None
    ),
    "noise_never_improves": lambda metric: (
        metric in OF_ARRAYS and CARDS[metric]["best"] is not None
    ),
    "collapse_is_not_rewarded": lambda metric: bool(NEEDS[metric] & GIVEN),
}
LISI = {"clisi", "ilisi"}  # weigh neighbours by a bisection that ends when it is near enough


def having(name):
    return [
        metric
        for metric in METRICS
        if APPLIES[name](metric) and name not in CARDS[metric].get("exempt_from", {})
    ]


def evaluate(metric, needs=None, **others):
    """Return a score of these needs; what is given by name stands in their place."""
    known = (needs or {}) | others
    return catalog.function("metrics", metric)(**{need: known[need] for need in NEEDS[metric]})


def called(*names):
    return np.array(names, dtype=object)


def assert_scores(needs, expected, **tolerance):
    """Assert that metrics have these scores, as near as `pytest.approx` asks."""
    found = {metric: evaluate(metric, needs) for metric in expected}
    assert found == pytest.approx(expected, **tolerance)


def assert_within_bounds(metric, value):
    low, high = CARDS[metric]["bounds"]
    assert np.isfinite(value)
    assert low is None or value >= low
    assert high is None or value <= high


TYPES = called("B cell", "T cell", "monocyte", "platelet")


def shares_of(labels):
    return np.unique(labels, return_counts=True)[1] / len(labels)


def cells_of(n, seed):
    """Return latents of four unequal types that do not touch, and their labels."""
    random = default_rng(seed)
    types = random.choice(4, n, p=[0.45, 0.3, 0.15, 0.1])
    return 6 * np.eye(4, 7)[types] + random.standard_normal((n, 7)), TYPES[types]


def world(*, noise=0.0, n=300, seed=0):
    """Return every need of every metric; `noise` stands between a perfect method (0) and a poor one."""
    return copied(made_world(noise, n, seed))  # made once: a copy takes a hundredth of the time


def copied(value):
    """Return a copy that shares nothing that can be changed; names of types are texts, which cannot."""
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else deepcopy(value)


def transferred(train, train_labels, z, labels, latent):
    """Return the types of latents by those of train cells, and of the same cells' other latents z."""
    each = transfer_each(train, train_labels, latent, ks=(1, 5, 15, 50))
    own = np.arange(len(z))
    return {
        "transferred": each[15],
        **{f"transferred_k{k}": each[k] for k in (1, 5, 50)},
        "transferred_without_partner": transfer_each(z, labels, latent, ks=[15], own=own)[15],
        "transferred_cosine": transfer_each(train, train_labels, latent, ks=[15], cosine=True)[15],
        "predicted": each[5],
        "classified": transfer(train, train_labels, latent, k=10),
    }


@cache
def made_world(noise, n, seed):
    random, loadings = default_rng(seed), default_rng(99).standard_normal((7, 12))
    z, labels = cells_of(n, seed + 1)
    train, train_labels = cells_of(400, seed + 2)
    truth, train_values = z @ loadings + 20, train @ loadings + 20
    latent_b = z + noise * random.standard_normal(z.shape)
    imputed = truth + noise * random.standard_normal(truth.shape)
    record = {"seconds": {"fit": 12, "read": 3}, "peak_host_mb": 512, "peak_device_mb": 64}
    peaks = default_rng(98).standard_normal((30, 12))
    of_draws = default_rng(95)
    of_private = default_rng(97)
    private_factors = of_private.standard_normal((n, 4))
    private_latent = np.concatenate([z[:, :4], private_factors], axis=1)
    accessible = (truth - 20) @ peaks.T
    profiles = [train_values[train_labels == label].mean(0) for label in TYPES]
    training = {"epochs": 50, "kept_epoch": 20, "max_epochs": 400, "patience": 30}
    return {
        "latent": z + noise * random.standard_normal(z.shape),
        "private_latent": private_latent + noise * of_private.standard_normal(private_latent.shape),
        "all_blocks": np.concatenate([z, private_latent], axis=1)
        + noise * of_private.standard_normal((n, 15)),
        "values": truth,
        "latent_a": z,
        "latent_b": latent_b,
        "labels": labels,
        "batches": called("first", "second", "third")[random.integers(0, 3, n)],
        **transferred(train, train_labels, z, labels, latent_b),
        "truth": truth,
        "noise": default_rng(94).uniform(0, truth.var(0), truth.shape),
        "imputed": imputed,
        "draws": imputed[:, :, None]
        + min(noise, 0.3) * of_draws.standard_normal((*truth.shape, 19)),  # wide enough up to 0.3
        "drawn_truth": truth,
        "drawn_std": train_values.std(0),
        "accessible": sparse.csr_matrix(
            (accessible > np.median(accessible, axis=0)).astype(np.float32)
        ),
        "loadings": peaks,
        "train_mean": train_values.mean(0),
        "train_std": train_values.std(0),
        "celltype_profiles": np.array(profiles),
        "celltype_of": np.array([list(TYPES).index(label) for label in labels]),
        "shared_factors": z[:, :4],
        "cell_cycle": z[:, 4:6] + default_rng(96).standard_normal((n, 2)),
        "private_factors": private_factors,
        "shared_driven": np.arange(12) < 8,
        "history": {"kl": np.array([5.0, 3.0]), "validation_loss": np.array([2.0, 1.0])},
        "trained": training,
        "stopping": training,
        "record": record,
        "device_record": record,
    }


@cache
def score(metric, noise=0.0, seed=0):
    """Return the score of a world, which it leaves as it was; computed once for all tests."""
    needs, before = world(noise=noise, seed=seed), made_world(noise, 300, seed)
    value = evaluate(metric, needs)
    for need in NEEDS[metric] - RECORDS:
        assert_array_equal(_checks.dense(needs[need]), _checks.dense(before[need]))
    return value


def per_cell():
    """Return the needs that have a row for each cell."""
    return [need for need, x in made_world(0.0, 60, 0).items() if np.shape(x)[:1] == (60,)]


def goodness(metric, value):
    card = CARDS[metric]
    return {"higher": value, "lower": -value, "nearer": -abs(value - (card["best"] or 0))}[
        card["better"]
    ]


def test_the_world_has_every_need_and_no_other():
    assert set(world(n=60)) == set(cards.NEEDS) == set().union(*NEEDS.values())


@pytest.mark.parametrize("name", cards.PROPERTIES)
def test_a_metric_lacks_only_what_could_be_asked_of_it(name):
    excused = {metric for metric in METRICS if name in CARDS[metric].get("exempt_from", {})}
    assert all(APPLIES[name](metric) for metric in excused), "the card excuses what no test asks"
    assert len(having(name)) > len(excused), "more exceptions than rule"


@pytest.mark.parametrize("metric", METRICS)
def test_cards_agree_with_themselves(metric):
    card = CARDS[metric]
    low, high = card["bounds"]
    assert card["better"] in cards.BETTER
    assert card["better"] != "nearer" or low < card["best"] < high
    if metric in having("best_is_a_bound"):
        assert card["best"] == (low if card["better"] == "lower" else high)
    if card["chance"] is not None:
        assert low is None or low <= card["chance"]
        assert high is None or card["chance"] <= high


@pytest.mark.parametrize("noise", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("metric", METRICS)
def test_within_bounds_and_the_arguments_stay_as_they_are(metric, noise):
    value = score(metric, noise)
    assert type(value) is float
    assert_within_bounds(metric, value)


@pytest.mark.parametrize("metric", having("cell_order"))
def test_cell_order_does_not_matter(metric):
    needs = world(noise=1.0)
    order = default_rng(5).permutation(len(needs["labels"]))
    moved = needs | {need: needs[need][order] for need in per_cell()}
    assert evaluate(metric, moved) == pytest.approx(
        score(metric, 1.0), abs=1e-5 if metric in LISI else 1e-12
    )


@pytest.mark.parametrize("metric", [metric for metric in METRICS if "labels" in NEEDS[metric]])
def test_label_names_do_not_matter(metric):
    renamed = dict(zip(TYPES, ["z", "y", "ö ", "0"], strict=True))
    needs = world(noise=4.0)
    other = needs | {
        need: np.array([renamed[label] for label in needs[need]], dtype=object)
        for need in ("labels", *TRANSFERRED)
    }
    assert evaluate(metric, other) == pytest.approx(evaluate(metric, needs), abs=1e-12)


@pytest.mark.parametrize("metric", having("perfect_is_best"))
def test_perfect_input_gives_best(metric):
    assert score(metric) == pytest.approx(CARDS[metric]["best"], abs=1e-9)


@pytest.mark.parametrize("metric", having("shuffled_is_chance"))
def test_shuffled_input_gives_chance(metric):
    needs, random = world(), default_rng(3)
    n = len(needs["labels"])
    chance = chance_of(metric, n, shares_of(needs["labels"]))
    values, matched = [], CARDS[metric]["group"] in MATCHED
    for _ in range(20 if matched else 4):
        order = random.permutation(n)
        moved = {need: needs[need][order] for need in GIVEN - {"latent_a", "draws"}}
        values.append(evaluate(metric, needs | moved))
    assert np.mean(values) == pytest.approx(chance, rel=0.03, abs=0.02 if matched else 0.06)


@pytest.mark.parametrize("metric", having("train_mean_is_chance"))
def test_train_mean_gives_chance(metric):
    needs = world()
    value = evaluate(metric, needs, imputed=np.tile(needs["train_mean"], (len(needs["truth"]), 1)))
    assert value == pytest.approx(CARDS[metric]["chance"], abs=1e-12)


@pytest.mark.parametrize("metric", having("noise_never_improves"))
def test_more_noise_never_improves(metric):
    slow = metric in SLOW
    levels, seeds = ((0.0, 1.0, 10.0), (0,)) if slow else ((0.0, 0.3, 1.0, 3.0, 10.0), (0, 10, 20))
    good = [np.mean([goodness(metric, score(metric, x, s)) for s in seeds]) for x in levels]
    assert np.all(np.diff(good) <= (0.02 if slow else 1e-9)), good
    assert good[-1] < good[0] - 0.04


@pytest.mark.parametrize("metric", OF_ARRAYS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_in_any_need_raises(metric, bad):
    for need in catalog.parameters("metrics", metric):
        needs = world(n=40)
        broken = needs[need].copy()
        if np.issubdtype(broken.dtype, np.integer) or broken.dtype == bool:
            continue
        if sparse.issparse(broken):
            broken.data[3] = bad
        else:
            broken[(1,) * broken.ndim] = bad
        with pytest.raises(ValueError, match="NaN|text"):
            evaluate(metric, needs | {need: broken})


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1])
@pytest.mark.parametrize("metric", having("collapse_is_not_rewarded"))
def test_collapse_is_not_rewarded(metric, value):
    needs = world()
    n, shares = len(needs["labels"]), shares_of(needs["labels"])
    train, train_labels = cells_of(400, 2)
    constant = np.full_like(needs["latent"], value)
    good = score(metric, 0.3)
    needs |= dict.fromkeys(LATENTS, constant)
    needs |= {"imputed": np.full((n, 12), value), "draws": np.full((n, 12, 19), value)}
    collapsed = np.full_like(train, value)
    needs |= transferred(collapsed, train_labels, constant, needs["labels"], constant)
    chance, most = chance_of(metric, n, shares), shares.max()
    if metric.startswith("label_transfer_accuracy"):
        chance = most
    elif "macro_f1" in metric:
        chance = 2 * most / (1 + most) / len(shares)
    known = {"active_units": 0.0, "equal_latents": 1.0, "imputation_pearson_per_cell": 0.0}
    expected, found = known.get(metric, chance), evaluate(metric, needs)
    if expected is None:
        assert goodness(metric, found) < goodness(metric, good) - 0.1
    elif CARDS[metric]["bounds"][0] is None:
        assert found < 0
    else:
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("cells", [1, 3, 5])
@pytest.mark.parametrize("metric", OF_ARRAYS)
def test_few_cells_have_a_score_within_bounds_or_none(metric, cells):
    needs = world(noise=1.0)
    few = needs | {need: needs[need][:cells] for need in per_cell()}
    one_kind = called(*["only"] * cells)
    one_label = called("B cell", *[""] * (cells - 1))
    for other in (
        {},
        {"labels": one_label},
        {"labels": one_kind},
        {"batches": one_kind},
        {"imputed": np.ones((cells, 12))},
    ):
        try:
            value = evaluate(metric, few | other)
        except Undefined:
            continue
        assert_within_bounds(metric, value)


# --- what is not defined -------------------------------------------------------------------------------------------------

HALF = called("one", "")[np.arange(60) % 2]
FLAT, EQUAL, LINE = np.full((60, 12), 2.0), np.full(60, "a", dtype=object), np.eye(60, 1)
CONSTANT = {"truth": FLAT, "train_mean": FLAT[0]}
FIVE = {"latent": np.eye(5), "labels": TYPES[[0, 1, 1, 1, 1]], "batches": HALF[:5]}
UNDEFINED = [
    ("foscttm_maxfuse", {"latent_a": LINE, "latent_b": LINE}, "two dimensions"),
    ("foscttm_within_cell_type", {"labels": called("a", *[""] * 59)}, "has two query cells"),
    ("latent_norm_ratio", {"latent_a": np.zeros((60, 7))}, "length 0"),
    ("imputation_auroc_per_peak", {"accessible": sparse.csr_matrix(np.ones((60, 30)))}, "or all"),
    ("imputation_pearson_flattened", CONSTANT, "no value"),
    ("marker_recovery", {"labels": TYPES[np.repeat([0, 1], [58, 2])]}, "three|3 query cells"),
    *(
        (metric, CONSTANT, "of the truth varies|nothing to gain")
        for metric in (
            "imputation_pearson_per_feature",
            "imputation_pearson_per_cell",
            "imputation_skill",
            "imputation_pearson_per_cell_skill",
        )
    ),
    ("imputation_pearson_per_feature_ceiling", CONSTANT | {"noise": 0 * FLAT}, "nothing"),
    ("imputation_skill_ceiling", CONSTANT | {"noise": 0 * FLAT}, "nothing"),
    (
        "imputation_pearson_per_cell_skill",
        {"truth": 0 * FLAT + range(12), "train_mean": np.arange(12.0)},
        "nothing to gain",
    ),
    ("clisi", FIVE, "at least 6 neighbours"),
    ("ilisi", FIVE | {"batches": TYPES[[0, 1, 1, 1, 1]]}, "at least 6 neighbours"),
    ("bras", {"batches": EQUAL}, "two batches"),
    ("isolated_labels", {"batches": called(*[""] * 60)}, "no labelled query cell has a batch"),
    ("pcr", {"latent": FLAT}, "no variance"),
    ("ilisi", {"batches": HALF}, "of one batch"),
    ("cell_cycle_conservation", {"latent": FLAT}, "does not vary"),
    ("private_factors_leak", {"private_factors": np.zeros((60, 0))}, "no factor"),
    ("label_separation_auc", {"labels": EQUAL}, "of one type"),
    (
        "types_matched",
        {"labels": called(*"aaaabbbb", *[""] * 52)},
        "fewer than two cell types have 5",
    ),
    ("reconstruction_r2", {"values": FLAT}, "no feature varies"),
]


@pytest.mark.parametrize(("metric", "changed", "reason"), UNDEFINED)
def test_a_score_that_is_not_defined_says_why(metric, changed, reason):
    with pytest.raises(Undefined, match=reason):
        evaluate(metric, world(n=60), **changed)


# --- references: alignment -----------------------------------------------------------------------------------------------


def naive_squared(a, b):
    """Return squared distances of all pairs, summed in the order of the dimensions."""
    a, b = a.astype(float), b.astype(float)
    squared = np.zeros((len(a), len(b)))
    for d in range(a.shape[1]):
        squared = squared + (a[:, d, None] - b[:, d]) ** 2
    return squared


def naive_twice_closer(a, b):
    squared = naive_squared(a, b)
    own = np.diag(squared)[:, None]
    return 2 * (squared < own).sum(axis=1) + (squared == own).sum(axis=1) - 1


def naive_recall(a, b, k):
    """Return the mean over cells of the chance of the match, in all orders of those tied with it, one by one."""
    chances = []
    for cell, squared in enumerate(naive_squared(a, b)):
        first = np.sum(squared < squared[cell])  # the place of the match, if it comes first
        tied = np.sum(squared == squared[cell])
        chances.append(np.mean([place < k for place in range(first, first + tied)]))
    return np.mean(chances)


def pairs_of_latents():
    """Return latents of both sides of various kinds; test_near has those that single precision may confuse."""
    random = default_rng(7)
    a = random.standard_normal((300, 6))
    b = a + 0.3 * random.standard_normal(a.shape)
    grid = random.integers(0, 3, (300, 4)).astype(float)
    centroids = random.standard_normal((8, 6))[random.integers(0, 8, 300)]
    return {
        "random": (a, random.standard_normal(a.shape)),
        "aligned": (a, b),
        "tied on a grid": (grid, random.permutation(grid)),
        "duplicated": (np.tile(a[:60], (5, 1)), np.tile(b[:60], (5, 1))),
        "collapsed to centroids": (centroids, centroids),
        "constant": (np.full((300, 6), 0.1), np.full((300, 6), 0.1)),
        "two constants": (np.full((300, 6), 0.1), np.full((300, 6), 7.7)),
        "one side constant": (a, np.full((300, 6), 0.1)),
        "single precision": (a.astype(np.float32), b.astype(np.float32)),
        **{f"{n} cells": (a[:n], b[:n]) for n in (2, 3, 4, 5, 255, 256, 257)},
    }


def latents_of(a, b):
    return {"latent_a": a, "latent_b": b}


def sample(monkeypatch, cells):
    """Compare only so many cells, of any number, with all others."""
    monkeypatch.setattr(_nearest, "EXACT", 1)
    monkeypatch.setattr(_nearest, "SAMPLE", cells)
    monkeypatch.setattr(_nearest, "_counted", _nearest.remembered(6)(_nearest.counts_both_ways))


def test_the_error_of_a_sample_is_that_of_many_samples_and_the_exact_score_is_asked_for_by_name(
    monkeypatch,
):
    a, b = pairs_of_latents()["aligned"]
    needs = latents_of(a, b)
    exact = evaluate("foscttm", needs)
    fractions = naive_twice_closer(a, b) / 2 / (len(a) - 1)
    assert evaluate("foscttm_standard_error", needs) == 0
    random = default_rng(1)
    drawn = [fractions[random.choice(len(a), 100, replace=False)] for _ in range(2000)]
    spread = np.std([each.mean() for each in drawn])
    assert np.mean([_nearest.sampling_error(each, len(a)) for each in drawn]) == pytest.approx(
        spread, rel=0.1
    )
    sample(monkeypatch, 100)
    rows = compared(len(a))
    assert evaluate("foscttm", needs) == pytest.approx(fractions[rows].mean())
    assert evaluate("foscttm_exact", needs) == exact == pytest.approx(fractions.mean())
    assert (
        evaluate("foscttm_standard_error", needs)
        == _nearest.sampling_error(fractions[rows], len(a))
        > 0
    )
    of_cells = catalog.function("metrics", "foscttm", "by_cell")(**needs)
    assert_array_equal(np.flatnonzero(np.isfinite(of_cells)), rows)
    assert_allclose(of_cells[rows], fractions[rows])


@pytest.mark.parametrize("kind", pairs_of_latents())
def test_counts_of_closer_cells_are_exactly_the_naive_ones(kind, monkeypatch):
    a, b = pairs_of_latents()[kind]
    expected, back = naive_twice_closer(a, b), naive_twice_closer(b, a)
    assert_array_equal(twice_closer(a, b), expected)
    scores = {f"recall_at_{k}": naive_recall(a, b, k) for k in (1, 10, 50)}
    scores["foscttm"] = np.mean(expected / 2 / (len(a) - 1))
    scores["median_rank"] = 1 + np.median(expected / 2)
    assert_scores(latents_of(a, b), scores, abs=1e-15)
    sample(monkeypatch, max(1, len(a) // 3))  # of these cells among all
    rows = compared(len(a))
    assert len(set(rows)) == max(1, len(a) // 3)
    assert_array_equal(twice_closer(a, b), expected[rows])
    assert_array_equal(twice_closer(b, a), back[rows])


@pytest.mark.parametrize(
    "kind",
    ["random", "aligned", "tied on a grid", "duplicated", "collapsed to centroids", "constant"],
)
def test_published_variants_count_strictly_closer_cells(kind):
    a, b = pairs_of_latents()[kind]
    n = len(a)
    forth, back = (
        sum(np.sum(np.sum((x[i] - y) ** 2, axis=1) < np.sum((x[i] - y[i]) ** 2)) for i in range(n))
        for x, y in ((a, b), (b, a))
    )
    expected = {
        "foscttm_univi": forth / n / (n - 1),
        "foscttm_scot": (forth + back) / 2 / n / (n - 1),
        "foscttm_glue": (forth + back) / 2 / n / n,
        "foscttm_midas": 1 - (forth + back) / 2 / n / n,
    }
    assert_scores(latents_of(a, b), expected)


def test_maxfuse_variant_is_the_correlation_of_the_first_15_dimensions():
    random = default_rng(0)
    a = random.standard_normal((120, 20))
    b = a + random.standard_normal(a.shape) + 3
    distances = cdist(a[:, :15], b[:, :15], "correlation")
    expected = np.mean([np.sum(distances[i] < distances[i, i]) for i in range(120)]) / 120
    assert evaluate("foscttm_maxfuse", latent_a=a, latent_b=b) == pytest.approx(expected)
    a[:, 15:] = 1000 * random.standard_normal((120, 5))
    assert evaluate("foscttm_maxfuse", latent_a=a * 7, latent_b=b) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "of"),
    [("foscttm_within_cell_type", "labels"), ("foscttm_within_batch", "batches")],
)
def test_foscttm_within_a_group_is_the_mean_over_cells_of_each_groups_own(metric, of):
    random = default_rng(0)
    a = random.integers(0, 4, (90, 3)).astype(float)
    b = a + random.integers(-1, 2, a.shape)
    names = random.permutation(called(*["x"] * 50, *["y"] * 30, "alone", *[""] * 9))
    fractions = []
    for rows, n in ((names == "x", 50), (names == "y", 30)):
        fractions += list(naive_twice_closer(a[rows], b[rows]) / 2 / (n - 1))
    assert_scores(latents_of(a, b) | {of: names}, {metric: np.mean(fractions)}, abs=1e-15)


def test_counts_kept_from_the_last_pair_are_not_given_for_another():
    a, b = pairs_of_latents()["aligned"]
    first, turned = twice_closer(a, b).copy(), twice_closer(b, a).copy()
    assert not np.array_equal(first, turned)
    changed = b.copy()
    changed[0] += 100
    assert twice_closer(a, changed)[0] == 2 * (len(a) - 1)
    assert_array_equal(twice_closer(a, b), first)


@pytest.mark.parametrize("n", [78, 155, 304])
def test_recall_is_not_decided_by_rounding(n):
    """At rank 10 exactly, (rank / (n - 1)) * (n - 1) falls below 10 for these n."""
    a, b = np.zeros((n, 1)), np.arange(n, dtype=float)[:, None]
    assert_array_equal(twice_closer(a, b), 2 * np.arange(n))
    assert evaluate("recall_at_10", latent_a=a, latent_b=b) == pytest.approx(10 / n)


@pytest.mark.parametrize("metric", [*ALIGNMENT, "latent_norm_ratio"])
@pytest.mark.parametrize(("a", "b"), [((5, 2), (6, 2)), ((5, 2), (5, 3)), ((1, 2), (1, 2))])
def test_latents_that_do_not_match_are_refused(metric, a, b):
    needs = latents_of(np.zeros(a), np.zeros(b)) | {"labels": called(*["a"] * a[0])}
    with pytest.raises(ValueError, match="same shape|2 cells"):
        evaluate(metric, needs)


def test_perfect_labels_alone_score_the_label_floor():
    _, labels = cells_of(4000, 1)
    centroids = np.unique(labels, return_inverse=True)[1][:, None].astype(float)
    floor = 0.5 * (shares_of(labels) ** 2).sum()
    assert_scores(latents_of(centroids, centroids), {"foscttm": floor}, abs=1e-3)
    needs = {"labels": np.append(labels, [""] * 50)}
    assert_scores(needs, {"label_floor": floor, "unlabelled_cells": 50})


# --- references: cosine distance -----------------------------------------------------------------------------------------


def naive_cosine_distances(a, b):
    """Return 1 - cosine in float64, 1 from and to a latent of length 0."""
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return 1 - np.divide(a @ b.T, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def naive_twice_closer_by_cosine(a, b):
    """Count with a tolerance that only equal directions are within; no two others of the latents below are."""
    a, b = a.astype(float), b.astype(float)
    distances = naive_cosine_distances(a, b)
    own = np.diag(distances)[:, None]
    closer, tied = distances < own - 1e-12, np.abs(distances - own) <= 1e-12
    return 2 * closer.sum(axis=1) + tied.sum(axis=1) - 1


def directed_latents():
    random = default_rng(3)
    whole = random.integers(-9, 10, (60, 5)).astype(float)  # multiples are exact
    lengths = random.integers(1, 30, (300, 1))
    pairs = {
        kind: latents for kind, latents in pairs_of_latents().items() if kind != "tied on a grid"
    }
    some = random.random((300, 1)) < 0.3
    a, b = pairs["aligned"]
    return pairs | {
        "multiples": (
            np.tile(whole, (5, 1)) * lengths,
            np.tile(whole[::-1], (5, 1)) * lengths[::-1],
        ),
        "opposite": (np.tile(whole, (5, 1)), -np.tile(whole, (5, 1)) * lengths),
        "some of length 0": (np.where(some, 0, a), b),
        "some of either side of length 0": (np.where(some, 0, a), np.where(some[::-1], 0, b)),
        "the same of length 0": (np.where(some, 0, a), np.where(some, 0, b)),
        "one side of length 0": (a, np.zeros_like(b)),
        "all of length 0": (np.zeros_like(a), np.zeros_like(b)),
        "minute and immense": (1e-140 * a, 1e140 * b),
    }


@pytest.mark.parametrize("kind", directed_latents())
def test_counts_of_closer_directions_are_the_naive_ones(kind, monkeypatch):
    a, b = directed_latents()[kind]
    expected = naive_twice_closer_by_cosine(a, b)
    assert_array_equal(twice_closer(a, b, cosine=True), expected)
    needs, fractions = latents_of(a, b), expected / 2 / (len(a) - 1)
    assert_scores(needs, {"foscttm_cosine": fractions.mean()}, abs=1e-15)
    assert_allclose(catalog.function("metrics", "foscttm_cosine", "by_cell")(**needs), fractions)
    sample(monkeypatch, max(1, len(a) // 3))
    assert_array_equal(twice_closer(a, b, cosine=True), expected[compared(len(a))])


@pytest.mark.parametrize("metric", COSINE)
def test_the_scale_of_a_modality_does_not_change_scores_by_cosine(metric):
    needs, random = world(noise=3.0), default_rng(0)
    lengths = np.exp2(random.integers(-8, 8, (len(needs["latent_b"]), 1)))
    scaled = {"latent_a": needs["latent_a"] / 1024, "latent_b": needs["latent_b"] * lengths}
    assert evaluate(metric, needs | scaled) == evaluate(metric, needs)
    euclidean = metric.removesuffix("_cosine")
    assert abs(evaluate(euclidean, needs | scaled) - evaluate(euclidean, needs)) > 0.01


@pytest.mark.parametrize("k", [1, 15])
@pytest.mark.parametrize("kind", directed_latents())
def test_transfer_by_cosine_is_the_vote_of_the_nearest_directions(kind, k):
    reference, query = (z.astype(float) for z in directed_latents()[kind])
    labels = TYPES[default_rng(0).choice(4, len(reference), p=[0.5, 0.3, 0.1, 0.1])]
    distances = naive_cosine_distances(query, reference).round(12)  # equal directions are as far
    expected = naive_votes(distances, labels, min(k, len(labels)))
    assert_array_equal(transfer_each(reference, labels, query, ks=[k], cosine=True)[k], expected)


def naive_votes(distances, labels, k):
    """Return the label that most of the k nearest have, those tied at the last place sharing its votes."""
    found, counts = [], {label: np.sum(labels == label) for label in labels}
    for row in distances:
        last = np.sort(row)[k - 1]
        weight = (row < last) + (row == last) * (k - np.sum(row < last)) / np.sum(row == last)
        of = sorted(set(labels), key=list(labels).index)
        votes = {}
        for label in of:
            own = labels == label
            votes[label] = round(weight[own].sum(), 9), -row[own].min(), counts[label]
        found.append(max(of, key=votes.get))
    return np.array(found, dtype=object)


def test_the_ratio_of_latent_lengths_is_that_of_their_root_mean_squares():
    a, b = default_rng(0).standard_normal((2, 80, 6))
    a, b = a / np.sqrt((a**2).sum(axis=1).mean()), b / np.sqrt((b**2).sum(axis=1).mean())
    for latents in ((0.21 * a, 3.4 * b), (3.4 * b, 0.21 * a), (21e-200 * a, 340e-200 * b)):
        assert_scores(latents_of(*latents), {"latent_norm_ratio": 3.4 / 0.21})


# --- references: label transfer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("without_own", [False, True])
@pytest.mark.parametrize("values", [1, 2, 4, 1000])  # 1: all cells lie at one place
def test_transfer_of_many_ties_is_the_naive_vote_for_every_k(values, without_own):
    random, n = default_rng(values), 120
    reference, query = random.integers(0, values, (2, n, 3)).astype(float)
    labels = TYPES[random.integers(0, 4, n)]
    own = random.permutation(n) if without_own else None
    distances = cdist(query, reference, "sqeuclidean")
    if without_own:
        distances[np.arange(n), own] = np.inf
    found = transfer_each(reference, labels, query, ks=(1, 2, 5, 15, 50, 400), own=own)
    for k, transferred in found.items():
        most = min(k, n - without_own)
        assert_array_equal(transferred, naive_votes(distances, labels, most))


def test_chunks_of_cells_do_not_change_votes(monkeypatch):
    random = default_rng(0)
    a, b = random.integers(0, 3, (2, 150, 3)).astype(float)
    labels, own = TYPES[random.integers(0, 4, 150)], random.permutation(150)
    whole = transfer_each(a, labels, b, ks=(1, 15), own=own)
    mixing = evaluate("modality_mixing", latent_a=a, latent_b=b)
    monkeypatch.setattr("mosaicbench.metrics._nearest.CHUNK", 37)
    for k, transferred in transfer_each(a, labels, b, ks=(1, 15), own=own).items():
        assert_array_equal(transferred, whole[k])
    assert evaluate("modality_mixing", latent_a=a, latent_b=b) == pytest.approx(mixing)


def test_the_own_partner_does_not_vote_even_where_others_have_no_label():
    reference = np.array([[0.0], [1.0], [2.0], [3.0]])
    labels = called("own", "", "near", "far")
    found = transfer_each(reference, labels, reference, ks=[1], own=np.arange(4))[1]
    assert found.tolist() == ["near", "own", "far", "near"]
    with pytest.raises(ValueError, match="beside the own partner"):
        transfer_each(reference[:2], labels[:2], reference[:2], ks=[1], own=np.arange(2))


def test_recall_of_each_label():
    labels = called("a", "a", "b", "")
    assert recall_of_each(called("a", "c", "b", "b"), labels) == {"a": 0.5, "b": 1.0}


def test_transfer_leaves_out_reference_cells_without_a_label():
    random = default_rng(0)
    reference, query = random.standard_normal((200, 3)), random.standard_normal((50, 3))
    labels = TYPES[random.integers(0, 4, 200)]
    labels[::3] = ""
    kept = labels != ""
    expected = transfer(reference[kept], labels[kept], query)
    assert_array_equal(transfer(reference, labels, query), expected)


@pytest.mark.parametrize(("labels", "dims"), [("aaaa", 3), ("aaaaa", 2)])
def test_transfer_refuses_what_does_not_match(labels, dims):
    with pytest.raises(ValueError, match="same dimensions|do not match"):
        transfer(np.zeros((4, 2)), called(*labels), np.zeros((3, dims)))


def test_scores_of_label_transfer_are_those_of_sklearn():
    random = default_rng(0)
    true = TYPES[random.choice(4, 200, p=[0.6, 0.2, 0.2, 0])]
    predicted = TYPES[random.integers(0, 4, 200)]
    true[:20] = ""
    pair = true[20:].astype(str), predicted[20:].astype(str)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        balanced = balanced_accuracy_score(*pair)
    expected = {
        "label_transfer_accuracy": accuracy_score(*pair),
        "label_transfer_macro_f1": f1_score(*pair, average="macro"),
        "label_transfer_balanced_accuracy": balanced,
    }
    assert_scores({"labels": true, "transferred": predicted}, expected)


def test_confusion_refuses_labels_of_other_cells():
    with pytest.raises(ValueError, match="do not match"):
        confusion(called(*"aaa"), called(*"aaaa"))
    with pytest.raises(ValueError, match="no cell has a label"):
        confusion(called(*"aaa"), called("", "", ""))


# --- references: imputation ----------------------------------------------------------------------------------------------


def sparse_values(n=40, features=30):
    random = default_rng(11)
    truth = np.where(
        random.random((n, features)) < 0.5, 0, random.gamma(2, 1, (n, features))
    ).astype(np.float32)
    truth[:, 4] = 0.1
    imputed = (truth + random.standard_normal(truth.shape)).astype(np.float32)
    imputed[:, 7] = 0.3
    return truth, imputed


def naive_pearson(truth, imputed):
    rows = [
        (np.float64(x), np.float64(y)) for x, y in zip(truth, imputed, strict=True) if np.ptp(x) > 0
    ]
    return np.mean([pearsonr(x, y).statistic if np.ptp(y) > 0 else 0.0 for x, y in rows])


def test_pearson_is_that_of_scipy_and_counts_a_constant_imputation_as_zero():
    truth, imputed = sparse_values()
    expected = {
        "imputation_pearson_per_feature": naive_pearson(truth.T, imputed.T),
        "imputation_pearson_per_cell": naive_pearson(truth, imputed),
        "imputation_constant_features": 1,
    }
    assert_scores({"truth": truth, "imputed": imputed}, expected, abs=1e-12)
    assert np.flatnonzero(np.isnan(imputation.pearson_columns(truth, imputed))).tolist() == [4]
    assert imputation.pearson_columns(truth, imputed)[7] == 0


def test_means_and_medians_of_correlations_are_those_of_scipy():
    truth, imputed = sparse_values()
    expected = {}
    for reference in (pearsonr, spearmanr):
        columns = [*zip(truth.T.astype(float), imputed.T.astype(float), strict=True)]
        r = [0.0 if j == 7 else reference(*columns[j]).statistic for j in range(30) if j != 4]
        metric = f"imputation_{reference.__name__[:-1]}_per_feature"
        expected |= {metric: np.mean(r), f"{metric}_median": np.median(r)}
    assert_scores({"truth": truth, "imputed": imputed}, expected, abs=1e-12)


def test_errors_and_directions_are_those_of_sklearn():
    truth, imputed = sparse_values()
    imputed[2] = 0
    needs = {"truth": truth, "imputed": imputed}
    cosine = np.diag(cosine_similarity(truth, imputed))
    assert cosine[2] == 0
    r2 = [r2_score(truth[:, j], imputed[:, j]) for j in range(truth.shape[1]) if j != 4]
    expected = {
        "imputation_rmse": root_mean_squared_error(truth.ravel(), imputed.ravel()),
        "imputation_r2_per_feature": np.median(r2),
        "imputation_cosine_per_cell": cosine.mean(),
    }
    assert_scores(needs, expected, rel=1e-6)
    truth[5] = 0
    assert_scores(needs, {"imputation_cosine_per_cell": np.delete(cosine, 5).mean()}, rel=1e-6)


def peaks(values):
    """Return needs of 25 peaks, two of them open in none or all cells; imputations have so many values."""
    random = default_rng(0)
    imputed, loadings = random.integers(0, values, (80, 3)), random.integers(-1, 2, (25, 3))
    counts = (random.random((80, 25)) < 0.3) * random.integers(1, 4, (80, 25))
    counts[:, 3], counts[:, 4] = 0, 1
    needs = {"accessible": sparse.csr_matrix(counts.astype(float))}
    return needs | {"imputed": imputed.astype(float), "loadings": loadings.astype(float)}


@pytest.mark.parametrize("block", [200, 80, imputation.PEAK_VALUES])  # of 80: one peak, or none
@pytest.mark.parametrize(
    ("curve", "reference", "values"),
    [("auroc", roc_auc_score, 2), ("auprc", average_precision_score, 3)],
)
def test_areas_are_those_of_sklearn_peak_by_peak(monkeypatch, curve, reference, values, block):
    monkeypatch.setattr(imputation, "PEAK_VALUES", block)
    needs, metric = peaks(values), f"imputation_{curve}_per_peak"
    is_open = np.delete(needs["accessible"].toarray() > 0, (3, 4), axis=1)
    imputed = np.delete(needs["imputed"] @ needs["loadings"].T, (3, 4), axis=1)
    areas = [reference(*columns) for columns in zip(is_open.T, imputed.T, strict=True)]
    assert_scores(needs, {metric: np.mean(areas)}, abs=1e-12)
    flat = needs | {"imputed": np.ones((80, 3))}
    assert_scores(flat, {metric: 0.5 if curve == "auroc" else is_open.mean()}, abs=1e-12)
    with pytest.raises(ValueError, match="do not fit"):
        evaluate(metric, needs, loadings=needs["loadings"][1:])


def test_auroc_of_a_peak_that_is_open_in_many_cells_is_that_of_sklearn():
    random = default_rng(0)
    imputed, is_open = random.normal(size=(60_000, 1)), random.random((60_000, 1)) < 0.9
    needs = {"accessible": sparse.csr_matrix(is_open.astype(float)), "imputed": imputed}
    needs["loadings"] = np.ones((1, 1))
    assert_scores(needs, {"imputation_auroc_per_peak": roc_auc_score(is_open, imputed)})


@pytest.mark.parametrize("block", [7, 2**21])
@pytest.mark.parametrize("reference", [pearsonr, spearmanr])
def test_flattened_correlations_are_those_of_scipy(monkeypatch, reference, block):
    monkeypatch.setattr(_checks, "BLOCK_VALUES", block)
    metric = f"imputation_{reference.__name__[:-1]}_flattened"
    random = default_rng(0)
    shown = random.random((30, 4)) < 0.4  # many zeros, values below and above, ties
    truth = np.round(random.standard_normal((30, 4)), 1) * shown
    imputed = np.round(truth + random.standard_normal((30, 4)), 1)
    expected = reference(truth.ravel(), imputed.ravel()).statistic
    needs = {"truth": sparse.csr_matrix(truth), "imputed": imputed}
    assert_scores(needs, {metric: expected}, abs=1e-12)
    scaled = {"truth": truth * 1e-200, "imputed": imputed * 1e200}
    assert_scores(scaled, {metric: expected}, abs=1e-9)
    assert evaluate(metric, needs, imputed=np.full_like(truth, 0.1)) == 0


def test_recovery_of_markers_against_plain_loops():
    truth, imputed = (x.astype(float) for x in sparse_values())
    labels = np.array(["a"] * 15 + ["b"] * 12 + ["few"] * 2 + [""] * 11, dtype=object)
    kept, correlations = labels != "", []
    for label in ("a", "b"):
        own = (labels == label)[kept]
        effects = []
        for x in (truth[kept], imputed[kept]):
            spread = x.std(axis=0)
            difference = x[own].mean(axis=0) - x[~own].mean(axis=0)
            effects.append(np.where(spread > 1e-9, difference / np.maximum(spread, 1e-9), 0))
        correlations.append(spearmanr(*effects).statistic)
    needs = {"truth": truth, "imputed": imputed, "labels": labels}
    assert_scores(needs, {"marker_recovery": np.mean(correlations)}, abs=1e-12)
    assert_scores(needs | {"imputed": 5 - truth}, {"marker_recovery": -1})


def share_gone(truth, imputed, free, std):
    """Return the share of the squared error of `free` values that is gone, feature by feature; none of spread 0."""
    errors = [((truth - x)[:, std > 0].astype(float) / std[std > 0]) ** 2 for x in (imputed, free)]
    return 1 - errors[0].sum() / errors[1].sum()


@pytest.mark.parametrize(
    ("metric", "block"),
    [
        (metric, block)
        for metric in METRICS
        if "truth" in NEEDS[metric]
        for block in ([41] if metric == "realism_auc" else [1, 280])  # of 40 cells, 30 features
    ],
)
def test_sparse_truth_in_blocks_is_scored_as_dense_truth(metric, block, monkeypatch):
    truth, imputed = sparse_values()
    needs = world(n=40) | {
        "truth": truth,
        "noise": default_rng(94).uniform(0, truth.var(0), truth.shape),
        "imputed": imputed,
        "train_mean": truth.mean(0),
        "train_std": truth.std(0),
        "celltype_profiles": truth[:4],
    }
    whole = evaluate(metric, needs)
    monkeypatch.setattr(_checks, "BLOCK_VALUES", block)
    in_blocks = needs | {"truth": sparse.csr_matrix(truth)}
    assert_scores(in_blocks, {metric: whole}, rel=1e-12, abs=1e-12)


WITHOUT_UNITS = [
    metric
    for metric in METRICS
    if NEEDS[metric] == {"truth", "imputed"} and not metric.endswith(("rmse", "flattened"))
]


@pytest.mark.parametrize("scale", [1e-200, 1e200])
@pytest.mark.parametrize("metric", WITHOUT_UNITS)
def test_correlations_survive_the_scale_of_their_values(metric, scale):
    truth, imputed = (x.astype(float) for x in sparse_values())
    expected = evaluate(metric, truth=truth, imputed=imputed)
    scaled = {"truth": truth * scale, "imputed": imputed * scale}
    assert_scores(scaled, {metric: expected}, abs=1e-9)


@pytest.mark.parametrize("scale", [2.0**-660, 2.0**100, 2.0**660])
@pytest.mark.parametrize(
    "metric",
    [
        *ALIGNMENT,
        "foscttm_maxfuse",
        "modality_mixing",
        "graph_connectivity",
        "label_separation_auc",
        "clisi",
        "ilisi",
        "kbet",
        "label_silhouette",
    ],
)
def test_latents_of_another_scale_have_the_same_neighbours(metric, scale):
    needs = world(noise=3.0)
    latents = {need: needs[need] * scale for need in ("latent", "latent_a", "latent_b")}
    assert_scores(needs | latents, {metric: evaluate(metric, needs)}, abs=1e-12)


def test_skills_are_the_shares_of_error_that_is_gone():
    truth, imputed = sparse_values()
    mean, std = truth.mean(0) + 0.1, truth.std(0)
    std[4] = 0
    profiles, of = np.stack([truth[:20].mean(0), truth[20:].mean(0)]), np.arange(40) // 20
    needs = {"truth": truth, "imputed": imputed, "train_mean": mean, "train_std": std}
    needs |= {"celltype_profiles": profiles, "celltype_of": of}
    free = np.tile(mean, (len(truth), 1))
    reached, floor = naive_pearson(truth, imputed), naive_pearson(truth, free)
    expected = {
        "imputation_skill": share_gone(truth, imputed, free, std),
        "imputation_skill_over_celltype_mean": share_gone(truth, imputed, profiles[of], std),
    }
    assert_scores(needs, expected, rel=1e-6)
    skill = (reached - floor) / (1 - floor)
    assert_scores(needs, {"imputation_pearson_per_cell_skill": skill}, abs=1e-9)


@pytest.mark.parametrize(
    "metric", [metric for metric in METRICS if {"truth", "imputed"} <= NEEDS[metric]]
)
def test_imputations_of_another_shape_are_refused(metric):
    needs = world(n=40)
    with pytest.raises(ValueError, match="same shape"):
        evaluate(metric, needs, imputed=needs["imputed"][:, 1:])


def measured_twice(reliability, n=300):
    """Return a signal, two measurements of it, and the variance of their noise, (cells, features)."""
    random, shape = default_rng(3), (n, len(reliability))
    signal = np.sqrt(reliability) * random.standard_normal(shape)
    noise = np.broadcast_to(1 - reliability, shape)
    first, second = (signal + np.sqrt(noise) * random.standard_normal(shape) for _ in range(2))
    return signal, first, second, noise


RELIABILITIES = {  # of 400 features, and by how much their spread makes the ceiling too high
    "equal": (np.full(400, 0.25), 0),
    "perfect": (np.ones(400), 0),
    "some perfect": (np.repeat([1.0, 0.1], [80, 320]), 0),
    "any": (default_rng(3).beta(0.5, 1.0, 400), 0.04),
    "none": (np.zeros(400), 0.1),
}


@pytest.mark.parametrize("kind", RELIABILITIES)
def test_the_ceilings_are_what_the_signal_itself_scores(kind):
    reliability, looser = RELIABILITIES[kind]
    signal, truth, second, noise = measured_twice(reliability)
    needs = {"truth": truth, "noise": noise, "imputed": signal}
    needs |= {"train_mean": np.zeros(400), "train_std": np.ones(400)}
    of_skill, skill = (evaluate(f"imputation_skill{end}", needs) for end in ("_ceiling", ""))
    assert of_skill == pytest.approx(skill, abs=0.01)
    pearson = "imputation_pearson_per_feature"
    of_pearson, r = (evaluate(f"{pearson}{end}", needs) for end in ("_ceiling", ""))
    assert -0.01 < of_pearson - r < looser + 0.01
    again = evaluate(pearson, needs, imputed=second)  # correlates as much as it is reliable
    assert again == pytest.approx(reliability.mean(), abs=0.01)


# --- references: biology, mixing, realism, factors ------------------------------------------------------------------------


def with_an_isolated_type(noise):
    """Return a world in which some labels are unknown, and one type is in a single batch."""
    needs = world(noise=noise)
    needs["labels"][:30] = ""
    needs["batches"][needs["labels"] == TYPES[0]] = "first"
    return needs, needs["labels"] != ""


def test_biology_and_mixing_are_those_of_scib_metrics():
    import scib_metrics
    from scib_metrics.nearest_neighbors import NeighborsResults

    needs, kept = with_an_isolated_type(noise=6.0)
    needs["latent"] += 2.0 * (needs["batches"] == "third")[:, None]
    needs["batches"][np.flatnonzero(needs["labels"] == TYPES[1])[0]] = "alone in its batch"
    z, batches = needs["latent"], needs["batches"].astype(str)
    labels = needs["labels"][kept].astype(str)

    def nearest(cells, k):
        distances = cdist(cells, cells)
        places = np.argsort(distances, axis=1)[:, :k]
        return NeighborsResults(
            indices=places, distances=np.take_along_axis(distances, places, axis=1)
        )

    expected = {
        "graph_connectivity": scib_metrics.graph_connectivity(nearest(z[kept], 15), labels),
        "ilisi": scib_metrics.ilisi_knn(nearest(z, 90), batches),
        "pcr": scib_metrics.pcr_comparison(needs["values"], z, batches, categorical=True),
    }
    assert_scores(needs, expected, abs=1e-4)  # its single precision
    bras = scib_metrics.bras(z[kept], labels, batches[kept])
    assert_scores(needs, {"bras": bras}, abs=1e-5)
    assert_scores(needs | {"latent": 1e-200 * z}, {"bras": evaluate("bras", needs)}, abs=1e-9)


@pytest.mark.parametrize("far", [0, 1000])
def test_lisi_and_kbet_against_plain_loops(far):
    """Where cells are `far` from each other, their distances differ by little, and only that little says who is near."""
    random = default_rng(0)
    z = np.hstack([random.standard_normal((120, 3)), far * np.eye(120)])
    labels, batches = random.choice(TYPES, 120), random.choice(called("one", "two"), 120)
    lisi, accepted = [], []
    for distances in cdist(z, z):
        order = np.argsort(distances)
        beyond = distances[order[1:90]] - distances[order[1]]

        def weights(log, beyond=beyond):
            return np.exp(-np.exp(log) * beyond)

        log = brentq(lambda log, of=weights: entropy(of(log)) - np.log(30), -20, 20)
        near = labels[order[1:90]]
        shares = [weights(log)[near == name].sum() for name in TYPES] / weights(log).sum()
        lisi.append(1 / np.sum(shares**2))
        found = [np.sum(batches[order[:50]] == name) for name in ("one", "two")]
        share = np.array([np.mean(batches == name) for name in ("one", "two")])
        accepted.append(chisquare(found, 50 * share).pvalue >= 0.05)
    needs = {"latent": z, "labels": labels, "batches": batches}
    expected = {"clisi": (4 - np.median(lisi)) / 3, "kbet": np.mean(accepted)}
    assert_scores(needs, expected, abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1])
def test_bras_of_a_constant_latent_is_perfect_mixing(value):
    assert evaluate("bras", world(), latent=np.full((300, 7), value)) == 1


def test_isolated_types_have_the_f1_score_of_their_best_cluster():
    needs, kept = with_an_isolated_type(noise=2.0)
    labels, scores = needs["labels"].astype(str), []
    for number in (4, 8):
        clusters = KMeans(number, n_init=10, random_state=0).fit_predict(needs["latent"][kept])
        scores += [
            f1_score(labels[kept] == TYPES[0], clusters == cluster) for cluster in range(number)
        ]
    assert evaluate("isolated_labels_f1", needs) == pytest.approx(max(scores))
    far = needs["latent"] + 100 * np.unique(labels, return_inverse=True)[1][:, None]
    assert evaluate("isolated_labels_f1", needs, latent=far) == 1


@pytest.mark.parametrize("cells", [40, 300])
def test_mean_average_precision_against_plain_loops(cells):
    z, labels = cells_of(cells, 3)
    z = z + 4 * default_rng(0).standard_normal(z.shape)
    k, found = max(1, round(cells / 100)), []
    for i in range(cells):
        order = [j for j in np.argsort(((z[i] - z) ** 2).sum(axis=1)) if j != i][:k]
        hits = [labels[j] == labels[i] for j in order]
        precisions = [np.mean(hits[: place + 1]) for place in range(k) if hits[place]]
        found.append(np.mean(precisions) if precisions else 0)
    assert 0.3 < np.mean(found) < 0.95
    needs = {"latent": z, "labels": labels}
    assert_scores(needs, {"mean_average_precision": np.mean(found)}, abs=1e-12)


@pytest.mark.parametrize("from_origin", [0, 1e6])
def test_silhouettes_are_those_of_sklearn(from_origin):
    needs, kept = with_an_isolated_type(noise=3.0)
    labels = needs["labels"][kept].astype(str)
    width = (1 + silhouette_samples(needs["latent"][kept], labels)) / 2
    needs["latent"] += from_origin
    isolated = width[labels == TYPES[0]].mean()
    assert_scores(needs, {"label_silhouette": width.mean(), "isolated_labels": isolated})


@pytest.mark.parametrize("metric", ["isolated_labels", "isolated_labels_f1"])
def test_a_type_is_as_isolated_as_its_cells_with_a_batch_say(metric):
    needs = world(noise=2.0)
    of_type = [np.flatnonzero(needs["labels"] == name) for name in TYPES]
    needs["batches"] = called("one", "two")[np.arange(300) % 2]
    needs["batches"][of_type[0]] = "one"
    expected = evaluate(metric, needs)
    needs["batches"][of_type[0][::2]] = ""
    assert evaluate(metric, needs) == expected
    needs["batches"][of_type[1]] = ""  # nothing is known of these
    assert evaluate(metric, needs) == expected


@pytest.mark.parametrize("metric", ["ilisi", "kbet", "bras", "pcr"])
def test_cells_without_a_batch_are_left_out_and_are_no_batch_of_their_own(metric):
    needs, lost = world(), default_rng(1).random(300) < 0.3
    needs["batches"][lost] = ""
    kept = {need: needs[need][~lost] for need in NEEDS[metric]}
    assert evaluate(metric, needs) == evaluate(metric, kept)


@pytest.mark.parametrize("metric", ["ilisi", "kbet"])
def test_a_graph_with_cells_without_a_batch_has_no_mixing(metric):
    ring = sparse.csr_matrix(np.roll(np.eye(60), 1, axis=1))
    with pytest.raises(Undefined, match="some cells of this graph have no batch"):
        catalog.function("metrics", metric, "from_graph")(graph=ring, batches=HALF)


@pytest.mark.parametrize("values", [1, 2, 1000])
def test_neighbours_are_the_nearest_and_ties_follow_no_order(values):
    cells = default_rng(values).integers(0, values, (300, 3)).astype(float)
    distances, places = neighbors(cells, 40)
    every = cdist(cells, cells)
    assert_allclose(distances, np.sort(every, axis=1)[:, :40], atol=1e-12)
    assert_allclose(np.take_along_axis(every, places, axis=1), distances, atol=1e-12)
    assert all(len(set(row)) == 40 for row in places.tolist())
    assert_array_equal(places[:, 0], np.arange(300))
    if values == 1:  # all are equally far, so each of the others is drawn 39 times in the mean
        drawn = np.bincount(places[:, 1:].ravel(), minlength=300)
        assert drawn.mean() == 39
        assert drawn.std() == pytest.approx(np.sqrt(39 * (1 - 39 / 299)), rel=0.2)
        assert np.corrcoef(np.arange(300), drawn)[0, 1] == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("metric", ["kbet", "ilisi", "clisi", "graph_connectivity"])
@pytest.mark.parametrize("places", [1, 2])
def test_tied_latents_score_the_same_whatever_the_order_of_rows(metric, places):
    random = default_rng(0)
    needs = {
        "labels": random.choice(TYPES, 600, p=[0.45, 0.3, 0.15, 0.1]),
        "batches": random.choice(called("one", "two", "three"), 600),
        "latent": 0.1 + random.integers(0, places, (600, 1)) * np.ones((1, 4)),
    }
    (names,) = NEEDS[metric] - {"latent"}
    orders = [np.argsort(needs[names].astype(str), kind="stable")]
    orders += [random.permutation(600) for _ in range(3)]
    found = []
    for order in orders:
        found.append(evaluate(metric, {need: needs[need][order] for need in NEEDS[metric]}))
    assert found[0] == pytest.approx(
        np.mean(found[1:]), abs=0.15 if metric == "graph_connectivity" else 0.06
    ), found


def test_cell_cycle_conservation_is_of_regressions_of_principal_components():
    random = default_rng(0)
    phases = random.standard_normal((200, 2))
    values = phases @ random.standard_normal((2, 8)) + random.standard_normal((200, 8))
    latent = np.concatenate(
        [phases[:, :1] + random.standard_normal((200, 1)), 3 * random.standard_normal((200, 3))],
        axis=1,
    )
    shares = []
    for x in (values, latent):
        components = PCA().fit(x)
        fitted = [
            LinearRegression().fit(phases, component).score(phases, component)
            for component in components.transform(x).T
        ]
        shares.append(np.sum(fitted * components.explained_variance_ratio_))
    expected = 1 - abs(shares[1] - shares[0]) / shares[0]
    needs = {"latent": latent, "values": values, "cell_cycle": phases}
    assert 0.02 < expected < 0.5
    rotated = values @ np.linalg.qr(random.random((8, 8)))[0]
    twice = np.concatenate([phases, phases[:, :1]], axis=1)
    same, other = needs | {"cell_cycle": twice}, needs | {"latent": rotated}
    for given, score in ((needs, expected), (same, expected), (other, 1)):
        assert_scores(given, {"cell_cycle_conservation": score}, abs=1e-9)


@pytest.mark.parametrize("as_matrix", [np.asarray, sparse.csr_matrix])
def test_phases_are_scored_by_their_genes_where_there_are_enough(as_matrix):
    names = ["Mcm5", "PCNA", "TYMS", "CD3E", "TOP2A", "MKI67", "CDK1"]
    values = default_rng(0).random((30, 7))
    values[:, 1] = 2
    standardised = (values - values.mean(axis=0)) / np.where(
        np.arange(7) == 1, 1, values.std(axis=0)
    )
    found = phase_scores(as_matrix(values), genes_of_phases(names))
    expected = [standardised[:, :3].mean(1), standardised[:, 4:].mean(1)]
    assert_allclose(found.T, expected, atol=1e-12)
    assert genes_of_phases(names[1:]) is None


def test_modality_mixing_against_plain_loops():
    random = default_rng(0)
    a = random.standard_normal((60, 3))
    b = a + random.standard_normal(a.shape) + 0.5
    both, shares = np.concatenate([a, b]), []
    for i in range(120):
        others = [j for j in np.argsort(np.sum((both[i] - both) ** 2, axis=1)) if j % 60 != i % 60][
            :20
        ]
        shares.append(np.mean([(j < 60) != (i < 60) for j in others]))
    assert 0.1 < np.mean(shares) < 0.45
    bits = entropy([shares, 1 - np.array(shares)], base=2).mean()
    expected = {"modality_mixing": np.mean(shares), "modality_mixing_entropy": bits}
    assert_scores(latents_of(a, b), expected)
    assert evaluate("modality_mixing", latent_a=a, latent_b=a + 100) == 0


def test_mmd_against_plain_loops_and_realism_of_what_is_real():
    needs = world(noise=2.0, n=30)
    x, y = needs["truth"] / needs["train_std"], needs["imputed"] / needs["train_std"]
    width = np.median([np.sum((x[i] - x[j]) ** 2) for i in range(30) for j in range(i)])
    kernel = [
        np.mean([np.exp(-np.sum((p - q) ** 2) / width) for p in s for q in t])
        for s, t in ((x, x), (y, y), (x, y))
    ]
    assert_scores(needs, {"realism_mmd": kernel[0] + kernel[1] - 2 * kernel[2]}, abs=1e-9)
    needs = world(n=100)
    truth = needs["truth"]
    assert evaluate("realism_auc", needs, imputed=(truth + truth.mean(0)) / 2) > 0.7
    whole = np.round(
        truth
    )  # values that cells share, so that a tree could see the least shift of all
    assert evaluate("realism_auc", needs, truth=whole, imputed=whole + 1e-5) < 0.55
    needs["imputed"] = default_rng(0).permutation(truth)
    assert_scores(needs, {"realism_auc": 0.5, "realism_mmd": 0}, abs=0.1)


def test_factors_are_explained_by_the_share_of_their_variance():
    random = default_rng(0)
    factors, other = random.standard_normal((2000, 3)), random.standard_normal((2000, 3))
    needs = {"shared_factors": factors, "private_factors": factors}
    mixed = {"latent": factors @ random.standard_normal((3, 6)), "private_latent": factors}
    half = factors + random.standard_normal(factors.shape)
    one_of_three = np.concatenate([factors[:, :1], other], axis=1)
    for of_shared, of_private in (
        ("shared_factors_r2", "private_factors_r2"),
        ("private_factors_leak", "shared_factors_leak"),
    ):
        assert_scores(needs | mixed, {of_shared: 1, of_private: 1}, abs=0.001)
        for latent, expected, within in ((half, 0.5, 0.03), (one_of_three, 1 / 3, 0.01)):
            blocks = {"latent": latent, "private_latent": latent}
            scores = {of_shared: expected, of_private: expected}
            assert_scores(needs | blocks, scores, abs=within)
    blocks = {"latent": other, "private_latent": other}
    assert_scores(needs | blocks, {"private_factors_leak": 0, "shared_factors_leak": 0})


def test_separation_by_all_blocks_needs_either_and_that_by_one_block_its_own():
    random = default_rng(4)
    labels = np.where(random.random(600) < 0.5, "a", "b").astype(object)
    nothing = random.standard_normal((600, 2))
    z = 4.0 * (labels == "a")[:, None] + random.standard_normal((600, 2))
    for shared, private in ((z, nothing), (nothing, z)):
        needs = {
            "latent": shared,
            "private_latent": private,
            "all_blocks": np.concatenate([shared, private], 1),
            "labels": labels,
        }
        assert evaluate("label_separation_auc_all", needs) > 0.99
        assert (evaluate("label_separation_auc_private", needs) > 0.9) == (private is z)
        assert (evaluate("label_separation_auc", needs) > 0.9) == (shared is z)


@pytest.mark.parametrize("as_matrix", [np.asarray, sparse.csr_matrix])
def test_shared_features_alone_count(as_matrix):
    random = default_rng(4)
    truth = random.standard_normal((300, 9))
    imputed = truth + 0.5 * random.standard_normal(truth.shape)
    imputed[:, 5:] = random.standard_normal((300, 4))
    needs = {"truth": as_matrix(truth), "imputed": as_matrix(imputed)}
    needs["shared_driven"] = np.arange(9) < 5
    expected = np.median(r2_score(truth[:, :5], imputed[:, :5], multioutput="raw_values"))
    assert_scores(needs, {"shared_features_r2": expected}, abs=1e-12)


# --- references: sanity, resources ---------------------------------------------------------------------------------------


def test_active_units_counts_dimensions_that_vary():
    z = default_rng(0).standard_normal((5000, 5)) * np.sqrt([0.0, 0.008, 0.012, 1.0, 40.0]) + 1e5
    assert evaluate("active_units", latent=z) == 3.0


def test_chance_is_flagged_and_an_alignment_is_not():
    random = default_rng(0)
    a = random.standard_normal((400, 5))
    flagged = [
        evaluate("alignment_at_chance", latent_a=a, latent_b=random.permutation(a))
        for _ in range(20)
    ]
    assert np.mean(flagged) >= 0.85
    aligned = latents_of(a, a + 3 * random.standard_normal(a.shape))
    assert evaluate("alignment_at_chance", aligned) == 0


def test_a_file_read_twice_is_seen_in_its_latents():
    a = default_rng(0).standard_normal((40, 5))
    b = a.copy()
    assert evaluate("equal_latents", latent_a=a, latent_b=b) == 1.0
    b[:30, 0] += 1e-9
    assert evaluate("equal_latents", latent_a=a, latent_b=b) == 0.25


@pytest.mark.parametrize(
    ("epochs", "kept_epoch", "stopped"),
    [(400, 390, 1.0), (400, 371, 1.0), (400, 370, 0.0), (120, 90, 0.0), (400, 400, 1.0)],
)
def test_a_training_is_stopped_by_the_budget_where_patience_had_not_run_out_at_its_end(
    epochs, kept_epoch, stopped
):
    training = {"epochs": epochs, "kept_epoch": kept_epoch, "max_epochs": 400, "patience": 30}
    assert evaluate("stopped_by_budget", stopping=training) == stopped
    assert evaluate("kept_epoch", trained=training) == kept_epoch


def test_the_kl_term_is_that_of_the_weights_that_were_kept():
    history = {"kl": np.array([9.0, 4.0, 2.0]), "validation_loss": np.array([3.0, 1.0, np.nan])}
    # A method with discriminators, or without early stopping, keeps other weights than the lowest loss's.
    for one, kept in zip(history["kl"], np.eye(3), strict=True):
        assert evaluate("kl_term", history=history | {"kept": kept}) == one
    assert evaluate("kl_term", history=history) == 4.0
    with pytest.raises(ValueError, match="NaN"):
        evaluate("kl_term", history=history | {"kl": np.full(3, np.nan)})


def test_resources_are_read_from_the_record():
    expected = {"fit_seconds": 12, "peak_host_mb": 512, "peak_device_mb": 64}
    assert_scores(world(n=40), expected)


# --- references: unpaired cells ------------------------------------------------------------------------------------------


def test_types_matched_sees_a_permutation_of_the_types_that_alignment_of_distributions_does_not():
    random = default_rng(0)
    types = np.repeat(np.arange(4), 30)
    centres = 9 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    a = centres[types] + random.standard_normal((120, 2))
    rotated = centres[(types + 1) % 4] + random.standard_normal((120, 2))
    swapped = centres[np.array([1, 0, 2, 3])[types]] + random.standard_normal((120, 2))
    labels = TYPES[types]
    for b, expected in ((a, 1.0), (rotated, 0.0), (swapped, 0.5)):
        needs = latents_of(a, b) | {"labels": labels}
        assert evaluate("types_matched", needs) == expected
        assert evaluate("modality_probe", needs) < 0.6


def test_modality_probe_tells_what_lies_apart_and_nothing_of_a_pair_that_is_equal():
    z = default_rng(0).standard_normal((200, 3))
    assert evaluate("modality_probe", latent_a=z, latent_b=z + 5) > 0.98
    assert evaluate("modality_probe", latent_a=z, latent_b=z.copy()) == 0.5


def test_reconstruction_r2_is_of_cells_that_the_regression_has_not_seen():
    """Against ridge regressions cell by cell: each penalty is judged by leaving one train cell out."""
    random = default_rng(1)
    z, values = random.standard_normal((40, 15)), random.standard_normal((40, 4))
    values[:, :2] += z[:, :2]
    x, latent = (values - values.mean(0)) / values.std(0), (z - z.mean(0)) / z.std(0)

    def predicted(train, cell, penalty):
        a, b = latent[train] - latent[train].mean(0), x[train] - x[train].mean(0)
        return x[train].mean(0) + (latent[cell] - latent[train].mean(0)) @ np.linalg.solve(
            a.T @ a + penalty * np.eye(15), a.T @ b
        )

    def left_out_error(train, penalty):
        return sum(
            np.sum((x[cell] - predicted(train[train != cell], cell, penalty)) ** 2)
            for cell in train
        )

    fold, error = default_rng(0).permutation(40) % 5, 0.0
    for cell in range(40):
        train = np.flatnonzero(fold != fold[cell])
        penalty = min((1, 10, 100, 1000, 10000), key=lambda penalty: left_out_error(train, penalty))
        error += np.sum((x[cell] - predicted(train, cell, penalty)) ** 2)
    expected = 1 - error / np.sum(x**2)
    assert_scores({"latent": z, "values": values}, {"reconstruction_r2": expected}, abs=1e-9)
