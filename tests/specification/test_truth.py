"""Simulations with known factors: what the papers claim of their methods holds here."""

import pytest

from mosaicbench.catalog import catalog
from mosaicbench.data.split import make_split
from mosaicbench.datasets import synthetic_gp
from mosaicbench.files.splits import as_cells, as_split, space_values, unstandardised_values
from mosaicbench.metrics.alignment import foscttm
from mosaicbench.metrics.disentanglement import shared_features_r2

RUNS = {
    "mmvae": {},
    "mopoe": {"variant": "martens", "cross_private": "prior_sample"},
    "mmvaepp": {},
}
# As its authors train, and as *-small-w1.0-last of the study private_variation, but for less time.
COMMON = {
    "latent": 2,
    "private": 2,
    "hidden": 64,
    "max_epochs": 60,
    "batch_size": 64,
    "learning_rate": 0.001,
    "warmup": 1.0,
    "weights": "last",
}


@pytest.fixture(scope="module")
def scores():
    """Return run -> (R2 of shared features from the second modality to the first, FOSCTTM).

    Of one seed; with two, R2 was 0.29 and 0.54 of MMVAE++ and below 0 of the others, FOSCTTM 0.26
    and 0.17 against 0.47 to 0.53.
    """
    dataset = synthetic_gp.load(None, cells=400, private_features={"first": 20, "second": 100})
    parts = make_split(dataset, dataset_name="gp", scenario="paired", kind="paired", seed=0)
    train, query, truth = (
        as_split(parts["train"], labels=False),
        parts["query"],
        parts["solution"]["first"],
    )
    rows = query["first"].obs_names.get_indexer(truth.obs["query_name"])
    found = {}
    for run, options in RUNS.items():
        method = catalog.method_class(run)(**COMMON, **options)
        method.fit(train, 0)
        cells = {modality: as_cells(query, [modality]) for modality in query.mod}
        imputed = unstandardised_values(query["first"], method.impute(cells["second"], "first"))[
            rows
        ]
        r2 = shared_features_r2(space_values(truth), imputed, truth.var["shared_driven"].to_numpy())
        found[run] = r2, foscttm(method.embed(cells["first"]), method.embed(cells["second"]))
    return found


@pytest.mark.parametrize("other", [run for run in RUNS if run != "mmvaepp"])
def test_mmvaepp_imputes_what_is_shared_where_private_variation_drowns_the_others(scores, other):
    assert scores["mmvaepp"][0] - scores[other][0] > 0.15


def test_mmvaepp_aligns_the_shared_blocks_where_the_others_do_not(scores):
    assert scores["mmvaepp"][1] < min(
        0.3, *(scores[other][1] - 0.15 for other in RUNS if other != "mmvaepp")
    )
