"""Peaks of two samples: their union sums counts of overlapping peaks; the common ones warn when they are few."""

import anndata
import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng
from own_cells import left_out, read, refused
from scipy import sparse

CELLS, PEAKS, ALIKE = 300, 10_000, 21


def sample(number, starts, form="chr{}:{}-{}"):
    """Return cells x peaks; the chromosome of a peak is its number modulo 5."""
    random = default_rng(number)
    peaks = [(i % 5 + 1, start, start + 500) for i, start in enumerate(starts)]
    counts = sparse.random(CELLS, len(peaks), density=0.02, format="csr", random_state=number)
    counts.data = random.integers(1, 5, counts.nnz)
    obs = pd.DataFrame(index=[f"s{number}-cell{i}" for i in range(CELLS)])
    var = pd.DataFrame(index=[form.format(*peak) for peak in peaks])
    return anndata.AnnData(counts.astype(np.float32), obs=obs, var=var)


def written(folder, *samples):
    """Write samples, with a few genes of their cells, and return the `path` of a stanza."""
    for number, cells in enumerate(samples, start=1):
        cells.write_h5ad(folder / f"atac_{number}.h5ad")
        genes = default_rng(number).poisson(1, (CELLS, 20)).astype(np.float32)
        anndata.AnnData(genes, obs=cells.obs).write_h5ad(folder / f"rna_{number}.h5ad")
    return {modality: [f"{modality}_{n}.h5ad" for n in (1, 2)] for modality in ("rna", "atac")}


@pytest.fixture(scope="module")
def samples():
    """Return two samples of about 10,000 peaks each: 21 are alike, 6,000 overlap, the others are apart."""
    grid = 2000 * np.arange(PEAKS)
    other = grid + 1000
    other[:6000] = grid[:6000] + 200
    other[:ALIKE] = grid[:ALIKE]
    return sample(1, grid[: PEAKS - 140]), sample(2, other)


@pytest.fixture
def path(samples, tmp_path):
    return written(tmp_path, *samples)


def test_common_peaks_are_kept_with_a_warning_that_names_the_union(path, samples, tmp_path):
    dataset, told = read(tmp_path, path)
    common = samples[0].var_names.intersection(samples[1].var_names)
    assert len(common) == ALIKE
    (warning,) = [text for text in told if "not in all" in text]
    lost = samples[0].n_vars + samples[1].n_vars - 2 * ALIKE
    assert "'atac'" in warning and f" {lost} features" in warning and "peaks: union" in warning
    assert left_out(dataset, "atac")["not in all files"] == lost


def test_the_union_sums_the_counts_of_overlapping_peaks(path, samples, tmp_path):
    dataset, told = read(tmp_path, path, peaks="union")
    atac = dataset["atac"]
    overlapping, alone = 6000, (samples[0].n_vars - 6000, samples[1].n_vars - 6000)
    seen = left_out(dataset, "atac").get("seen in no cell", 0)
    assert atac.n_vars + seen == overlapping + sum(alone)
    counts = atac.layers["counts"]
    expected = np.concatenate([cells.X.sum(axis=1).A1 for cells in samples])
    assert np.array_equal(counts.sum(axis=1).A1, expected)
    # the 31st peaks, chr1:60000-60500 and chr1:60200-60700, are one
    column = counts[:, atac.var_names.get_loc("chr1:60000-60700")].toarray().ravel()
    assert np.array_equal(column, np.concatenate([s.X[:, 30].toarray().ravel() for s in samples]))
    places = atac.var.loc["chr1:60000-60700", ["chrom", "start", "end"]]
    assert list(places) == ["chr1", 60_000, 60_700]
    counted = ("6,000 of 9,860 of atac_1.h5ad", "6,000 of 10,000 of atac_2.h5ad")
    assert [text for text in told if all(number in text for number in counted)]


def test_peaks_that_only_touch_are_two_and_names_with_and_without_chr_are_one(tmp_path):
    first = sample(3, [100, 5000, 9000, 12_000], form="{}:{}-{}")
    second = sample(4, [100, 5000, 9500, 12_400])  # the third begins where the other ends
    path = written(tmp_path, first, second)
    refused(r"'atac' .*: atac_1.h5ad, atac_2.h5ad; peaks: union", tmp_path, path)
    dataset, _ = read(tmp_path, path, peaks="union")
    assert list(dataset["atac"].var_names) == [
        "1:100-600",
        "2:5000-5500",
        "3:9000-9500",
        "chr3:9500-10000",
        "4:12000-12900",
    ]


def test_a_peak_without_a_place_is_named(path, tmp_path):
    cells = anndata.read_h5ad(tmp_path / "atac_2.h5ad")
    cells.var_names = ["peak one", *cells.var_names[1:]]
    cells.write_h5ad(tmp_path / "atac_2.h5ad")
    refused(r"peaks: .*atac_2.h5ad .*'peak one'; name peaks chr1:10", tmp_path, path, peaks="union")
