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


def faults_with(dataset, **options):
    found = faults_of_splits([parts_with(dataset, **options)["solution"].uns["audit"]])
    return list(zip(found["run"], found["check"], found["message"], strict=True))


def test_peaks_in_sample_are_of_another_scale_and_out_of_fold_they_are_not(nuclei):
    assert faults_with(nuclei) == []
    ((run, check, message),) = faults_with(nuclei, out_of_fold=False)
    assert (run, check) == (EVERY_RUN, "scale")
    assert "atac vary 0.10 times as much" in message


def test_a_batch_of_another_depth_is_of_another_scale(bone_marrow):
    """Proteins whose query counts have a hundredth of the spread, as of another protocol."""
    dataset = bone_marrow.copy()
    clean = cut(dataset, preprocess=RNA)
    assert len(faults_of_splits([clean["solution"].uns["audit"]])) == 0
    rows = dataset.obs_names.isin(clean["solution"].obs_names)
    counts = dataset["adt"].layers["counts"].toarray()
    counts[rows] = counts[rows].mean(axis=0).round()
    dataset["adt"].layers["counts"] = type(dataset["adt"].layers["counts"])(counts)
    other = cut(dataset, preprocess=RNA)
    assert list(faults_of_splits([other["solution"].uns["audit"]])["check"]) == ["scale"]


def test_a_query_of_few_cells_is_noise_that_is_named(bone_marrow):
    few = cut(bone_marrow, preprocess=RNA, query_fraction=0.05)["solution"].uns["audit"]
    few = faults_of_splits([few]).query("check == 'few cells'")
    assert list(few["run"]) == [EVERY_RUN] * 2
    for message, modality in zip(few["message"], ("rna", "adt"), strict=True):
        assert f"only 30 cells of {modality}" in message


def test_a_transform_of_all_cells_is_a_leak_that_is_named(nuclei):
    leaky = parts_with(nuclei, transform="raw_svd", fit_on="all")
    audit = leaky["solution"].uns["audit"]
    of_peaks = audit[(audit["modality"] == "atac") & (audit["role"] == "fit on all")]
    assert set(of_peaks["what"]) == {"choice of features, idf", "weights of peaks", "decomposition"}
    assert (of_peaks["cells"] == nuclei.n_obs).all()
    assert (of_peaks["query_cells"] > 0).all()
    assert set(audit.loc[audit["role"] == "fit", "query_cells"]) == {0}
    ((run, check, message),) = faults_with(nuclei, transform="raw_svd", fit_on="all")
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
    assert faults_of_splits([inner["solution"].uns["audit"]])["check"].tolist() == ["scale"]
