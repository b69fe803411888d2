"""Whole splits: query values of another scale than train values, and transforms that query cells had a part in, are found."""

import numpy as np
import pytest
from mosaicbench_splits import cut

from mosaicbench.data import embedded
from mosaicbench.data.split import inner_split
from mosaicbench.files.splits import space_values
from mosaicbench.stats.sanity import EVERY_RUN, faults_of_splits

RNA = {"rna": {"features": 300}}


@pytest.fixture(scope="module")
def nuclei():
    return embedded.load("snareseq_small")


@pytest.fixture(scope="module")
def bone_marrow():
    return embedded.load("bmmc_cite_small")


def parts_with(dataset, **options):
    return cut(dataset, preprocess=RNA | ({"atac": options} if options else {}))


def faults_of(parts):
    found = faults_of_splits([parts["solution"].uns["audit"]])
    return list(zip(found["run"], found["check"], found["message"], strict=True))


def test_peaks_in_sample_are_of_another_scale_and_out_of_fold_they_are_not(nuclei):
    assert faults_of(parts_with(nuclei)) == []
    ((run, check, message),) = faults_of(parts_with(nuclei, out_of_fold=False))
    assert (run, check) == (EVERY_RUN, "scale")
    assert "atac vary 0.10 times as much" in message


def test_a_batch_of_another_depth_is_of_another_scale(bone_marrow):
    """Proteins whose query counts have a hundredth of the spread, as of another protocol."""
    dataset = bone_marrow.copy()
    clean = parts_with(dataset)
    assert faults_of(clean) == []
    rows = dataset.obs_names.isin(clean["solution"].obs_names)
    counts = dataset["adt"].layers["counts"].toarray()
    counts[rows] = counts[rows].mean(axis=0).round()
    dataset["adt"].layers["counts"] = type(dataset["adt"].layers["counts"])(counts)
    ((_, check, _),) = faults_of(parts_with(dataset))
    assert check == "scale"


def test_a_query_of_few_cells_is_noise_that_is_named(bone_marrow):
    few = faults_of(cut(bone_marrow, preprocess=RNA, query_fraction=0.05))
    of_cells = [(run, message) for run, check, message in few if check == "few cells"]
    for (run, message), modality in zip(of_cells, ("rna", "adt"), strict=True):
        assert run == EVERY_RUN and f"only 30 cells of {modality}" in message


def test_a_transform_of_all_cells_is_a_leak_that_is_named(nuclei):
    leaky = parts_with(nuclei, transform="raw_svd", fit_on="all")
    audit = leaky["solution"].uns["audit"]
    of_peaks = audit[(audit["modality"] == "atac") & (audit["role"] == "fit on all")]
    assert set(of_peaks["what"]) == {"choice of features, idf", "weights of peaks", "decomposition"}
    assert (of_peaks["cells"] == nuclei.n_obs).all()
    assert (of_peaks["query_cells"] > 0).all()
    assert set(audit.loc[audit["role"] == "fit", "query_cells"]) == {0}
    ((run, check, message),) = faults_of(leaky)
    assert (run, check) == (EVERY_RUN, "leak")
    assert "scores are not of new cells" in message
    whole = np.vstack([space_values(leaky[part]["atac"]) for part in ("train", "query")])
    gram = whole.T @ whole  # components of the cells that they were computed from are orthogonal
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-3 * np.diag(gram).max()


def test_an_inner_split_has_the_transforms_of_its_split(nuclei):
    options = {"transform": "residuals", "out_of_fold": False, "standardise": False}
    inner = inner_split(parts_with(nuclei, **options)["train"], fraction=0.2, seed=0)
    assert str(inner["train"]["atac"].uns["transform"]) == "residuals"
    assert np.all(inner["train"]["atac"].uns["std"] == 1)
    assert [check for _, check, _ in faults_of(inner)] == ["scale"]
