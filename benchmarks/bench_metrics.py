"""Metrics against the packages that people compute them with."""

import numpy as np
import pytest


@pytest.mark.benchmark(group="FOSCTTM, 10,000 cells, 32 dimensions")
def bench_foscttm(measure, latents):
    from mosaicbench.metrics import _nearest
    from mosaicbench.metrics.alignment import foscttm

    first, second, _ = latents

    def both_directions():
        # clears the cache of the previous round
        _nearest._counted = _nearest.remembered(6)(_nearest.counts_both_ways)
        return (foscttm(first, second) + foscttm(second, first)) / 2

    measure(both_directions, role="ours", size=10_000, unit="cells", goal=100)


@pytest.mark.benchmark(group="FOSCTTM, 10,000 cells, 32 dimensions")
def bench_foscttm_scglue(measure, latents):
    peer = pytest.importorskip("scglue.metrics").foscttm
    first, second, _ = latents
    measure(
        lambda: peer(first, second), role="peer", size=10_000, unit="cells", rounds=1, who="scglue"
    )


@pytest.mark.benchmark(group="Label transfer, 15 neighbours, 10,000 cells")
def bench_label_transfer(measure, latents):
    from mosaicbench.metrics._nearest import transfer

    first, second, labels = latents
    measure(lambda: transfer(first, labels, second), role="ours", size=10_000, unit="cells")


@pytest.mark.benchmark(group="Label transfer, 15 neighbours, 10,000 cells")
def bench_label_transfer_sklearn(measure, latents):
    from sklearn.neighbors import KNeighborsClassifier

    first, second, labels = latents
    measure(
        lambda: KNeighborsClassifier(15, algorithm="brute").fit(first, labels).predict(second),
        role="peer",
        size=10_000,
        unit="cells",
        who="scikit-learn, brute force",
    )


MANY, DIMENSIONS, BLOCK = 160_000, 20, 2048
FOSCTTM_OF_MANY = "FOSCTTM, both directions, 160,000 cells, 20 dimensions"
TRANSFER_OF_MANY = "Label transfer, 15 neighbours, 160,000 cells, 20 dimensions"


@pytest.fixture(scope="module")
def many():
    """Two latents of 160,000 cells, of which each cell's own are near each other; and 12 types."""
    random = np.random.default_rng(0)
    first = random.standard_normal((MANY, DIMENSIONS))
    types = random.integers(12, size=MANY).astype(str).astype(object)
    return first, first + 0.5 * random.standard_normal(first.shape), types


def products(first, second):
    """Multiply all pairs of cells in float32, a block of cells at a time: 2 x 160,000² x 20 = 1.0e12 FLOP."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    block = np.empty((BLOCK, MANY), np.float32)
    for start in range(0, MANY, BLOCK):
        rows = first[start : start + BLOCK]
        np.matmul(rows, second.T, out=block[: len(rows)])


@pytest.mark.benchmark(group=FOSCTTM_OF_MANY)
def bench_foscttm_of_many(measure, many):
    from mosaicbench.metrics._nearest import count_closer

    first, second, _ = many
    measure(lambda: count_closer(first, second), role="ours", size=MANY, unit="cells", rounds=1)


@pytest.mark.benchmark(group=TRANSFER_OF_MANY)
def bench_label_transfer_of_many(measure, many):
    from mosaicbench.metrics._nearest import transfer

    first, second, types = many
    measure(lambda: transfer(first, types, second), role="ours", size=MANY, unit="cells", rounds=1)


@pytest.mark.parametrize(
    "group",
    [
        pytest.param(group, marks=pytest.mark.benchmark(group=group))
        for group in (FOSCTTM_OF_MANY, TRANSFER_OF_MANY)
    ],
)
def bench_products_of_many(measure, many, group):
    first, second, _ = many
    measure(
        lambda: products(first, second),
        role="limit",
        size=MANY,
        unit="cells",
        rounds=1,
        who="matrix products of all pairs",
    )


@pytest.fixture(scope="module")
def profiles():
    """True and imputed values, (cells, features)."""
    random = np.random.default_rng(0)
    truth = random.standard_normal((5000, 2000)).astype(np.float32)
    return truth, (truth + random.standard_normal(truth.shape)).astype(np.float32)


@pytest.mark.benchmark(group="Spearman per feature, 5,000 cells, 2,000 features")
def bench_spearman(measure, profiles):
    from mosaicbench.metrics.imputation import imputation_spearman_per_feature as spearman

    measure(lambda: spearman(*profiles), role="ours", size=2000, unit="features")


@pytest.mark.benchmark(group="Spearman per feature, 5,000 cells, 2,000 features")
def bench_spearman_scipy(measure, profiles):
    from scipy.stats import rankdata

    def each_feature():
        ranked = [(rankdata(x), rankdata(y)) for x, y in zip(*(p.T for p in profiles), strict=True)]
        return [np.corrcoef(x, y)[0, 1] for x, y in ranked]

    measure(
        each_feature,
        role="peer",
        size=2000,
        unit="features",
        who="scipy's ranks, feature by feature",
    )


@pytest.mark.benchmark(group="Pearson per feature, 5,000 cells, 2,000 features")
def bench_pearson(measure, profiles):
    from mosaicbench.metrics.imputation import pearson_columns

    measure(lambda: pearson_columns(*profiles), role="ours", size=2000, unit="features")


@pytest.mark.benchmark(group="Pearson per feature, 5,000 cells, 2,000 features")
def bench_pearson_scipy(measure, profiles):
    from scipy.stats import pearsonr

    measure(
        lambda: pearsonr(*profiles, axis=0), role="peer", size=2000, unit="features", who="scipy"
    )
