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
