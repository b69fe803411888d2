"""Methods that run in R: what goes there and comes back, and what is said where R or a package is missing."""

import os
import shutil
import sys
import time

import numpy as np
import psutil
import pytest
from test_peers import version_in_r

from mosaicbench.data.split import make_split
from mosaicbench.datasets import simulated
from mosaicbench.errors import NotApplicable
from mosaicbench.files.splits import as_split
from mosaicbench.peers import _r, seurat_spca

WRAPS = {"package": "Nowhere", "module": "R", "version": "1.0", "licence": "MIT"}
STANDS_IN = f"""#!{sys.executable}
import os, re, sys, time
import numpy as np
script = open("script.R").read().splitlines()[-1]
if script == "sleep":
    open(os.environ["PLACE"], "w").write(str(os.getpid()))
    time.sleep(60)
if script == "stop":
    sys.exit("Error in f(x): the matrix is singular")
if script == "absent":
    sys.exit(42)
for line in open("given.tsv"):
    name, height, width = line.rstrip("\\n").split("\\t")
    np.fromfile(name + ".given").tofile(name + ".gives")
os.rename("given.tsv", "gives.tsv")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a program in Rscript's place that gives back what it was given."""
    program = tmp_path / "Rscript"
    program.write_text(STANDS_IN)
    program.chmod(0o755)
    monkeypatch.setenv(_r.RSCRIPT, str(program))
    return program


def test_numbers_come_back_as_they_went(stand_in):
    x = np.random.default_rng(0).standard_normal((4, 3))
    back = _r.run_r(WRAPS, "echo", 7, x=x, wide=x.T, neighbors=20)
    np.testing.assert_array_equal(back["x"], x)
    np.testing.assert_array_equal(back["wide"], x.T)
    assert (back["neighbors"].item(), back["seed"].item()) == (20, 7)


def test_a_missing_program_or_package_is_named_with_its_remedy(stand_in, monkeypatch):
    with pytest.raises(
        NotApplicable,
        match=r"Rscript has no R package Nowhere; on Debian .* apt-get install r-cran-nowhere",
    ):
        _r.run_r(WRAPS, "absent", 0)
    monkeypatch.setenv(_r.RSCRIPT, "/no/such/Rscript")
    with pytest.raises(
        NotApplicable, match=r"/no/such/Rscript was not found; .* MOSAICBENCH_RSCRIPT"
    ):
        _r.run_r(WRAPS, "echo", 0)
    monkeypatch.delenv(_r.RSCRIPT)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotApplicable, match=r"^Rscript was not found"):
        _r.run_r(WRAPS, "echo", 0)


def test_an_error_of_r_is_the_runs_message(stand_in, capfd):
    with pytest.raises(
        RuntimeError, match=r"exit status 1: Error in f\(x\): the matrix is singular"
    ):
        _r.run_r(WRAPS, "stop", 0)
    assert "singular" in capfd.readouterr().err


@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel's signal at a parent's death is Linux's"
)
def test_r_ends_with_a_run_that_is_stopped(stand_in, tmp_path, monkeypatch):
    place = tmp_path / "process"
    monkeypatch.setenv("PLACE", str(place))
    child = os.fork()
    if child == 0:
        _r.run_r(WRAPS, "sleep", 0)
        os._exit(0)
    while not (place.exists() and place.read_text()):
        time.sleep(0.05)
    started = psutil.Process(int(place.read_text()))
    os.kill(child, 9)
    os.waitpid(child, 0)
    started.wait(timeout=5)


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed")
def test_a_package_that_r_lacks_is_named():
    with pytest.raises(NotApplicable, match="has no R package Nowhere"):
        _r.run_r(WRAPS, "", 0)


@pytest.mark.skipif(not version_in_r("Seurat"), reason="R or its package Seurat is not installed")
def test_train_cells_lie_where_seurat_put_them(monkeypatch):
    """What is kept of R, the loadings, gives Seurat's own latents back."""
    dataset = simulated.load(
        None, cells=220, modalities=("rna", "adt"), cell_types=3, n_rna=60, n_adt=14
    )
    split = make_split(dataset, dataset_name="d", scenario="paired", kind="paired", seed=0)
    train = as_split(split["train"], labels=False)
    embeddings = []

    def kept(*given, **named):
        found = _r.run_r(*given, **named)
        embeddings.append(found["embeddings"])
        return found

    monkeypatch.setattr(seurat_spca, "run_r", kept)
    monkeypatch.setattr(
        seurat_spca, "SCRIPT", seurat_spca.SCRIPT + 'give("embeddings", Embeddings(data, "spca"))\n'
    )
    method = seurat_spca.SeuratSPCA(components=10)
    method.fit(train, 0)
    np.testing.assert_allclose(
        method.embed(train.observing("rna", "adt")), embeddings[0], atol=1e-4
    )
