"""Damaged HDF5 files that HDF5 itself does not survive: one message that names the file, from whatever reads it."""

import os
import signal

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import pytest

from mosaicbench.commands import prepare
from mosaicbench.data import readable
from mosaicbench.data.readable import check_readable
from mosaicbench.errors import UserError


@pytest.fixture
def cells():
    values = np.random.default_rng(0).poisson(3, (30, 6)).astype(np.float32)
    var = pd.DataFrame(index=[f"GENE{i}" for i in range(6)])
    return anndata.AnnData(values, obs=pd.DataFrame(index=[f"cell{i}" for i in range(30)]), var=var)


def endless(path):
    """Let the last text of a heap reach into the heap's free space: HDF5 finds zeros there, and looks on for ever."""
    content, heap = bytearray(path.read_bytes()), -1
    end = last = place = 0
    while end - place < 200:  # of the heaps, one with free space
        heap = content.index(b"GCOL", heap + 1)
        end, place = heap + int.from_bytes(content[heap + 8 : heap + 16], "little"), heap + 16
        while place + 16 <= end and any(
            content[place : place + 2]
        ):  # a text: 2 bytes of number, 6 of others, 8 of length
            last, length = place, int.from_bytes(content[place + 8 : place + 16], "little")
            place += 16 + -(-length // 8) * 8
    content[last + 8 : last + 16] = (place + 64 - (last + 16)).to_bytes(8, "little")
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("kind", ["h5ad", "h5mu"])
def test_a_file_that_hdf5_reads_without_end_is_refused_by_name(tmp_path, monkeypatch, cells, kind):
    monkeypatch.setattr(readable, "SECONDS", 1)
    bad = tmp_path / f"bad.{kind}"
    cells.write_h5ad(tmp_path / "good.h5ad")
    if kind == "h5mu":
        mudata.MuData({"rna": cells, "adt": cells.copy()}).write(bad)
    else:
        cells.write_h5ad(bad)
    endless(bad)
    path = str(bad) if kind == "h5mu" else {"rna": str(bad), "adt": str(tmp_path / "good.h5ad")}
    message = rf"path: .*bad.{kind}: cannot be read: HDF5 came to no end within 1 seconds at /.*; the file is damaged"
    with pytest.raises(UserError, match=message):
        prepare.main(
            dataset="own", loader="own_files", options={"path": path}, output=tmp_path / "out.h5mu"
        )
    assert not (tmp_path / "out.h5mu").exists()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_file_that_brings_hdf5_down_is_refused_by_name(tmp_path, monkeypatch, cells, number):
    cells.write_h5ad(tmp_path / "bad.h5ad")

    def brought_down(_):
        signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
        os.kill(os.getpid(), number)

    monkeypatch.setattr(readable, "_read_values", brought_down)
    with pytest.raises(
        UserError, match=rf"bad.h5ad: .*HDF5 was brought down \({number.name}\) at /\w+"
    ):
        check_readable(tmp_path / "bad.h5ad")


def test_a_part_that_claims_more_than_any_memory_is_refused_by_name(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("matrix/data", shape=(2**50,), chunks=(1024,), dtype="f8")
    with pytest.raises(
        UserError, match=r"x.h5: .*claims more values than fit into memory at /matrix/data"
    ):
        check_readable(tmp_path / "x.h5")


def test_what_is_whole_or_has_a_reader_of_its_own_passes(tmp_path, cells):
    cells.obs["odd"] = pd.Categorical(["a", "b"] * 15)
    cells.uns["nothing"], cells.uns["text"] = np.zeros((0, 3)), "x"
    cells.write_h5ad(tmp_path / "x.h5ad", compression="gzip")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["itself"], file["away"] = file["/"], h5py.ExternalLink("absent.h5", "/x")
        file["null"] = h5py.Empty("f4")
    check_readable(tmp_path / "x.h5ad")
    (tmp_path / "text.h5ad").write_text("not HDF5 at all")
    check_readable(tmp_path / "text.h5ad")
