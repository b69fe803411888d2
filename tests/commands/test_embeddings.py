"""Embeddings: a row of the file of a split has the latents that each run gave the same cell."""

import numpy as np
import pytest
from mosaicbench_fits import LIMITS, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench.commands.embeddings import embeddings
from mosaicbench.files.dataset import write_dataset


@pytest.fixture(scope="module", params=["unpaired", "mosaic"])
def fitted(request, tmp_path_factory):
    """Return a dataset and the embeddings of three runs on a split of it."""
    from mosaicbench.commands import fit

    folder = tmp_path_factory.mktemp(request.param)
    dataset = small_dataset()
    write_dataset(folder / "small.h5mu", dataset)
    options = {"paired_fraction": 0.5} if request.param == "mosaic" else {}
    split = cut_small(dataset, request.param, folder / "split", **options)
    methods = ["oracle", "celltype_mean", "pca_joint"]
    outputs = [folder / method for method in methods]
    runs = [
        run_of(method, [output], scenario=request.param)
        for method, output in zip(methods, outputs, strict=True)
    ]
    fit.main(runs=runs, seeds=seeds_of([split], [0]), limits=LIMITS)
    return request.param, dataset, embeddings(folder / "small.h5mu", split, outputs)


def test_all_cells_of_the_dataset_have_their_own_names_types_and_batches(fitted):
    _, dataset, found = fitted
    assert list(found.obs_names) == list(dataset.obs_names)
    for column in ("cell_type", "batch"):
        assert list(found.obs[column]) == list(dataset.obs[column])
    assert set(found.obs["subset"]) == {"train", "query"}


def test_the_latents_of_a_cell_are_in_its_row(fitted):
    scenario, dataset, found = fitted
    a, b = (found.obsm[f"X_oracle_{modality}"] for modality in dataset.mod)
    is_query = (found.obs["subset"] == "query").to_numpy()
    assert np.isfinite(a[is_query]).all()
    np.testing.assert_array_equal(a[is_query], b[is_query])  # partners have equal latents
    nearest = ((a[is_query][:, None] - a[~is_query & np.isfinite(a[:, 0])]) ** 2).sum(-1).argmin(1)
    types = found.obs["cell_type"].to_numpy()
    of_train = types[~is_query & np.isfinite(a[:, 0])][nearest]
    assert (of_train == types[is_query]).mean() > 0.9  # the oracle's latents follow the type
    both = np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
    share = {"unpaired": 0, "mosaic": 0.5}[scenario]
    assert both[~is_query].mean() == pytest.approx(share, abs=0.01)


def test_a_run_without_latents_has_no_key(fitted):
    assert not any("celltype_mean" in key for key in fitted[2].obsm)
