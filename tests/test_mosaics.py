"""Mosaics: cells with one modality must not make a method worse than leaving them out."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import FEATURES, linear_cells, links_among

from mosaicbench.methods.mmaavi import MMAAVI
from mosaicbench.methods.mmvae import MMVAE
from mosaicbench.methods.mmvaepp import MMVAEpp
from mosaicbench.methods.mopoe import MoPoE
from mosaicbench.methods.mvae import MVAE
from mosaicbench.methods.vae_mlp import MLPVAE
from mosaicbench.methods.vae_poe import PoEVAE
from mosaicbench.metrics.foscttm import foscttm
from mosaicbench.view import View

NOISE = 0.05  # in FOSCTTM, of two trainings that differ in their steps
METHODS = [(m, {}) for m in (MMAAVI, MMVAE, MMVAEpp, MoPoE, MVAE, MLPVAE, PoEVAE)] + [(MoPoE, {"variant": "martens"})]


def mosaic(paired=60, alone=200):
    """Return few cells with both modalities, and many with one each."""
    blocks = [linear_cells(paired, seed=0), *(linear_cells(alone, seed=i, modalities=(m,), name=m) for i, m in TWO)]
    return View(tuple(blocks), {m: FEATURES[m] for _, m in TWO}, links=links_among(("rna", "adt")))


TWO = ((1, "rna"), (2, "adt"))


def test_every_model_that_takes_a_mosaic_is_asked():
    from mosaicbench import catalog

    cards = catalog.cards("methods").items()
    known = {n for n, c in cards if c["kind"] == "model" and "mosaic" in c["handles"] and "wraps" not in c}
    asked = {method.__module__.rsplit(".", 1)[1] for method, _ in METHODS}
    assert {name.removesuffix("_sup").removesuffix("_ss") for name in known} == asked


@pytest.mark.parametrize(("method", "options"), METHODS, ids=lambda part: getattr(part, "__name__", None) or str(part))
def test_cells_with_one_modality_do_no_harm(method, options):
    view, query = mosaic(), linear_cells(200, seed=9)
    scores = {}
    for name, shown in (("all", view), ("paired", replace(view, blocks=view.blocks[:1]))):
        found = []
        for seed in (0, 1):
            model = method(**options, max_epochs=40, patience=40, batch_size=30, hidden=32, latent=8)
            model.fit(shown, seed)
            found.append(foscttm(*(model.embed(query.only(m)) for _, m in TWO)))
        scores[name] = np.mean(found)
    assert scores["all"] < scores["paired"] + NOISE, scores
