"""Small real counts as users bring them: a plain AnnData per modality, cells called like barcodes, and stanzas that read them."""

import json
import warnings
from functools import cache

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mosaicbench.data import embedded
from mosaicbench.data.checks import DataWarning
from mosaicbench.datasets import own_files
from mosaicbench.errors import UserError

load = cache(embedded.load)


def own_cells(name="teaseq_small", *, cells=120, genes=600, barcodes=True):
    """Return modality -> AnnData with counts in X and the columns cell_type and donor; RNA has its most seen genes."""
    whole, random = load(name), np.random.default_rng(0)
    rows = np.sort(random.permutation(whole.n_obs)[:cells])
    names = ["".join(random.choice(list("ACGT"), 16)) + "-1" for _ in rows]
    names = names if barcodes else [f"cell {number}" for number in range(cells)]
    types = whole.obs["cell_type"].astype(str).to_numpy()[rows]
    found = {}
    for modality, part in whole.mod.items():
        counts = sparse.csr_matrix(part.layers["counts"])[rows]
        kept = np.sort(np.argsort(-counts.sum(axis=0).A1, kind="stable")[:genes])
        kept = kept[counts[:, kept].getnnz(axis=0) > 0]
        obs = pd.DataFrame({"cell_type": types, "donor": "P1"}, index=names)
        var = pd.DataFrame(index=part.var_names[kept].astype(str))
        found[modality] = anndata.AnnData(counts[:, kept].astype(np.float32), obs=obs, var=var)
    return found


def written(folder, parts):
    """Write each modality as .h5ad, and return the `path` of a stanza."""
    for modality, cells in parts.items():
        cells.write_h5ad(folder / f"{modality}.h5ad")
    return {modality: f"{modality}.h5ad" for modality in parts}


def read(folder, path, **options):
    """Return the dataset of a stanza, and the data warnings while it is read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = own_files.load(folder, path=path, **options)
    return dataset, [str(one.message) for one in caught if issubclass(one.category, DataWarning)]


def refused(message, folder, path, **options):
    """Return the text that refuses a stanza, which has the parts of a message."""
    with pytest.raises(UserError, match=message) as raised:
        read(folder, path, **options)
    return str(raised.value)


def equal(dataset, modality, cells):
    """Return whether a modality has the counts of an AnnData, cell by cell and feature by feature, and nothing else."""
    found = dataset[modality]
    for axis in ("obs_names", "var_names"):
        if list(getattr(found, axis)) != list(getattr(cells, axis)):
            return False
    return (found.layers["counts"] != sparse.csr_matrix(cells.X)).nnz == 0


def left_out(dataset, modality):
    """Return reason -> number of features left out of a modality."""
    return json.loads(dataset[modality].uns["features_left_out"])
