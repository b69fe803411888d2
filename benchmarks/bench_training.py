"""Training: cells seen per CPU second, against the packages' own loops and against the bare matrix products of a model."""

import contextlib
import importlib
import io
import logging
import warnings

import numpy as np
import pandas as pd
import pytest

from mosaicbench import catalog
from mosaicbench.verbs.fit import method_class

EPOCHS = 3
COUNTS = {"hidden": 256, "latent": 20, "minibatch": 256, "likelihood": "counts"}  # as the packages'
RNA_ADT, RNA_ATAC = "Training on RNA and protein counts", "Training on RNA and ATAC counts"
GAUSSIAN = "Training on standardised values, defaults"
GAUSSIAN_METHODS = [
    name
    for name, card in catalog.cards("methods").items()
    if card["kind"] == "model" and "wraps" not in card and {"pairs"} == set(card["uses"])
]


@pytest.fixture(scope="module")
def views(dataset):
    """Train cells of each pair of modalities, as a method sees them."""
    from mosaicbench import files
    from mosaicbench.data import scenarios

    found = {}
    for pair in (("rna", "adt"), ("rna", "atac")):
        parts = scenarios.cut(dataset, dataset_name="d", scenario="s", kind="paired", seed=0)
        view = files.as_view(parts["train"], labels=False)
        found[pair] = type(view)(
            blocks=tuple(block.only(*pair) for block in view.blocks),
            features={m: view.features[m] for m in pair},
            scales={m: view.scales[m] for m in pair},
        )
    return found


def _train(method, view, **hyperparameters):
    instance = method_class(importlib.import_module(catalog.module("methods", method)))
    fitted = instance(max_epochs=EPOCHS, **hyperparameters)
    fitted.fit(view, 0)
    return fitted


def _parameters(nets):
    return sum(parameter.numel() for parameter in nets.parameters())


@pytest.mark.parametrize(("group", "pair", "goal"), [(RNA_ADT, ("rna", "adt"), 2.5), (RNA_ATAC, ("rna", "atac"), 4.0)])
def bench_counts(benchmark, measure, views, group, pair, goal):
    benchmark.group = group
    view = views[pair]
    fitted = measure(
        lambda: _train("vae_poe", view, **COUNTS),
        role="ours",
        size=EPOCHS * len(view.blocks[0]),
        unit="cells",
        goal=goal,
        who="vae_poe",
    )
    benchmark.extra_info["parameters"] = _parameters(fitted.nets)


@pytest.mark.benchmark(group=RNA_ADT)
def bench_totalvi(benchmark, measure, views):
    scvi, cells = _scvi(), _as_counts(views[("rna", "adt")])
    scvi.model.TOTALVI.setup_mudata(cells, modalities={"rna_layer": "rna", "protein_layer": "adt"})
    model = scvi.model.TOTALVI(cells)
    measure(lambda: _quietly(model), role="peer", size=EPOCHS * cells.n_obs, unit="cells", rounds=1, who="totalVI")
    benchmark.extra_info["parameters"] = _parameters(model.module)


@pytest.mark.benchmark(group=RNA_ATAC)
def bench_multivi(benchmark, measure, views):
    scvi, cells = _scvi(), _as_counts(views[("rna", "atac")])
    scvi.model.MULTIVI.setup_mudata(cells, modalities={"rna_layer": "rna", "atac_layer": "atac"})
    model = scvi.model.MULTIVI(cells, n_genes=cells["rna"].n_vars, n_regions=cells["atac"].n_vars, fully_paired=True)
    measure(lambda: _quietly(model), role="peer", size=EPOCHS * cells.n_obs, unit="cells", rounds=1, who="MultiVI")
    benchmark.extra_info["parameters"] = _parameters(model.module)


@pytest.mark.parametrize("method", GAUSSIAN_METHODS)
def bench_gaussian(benchmark, measure, views, method):
    benchmark.group = GAUSSIAN
    view = views[("rna", "adt")]
    fitted = measure(lambda: _train(method, view), role="ours", size=EPOCHS * len(view.blocks[0]), unit="cells", who=method)
    benchmark.extra_info["parameters"] = _parameters(fitted.nets)


@pytest.mark.benchmark(group=GAUSSIAN)
def bench_matrix_products(benchmark, measure, views):
    """What vae_poe's layers cost at least: one product forward, two backward, of every minibatch."""
    import torch

    fitted = _train("vae_poe", views[("rna", "adt")])
    layers = [layer for layer in fitted.nets.modules() if isinstance(layer, torch.nn.Linear)]
    inputs = {layer: torch.randn(fitted.minibatch, layer.in_features) for layer in layers}
    cells = EPOCHS * len(views[("rna", "adt")].blocks[0])

    @torch.no_grad()
    def products():
        for _ in range(cells // fitted.minibatch):
            for layer, x in inputs.items():
                y = x @ layer.weight.T
                y @ layer.weight, y.T @ x

    measure(products, role="limit", size=cells, unit="cells", who="matrix products of vae_poe")
    benchmark.extra_info["parameters"] = _parameters(fitted.nets)


def _scvi():
    scvi = pytest.importorskip("scvi")
    logging.disable(logging.WARNING)
    return scvi


def _as_counts(view):
    """The view's train cells as scvi-tools wants them."""
    import anndata
    import mudata

    (block,) = view.blocks
    counts = {m: x.astype(np.float32).toarray() if m == "adt" else x.astype(np.float32) for m, x in block.counts.items()}
    cells = {m: anndata.AnnData(x, obs=pd.DataFrame(index=block.names.astype(str))) for m, x in counts.items()}
    for modality, each in cells.items():
        each.var_names = [f"{modality}-{column}" for column in range(each.n_vars)]
    return mudata.MuData(cells)


def _quietly(model):
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train(max_epochs=EPOCHS, early_stopping=False, batch_size=256, accelerator="cpu", enable_progress_bar=False)
