"""Preprocessing and reading against scanpy and muon."""

import pytest


def _modality(dataset, name):
    cells = dataset[name].copy()
    cells.X = cells.layers["counts"].copy()
    return cells


@pytest.mark.benchmark(group="Preprocessing of RNA, 5,000 cells")
def bench_rna(measure, dataset):
    from mosaicbench.data.normalize import Preprocessing

    measure(
        lambda: Preprocessing.fit(dataset["rna"], features=2000).transform(dataset["rna"]),
        role="ours",
        size=5000,
        unit="cells",
    )


@pytest.mark.benchmark(group="Preprocessing of RNA, 5,000 cells")
def bench_rna_scanpy(measure, dataset):
    import scanpy as sc

    def recipe():
        cells = _modality(dataset, "rna")
        sc.pp.highly_variable_genes(cells, flavor="seurat_v3", n_top_genes=2000)
        sc.pp.normalize_total(cells, target_sum=1e4)
        sc.pp.log1p(cells)
        cells = cells[:, cells.var["highly_variable"]].copy()
        sc.pp.scale(cells)

    measure(recipe, role="peer", size=5000, unit="cells", who="scanpy")


@pytest.mark.benchmark(group="Preprocessing of ATAC (LSI, 50 components), 5,000 cells")
def bench_atac(measure, dataset):
    from mosaicbench.data.normalize import Preprocessing

    measure(
        lambda: Preprocessing.fit(dataset["atac"]).transform(dataset["atac"]),
        role="ours",
        size=5000,
        unit="cells",
    )


@pytest.mark.benchmark(group="Preprocessing of ATAC (LSI, 50 components), 5,000 cells")
def bench_atac_muon(measure, dataset):
    import muon

    def recipe():
        cells = _modality(dataset, "atac")
        muon.atac.pp.tfidf(cells)
        muon.atac.tl.lsi(cells, n_comps=50)

    measure(recipe, role="peer", size=5000, unit="cells", who="muon")


@pytest.fixture(scope="module")
def feature_barcode_matrix(dataset, tmp_path_factory):
    """The RNA counts as a 10x HDF5 file, as Cell Ranger lays it out."""
    import h5py
    import numpy as np

    path, counts = (
        tmp_path_factory.mktemp("raw") / "matrix.h5",
        dataset["rna"].layers["counts"].tocsr(),
    )
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name, array in (
            ("data", counts.data.astype(np.int32)),
            ("indices", counts.indices),
            ("indptr", counts.indptr),
        ):
            group.create_dataset(
                name, data=array.astype(np.int64), compression="gzip", compression_opts=4
            )
        group.create_dataset("shape", data=np.array(counts.shape[::-1]))
        group.create_dataset("barcodes", data=np.array(dataset.obs_names, dtype="S"))
        features = group.create_group("features")
        names = np.array(dataset["rna"].var_names, dtype="S")
        for name, column in {"id": names, "name": names}.items():
            features.create_dataset(name, data=column)
        features.create_dataset(
            "feature_type", data=np.array(["Gene Expression"] * len(names), dtype="S")
        )
        features.create_dataset("genome", data=np.array(["generated"] * len(names), dtype="S"))
    return path


@pytest.mark.benchmark(group="Reading of a 10x HDF5 file, 5,000 cells, 3,000 genes")
def bench_reading(measure, feature_barcode_matrix):
    from mosaicbench.data.read import tenx_h5

    measure(lambda: tenx_h5(feature_barcode_matrix), role="ours", size=5000, unit="cells")


@pytest.mark.benchmark(group="Reading of a 10x HDF5 file, 5,000 cells, 3,000 genes")
def bench_reading_scanpy(measure, feature_barcode_matrix):
    import scanpy as sc

    measure(
        lambda: sc.read_10x_h5(feature_barcode_matrix, gex_only=False),
        role="peer",
        size=5000,
        unit="cells",
        who="scanpy",
    )
