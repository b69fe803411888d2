"""Small splits that every test of methods, fits and scores shares."""

import fcntl
import gc
import os
import pickle
from dataclasses import replace
from pathlib import Path

# One thread, as a job of the workflow has, set before numpy and torch are imported. It also keeps OpenMP from starting threads
# in this process, which a run's forked child would wait for in vain; the command line forks before it imports either.
for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import compiled
import forked
import numpy as np
import pytest
from numpy.random import default_rng
from scipy import sparse

from mosaicbench.contract import Cells, Split

REPOSITORY = Path(__file__).parents[1]
FEATURES = {"rna": 30, "atac": 20, "adt": 12}

compiled.keep()
compiled.remember_parameters()


def pytest_configure(config):
    """Hide a GPU from tests that are not of it, and start what forks processes once, not in every process of pytest-xdist."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if not hasattr(config, "workerinput"):
        forked.start()


def pytest_collection_finish():
    """Have Python look for garbage more rarely, and never through what is imported by now: that takes an eighth of the time."""
    gc.set_threshold(20_000)
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Put the slowest files first, so that no worker is left alone with one of them at the end."""
    items.sort(
        key=lambda item: not any(item.get_closest_marker(name) for name in ("workflow", "slurm"))
    )


@pytest.fixture(scope="session")
def published():
    """Return a function: dataset of the registry -> folder of its published files, or a skip that names them."""
    from mosaicbench.config import registry

    mirror = os.environ.get("MOSAICBENCH_MIRROR")
    folders = [*([Path(mirror)] if mirror else []), REPOSITORY / "resources/raw"]

    def folder_of(dataset):
        names = [
            file.name for file in registry.raw_files(registry.load(), dataset) if not file.optional
        ]
        for folder in folders:
            if all((folder / dataset / name).is_file() for name in names):
                return folder / dataset
        pytest.skip(
            f"the files of {dataset} are not here: fetch it, or name a mirror folder in MOSAICBENCH_MIRROR"
        )

    return folder_of


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Return the tables, figures and report of a made-up benchmark, which one of the tests' processes makes and none edits."""
    import synthetic_results

    folder = tmp_path_factory.getbasetemp()
    if folder.name.startswith("popen-"):  # a worker's of pytest-xdist, beside the others'
        folder = folder.parent
    kept = folder / "results.pickle"
    with (folder / "results.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(synthetic_results.finished(folder / "results")))
        return pickle.loads(kept.read_bytes())


def linear_cells(n, *, seed, modalities=("rna", "adt"), name="cell"):
    """Return cells whose modalities are linear splits of three cell types and a shared factor, plus noise."""
    random, fixed = default_rng(seed), default_rng(0)
    types = random.integers(0, 3, n)
    z = np.concatenate([np.eye(3)[types] * 2, random.standard_normal((n, 2))], axis=1)  # (cells, 5)
    loadings = {m: fixed.standard_normal((5, d)) for m, d in FEATURES.items()}
    values = {m: z @ loadings[m] + 0.5 * random.standard_normal((n, FEATURES[m])) for m in FEATURES}
    values = {m: _standardised(x) for m, x in values.items()}
    gene_activity = sparse.csr_matrix(random.poisson(3 * np.exp(0.5 * values["rna"]))).astype(
        np.float32
    )
    return Cells(
        names=np.array([f"{name}-{i}" for i in range(n)], dtype=object),
        values={m: values[m] for m in modalities},
        labels=np.array([f"type {t}" for t in types], dtype=object),
        batches=np.array(["batch"] * n, dtype=object),
        gene_activity={"atac": gene_activity} if "atac" in modalities else {},
    )


def _standardised(x):
    spread = x.std(0)
    return ((x - x.mean(0)) / np.where(spread > 0, spread, 1)).astype(np.float32)


def links_among(modalities):
    """Return links of the first ten genes with the first ten features of each other modality."""
    found = {}
    for other in set(modalities) - {"rna"}:
        links = sparse.eye(FEATURES["rna"], FEATURES[other], dtype=np.int8, format="lil")
        links[10:] = 0
        found |= {("rna", other): links.tocsr(), (other, "rna"): links.T.tocsr()}
    return found


def paired_split(n=200, *, seed=0, modalities=("rna", "adt")):
    """Return one block in which every cell has all modalities."""
    features = {m: FEATURES[m] for m in modalities}
    return Split(
        (linear_cells(n, seed=seed, modalities=modalities),),
        features,
        links=links_among(modalities),
    )


def unpaired_split(n=100, *, modalities=("rna", "adt")):
    """Return one block per modality, of different cells."""
    blocks = tuple(
        linear_cells(n, seed=i, modalities=(m,), name=m) for i, m in enumerate(modalities)
    )
    return Split(blocks, {m: FEATURES[m] for m in modalities}, links=links_among(modalities))


def mosaic_split():
    """Return three patterns: both modalities, and each alone."""
    rna, adt = unpaired_split().blocks
    return replace(paired_split(), blocks=(*paired_split(80).blocks, rna, adt))


def linked_world(n=400):
    """Return unpaired cells whose linked features are alike, what the linked columns show is shared, and new paired cells."""
    blocks, fixed = [], default_rng(0)
    loadings = {m: fixed.standard_normal((4, d)) for m, d in (("rna", 30), ("adt", 12))}
    loadings["adt"][:, :10] = loadings["rna"][:, :10]

    def measured(seed, modality):
        random = default_rng(seed)
        z = 2 * np.eye(4)[random.integers(0, 4, n)] + 0.5 * random.standard_normal((n, 4))
        noise = default_rng([seed, modality == "adt"]).standard_normal(
            (n, loadings[modality].shape[1])
        )
        return _standardised(z @ loadings[modality] + 0.3 * noise)

    for seed, m in enumerate(("rna", "adt")):
        cells = linear_cells(n, seed=seed, modalities=(m,), name=m)
        blocks.append(replace(cells, values={m: measured(seed, m)}))
    query = linear_cells(n, seed=9)
    query = replace(query, values={m: measured(9, m) for m in ("rna", "adt")})
    return replace(unpaired_split(), blocks=tuple(blocks)), query
