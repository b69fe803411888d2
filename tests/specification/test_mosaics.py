"""Mosaics: cells with one modality must not make a method worse than leaving them out."""

from dataclasses import replace

import pytest
from conftest import FEATURES, linear_cells, links_among

from mosaicbench.contract import Split
from mosaicbench.methods.contrastive import ContrastiveVAE
from mosaicbench.methods.fusion import MLPVAE, PoEVAE
from mosaicbench.methods.mmaavi import MMAAVI
from mosaicbench.methods.mmvae import MMVAE
from mosaicbench.methods.mmvaepp import MMVAEpp
from mosaicbench.methods.mopoe import MoPoE
from mosaicbench.methods.mvae import MVAE
from mosaicbench.metrics.alignment import foscttm

NOISE = 0.08  # in FOSCTTM, of two trainings of some hundred steps
# Cells with one modality, of each; passes over all cells; passes over the pairs where they are all there is
MANY = (150, 15, 30)  # in twice as many steps
FEWER = (60, 20, 20)
QUICK = {"hidden": 32, "learning_rate": 3e-3}
METHODS = [
    *((method, {}, MANY) for method in (ContrastiveVAE, MMVAE, MMVAEpp, MoPoE, MLPVAE, PoEVAE)),
    (MoPoE, {"variant": "martens"}, MANY),
    # What these pay for a cell with one modality asks nothing of the others: they need as many passes over the pairs.
    (MVAE, {}, FEWER),
    (MMAAVI, {}, FEWER),
]


def mosaic(alone, paired=60):
    """Return few cells with both modalities, and many with one each."""
    blocks = [
        linear_cells(paired, seed=0),
        *(linear_cells(alone, seed=i, modalities=(m,), name=m) for i, m in TWO),
    ]
    return Split(tuple(blocks), {m: FEATURES[m] for _, m in TWO}, links=links_among(("rna", "adt")))


TWO = ((1, "rna"), (2, "adt"))


def test_every_model_that_takes_a_mosaic_is_asked():
    from mosaicbench.catalog import catalog

    cards = catalog.cards("methods").items()
    known = {
        n
        for n, c in cards
        if c["kind"] == "model" and "mosaic" in c["scenarios"] and "wraps" not in c
    }
    asked = {method.__module__.rsplit(".", 1)[1] for method, *_ in METHODS}
    assert {catalog.module("methods", name).rsplit(".", 1)[1] for name in known} == asked


@pytest.mark.parametrize(
    ("method", "options", "budget"),
    METHODS,
    ids=lambda part: getattr(part, "__name__", None) or str(part),
)
def test_cells_with_one_modality_do_no_harm(method, options, budget):
    alone, passes, passes_over_pairs = budget
    split, query = mosaic(alone), linear_cells(200, seed=9)
    paired, scores = replace(split, blocks=split.blocks[:1]), {}
    for name, shown, epochs in (("all", split, passes), ("paired", paired, passes_over_pairs)):
        model = method(**options, max_epochs=epochs, patience=epochs, batch_size=40, **QUICK)
        model.fit(shown, 0)
        scores[name] = foscttm(*(model.embed(query.only(m)) for _, m in TWO))
    assert scores["all"] < scores["paired"] + NOISE, scores
