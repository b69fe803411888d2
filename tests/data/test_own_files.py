"""Which file, and which part of it, is which modality: endings, modalities of an .h5mu, and keys that choose."""

import gzip
import shutil

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from own_cells import equal, own_cells, read, refused, written

from mosaicbench.errors import UserError
from mosaicbench.files._h5 import quiet_mudata


@pytest.fixture(scope="module")
def parts():
    return own_cells()


def as_mudata(parts, **more):
    with quiet_mudata():
        whole = mudata.MuData({name: cells.copy() for name, cells in (parts | more).items()})
        types = next(iter(parts.values())).obs["cell_type"]
        for cells in whole.mod.values():
            cells.obs = cells.obs[[]]
        whole.obs = pd.DataFrame({"cell_type": types.reindex(whole.obs_names)})
    return whole


def are_all(dataset, parts):
    """Return whether a dataset has the counts and the types of both modalities, and nothing else."""
    types = list(dataset.obs["cell_type"]) == list(parts["rna"].obs["cell_type"])
    counts = [equal(dataset, modality, cells) for modality, cells in parts.items()]
    return types and list(dataset.mod) == list(parts) and all(counts)


def counts(cells, names):
    values = np.random.default_rng(0).poisson(20, (cells.n_obs, len(names)))
    return anndata.AnnData(
        values.astype(np.float32), obs=cells.obs[[]], var=pd.DataFrame(index=names)
    )


@pytest.fixture
def muon(parts, tmp_path):
    """Write what muon's users have: other names, receptors without features, hashtags, and another assay."""
    rna = parts["rna"]
    receptors = anndata.AnnData(obs=rna.obs[[]].iloc[::2])
    whole = as_mudata(
        {"gex": rna, "prot": parts["adt"]},
        airr=receptors,
        hto=counts(rna, ["HTO1", "HTO2", "HTO3"]),
        tags=counts(rna, ["Hashtag1", "Hashtag2"]),
        crispr=counts(rna, ["g1", "g2"]),
    )
    whole.write_h5mu(tmp_path / "muon.h5mu")
    return tmp_path


def test_modalities_that_are_none_are_left_out_and_counted(muon, parts):
    dataset, told = read(muon, "muon.h5mu", cell_type="cell_type")
    assert list(dataset.mod) == ["gex", "prot"]
    assert equal(dataset, "gex", parts["rna"]) and equal(dataset, "prot", parts["adt"])
    (warning,) = [text for text in told if "not read" in text]
    counted = ("airr (0 features)", "hto (3 hashtags)", "tags (2 hashtags)", "crispr (2 features)")
    assert all(f"{part} of muon.h5mu" in warning for part in counted)
    assert "modalities: " in warning


def test_modalities_of_a_file_are_chosen_and_renamed(muon, parts):
    twice = {"rna": "muon.h5mu", "adt": "muon.h5mu"}
    for path, modalities in (
        ("muon.h5mu", {"rna": "gex", "adt": "prot"}),
        (twice, {}),
        (twice, {"adt": "prot"}),
    ):
        dataset, _ = read(muon, path, modalities=modalities, cell_type="cell_type")
        assert are_all(dataset, parts)
    chosen = {"rna": "gex", "guides": "crispr"}
    dataset, _ = read(muon, "muon.h5mu", modalities=chosen, kinds={"guides": "adt"})
    assert list(dataset["guides"].var_names) == ["g1", "g2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modalities": {"rna": "gexx", "adt": "prot"}}, "modalities.rna: .*'gexx'.*'gex'"),
        ({"modalities": {"rna": "gex"}}, "found rna"),
        ({"modalities": {"rna": "gex", "b": "prot"}}, "kinds: {b: rna}.*modalities: {"),
        ({"layers": {"rna": "counts"}}, "layers: .*'rna'; there are gex, prot"),
    ],
)
def test_wrong_choices_name_the_key_and_what_there_is(muon, options, message):
    refused(message, muon, "muon.h5mu", **options)


# --- endings -------------------------------------------------------------------------------------


def pack(file):
    packed = file.with_name(f"{file.name}.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    return packed.name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", [".H5AD", ".h5ad.gz", ".zarr", ".Csv"])
def test_files_of_any_ending_hold_the_same_cells(parts, tmp_path, ending):
    path = {}
    for modality, cells in parts.items():
        name = tmp_path / f"{modality}{ending.removesuffix('.gz')}"
        if ending == ".zarr":
            cells.write_zarr(name)
        elif "h5ad" in ending.lower():
            cells.write_h5ad(name)
        else:
            cells.to_df().astype(int).to_csv(name)
        path[modality] = pack(name) if ending.endswith(".gz") else name.name
    dataset, _ = read(tmp_path, path)
    assert equal(dataset, "rna", parts["rna"]) and equal(dataset, "adt", parts["adt"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", [".H5MU", ".h5mu.gz", ".zarr"])
def test_a_mudata_of_any_ending_is_a_path_by_itself(parts, tmp_path, ending):
    whole, file = as_mudata(parts), tmp_path / f"mine{ending.removesuffix('.gz')}"
    if ending == ".zarr":
        whole.write_zarr(file)
    else:
        whole.write_h5mu(tmp_path / "plain.h5mu")
        shutil.move(tmp_path / "plain.h5mu", file)
    name = pack(file) if ending.endswith(".gz") else file.name
    dataset, _ = read(tmp_path, name, cell_type="cell_type")
    assert are_all(dataset, parts)


@pytest.mark.parametrize(
    "name", ["a.h5ad", "a.h5ad.gz", "a.zarr", "a.csv", "a.h5", "a.loom", "a.h5ad.zip", "a"]
)
def test_what_cannot_be_read_is_one_sentence_with_the_file(parts, tmp_path, name):
    path = written(tmp_path, parts)
    if name == "a.zarr":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(b"\x00\x01\xff" * 50)
    with pytest.raises(
        UserError, match=rf"path: .*{name}: (cannot be read|column|.*name)|{name} .* \.h5ad"
    ):
        read(tmp_path, path | {"adt": name})
