"""Training: cells per CPU second, compared with the packages' loops and with a model's matrix products."""

import contextlib
import io
import logging
import warnings

import numpy as np
import pandas as pd
import pytest

from mosaicbench.catalog import catalog

EPOCHS = 3
COUNTS = {"batch_size": 256, "likelihood": "counts"}
AS_TOTALVI = COUNTS | {"hidden": 256, "latent": 20}  # sizes of the package, for all data
AS_MULTIVI = COUNTS | {"hidden": 100, "latent": 10}  # of its rule for 10,000 peaks
AS_LARGE_MULTIVI = COUNTS | {"hidden": 128, "latent": 11}
RNA_ADT = "Training on RNA and protein counts"
RNA_ATAC = "Training on RNA and ATAC counts, 10,000 peaks"
RNA_MANY_PEAKS = "Training on RNA and ATAC counts, 30,000 peaks"
GAUSSIAN = "Training on standardised values, defaults"
GAUSSIAN_METHODS = [
    name
    for name, card in catalog.cards("methods").items()
    if card["kind"] == "model" and "wraps" not in card and {"pairs"} == set(card["inputs"])
]


@pytest.fixture(scope="module")
def splits(dataset):
    """Train cells of each comparison, as a method sees them."""
    from mosaicbench.datasets import simulated

    many_peaks = simulated.load(None, cells=2500, n_rna=3000, n_atac=30_000, n_adt=2)
    all_chosen = {"atac": {"features": 30_000}}
    return {
        RNA_ADT: _train_cells(dataset, "rna", "adt"),
        RNA_ATAC: _train_cells(dataset, "rna", "atac"),
        RNA_MANY_PEAKS: _train_cells(many_peaks, "rna", "atac", preprocess=all_chosen),
    }


def _train_cells(dataset, *pair, **options):
    from mosaicbench.data.split import make_split
    from mosaicbench.files.splits import as_split

    parts = make_split(dataset, dataset_name="d", scenario="s", kind="paired", seed=0, **options)
    split = as_split(parts["train"], labels=False)
    return type(split)(
        blocks=tuple(block.only(*pair) for block in split.blocks),
        features={m: split.features[m] for m in pair},
        normalizations={m: split.normalizations[m] for m in pair},
    )


def _train(method, split, **hyperparameters):
    fitted = catalog.method_class(method)(max_epochs=EPOCHS, **hyperparameters)
    fitted.fit(split, 0)
    return fitted


def _parameters(nets):
    return sum(parameter.numel() for parameter in nets.parameters())


def _of_cells(cells, who):
    return {"size": EPOCHS * cells, "unit": "cells", "who": who}


@pytest.mark.parametrize(
    ("group", "who", "hyperparameters", "goal"),
    [
        (RNA_ADT, "vae_poe", AS_TOTALVI, 2.5),
        (RNA_ATAC, "vae_poe", AS_MULTIVI, 4.0),
        (RNA_ATAC, "vae_poe, layers of 256, not 100", AS_TOTALVI, None),
        (RNA_MANY_PEAKS, "vae_poe", AS_LARGE_MULTIVI, 4.0),
    ],
)
def bench_counts(benchmark, measure, splits, group, who, hyperparameters, goal):
    benchmark.group = group
    split = splits[group]
    fitted = measure(
        lambda: _train("vae_poe", split, **hyperparameters),
        role="ours",
        goal=goal,
        **_of_cells(len(split.blocks[0]), who),
    )
    benchmark.extra_info["parameters"] = _parameters(fitted.nets)


@pytest.mark.benchmark(group=RNA_ADT)
def bench_totalvi(benchmark, measure, splits):
    scvi, cells = _scvi(), _as_counts(splits[RNA_ADT])
    scvi.model.TOTALVI.setup_mudata(cells, modalities={"rna_layer": "rna", "protein_layer": "adt"})
    model = scvi.model.TOTALVI(cells)
    measure(lambda: _quietly(model), role="peer", **_of_cells(cells.n_obs, "totalVI"))
    benchmark.extra_info["parameters"] = _parameters(model.module)


@pytest.mark.parametrize(
    ("group", "ours"), [(RNA_ATAC, AS_MULTIVI), (RNA_MANY_PEAKS, AS_LARGE_MULTIVI)]
)
def bench_multivi(benchmark, measure, splits, group, ours):
    benchmark.group = group
    scvi, cells = _scvi(), _as_counts(splits[group])
    scvi.model.MULTIVI.setup_mudata(cells, modalities={"rna_layer": "rna", "atac_layer": "atac"})
    model = scvi.model.MULTIVI(
        cells, n_genes=cells["rna"].n_vars, n_regions=cells["atac"].n_vars, fully_paired=True
    )
    assert (model.module.n_hidden, model.module.n_latent) == (ours["hidden"], ours["latent"])
    measure(lambda: _quietly(model), role="peer", **_of_cells(cells.n_obs, "MultiVI"))
    benchmark.extra_info["parameters"] = _parameters(model.module)


@pytest.mark.parametrize("method", GAUSSIAN_METHODS)
def bench_gaussian(benchmark, measure, splits, method):
    benchmark.group = GAUSSIAN
    split = splits[RNA_ADT]
    size = _of_cells(len(split.blocks[0]), method)
    fitted = measure(lambda: _train(method, split), role="ours", **size)
    benchmark.extra_info["parameters"] = _parameters(fitted.nets)


@pytest.mark.benchmark(group=GAUSSIAN)
def bench_matrix_products(benchmark, measure, splits):
    """The least work of vae_poe's layers: one product forward, two backward, for every minibatch."""
    import torch

    fitted = _train("vae_poe", splits[RNA_ADT])
    layers = [layer for layer in fitted.nets.modules() if isinstance(layer, torch.nn.Linear)]
    inputs = {layer: torch.randn(fitted.batch_size, layer.in_features) for layer in layers}
    size = _of_cells(len(splits[RNA_ADT].blocks[0]), "matrix products of vae_poe")

    @torch.no_grad()
    def products():
        for _ in range(size["size"] // fitted.batch_size):
            for layer, x in inputs.items():
                y = x @ layer.weight.T
                y @ layer.weight, y.T @ x

    measure(products, role="limit", **size)
    benchmark.extra_info["parameters"] = _parameters(fitted.nets)


def _scvi():
    scvi = pytest.importorskip("scvi")
    logging.disable(logging.WARNING)
    return scvi


def _as_counts(split):
    """The split's train cells for scvi-tools."""
    import anndata
    import mudata

    (block,) = split.blocks
    obs, cells = pd.DataFrame(index=block.names.astype(str)), {}
    for modality, counts in block.counts.items():
        x = counts.astype(np.float32)
        cells[modality] = anndata.AnnData(x.toarray() if modality == "adt" else x, obs=obs)
        columns = range(x.shape[1])
        cells[modality].var_names = [f"{modality}-{column}" for column in columns]
    return mudata.MuData(cells)


def _quietly(model):
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quiet = {"enable_progress_bar": False, "early_stopping": False}
        model.train(max_epochs=EPOCHS, batch_size=256, accelerator="cpu", **quiet)
