"""`init`: from files of many kinds to a config that can be checked and run."""

import gzip
import shutil

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import sparse
from scipy.io import mmwrite

from mosaicbench import cli
from mosaicbench.config import settings

N = 40
TYPES = ["Gene Expression", "Antibody Capture"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cells(features, *, first=0, n=N):
    """Return cells with columns of types, clusters, donors, numbers and names that nobody wants."""
    random = np.random.default_rng(features)
    obs = pd.DataFrame(
        {
            "n_counts": random.random(n),
            "leiden": [str(number % 4) for number in range(n)],
            "Cell_Type": ["B", "T", "unknown", "B"] * (n // 4),
            "donor": ["x", "y"] * (n // 2),
            "species": "human",
        },
        index=[f"c{first + cell}" for cell in range(n)],
    )
    counts = sparse.csr_matrix(random.poisson(2, (n, features)).astype(np.float32))
    made = anndata.AnnData(counts, obs=obs)
    made.var_names = [f"f{feature}" for feature in range(features)]
    return made


def started(*files):
    """Return the config that `init` writes, after it passed the check of all configs."""
    cli.main(["init", *map(str, files), "--output", "my.yaml"])
    with open("my.yaml") as file:
        config = yaml.safe_load(file)
    return config["datasets"]["my_cells"], config["scenarios"], config


def test_columns_and_modalities_are_found_and_the_config_is_valid(here, capsys):
    cells(30).write_h5ad("my_rna.h5ad")
    cells(6).write_h5ad("cite_panel.h5ad")
    stanza, scenarios, config = started("my_rna.h5ad", "cite_panel.h5ad")
    assert stanza == {
        "path": {"rna": "my_rna.h5ad", "adt": "cite_panel.h5ad"},
        "cell_type": "Cell_Type",
        "unknown_labels": ["unknown"],
        "batch": "donor",
    }
    assert {name: one["kind"] for name, one in scenarios.items()} == {
        "paired": "paired",
        "unpaired": "unpaired",
    }
    assert "leiden" in (here / "my.yaml").read_text()  # as another column
    assert settings.load(config).datasets["my_cells"]["cells"] == 2 * N
    assert "mosaicbench check my.yaml" in capsys.readouterr().out
    cli.main(["check", "my.yaml"])


def test_several_files_of_a_modality_are_a_list():
    for name, first in (("s1", 0), ("s2", N)):
        cells(30, first=first).write_h5ad(f"{name}_rna.h5ad")
        cells(6, first=first).write_h5ad(f"{name}_adt.h5ad")
    stanza, _, _ = started("s1_rna.h5ad", "s2_rna.h5ad", "s1_adt.h5ad", "s2_adt.h5ad")
    assert stanza["path"] == {
        "rna": ["s1_rna.h5ad", "s2_rna.h5ad"],
        "adt": ["s1_adt.h5ad", "s2_adt.h5ad"],
    }


def test_of_a_mudata_the_global_columns_are_seen_and_odd_names_get_a_kind():
    whole = mudata.MuData({"gex": cells(30), "my prot": cells(6)})
    whole.obs = pd.DataFrame({"annotation": ["B", "T"] * (N // 2)}, index=whole.obs_names)
    for part in whole.mod.values():
        part.obs = part.obs[["n_counts"]]
    whole.write("cells.h5mu")
    stanza, _, config = started("cells.h5mu")
    assert stanza["path"] == "cells.h5mu"
    assert stanza["kinds"] == {"my prot": "adt"}
    assert stanza["cell_type"] == "annotation"
    settings.load(config)


def test_proteins_in_obsm_are_a_modality_of_the_file(here):
    whole = cells(1200)
    names = [f"P{number}" for number in range(5)]
    whole.obsm["protein_expression"] = pd.DataFrame(1, index=whole.obs_names, columns=names)
    whole.write_h5ad("totalvi.h5ad")
    stanza, _, _ = started("totalvi.h5ad")
    assert stanza["path"] == "totalvi.h5ad"
    text = (here / "my.yaml").read_text()
    assert "# rna: 40 cells, 1,200 features" in text and "# adt: 40 cells, 5 features" in text


def test_a_modality_of_no_known_kind_is_left_out_of_a_mudata():
    mudata.MuData({"gex": cells(30), "adt": cells(6), "xyz": cells(3)}).write("cells.h5mu")
    stanza, _, _ = started("cells.h5mu")
    assert stanza["modalities"] == {"rna": "gex", "adt": "adt"}


def test_a_10x_file_and_a_folder_are_a_path_by_themselves(here, capsys):
    types = [TYPES[feature >= 30] for feature in range(36)]
    names, barcodes = [f"f{feature}" for feature in range(36)], [f"c{cell}" for cell in range(N)]
    with h5py.File("filtered.h5", "w") as file:
        file["matrix/barcodes"], file["matrix/features/name"] = barcodes, names
        file["matrix/features/feature_type"] = types
    stanza, _, _ = started("filtered.h5")
    assert stanza == {"path": "filtered.h5"}
    assert "# rna: 40 cells, 30 features" in (here / "my.yaml").read_text()

    (here / "my.yaml").unlink()
    (here / "folder").mkdir()
    counts = np.random.default_rng(0).poisson(2, (36, N))
    mmwrite("folder/matrix.mtx", sparse.csr_matrix(counts))
    for part, rows in (
        ("features", zip(names, names, types, strict=True)),
        ("barcodes", zip(barcodes, strict=True)),
    ):
        text = "".join("\t".join(row) + "\n" for row in rows)
        (here / f"folder/{part}.tsv.gz").write_bytes(gzip.compress(text.encode()))
    with (
        open("folder/matrix.mtx", "rb") as plain,
        gzip.open("folder/matrix.mtx.gz", "wb") as packed,
    ):
        shutil.copyfileobj(plain, packed)
    (here / "folder/matrix.mtx").unlink()
    stanza, _, _ = started("folder")
    assert stanza == {"path": "folder"}
    capsys.readouterr()
    cli.main(["check", "my.yaml"])
    assert "my_cells: adt: 40 cells, 6 features" in capsys.readouterr().out


def test_cells_that_no_file_shares_get_a_scenario_as_measured():
    cells(30).write_h5ad("rna.h5ad")
    cells(6, first=N).write_h5ad("adt.h5ad")
    _, scenarios, _ = started("rna.h5ad", "adt.h5ad")
    assert [one["kind"] for one in scenarios.values()] == ["as_measured", "unpaired"]


def test_what_prepare_reads_is_described_alike(here, capsys):
    """Transposed and packed tables, texts among numbers, odd encodings, lower-case types, zarr, hashtags."""
    from own_cells import own_cells

    parts = own_cells(cells=60, genes=200)
    table = {
        name: pd.DataFrame(part.X.toarray(), part.obs_names, part.var_names)
        for name, part in parts.items()
    }
    table["rna"].T.to_csv("rna_genes.csv.gz", encoding="utf-16")  # features x cells
    table["adt"].assign(cell_type="é").to_csv("adt.txt", sep=";", encoding="latin-1")
    stanza, scenarios, _ = started("rna_genes.csv.gz", "adt.txt")
    genes, proteins = parts["rna"].n_vars, parts["adt"].n_vars
    text = (here / "my.yaml").read_text()
    assert f"rna: rna_genes.csv.gz # 60 cells, {genes} features" in text
    assert f"adt: adt.txt # 60 cells, {proteins} features" in text
    assert "60 of 60 cells are in all modalities" in text and "paired" in scenarios

    both = anndata.concat([parts["rna"], parts["adt"]], axis=1, merge="first")
    both.var["modality"] = ["gex"] * genes + ["Protein"] * (proteins - 2) + ["HTO"] * 2
    both.var_names_make_unique()
    both.write_zarr("both.zarr")
    both.write_h5ad("both.h5ad")
    with open("both.h5ad", "rb") as plain, gzip.open("packed.h5ad.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    for file in ("both.zarr", "packed.h5ad.gz"):
        (here / "my.yaml").unlink()
        stanza, _, _ = started(file)
        assert {key: stanza.get(key) for key in ("path", "kinds", "modalities")} == {
            "path": file,
            "kinds": None,
            "modalities": None,
        }
        text = (here / "my.yaml").read_text()
        assert f"# rna: 60 cells, {genes} features" in text
        assert f"# adt: 60 cells, {proteins - 2} features" in text and "HTO" not in text
        capsys.readouterr()
        cli.main(["check", "my.yaml"])
        assert f"my_cells: adt: 60 cells, {proteins - 2} features" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["rna.h5ad"], "found rna in rna.h5ad; name the file of another"),
        (["rna.h5ad", "x.h5ad"], "x.h5ad: neither its name nor its features .*put that word"),
        (["rna.h5ad", "absent.h5ad"], "absent.h5ad: no such file"),
        (["rna.h5ad", "my.pdf"], "my.pdf is neither .h5mu"),
    ],
)
def test_what_cannot_become_a_config_is_refused(here, files, message):
    for name, features in (("rna", 30), ("x", 6)):
        cells(features).write_h5ad(f"{name}.h5ad")
    (here / "my.pdf").write_text("x")
    with pytest.raises(SystemExit, match=message):
        started(*files)
    assert not (here / "my.yaml").exists()


def test_a_config_that_is_there_is_not_overwritten(here):
    (here / "my.yaml").write_text("mine")
    cells(30).write_h5ad("rna.h5ad")
    with pytest.raises(SystemExit, match="my.yaml: is there already; .*--output"):
        started("rna.h5ad")
    assert (here / "my.yaml").read_text() == "mine"
